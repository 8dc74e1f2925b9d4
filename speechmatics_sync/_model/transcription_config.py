"""Settings of transcription, translation and audio events."""

import copy
import warnings
from collections.abc import Mapping, Sequence
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
    """The models that are known; the service takes others by their name.

    Example:
        >>> config = TranscriptionConfig(model=Model.STANDARD)
    """

    ENHANCED = "enhanced"
    STANDARD = "standard"
    MELIA_1 = "melia-1"

    __str__ = str.__str__


class OperatingPoint(str, Enum):
    """Deprecated: the former name of `Model`.

    Example:
        >>> OperatingPoint.ENHANCED == Model.ENHANCED
        True
    """

    ENHANCED = "enhanced"
    STANDARD = "standard"
    MELIA_1 = "melia-1"

    __str__ = str.__str__


class Diarization(str, Enum):
    """How speakers are distinguished: not at all, by voice, by channel, or by both.

    Example:
        >>> config = TranscriptionConfig(diarization=Diarization.SPEAKER)
    """

    NONE = "none"
    SPEAKER = "speaker"
    CHANNEL = "channel"
    CHANNEL_AND_SPEAKER = "channel_and_speaker"

    __str__ = str.__str__


class MaxDelayMode(str, Enum):
    """Whether ``max_delay`` may be exceeded to complete an entity (``flexible``) or not.

    Example:
        >>> config = TranscriptionConfig(max_delay=1, max_delay_mode=MaxDelayMode.FIXED)
    """

    FLEXIBLE = "flexible"
    FIXED = "fixed"

    __str__ = str.__str__


@dataclass(eq=False, repr=False)
class AudioFilteringConfig(Settings):
    """Leaves quiet audio out of the transcript.

    Args:
        volume_threshold: Lowest volume that is transcribed, from 0 to 100.
        extra: Further fields to send, unchecked.

    Example:
        >>> loud = AudioFilteringConfig(volume_threshold=3)
        >>> config = TranscriptionConfig(audio_filtering_config=loud)
    """

    volume_threshold: Annotated[Optional[float], number(0, 100)] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class WordReplacement(Settings):
    """A replacement of a word or pattern in the transcript.

    Args:
        from_: The word or pattern to replace (``from`` in the message).
        to: The replacement.
        extra: Further fields to send, unchecked.

    Example:
        >>> replaced = [WordReplacement("colour", "color")]
        >>> config = TranscriptionConfig(
        ...     transcript_filtering_config=TranscriptFilteringConfig(replacements=replaced)
        ... )
    """

    from_: Annotated[str, string(), "from"]
    to: Annotated[str, string()]
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class TranscriptFilteringConfig(Settings):
    """Removes or replaces words of the transcript.

    Args:
        remove_disfluencies: Remove hesitations such as "um".
        replacements: A list of `WordReplacement`, or of dicts ``{"from": …, "to": …}``.
        extra: Further fields to send, unchecked.

    Example:
        >>> without = TranscriptFilteringConfig(remove_disfluencies=True)
        >>> config = TranscriptionConfig(transcript_filtering_config=without)
    """

    remove_disfluencies: Annotated[Optional[bool], boolean] = None
    replacements: Annotated[
        Optional[Sequence[Union[WordReplacement, Mapping[str, object]]]],
        list_of(nested(WordReplacement)),
    ] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class PunctuationOverrides(Settings):
    """Settings of punctuation.

    Args:
        permitted_marks: A list of the marks that may be used, or ``["all"]``.
        sensitivity: From 0 to 1; a higher value sets more marks.
        extra: Further fields to send, unchecked.

    Example:
        >>> marks = PunctuationOverrides(permitted_marks=[".", "?"], sensitivity=0.4)
        >>> config = TranscriptionConfig(punctuation_overrides=marks)
    """

    permitted_marks: Annotated[
        Optional[list[str]], list_of(string(pattern=".|all", allowed="a single mark, or 'all'"))
    ] = None
    sensitivity: Annotated[Optional[float], number(0, 1)] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class AdditionalVocab(Settings):
    """A word that the model may not know.

    Args:
        content: The word as it is written.
        sounds_like: One or more spellings of how it is pronounced.
        extra: Further fields to send, unchecked.

    Example:
        >>> vocab = [AdditionalVocab("gnocchi", sounds_like=["nyohki"]), "bigoli"]
        >>> config = TranscriptionConfig(additional_vocab=vocab)
    """

    content: Annotated[str, non_empty]
    sounds_like: Annotated[Optional[list[str]], list_of(non_empty, min_items=1)] = None
    extra: dict[str, Any] = field(default_factory=dict)


