from __future__ import annotations

import array
import json
import threading
from typing import Any, Callable

import pytest
from support.serving import Peer, final, serving
from support.sessions import END_OF_TRANSCRIPT, RAW, InThread, client_of, speech, wait_for

from speechmatics_sync import (
    AudioError,
    AudioFormat,
    Client,
    ConfigurationError,
    EndOfTranscriptError,
    SessionError,
    SpeakerIdentifier,
    TimeoutError,
    TranscriptionConfig,
    TranscriptionError,
)

SPEAKERS = {"message": "SpeakersResult", "speakers": [{"label": "A", "speaker_identifiers": ["x"]}]}
ANNA = [SpeakerIdentifier("A", ["x"])]


class Recorder:
    """A server that acknowledges audio, answers GetSpeakers, and keeps all it was sent."""

    def __init__(self, *words: str) -> None:
        self.received: list[Any] = []
        self._words = words

    def __call__(self, peer: Peer) -> None:
        peer.start()
        self.received.append(peer.start_message)
        while True:
            message = peer.receive()
            self.received.append(message)
            if isinstance(message, bytes):
                peer.audio.append(message)
                peer.acknowledge()
            elif message["message"] == "GetSpeakers" and not message.get("final"):
                peer.send(SPEAKERS)
            elif message["message"] == "EndOfStream":
                break
        for word in self._words:
            peer.send(final(word))
        peer.send(END_OF_TRANSCRIPT)


class Window:
    """A server that acknowledges only when the test says so."""

    def __init__(self) -> None:
        self.audio: list[bytes] = []
        self.taken = threading.Semaphore(0)
        self.acknowledge = threading.Semaphore(0)

    def __call__(self, peer: Peer) -> None:
        peer.start()

        def acknowledge() -> None:
            number = 0
            while self.acknowledge.acquire() and not done.is_set():
                number += 1
                peer.send({"message": "AudioAdded", "seq_no": number})

        done = threading.Event()
        acknowledging = threading.Thread(target=acknowledge)
        acknowledging.start()
        try:
            while isinstance(message := peer.receive(), bytes):
                self.audio.append(message)
                self.taken.release()
            assert message["last_seq_no"] == len(self.audio)
        finally:
            done.set()
            self.acknowledge.release()
            acknowledging.join()
        peer.send({"message": "AudioAdded", "seq_no": len(self.audio)}, END_OF_TRANSCRIPT)

    def wait_taken(self, chunks: int) -> None:
        for _ in range(chunks):
            assert self.taken.acquire(timeout=20)


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
        for call in _SENDING:
            with pytest.raises(SessionError, match="audio of this session has ended"):
                call(client)
        go_on.set()
        assert client.stop_session().text == "late"


_SENDING: list[Callable[[Client], Any]] = [
    lambda client: client.send_audio(b"ab"),
    lambda client: client.send_message({"message": "Mine"}),
    lambda client: client.update_transcription_config(max_delay=1),
    lambda client: client.force_end_of_utterance(),
    lambda client: client.get_speakers(),
    lambda client: client.get_speakers(final=True),
]
_RUNNING: list[Callable[[Client], Any]] = [
    *_SENDING,
    lambda client: client.end_of_stream(),
    lambda client: client.stop_session(),
]


@pytest.mark.parametrize("call", range(len(_RUNNING)))
def test_calls_before_a_session_are_refused(call: int) -> None:
    with pytest.raises(SessionError, match="no session"):
        _RUNNING[call](client_of("ws://localhost:1"))


@pytest.mark.parametrize("call", [*range(len(_SENDING)), -1])
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


# -- send_audio ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        b"\1\0\2\0",
        bytearray(b"\1\0\2\0"),
        memoryview(b"\1\0\2\0"),
        memoryview(b"..\1\0\2\0")[2:],
        array.array("h", [1, 2]),
    ],
    ids=lambda payload: type(payload).__name__,
)
def test_send_audio_takes_what_is_bytes_like(payload: Any) -> None:
    server = Recorder()
    with serving(server) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        client.send_audio(payload)
        client.send_audio(b"")
        client.stop_session()
    assert server.received[1:-1] == [b"\1\0\2\0"]


