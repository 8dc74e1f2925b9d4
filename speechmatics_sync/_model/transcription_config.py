"""What to transcribe and how, what to translate, which sounds to report."""

import copy
import warnings
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Optional, Union

from .checks import InvalidValue, boolean, list_of, mapping, non_empty, number, one_of, string
from .settings import Settings, nested
from .speakers import SpeakerDiarizationConfig

__all__ = [
    "AdditionalVocab",
    "AudioEventsConfig",
    "AudioFilteringConfig",
    "ConversationConfig",
    "Diarization",
    "MaxDelayMode",
    "MidSessionConfig",
    "Model",
    "OperatingPoint",
    "PunctuationOverrides",
    "TranscriptFilteringConfig",
    "TranscriptionConfig",
    "TranslationConfig",
    "WordReplacement",
]


class Model(str, Enum):
    """Which model transcribes."""

    ENHANCED = "enhanced"
    STANDARD = "standard"
    MELIA_1 = "melia-1"

    __str__ = str.__str__


class OperatingPoint(str, Enum):
    """The former name of `Model`. Deprecated."""

    ENHANCED = "enhanced"
    STANDARD = "standard"
    MELIA_1 = "melia-1"

    __str__ = str.__str__


class Diarization(str, Enum):
    """Whether, and by what, speakers are told apart."""

    NONE = "none"
    SPEAKER = "speaker"
    CHANNEL = "channel"
    CHANNEL_AND_SPEAKER = "channel_and_speaker"

    __str__ = str.__str__


class MaxDelayMode(str, Enum):
    """Whether an entity that is being spoken may exceed ``max_delay``."""

    FLEXIBLE = "flexible"
    FIXED = "fixed"

    __str__ = str.__str__


@dataclass(eq=False, repr=False)
class AudioFilteringConfig(Settings):
    """Leaves quiet audio out of the transcript.

    Args:
        volume_threshold: The volume from which audio is transcribed, from 0 to 100.
        extra: Further fields.
    """

    volume_threshold: Annotated[Optional[float], number(0, 100)] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class WordReplacement(Settings):
    """A word or pattern, and what the transcript has in its place.

    Args:
        from_: What to find (``from`` on the wire).
        to: What to write instead.
        extra: Further fields.
    """

    from_: Annotated[str, string(), "from"]
    to: Annotated[str, string()]
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class TranscriptFilteringConfig(Settings):
    """Changes the words of the transcript.

    Args:
        remove_disfluencies: Leave out "um" and the like.
        replacements: Rules, each a `WordReplacement` or ``{"from": …, "to": …}``.
        extra: Further fields.
    """

    remove_disfluencies: Annotated[Optional[bool], boolean] = None
    replacements: Annotated[
        Optional[list[Union[WordReplacement, dict[str, Any]]]], list_of(nested(WordReplacement))
    ] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class PunctuationOverrides(Settings):
    """Which punctuation the transcript has.

    Args:
        permitted_marks: Single marks, or ``["all"]``.
        sensitivity: How readily a mark is set, from 0 to 1.
        extra: Further fields.
    """

    permitted_marks: Annotated[
        Optional[list[str]], list_of(string(pattern=".|all", allowed="a single mark, or 'all'"))
    ] = None
    sensitivity: Annotated[Optional[float], number(0, 1)] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class AdditionalVocab(Settings):
    """A word that the language model may not know.

    Args:
        content: The word, as it is written.
        sounds_like: How it may be said; one or more spellings.
        extra: Further fields.
    """

    content: Annotated[str, non_empty]
    sounds_like: Annotated[Optional[list[str]], list_of(non_empty, min_items=1)] = None
    extra: dict[str, Any] = field(default_factory=dict)


_vocab_object = nested(AdditionalVocab)


def _vocab(value: Any) -> Any:
    return non_empty(value) if isinstance(value, str) else _vocab_object(value)


@dataclass(eq=False, repr=False)
class ConversationConfig(Settings):
    """When an utterance counts as ended.

    Args:
        end_of_utterance_silence_trigger: Silence that ends one, in seconds from 0 (never) to 2.
        extra: Further fields.
    """

    end_of_utterance_silence_trigger: Annotated[Optional[float], number(0, 2, unit="seconds")] = (
        None
    )
    extra: dict[str, Any] = field(default_factory=dict)


_max_delay = number(0.7, 4, unit="seconds")


def _copied(value: Any) -> dict[str, Any]:
    return copy.deepcopy(mapping(value))