_vocab_object = nested(AdditionalVocab)


def _vocab(value: Any) -> Any:
    if isinstance(value, (str, AdditionalVocab, Mapping)):
        return non_empty(value) if isinstance(value, str) else _vocab_object(value)
    raise InvalidValue(value, "a non-empty string, AdditionalVocab, or a dict with its fields")


@dataclass(eq=False, repr=False)
class ConversationConfig(Settings):
    """When an utterance ends.

    Args:
        end_of_utterance_silence_trigger: Silence in seconds that ends an utterance, at most 2; 0
            sends no EndOfUtterance.
        extra: Further fields to send, unchecked.

    Example:
        >>> pause = ConversationConfig(end_of_utterance_silence_trigger=0.5)
        >>> config = TranscriptionConfig(conversation_config=pause)
    """

    end_of_utterance_silence_trigger: Annotated[Optional[float], number(0, 2, unit="seconds")] = (
        None
    )
    extra: dict[str, Any] = field(default_factory=dict)


_max_delay = number(0.7, 4, unit="seconds")

_NOT_TAKEN = {
    Model.ENHANCED.value: ("language_hints", "language_hints_strict"),
    Model.STANDARD.value: ("language_hints", "language_hints_strict"),
    Model.MELIA_1.value: ("additional_vocab",),
}
"""Settings that a model is known not to take, by the service's documentation and its SDK."""


def _copied(value: Any) -> dict[str, Any]:
    return copy.deepcopy(mapping(value))


