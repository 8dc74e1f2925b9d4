"""The names of the protocol: messages, the types of errors, warnings and infos.

Source: the API's description (``realtime.yaml``); LanguageInfo from the documentation beside it.
"""

from __future__ import annotations

from enum import Enum

__all__ = [
    "ClientMessageType",
    "ErrorType",
    "InfoType",
    "ServerMessageType",
    "SessionEvent",
    "WarningType",
]


class ClientMessageType(str, Enum):
    """What a client sends. AddAudio is a binary frame and has no JSON."""

    START_RECOGNITION = "StartRecognition"
    ADD_AUDIO = "AddAudio"
    END_OF_STREAM = "EndOfStream"
    SET_RECOGNITION_CONFIG = "SetRecognitionConfig"
    GET_SPEAKERS = "GetSpeakers"
    ADD_CHANNEL_AUDIO = "AddChannelAudio"
    END_OF_CHANNEL = "EndOfChannel"
    FORCE_END_OF_UTTERANCE = "ForceEndOfUtterance"

    __str__ = str.__str__


class ServerMessageType(str, Enum):
    """What a server sends, and what handlers are registered for."""

    RECOGNITION_STARTED = "RecognitionStarted"
    AUDIO_ADDED = "AudioAdded"
    ADD_PARTIAL_TRANSCRIPT = "AddPartialTranscript"
    ADD_TRANSCRIPT = "AddTranscript"
    END_OF_TRANSCRIPT = "EndOfTranscript"
    END_OF_UTTERANCE = "EndOfUtterance"
    AUDIO_EVENT_STARTED = "AudioEventStarted"
    AUDIO_EVENT_ENDED = "AudioEventEnded"
    ADD_TRANSLATION = "AddTranslation"
    ADD_PARTIAL_TRANSLATION = "AddPartialTranslation"
    SPEAKERS_RESULT = "SpeakersResult"
    LANGUAGE_INFO = "LanguageInfo"
    INFO = "Info"
    WARNING = "Warning"
    ERROR = "Error"
    CHANNEL_AUDIO_ADDED = "ChannelAudioAdded"

    __str__ = str.__str__


class SessionEvent(str, Enum):
    """What a session itself tells handlers; no server sends these."""

    SOURCE_ERROR = "SourceError"
    """The source of a channel failed, and the channel ended there (``channel``, ``reason``,
    ``error``)."""
    RECONNECTING = "SessionReconnecting"
    """The connection was lost, and another is being made. Has ``attempt`` (1 for the first),
    ``reason`` (in words), ``audio_time`` (up to which second the audio is transcribed for good),
    ``seconds_replayed`` and ``seconds_lost`` (of audio that is sent again, and that cannot be); the
    seconds are None for ``file`` audio."""
    RECONNECTED = "SessionReconnected"
    """The session goes on where it was. Has the same, and the server's new ``session_id``;
    ``labels_restart`` is True where speakers have new labels."""

    __str__ = str.__str__


class ErrorType(str, Enum):
    """Why a server ended a session."""

    INVALID_MESSAGE = "invalid_message"
    INVALID_MODEL = "invalid_model"
    INVALID_LANGUAGE = "invalid_language"
    INVALID_CONFIG = "invalid_config"
    INVALID_AUDIO_TYPE = "invalid_audio_type"
    INVALID_OUTPUT_FORMAT = "invalid_output_format"
    NOT_AUTHORISED = "not_authorised"
    NOT_ALLOWED = "not_allowed"
    JOB_ERROR = "job_error"
    PROTOCOL_ERROR = "protocol_error"
    QUOTA_EXCEEDED = "quota_exceeded"
    TIMELIMIT_EXCEEDED = "timelimit_exceeded"
    IDLE_TIMEOUT = "idle_timeout"
    SESSION_TIMEOUT = "session_timeout"
    UNKNOWN_ERROR = "unknown_error"

    __str__ = str.__str__


class WarningType(str, Enum):
    """What a server warns of while the session goes on."""

    DURATION_LIMIT_EXCEEDED = "duration_limit_exceeded"
    UNSUPPORTED_TRANSLATION_PAIR = "unsupported_translation_pair"
    IDLE_TIMEOUT = "idle_timeout"
    SESSION_TIMEOUT = "session_timeout"
    EMPTY_TRANSLATION_TARGET_LIST = "empty_translation_target_list"
    ADD_AUDIO_AFTER_EOS = "add_audio_after_eos"
    SPEAKER_ID = "speaker_id"

    __str__ = str.__str__


class InfoType(str, Enum):
    """What a server tells right after the handshake."""

    RECOGNITION_QUALITY = "recognition_quality"
    CONCURRENT_SESSION_USAGE = "concurrent_session_usage"

    __str__ = str.__str__
