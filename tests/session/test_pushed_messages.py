"""What a pushed session is asked, and its handlers."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from support.pushed import SENDING, SPEAKERS, Recorder
from support.serving import Peer, final, serving
from support.sessions import END_OF_TRANSCRIPT, RAW, InThread, client_of, speech, wait_for

from speechmatics_sync import (
    ConfigurationError,
    SessionError,
    SpeakerIdentifier,
    TimeoutError,
    TranscriptionConfig,
    TranscriptionError,
)

ANNA = [SpeakerIdentifier("A", ["x"])]


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
            for index, call in enumerate(SENDING):
                done.append((index, call(client)))
            assert client.stats.chunks_sent == 1
            assert client.transcript.text == ""
            client.end_of_stream()
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
