"""The settings and the names of messages that `speechmatics.models` had.

Where to connect: ConnectionSettings, RTConnectionSettings, UsageMode.

What to transcribe: TranscriptionConfig, AudioSettings, TranslationConfig, RTTranslationConfig,
RTSpeakerDiarizationConfig, ConversationConfig, AudioEventsConfig.

What handlers and middlewares are added for: ServerMessageType, ClientMessageType.

Of the batch API, and not to be used: AutoChaptersConfig, BatchConnectionSettings,
BatchLanguageIdentificationConfig, BatchSpeakerDiarizationConfig, BatchTranscriptionConfig,
BatchTranslationConfig, FetchData, NotificationConfig, SRTOverrides, SentimentAnalysisConfig,
SummarizationConfig, TopicDetectionConfig.
"""

from __future__ import annotations

import dataclasses
import logging
import ssl
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Optional

from .._help import module_dir
from ._gone import BatchOnly, module_getattr
from ._strict import report
from .config import CONFIG_PATH, read_config_from_home
from .constants import BATCH_SELF_SERVICE_URL, RT_SELF_SERVICE_URL

__all__ = [
    "AudioEventsConfig",
    "AudioSettings",
    "AutoChaptersConfig",
    "BatchConnectionSettings",
    "BatchLanguageIdentificationConfig",
    "BatchSpeakerDiarizationConfig",
    "BatchTranscriptionConfig",
    "BatchTranslationConfig",
    "ClientMessageType",
    "ConnectionSettings",
    "ConversationConfig",
    "FetchData",
    "NotificationConfig",
    "RTConnectionSettings",
    "RTSpeakerDiarizationConfig",
    "RTTranslationConfig",
    "SRTOverrides",
    "SentimentAnalysisConfig",
    "ServerMessageType",
    "SummarizationConfig",
    "TopicDetectionConfig",
    "TranscriptionConfig",
    "TranslationConfig",
    "UsageMode",
]

__getattr__ = module_getattr(__name__)
__dir__ = module_dir(__name__, page=True)

LOGGER = logging.getLogger("speechmatics.models")


# -- the connection -------------------------------------------------------------------------------


class UsageMode(str, Enum):
    """Which API is used: only real time is part of this package."""

    Batch = "batch"
    RealTime = "rt"


@dataclass
class ConnectionSettings:
    """Where to connect, and with which key and limits.

    Args:
        url: The server, without the language.
        message_buffer_size: How many chunks of audio may be unacknowledged.
        ssl_context: None for ``ws://``.
        semaphore_timeout_seconds: Longest time without an acknowledgement that is due.
        ping_timeout_seconds: Longest time without a byte from the server after a ping.
        auth_token: The API key; by default that of the configuration file.
        generate_temp_token: Whether to connect with a temporary key (extra ``jwt``).
        mp_url: The management platform, which gives temporary keys.
        region: Sent with the request for a temporary key; without effect.
        client_ref: Sent with the request for a temporary key.

    Example:
        >>> ConnectionSettings(url="wss://eu2.rt.speechmatics.com/v2").message_buffer_size
        512
    """

    url: str
    message_buffer_size: int = 512
    ssl_context: Optional[ssl.SSLContext] = field(default_factory=ssl.create_default_context)
    semaphore_timeout_seconds: float = 120
    ping_timeout_seconds: float = 60
    auth_token: Optional[str] = field(default=None, repr=False)
    generate_temp_token: Optional[bool] = False
    mp_url: Optional[str] = "https://mp.speechmatics.com"
    region: Optional[str] = "eu"
    client_ref: Optional[str] = None

    def set_missing_values_from_config(self, mode: UsageMode) -> None:
        """Take a missing URL and a missing key from the configuration file.

        Raises:
            ValueError: There is no URL.
        """
        stored = read_config_from_home() or {}
        if not self.url:
            url = stored.get(_url_key(mode))
            if url is None:
                raise ValueError(f"No URL was passed, and {CONFIG_PATH} has none: pass url.")
            self.url = url
        if not self.auth_token:
            self.auth_token = stored.get("auth_token") or self.auth_token

    @classmethod
    def create(cls, mode: UsageMode, auth_token: Optional[str] = None) -> ConnectionSettings:
        """Return settings for a key, or for the key of the configuration file.

        Raises:
            ValueError: No key was passed, and the file has none.
        """
        stored = read_config_from_home() or {}
        default = RT_SELF_SERVICE_URL if mode == UsageMode.RealTime else BATCH_SELF_SERVICE_URL
        url = stored.get(_url_key(mode), default)
        if auth_token is not None:
            return ConnectionSettings(url, auth_token=auth_token, generate_temp_token=True)
        if not stored.get("auth_token"):
            raise ValueError(f"No key was passed, and {CONFIG_PATH} has none: pass auth_token.")
        return ConnectionSettings(
            url,
            auth_token=stored["auth_token"],
            generate_temp_token=stored.get("generate_temp_token", True),
        )


