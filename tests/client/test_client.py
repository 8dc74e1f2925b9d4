from __future__ import annotations

import inspect
import io
import logging
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.audio_sources import wav
from support.serving import STARTED, Peer, final, listening, serving
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
)

import speechmatics_sync
from speechmatics_sync import (
    AudioEventsConfig,
    AudioFormat,
    AuthBase,
    Client,
    ConfigurationError,
    ConnectionConfig,
    ReconnectPolicy,
    SessionError,
    TimeoutError,
    Transcript,
    TranscriptionConfig,
    TranslationConfig,
)

__all__ = ["let_sources_go"]


def hears(*words: str) -> Any:
    """A server that takes all audio and then says these words."""

    def behave(peer: Peer) -> None:
        peer.start()
        end = peer.take_audio()
        assert end == {"message": "EndOfStream", "last_seq_no": len(peer.audio)}
        for at, word in enumerate(words):
            peer.send(final(word, at, at + 1))
        peer.send({"message": "EndOfTranscript"})

    return behave


# -- transcribe ---------------------------------------------------------------------------------


def test_transcribe_returns_what_was_heard() -> None:
    with serving(hears("good", "morning")) as url, client_of(url) as client:
        transcript = client.transcribe(speech(1), audio_format=RAW)
    assert isinstance(transcript, Transcript)
    assert transcript.text == "good morning"
    asked = transcript.to_dict()["metadata"]["transcription_config"]
    assert asked == {"language": "en", "model": "enhanced"}
    assert client.transcript is transcript
    assert [word.content for word in transcript.words] == ["good", "morning"]


def test_the_one_liner_makes_uses_and_closes_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(hears("word")) as url:
        options = {"audio_format": RAW, "timeout": 20}
        assert speechmatics_sync.transcribe(speech(1), url=url, **options).text == "word"
        monkeypatch.setenv("SPEECHMATICS_RT_URL", url)
        assert speechmatics_sync.transcribe(speech(1), **options).text == "word"


def test_key_and_server_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def behave(peer: Peer) -> None:
        seen.append((peer.headers["Authorization"], peer.headers["X-Request-Id"]))
        peer.start()
        peer.finish()

    with serving(behave) as url:
        monkeypatch.setenv("SPEECHMATICS_RT_URL", url)
        monkeypatch.setenv("SPEECHMATICS_API_KEY", "key-from-environment")
        with Client() as client:
            client.transcribe(speech(0.1), audio_format=RAW)
        with Client(api_key="another-key") as other:
            other.transcribe(speech(0.1), audio_format=RAW)
    assert seen == [
        ("Bearer key-from-environment", client.request_id),
        ("Bearer another-key", other.request_id),
    ]


def test_all_that_was_asked_for_is_in_start_recognition() -> None:
    asked: list[Any] = []

    def behave(peer: Peer) -> None:
        peer.start()
        asked.append((peer.start_message, peer.headers["X-Mine"], peer.headers["X-Request-Id"]))
        peer.finish()

    with serving(behave) as url, client_of(url) as client:
        client.transcribe(
            speech(0.1),
            transcription_config=TranscriptionConfig(language="de"),
            audio_format=RAW,
            translation_config=TranslationConfig(["fr"]),
            audio_events_config=AudioEventsConfig(["music"]),
            ws_headers={"X-Mine": "1", "x-request-id": "my-request"},
        )
    assert client.request_id == "my-request"
    assert asked == [
        (
            {
                "message": "StartRecognition",
                "audio_format": {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 16000},
                "transcription_config": {"language": "de", "model": "enhanced"},
                "translation_config": {"target_languages": ["fr"]},
                "audio_events_config": {"types": ["music"]},
            },
            "1",
            "my-request",
        )
    ]


