"""Messages with results, as objects: transcripts, translations, audio events, speakers."""

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


def _results(value: Any) -> Any:  # RecognitionResult holds results itself
    return list_of(nested(RecognitionResult))(value)


@dataclass(eq=False, repr=False)
class RecognitionDisplay(Received):
    """How to display a word.

    Args:
        direction: ``ltr`` or ``rtl``.
        extra: Fields that this version does not know, as the server sent them.

    Example:
        >>> RecognitionDisplay.from_dict({"direction": "rtl"}).direction
        'rtl'
    """

    direction: Annotated[str, any_string] = "ltr"
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class RecognitionAlternative(Received):
    """One possible reading of a word or punctuation mark.

    Args:
        content: The word or punctuation mark.
        confidence: From 0 to 1; meaningless in a partial.
        language: ISO code of the language.
        display: How to display the content.
        speaker: Label of the speaker; None without speaker diarization.
        tags: Such as ``disfluency`` or ``profanity``.
        extra: Fields that this version does not know, as the server sent them.

    Example:
        >>> for result in client.transcribe("audio.wav").results:
        ...     for alternative in result.alternatives or []:
        ...         print(alternative.content, alternative.confidence)
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
        channel: Label of the channel; None in a session with one channel.
        attaches_to: Which neighbours follow without a word delimiter: ``previous``, ``next``,
            ``both`` or ``none``.
        is_eos: Whether a punctuation mark ends a sentence.
        alternatives: Possible readings, the best first.
        score: Score of the result, as the server sends it.
        volume: Loudness from 0 to 100.
        entity_class: Class of an entity, such as ``date``, ``money`` or ``number``.
        spoken_form: An entity's words as they were said.
        written_form: An entity's words as they are written.
        extra: Fields that this version does not know, as the server sent them.

    Example:
        >>> for result in client.transcribe("audio.wav").results:
        ...     print(result.type, result.start_time, result.end_time)
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
    """The audio that a transcript covers, and its text.

    Args:
        start_time: Where it starts, in seconds from the start of the audio.
        end_time: Where it ends, in seconds from the start of the audio.
        transcript: The text, ready to be put behind that of the transcript before.
        extra: Fields that this version does not know, as the server sent them.

    Example:
        >>> read = RecognitionMetadata.from_dict({
        ...     "start_time": 0.2, "end_time": 0.5, "transcript": "hello ",
        ... })
        >>> read.transcript
        'hello '
    """

    start_time: Annotated[float, any_number]
    end_time: Annotated[float, any_number]
    transcript: Annotated[str, any_string]
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class TranscriptResult(ServerMessage):
    """An AddTranscript or AddPartialTranscript.

    Args:
        metadata: Start, end and text.
        results: Words, punctuation marks and entities, in order.
        format: Version of the output format.
        is_final: True for an AddTranscript; False for a partial, which later messages supersede.
        channel: Label of the channel, from the message or its first result that has one.
        forced: True if ``force_end_of_utterance`` caused it.
        extra: Fields that this version does not know, as the server sent them.

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


def check_transcript(message: Mapping[str, Any]) -> None:
    """Check an AddTranscript or AddPartialTranscript without making objects of it.

    Raises:
        TransportError: As from `TranscriptResult.from_message`.
    """
    if not _quick_check_of_transcript()(message):
        TranscriptResult.from_message(message)


