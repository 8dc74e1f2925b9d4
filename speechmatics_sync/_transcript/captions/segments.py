"""Which words make one caption: found by dynamic programming over the words in the order of time.

A caption holds consecutive words. So captions never overlap, also where speakers or channels do:
what is said at the same time stands in one caption, in a line for each, if captions of one speaker
could not be read.

What it costs, from what is never done to what only looks better:

1. an article apart from its noun;
2. a caption too short or too fast to be read, and two speakers in one caption. Such a fault costs
   more than the looks of all captions between two pauses;
3. breaks at places that are worse than others, lines that are not balanced, tiny captions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

from ..columns import display_width
from ..speaker_names import Key, Names
from .breaks import NEVER
from .layout import SAME_LINE, Layout, passages_of
from .rules import GAP, LINGER, LONGEST, PAUSE, SHORTEST, SPEED, Shape
from .units import Unit

__all__ = ["Segmenter", "Span", "display_end", "needed"]

_FLICKER = 200
"""Milliseconds. A caption that is shown for less counts as many that are too short."""

_TOO_BRIEF_TO_SEE = 200_000.0
_TOO_SHORT = 20_000.0
_TOO_FAST = 10_000.0
_SEVERAL_SPEAKERS = 15_000.0
_DEGREE = 5_000.0
"""How much the degree of a fault adds to it."""

_CAPTION = 6.0
"""What every caption costs, so that there are few."""
_BREAK = 1.5
"""A break between captions weighs more than one between lines."""
_SENTENCE_WITHIN = 1.0
_SENTENCE_BEGUN = 5.0
_PAUSE_WITHIN = 4.0
_TINY = 4.0
_TINY_WIDTH = 12
_TINY_DURATION = 1200

_REACH = 8000
"""Milliseconds. Words that are further apart are not in one caption."""


class Span(NamedTuple):
    """The words of one caption: from an index, and up to and without another."""

    start: int
    end: int


def needed(width: int) -> int:
    """The milliseconds in which a text of a width can be read."""
    return max(SHORTEST, -(-width * 1000 // SPEED))


def display_end(start: int, speech_end: int, following: Optional[int], width: int) -> int:
    """When a caption ends.

    Args:
        start: When it begins.
        speech_end: When its last word ends.
        following: When the next one begins; None for the last.
        width: Of its text.
    """
    end = min(max(speech_end, start + needed(width)), latest_end(start, speech_end, following))
    return max(end, start)


def latest_end(start: int, speech_end: int, following: Optional[int]) -> int:
    """When a caption ends at the latest."""
    end = min(speech_end + LINGER, start + LONGEST)
    return end if following is None else min(end, following - GAP)


class Segmenter:
    """Splits words into captions.

    Args:
        units: The words of all channels, in the order of time.
        shape: How large a caption may be.
        names: Of the speakers.
        before: Who spoke in the caption before the first one.
        looks: How much it counts how captions look; 0 for what cannot be done better at all.
    """

    def __init__(
        self,
        units: Sequence[Unit],
        shape: Shape,
        names: Names,
        *,
        before: Optional[Key] = None,
        looks: float = 1.0,
    ) -> None:
        self._units = units
        self._shape = shape
        self._names = names
        self._before = before
        self._looks = looks
        self._layout = Layout(units, shape)
        self._prefixes = self._reserved()
        self._cuts = self._cut_costs()

    def runs(self) -> Iterator[Span]:
        """The words between two pauses in which nobody speaks."""
        start, ended = 0, 0
        for index, unit in enumerate(self._units):
            if index > start and unit.start - ended >= PAUSE:
                yield Span(start, index)
                start = index
            ended = max(ended, unit.end) if index > start else unit.end
        if start < len(self._units):
            yield Span(start, len(self._units))

    def split(self, run: Span) -> list[Span]:
        """The captions of a run."""
        best = [0.0] + [math.inf] * (run.end - run.start)
        came = [0] * (run.end - run.start + 1)
        for start in range(run.start, run.end):
            so_far = best[start - run.start]
            for end, cost in self._captions(start, run.end):
                if so_far + cost < best[end - run.start]:
                    best[end - run.start] = so_far + cost
                    came[end - run.start] = start
        spans = []
        end = run.end
        while end > run.start:
            start = came[end - run.start]
            spans.append(Span(start, end))
            end = start
        return spans[::-1]

    def cost(self, spans: Sequence[Span], run: Span) -> float:
        """What captions of a run cost together."""
        return sum(dict(self._captions(start, run.end))[end] for start, end in spans)

    def _captions(self, start: int, limit: int) -> Iterator[tuple[int, float]]:
        """The captions that may begin with a word: the index behind each, and what it costs."""
        units, layout = self._units, self._layout
        first = units[start]
        prefix = self._prefixes[start]
        room = self._shape.lines * (self._shape.line_length + 1) - 1
        speech_end = first.end
        several = False
        sentences, pauses = 0, 0.0
        for end in range(start + 1, limit + 1):
            last = units[end - 1]
            if end - 1 > start:
                pause = last.start - speech_end
                if pause > 0:
                    pauses += (pause / 1000) ** 2
                speech_end = max(speech_end, last.end)
                sentences += units[end - 2].ends_sentence
                several = several or last.key != first.key
                if speech_end - first.start > LONGEST or layout.width(start, end) + prefix > room:
                    return
            width = layout.width(start, end) + prefix
            fault = 0.0
            if several:
                lines, shared, passages, width = self._of_several(start, end)
                fault = _SEVERAL_SPEAKERS * (passages - 1) + SAME_LINE * shared
            else:
                lines, _ = layout.best(start, end, prefix)
            if lines == math.inf:
                continue
            following = units[end].start if end < len(units) else None
            shown = latest_end(first.start, speech_end, following) - first.start
            fault += _fault(shown, width)
            looks = _CAPTION + lines + _BREAK * self._cuts[end] + _PAUSE_WITHIN * pauses
            if sentences:
                looks += _SENTENCE_WITHIN if last.ends_sentence else _SENTENCE_BEGUN
            if width < _TINY_WIDTH or shown < _TINY_DURATION:
                looks += _TINY
            never, looks = divmod(looks, NEVER)
            yield end, fault + never * NEVER + looks * self._looks

    def _of_several(self, start: int, end: int) -> tuple[float, int, int, int]:
        """Of a caption of several speakers: what its lines cost, how often two speakers share one,
        how many passages it has, and its width."""
        passages = passages_of(self._units[start:end])
        ordered = [unit for passage in passages for unit in passage]
        prefixes: dict[int, int] = {}
        index = 0
        for passage in passages:
            prefixes[index] = display_width(self._names.prefix(passage[0].key))
            index += len(passage)
        prefix = prefixes.pop(0)
        layout = Layout(ordered, self._shape, prefixes)
        cost, breaks = layout.best(0, len(ordered), prefix)
        shared = len(prefixes) - len(prefixes.keys() & set(breaks))
        cost -= SAME_LINE * shared
        return cost, shared, len(passages), layout.width(0, len(ordered)) + prefix

    def _reserved(self) -> list[int]:
        """By word: the room that its speaker's name may need, if a caption begins with it.

        Who spoke last in the caption before is known only when that is made; it is somebody of the
        words that may be in it.
        """
        reserved: list[int] = []
        widths: dict[Key, int] = {}
        latest, latest_start = self._before, -_REACH  # who spoke last, and when
        other_start = -_REACH  # when anybody else did
        for unit in self._units:
            key, begins = unit.key, False
            if not reserved:
                begins = self._names.begins(key, self._before)
            elif key != latest:
                begins = True
            else:
                begins = unit.start - other_start < _REACH
            if key != latest:
                latest, other_start = key, latest_start
            latest_start = unit.start
            if key not in widths:
                widths[key] = display_width(self._names.prefix(key))
            reserved.append(widths[key] if begins else 0)
        return reserved

    def _cut_costs(self) -> list[float]:
        """By index of a word: what it costs that one caption ends and another begins before it."""
        units = self._units
        costs = [0.0] * (len(units) + 1)
        previous: dict[Optional[str], Unit] = {}
        parted = []  # what each word costs if a caption begins between it and its channel's last
        for unit in units:
            before = previous.get(unit.key.channel)
            parted.append(unit.cost if before is not None and before.key == unit.key else 0.0)
            previous[unit.key.channel] = unit
        upcoming: dict[Optional[str], float] = {}  # by channel: of its next word
        for index in range(len(units) - 1, 0, -1):
            upcoming[units[index].key.channel] = parted[index]
            costs[index] = sum(upcoming.values())
        return costs


def _fault(shown: int, width: int) -> float:
    """What it costs if a text is shown for too few milliseconds."""
    fault = 0.0
    if shown < SHORTEST:
        fault += _TOO_SHORT + _DEGREE * (1 - max(shown, 0) / SHORTEST)
        if shown < _FLICKER:
            fault += _TOO_BRIEF_TO_SEE
    if width * 1000 > SPEED * shown:
        fault += _TOO_FAST + _DEGREE * (1 - max(shown, 0) * SPEED / (width * 1000))
    return fault