@pytest.mark.parametrize(
    "payload",
    ["text", None, 5, [1, 2], {"a": 1}, array.array("d", [1.0]), memoryview(b"abcd")[::2]],
)
def test_what_is_not_audio_is_refused_and_the_session_goes_on(payload: Any) -> None:
    server = Recorder()
    with serving(server) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        with pytest.raises(AudioError) as caught:
            client.send_audio(payload)
        assert caught.value.request_id == client.request_id
        client.send_audio(b"ab")
        client.stop_session()
    assert server.received[1:-1] == [b"ab"]


def test_a_buffer_may_be_used_again_once_it_was_sent() -> None:
    server = Window()
    with serving(server) as url, client_of(url, max_unacked_chunks=1) as client:
        client.start_session(audio_format=RAW)
        buffer = bytearray(b"11")
        client.send_audio(buffer)
        buffer[:] = b"22"
        server.wait_taken(1)
        client.stop_session()
    assert server.audio == [b"11"]


def test_halves_of_samples_meet_across_calls_and_the_last_is_dropped_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Recorder()
    with serving(server) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        for payload in (b"abc", b"d", b"e", b"fg"):
            client.send_audio(payload)
        client.stop_session()
        assert client.audio_bytes_sent == 6
    assert server.received[1:-1] == [b"ab", b"cd", b"ef"]
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "half a sample" in record.getMessage()


def test_audio_waits_at_the_window_and_goes_on_with_the_acknowledgement() -> None:
    server = Window()
    with serving(server) as url, client_of(url, max_unacked_chunks=2) as client:
        client.start_session(audio_format=RAW)
        client.send_audio(b"11")
        client.send_audio(b"22")
        server.wait_taken(2)
        third = InThread(client.send_audio, b"33")
        with pytest.raises(TimeoutError, match="nothing of the payload was taken"):
            client.send_audio(b"no", timeout=0.1)
        with pytest.raises(TimeoutError):
            client.send_audio(b"no", timeout=0)
        assert third.running
        assert client.audio_bytes_sent == 4
        server.acknowledge.release()
        third.result()
        server.wait_taken(1)
        client.end_of_stream()
        client.stop_session()
    assert server.audio == [b"11", b"22", b"33"]


@pytest.mark.parametrize("timeout", [-1, True, "1", float("nan"), float("inf")])
def test_the_timeout_of_a_call_is_in_seconds(timeout: Any) -> None:
    with serving(Recorder()) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        for call in (
            lambda: client.send_audio(b"ab", timeout=timeout),
            lambda: client.get_speakers(timeout=timeout),
        ):
            with pytest.raises(ConfigurationError, match="timeout"):
                call()
        client.stop_session()


def test_many_threads_send_whole_chunks() -> None:
    server = Recorder()
    with serving(server) as url, client_of(url, max_unacked_chunks=3) as client:
        client.start_session(audio_format=RAW)

        def send(byte: int) -> None:
            for _ in range(20):
                client.send_audio(bytes([byte]) * 8)

        for call in [InThread(send, byte) for byte in range(20)]:
            call.result()
        client.stop_session()
    audio = server.received[1:-1]
    assert len(audio) == 400
    assert all(len(chunk) == 8 and len(set(chunk)) == 1 for chunk in audio)
    assert {chunk[0]: audio.count(chunk) for chunk in audio} == dict.fromkeys(range(20), 20)


def test_threads_that_wait_for_room_all_learn_of_the_end() -> None:
    server = Window()
    with serving(server) as url:
        client = client_of(url, max_unacked_chunks=1, close_timeout=1)
        client.start_session(audio_format=RAW)
        client.send_audio(b"ab")
        server.wait_taken(1)
        calls = [InThread(client.send_audio, b"ab") for _ in range(5)]
        client.close()
        for call in calls:
            with pytest.raises(SessionError, match=r"close\(\)"):
                call.result()


