from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
from support.serving import STARTED, Peer, final, serving
from support.sessions import (
    END_OF_TRANSCRIPT,
    RAW,
    Blocking,
    InThread,
    client_of,
    let_sources_go,
    speech,
    wait_for,
)

from speechmatics_sync import (
    AudioError,
    AudioFormat,
    ConfigurationError,
    ConnectionError,
    SessionError,
    TimeoutError,
    TranscriptionError,
)

__all__ = ["let_sources_go"]

QUOTA = {"message": "Error", "type": "quota_exceeded", "reason": "too many", "code": 4005}


def two_words(peer: Peer) -> None:
    peer.start()
    peer.take_audio()
    peer.send(final("one"), final("two", 1, 2), END_OF_TRANSCRIPT)


class Watched:
    """A server that starts the session, says a word, and tells when the client has gone."""

    def __init__(self) -> None:
        self.gone = threading.Event()

    def __call__(self, peer: Peer) -> None:
        try:
            peer.start()
            peer.send(final("one"))
            peer.wait_closed()
        finally:
            self.gone.set()


def test_messages_come_in_the_order_of_the_server_without_acknowledgements() -> None:
    numbers: list[int] = []
    with serving(two_words) as url, client_of(url) as client:
        client.on("AudioAdded", lambda message: numbers.append(message["seq_no"]))
        stream = client.stream(speech(1), audio_format=RAW)
        assert list(stream) == [STARTED, final("one"), final("two", 1, 2), END_OF_TRANSCRIPT]
        assert stream.transcript.text == client.transcript.text == "one two"
        assert list(stream) == []  # it stays at its end
    assert numbers == list(range(1, 9))


def test_stream_returns_only_when_the_session_has_started() -> None:
    asked, answer = threading.Event(), threading.Event()

    def behave(peer: Peer) -> None:
        peer.connection.recv()
        asked.set()
        wait_for(answer)
        peer.send(STARTED)
        peer.finish()

    with serving(behave) as url, client_of(url) as client:
        call = InThread(client.stream, speech(0.1), audio_format=RAW)
        wait_for(asked)
        assert call.running
        answer.set()
        stream = call.result()
        assert client.session_id == "session-1"
        list(stream)


def test_stream_validates_before_it_returns() -> None:
    client = client_of("ws://localhost:1")
    with pytest.raises(AudioError, match="no such file"):
        client.stream("no such file.wav")
    with pytest.raises(ConfigurationError, match="realtime"):
        client.stream(b"ab", audio_format=AudioFormat(), realtime=True)
    with pytest.raises(ConnectionError):
        client.stream(b"ab", audio_format=RAW)


def test_an_error_in_place_of_the_start_is_raised_by_stream_after_handlers_ran() -> None:
    seen: list[Any] = []

    def behave(peer: Peer) -> None:
        peer.send({"message": "Info", "type": "concurrent_session_usage"}, QUOTA)
        peer.connection.close(4005, "quota_exceeded")

    with serving(behave) as url, client_of(url) as client:
        client.on("Info", seen.append)
        client.on("Error", seen.append)
        with pytest.raises(TranscriptionError) as caught:
            client.stream(speech(0.1), audio_format=RAW)
    assert (caught.value.type, caught.value.close_code) == ("quota_exceeded", 4005)
    assert [message["message"] for message in seen] == ["Info", "Error"]


def test_handlers_run_in_the_pulling_thread_before_the_message_is_given_out() -> None:
    order: list[Any] = []
    with serving(two_words) as url, client_of(url) as client:
        client.on("AddTranscript", lambda message: order.append(threading.get_ident()))
        stream = client.stream(speech(0.1), audio_format=RAW)

        def pull() -> int:
            for message in stream:
                order.append(message["message"])
            return threading.get_ident()

        puller = InThread(pull).result()
    assert order == [
        "RecognitionStarted",
        puller,
        "AddTranscript",
        puller,
        "AddTranscript",
        "EndOfTranscript",
    ]


def test_errors_come_out_after_what_came_before_them() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.send(final("one"), QUOTA)
        peer.connection.close(4005)

    with serving(behave) as url, client_of(url) as client:
        stream = client.stream(Blocking(speech(0.1)), audio_format=RAW)
        pulled: list[str] = []
        with pytest.raises(TranscriptionError) as caught:  # noqa: PT012
            for message in stream:
                pulled.append(message["message"])
        assert pulled == ["RecognitionStarted", "AddTranscript", "Error"]
        assert caught.value.transcript is stream.transcript
        assert stream.transcript.text == "one"
        with pytest.raises(TranscriptionError):
            next(stream)


@pytest.mark.parametrize("leave", ["break in with", "close", "drop", "collector", "client"])
def test_leaving_a_stream_ends_its_session(leave: str) -> None:
    server = Watched()
    with serving(server) as url, client_of(url, close_timeout=2) as client:
        stream = client.stream(Blocking(speech(0.1)), audio_format=RAW)
        for message in stream:
            if message["message"] == "AddTranscript":
                break
        if leave == "break in with":
            with stream:
                pass
        elif leave == "close":
            stream.close()
            stream.close()
        elif leave == "client":
            client.close()
        elif leave == "collector":
            stream.itself = stream  # type: ignore[attr-defined]
            del stream
            gc.collect()
        else:
            del stream
        wait_for(server.gone)
        assert client.transcript.text == "one"


