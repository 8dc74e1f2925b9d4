"""The lines of a caption: who speaks in it, and where its lines break."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Optional

from ..columns import display_width
from ..speaker_names import Key, Names
from .rules import Shape
from .units import Unit

__all__ = ["SAME_LINE", "Layout", "lines_of", "passages_of"]

_BALANCE = 12.0
"""What a line costs that is longer or shorter than the others by the length of a line."""

SAME_LINE = 8_000.0
"""What it costs if two speakers share a line. It is done only where there are too few lines."""


def passages_of(units: Sequence[Unit]) -> list[list[Unit]]:
    """The words of one caption by speaker, in the order of time.

    What one says without a break is not parted by what another says meanwhile: the words of a
    channel are cut only where a sentence ends or the speaker changes.
    """
    pieces: list[list[Unit]] = []
    current: dict[Optional[str], list[Unit]] = {}
    for unit in units:
        piece = current.get(unit.key.channel)
        if piece is None or piece[-1].ends_sentence or piece[-1].key != unit.key:
            piece = current[unit.key.channel] = []
            pieces.append(piece)
        piece.append(unit)
    passages: list[list[Unit]] = []
    for piece in pieces:
        if passages and passages[-1][-1].key == piece[0].key:
            passages[-1].extend(piece)
        else:
            passages.append(piece)
    return passages


class Layout:
    """Words that may stand in the lines of captions, and what it costs to part them.

    Args:
        units: The words, in the order in which they are written.
        shape: How large a caption may be.
        prefixes: By index of a word: the width of what is written in front of it, because another
            speaker begins with it. A line should begin there.
    """

    def __init__(
        self, units: Sequence[Unit], shape: Shape, prefixes: Optional[Mapping[int, int]] = None
    ) -> None:
        self._shape = shape
        self._gaps = [len(unit.delimiter) for unit in units]
        self._costs = [unit.cost for unit in units]
        widths = [unit.width for unit in units]
        self._parted = len(prefixes or {})
        for index, prefix in (prefixes or {}).items():
            self._gaps[index] = 1
            self._costs[index] = -SAME_LINE
            widths[index] += prefix
        self._until = [0]
        for gap, width in zip(self._gaps, widths):
            self._until.append(self._until[-1] + gap + width)

    def width(self, start: int, end: int) -> int:
        """The width of these words in one line."""
        return self._until[end] - self._until[start] - self._gaps[start]

    def best(self, start: int, end: int, prefix: int) -> tuple[float, tuple[int, ...]]:
        """What the lines of a caption of these words cost, and where lines begin but the first.

        The cost is infinite if they do not fit.

        Args:
            start: Index of the first word.
            end: Index behind the last word.
            prefix: The width of what is written in front of the first.
        """
        length, most = self._shape
        whole = self.width(start, end) + prefix
        if whole <= length and not self._parted:
            return 0.0, ()
        fewest = min(most, self._parted + 1)
        for lines in range(fewest, most + 1):
            cost, breaks = self._break(start, end, prefix, lines, whole / lines)
            if cost < math.inf:
                return cost + SAME_LINE * self._parted, breaks
        return math.inf, ()

    def _break(
        self, start: int, end: int, prefix: int, lines: int, target: float
    ) -> tuple[float, tuple[int, ...]]:
        """Break words into so many lines, each of about a width."""
        length = self._shape.line_length
        until, gaps = self._until, self._gaps
        if lines == 1:
            width = until[end] - until[start] - gaps[start] + prefix
            if width > length and end - start > 1:
                return math.inf, ()
            return _BALANCE * ((width - target) / length) ** 2, ()
        best = math.inf
        where: tuple[int, ...] = ()
        room = (lines - 1) * (length + 1) - 1
        for at in range(start + 1, end):
            width = until[at] - until[start] - gaps[start] + prefix
            if width > length and at - start > 1:
                break
            if until[end] - until[at] - gaps[at] > room and end - at > lines - 1:
                continue
            rest, further = self._break(at, end, 0, lines - 1, target)
            cost = rest + self._costs[at] + _BALANCE * ((width - target) / length) ** 2
            if cost < best:
                best, where = cost, (at, *further)
        return best, where


def lines_of(
    units: Sequence[Unit], shape: Shape, names: Names, before: Optional[Key]
) -> tuple[str, ...]:
    """The lines of a caption.

    Args:
        units: Its words, in the order of time.
        shape: How large it may be.
        names: Of the speakers.
        before: Who spoke last in the caption before; None in the first one.
    """
    passages = passages_of(units)
    ordered = [unit for passage in passages for unit in passage]
    first = ordered[0].key
    is_named = len(passages) > 1 or names.begins(first, before)
    prefixes = {0: names.prefix(first) if is_named else ""}
    index = 0
    for before_it, passage in zip(passages, passages[1:]):
        index += len(before_it)
        prefixes[index] = names.prefix(passage[0].key)
    inner = {at: display_width(text) for at, text in prefixes.items() if at}
    layout = Layout(ordered, shape, inner)
    _, breaks = layout.best(0, len(ordered), display_width(prefixes[0]))
    lines = [""]
    for at, unit in enumerate(ordered):
        if at in breaks:
            lines.append("")
        elif at:
            lines[-1] += " " if at in inner else unit.delimiter
        lines[-1] += prefixes.get(at, "") + unit.text
    return tuple(lines)