def test_the_network_is_not_waited_for_with_the_lock_held() -> None:
    """Large chunks fill the network; other calls still return."""
    reading = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        wait_for(reading)
        peer.wait_closed()

    with serving(behave, max_size=None, max_queue=1) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)

        def send() -> None:
            for _ in range(8):
                client.send_audio(bytes(4 << 20))

        call = InThread(send)
        while not client.stats.bytes_waiting:
            assert call.running
        assert client.audio_bytes_sent >= 4 << 20
        with pytest.raises(TimeoutError):
            client.get_speakers(timeout=0.1)
        assert call.running
        reading.set()
        client.close()
        with pytest.raises(SessionError):
            call.result()


# -- messages -----------------------------------------------------------------------------------


def test_messages_are_in_order_with_the_audio() -> None:
    server = Recorder()
    with serving(server) as url, client_of(url) as client:
        client.start_session(audio_format=RAW, transcription_config=TranscriptionConfig("de"))
        client.send_audio(speech(0.5))
        client.send_message({"message": "Mine", "number": 1})
        client.update_transcription_config(
            max_delay=1.5,
            max_delay_mode="fixed",
            enable_partials=True,
            audio_filtering_config={"volume_threshold": 3.4},
            conversation_config={"end_of_utterance_silence_trigger": 0.5},
        )
        client.send_audio(speech(0.5))
        client.force_end_of_utterance()
        client.force_end_of_utterance(timestamp=0.25)
        client.force_end_of_utterance(timestamp=None)
        assert client.get_speakers(final=True) == []
        client.stop_session()
    assert server.received[1:] == [
        speech(0.5),
        {"message": "Mine", "number": 1},
        {
            "message": "SetRecognitionConfig",
            "transcription_config": {
                "language": "de",
                "max_delay": 1.5,
                "max_delay_mode": "fixed",
                "enable_partials": True,
                "audio_filtering_config": {"volume_threshold": 3.4},
                "conversation_config": {"end_of_utterance_silence_trigger": 0.5},
            },
        },
        speech(0.5),
        {"message": "ForceEndOfUtterance", "timestamp": 1.0},
        {"message": "ForceEndOfUtterance", "timestamp": 0.25},
        {"message": "ForceEndOfUtterance"},
        {"message": "GetSpeakers", "final": True},
        {"message": "EndOfStream", "last_seq_no": 2},
    ]


def test_a_file_has_no_time_to_force_an_end_at() -> None:
    server = Recorder()
    with serving(server) as url, client_of(url) as client:
        client.start_session()
        client.send_audio(b"abc")
        client.force_end_of_utterance()
        client.stop_session()
    assert server.received[2] == {"message": "ForceEndOfUtterance"}


def test_settings_that_are_refused_are_not_sent() -> None:
    server = Recorder()
    with serving(server) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        for call in (
            lambda: client.update_transcription_config(max_delay=17),
            lambda: client.update_transcription_config(),
            lambda: client.force_end_of_utterance(timestamp=-1),
            lambda: client.force_end_of_utterance(channel="left"),
            lambda: client.send_message({"message": "EndOfStream", "last_seq_no": 0}),
            lambda: client.send_message("GetSpeakers"),  # type: ignore[arg-type]
        ):
            with pytest.raises(ConfigurationError):
                call()
        client.stop_session()
    assert server.received[1:] == [{"message": "EndOfStream", "last_seq_no": 0}]


def test_get_speakers_returns_the_answer_which_handlers_see_too() -> None:
    seen: list[Any] = []
    with serving(Recorder()) as url, client_of(url) as client:
        client.on("SpeakersResult", seen.append)
        client.start_session(audio_format=RAW)
        assert client.get_speakers() == ANNA
        transcript = client.stop_session()
    assert seen == [SPEAKERS]
    assert transcript.speakers == ANNA