@dataclass(eq=False, repr=False)
class TranscriptionConfig(Settings):
    """What to transcribe, and how. Only ``language`` and ``model`` are sent unless set.

    Wherever a class of this module is named, a dict of the same fields will do.

    Args:
        language: ISO code of what is spoken, such as ``"en"``.
        model: Which model; ``Model.ENHANCED`` when left out.
        output_locale: RFC 5646 code of the transcript's spelling, such as ``"en-US"``.
        diarization: Whether speakers or channels are told apart.
        additional_vocab: Words the model may not know: strings, or `AdditionalVocab`.
        punctuation_overrides: Which punctuation to use.
        domain: A field the model is optimized for, such as ``"finance"``.
        enable_entities: Give spoken and written form of dates, numbers and the like.
        audio_filtering_config: Leave out quiet audio.
        transcript_filtering_config: Leave out or replace words.
        max_delay: Longest time from a word's end to its final, in seconds from 0.7 to 4.
        max_delay_mode: Whether an entity may exceed it.
        enable_partials: Send partials as well as finals.
        speaker_diarization_config: How speakers are told apart.
        streaming_mode: Run the engine in its streaming mode.
        conversation_config: When an utterance counts as ended.
        ctrl: Passed to the engine as it is.
        channel_diarization_labels: Names of the channels, each different.
        operating_point: Deprecated, use ``model``. Not both.
        language_hints: Codes of the languages that are likely (newest models).
        language_hints_strict: Transcribe no other language than those; only with
            ``language_hints``.
        extra: Further fields.

    Raises:
        ConfigurationError: A value that the API would refuse.

    Example:
        >>> TranscriptionConfig(max_delay=1, enable_partials=True).to_dict()
        {'language': 'en', 'model': 'enhanced', 'max_delay': 1, 'enable_partials': True}
    """

    language: Annotated[str, non_empty] = "en"
    model: Annotated[Optional[Union[Model, str]], one_of(Model)] = None
    output_locale: Annotated[Optional[str], non_empty] = None
    diarization: Annotated[Optional[Union[Diarization, str]], one_of(Diarization)] = None
    additional_vocab: Annotated[
        Optional[list[Union[str, AdditionalVocab, dict[str, Any]]]], list_of(_vocab)
    ] = None
    punctuation_overrides: Annotated[
        Optional[Union[PunctuationOverrides, dict[str, Any]]], nested(PunctuationOverrides)
    ] = None
    domain: Annotated[Optional[str], non_empty] = None
    enable_entities: Annotated[Optional[bool], boolean] = None
    audio_filtering_config: Annotated[
        Optional[Union[AudioFilteringConfig, dict[str, Any]]], nested(AudioFilteringConfig)
    ] = None
    transcript_filtering_config: Annotated[
        Optional[Union[TranscriptFilteringConfig, dict[str, Any]]],
        nested(TranscriptFilteringConfig),
    ] = None
    max_delay: Annotated[Optional[float], _max_delay] = None
    max_delay_mode: Annotated[Optional[Union[MaxDelayMode, str]], one_of(MaxDelayMode)] = None
    enable_partials: Annotated[Optional[bool], boolean] = None
    speaker_diarization_config: Annotated[
        Optional[Union[SpeakerDiarizationConfig, dict[str, Any]]], nested(SpeakerDiarizationConfig)
    ] = None
    streaming_mode: Annotated[Optional[bool], boolean] = None
    conversation_config: Annotated[
        Optional[Union[ConversationConfig, dict[str, Any]]], nested(ConversationConfig)
    ] = None
    ctrl: Annotated[Optional[dict[str, Any]], _copied] = None
    channel_diarization_labels: Annotated[Optional[list[str]], list_of(non_empty, unique=True)] = (
        None
    )
    operating_point: Annotated[Optional[Union[OperatingPoint, str]], one_of(OperatingPoint)] = None
    language_hints: Annotated[Optional[list[str]], list_of(non_empty)] = None
    language_hints_strict: Annotated[Optional[bool], boolean] = None
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.model is None and self.operating_point is None:
            self.model = Model.ENHANCED
        super().__post_init__()
        if self.operating_point is not None:
            warnings.warn("operating_point is deprecated; use model", DeprecationWarning, 3)

    @classmethod
    def _check_together(cls, plain: dict[str, Any]) -> None:
        if "model" in plain and "operating_point" in plain:
            raise InvalidValue(
                plain["operating_point"], "model alone, or this alone", path="operating_point"
            )
        if "language_hints_strict" in plain and not plain.get("language_hints"):
            raise InvalidValue(
                plain["language_hints_strict"],
                "this only together with language_hints",
                path="language_hints_strict",
            )


@dataclass(eq=False, repr=False)
class MidSessionConfig(Settings):
    """What SetRecognitionConfig can change while a session runs; fields as in
    `TranscriptionConfig`. The language must stay what it was."""

    language: Annotated[Optional[str], non_empty] = None
    max_delay: Annotated[Optional[float], _max_delay] = None
    max_delay_mode: Annotated[Optional[Union[MaxDelayMode, str]], one_of(MaxDelayMode)] = None
    audio_filtering_config: Annotated[
        Optional[Union[AudioFilteringConfig, dict[str, Any]]], nested(AudioFilteringConfig)
    ] = None
    enable_partials: Annotated[Optional[bool], boolean] = None
    conversation_config: Annotated[
        Optional[Union[ConversationConfig, dict[str, Any]]], nested(ConversationConfig)
    ] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class TranslationConfig(Settings):
    """Which languages to translate into.

    Args:
        target_languages: A list of ISO codes. An empty one is answered with the Warning
            ``empty_translation_target_list``, and nothing is translated.
        enable_partials: Send partial translations as well.
        extra: Further fields.

    Example:
        >>> TranslationConfig(["fr", "de"]).to_dict()
        {'target_languages': ['fr', 'de']}
    """

    target_languages: Annotated[list[str], list_of(non_empty)]
    enable_partials: Annotated[Optional[bool], boolean] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class AudioEventsConfig(Settings):
    """Which sounds to report.

    Args:
        types: Such as ``["music", "applause"]``; None for every type there is.
        extra: Further fields.
    """

    types: Annotated[Optional[list[str]], list_of(non_empty)] = None
    extra: dict[str, Any] = field(default_factory=dict)
