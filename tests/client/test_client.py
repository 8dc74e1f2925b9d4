from __future__ import annotations

import inspect
import threading
from pathlib import Path
from typing import Any

import pytest
from support.audio.sources import wav
from support.hearing import hears
from support.serving import STARTED, Peer, final, serving
from support.sessions import (
    RAW,
    InThread,
    client_of,
    let_sources_go,
    speech,
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
    SessionError,
    Transcript,
    TranscriptionConfig,
    TranslationConfig,
)

__all__ = ["let_sources_go"]

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
            {"transcription_config": {"language": ""}},
            {"transcription_config": "en"},
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
