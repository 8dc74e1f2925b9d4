"""What the server tells, as objects: transcripts, translations, events, speakers, notices.

Every class reads itself from the plain dict that handlers receive (`from_message`, `from_dict`)
and turns back into one (`to_dict`). Fields that this version does not know stay in ``extra``, so
that nothing is lost. Values are taken as they come (a type or language that no document names is
no error); only a missing or mistyped field is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field
from functools import cache
from typing import Annotated, Any, ClassVar, Optional, TypeVar

from ..errors import TransportError
from .checks import ByFields, Check, Unfit, declared, flag, listed, mapping, number, text
from .config import SpeakerIdentifier

__all__ = [
    "AudioEvent",
    "EndOfUtterance",
    "EndOfUtteranceMetadata",
    "ErrorMessage",
    "InfoMessage",
    "LanguageInfo",
    "LanguagePackInfo",
    "RecognitionAlternative",
    "RecognitionDisplay",
    "RecognitionMetadata",
    "RecognitionResult",
    "RecognitionStarted",
    "SpeakersResult",
    "TranscriptResult",
    "TranslatedSentence",
    "TranslationResult",
    "WarningMessage",
]

_R = TypeVar("_R", bound="_Received")
_M = TypeVar("_M", bound="_Message")


class _Received(ByFields):
    """A dataclass read from what a server sent."""

    extra: dict[str, Any]

    @classmethod
    def from_dict(cls: type[_R], data: Mapping[str, Any]) -> _R:
        """The object that a plain dict stands for.

        Raises:
            TransportError: A field is missing or has the wrong type; the message names it.
        """
        with _reading(cls.__name__):
            return _read(cls, data)

    def to_dict(self) -> dict[str, Any]:
        """The plain dict again; fields that are None are left out."""
        plain: dict[str, Any] = {}
        for known in declared(type(self)):
            value = getattr(self, known.name)
            if value is not None:
                plain[known.key] = _plain(value)
        return {**plain, **self.extra}


class _Message(_Received):
    """A whole message; its first name is the one that `to_dict` gives."""

    MESSAGES: ClassVar[tuple[str, ...]]

    @classmethod
    def from_message(cls: type[_M], message: Mapping[str, Any]) -> _M:
        """The object that a server's message stands for.

        Args:
            message: The message as handlers receive it.

        Raises:
            TransportError: It is another message, or a field is missing or has the wrong type.
        """
        with _reading(cls.__name__):
            content = mapping(message)
            name = content.pop("message", None)
            if name not in cls.MESSAGES:
                raise Unfit(name, " or ".join(cls.MESSAGES), path="message")
        with _reading(name):
            return cls._from_content(name, content)

    @classmethod
    def _from_content(cls: type[_M], name: str, content: dict[str, Any]) -> _M:
        return _read(cls, content)

    def _name(self) -> str:
        return self.MESSAGES[0]

    def to_dict(self) -> dict[str, Any]:
        """The message again; fields that are None are left out."""
        return {"message": self._name(), **super().to_dict()}


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except Unfit as unfit:
        raise TransportError(f"the server broke the protocol: {unfit.within(name)}") from None
    except RecursionError:
        raise TransportError(f"the server broke the protocol: {name} is nested too deep") from None


def _read(cls: type[_R], data: Any) -> _R:
    if not isinstance(data, Mapping):
        raise Unfit(data, "an object")
    values: dict[str, Any] = {}
    rest = values["extra"] = dict(data)
    for known in declared(cls):
        value = rest.pop(known.key, None)
        if value is None and known.default is not MISSING:
            continue
        try:
            values[known.name] = known.check(value)
        except Unfit as unfit:
            raise unfit.within(known.key) from None
    return cls(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, _Received):
        return value.to_dict()
    if isinstance(value, SpeakerIdentifier):  # its own to_dict is for what we send
        identifiers = list(value.speaker_identifiers)
        return {"label": value.label, "speaker_identifiers": identifiers, **value.extra}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _part(cls: type[_Received]) -> Check:
    return lambda value: _read(cls, value)


_text = text()
_number = number()
_integer = number(whole=True)


def _results(value: Any) -> Any:
    return listed(_part(RecognitionResult))(value)


@dataclass(eq=False, repr=False)
class RecognitionDisplay(_Received):
    """How a word is to be shown: ``direction`` is ``ltr`` or ``rtl``."""

    direction: Annotated[str, _text] = "ltr"
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class RecognitionAlternative(_Received):
    """One reading of a word or mark.

    Args:
        content: The word or mark.
        confidence: From 0 to 1; of no meaning in a partial.
        language: ISO code.
        display: How to show it.
        speaker: Who said it, with diarization.
        tags: ``disfluency``, ``profanity``.
        extra: Fields that this version does not know.
    """

    content: Annotated[str, _text]
    confidence: Annotated[float, _number]
    language: Annotated[Optional[str], _text] = None
    display: Annotated[Optional[RecognitionDisplay], _part(RecognitionDisplay)] = None
    speaker: Annotated[Optional[str], _text] = None
    tags: Annotated[Optional[list[str]], listed(_text)] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class RecognitionResult(_Received):
    """A word, a punctuation mark or an entity.

    Args:
        type: ``word``, ``punctuation`` or ``entity``.
        start_time: Seconds from the beginning of the audio.
        end_time: Seconds from the beginning of the audio.
        channel: The channel's label, in a session of several.
        attaches_to: Where no delimiter goes: ``previous``, ``next``, ``both`` or ``none``.
        is_eos: Whether a mark ends the sentence.
        alternatives: Readings, the best first.
        score: As the server gives it.
        volume: From 0 to 100.
        entity_class: Of an entity: ``date``, ``money``, ``number`` …
        spoken_form: Of an entity: the words as they were said.
        written_form: Of an entity: the words as they are written.
        extra: Fields that this version does not know.
    """

    type: Annotated[str, _text]
    start_time: Annotated[float, _number]
    end_time: Annotated[float, _number]
    channel: Annotated[Optional[str], _text] = None
    attaches_to: Annotated[Optional[str], _text] = None
    is_eos: Annotated[Optional[bool], flag] = None
    alternatives: Annotated[
        Optional[list[RecognitionAlternative]], listed(_part(RecognitionAlternative))
    ] = None
    score: Annotated[Optional[float], _number] = None
    volume: Annotated[Optional[float], _number] = None
    entity_class: Annotated[Optional[str], _text] = None
    spoken_form: Annotated[Optional[list[RecognitionResult]], _results] = None
    written_form: Annotated[Optional[list[RecognitionResult]], _results] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class RecognitionMetadata(_Received):
    """The segment that a transcript covers, in seconds, and its text."""

    start_time: Annotated[float, _number]
    end_time: Annotated[float, _number]
    transcript: Annotated[str, _text]
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class TranscriptResult(_Message):
    """An AddTranscript or AddPartialTranscript.

    Args:
        metadata: The segment and its text.
        results: Words, marks and entities.
        format: Version of the output format.
        is_final: Whether it will not change any more (AddTranscript).
        channel: The channel's label, wherever the message had it.
        forced: True if `force_end_of_utterance` asked for it.
        extra: Fields that this version does not know.

    Example:
        >>> result = TranscriptResult.from_message({
        ...     "message": "AddTranscript",
        ...     "metadata": {"start_time": 0.0, "end_time": 1.2, "transcript": "Hello. "},
        ...     "results": [],
        ... })
        >>> result.metadata.transcript, result.is_final
        ('Hello. ', True)
    """

    MESSAGES: ClassVar[tuple[str, ...]] = ("AddTranscript", "AddPartialTranscript")

    metadata: Annotated[RecognitionMetadata, _part(RecognitionMetadata)]
    results: Annotated[list[RecognitionResult], _results]
    format: Annotated[Optional[str], _text] = None
    is_final: bool = False
    channel: Annotated[Optional[str], _text] = None
    forced: Annotated[Optional[bool], flag] = None
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def _from_content(cls, name: str, content: dict[str, Any]) -> TranscriptResult:
        result = super()._from_content(name, content)
        result.is_final = name == "AddTranscript"
        if result.channel is None:
            labels = (part.channel for part in result.results)
            result.channel = next((label for label in labels if label is not None), None)
        return result

    def _name(self) -> str:
        return self.MESSAGES[0 if self.is_final else 1]


def check_final(message: Mapping[str, Any]) -> None:
    """Refuse an AddTranscript that is malformed.

    Raises:
        TransportError: As from `TranscriptResult.from_message`.
    """
    if not _glance_at_final()(message):
        TranscriptResult.from_message(message)


class _Glance:
    """Sees that what was sent is well-formed, in its usual shape: True is certain, False is not.

    Reading it would tell as well, and make objects that nobody keeps: for a final of six words
    in 45 µs, and not in 5.

    Args:
        cls: What is to be read from it.
        parts: Fields that hold a list or a dict of parts: which of both, and the glance at one.
    """

    def __init__(self, cls: type, **parts: tuple[type, _Glance]) -> None:
        fields = declared(cls)
        self._needed = {known.key for known in fields if known.default is MISSING}
        self._kinds = {known.key: _KINDS.get(known.check) for known in fields}
        self._parts = {key: glance for key, (_, glance) in parts.items()}
        self._kinds.update((key, kind) for key, (kind, _) in parts.items())

    def __call__(self, sent: Any) -> bool:
        if type(sent) is not dict or not self._needed <= sent.keys():
            return False
        for key, value in sent.items():
            if key not in self._kinds:
                continue
            kind, usual = type(value), self._kinds[key]
            if kind is int and usual is float:
                if abs(value) > _PLAIN_INTEGER:
                    return False
            elif kind is not usual:
                return False
            elif kind is float:
                if value - value != 0.0:  # infinite
                    return False
            elif kind is list:
                if not all(map(self._parts[key], value)):
                    return False
            elif kind is dict and not self._parts[key](value):
                return False
        return True


_PLAIN_INTEGER = 1_000_000_000
"""Much longer ones are no float, which is for the checks to say."""

_KINDS: dict[Check, type] = {_text: str, _number: float, flag: bool}


@cache
def _glance_at_final() -> _Glance:
    display = _Glance(RecognitionDisplay)
    alternative = _Glance(RecognitionAlternative, display=(dict, display))
    result = _Glance(RecognitionResult, alternatives=(list, alternative))
    metadata = _Glance(RecognitionMetadata)
    return _Glance(TranscriptResult, metadata=(dict, metadata), results=(list, result))


@dataclass(eq=False, repr=False)
class TranslatedSentence(_Received):
    """A translated sentence; its times, in seconds, are those of what was said."""

    content: Annotated[str, _text]
    start_time: Annotated[float, _number]
    end_time: Annotated[float, _number]
    speaker: Annotated[Optional[str], _text] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class TranslationResult(_Message):
    """An AddTranslation or AddPartialTranslation.

    Args:
        language: ISO code of the translation.
        results: Its sentences.
        format: Version of the output format.
        is_final: Whether it will not change any more (AddTranslation).
        extra: Fields that this version does not know.
    """

    MESSAGES: ClassVar[tuple[str, ...]] = ("AddTranslation", "AddPartialTranslation")

    language: Annotated[str, _text]
    results: Annotated[list[TranslatedSentence], listed(_part(TranslatedSentence))]
    format: Annotated[Optional[str], _text] = None
    is_final: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def _from_content(cls, name: str, content: dict[str, Any]) -> TranslationResult:
        result = super()._from_content(name, content)
        result.is_final = name == "AddTranslation"
        return result

    def _name(self) -> str:
        return self.MESSAGES[0 if self.is_final else 1]


@dataclass(eq=False, repr=False)
class LanguagePackInfo(_Received):
    """How the language of the session is written.

    Args:
        word_delimiter: What stands between two words; empty in Japanese, for one.
        language_description: The language's name.
        writing_direction: ``left-to-right`` or ``right-to-left``.
        itn: Whether numbers, dates and the like can be written as such.
        adapted: Whether the language model was adapted.
        extra: Fields that this version does not know.
    """

    word_delimiter: Annotated[str, _text] = " "
    language_description: Annotated[Optional[str], _text] = None
    writing_direction: Annotated[Optional[str], _text] = None
    itn: Annotated[Optional[bool], flag] = None
    adapted: Annotated[Optional[bool], flag] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class RecognitionStarted(_Message):
    """The session has begun.

    Args:
        id: The server's id of the session.
        orchestrator_version: Version of the engine.
        language_pack_info: How the language is written.
        channels: The labels of the channels (``channel_ids`` or ``channels`` on the wire).
        extra: Fields that this version does not know.
    """

    MESSAGES: ClassVar[tuple[str, ...]] = ("RecognitionStarted",)

    id: Annotated[Optional[str], _text] = None
    orchestrator_version: Annotated[Optional[str], _text] = None
    language_pack_info: Annotated[Optional[LanguagePackInfo], _part(LanguagePackInfo)] = None
    channels: Annotated[Optional[list[str]], listed(_text), "channel_ids"] = None
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def _from_content(cls, name: str, content: dict[str, Any]) -> RecognitionStarted:
        if content.get("channel_ids") is None and "channels" in content:
            content["channel_ids"] = content.pop("channels")
        return super()._from_content(name, content)


@dataclass(eq=False, repr=False)
class LanguageInfo(_Message):
    """How a language that was heard is written; comes before its first transcript."""

    MESSAGES: ClassVar[tuple[str, ...]] = ("LanguageInfo",)

    language: Annotated[str, _text]
    word_delimiter: Annotated[str, _text] = " "
    writing_direction: Annotated[Optional[str], _text] = None
    partial: Annotated[Optional[bool], flag] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class EndOfUtteranceMetadata(_Received):
    """When the end of an utterance was found, in seconds; both are the same."""

    start_time: Annotated[Optional[float], _number] = None
    end_time: Annotated[Optional[float], _number] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class EndOfUtterance(_Message):
    """Somebody stopped talking, or `force_end_of_utterance` said so (``forced``)."""

    MESSAGES: ClassVar[tuple[str, ...]] = ("EndOfUtterance",)

    metadata: Annotated[EndOfUtteranceMetadata, _part(EndOfUtteranceMetadata)]
    channel: Annotated[Optional[str], _text] = None
    forced: Annotated[Optional[bool], flag] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class AudioEvent(_Received):
    """A sound other than speech.

    Args:
        type: ``music``, ``applause``, ``laughter`` …
        start_time: Seconds; None in an AudioEventEnded, which does not repeat it.
        end_time: Seconds; None while it lasts.
        confidence: From 0 to 1.
        channel: The channel's label, in a session of several.
        extra: Fields that this version does not know.
    """

    type: Annotated[str, _text]
    start_time: Annotated[Optional[float], _number] = None
    end_time: Annotated[Optional[float], _number] = None
    confidence: Annotated[Optional[float], _number] = None
    channel: Annotated[Optional[str], _text] = None
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> AudioEvent:
        """The start or the end that an AudioEventStarted or AudioEventEnded reports.

        Raises:
            TransportError: It is another message, or a field is missing or has the wrong type.
        """
        notice = _AudioEventMessage.from_message(message)
        event = notice.event
        name = message["message"]
        started = name == "AudioEventStarted"
        with _reading(f"{name}.event"):
            for key in ("start_time", "confidence") if started else ("end_time",):
                if getattr(event, key) is None:
                    raise Unfit(None, "a finite number", path=key)
        event.channel = notice.channel if event.channel is None else event.channel
        return event


@dataclass(eq=False, repr=False)
class _AudioEventMessage(_Message):
    """An AudioEventStarted or AudioEventEnded."""

    MESSAGES: ClassVar[tuple[str, ...]] = ("AudioEventStarted", "AudioEventEnded")

    event: Annotated[AudioEvent, _part(AudioEvent)]
    channel: Annotated[Optional[str], _text] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class SpeakersResult(_Message):
    """The voices heard so far: what `get_speakers` answers."""

    MESSAGES: ClassVar[tuple[str, ...]] = ("SpeakersResult",)

    speakers: Annotated[list[SpeakerIdentifier], listed(SpeakerIdentifier._received)]
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class _Notice(_Message):
    """What an Info, a Warning and an Error have in common."""

    type: Annotated[str, _text]
    reason: Annotated[str, _text]
    code: Annotated[Optional[int], _integer] = None
    seq_no: Annotated[Optional[int], _integer] = None


@dataclass(eq=False, repr=False)
class InfoMessage(_Notice):
    """An Info: ``type`` says which (`InfoType`), ``reason`` is for people.

    Args:
        type: Which Info.
        reason: In words.
        code: A number for it.
        seq_no: The message or chunk it speaks of.
        quality: Of ``recognition_quality``: ``telephony`` or ``broadcast``.
        usage: Of ``concurrent_session_usage``: sessions running.
        quota: Of ``concurrent_session_usage``: sessions allowed.
        last_updated: Of ``concurrent_session_usage``: as of when, in UTC; may be empty.
        region: Of ``concurrent_session_usage``: where.
        extra: Fields that this version does not know.
    """

    MESSAGES: ClassVar[tuple[str, ...]] = ("Info",)

    quality: Annotated[Optional[str], _text] = None
    usage: Annotated[Optional[float], _number] = None
    quota: Annotated[Optional[float], _number] = None
    last_updated: Annotated[Optional[str], _text] = None
    region: Annotated[Optional[str], _text] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class WarningMessage(_Notice):
    """A Warning (`WarningType`); the session goes on.

    ``duration_limit`` (seconds) comes with ``duration_limit_exceeded``.
    """

    MESSAGES: ClassVar[tuple[str, ...]] = ("Warning",)

    duration_limit: Annotated[Optional[float], _number] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class ErrorMessage(_Notice):
    """An Error (`ErrorType`); the session has ended."""

    MESSAGES: ClassVar[tuple[str, ...]] = ("Error",)

    extra: dict[str, Any] = field(default_factory=dict)