def test_after_a_stream_that_was_dropped_the_client_is_free() -> None:
    with serving(two_words) as url, client_of(url) as client:
        next(client.stream(Blocking(speech(0.1)), audio_format=RAW))
        assert client.transcribe(speech(0.1), audio_format=RAW).text == "one two"


def test_a_stream_that_was_closed_says_so() -> None:
    with serving(Watched()) as url, client_of(url) as client:
        stream = client.stream(Blocking(speech(0.1)), audio_format=RAW)
        stream.close()
        with pytest.raises(SessionError, match=r"close\(\)"):
            next(stream)


def test_a_stream_whose_handlers_were_not_all_called_is_not_complete() -> None:
    """Everything was transcribed, but not everything was handed out when close() came."""
    with serving(two_words) as url, client_of(url) as client:
        client.on("RecognitionStarted", lambda message: _wait_for_end(client))
        stream = client.stream(speech(0.1), audio_format=RAW)
        next(stream)
        client.close()
        with pytest.raises(SessionError):
            list(stream)
        assert stream.transcript.text == "one two"


def _wait_for_end(client: Any) -> None:
    while client.stats.messages_waiting < 3:
        threading.Event().wait(0.01)


def test_a_with_block_that_fails_ends_the_session_and_keeps_the_error() -> None:
    server = Watched()
    with serving(server) as url, client_of(url, close_timeout=2) as client:
        with (  # noqa: PT012  (the block is what is tested)
            pytest.raises(LookupError, match="mine"),
            client.stream(Blocking(speech(0.1)), audio_format=RAW) as stream,
        ):
            next(stream)
            raise LookupError("mine")
        wait_for(server.gone)


def test_timeout_covers_the_whole_stream() -> None:
    with (
        serving(Watched()) as url,
        client_of(url, close_timeout=1) as client,
        pytest.raises(TimeoutError, match=r"timeout \(0.3"),
    ):
        list(client.stream(Blocking(speech(0.1)), audio_format=RAW, timeout=0.3))


def test_nothing_is_kept_without_collect() -> None:
    with serving(two_words) as url, client_of(url) as client:
        stream = client.stream(speech(0.1), audio_format=RAW, collect=False)
        assert len(list(stream)) == 4
        assert stream.transcript.text == ""


def test_acknowledgements_that_nobody_wants_do_not_fill_the_queue() -> None:
    """All the audio is sent although nobody pulls."""
    all_sent = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        peer.take_audio()
        all_sent.set()
        peer.send(END_OF_TRANSCRIPT)

    with serving(behave) as url, client_of(url, max_queue=2, max_unacked_chunks=2) as client:
        stream = client.stream(speech(5), audio_format=RAW)
        wait_for(all_sent)
        assert len(list(stream)) == 2


def test_a_stream_of_a_thousand_messages_loses_none() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        for number in range(1000):
            peer.send({"message": "Novelty", "number": number})
        peer.finish()

    with serving(behave) as url, client_of(url, max_queue=2) as client:
        stream = client.stream(speech(0.5), audio_format=RAW)
        numbers = [m["number"] for m in stream if m["message"] == "Novelty"]
    assert numbers == list(range(1000))


def test_a_handler_that_raises_stop_iteration_is_not_taken_for_the_end() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.send(final("one"))
        peer.finish()
        peer.wait_closed()

    def handler(message: Any) -> None:
        next(iter(()))

    with serving(behave) as url, client_of(url) as client:
        client.on("AddTranscript", handler)
        with pytest.raises(StopIteration):
            client.transcribe(speech(0.1), audio_format=RAW)
    with serving(behave) as url, client_of(url) as client:
        client.on("AddTranscript", handler)
        with pytest.raises(RuntimeError, match="StopIteration"):
            list(client.stream(speech(0.1), audio_format=RAW))


def test_what_comes_before_the_start_does_not_fill_the_queue() -> None:
    def behave(peer: Peer) -> None:
        peer.send(*[{"message": "Info", "type": "x", "reason": str(n)} for n in range(5)])
        peer.start()
        peer.finish()
        peer.wait_closed()

    with serving(behave) as url, client_of(url, max_queue=1, start_timeout=5) as client:
        names = [message["message"] for message in client.stream(speech(0.1), audio_format=RAW)]
    assert names == ["Info"] * 5 + ["RecognitionStarted", "EndOfTranscript"]


@pytest.mark.parametrize("name", [["a"], {"a": 1}, 5, None])
def test_a_message_without_a_proper_name_is_handed_on(name: Any) -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.send({"message": name})
        peer.finish()
        peer.wait_closed()

    with serving(behave) as url, client_of(url) as client:
        names = [message["message"] for message in client.stream(speech(0.1), audio_format=RAW)]
    assert names == ["RecognitionStarted", name, "EndOfTranscript"]