def _url_key(mode: UsageMode) -> str:
    return "realtime_url" if mode == UsageMode.RealTime else "batch_url"


@dataclass
class RTConnectionSettings(ConnectionSettings):
    """The same settings, with the service's URL for English by default."""

    url: str = f"{RT_SELF_SERVICE_URL}/en"


@dataclass
class AudioSettings:
    """The format of the audio; without an encoding it is a file.

    Example:
        >>> AudioSettings(encoding="pcm_s16le", sample_rate=16000).asdict()
        {'type': 'raw', 'encoding': 'pcm_s16le', 'sample_rate': 16000}
    """

    encoding: Optional[str] = None
    sample_rate: int = 44100
    chunk_size: int = 1024 * 4

    def asdict(self) -> dict[str, Any]:
        """The ``audio_format`` of StartRecognition."""
        if not self.encoding:
            return {"type": "file"}
        return {"type": "raw", "encoding": self.encoding, "sample_rate": self.sample_rate}


# -- transcription --------------------------------------------------------------------------------


@dataclass
class RTSpeakerDiarizationConfig:
    """How speakers are told apart."""

    max_speakers: Optional[int] = None
    speaker_sensitivity: Optional[float] = None
    prefer_current_speaker: Optional[bool] = None


@dataclass
class TranslationConfig:
    """Languages to translate into."""

    target_languages: Optional[list[str]] = None

    def asdict(self) -> dict[str, Any]:
        """The ``translation_config`` of StartRecognition."""
        return dataclasses.asdict(self)


@dataclass
class RTTranslationConfig(TranslationConfig):
    """Languages to translate into, and whether to send partial translations."""

    enable_partials: bool = False


@dataclass
class ConversationConfig:
    """The silence in seconds that ends an utterance."""

    end_of_utterance_silence_trigger: Optional[float] = None


@dataclass
class AudioEventsConfig:
    """Which sounds to report; None reports all."""

    types: Optional[list[str]] = None

    def asdict(self) -> dict[str, Any]:
        """The ``audio_events_config`` of StartRecognition."""
        return {} if self.types is None else {"types": list(self.types)}


