from __future__ import annotations

import contextlib
import threading
from typing import Any, Callable

import pytest
from support.pushed import SENDING, Recorder
from support.serving import PATIENCE, Peer, final, serving
from support.sessions import END_OF_TRANSCRIPT, RAW, InThread, client_of, speech, wait_for

from speechmatics_sync import (
    AudioFormat,
    Client,
    EndOfTranscriptError,
    SessionError,
    TimeoutError,
    TranscriptionError,
)
from speechmatics_sync._session import pump

# -- starting and stopping ----------------------------------------------------------------------


def test_start_session_returns_what_is_known_of_it() -> None:
    with serving(Recorder("word")) as url, client_of(url) as client:
        info = client.start_session(audio_format=RAW)
        assert info.request_id == client.request_id
        assert info.session_id == "session-1" == client.session_id
        assert info.is_running
        assert info.sequence_number == 0
        assert info.language_pack_info == client.language_pack_info
        assert info.channels == []
        client.send_audio(speech(0.1))
        assert client.stop_session().text == "word"


def test_a_pushed_session_is_a_file_unless_said_otherwise() -> None:
    server = Recorder()
    with serving(server) as url, client_of(url) as client:
        client.start_session()
        client.send_audio(b"odd")
        client.stop_session()
    assert server.received[0]["audio_format"] == {"type": "file"}
    assert server.received[1:] == [b"odd", {"message": "EndOfStream", "last_seq_no": 1}]


def test_stop_session_returns_after_all_handlers_ran() -> None:
    seen: list[str] = []
    threads: set[threading.Thread] = set()
    active = threading.Lock()

    def handle(message: Any) -> None:
        assert active.acquire(blocking=False), "two handlers at once"
        threads.add(threading.current_thread())
        threading.Event().wait(0.05)  # slower than the session
        seen.append(message["metadata"]["transcript"])
        active.release()

    with serving(Recorder(*"abcdef")) as url, client_of(url) as client:
        client.on("AddTranscript", handle)
        client.start_session(audio_format=RAW)
        client.stop_session()
        assert seen == ["a ", "b ", "c ", "d ", "e ", "f "]
        (thread,) = threads
        assert thread is not threading.current_thread()


def test_stop_session_raises_what_ended_the_session() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.take_audio()
        peer.send(final("one"), {"message": "Error", "type": "job_error", "reason": "broke"})
        peer.connection.close(4013)

    with serving(behave) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        client.send_audio(speech(0.1))
        for _ in range(2):
            with pytest.raises(TranscriptionError) as caught:
                client.stop_session()
            assert (caught.value.type, caught.value.close_code) == ("job_error", 4013)
        assert caught.value.transcript is not None
        assert caught.value.transcript.text == "one"


def test_stop_session_takes_no_longer_than_its_timeout() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.take_audio()
        peer.wait_closed()

    with serving(behave) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        with pytest.raises(TimeoutError, match=r"timeout \(0.2"):
            client.stop_session(timeout=0.2)
        with pytest.raises(TimeoutError):
            client.send_audio(b"ab")  # that is what ended the session


def test_timeout_of_stop_session_covers_handlers() -> None:
    go_on = threading.Event()
    with serving(Recorder("word")) as url, client_of(url) as client:
        client.on("AddTranscript", lambda message: wait_for(go_on))
        client.start_session(audio_format=RAW)
        with pytest.raises(TimeoutError) as caught:
            client.stop_session(timeout=0.2)
        assert caught.value.transcript is not None
        assert caught.value.transcript.text == "word"
        go_on.set()


def test_a_session_may_be_stopped_again_and_takes_no_more_audio() -> None:
    with serving(Recorder("word")) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        transcript = client.stop_session()
        assert transcript.text == "word"
        assert client.stop_session() is transcript
        with pytest.raises(EndOfTranscriptError):
            client.send_audio(b"ab")
        client.end_of_stream()  # it has been said already
    assert client.stop_session(timeout=1) is transcript


def test_end_of_stream_returns_at_once_and_the_session_goes_on_to_its_end() -> None:
    go_on = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        peer.take_audio()
        wait_for(go_on)
        peer.send(final("late"), END_OF_TRANSCRIPT)

    with serving(behave) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        client.send_audio(speech(0.1))
        InThread(client.end_of_stream).result()
        client.end_of_stream()
        for call in SENDING:
            with pytest.raises(SessionError, match="audio of this session has ended"):
                call(client)
        go_on.set()
        assert client.stop_session().text == "late"


_RUNNING: list[Callable[[Client], Any]] = [
    *SENDING,
    lambda client: client.end_of_stream(),
    lambda client: client.stop_session(),
]


