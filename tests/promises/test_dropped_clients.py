"""A client or a stream that nobody holds any more ends its session, and says so."""

from __future__ import annotations

import gc
import logging
import threading
import time
from typing import Any

import pytest
from support.scripts import run_script
from support.serving import PATIENCE, Peer, final, serving
from support.sessions import RAW, client_of, speech, wait_for

from speechmatics_sync import Client, MultiChannelClient

pytestmark = pytest.mark.usefixtures("programs")


class Sessions:
    """A server that starts sessions, and counts those that are open."""

    def __init__(self) -> None:
        self.open = 0
        self.counted = threading.Condition()
        self.heard = threading.Event()

    def __call__(self, peer: Peer) -> None:
        peer.start()
        self.count(1)
        try:
            while sum(map(len, peer.audio)) < len(speech(1)):
                peer.audio.append(peer.receive())  # type: ignore[arg-type]
            peer.send(final("word", 0.0, 0.25))
            self.heard.set()
            peer.wait_closed()
        finally:
            self.count(-1)

    def count(self, change: int) -> None:
        with self.counted:
            self.open += change
            self.counted.notify_all()

    def wait_until_none_is_open(self) -> None:
        with self.counted:
            assert self.counted.wait_for(lambda: not self.open, PATIENCE), f"{self.open} are open"


class View:
    """What uses a client, holds it, and registers its own method as a handler."""

    def __init__(self, url: str) -> None:
        self.client = client_of(url)
        self.words: list[Any] = []
        self.client.on("AddTranscript", self.words.append)
        self.client.on("RecognitionStarted", self.started)

    def started(self, message: Any) -> None:
        self.session = message["id"]

    def show(self) -> None:
        self.client.start_session(audio_format=RAW)
        self.client.send_audio(speech(1))
        raise LookupError("no such page")


def ours() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("speechmatics-")]


def wait_until_no_thread_is_left() -> None:
    given_up = time.monotonic() + PATIENCE
    while ours():
        assert time.monotonic() < given_up, f"left: {ours()}"
        time.sleep(0.01)  # the pace of the poll; what ends it is the state itself


def test_thirty_views_that_raise_leave_no_session_and_no_thread(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Sessions()
    with serving(server) as url:
        for _ in range(30):
            with pytest.raises(LookupError):
                View(url).show()
        gc.collect()
        server.wait_until_none_is_open()
        wait_until_no_thread_is_left()
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 30
    assert len({record.request_id for record in warnings}) == 30  # type: ignore[attr-defined]


def test_a_client_that_is_dropped_says_how_much_audio_was_not_transcribed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Sessions()
    with serving(server) as url:
        client = client_of(url)
        heard = threading.Event()
        client.on("AddTranscript", lambda message: heard.set())
        client.start_session(audio_format=RAW)
        client.send_audio(speech(1))
        wait_for(heard)
        transcript = client.transcript
        del client
        gc.collect()
        wait_until_no_thread_is_left()
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "0.8 s of audio stay untranscribed" in warning.getMessage()
    assert transcript.text == "word"


def test_a_stream_that_is_dropped_says_how_much_audio_was_not_transcribed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    over = threading.Event()
    with serving(Sessions()) as url, client_of(url) as client:
        stream = client.stream(a_second_then_nothing(over), audio_format=RAW)
        for message in stream:
            if message["message"] == "AddTranscript":
                break
        del stream
        gc.collect()
        over.set()
        wait_until_no_thread_is_left()
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "0.8 s of audio stay untranscribed" in warning.getMessage()


def a_second_then_nothing(over: threading.Event) -> Any:
    yield speech(1)
    over.wait(PATIENCE)


def test_a_dropped_client_of_several_channels_ends_its_session() -> None:
    server = Sessions()
    with serving(server) as url:
        client = MultiChannelClient(url=url)
        client.start_session(channels=["agent", "customer"], audio_format=RAW)
        del client
        gc.collect()
        server.wait_until_none_is_open()
        wait_until_no_thread_is_left()


def test_the_end_of_a_session_ends_nothing_when_its_client_goes_on() -> None:
    """What watched the client for its first session leaves the second one alone."""

    def finishes(peer: Peer) -> None:
        peer.start()
        peer.finish()

    with serving(finishes) as url, Client(url=url) as client:
        for _ in range(2):
            client.start_session(audio_format=RAW)
            client.send_audio(speech(0.1))
            client.stop_session(timeout=PATIENCE)


@pytest.mark.parametrize(
    "call",
    [
        "client.start_session(audio_format=RAW); client.send_audio(bytes(32000))",
        "stream = client.stream(audio(), audio_format=RAW); next(stream)",
    ],
    ids=["pushed", "stream"],
)
def test_the_end_of_the_interpreter_ends_sessions_and_says_so(call: str) -> None:
    server = Sessions()
    with serving(server) as url:
        done = run_script(
            f"""
            import logging
            logging.basicConfig(level=logging.WARNING)
            def audio():
                yield bytes(32000)
                threading.Event().wait()
            client = Client(url=url, conn_config=config)
            said = threading.Event()
            client.on("AddTranscript", lambda message: said.set())
            {call}
            while not client.transcript.text:
                said.wait(0.01)
            """,
            url,
            server.heard,
            interrupt=False,
        )
        server.wait_until_none_is_open()
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("WARNING") == 1
    assert "The interpreter ends" in done.stderr
    assert "0.8 s of audio stay untranscribed" in done.stderr
    assert "Traceback" not in done.stderr