@dataclass(init=False)
class TranscriptionConfig:
    """How to transcribe. Nothing is checked: what is set goes to the server.

    Args:
        language: ISO code of the spoken language; English by default.
        kwargs: The other fields. One that does not exist is not sent, and is a WARNING in the log.

    Example:
        >>> TranscriptionConfig("de", max_delay=5, enable_transcription_partials=True).as_config()
        {'language': 'de', 'max_delay': 5, 'enable_partials': True}
    """

    language: str = "en"
    operating_point: Optional[str] = None
    output_locale: Optional[str] = None
    diarization: Optional[str] = None
    additional_vocab: Any = None
    punctuation_overrides: Optional[dict[str, Any]] = None
    domain: Optional[str] = None
    enable_entities: Optional[bool] = None
    audio_filtering_config: Optional[dict[str, Any]] = None
    transcript_filtering_config: Optional[dict[str, Any]] = None
    channel_diarization_labels: Optional[list[str]] = None
    max_delay: Optional[float] = None
    max_delay_mode: Optional[str] = None
    speaker_diarization_config: Optional[RTSpeakerDiarizationConfig] = None
    streaming_mode: Optional[bool] = None
    ctrl: Optional[dict[str, Any]] = None
    enable_partials: Optional[bool] = None
    enable_transcription_partials: Optional[bool] = None
    enable_translation_partials: Optional[bool] = None
    conversation_config: Optional[ConversationConfig] = None
    translation_config: Optional[TranslationConfig] = None
    audio_events_config: Optional[AudioEventsConfig] = None

    def __init__(self, language: Optional[str] = None, **kwargs: Any) -> None:
        if language is not None:
            self.language = language
        known = {each.name for each in dataclasses.fields(self)}
        for name, value in kwargs.items():
            if name in known:
                setattr(self, name, value)
            elif value is not None and name not in _OF_BATCH:
                report(LOGGER, "TranscriptionConfig has no %s: it is not sent", name)

    def asdict(self) -> dict[str, Any]:
        """All fields that are set."""
        return dataclasses.asdict(self, dict_factory=_without_nones)

    def as_config(self) -> dict[str, Any]:
        """The ``transcription_config`` of StartRecognition."""
        config = self.asdict()
        for name in ("translation_config", "audio_events_config", "enable_translation_partials"):
            config.pop(name, None)
        if config.pop("enable_transcription_partials", None):
            config["enable_partials"] = True
        return config


_OF_BATCH = (
    "auto_chapters_config",
    "fetch_data",
    "language_identification_config",
    "notification_config",
    "sentiment_analysis_config",
    "srt_overrides",
    "summarization_config",
    "topic_detection_config",
    "type",
)
"""Fields that configuration files share with the batch API."""


def _without_nones(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in items if value is not None}


# -- messages -------------------------------------------------------------------------------------


class ClientMessageType(str, Enum):
    """The messages of the client that middlewares can be added for."""

    StartRecognition = "StartRecognition"
    AddAudio = "AddAudio"
    AddChannelAudio = "AddChannelAudio"
    EndOfStream = "EndOfStream"
    EndOfChannel = "EndOfChannel"
    SetRecognitionConfig = "SetRecognitionConfig"
    GetSpeakers = "GetSpeakers"


class ServerMessageType(str, Enum):
    """The messages of the server that handlers can be added for."""

    RecognitionStarted = "RecognitionStarted"
    AudioAdded = "AudioAdded"
    ChannelAudioAdded = "ChannelAudioAdded"
    AddPartialTranscript = "AddPartialTranscript"
    AddTranscript = "AddTranscript"
    EndOfUtterance = "EndOfUtterance"
    AudioEventStarted = "AudioEventStarted"
    AudioEventEnded = "AudioEventEnded"
    AddPartialTranslation = "AddPartialTranslation"
    AddTranslation = "AddTranslation"
    EndOfTranscript = "EndOfTranscript"
    SpeakersResult = "SpeakersResult"
    Info = "Info"
    Warning = "Warning"
    Error = "Error"


# -- batch ----------------------------------------------------------------------------------------


class BatchTranscriptionConfig(BatchOnly):
    """Not part of this package."""


class BatchConnectionSettings(BatchOnly):
    """Not part of this package."""


class BatchSpeakerDiarizationConfig(BatchOnly):
    """Not part of this package."""


class BatchTranslationConfig(BatchOnly):
    """Not part of this package."""


class BatchLanguageIdentificationConfig(BatchOnly):
    """Not part of this package."""


class AutoChaptersConfig(BatchOnly):
    """Not part of this package."""


class FetchData(BatchOnly):
    """Not part of this package."""


class NotificationConfig(BatchOnly):
    """Not part of this package."""


class SRTOverrides(BatchOnly):
    """Not part of this package."""


class SentimentAnalysisConfig(BatchOnly):
    """Not part of this package."""


class SummarizationConfig(BatchOnly):
    """Not part of this package."""


class TopicDetectionConfig(BatchOnly):
    """Not part of this package."""