@pytest.mark.parametrize("call", range(len(_RUNNING)))
def test_calls_before_a_session_are_refused(call: int) -> None:
    with pytest.raises(SessionError, match="no session"):
        _RUNNING[call](client_of("ws://localhost:1"))


@pytest.mark.parametrize("call", [*range(len(SENDING)), -1])
def test_calls_after_close_say_that_it_was_closed(call: int) -> None:
    with serving(Recorder()) as url:
        client = client_of(url, close_timeout=1)
        client.start_session(audio_format=RAW)
        client.close()
        with pytest.raises(SessionError, match=r"close\(\) was called"):
            _RUNNING[call](client)


def test_a_source_is_not_pushed() -> None:
    with serving(Recorder()) as url, client_of(url) as client:
        refused: list[SessionError] = []

        def handle(message: Any) -> None:
            with pytest.raises(SessionError, match="comes from its source") as caught:
                client.send_audio(b"ab")
            refused.append(caught.value)

        client.on("RecognitionStarted", handle)
        client.transcribe(speech(0.1), audio_format=RAW)
        assert refused


def test_a_client_runs_pushed_sessions_one_after_the_other() -> None:
    with serving(Recorder("word")) as url, client_of(url) as client:
        for _ in range(3):
            client.start_session(audio_format=RAW)
            client.send_audio(speech(0.1))
            assert client.stop_session().text == "word"


def test_a_session_that_ended_by_itself_makes_room_for_another() -> None:
    """Without stop_session: after end_of_stream and EndOfTranscript, or after an Error."""

    def fails(peer: Peer) -> None:
        peer.start()
        peer.receive()
        peer.send({"message": "Error", "type": "job_error", "reason": ""})
        peer.connection.close(4013)

    ended = threading.Event()
    with serving(Recorder("word")) as url, client_of(url) as client:
        client.once("EndOfTranscript", lambda message: ended.set())
        client.start_session(audio_format=RAW)
        client.end_of_stream()
        wait_for(ended)
        while True:
            try:
                client.start_session(audio_format=RAW)
                break
            except SessionError:  # the handler that told us has not returned yet
                continue
        assert client.stop_session().text == "word"
    with serving(fails) as url, client_of(url) as client:
        for _ in range(2):
            client.start_session(audio_format=RAW)
            with pytest.raises(TranscriptionError):
                client.get_speakers()


def test_the_audio_format_is_what_it_says() -> None:
    server = Recorder()
    with serving(server) as url, client_of(url) as client:
        client.start_session(audio_format=AudioFormat("mulaw", 8000))
        client.send_audio(bytes(8000))
        assert client.audio_seconds_sent == 1.0
        client.stop_session()
        assert client.stats.seconds_acknowledged == 1.0


def starts(peer: Peer) -> None:
    peer.start()
    peer.wait_closed()


def test_the_limit_that_passes_says_what_was_waited_for() -> None:
    with serving(starts) as url, client_of(url, close_timeout=1) as client:
        client.start_session(audio_format=RAW)
        client.send_audio(speech(0.1))
        with pytest.raises(TimeoutError, match=r"Not everything is transcribed.*0\.1 s"):
            client.stop_session(timeout=0.1)


def test_close_says_how_much_of_a_file_stays_untranscribed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving(starts) as url, client_of(url, close_timeout=1) as client:
        client.start_session(audio_format=AudioFormat())
        client.send_audio(b"RIFF, in a manner of speaking")
    assert "29 bytes of a file stay untranscribed" in caplog.text


def test_a_call_between_an_error_and_its_close_frame_raises_the_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A busy machine must not miss the frame.
    monkeypatch.setattr(pump, "_ERROR_GRACE", PATIENCE)
    told, called = threading.Event(), threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        peer.send({"message": "Error", "type": "quota_exceeded", "reason": "too many"})
        wait_for(called)
        peer.connection.close(4005)

    for call in (
        lambda client: client.send_audio(b"ab"),
        lambda client: client.get_speakers(),
        lambda client: client.end_of_stream(),
        lambda client: client.stop_session(),
    ):
        told.clear()
        called.clear()
        with serving(behave) as url, client_of(url) as client:
            client.on("Error", lambda message: told.set())
            session = InThread(client.start_session, audio_format=RAW)
            wait_for(told)
            calling = InThread(call, client)
            while calling.thread.is_alive() and not called.wait(0.05):
                called.set()  # by now the call waits
            with pytest.raises(TranscriptionError) as caught:
                calling.result()
            assert (caught.value.type, caught.value.close_code) == ("quota_exceeded", 4005)
            with contextlib.suppress(TranscriptionError):
                session.result()
