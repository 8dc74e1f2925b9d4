"""How users write their code, for the type checkers of `make lint` alone; it never runs."""

from __future__ import annotations

import io
import ssl
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Optional, TextIO, Union

from typing_extensions import assert_type

from speechmatics_sync import (
    AddTranscriptDict,
    AudioEncoding,
    AudioEvent,
    AudioFormat,
    Caption,
    CaptionFile,
    CaptionReport,
    Captions,
    Client,
    ConnectionConfig,
    ConversationConfig,
    Job,
    LanguagePackInfo,
    Ledger,
    LiveCaptions,
    Match,
    Model,
    MultiChannelClient,
    RecognitionAlternative,
    RecognitionResult,
    ReconnectPolicy,
    ServerMessageType,
    SessionEvent,
    SessionInfo,
    SessionStats,
    Source,
    SpeakerDiarizationConfig,
    SpeakerIdentifier,
    SpeakersResult,
    Stream,
    Transcript,
    TranscriptionConfig,
    TranscriptionError,
    TranscriptResult,
    TranslatedSentence,
    Translation,
    TranslationConfig,
    Turn,
    Word,
    split_channels,
    transcribe,
    transcribe_many,
)

# -- configuration --------------------------------------------------------------------------------

words: list[str] = ["gnocchi"]
known: list[SpeakerIdentifier] = []

config = TranscriptionConfig(
    language="en",
    model="enhanced",
    diarization="speaker",
    max_delay=1,
    additional_vocab=["gnocchi", {"content": "bigoli"}],
    speaker_diarization_config={"max_speakers": 3},
    extra={"novel": 1},
)
assert_type(config.language, str)
assert_type(config.model, Optional[Union[Model, str]])
assert_type(config.max_delay, Optional[float])
assert_type(config.enable_partials, Optional[bool])
assert_type(config.to_dict(), dict[str, Any])
TranscriptionConfig(speaker_diarization_config=SpeakerDiarizationConfig(max_speakers=3))
assert_type(TranslationConfig(["fr"]).target_languages, list[str])
TranscriptionConfig(
    additional_vocab=words, speaker_diarization_config=SpeakerDiarizationConfig(speakers=known)
)
TranslationConfig()  # type: ignore[call-arg]
ConnectionConfig(ssl_context=ssl.create_default_context())
ConnectionConfig(ssl_context="/etc/ssl")  # type: ignore[arg-type]
TranscriptionConfig(max_delay="1")  # type: ignore[arg-type]
TranscriptionConfig(max_dellay=1)  # type: ignore[call-arg]
assert_type(AudioFormat(AudioEncoding.PCM_S16LE, 16000).bytes_per_sample, int)
assert_type(AudioFormat("mulaw").encoding, Optional[Union[AudioEncoding, str]])
assert_type(ConnectionConfig(ping_interval=None).ping_timeout, Optional[float])
assert_type(ReconnectPolicy().max_attempts, int)
ReconnectPolicy().max_attempts = 3  # type: ignore[misc]

# -- messages and results -------------------------------------------------------------------------

assert_type(SessionInfo("r").language_pack_info, Optional[LanguagePackInfo])
assert_type(SessionInfo("r").channels, list[str])
name: str = ServerMessageType.ADD_TRANSCRIPT


def handle(message: dict[str, Any]) -> None:
    result = TranscriptResult.from_message(message)
    assert_type(result, TranscriptResult)
    assert_type(result.metadata.transcript, str)
    assert_type(result.channel, Optional[str])
    assert_type(result.is_final, bool)
    for part in result.results:
        assert_type(part, RecognitionResult)
        assert_type(part.start_time, float)
        assert_type(part.alternatives, Optional[list[RecognitionAlternative]])
        assert_type(part.spoken_form, Optional[list[RecognitionResult]])
    assert_type(SpeakersResult.from_message(message).speakers, list[SpeakerIdentifier])
    assert_type(AudioEvent.from_message(message).start_time, Optional[float])


