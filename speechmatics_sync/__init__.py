"""A blocking, threaded client for the Speechmatics Realtime API.

Example:
    >>> from speechmatics_sync import Client
    >>> with Client() as client:
    ...     transcript = client.transcribe("audio.wav")
    >>> print(transcript.text)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._audio.split_channels import split_channels
from ._auth.jwt import JWTAuth
from ._auth.keys import AuthBase, StaticKeyAuth
from ._client.client import Client, transcribe
from ._client.event_emitter import EventEmitter
from ._client.multichannel import MultiChannelClient
from ._model.config import (
    AdditionalVocab,
    AudioEncoding,
    AudioEventsConfig,
    AudioFilteringConfig,
    AudioFormat,
    ConnectionConfig,
    ConversationConfig,
    Diarization,
    MaxDelayMode,
    MidSessionConfig,
    Model,
    OperatingPoint,
    PunctuationOverrides,
    ReconnectPolicy,
    SpeakerDiarizationConfig,
    SpeakerIdentifier,
    TranscriptFilteringConfig,
    TranscriptionConfig,
    TranslationConfig,
    WordReplacement,
)
from ._model.messages import (
    ClientMessageType,
    ErrorType,
    InfoType,
    ServerMessageType,
    SessionEvent,
    SessionInfo,
    WarningType,
)
from ._model.results import (
    AudioEvent,
    EndOfUtterance,
    EndOfUtteranceMetadata,
    ErrorMessage,
    InfoMessage,
    LanguageInfo,
    LanguagePackInfo,
    RecognitionAlternative,
    RecognitionDisplay,
    RecognitionMetadata,
    RecognitionResult,
    RecognitionStarted,
    SpeakersResult,
    TranscriptResult,
    TranslatedSentence,
    TranslationResult,
    WarningMessage,
)
from ._model.stats import SessionStats
from ._model.transcript import Transcript, Translation, Turn, Word
from ._version import __version__
from .errors import (
    AudioError,
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    EndOfTranscriptError,
    SessionError,
    SpeechmaticsError,
    TimeoutError,
    TranscriptionError,
    TransportError,
)

if TYPE_CHECKING:
    from ._client.stream import Stream

__all__ = [
    "AdditionalVocab",
    "AudioEncoding",
    "AudioError",
    "AudioEvent",
    "AudioEventsConfig",
    "AudioFilteringConfig",
    "AudioFormat",
    "AuthBase",
    "AuthenticationError",
    "Client",
    "ClientMessageType",
    "ConfigurationError",
    "ConnectionConfig",
    "ConnectionError",
    "ConversationConfig",
    "Diarization",
    "EndOfTranscriptError",
    "EndOfUtterance",
    "EndOfUtteranceMetadata",
    "ErrorMessage",
    "ErrorType",
    "EventEmitter",
    "InfoMessage",
    "InfoType",
    "JWTAuth",
    "LanguageInfo",
    "LanguagePackInfo",
    "MaxDelayMode",
    "MidSessionConfig",
    "Model",
    "MultiChannelClient",
    "OperatingPoint",
    "PunctuationOverrides",
    "RecognitionAlternative",
    "RecognitionDisplay",
    "RecognitionMetadata",
    "RecognitionResult",
    "RecognitionStarted",
    "ReconnectPolicy",
    "ServerMessageType",
    "SessionError",
    "SessionEvent",
    "SessionInfo",
    "SessionStats",
    "SpeakerDiarizationConfig",
    "SpeakerIdentifier",
    "SpeakersResult",
    "SpeechmaticsError",
    "StaticKeyAuth",
    "Stream",
    "TimeoutError",
    "Transcript",
    "TranscriptFilteringConfig",
    "TranscriptResult",
    "TranscriptionConfig",
    "TranscriptionError",
    "TranslatedSentence",
    "Translation",
    "TranslationConfig",
    "TranslationResult",
    "TransportError",
    "Turn",
    "WarningMessage",
    "WarningType",
    "Word",
    "WordReplacement",
    "__version__",
    "split_channels",
    "transcribe",
]


def __getattr__(name: str) -> object:
    # Few name it, and it would load all that a session is made of.
    if name == "Stream":
        from ._client.stream import Stream

        return Stream
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