class _QuickCheck:
    """Tells whether a dict is well-formed: True is certain, False needs the full check.

    The full check makes objects that are thrown away: 45 µs for a final of six words, where this
    takes 5.

    Args:
        cls: The class that the dict would be read as.
        parts: Fields with nested dicts: the type of the field (list or dict), and the check of
            one nested dict.
    """

    def __init__(self, cls: type, **parts: "tuple[type, _QuickCheck]") -> None:
        fields = checked_fields(cls)
        self._needed = {known.key for known in fields if known.default is MISSING}
        self._kinds = {known.key: _KINDS.get(known.check) for known in fields}
        self._parts = {key: check for key, (_, check) in parts.items()}
        self._kinds.update((key, kind) for key, (kind, _) in parts.items())
        self._shapes: dict[Any, Optional[tuple[list[str], list[str], list[str]]]] = {}
        """Keys and types of dicts that came before: which are numbers, lists and dicts; None if
        they are not as usual."""

    def __call__(self, sent: Any) -> bool:
        if type(sent) is not dict:
            return False
        shape = (*sent, *map(type, sent.values()))
        try:
            usual = self._shapes[shape]
        except KeyError:
            usual = self._usual(sent)
            if len(self._shapes) < _MOST_SHAPES and sum(map(len, sent)) < _LONGEST_SHAPE:
                self._shapes[shape] = usual
        if usual is None:
            return False
        numbers, lists, dicts = usual
        for key in numbers:
            if not -_PLAIN_NUMBER < sent[key] < _PLAIN_NUMBER:
                return False
        for key in lists:
            if not all(map(self._parts[key], sent[key])):
                return False
        return not dicts or all(self._parts[key](sent[key]) for key in dicts)

    def _usual(self, sent: dict[str, Any]) -> Optional[tuple[list[str], list[str], list[str]]]:
        """Return which values are numbers, lists and dicts; None if one is missing or unusual."""
        types = {key: type(value) for key, value in sent.items() if key in self._kinds}
        for key, kind in types.items():
            if kind is not self._kinds[key] and (kind, self._kinds[key]) != (int, float):
                return None
        found = [[key for key, kind in types.items() if kind in of] for of in _COMPARED]
        return (found[0], found[1], found[2]) if self._needed <= sent.keys() else None


_COMPARED = ((int, float), (list,), (dict,))

_MOST_SHAPES = 100
_LONGEST_SHAPE = 1000
"""A server sends messages of a few shapes; one that sends more is not to fill memory."""

_PLAIN_NUMBER = 1_000_000_000
"""Numbers below are certainly floats; of larger ones, infinity and NaN the full check decides."""


_KINDS: dict[Check, type] = {any_string: str, any_number: float, boolean: bool}


@cache
def _quick_check_of_transcript() -> _QuickCheck:
    display = _QuickCheck(RecognitionDisplay)
    alternative = _QuickCheck(RecognitionAlternative, display=(dict, display))
    result = _QuickCheck(RecognitionResult, alternatives=(list, alternative))
    metadata = _QuickCheck(RecognitionMetadata)
    return _QuickCheck(TranscriptResult, metadata=(dict, metadata), results=(list, result))


