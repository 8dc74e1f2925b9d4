"""Handlers that raise, that call the client, and that are slow."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from support.hearing import hears
from support.serving import Peer, final, listening, serving
from support.sessions import (
    RAW,
    Blocking,
    InThread,
    client_of,
    let_sources_go,
    receive_frame,
    send_frame,
    speech,
    start_below,
    wait_for,
    with_longer_limits,
)

import speechmatics_sync
from speechmatics_sync import (
    SessionError,
)

__all__ = ["let_sources_go"]

# -- errors of handlers -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_the_error_of_a_handler_ends_the_session_and_comes_out(kind: type[BaseException]) -> None:
    raised = kind("from a handler")
    after: list[Any] = []

    def fail(message: Any) -> None:
        raise raised

    def behave(peer: Peer) -> None:
        peer.start()
        peer.send(final("one"))
        peer.wait_closed()

    with serving(behave) as url, client_of(url) as client:
        client.on("AddTranscript", fail)
        client.on("AddTranscript", after.append)
        with pytest.raises(kind) as caught:
            client.transcribe(Blocking(speech(0.1)), audio_format=RAW)
        assert caught.value is raised
        assert after == []
        stream = client.stream(Blocking(speech(0.1)), audio_format=RAW)
        for _ in range(2):
            with pytest.raises(kind):
                list(stream)


def test_with_log_the_error_of_a_handler_is_logged_and_the_session_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    words: list[str] = []

    def fail(message: Any) -> None:
        raise ValueError("from a handler")

    with serving(hears("word")) as url, client_of(url, handler_errors="log") as client:
        client.on("AddTranscript", fail)
        client.on("AddTranscript", lambda message: words.append(message["metadata"]["transcript"]))
        assert client.transcribe(speech(0.1), audio_format=RAW).text == "word"
    assert words == ["word "]
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert record.exc_info is not None
    assert record.request_id == client.request_id


def test_an_error_of_another_session_stays_what_it_is() -> None:
    """A handler lets the error of another client's session pass."""
    with serving(hears("word")) as url, client_of(url) as client, client_of(url) as other:

        def fail(message: Any) -> None:
            other.transcribe(b"", audio_format=RAW)

        client.on("RecognitionStarted", fail)
        with pytest.raises(speechmatics_sync.AudioError) as caught:
            client.transcribe(speech(0.1), audio_format=RAW)
    assert caught.value.request_id == other.request_id != client.request_id


def test_calls_that_would_wait_for_a_handler_are_refused_in_it() -> None:
    refused: list[str] = []
    with serving(hears("word")) as url, client_of(url) as client:

        def handle(message: Any) -> None:
            for call in (
                lambda: client.transcribe(b"ab", audio_format=RAW),
                lambda: client.stream(b"ab", audio_format=RAW),
                lambda: client.start_session(audio_format=RAW),
                client.stop_session,
            ):
                with pytest.raises(SessionError, match="would wait for the handler") as caught:
                    call()
                refused.append(str(caught.value))

        client.on("AddTranscript", handle)
        assert client.transcribe(speech(0.1), audio_format=RAW).text == "word"
        assert len(refused) == 4


def test_another_client_may_be_used_in_a_handler() -> None:
    heard: list[str] = []
    with serving(hears("word")) as url, client_of(url) as client, client_of(url) as other:
        client.on(
            "AddTranscript",
            lambda message: heard.append(other.transcribe(speech(0.1), audio_format=RAW).text),
        )
        client.transcribe(speech(0.1), audio_format=RAW)
    assert heard == ["word"]


def test_a_handler_may_send_while_transcribe_runs() -> None:
    received: list[Any] = []

    def behave(peer: Peer) -> None:
        peer.start()
        while True:
            message = peer.take_audio()
            assert message is not None
            received.append(message)
            if message["message"] == "GetSpeakers":
                peer.send({"message": "SpeakersResult", "speakers": []})
            if message["message"] == "EndOfStream":
                break
        peer.send({"message": "EndOfTranscript"})

    with serving(behave) as url, client_of(url) as client:
        source = Blocking(speech(0.1))

        def handle(message: Any) -> None:
            client.update_transcription_config(max_delay=1)
            client.force_end_of_utterance(timestamp=None)
            assert client.get_speakers() == []
            client.end_of_stream()
            source.released.set()

        client.on("RecognitionStarted", handle)
        client.transcribe(source, audio_format=RAW)
    names = [message["message"] for message in received]
    assert names == ["SetRecognitionConfig", "ForceEndOfUtterance", "GetSpeakers", "EndOfStream"]


# -- slow handlers ------------------------------------------------------------------------------


def test_reading_pauses_while_handlers_are_behind_and_nothing_is_lost() -> None:
    """The server's sends block while a handler does; pings go on, no limit counts."""
    with_longer_limits(_reading_pauses)


def _reading_pauses(times: float) -> None:
    count = 2000
    blocked, go_on, all_sent = threading.Event(), threading.Event(), threading.Event()
    padding = "x" * 10_000
    seen: list[int] = []

    def behave(peer: Peer) -> None:
        peer.start()
        assert peer.take_audio() == {"message": "EndOfStream", "last_seq_no": len(peer.audio)}
        for number in range(count):
            peer.send({**final("word"), "number": number, "padding": padding})
        all_sent.set()
        peer.send({"message": "EndOfTranscript"})

    def handle(message: Any) -> None:
        if not seen:
            blocked.set()
            wait_for(go_on)
        seen.append(message["number"])

    limit = 0.15 * times
    limits = {"ping_interval": 0.05, "ping_timeout": limit, "ack_timeout": limit, "max_queue": 16}
    with serving(behave) as url, client_of(url, **limits) as client:
        client.on("AddTranscript", handle)
        call = InThread(client.transcribe, speech(0.5), audio_format=RAW)
        wait_for(blocked)
        assert not all_sent.wait(3 * limit)  # longer than any limit: they do not count
        assert call.running
        assert client.stats.messages_waiting < 16 + 500  # what one read of the socket held
        go_on.set()
        call.result()
    assert seen == list(range(count))


def test_pings_go_on_while_reading_pauses() -> None:
    """Told by a server below the WebSocket, which sees each ping."""
    go_on = threading.Event()
    pings: list[int] = []

    def behave(connection: Any) -> None:
        start_below(connection)
        for number in range(200):
            send_frame(connection, {"message": "Novelty", "number": number})
        while len(pings) < 5:
            opcode, _ = receive_frame(connection)
            if opcode == 9:
                pings.append(opcode)
        go_on.set()
        while True:
            receive_frame(connection)

    limits = {"ping_interval": 0.05, "ping_timeout": 0.1, "max_queue": 4, "close_timeout": 0.2}
    with listening(behave) as port, client_of(f"ws://localhost:{port}", **limits) as client:
        client.once("Novelty", lambda message: wait_for(go_on))
        with pytest.raises(speechmatics_sync.ConnectionError, match="ping_timeout"):
            client.transcribe(Blocking(), audio_format=RAW)  # once it reads again, silence counts
    assert len(pings) == 5