@dataclass(eq=False, repr=False)
class TranscriptionConfig(Settings):
    """Settings of transcription. Fields that are None are not sent.

    A dict of the same fields may be given in place of each nested settings object.

    Args:
        language: ISO code of the spoken language, such as ``"en"``.
        model: A `Model`, or the name of any other; ``Model.ENHANCED`` if neither this nor
            ``operating_point`` is given. The server refuses one that it does not have.
        output_locale: RFC 5646 code for the spelling of the transcript, such as ``"en-US"``.
        diarization: How speakers are distinguished.
        additional_vocab: Words that the model may not know: a list of strings and
            `AdditionalVocab`.
        punctuation_overrides: Settings of punctuation.
        domain: Domain that the model is specialised in, such as ``"finance"``.
        enable_entities: Add the spoken and written form of dates, numbers and other entities.
        audio_filtering_config: Leave out quiet audio.
        transcript_filtering_config: Remove or replace words.
        max_delay: Longest time from the end of a word to its final, from 0.7 to 4 seconds.
        max_delay_mode: Whether an entity may take longer than ``max_delay``.
        enable_partials: Send partials as well as finals.
        speaker_diarization_config: Settings of speaker diarization.
        streaming_mode: Use the engine's streaming mode.
        conversation_config: When an utterance ends.
        ctrl: A dict that is passed to the engine unchanged.
        channel_diarization_labels: Labels of the channels, each different.
        operating_point: Deprecated; use ``model``, not both.
        language_hints: ISO codes of the languages to expect (newest models only).
        language_hints_strict: Transcribe only the languages in ``language_hints``, which it
            requires.
        extra: Further fields to send, unchecked.

    A model that is known not to take a setting is a UserWarning.

    Raises:
        ConfigurationError: A value is not allowed; the message names the field.

    Example:
        >>> TranscriptionConfig(max_delay=1, enable_partials=True).to_dict()
        {'language': 'en', 'model': 'enhanced', 'max_delay': 1, 'enable_partials': True}
    """

    language: Annotated[str, non_empty] = "en"
    model: Annotated[Optional[Union[Model, str]], non_empty] = None
    output_locale: Annotated[Optional[str], non_empty] = None
    diarization: Annotated[Optional[Union[Diarization, str]], one_of(Diarization)] = None
    additional_vocab: Annotated[
        Optional[Sequence[Union[str, AdditionalVocab, Mapping[str, object]]]], list_of(_vocab)
    ] = None
    punctuation_overrides: Annotated[
        Optional[Union[PunctuationOverrides, Mapping[str, object]]], nested(PunctuationOverrides)
    ] = None
    domain: Annotated[Optional[str], non_empty] = None
    enable_entities: Annotated[Optional[bool], boolean] = None
    audio_filtering_config: Annotated[
        Optional[Union[AudioFilteringConfig, Mapping[str, object]]], nested(AudioFilteringConfig)
    ] = None
    transcript_filtering_config: Annotated[
        Optional[Union[TranscriptFilteringConfig, Mapping[str, object]]],
        nested(TranscriptFilteringConfig),
    ] = None
    max_delay: Annotated[Optional[float], _max_delay] = None
    max_delay_mode: Annotated[Optional[Union[MaxDelayMode, str]], one_of(MaxDelayMode)] = None
    enable_partials: Annotated[Optional[bool], boolean] = None
    speaker_diarization_config: Annotated[
        Optional[Union[SpeakerDiarizationConfig, Mapping[str, object]]],
        nested(SpeakerDiarizationConfig),
    ] = None
    streaming_mode: Annotated[Optional[bool], boolean] = None
    conversation_config: Annotated[
        Optional[Union[ConversationConfig, Mapping[str, object]]], nested(ConversationConfig)
    ] = None
    ctrl: Annotated[Optional[Mapping[str, object]], _copied] = None
    channel_diarization_labels: Annotated[Optional[list[str]], list_of(non_empty, unique=True)] = (
        None
    )
    operating_point: Annotated[Optional[Union[OperatingPoint, str]], non_empty] = None
    language_hints: Annotated[Optional[list[str]], list_of(non_empty)] = None
    language_hints_strict: Annotated[Optional[bool], boolean] = None
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.model is None and self.operating_point is None:
            self.model = Model.ENHANCED
        super().__post_init__()
        if self.operating_point is not None:
            warnings.warn("operating_point is deprecated; use model", DeprecationWarning, 3)
        model = str.__str__(self.model or self.operating_point or "")
        for setting in _NOT_TAKEN.get(model, ()):
            if getattr(self, setting) is not None:
                warnings.warn(f"the model {model!r} does not take {setting}", stacklevel=3)

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
    """Settings that can be changed during a session. Fields that are None are not sent.

    A dict of the same fields may be given in place of each nested settings object.

    Args:
        language: ISO code of the language of the session, which cannot change.
        max_delay: Longest time from the end of a word to its final, from 0.7 to 4 seconds.
        max_delay_mode: Whether an entity may take longer than ``max_delay``.
        audio_filtering_config: Leave out quiet audio.
        enable_partials: Send partials as well as finals.
        conversation_config: When an utterance ends.
        extra: Further fields to send, unchecked.

    Raises:
        ConfigurationError: A value is not allowed; the message names the field.

    Example:
        >>> MidSessionConfig(max_delay=1.5).to_dict()
        {'max_delay': 1.5}
    """

    language: Annotated[Optional[str], non_empty] = None
    max_delay: Annotated[Optional[float], _max_delay] = None
    max_delay_mode: Annotated[Optional[Union[MaxDelayMode, str]], one_of(MaxDelayMode)] = None
    audio_filtering_config: Annotated[
        Optional[Union[AudioFilteringConfig, Mapping[str, object]]], nested(AudioFilteringConfig)
    ] = None
    enable_partials: Annotated[Optional[bool], boolean] = None
    conversation_config: Annotated[
        Optional[Union[ConversationConfig, Mapping[str, object]]], nested(ConversationConfig)
    ] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class TranslationConfig(Settings):
    """Settings of translation.

    Args:
        target_languages: A list of ISO codes. If it is empty, the server sends the Warning
            ``empty_translation_target_list`` and translates nothing.
        enable_partials: Send partial translations as well as final ones.
        extra: Further fields to send, unchecked.

    Example:
        >>> TranslationConfig(["fr", "de"]).to_dict()
        {'target_languages': ['fr', 'de']}
    """

    target_languages: Annotated[list[str], list_of(non_empty)]
    enable_partials: Annotated[Optional[bool], boolean] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class AudioEventsConfig(Settings):
    """Which audio events to report.

    Args:
        types: A list such as ``["music", "applause"]``; None reports all types.
        extra: Further fields to send, unchecked.

    Example:
        >>> sounds = AudioEventsConfig(["music", "applause"])
        >>> transcript = client.transcribe("audio.wav", audio_events_config=sounds)
    """

    types: Annotated[Optional[list[str]], list_of(non_empty)] = None
    extra: dict[str, Any] = field(default_factory=dict)