def test_a_wav_goes_raw_and_an_explicit_file_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    path.write_bytes(wav(speech(0.5)))
    received: list[Any] = []

    def behave(peer: Peer) -> None:
        peer.start()
        peer.finish()
        assert peer.start_message is not None
        received.append((peer.start_message["audio_format"]["type"], b"".join(peer.audio)))

    with serving(behave) as url, client_of(url) as client:
        client.transcribe(path)
        assert client.audio_seconds_sent == 0.5
        client.transcribe(str(path), audio_format=AudioFormat())
        assert client.audio_seconds_sent is None
        assert client.audio_bytes_sent == path.stat().st_size
        with open(path, "rb") as file:
            client.transcribe(file)
            assert not file.closed
    assert received == [("raw", speech(0.5)), ("file", path.read_bytes()), ("raw", speech(0.5))]


def test_chunk_size_is_honoured() -> None:
    sizes: list[list[int]] = []

    def behave(peer: Peer) -> None:
        peer.start()
        peer.finish()
        sizes.append([len(chunk) for chunk in peer.audio])

    with serving(behave) as url, client_of(url) as client:
        client.transcribe(bytes(1000), audio_format=AudioFormat("pcm_s16le", 8000, chunk_size=300))
    assert sizes == [[300, 300, 300, 100]]


def test_handlers_run_in_the_calling_thread_in_order() -> None:
    seen: list[Any] = []

    def behave(peer: Peer) -> None:
        peer.send({"message": "Info", "type": "recognition_quality"})
        peer.start()
        peer.take_audio()
        peer.send(final("one"), {"message": "Novelty"}, final("two", 1, 2))
        peer.send({"message": "EndOfTranscript"})

    with serving(behave) as url, client_of(url) as client:
        for name in ("Info", "RecognitionStarted", "AddTranscript", "Novelty", "EndOfTranscript"):
            client.on(name, lambda message: seen.append((message, threading.get_ident())))
        client.on("AddTranscript", lambda message: seen.append("second handler"))
        client.transcribe(speech(0.1), audio_format=RAW)
    here = threading.get_ident()
    assert seen == [
        ({"message": "Info", "type": "recognition_quality"}, here),
        (STARTED, here),
        (final("one"), here),
        "second handler",
        ({"message": "Novelty"}, here),
        (final("two", 1, 2), here),
        "second handler",
        ({"message": "EndOfTranscript"}, here),
    ]


def test_acknowledgements_go_to_handlers_that_listen() -> None:
    numbers: list[int] = []
    with serving(hears()) as url, client_of(url) as client:
        client.on("AudioAdded", lambda message: numbers.append(message["seq_no"]))
        client.transcribe(speech(1), audio_format=RAW)
    assert numbers == list(range(1, client.stats.chunks_sent + 1))
    assert numbers


def test_the_request_id_before_a_session_is_that_of_the_one_to_come() -> None:
    seen: list[str] = []

    def behave(peer: Peer) -> None:
        seen.append(peer.headers["X-Request-Id"])
        peer.start()
        peer.finish()

    with serving(behave) as url, client_of(url) as client:
        told = client.request_id
        with pytest.raises(ConfigurationError):
            client.transcribe(speech(0.1), audio_format=RAW, ws_headers={"Host": "other"})
        client.transcribe(speech(0.1), audio_format=RAW)
        assert client.request_id == told
        client.transcribe(speech(0.1), audio_format=RAW)
        assert seen == [told, client.request_id]
        assert client.request_id != told


def test_a_key_may_be_passed_as_auth() -> None:
    seen: list[str] = []

    def behave(peer: Peer) -> None:
        seen.append(peer.headers["Authorization"])
        peer.start()
        peer.finish()

    with serving(behave) as url, Client("positional-key", url=url) as client:
        client.transcribe(speech(0.1), audio_format=RAW)
    assert seen == ["Bearer positional-key"]
    with pytest.raises(ConfigurationError, match="pass one"):
        Client("positional-key", api_key="another-key")
    with pytest.raises(ConfigurationError, match="url=") as caught:
        Client("wss://eu.rt.speechmatics.com/v2")
    assert "eu.rt" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="StaticKeyAuth"):
        Client(b"bytes")  # type: ignore[arg-type]


def test_no_transcript_is_kept_without_collect() -> None:
    words: list[str] = []
    with serving(hears("word")) as url, client_of(url) as client:
        client.on("AddTranscript", lambda message: words.append(message["metadata"]["transcript"]))
        transcript = client.transcribe(speech(0.1), audio_format=RAW, collect=False)
    assert words == ["word "]
    assert transcript.text == ""
    assert transcript.results == []