@dataclass(eq=False, repr=False)
class TranslatedSentence(Received):
    """A translated sentence.

    Args:
        content: The text.
        start_time: When the original speech starts, in seconds.
        end_time: When the original speech ends, in seconds.
        speaker: Label of the speaker; None without speaker diarization.
        extra: Fields that this version does not know, as the server sent them.

    Example:
        >>> for language, translation in client.transcribe("audio.wav").translations.items():
        ...     for sentence in translation:
        ...         print(language, sentence.start_time, sentence.content)
    """

    content: Annotated[str, any_string]
    start_time: Annotated[float, any_number]
    end_time: Annotated[float, any_number]
    speaker: Annotated[Optional[str], any_string] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class TranslationResult(ServerMessage):
    """An AddTranslation or AddPartialTranslation.

    Args:
        language: ISO code of the target language.
        results: The translated sentences, in order.
        format: Version of the output format.
        is_final: True for an AddTranslation; False for a partial, which later messages supersede.
        extra: Fields that this version does not know, as the server sent them.

    Example:
        >>> @client.on("AddTranslation")
        ... def show(message):
        ...     for sentence in TranslationResult.from_message(message).results:
        ...         print(sentence.content)
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
    """How a recognised language is written; sent before its first transcript.

    Args:
        language: ISO code of the language.
        word_delimiter: The text between two words: a space, or empty as in Japanese.
        writing_direction: ``left-to-right`` or ``right-to-left``.
        partial: Whether a partial comes next, and not a final.
        extra: Fields that this version does not know, as the server sent them.

    Example:
        >>> read = LanguageInfo.from_message({
        ...     "message": "LanguageInfo", "language": "ja", "word_delimiter": "",
        ... })
        >>> read.language
        'ja'
    """

    MESSAGES: ClassVar[tuple[str, ...]] = ("LanguageInfo",)

    language: Annotated[str, any_string]
    word_delimiter: Annotated[str, any_string] = " "
    writing_direction: Annotated[Optional[str], any_string] = None
    partial: Annotated[Optional[bool], boolean] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class EndOfUtteranceMetadata(Received):
    """When the utterance ended, in seconds; both times are the same.

    Args:
        start_time: When it ended, in seconds from the start of the audio.
        end_time: The same.
        extra: Fields that this version does not know, as the server sent them.

    Example:
        >>> EndOfUtteranceMetadata.from_dict({"start_time": 1.5, "end_time": 1.5}).end_time
        1.5
    """

    start_time: Annotated[Optional[float], any_number] = None
    end_time: Annotated[Optional[float], any_number] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class EndOfUtterance(ServerMessage):
    """A speaker paused, or ``force_end_of_utterance`` ended the utterance (``forced`` is True).

    Args:
        metadata: When it ended.
        channel: Label of the channel; None in a session with one channel.
        forced: Whether the client asked for it.
        extra: Fields that this version does not know, as the server sent them.

    Example:
        >>> read = EndOfUtterance.from_message({
        ...     "message": "EndOfUtterance", "metadata": {"start_time": 1.5, "end_time": 1.5},
        ... })
        >>> read.metadata.end_time
        1.5
    """

    MESSAGES: ClassVar[tuple[str, ...]] = ("EndOfUtterance",)

    metadata: Annotated[EndOfUtteranceMetadata, nested(EndOfUtteranceMetadata)]
    channel: Annotated[Optional[str], any_string] = None
    forced: Annotated[Optional[bool], boolean] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class AudioEvent(Received):
    """A sound other than speech.

    Args:
        type: Such as ``music``, ``applause`` or ``laughter``.
        start_time: Seconds from the beginning of the audio; None in an AudioEventEnded.
        end_time: Seconds from the beginning of the audio; None before the event has ended.
        confidence: From 0 to 1.
        channel: Label of the channel; None in a session with one channel.
        extra: Fields that this version does not know, as the server sent them.

    Example:
        >>> for event in client.transcribe("audio.wav").audio_events:
        ...     print(event.type, event.start_time, event.end_time)
    """

    type: Annotated[str, any_string]
    start_time: Annotated[Optional[float], any_number] = None
    end_time: Annotated[Optional[float], any_number] = None
    confidence: Annotated[Optional[float], any_number] = None
    channel: Annotated[Optional[str], any_string] = None
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_message(cls, message: Mapping[str, object]) -> "AudioEvent":
        """Read the event of an AudioEventStarted or AudioEventEnded.

        Raises:
            TransportError: The message has another name, or a field is missing or has the wrong
                type.
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
    """The speakers heard so far, with their identifiers: the answer to ``get_speakers``.

    Args:
        speakers: The speakers.
        extra: Fields that this version does not know, as the server sent them.

    Example:
        >>> @client.on("SpeakersResult")
        ... def show(message):
        ...     print([speaker.label for speaker in SpeakersResult.from_message(message).speakers])
    """

    MESSAGES: ClassVar[tuple[str, ...]] = ("SpeakersResult",)

    speakers: Annotated[list[SpeakerIdentifier], list_of(SpeakerIdentifier._received)]
    extra: dict[str, Any] = field(default_factory=dict)