def test_each_of_several_threads_gets_its_own_answer() -> None:
    asked = threading.Semaphore(0)
    answer = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        for _ in range(4):
            assert peer.receive() == {"message": "GetSpeakers"}
            asked.release()
        wait_for(answer)
        for number in range(4):
            peer.send(
                {
                    "message": "SpeakersResult",
                    "speakers": [{"label": f"{number}", "speaker_identifiers": ["x"]}],
                }
            )
        peer.finish()

    with serving(behave) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        calls = []
        for _ in range(4):
            calls.append(InThread(client.get_speakers))
            assert asked.acquire(timeout=20)
        answer.set()
        assert [call.result()[0].label for call in calls] == ["0", "1", "2", "3"]
        client.stop_session()


def test_an_answer_that_does_not_come_is_a_timeout_and_belongs_to_its_question() -> None:
    late = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        assert peer.receive() == {"message": "GetSpeakers"}
        wait_for(late)
        assert peer.receive() == {"message": "GetSpeakers"}
        peer.send({"message": "SpeakersResult", "speakers": []}, SPEAKERS)
        peer.finish()

    with serving(behave) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        with pytest.raises(TimeoutError, match="GetSpeakers"):
            client.get_speakers(timeout=0.1)
        late.set()
        assert client.get_speakers() == ANNA
        client.stop_session()


def test_a_question_that_nobody_will_answer_ends_with_the_session() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.receive()
        peer.send({"message": "Error", "type": "job_error", "reason": ""})
        peer.connection.close(4013)

    with serving(behave) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        with pytest.raises(TranscriptionError):
            client.get_speakers(timeout=None)


# -- in a handler -------------------------------------------------------------------------------


def test_calls_that_would_wait_for_the_handler_are_refused_in_it_and_others_work() -> None:
    done: list[Any] = []
    ended = threading.Event()
    server = Recorder("word")
    with serving(server) as url, client_of(url) as client:

        def handle(message: Any) -> None:
            for call in (
                lambda: client.transcribe(b"ab"),
                lambda: client.stream(b"ab"),
                client.start_session,
                client.stop_session,
            ):
                with pytest.raises(SessionError, match="would wait for the handler"):
                    call()
            for index, call in enumerate(_SENDING):
                done.append((index, call(client)))
            client.end_of_stream()
            assert client.stats.chunks_sent == 1
            assert client.transcript.text == ""
            ended.set()

        client.on("RecognitionStarted", handle)
        client.start_session(audio_format=RAW)
        wait_for(ended)
        assert client.stop_session().text == "word"
    assert [result for _, result in done] == [None, None, None, None, ANNA, []]


def test_a_handler_may_wait_for_an_answer_while_the_queue_is_full() -> None:
    """Answers and acknowledgements are settled where messages are received."""
    answers: list[Any] = []
    handled = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        for number in range(500):
            peer.send({"message": "Novelty", "number": number, "padding": "x" * 2000})
        while True:
            message = peer.take_audio()
            assert message is not None
            if message["message"] == "EndOfStream":
                break
            peer.send(SPEAKERS)
        peer.send(END_OF_TRANSCRIPT)

    with serving(behave) as url, client_of(url, max_queue=2, max_unacked_chunks=1) as client:

        def handle(message: Any) -> None:
            if message["number"] in (0, 250):
                while client.stats.messages_waiting < 2:  # then reading pauses, or soon does
                    threading.Event().wait(0.01)
                answers.append(client.get_speakers())
                for _ in range(5):
                    client.send_audio(speech(0.1))
            if message["number"] == 499:
                handled.set()

        client.on("Novelty", handle)
        client.start_session(audio_format=RAW)
        wait_for(handled)
        client.stop_session()
    assert answers == [ANNA, ANNA]


def test_close_in_a_handler_ends_the_session() -> None:
    closed = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        peer.send(final("one"), final("two"))
        peer.wait_closed()

    seen: list[Any] = []
    with serving(behave) as url, client_of(url, close_timeout=2) as client:

        def handle(message: Any) -> None:
            seen.append(message)
            client.close()
            closed.set()

        client.on("AddTranscript", handle)
        client.start_session(audio_format=RAW)
        wait_for(closed)
        with pytest.raises(SessionError, match=r"close\(\)"):
            client.stop_session()
    assert len(seen) == 1


