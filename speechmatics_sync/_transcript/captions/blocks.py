"""Captions in the making: words become lines and times, one caption after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

from ..columns import display_width
from ..speaker_names import Key, Names
from .layout import lines_of, passages_of
from .rules import GAP, Shape
from .segments import Segmenter, display_end
from .units import Unit

__all__ = ["Block", "Composer", "blocks_of"]

_FLICKER = 200
"""Milliseconds for which a caption is shown at least."""


class Block(NamedTuple):
    """A caption in the making: its words, and when they are shown, in milliseconds.

    Args:
        units: The words, in the order of time.
        start: When it appears.
        end: When it disappears.
        lines: Its lines.
    """

    units: Sequence[Unit]
    start: int
    end: int
    lines: tuple[str, ...]

    @property
    def speech_end(self) -> int:
        """When the last word ends."""
        return max(unit.end for unit in self.units)

    @property
    def is_delayed(self) -> bool:
        """Whether it could not appear when its first word begins."""
        return self.start > self.units[0].start


class Composer:
    """Makes captions of words, one after another.

    Args:
        shape: How large a caption may be.
        names: Of the speakers.

    Attributes:
        before: Who spoke last in the last caption.
        free: From when on the next one may appear, in milliseconds.
    """

    def __init__(self, shape: Shape, names: Names) -> None:
        self.before: Optional[Key] = None
        self._shape = shape
        self._names = names
        self.free = 0

    def block(self, units: Sequence[Unit], following: Optional[int]) -> Block:
        """Make the next caption.

        Args:
            units: Its words.
            following: When the word after them begins; None if there is none.
        """
        lines = lines_of(units, self._shape, self._names, self.before)
        width = sum(map(display_width, lines)) + len(lines) - 1
        # Words whose times are the same, or run backwards, are shown one after the other.
        start = max(units[0].start, self.free)
        end = display_end(start, max(unit.end for unit in units), following, width)
        end = max(end, start + _FLICKER)
        self.free = end + GAP
        self.before = passages_of(units)[-1][-1].key
        return Block(units, start, end, lines)


def blocks_of(units: Sequence[Unit], shape: Shape, names: Names) -> Iterator[Block]:
    """Make captions of all words, in the order of time."""
    segmenter, composer = Segmenter(units, shape, names), Composer(shape, names)
    for run in segmenter.runs():
        for start, end in segmenter.split(run):
            following = units[end].start if end < len(units) else None
            yield composer.block(units[start:end], following)
