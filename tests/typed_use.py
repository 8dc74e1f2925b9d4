"""How users write their code, for the type checker alone (see test_typing); it never runs."""

from __future__ import annotations

from typing import Any, Optional, Union

from typing_extensions import assert_type

from speechmatics_sync.config import (
    AudioEncoding,
    AudioFormat,
    ConnectionConfig,
    Model,
    ReconnectPolicy,
    SpeakerDiarizationConfig,
    SpeakerIdentifier,
    TranscriptionConfig,
    TranslationConfig,
)
from speechmatics_sync.messages import CLOSE_CODES, ServerMessageType, SessionInfo
from speechmatics_sync.results import (
    AudioEvent,
    LanguagePackInfo,
    RecognitionAlternative,
    RecognitionResult,
    SpeakersResult,
    TranscriptResult,
    TranslatedSentence,
)
from speechmatics_sync.transcript import Transcript, Translation, Turn, Word

# -- configuration --------------------------------------------------------------------------------

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
TranslationConfig()  # type: ignore[call-arg]
TranscriptionConfig(max_delay="1")  # type: ignore[arg-type]
TranscriptionConfig(max_dellay=1)  # type: ignore[call-arg]
assert_type(AudioFormat(AudioEncoding.PCM_S16LE, 16000).bytes_per_sample, int)
assert_type(AudioFormat("mulaw").encoding, Optional[Union[AudioEncoding, str]])
assert_type(ConnectionConfig(ping_interval=None).ping_timeout, Optional[float])
assert_type(ReconnectPolicy().max_attempts, int)
ReconnectPolicy().max_attempts = 3  # type: ignore[misc]

# -- messages and results -------------------------------------------------------------------------

assert_type(CLOSE_CODES, dict[int, str])
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
# The types of Client, Stream and transcribe belong here.
