"""Captions: what was said, in portions that can be read while it is heard."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union, overload

from ..._help import made_here
from ..speaker_names import Names, SpeakerLabels
from ..spoken import Delimiters
from ..words import Said
from .blocks import Block, blocks_of
from .files import srt_of, vtt_of
from .report import CaptionFault, CaptionReport, report_on
from .rules import Shape, shape_of
from .units import in_order, units_by_channel

__all__ = ["Caption", "CaptionFault", "CaptionReport", "Captions", "captions_of"]


@dataclass(frozen=True)
class Caption:
    """A few words to be shown together.

    Args:
        start_time: When it appears, in seconds from the beginning of the audio.
        end_time: When it disappears, in seconds from the beginning of the audio.
        lines: Its lines: plain text, without markup.
        speaker: Label of the speaker; None without speaker diarization, and where several speak.
        channel: Label of the channel; None in a session with one channel, and where several speak.

    Example:
        >>> for caption in client.transcribe("audio.wav").captions():
        ...     print(caption.start_time, caption.end_time, caption.text)
    """

    __module__ = "speechmatics_sync"  # which loads this one only when it is needed

    start_time: float
    end_time: float
    lines: tuple[str, ...]
    speaker: Optional[str] = None
    channel: Optional[str] = None

    @property
    def text(self) -> str:
        """The lines, one below the other."""
        return "\n".join(self.lines)


def caption_of(block: Block) -> Caption:
    """The caption that was made."""
    keys = {unit.key for unit in block.units}
    channels = {key.channel for key in keys}
    return Caption(
        block.start / 1000,
        block.end / 1000,
        block.lines,
        block.units[0].key.speaker if len(keys) == 1 else None,
        block.units[0].key.channel if len(channels) == 1 else None,
    )


@made_here
class Captions(Sequence[Caption]):
    """The captions of a transcript, in order: an immutable sequence of `Caption`.

    `Transcript.captions` makes them.

    Example:
        >>> captions = client.transcribe("audio.wav").captions(max_line_length=42)
        >>> captions[0].lines
        ('hello world.',)
        >>> captions.report()
        <CaptionReport of 1 captions: no faults>
    """

    __module__ = "speechmatics_sync"

    def __init__(self, blocks: Sequence[Block], shape: Shape, names: Names) -> None:
        # Only this package makes them.
        self._blocks = tuple(blocks)
        self._captions = tuple(map(caption_of, self._blocks))
        self._shape = shape
        self._names = names

    @overload
    def __getitem__(self, index: int) -> Caption: ...

    @overload
    def __getitem__(self, index: "slice[Any, Any, Any]") -> "Captions": ...

    def __getitem__(self, index: "Union[int, slice[Any, Any, Any]]") -> "Union[Caption, Captions]":
        if isinstance(index, slice):
            return Captions(self._blocks[index], self._shape, self._names)
        return self._captions[index]

    def __len__(self) -> int:
        return len(self._captions)

    def __iter__(self) -> Iterator[Caption]:
        return iter(self._captions)

    def __eq__(self, other: object) -> bool:
        return self._captions == other._captions if isinstance(other, Captions) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._captions)

    def __repr__(self) -> str:
        until = f", until {self[-1].end_time} s" if self else ""
        return f"<{type(self).__name__}: {len(self)}{until}>"

    def _repr_html_(self) -> str:
        from ..views.table import table_html

        return table_html(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        from ..views.table import table_text

        printer.text(table_text(self) if self else repr(self))

    def to_srt(self) -> str:
        """The captions as a SubRip file (extra ``captions``).

        What a player would take for markup is kept apart by word joiners, which have no width.

        Raises:
            ConfigurationError: ``webvtt-py`` is not installed.
        """
        return srt_of(self)

    def to_vtt(self) -> str:
        """The captions as a WebVTT file (extra ``captions``).

        Raises:
            ConfigurationError: ``webvtt-py`` is not installed.
        """
        return vtt_of(self)

    def report(self) -> CaptionReport:
        """Measure how well they can be watched: how many of them break which rule."""
        return report_on(self._blocks, self._shape, self._names)


def captions_of(
    said: Sequence[Said],
    delimiters: Delimiters,
    language: Optional[str],
    *,
    max_line_length: int,
    max_lines: int,
    speaker_labels: SpeakerLabels,
) -> Captions:
    """Make the captions of what was said; see `Transcript.captions`."""
    shape = shape_of(max_line_length, max_lines)
    units = in_order(units_by_channel(said, delimiters, language))
    names = Names(speaker_labels, (unit.key for unit in units))
    return Captions(list(blocks_of(units, shape, names)), shape, names)