# -- the transcript -------------------------------------------------------------------------------


def read(transcript: Transcript) -> None:
    assert_type(transcript.text, str)
    assert_type(transcript.results, list[RecognitionResult])
    assert_type(transcript.words, list[Word])
    assert_type(transcript.words[0].confidence, float)
    assert_type(transcript.words[0].speaker, Optional[str])
    assert_type(transcript.turns, list[Turn])
    assert_type(transcript.turns[0].words, list[Word])
    assert_type(transcript.translations, dict[str, Translation])
    assert_type(transcript.translations["fr"].text, str)
    assert_type(transcript.translations["fr"][0], TranslatedSentence)
    assert_type(transcript.audio_events, list[AudioEvent])
    assert_type(transcript.speakers, list[SpeakerIdentifier])
    assert_type(transcript.channels, dict[str, Transcript])
    assert_type(transcript.gaps, list[tuple[float, float]])
    assert_type(transcript.language_pack_info, Optional[LanguagePackInfo])
    assert_type(transcript.start_time, Optional[float])
    assert_type(transcript.to_dict(), dict[str, Any])


# -- clients --------------------------------------------------------------------------------------


def use(client: Client) -> None:
    assert_type(
        client.transcribe("call.wav", timeout=60, progress=lambda done, total: None), Transcript
    )
    with client.stream(b"", realtime=True) as stream:
        assert_type(stream, Stream)
        for message in stream:
            assert_type(message, dict[str, Any])
        assert_type(stream.transcript, Transcript)
    assert_type(client.start_session(), SessionInfo)
    client.send_audio(memoryview(b""), timeout=1.5)
    client.send_message({"message": "GetSpeakers"})
    client.update_transcription_config(max_delay=1, conversation_config=ConversationConfig())
    client.force_end_of_utterance(timestamp=None)
    client.force_end_of_utterance(timestamp="then")  # type: ignore[arg-type]
    client.send_audio(array("h"))
    client.send_audio("audio")  # type: ignore[arg-type]
    client.transcribe("call.wav", transcription_config={"language": "de"})
    client.transcribe("call.wav", transcription_config=["de"])  # type: ignore[arg-type]
    client.transcribe("call.wav", ws_headers={"X-Tag": 5})  # type: ignore[dict-item]
    assert_type(client.get_speakers(), list[SpeakerIdentifier])
    assert_type(client.stop_session(timeout=10), Transcript)
    assert_type(client.audio_seconds_sent, Optional[float])
    assert_type(client.audio_bytes_sent, int)
    assert_type(client.request_id, str)
    assert_type(client.session_id, Optional[str])
    assert_type(client.language_pack_info, Optional[LanguagePackInfo])
    assert_type(client.stats, SessionStats)
    assert_type(client.transcript, Transcript)
    Client(handler_errors="ignore")  # type: ignore[arg-type]
    client.transcribe("call.wav", on_interrupt="stop")  # type: ignore[arg-type]
    with Client(reconnect=None, handler_errors="log") as opened:
        assert_type(opened, Client)
    assert_type(transcribe("call.wav", api_key="key"), Transcript)


class OwnTranscript(Transcript):
    """A class of the program's own."""


def export(transcript: Transcript) -> None:
    assert_type(OwnTranscript.load("call.json"), OwnTranscript)
    transcript.player(b"", embed=False)
    transcript.player(5)  # type: ignore[arg-type]
    captions = transcript.captions(max_line_length=42, speaker_labels={"S1": "Ada"})
    assert_type(captions, Captions)
    assert_type(captions[0], Caption)
    assert_type(captions[:1], Captions)
    assert_type(captions[0].lines, tuple[str, ...])
    assert_type(captions.report(), CaptionReport)
    assert_type(transcript.to_srt(), str)
    assert_type(transcript.to_rows(), list[dict[str, Any]])
    assert_type(transcript.search("two words"), list[Match])
    assert_type(Transcript.load("call.json"), Transcript)
    assert_type(Transcript.join([transcript, transcript], offsets=[0, 2.5]), Transcript)
    transcript.save("call.vtt", max_lines=1)
    live = LiveCaptions(speaker_labels=True)
    with CaptionFile("call.srt") as file:
        file.add(live.add({"message": "EndOfTranscript"}))
    assert_type(live.current, Optional[Caption])