def test_a_client_knows_its_session() -> None:
    with serving(hears("word")) as url, client_of(url) as client:
        assert (client.session_id, client.language_pack_info) == (None, None)
        assert (client.audio_bytes_sent, client.audio_seconds_sent) == (0, 0.0)
        assert client.transcript.text == ""
        assert client.stats.chunks_sent == 0
        client.transcribe(speech(1), audio_format=RAW)
    assert client.session_id == "session-1"
    assert client.language_pack_info is not None
    assert client.language_pack_info.language_description == "English"
    assert (client.audio_bytes_sent, client.audio_seconds_sent) == (32000, 1.0)
    stats = client.stats
    assert (stats.chunks_sent, stats.chunks_acknowledged) == (8, 8)
    assert (stats.seconds_sent, stats.seconds_acknowledged) == (1.0, 1.0)
    assert stats.messages_received == 1 + 8 + 1 + 1
    assert (stats.messages_waiting, stats.bytes_waiting) == (0, 0)
    assert stats.round_trip is not None
    assert stats.final_delay == 0.0
    with pytest.raises(AttributeError):
        stats.chunks_sent = 1  # type: ignore[misc]


# -- limits of the call -------------------------------------------------------------------------


def _never_starts(peer: Peer) -> None:
    peer.wait_closed()


def _never_acknowledges(peer: Peer) -> None:
    peer.start()
    peer.take_audio(acknowledge=False)
    peer.wait_closed()


def _never_ends(peer: Peer) -> None:
    peer.start()
    peer.take_audio()
    peer.wait_closed()


@pytest.mark.parametrize("behave", [_never_starts, _never_acknowledges, _never_ends])
def test_timeout_covers_the_whole_call(behave: Any) -> None:
    with serving(behave) as url:
        client = client_of(url, max_unacked_chunks=4)
        with pytest.raises(TimeoutError, match=r"timeout \(0.3") as caught:
            client.transcribe(speech(2), audio_format=RAW, timeout=0.3)
    assert caught.value.request_id == client.request_id
    assert caught.value.transcript is client.transcript


def test_timeout_covers_connecting() -> None:
    class Slow(AuthBase):
        def get_auth_headers(self) -> dict[str, str]:
            wait_for(asked)
            return {}

    asked = threading.Event()
    with serving(_never_starts) as url, Client(Slow(), url=url) as client:
        with pytest.raises(TimeoutError):
            client.transcribe(speech(1), audio_format=RAW, timeout=0.2)
        asked.set()


def test_timeout_covers_a_source_that_gives_nothing() -> None:
    with serving(_never_ends) as url, client_of(url) as client, pytest.raises(TimeoutError):
        client.transcribe(Blocking(speech(0.1)), audio_format=RAW, timeout=0.2)


def test_timeout_covers_handlers_too() -> None:
    """All is transcribed, but handlers take longer than the call may."""
    late = threading.Event()
    with serving(hears(*"abc")) as url, client_of(url) as client:
        client.on("AddTranscript", lambda message: late.wait(0.2) and None)
        with pytest.raises(TimeoutError) as caught:
            client.transcribe(speech(0.1), audio_format=RAW, timeout=0.3)
    assert caught.value.transcript is not None
    assert caught.value.transcript.text == "a b c"


