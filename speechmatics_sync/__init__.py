"""A blocking, threaded client for the Speechmatics Realtime API.

Example:
    >>> from speechmatics_sync import Client
    >>> with Client() as client:
    ...     transcript = client.transcribe("audio.wav")
    >>> print(transcript.text)

help(speechmatics_sync.Client) says more of a client, and so on for every name below.

Sessions:
    Client              one stream of audio: transcribe, stream, or send it yourself
    MultiChannelClient  several channels in one session, with a speaker each
    transcribe          one source from start to end, with a client of its own
    transcribe_many     many sources, several at a time
    Job                 what became of one of them
    Ledger              a file that keeps which of them are done
    Stream              the messages of a running session, one after another
    EventEmitter        the handlers that clients call: on, once, off
    SessionInfo         a session as it started
    SessionStats        the figures of a session
    ConnectionConfig    time limits, sizes, proxy and TLS of a connection
    ReconnectPolicy     when and how often to connect again

Audio:
    Source              the type of what is transcribed: a path, a file, bytes, an iterable
    AudioFormat         the format of the audio
    AudioEncoding       the encodings of raw samples
    Microphone          a source of what is spoken
    MicrophoneDevice    a device that records sound
    MicrophoneLevel     how loud it is
    open_audio          a source of any file, video or radio, decoded here
    DecodedAudio        what open_audio returns
    split_channels      a source for each channel of a recording
    WavReader           takes the header off pieces of a WAV file

Settings of a session:
    TranscriptionConfig TranslationConfig AudioEventsConfig MidSessionConfig
    AdditionalVocab AudioFilteringConfig ConversationConfig PunctuationOverrides
    SpeakerDiarizationConfig SpeakerIdentifier TranscriptFilteringConfig WordReplacement
    Diarization MaxDelayMode Model OperatingPoint

Keys:
    StaticKeyAuth       one API key; a key as a str is the same
    JWTAuth             temporary keys, fetched with the API key
    AuthBase            the base of keys of your own

Transcripts:
    Transcript          all that a session has transcribed: text, words, turns, files
    Word                a word, with its times and its speaker
    Turn                what one speaker said until another spoke
    Utterance           what was said until a pause
    Translation         the translated sentences of one language
    Match               a place that a search has found
    Player              a recording and its transcript, to click and listen

Captions and live text:
    Captions            the captions of a transcript
    Caption             one of them
    CaptionReport       which rules of good captions they break
    CaptionFault        one that is broken
    CaptionFile         a file of captions that grows
    LiveCaptions        captions while a session runs
    LiveText            lines while a session runs
    Line                what a speaker says until the end of a sentence
    LineBroadcast       lines for any number of web pages
    server_sent_event   one of them, as a web page receives it

Messages, which handlers and streams get as dicts:
    ServerMessageType   what the server sends
    ClientMessageType   what a client sends
    SessionEvent        what the session adds
    ErrorType WarningType InfoType
    AddTranscriptDict AddTranslationDict AlternativeDict AudioAddedDict AudioEventEndedDict
    AudioEventStartedDict ChannelAudioAddedDict EndOfTranscriptDict EndOfUtteranceDict
    LanguageInfoDict NoticeDict RecognitionStartedDict ReconnectDict ResultDict
    SourceErrorDict SpeakersResultDict

Messages as objects, made with from_message:
    TranscriptResult RecognitionMetadata RecognitionResult RecognitionAlternative
    RecognitionDisplay TranslationResult TranslatedSentence EndOfUtterance
    EndOfUtteranceMetadata AudioEvent SpeakersResult LanguageInfo LanguagePackInfo
    RecognitionStarted ErrorMessage WarningMessage InfoMessage

Errors:
    SpeechmaticsError   the base of all; its help is an address within the documentation
    ConfigurationError  a setting is missing or not allowed
    AuthenticationError the server refused the key
    ConnectionError     no connection, or one that was lost for good
    TimeoutError        a time limit passed
    TransportError      the server broke the protocol
    TranscriptionError  the server ended the session with an Error
    AudioError          a source cannot be read, or is no audio
    SessionError        not possible in this state of the session
    EndOfTranscriptError the session has ended

Observing all sessions of a program:
    observe_sessions    be told when they begin, change and end
    ObservedSession     the session that something happened to
    SessionChange       what happened

Modules beside this one: speechmatics_sync.local (a server on this machine, for tests and for
work without a key), speechmatics_sync.telemetry (OpenTelemetry), speechmatics_sync.legacy (for
programs of speechmatics-python) and speechmatics_sync.cli (the command line).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ._audio.splitting import split_channels
from ._auth.jwt import JWTAuth
from ._auth.keys import AuthBase, StaticKeyAuth
from ._client.client import Client, transcribe
from ._client.event_emitter import EventEmitter
from ._client.multichannel import MultiChannelClient
from ._client.observers import observe_sessions
from ._concurrency.importing import import_modules
from ._help import module_dir
from ._model.audio_format import AudioEncoding, AudioFormat
from ._model.connection_config import ConnectionConfig
from ._model.messages import (
    ClientMessageType,
    ErrorType,
    InfoType,
    ServerMessageType,
    SessionEvent,
    WarningType,
)
from ._model.notices import ErrorMessage, InfoMessage, WarningMessage
from ._model.observed import ObservedSession, SessionChange
from ._model.reconnect_policy import ReconnectPolicy
from ._model.results import (
    AudioEvent,
    EndOfUtterance,
    EndOfUtteranceMetadata,
    LanguageInfo,
    RecognitionAlternative,
    RecognitionDisplay,
    RecognitionMetadata,
    RecognitionResult,
    SpeakersResult,
    TranscriptResult,
    TranslatedSentence,
    TranslationResult,
)
from ._model.session_info import LanguagePackInfo, RecognitionStarted, SessionInfo
from ._model.speakers import SpeakerDiarizationConfig, SpeakerIdentifier
from ._model.stats import SessionStats
from ._model.transcription_config import (
    AdditionalVocab,
    AudioEventsConfig,
    AudioFilteringConfig,
    ConversationConfig,
    Diarization,
    MaxDelayMode,
    MidSessionConfig,
    Model,
    OperatingPoint,
    PunctuationOverrides,
    TranscriptFilteringConfig,
    TranscriptionConfig,
    TranslationConfig,
    WordReplacement,
)
from ._model.typing import Source
from ._transcript.transcript import (
    Transcript,
    Translation,
    _Final,  # noqa: F401  (see the end of this file)
)
from ._transcript.turns import Turn
from ._transcript.utterances import Utterance
from ._transcript.words import Word
from ._version import __version__
from .errors import (
    AudioError,
    AuthenticationError,
    ConfigurationError,
    EndOfTranscriptError,
    SessionError,
    SpeechmaticsError,
    TranscriptionError,
    TransportError,
)
from .errors import ConnectionError as ConnectionError
from .errors import TimeoutError as TimeoutError

if TYPE_CHECKING:
    from ._audio.microphone import Microphone, MicrophoneDevice, MicrophoneLevel
    from ._audio.open_audio import DecodedAudio, open_audio
    from ._audio.wav_reader import WavReader
    from ._client.stream import Stream
    from ._many.jobs import Job
    from ._many.ledger import Ledger
    from ._many.transcribing import transcribe_many
    from ._model.message_types import (
        AddTranscriptDict,
        AddTranslationDict,
        AlternativeDict,
        AudioAddedDict,
        AudioEventEndedDict,
        AudioEventStartedDict,
        ChannelAudioAddedDict,
        EndOfTranscriptDict,
        EndOfUtteranceDict,
        LanguageInfoDict,
        NoticeDict,
        RecognitionStartedDict,
        ReconnectDict,
        ResultDict,
        SourceErrorDict,
        SpeakersResultDict,
    )
    from ._transcript.captions.captions import Caption, CaptionFault, CaptionReport, Captions
    from ._transcript.captions.files import CaptionFile
    from ._transcript.captions.live_captions import LiveCaptions
    from ._transcript.lines import Line, LiveText
    from ._transcript.searching import Match
    from ._transcript.server_sent_events import LineBroadcast, server_sent_event
    from ._transcript.views.player import Player

__all__ = [
    "AddTranscriptDict",
    "AddTranslationDict",
    "AdditionalVocab",
    "AlternativeDict",
    "AudioAddedDict",
    "AudioEncoding",
    "AudioError",
    "AudioEvent",
    "AudioEventEndedDict",
    "AudioEventStartedDict",
    "AudioEventsConfig",
    "AudioFilteringConfig",
    "AudioFormat",
    "AuthBase",
    "AuthenticationError",
    "Caption",
    "CaptionFault",
    "CaptionFile",
    "CaptionReport",
    "Captions",
    "ChannelAudioAddedDict",
    "Client",
    "ClientMessageType",
    "ConfigurationError",
    "ConnectionConfig",
    "ConversationConfig",
    "DecodedAudio",
    "Diarization",
    "EndOfTranscriptDict",
    "EndOfTranscriptError",
    "EndOfUtterance",
    "EndOfUtteranceDict",
    "EndOfUtteranceMetadata",
    "ErrorMessage",
    "ErrorType",
    "EventEmitter",
    "InfoMessage",
    "InfoType",
    "JWTAuth",
    "Job",
    "LanguageInfo",
    "LanguageInfoDict",
    "LanguagePackInfo",
    "Ledger",
    "Line",
    "LineBroadcast",
    "LiveCaptions",
    "LiveText",
    "Match",
    "MaxDelayMode",
    "Microphone",
    "MicrophoneDevice",
    "MicrophoneLevel",
    "MidSessionConfig",
    "Model",
    "MultiChannelClient",
    "NoticeDict",
    "ObservedSession",
    "OperatingPoint",
    "Player",
    "PunctuationOverrides",
    "RecognitionAlternative",
    "RecognitionDisplay",
    "RecognitionMetadata",
    "RecognitionResult",
    "RecognitionStarted",
    "RecognitionStartedDict",
    "ReconnectDict",
    "ReconnectPolicy",
    "ResultDict",
    "ServerMessageType",
    "SessionChange",
    "SessionError",
    "SessionEvent",
    "SessionInfo",
    "SessionStats",
    "Source",
    "SourceErrorDict",
    "SpeakerDiarizationConfig",
    "SpeakerIdentifier",
    "SpeakersResult",
    "SpeakersResultDict",
    "SpeechmaticsError",
    "StaticKeyAuth",
    "Stream",
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
    "Utterance",
    "WarningMessage",
    "WarningType",
    "WavReader",
    "Word",
    "WordReplacement",
    "__version__",
    "observe_sessions",
    "open_audio",
    "server_sent_event",
    "split_channels",
    "transcribe",
    "transcribe_many",
]


_HIDE_BUILT_INS = ["ConnectionError", "TimeoutError"]
"""Public as well, but not taken by ``from speechmatics_sync import *``."""

_LOADED_WHEN_NAMED = {
    "AddTranscriptDict": "_model.message_types",
    "AddTranslationDict": "_model.message_types",
    "AlternativeDict": "_model.message_types",
    "AudioAddedDict": "_model.message_types",
    "AudioEventEndedDict": "_model.message_types",
    "AudioEventStartedDict": "_model.message_types",
    "Caption": "_transcript.captions.captions",
    "CaptionFault": "_transcript.captions.captions",
    "CaptionFile": "_transcript.captions.files",
    "CaptionReport": "_transcript.captions.captions",
    "Captions": "_transcript.captions.captions",
    "ChannelAudioAddedDict": "_model.message_types",
    "DecodedAudio": "_audio.open_audio",
    "EndOfTranscriptDict": "_model.message_types",
    "EndOfUtteranceDict": "_model.message_types",
    "LanguageInfoDict": "_model.message_types",
    "Job": "_many.jobs",
    "Ledger": "_many.ledger",
    "Line": "_transcript.lines",
    "LineBroadcast": "_transcript.server_sent_events",
    "LiveCaptions": "_transcript.captions.live_captions",
    "LiveText": "_transcript.lines",
    "Match": "_transcript.searching",
    "Microphone": "_audio.microphone",
    "MicrophoneDevice": "_audio.microphone",
    "MicrophoneLevel": "_audio.microphone",
    "Player": "_transcript.views.player",
    "NoticeDict": "_model.message_types",
    "RecognitionStartedDict": "_model.message_types",
    "ReconnectDict": "_model.message_types",
    "ResultDict": "_model.message_types",
    "SourceErrorDict": "_model.message_types",
    "SpeakersResultDict": "_model.message_types",
    "Stream": "_client.stream",
    "WavReader": "_audio.wav_reader",
    "open_audio": "_audio.open_audio",
    "server_sent_event": "_transcript.server_sent_events",
    "transcribe_many": "_many.transcribing",
}
"""Few programs name these, and what they are made of takes time to load."""


def __getattr__(name: str) -> object:
    if name not in _LOADED_WHEN_NAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = f"{__name__}.{_LOADED_WHEN_NAMED[name]}"
    import_modules(module)
    public: object = getattr(sys.modules[module], name)
    return public


__dir__ = module_dir(__name__, *_HIDE_BUILT_INS, page=True)


# Tracebacks, help() and pickles name the place that users import from.
for _name in (*__all__, *_HIDE_BUILT_INS):
    _public = globals().get(_name)
    if callable(_public):
        _public.__module__ = __name__
del _name, _public  # pyright: ignore[reportPossiblyUnboundVariable]

# Pickles made by version 0.1 look for classes in these modules, which no longer exist, and for
# `_Final` in the pickle of a transcript.
for _former in ("config", "messages", "results", "stats", "transcript"):
    sys.modules[f"{__name__}.{_former}"] = sys.modules[__name__]
