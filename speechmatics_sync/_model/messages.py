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
    """The messages that a client sends. AddAudio is a binary frame without JSON.

    Example:
        >>> client.start_session(audio_format=audio_format)
        >>> client.send_message({"message": ClientMessageType.GET_SPEAKERS, "final": True})
        >>> transcript = client.stop_session()
    """

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
    """The messages that a server sends, and for which handlers can be registered.

    Attributes:
        RECOGNITION_STARTED: The session has started: its id, and how the language is written.
        AUDIO_ADDED: A chunk of audio has arrived (``seq_no``).
        ADD_PARTIAL_TRANSCRIPT: What is heard at the moment; later ones may say otherwise.
        ADD_TRANSCRIPT: A final: words that do not change any more.
        END_OF_TRANSCRIPT: All audio is transcribed; the session has ended.
        END_OF_UTTERANCE: A speaker paused, or the end was forced.
        AUDIO_EVENT_STARTED: A sound other than speech begins.
        AUDIO_EVENT_ENDED: It has ended.
        ADD_TRANSLATION: A translated sentence.
        ADD_PARTIAL_TRANSLATION: The translation of what is heard at the moment.
        SPEAKERS_RESULT: The speakers heard so far, with their identifiers.
        LANGUAGE_INFO: How a recognised language is written.
        INFO: About the session, such as the quality of the audio; see `InfoType`.
        WARNING: Something is wrong, and the session goes on; see `WarningType`.
        ERROR: The session has ended; see `ErrorType`. It is raised as well.
        CHANNEL_AUDIO_ADDED: A chunk of a channel's audio has arrived (``channel``, ``seq_no``).

    Example:
        >>> @client.on(ServerMessageType.ADD_TRANSCRIPT)
        ... def show(message):
        ...     print(message["metadata"]["transcript"])
    """

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
    """Messages that the session itself gives to handlers; the server does not send them.

    Attributes:
        SOURCE_ERROR: The audio source of a channel failed, which ends the channel. Has ``channel``,
            ``reason`` (text) and ``error`` (the exception).
        RECONNECTING: The connection was lost, and the session reconnects. Has ``attempt`` (from 1),
            ``reason`` (text), and in seconds ``audio_time`` (the audio before it has finals),
            ``seconds_replayed`` (audio that is sent again) and ``seconds_lost`` (audio that is not
            available any more). The seconds are None for ``file`` audio.
        RECONNECTED: The session continues. Has the same fields, the server's new ``session_id``,
            and ``labels_restart``, which is True if the speakers have new labels from here on.

    Example:
        >>> @client.on(SessionEvent.RECONNECTING)
        ... def show(message):
        ...     print("The connection was lost:", message["reason"])
    """

    SOURCE_ERROR = "SourceError"
    RECONNECTING = "SessionReconnecting"
    RECONNECTED = "SessionReconnected"

    __str__ = str.__str__


class ErrorType(str, Enum):
    """The types of Error, which ends the session.

    Example:
        >>> ErrorType.QUOTA_EXCEEDED == "quota_exceeded"
        True
    """

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
    """The types of Warning, after which the session continues.

    Example:
        >>> @client.on(ServerMessageType.WARNING)
        ... def show(message):
        ...     if message["type"] == WarningType.IDLE_TIMEOUT:
        ...         print(message["reason"])
    """

    DURATION_LIMIT_EXCEEDED = "duration_limit_exceeded"
    UNSUPPORTED_TRANSLATION_PAIR = "unsupported_translation_pair"
    IDLE_TIMEOUT = "idle_timeout"
    SESSION_TIMEOUT = "session_timeout"
    EMPTY_TRANSLATION_TARGET_LIST = "empty_translation_target_list"
    ADD_AUDIO_AFTER_EOS = "add_audio_after_eos"
    SPEAKER_ID = "speaker_id"

    __str__ = str.__str__


class InfoType(str, Enum):
    """The types of Info, sent when the session starts.

    Example:
        >>> @client.on(ServerMessageType.INFO)
        ... def show(message):
        ...     if message["type"] == InfoType.RECOGNITION_QUALITY:
        ...         print(message["quality"])
    """

    RECOGNITION_QUALITY = "recognition_quality"
    CONCURRENT_SESSION_USAGE = "concurrent_session_usage"

    __str__ = str.__str__