def test_numbers_of_any_type_work_in_a_whole_session() -> None:
    """Decimal is the type that calculates with no float."""
    raw = AudioFormat("pcm_s16le", Decimal(16000), chunk_size=Decimal(3200))  # type: ignore[arg-type]
    limits = {name: Decimal(5) for name in ("open_timeout", "start_timeout", "ping_interval")}
    policy = ReconnectPolicy(initial_delay=Decimal("0.5"), replay_seconds=Decimal(30))  # type: ignore[arg-type]
    ten: Any = Decimal(10)
    received: list[Any] = []

    def behave(peer: Peer) -> None:
        peer.start()
        while (message := peer.take_audio())["message"] != "EndOfStream":  # type: ignore[index]
            received.append(message)
            if message["message"] == "GetSpeakers":  # type: ignore[index]
                peer.send({"message": "SpeakersResult", "speakers": []})
        peer.send({"message": "EndOfTranscript"})

    with serving(behave) as url:
        config = ConnectionConfig(**limits, close_timeout=ten)  # type: ignore[arg-type]
        with Client(url=url, conn_config=config, reconnect=policy) as client:
            client.transcribe(speech(0.2), audio_format=raw, realtime=True, timeout=ten)
            client.start_session(audio_format=raw)
            client.send_audio(speech(0.1), timeout=ten)
            client.update_transcription_config(max_delay=Decimal("1.5"))  # type: ignore[arg-type]
            client.force_end_of_utterance(timestamp=Decimal("0.1"))
            client.get_speakers(timeout=ten)
            client.stop_session(timeout=ten)
    assert [message.get("timestamp") for message in received] == [None, 0.1, None]
    assert received[0]["transcription_config"]["max_delay"] == 1.5


def test_limits_that_were_changed_to_bad_ones_are_refused() -> None:
    config = ConnectionConfig()
    config.ping_interval = -1
    with pytest.raises(ConfigurationError, match="ping_interval is -1"):
        Client(url="ws://localhost:1", conn_config=config)


@pytest.mark.parametrize("timeout", [0, -1, True, "1", float("nan"), float("inf"), 1e30])
def test_a_timeout_is_a_number_of_seconds(timeout: Any) -> None:
    with client_of("ws://localhost:1") as client:
        for call in (
            lambda: client.transcribe(b"ab", timeout=timeout),
            lambda: client.stream(b"ab", timeout=timeout),
            lambda: client.stop_session(timeout=timeout),
        ):
            with pytest.raises(ConfigurationError, match="timeout"):
                call()


def test_realtime_audio_does_not_arrive_before_it_is_spoken() -> None:
    arrived: list[tuple[float, int]] = []

    def behave(peer: Peer) -> None:
        peer.start()
        begun = time.monotonic()
        while isinstance(message := peer.receive(), bytes):
            peer.audio.append(message)
            arrived.append((time.monotonic() - begun, len(message)))
            peer.acknowledge()
        peer.send({"message": "EndOfTranscript"})

    with serving(behave) as url, client_of(url) as client:
        client.transcribe(speech(0.6), audio_format=RAW, realtime=True)
    spoken = 0.0
    for moment, size in arrived:
        spoken += size / 32000
        assert moment > spoken - 0.05
    assert spoken == pytest.approx(0.6)


def test_a_slow_source_does_not_shift_the_schedule() -> None:
    """A source that is late once catches up: pacing is by an absolute schedule."""
    gaps: list[float] = []

    def source() -> Iterator[bytes]:
        yield speech(0.1)
        threading.Event().wait(0.6)  # late on purpose
        for _ in range(5):
            yield speech(0.1)

    def behave(peer: Peer) -> None:
        peer.start()
        while isinstance(message := peer.receive(), bytes):
            gaps.append(time.monotonic())
            peer.audio.append(message)
            peer.acknowledge()
        peer.send({"message": "EndOfTranscript"})

    audio_format = AudioFormat("pcm_s16le", 16000, chunk_size=3200)
    with serving(behave) as url, client_of(url) as client:
        client.transcribe(source(), audio_format=audio_format, realtime=True)
    assert len(gaps) == 6
    # What was due meanwhile leaves at once; with a sleep for each chunk it would take 0.4 s.
    assert gaps[5] - gaps[1] < 0.3


def test_realtime_is_for_raw_audio() -> None:
    with serving(_never_starts) as url, client_of(url) as client:
        with pytest.raises(ConfigurationError, match="realtime"):
            client.transcribe(b"a file", audio_format=AudioFormat(), realtime=True)
        with pytest.raises(ConfigurationError, match="realtime"):
            client.transcribe(b"ID3 and so on", realtime=True)


# -- progress -----------------------------------------------------------------------------------


