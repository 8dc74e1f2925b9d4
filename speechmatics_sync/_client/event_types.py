"""The types of `EventEmitter.on` and `once`: each known event with the dict that its handlers get.

For type checkers and editors alone; nothing of this is needed to run.
"""

# mypy: disable-error-code="overload-overlap"

from __future__ import annotations

from typing import Any, Callable, Literal, Protocol, TypeVar, Union, overload

from .._model.message_types import (
    AddTranscriptDict,
    AddTranslationDict,
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
    SourceErrorDict,
    SpeakersResultDict,
)
from .._model.messages import ServerMessageType, SessionEvent

__all__ = ["Register"]

Handler = Callable[[dict[str, Any]], object]
HandlerT = TypeVar("HandlerT", bound=Handler)

Transcript = Literal[
    ServerMessageType.ADD_TRANSCRIPT,
    "AddTranscript",
    ServerMessageType.ADD_PARTIAL_TRANSCRIPT,
    "AddPartialTranscript",
]
TranscriptHandler = Callable[[AddTranscriptDict], object]
TranscriptT = TypeVar("TranscriptT", bound=Union[TranscriptHandler, Handler])
Translation = Literal[
    ServerMessageType.ADD_TRANSLATION,
    "AddTranslation",
    ServerMessageType.ADD_PARTIAL_TRANSLATION,
    "AddPartialTranslation",
]
TranslationHandler = Callable[[AddTranslationDict], object]
TranslationT = TypeVar("TranslationT", bound=Union[TranslationHandler, Handler])
Started = Literal[ServerMessageType.RECOGNITION_STARTED, "RecognitionStarted"]
StartedHandler = Callable[[RecognitionStartedDict], object]
StartedT = TypeVar("StartedT", bound=Union[StartedHandler, Handler])
AudioAdded = Literal[ServerMessageType.AUDIO_ADDED, "AudioAdded"]
AudioAddedHandler = Callable[[AudioAddedDict], object]
AudioAddedT = TypeVar("AudioAddedT", bound=Union[AudioAddedHandler, Handler])
ChannelAudioAdded = Literal[ServerMessageType.CHANNEL_AUDIO_ADDED, "ChannelAudioAdded"]
ChannelAudioAddedHandler = Callable[[ChannelAudioAddedDict], object]
ChannelAudioAddedT = TypeVar("ChannelAudioAddedT", bound=Union[ChannelAudioAddedHandler, Handler])
EndOfTranscript = Literal[ServerMessageType.END_OF_TRANSCRIPT, "EndOfTranscript"]
EndOfTranscriptHandler = Callable[[EndOfTranscriptDict], object]
EndOfTranscriptT = TypeVar("EndOfTranscriptT", bound=Union[EndOfTranscriptHandler, Handler])
EndOfUtterance = Literal[ServerMessageType.END_OF_UTTERANCE, "EndOfUtterance"]
EndOfUtteranceHandler = Callable[[EndOfUtteranceDict], object]
EndOfUtteranceT = TypeVar("EndOfUtteranceT", bound=Union[EndOfUtteranceHandler, Handler])
EventStarted = Literal[ServerMessageType.AUDIO_EVENT_STARTED, "AudioEventStarted"]
EventStartedHandler = Callable[[AudioEventStartedDict], object]
EventStartedT = TypeVar("EventStartedT", bound=Union[EventStartedHandler, Handler])
EventEnded = Literal[ServerMessageType.AUDIO_EVENT_ENDED, "AudioEventEnded"]
EventEndedHandler = Callable[[AudioEventEndedDict], object]
EventEndedT = TypeVar("EventEndedT", bound=Union[EventEndedHandler, Handler])
Speakers = Literal[ServerMessageType.SPEAKERS_RESULT, "SpeakersResult"]
SpeakersHandler = Callable[[SpeakersResultDict], object]
SpeakersT = TypeVar("SpeakersT", bound=Union[SpeakersHandler, Handler])
Language = Literal[ServerMessageType.LANGUAGE_INFO, "LanguageInfo"]
LanguageHandler = Callable[[LanguageInfoDict], object]
LanguageT = TypeVar("LanguageT", bound=Union[LanguageHandler, Handler])
Notice = Literal[
    ServerMessageType.INFO,
    "Info",
    ServerMessageType.WARNING,
    "Warning",
    ServerMessageType.ERROR,
    "Error",
]
NoticeHandler = Callable[[NoticeDict], object]
NoticeT = TypeVar("NoticeT", bound=Union[NoticeHandler, Handler])
Reconnect = Literal[
    SessionEvent.RECONNECTING, "SessionReconnecting", SessionEvent.RECONNECTED, "SessionReconnected"
]
ReconnectHandler = Callable[[ReconnectDict], object]
ReconnectT = TypeVar("ReconnectT", bound=Union[ReconnectHandler, Handler])
SourceError = Literal[SessionEvent.SOURCE_ERROR, "SourceError"]
SourceErrorHandler = Callable[[SourceErrorDict], object]
SourceErrorT = TypeVar("SourceErrorT", bound=Union[SourceErrorHandler, Handler])