# -- errors of handlers -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("call", ["send_audio", "stop_session"])
def test_the_error_of_a_handler_comes_out_of_the_next_call_and_is_logged(
    kind: type[BaseException], call: str, caplog: pytest.LogCaptureFixture
) -> None:
    raised = kind("from a handler")

    def fail(message: Any) -> None:
        raise raised

    def behave(peer: Peer) -> None:
        peer.start()
        peer.receive()
        peer.send(final("one"))
        peer.wait_closed()

    with serving(behave) as url, client_of(url, max_unacked_chunks=1) as client:
        client.on("AddTranscript", fail)
        client.start_session(audio_format=RAW)
        if call == "send_audio":
            client.send_audio(b"ab")
        with pytest.raises(kind) as caught:
            client.stop_session() if call == "stop_session" else client.send_audio(b"ab")
        assert caught.value is raised
        depths = set()
        for _ in range(3):
            with pytest.raises(kind) as again:
                client.send_audio(b"ab")
            depths.add(len(list(_frames(again.value))))
        assert max(depths) - min(depths) < 8, "the traceback grows by that of each call"
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.exc_info is not None
    assert record.exc_info[1] is raised


def _frames(error: BaseException) -> Any:
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def test_the_error_of_a_handler_after_the_end_of_the_transcript_is_not_lost() -> None:
    def fail(message: Any) -> None:
        raise ValueError("at the very end")

    with serving(Recorder("word")) as url, client_of(url) as client:
        client.on("EndOfTranscript", fail)
        client.start_session(audio_format=RAW)
        with pytest.raises(ValueError, match="at the very end"):
            client.stop_session()
        assert client.transcript.text == "word"


def test_with_log_a_session_outlives_the_errors_of_handlers() -> None:
    def fail(message: Any) -> None:
        raise ValueError("from a handler")

    with serving(Recorder("word")) as url, client_of(url, handler_errors="log") as client:
        client.on("AddTranscript", fail)
        client.start_session(audio_format=RAW)
        assert client.stop_session().text == "word"


def test_the_error_of_a_handler_comes_out_of_start_session() -> None:
    def behave(peer: Peer) -> None:
        peer.send({"message": "Info", "type": "recognition_quality"})
        peer.wait_closed()

    def fail(message: Any) -> None:
        raise ValueError("too early")

    with serving(behave) as url, client_of(url) as client:
        client.on("Info", fail)
        with pytest.raises(ValueError, match="too early"):
            client.start_session(audio_format=RAW)


# -- slow handlers ------------------------------------------------------------------------------


def test_handlers_get_what_came_before_start_session_raises() -> None:
    seen: list[str] = []

    def behave(peer: Peer) -> None:
        peer.receive()
        peer.send({"message": "Info"}, {"message": "Error", "type": "job_error", "reason": ""})
        peer.connection.close(4013)

    with serving(behave) as url, client_of(url) as client:
        client.on("Info", lambda message: threading.Event().wait(0.1) and None)
        client.on("Error", lambda message: seen.append(message["type"]))
        with pytest.raises(TranscriptionError):
            client.start_session(audio_format=RAW)
        assert seen == ["job_error"]


def test_a_slow_handler_makes_the_server_wait_and_gets_everything() -> None:
    count = 20000
    go_on, all_sent, blocked = threading.Event(), threading.Event(), threading.Event()
    seen: list[int] = []

    def behave(peer: Peer) -> None:
        peer.start()
        for number in range(count):
            peer.send(json.dumps({"message": "Novelty", "number": number, "pad": "x" * 1000}))
        all_sent.set()
        peer.finish()

    def handle(message: Any) -> None:
        blocked.set()
        wait_for(go_on)
        seen.append(message["number"])

    with serving(behave) as url, client_of(url, max_queue=8) as client:
        client.on("Novelty", handle)
        client.start_session(audio_format=RAW)
        client.send_audio(speech(0.1))
        wait_for(blocked)
        assert not all_sent.wait(0.2)
        waiting = client.stats.messages_waiting
        assert waiting < count // 2
        go_on.set()
        client.stop_session()
    assert seen == list(range(count))


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