def test_progress_is_called_with_seconds_done_and_in_all() -> None:
    calls: list[tuple[float, Any]] = []
    with serving(hears("word")) as url, client_of(url) as client:
        client.transcribe(
            speech(1), audio_format=RAW, progress=lambda done, total: calls.append((done, total))
        )
        assert calls[-1] == (1.0, 1.0)
        assert [done for done, _ in calls] == sorted(done for done, _ in calls)
        calls.clear()
        client.transcribe(
            iter([speech(1)]), audio_format=RAW, progress=lambda *call: calls.append(call)
        )
        assert calls[-1] == (1.0, None)


def test_progress_draws_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(hears("word")) as url, client_of(url) as client:
        client.transcribe(speech(1), audio_format=RAW, progress=True)
    assert "1.0/1.0 s" in capsys.readouterr().err


@pytest.mark.parametrize("stderr", ["none", "closed", "broken"])
def test_a_bar_that_cannot_be_drawn_is_dropped(
    stderr: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As under pythonw, in a service, or behind a pipe whose reader has gone."""
    stream: Any = None
    if stderr != "none":
        stream = io.StringIO()
        stream.close()
    if stderr == "broken":
        stream = Broken()
    caplog.set_level(logging.DEBUG, logger="speechmatics_sync")
    monkeypatch.setattr(sys, "stderr", stream)
    with serving(hears("word")) as url, client_of(url) as client:
        transcript = client.transcribe(speech(1), audio_format=RAW, progress=True)
    assert transcript.text == "word"
    dropped = [each for each in caplog.records if "No progress bar" in each.getMessage()]
    assert len(dropped) == (stderr != "closed")  # tqdm itself disables a bar that is closed
    assert all(each.request_id == client.request_id for each in dropped)  # type: ignore[attr-defined]


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError("broken")


def test_an_error_of_progress_comes_out() -> None:
    def fail(done: float, total: Any) -> None:
        raise LookupError("progress")

    with serving(_never_ends) as url, client_of(url) as client:
        with pytest.raises(LookupError, match="progress"):
            client.transcribe(Blocking(speech(0.1)), audio_format=RAW, progress=fail)
        stream = client.stream(Blocking(speech(0.1)), audio_format=RAW, progress=fail)
        with pytest.raises(LookupError, match="progress"):
            next(stream)
        with pytest.raises(LookupError, match="progress"):
            next(stream)  # it has ended the session


@pytest.mark.parametrize("progress", ["yes", 1, 0.5])
def test_progress_is_a_bool_or_called(progress: Any) -> None:
    with client_of("ws://localhost:1") as client:
        with pytest.raises(ConfigurationError, match="progress"):
            client.transcribe(b"ab", progress=progress)
        assert client.session_id is None


# -- one session at a time ----------------------------------------------------------------------


def test_a_second_session_while_one_runs_is_refused_and_another_after_it_works() -> None:
    with serving(hears("word")) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        request_id = client.request_id
        for call in (
            lambda: client.transcribe(b"ab", audio_format=RAW),
            lambda: client.stream(b"ab", audio_format=RAW),
            lambda: client.start_session(audio_format=RAW),
        ):
            with pytest.raises(SessionError, match="runs a session already") as caught:
                call()
            assert caught.value.request_id == request_id == client.request_id
        client.stop_session()
        assert client.transcribe(speech(0.1), audio_format=RAW).text == "word"
        assert client.request_id != request_id


def test_of_many_threads_one_gets_the_session() -> None:
    together = threading.Barrier(20)
    release = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        wait_for(release)
        peer.finish()

    with serving(behave) as url, client_of(url) as client:

        def call() -> Any:
            together.wait()
            return client.transcribe(speech(0.1), audio_format=RAW)

        calls = [InThread(call) for _ in range(20)]
        outcomes: list[Any] = []
        losers = list(calls)
        while len(losers) > 1:
            losers = [each for each in losers if each.running]
        release.set()
        for each in calls:
            try:
                outcomes.append(each.result())
            except SessionError as error:
                outcomes.append(error)
    won = [each for each in outcomes if isinstance(each, Transcript)]
    assert len(won) == 1
    assert len(outcomes) == 20


def test_another_session_waits_for_the_handlers_of_the_last() -> None:
    """Everything is transcribed, but a handler is still busy: that session is not over."""
    busy, go_on = threading.Event(), threading.Event()

    def handle(message: Any) -> None:
        busy.set()
        wait_for(go_on)

    with serving(hears("word")) as url, client_of(url) as client:
        client.once("EndOfTranscript", handle)
        call = InThread(client.transcribe, speech(0.1), audio_format=RAW)
        wait_for(busy)
        with pytest.raises(SessionError, match="runs a session already"):
            client.transcribe(speech(0.1), audio_format=RAW)
        go_on.set()
        assert call.result().text == "word"
        client.transcribe(speech(0.1), audio_format=RAW)


def test_a_call_that_is_refused_leaves_the_client_free() -> None:
    with serving(hears("word")) as url, client_of(url) as client:
        for options in (
            {"audio_format": "raw"},
            {"transcription_config": {"language": "en"}},
            {"transcription_config": TranscriptionConfig(diarization="channel")},
            {"ws_headers": ["X: 1"]},
            {"ws_headers": {"X-Request-Id": 5}},
            {"ws_headers": {5: "x"}},
        ):
            for call in (client.transcribe, client.stream):
                with pytest.raises(ConfigurationError):
                    call(speech(0.1), **options)  # type: ignore[operator]
            with pytest.raises(ConfigurationError):
                client.start_session(**options)  # type: ignore[arg-type]
        assert client.transcribe(speech(0.1), audio_format=RAW).text == "word"


def test_a_configuration_is_the_sessions_own() -> None:
    """What the caller changes later does not reach a running session."""
    config = TranscriptionConfig(language="en")
    languages: list[str] = []

    def behave(peer: Peer) -> None:
        peer.start()
        change = peer.take_audio()
        assert change is not None
        languages.append(change["transcription_config"]["language"])
        peer.finish()

    with serving(behave) as url, client_of(url) as client:
        client.start_session(transcription_config=config, audio_format=RAW)
        config.language = "fr"
        client.update_transcription_config(max_delay=1)
        client.stop_session()
    assert languages == ["en"]


@pytest.mark.parametrize(
    "options",
    [
        {"auth": b"key"},
        {"auth": object()},
        {"api_key": "a", "auth": AuthBase},
        {"conn_config": {"open_timeout": 1}},
        {"reconnect": 5},
        {"handler_errors": "ignore"},
        {"url": "http://example.com"},
        {"url": "wss://eu.rt.speechmatics.com/v2"},
    ],
)
def test_a_client_refuses_settings_at_once(options: Any) -> None:
    with pytest.raises(ConfigurationError):
        Client(**options)


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
    count = 20000
    blocked, go_on, all_sent = threading.Event(), threading.Event(), threading.Event()
    padding = "x" * 1000
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

    limits = {"ping_interval": 0.05, "ping_timeout": 0.15, "ack_timeout": 0.15, "max_queue": 16}
    with serving(behave) as url, client_of(url, **limits) as client:
        client.on("AddTranscript", handle)
        call = InThread(client.transcribe, speech(0.5), audio_format=RAW)
        wait_for(blocked)
        assert not all_sent.wait(0.5)  # longer than any limit: they do not count
        assert call.running
        assert client.stats.messages_waiting < 16 + 5000  # what one read of the socket held
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


def test_conn_config_is_the_clients_own() -> None:
    config = ConnectionConfig(max_unacked_chunks=1)
    client = Client(url="ws://localhost:1", conn_config=config)
    config.max_unacked_chunks = 7
    assert client._conn_config.max_unacked_chunks == 1


def test_a_source_that_can_never_be_one_has_an_empty_transcript() -> None:
    with pytest.raises(speechmatics_sync.AudioError) as caught:
        Client(url="ws://localhost:1/v2").transcribe("no such file.wav")
    assert caught.value.transcript is not None
    assert caught.value.transcript.text == ""


def test_the_one_liner_takes_every_option_of_its_client_and_of_transcribe() -> None:
    taken = set(inspect.signature(speechmatics_sync.transcribe).parameters)
    assert taken == (set(inspect.signature(Client).parameters)) | (
        set(inspect.signature(Client.transcribe).parameters) - {"self"}
    )
