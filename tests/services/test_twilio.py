"""Calls as Twilio hands them on, made by a scripted Twilio to the application of the examples."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, Optional

import pytest
from simple_websocket import Client, ConnectionClosed
from support.examples import environment, read_until, started, wrong_share
from support.places import ROOT
from support.serving import PATIENCE
from support.web_servers import EXAMPLES, until
from werkzeug.serving import make_server

from speechmatics_sync.local import LocalServer, Recognition, Recognizer, ScriptedRecognizer

sys.path.insert(0, str(EXAMPLES))

from twilio_call import PACKET, TRACKS, call
from twilio_media_streams import create_app

__all__ = ["environment"]

SPOKEN = [
    line.partition(": ")[::2] for line in (EXAMPLES / "audio" / "call.txt").read_text().splitlines()
]
SECRET = "a-secret"
SECOND = bytes([0x7F]) * 8000
CALL = {"inbound": 3 * SECOND, "outbound": 3 * SECOND}


class TwoVoices(Recognizer):
    """Hears something else on each track."""

    def __init__(self) -> None:
        self._tracks = {
            "inbound": ScriptedRecognizer([("hello", 0.2, 0.5), ("there", 0.6, 1.0)]),
            "outbound": ScriptedRecognizer([("good", 2.2, 2.4), ("morning", 2.5, 2.9)]),
        }

    def start(self, *, language: str, partials: bool, channel: Optional[str] = None) -> Recognition:
        recognizer = self._tracks[channel or ""]
        return recognizer.start(language=language, partials=partials, channel=channel)


class Application:
    """The application, and what it shows."""

    def __init__(self, port: int, service: LocalServer) -> None:
        self.url = f"ws://127.0.0.1:{port}/media"
        self.service = service
        self.shown: queue.Queue[tuple[str, str]] = queue.Queue()

    def lines(self) -> list[tuple[str, str]]:
        return [self.shown.get_nowait() for _ in range(self.shown.qsize())]

    def call(self, messages: Iterator[dict[str, Any]]) -> None:
        """Say these messages, and wait until it hangs up."""
        socket = Client.connect(self.url)
        for message in messages:
            socket.send(json.dumps(message))
        with pytest.raises(ConnectionClosed):
            socket.receive(timeout=PATIENCE)


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    monkeypatch.setenv("TWILIO_STREAM_SECRET", SECRET)
    with LocalServer(recognizer=TwoVoices(), strict=True) as service:
        shown = Application(0, service)
        app = create_app(service.url, lambda *line: shown.shown.put(line))
        # Where werkzeug closes the socket first, simple-websocket notices when it wants to ping.
        app.config["SOCK_SERVER_OPTIONS"]["ping_interval"] = 0.5
        server = make_server("127.0.0.1", 0, app, threaded=True)
        shown.url = f"ws://127.0.0.1:{server.port}/media"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield shown
        server.shutdown()
        server.server_close()
        thread.join()


def test_each_track_is_a_channel_and_stop_ends_the_session(application: Application) -> None:
    application.call(call(CALL, secret=SECRET))
    assert sorted(application.lines()) == [("agent", "good morning."), ("caller", "hello there.")]
    (session,) = application.service.sessions
    until(lambda: session.ended)
    assert session.error is None
    sizes = {label: channel.audio_bytes for label, channel in session.channels.items()}
    assert sizes == {"inbound": 24000, "outbound": 24000}


def test_a_track_that_has_audio_later_keeps_its_times(application: Application) -> None:
    messages = call({**CALL, "inbound": 4 * SECOND}, secret=SECRET)
    application.call(message for message in messages if not _is_early_outbound(message))
    assert sorted(application.lines()) == [("agent", "good morning."), ("caller", "hello there.")]
    (session,) = application.service.sessions
    assert session.channels["outbound"].audio_bytes == 24000


def _is_early_outbound(message: dict[str, Any]) -> bool:
    media = message.get("media", {"track": ""})
    return media["track"] == "outbound" and int(media["timestamp"]) < 2000


def test_a_mark_ends_what_the_caller_was_saying(application: Application) -> None:
    shown_before_stop = []

    def messages() -> Iterator[dict[str, Any]]:
        for message in call({"inbound": 2 * SECOND}, secret=SECRET):
            if message["event"] == "stop":
                yield {"event": "mark", "sequenceNumber": "99", "mark": {"name": "prompt"}}
                yield {"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": "5"}}
                shown_before_stop.extend(application.shown.get(timeout=PATIENCE) for _ in "12")
            yield message

    application.call(messages())
    assert sorted(shown_before_stop) == [("caller", "[key 5]"), ("caller", "hello there.")]
    assert application.lines() == []


def test_a_call_that_breaks_off_leaves_no_session_and_what_was_said(
    application: Application,
) -> None:
    socket = Client.connect(application.url)
    for message in call(CALL, secret=SECRET):
        if message["event"] == "stop":
            break
        socket.send(json.dumps(message))
    socket.close()
    until(lambda: all(session.ended for session in application.service.sessions))
    until(lambda: application.shown.qsize() == 2)
    assert ("caller", "hello there.") in application.lines()


@pytest.mark.parametrize("parameters", [{}, {"secret": "another"}])
def test_who_does_not_know_the_secret_gets_no_session(
    application: Application, parameters: dict[str, str]
) -> None:
    application.call(list(call(CALL, **parameters))[:2])  # type: ignore[arg-type]
    assert application.service.sessions == []


@pytest.mark.speech
@pytest.mark.timeout(120)
def test_the_recorded_call_is_heard(environment: dict[str, str]) -> None:
    environment["PYTHONUNBUFFERED"] = "1"
    assert {len(audio) % PACKET for audio in TRACKS.values()} == {40}, "the last one is shorter"
    with started("twilio_media_streams.py", "--port", "0", environment=environment) as app:
        port = read_until(app, "Running on").rpartition(":")[2].split()[0]
        twilio = [sys.executable, EXAMPLES / "twilio_call.py", f"ws://127.0.0.1:{port}/media"]
        subprocess.run([*twilio, "--fast"], env=environment, cwd=ROOT, check=True)
        app.terminate()  # it has hung up, and said all
        said, _ = app.communicate(timeout=PATIENCE)
    heard = [line for line in said.splitlines() if line.startswith(("agent: ", "caller: "))]
    for name, who in (("agent", "agent"), ("caller", "customer")):
        # Played fast, one may be ahead of the other.
        text = " ".join(line.partition(": ")[2] for line in heard if line.startswith(name))
        spoken = " ".join(text for speaker, text in SPOKEN if speaker == who)
        assert wrong_share(text, spoken) <= 0.2, text
