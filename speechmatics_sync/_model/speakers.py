"""Speaker diarization and known speakers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Optional, Union

from ..errors import TransportError
from .checks import InvalidValue, boolean, list_of, mapping, non_empty, number, string
from .settings import Settings, nested

__all__ = ["SpeakerDiarizationConfig", "SpeakerIdentifier"]


@dataclass(eq=False, repr=False)
class SpeakerIdentifier(Settings):
    """A speaker that an earlier session identified, and the label to use for them.

    Args:
        label: The speaker's label in the transcript.
        speaker_identifiers: One or more identifiers, from the answer to ``get_speakers``.
        extra: Further fields to send, unchecked.

    Example:
        >>> SpeakerIdentifier("Ada", ["dGhlIHZvaWNl"]).label
        'Ada'
    """

    label: Annotated[str, non_empty] = ""
    speaker_identifiers: Annotated[list[str], list_of(non_empty, min_items=1, unique=True)] = field(
        default_factory=list
    )
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "SpeakerIdentifier":
        """Read a speaker from a SpeakersResult; any strings are accepted.

        Raises:
            TransportError: A field is missing or has the wrong type; the message names it.
        """
        try:
            return cls._received(data)
        except InvalidValue as invalid:
            invalid.within(cls.__name__)
            raise TransportError(f"the server broke the protocol: {invalid}") from None

    @classmethod
    def _received(cls, data: Any) -> "SpeakerIdentifier":
        speaker = cls.__new__(cls)
        speaker.extra = mapping(data)
        for key, check in (("label", string()), ("speaker_identifiers", list_of(string()))):
            try:
                setattr(speaker, key, check(speaker.extra.pop(key, None)))
            except InvalidValue as invalid:
                raise invalid.within(key) from None
        return speaker


_given_label = string(
    1,
    pattern=r"(?s)(?!(?:S\d+|UU|\s.*|.*\s)\Z).+",
    allowed="a label other than the engine's own (S1, UU), without space at its ends",
)


_MAX_IDENTIFIERS = 50


@dataclass(eq=False, repr=False)
class SpeakerDiarizationConfig(Settings):
    """Settings of speaker diarization.

    Args:
        max_speakers: Largest number of speakers to distinguish, at least 2.
        speaker_sensitivity: From 0 to 1; a higher value detects more speakers.
        prefer_current_speaker: Assign words to the current speaker when voices are similar.
        speakers: Known speakers, each with its own label other than the engine's ``S1``, ``UU``
            and so on; at most 50 identifiers in all.
        get_speakers: Ask for the speakers' identifiers at the end of the transcript.
        extra: Further fields to send, unchecked.

    Example:
        >>> config = TranscriptionConfig(
        ...     diarization="speaker",
        ...     speaker_diarization_config=SpeakerDiarizationConfig(max_speakers=2),
        ... )
    """

    max_speakers: Annotated[Optional[int], number(2, whole=True)] = None
    speaker_sensitivity: Annotated[Optional[float], number(0, 1)] = None
    prefer_current_speaker: Annotated[Optional[bool], boolean] = None
    speakers: Annotated[
        Optional[Sequence[Union[SpeakerIdentifier, Mapping[str, object]]]],
        list_of(nested(SpeakerIdentifier)),
    ] = None
    get_speakers: Annotated[Optional[bool], boolean] = None
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def _check_together(cls, plain: dict[str, Any]) -> None:
        speakers = plain.get("speakers", [])
        try:
            list_of(_given_label, unique=True)([speaker["label"] for speaker in speakers])
        except InvalidValue as invalid:
            invalid.path = invalid.path.rstrip(".") + ".label"
            raise invalid.within("speakers") from None
        count = sum(len(speaker["speaker_identifiers"]) for speaker in speakers)
        if count > _MAX_IDENTIFIERS:
            raise InvalidValue(
                count,
                f"at most {_MAX_IDENTIFIERS} speaker identifiers across all speakers",
                path="speakers",
                shown=f"a list with {count} speaker identifiers",
            )
