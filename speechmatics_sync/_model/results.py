"""What a server recognised, as objects: transcripts, translations, events, speakers."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from functools import cache
from typing import Annotated, Any, ClassVar, Optional

from .checks import Check, InvalidValue, boolean, checked_fields, list_of
from .received import Received, ServerMessage, any_number, any_string, nested, reading
from .speakers import SpeakerIdentifier

__all__ = [
    "AudioEvent",
    "EndOfUtterance",
    "EndOfUtteranceMetadata",
    "LanguageInfo",
    "RecognitionAlternative",
    "RecognitionDisplay",
    "RecognitionMetadata",
    "RecognitionResult",
    "SpeakersResult",
    "TranscriptResult",
    "TranslatedSentence",
    "TranslationResult",
]


def _results(value: Any) -> Any:
    return list_of(nested(RecognitionResult))(value)


@dataclass(eq=False, repr=False)
class RecognitionDisplay(Received):
    """How a word is to be shown: ``direction`` is ``ltr`` or ``rtl``."""

    direction: Annotated[str, any_string] = "ltr"
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class RecognitionAlternative(Received):
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

    content: Annotated[str, any_string]
    confidence: Annotated[float, any_number]
    language: Annotated[Optional[str], any_string] = None
    display: Annotated[Optional[RecognitionDisplay], nested(RecognitionDisplay)] = None
    speaker: Annotated[Optional[str], any_string] = None
    tags: Annotated[Optional[list[str]], list_of(any_string)] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class RecognitionResult(Received):
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

    type: Annotated[str, any_string]
    start_time: Annotated[float, any_number]
    end_time: Annotated[float, any_number]
    channel: Annotated[Optional[str], any_string] = None
    attaches_to: Annotated[Optional[str], any_string] = None
    is_eos: Annotated[Optional[bool], boolean] = None
    alternatives: Annotated[
        Optional[list[RecognitionAlternative]], list_of(nested(RecognitionAlternative))
    ] = None
    score: Annotated[Optional[float], any_number] = None
    volume: Annotated[Optional[float], any_number] = None
    entity_class: Annotated[Optional[str], any_string] = None
    spoken_form: Annotated[Optional["list[RecognitionResult]"], _results] = None
    written_form: Annotated[Optional["list[RecognitionResult]"], _results] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class RecognitionMetadata(Received):
    """The segment that a transcript covers, in seconds, and its text."""

    start_time: Annotated[float, any_number]
    end_time: Annotated[float, any_number]
    transcript: Annotated[str, any_string]
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class TranscriptResult(ServerMessage):
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

    metadata: Annotated[RecognitionMetadata, nested(RecognitionMetadata)]
    results: Annotated[list[RecognitionResult], _results]
    format: Annotated[Optional[str], any_string] = None
    is_final: bool = False
    channel: Annotated[Optional[str], any_string] = None
    forced: Annotated[Optional[bool], boolean] = None
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def _from_content(cls, name: str, content: dict[str, Any]) -> "TranscriptResult":
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
    if not _quick_check_of_final()(message):
        TranscriptResult.from_message(message)


class _QuickCheck:
    """Sees that what was sent is well-formed, in its usual shape: True is certain, False is not.

    Reading it would tell as well, and make objects that nobody keeps: for a final of six words
    in 45 µs, and not in 5.

    Args:
        cls: What is to be read from it.
        parts: Fields that hold a list or a dict of parts: which of both, and the glance at one.
    """

    def __init__(self, cls: type, **parts: "tuple[type, _QuickCheck]") -> None:
        fields = checked_fields(cls)
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


_KINDS: dict[Check, type] = {any_string: str, any_number: float, boolean: bool}


@cache
def _quick_check_of_final() -> _QuickCheck:
    display = _QuickCheck(RecognitionDisplay)
    alternative = _QuickCheck(RecognitionAlternative, display=(dict, display))
    result = _QuickCheck(RecognitionResult, alternatives=(list, alternative))
    metadata = _QuickCheck(RecognitionMetadata)
    return _QuickCheck(TranscriptResult, metadata=(dict, metadata), results=(list, result))


@dataclass(eq=False, repr=False)
class TranslatedSentence(Received):
    """A translated sentence; its times, in seconds, are those of what was said."""

    content: Annotated[str, any_string]
    start_time: Annotated[float, any_number]
    end_time: Annotated[float, any_number]
    speaker: Annotated[Optional[str], any_string] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class TranslationResult(ServerMessage):
    """An AddTranslation or AddPartialTranslation.

    Args:
        language: ISO code of the translation.
        results: Its sentences.
        format: Version of the output format.
        is_final: Whether it will not change any more (AddTranslation).
        extra: Fields that this version does not know.
    """

    MESSAGES: ClassVar[tuple[str, ...]] = ("AddTranslation", "AddPartialTranslation")

    language: Annotated[str, any_string]
    results: Annotated[list[TranslatedSentence], list_of(nested(TranslatedSentence))]
    format: Annotated[Optional[str], any_string] = None
    is_final: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def _from_content(cls, name: str, content: dict[str, Any]) -> "TranslationResult":
        result = super()._from_content(name, content)
        result.is_final = name == "AddTranslation"
        return result

    def _name(self) -> str:
        return self.MESSAGES[0 if self.is_final else 1]


@dataclass(eq=False, repr=False)
class LanguageInfo(ServerMessage):
    """How a language that was heard is written; comes before its first transcript."""

    MESSAGES: ClassVar[tuple[str, ...]] = ("LanguageInfo",)

    language: Annotated[str, any_string]
    word_delimiter: Annotated[str, any_string] = " "
    writing_direction: Annotated[Optional[str], any_string] = None
    partial: Annotated[Optional[bool], boolean] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class EndOfUtteranceMetadata(Received):
    """When the end of an utterance was found, in seconds; both are the same."""

    start_time: Annotated[Optional[float], any_number] = None
    end_time: Annotated[Optional[float], any_number] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class EndOfUtterance(ServerMessage):
    """Somebody stopped talking, or `force_end_of_utterance` said so (``forced``)."""

    MESSAGES: ClassVar[tuple[str, ...]] = ("EndOfUtterance",)

    metadata: Annotated[EndOfUtteranceMetadata, nested(EndOfUtteranceMetadata)]
    channel: Annotated[Optional[str], any_string] = None
    forced: Annotated[Optional[bool], boolean] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class AudioEvent(Received):
    """A sound other than speech.

    Args:
        type: ``music``, ``applause``, ``laughter`` …
        start_time: Seconds; None in an AudioEventEnded, which does not repeat it.
        end_time: Seconds; None while it lasts.
        confidence: From 0 to 1.
        channel: The channel's label, in a session of several.
        extra: Fields that this version does not know.
    """

    type: Annotated[str, any_string]
    start_time: Annotated[Optional[float], any_number] = None
    end_time: Annotated[Optional[float], any_number] = None
    confidence: Annotated[Optional[float], any_number] = None
    channel: Annotated[Optional[str], any_string] = None
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> "AudioEvent":
        """The start or the end that an AudioEventStarted or AudioEventEnded reports.

        Raises:
            TransportError: It is another message, or a field is missing or has the wrong type.
        """
        notice = _AudioEventMessage.from_message(message)
        event = notice.event
        name = message["message"]
        started = name == "AudioEventStarted"
        with reading(f"{name}.event"):
            for key in ("start_time", "confidence") if started else ("end_time",):
                if getattr(event, key) is None:
                    raise InvalidValue(None, "a finite number", path=key)
        event.channel = notice.channel if event.channel is None else event.channel
        return event


@dataclass(eq=False, repr=False)
class _AudioEventMessage(ServerMessage):
    """An AudioEventStarted or AudioEventEnded."""

    MESSAGES: ClassVar[tuple[str, ...]] = ("AudioEventStarted", "AudioEventEnded")

    event: Annotated[AudioEvent, nested(AudioEvent)]
    channel: Annotated[Optional[str], any_string] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class SpeakersResult(ServerMessage):
    """The voices heard so far: what `get_speakers` answers."""

    MESSAGES: ClassVar[tuple[str, ...]] = ("SpeakersResult",)

    speakers: Annotated[list[SpeakerIdentifier], list_of(SpeakerIdentifier._received)]
    extra: dict[str, Any] = field(default_factory=dict)