class Register(Protocol):
    """Adds a handler for an event, or makes a decorator that does."""

    @overload
    def __call__(self, event: Transcript, callback: TranscriptHandler) -> TranscriptHandler: ...
    @overload
    def __call__(self, event: Transcript, callback: TranscriptT) -> TranscriptT: ...
    @overload
    def __call__(
        self, event: Transcript, callback: None = None
    ) -> Callable[[TranscriptT], TranscriptT]: ...
    @overload
    def __call__(self, event: Translation, callback: TranslationHandler) -> TranslationHandler: ...
    @overload
    def __call__(self, event: Translation, callback: TranslationT) -> TranslationT: ...
    @overload
    def __call__(
        self, event: Translation, callback: None = None
    ) -> Callable[[TranslationT], TranslationT]: ...
    @overload
    def __call__(self, event: Started, callback: StartedHandler) -> StartedHandler: ...
    @overload
    def __call__(self, event: Started, callback: StartedT) -> StartedT: ...
    @overload
    def __call__(self, event: Started, callback: None = None) -> Callable[[StartedT], StartedT]: ...
    @overload
    def __call__(self, event: AudioAdded, callback: AudioAddedHandler) -> AudioAddedHandler: ...
    @overload
    def __call__(self, event: AudioAdded, callback: AudioAddedT) -> AudioAddedT: ...
    @overload
    def __call__(
        self, event: AudioAdded, callback: None = None
    ) -> Callable[[AudioAddedT], AudioAddedT]: ...
    @overload
    def __call__(
        self, event: ChannelAudioAdded, callback: ChannelAudioAddedHandler
    ) -> ChannelAudioAddedHandler: ...
    @overload
    def __call__(
        self, event: ChannelAudioAdded, callback: ChannelAudioAddedT
    ) -> ChannelAudioAddedT: ...
    @overload
    def __call__(
        self, event: ChannelAudioAdded, callback: None = None
    ) -> Callable[[ChannelAudioAddedT], ChannelAudioAddedT]: ...
    @overload
    def __call__(
        self, event: EndOfTranscript, callback: EndOfTranscriptHandler
    ) -> EndOfTranscriptHandler: ...
    @overload
    def __call__(self, event: EndOfTranscript, callback: EndOfTranscriptT) -> EndOfTranscriptT: ...
    @overload
    def __call__(
        self, event: EndOfTranscript, callback: None = None
    ) -> Callable[[EndOfTranscriptT], EndOfTranscriptT]: ...
    @overload
    def __call__(
        self, event: EndOfUtterance, callback: EndOfUtteranceHandler
    ) -> EndOfUtteranceHandler: ...
    @overload
    def __call__(self, event: EndOfUtterance, callback: EndOfUtteranceT) -> EndOfUtteranceT: ...
    @overload
    def __call__(
        self, event: EndOfUtterance, callback: None = None
    ) -> Callable[[EndOfUtteranceT], EndOfUtteranceT]: ...
    @overload
    def __call__(
        self, event: EventStarted, callback: EventStartedHandler
    ) -> EventStartedHandler: ...
    @overload
    def __call__(self, event: EventStarted, callback: EventStartedT) -> EventStartedT: ...
    @overload
    def __call__(
        self, event: EventStarted, callback: None = None
    ) -> Callable[[EventStartedT], EventStartedT]: ...
    @overload
    def __call__(self, event: EventEnded, callback: EventEndedHandler) -> EventEndedHandler: ...
    @overload
    def __call__(self, event: EventEnded, callback: EventEndedT) -> EventEndedT: ...
    @overload
    def __call__(
        self, event: EventEnded, callback: None = None
    ) -> Callable[[EventEndedT], EventEndedT]: ...
    @overload
    def __call__(self, event: Speakers, callback: SpeakersHandler) -> SpeakersHandler: ...
    @overload
    def __call__(self, event: Speakers, callback: SpeakersT) -> SpeakersT: ...
    @overload
    def __call__(
        self, event: Speakers, callback: None = None
    ) -> Callable[[SpeakersT], SpeakersT]: ...
    @overload
    def __call__(self, event: Language, callback: LanguageHandler) -> LanguageHandler: ...
    @overload
    def __call__(self, event: Language, callback: LanguageT) -> LanguageT: ...
    @overload
    def __call__(
        self, event: Language, callback: None = None
    ) -> Callable[[LanguageT], LanguageT]: ...
    @overload
    def __call__(self, event: Notice, callback: NoticeHandler) -> NoticeHandler: ...
    @overload
    def __call__(self, event: Notice, callback: NoticeT) -> NoticeT: ...
    @overload
    def __call__(self, event: Notice, callback: None = None) -> Callable[[NoticeT], NoticeT]: ...
    @overload
    def __call__(self, event: Reconnect, callback: ReconnectHandler) -> ReconnectHandler: ...
    @overload
    def __call__(self, event: Reconnect, callback: ReconnectT) -> ReconnectT: ...
    @overload
    def __call__(
        self, event: Reconnect, callback: None = None
    ) -> Callable[[ReconnectT], ReconnectT]: ...
    @overload
    def __call__(self, event: SourceError, callback: SourceErrorHandler) -> SourceErrorHandler: ...
    @overload
    def __call__(self, event: SourceError, callback: SourceErrorT) -> SourceErrorT: ...
    @overload
    def __call__(
        self, event: SourceError, callback: None = None
    ) -> Callable[[SourceErrorT], SourceErrorT]: ...
    @overload
    def __call__(self, event: str, callback: HandlerT) -> HandlerT: ...
    @overload
    def __call__(self, event: str, callback: None = None) -> Callable[[HandlerT], HandlerT]: ...