def use_channels(client: MultiChannelClient) -> None:
    sources = split_channels("call.wav", labels=["agent", "customer"])
    assert_type(client.transcribe(sources, on_source_error="end_channel"), Transcript)
    assert_type(client.stream({"agent": "agent.wav", "customer": b""}), Stream)
    assert_type(client.start_session(channels=["agent", "customer"]), SessionInfo)
    client.send_audio("agent", b"", timeout=1)
    client.end_of_channel("agent")
    client.force_end_of_utterance(channel="customer", timestamp=1.5)
    assert_type(client.stop_session().channels["agent"], Transcript)


def listen(client: Client) -> None:
    @client.on(ServerMessageType.ADD_TRANSCRIPT)
    def handle_final(message: dict[str, Any]) -> int:
        return len(message)

    assert_type(handle_final({}), int)
    client.once("Info", print)
    client.off("Info", print)


def fail(client: Client) -> None:
    try:
        client.transcribe("call.wav")
    except TranscriptionError as error:
        assert_type(error.type, str)
        assert_type(error.close_code, Optional[int])
        assert_type(error.transcript, Optional[Transcript])


# -- sources ---------------------------------------------------------------------------------------


class Recorder:
    def read(self, size: int) -> bytes:
        return bytes(size)


def chunks() -> Iterator[bytearray]:
    yield bytearray(2)


def sources(client: Client, binary: BinaryIO, text: TextIO, parts: dict[str, bytes]) -> None:
    every: list[Source] = ["audio.wav", Path("audio.wav"), binary, io.BytesIO(), memoryview(b"")]
    every += [b"", array("h"), [b""], chunks(), Recorder(), split_channels("call.wav")["left"]]
    for source in every:
        client.transcribe(source)
    client.transcribe(5)  # type: ignore[arg-type]
    client.transcribe(text)  # type: ignore[arg-type]
    client.stream(parts)  # type: ignore[arg-type]
    transcribe(None)  # type: ignore[arg-type]


# -- handlers --------------------------------------------------------------------------------------


def show_final(message: AddTranscriptDict) -> None:
    assert_type(message["metadata"]["transcript"], str)
    for result in message["results"]:
        assert_type(result["start_time"], float)
        for alternative in result.get("alternatives", []):
            assert_type(alternative["content"], str)
    message["metadata"]["transkript"]  # type: ignore[typeddict-item]


def show_any(message: dict[str, Any]) -> None:
    print(message)


def recordings(paths: list[Path]) -> None:
    for job in transcribe_many(paths, client=MultiChannelClient, ledger=Ledger("done.sqlite")):
        assert_type(job, Job)
        assert_type(job.transcript, Optional[Transcript])
        assert_type(job.error, Optional[Exception])
    transcribe_many(paths, max_sessions="5")  # type: ignore[arg-type]
    transcribe_many(paths, api_key="key", translation_config={"target_languages": ["fr"]})
    transcribe_many(paths, realtime="yes")  # type: ignore[arg-type]
    transcribe_many(paths, on_error="stop")  # type: ignore[arg-type]


def handlers(client: Client, name: str) -> None:
    client.on(ServerMessageType.ADD_TRANSCRIPT, show_final)
    client.on("AddPartialTranscript")(show_final)
    client.once("EndOfUtterance", show_any)
    client.on(name, show_any)
    client.on("AddTranscript", lambda message: print(message["metadata"]["transcript"].upper()))
    client.on("Novelty", lambda message: print(message["anything"]))
    client.on("AudioAdded", show_final)  # type: ignore[type-var]
    client.on(SessionEvent.RECONNECTING, lambda message: print(message["attempt"] + 1))
    client.off("AddTranscript", show_final)
