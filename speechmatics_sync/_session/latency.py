"""How long what was said takes to come back as text, in a limited amount of memory."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from typing import Optional

__all__ = ["AudioTimes", "Latest"]

_KEPT = 64
"""How many moments are kept at least: those of 16 seconds, while finals come within 4."""


class AudioTimes:
    """When the audio of one channel was sent, by its position."""

    def __init__(self) -> None:
        self._positions = array("d")
        self._moments = array("d")

    def note(self, position: float, moment: float) -> None:
        """Note up to which position, in seconds, audio was sent at a moment."""
        if self._positions and position <= self._positions[-1]:
            return  # it is sent again
        self._positions.append(position)
        self._moments.append(moment)
        if len(self._positions) >= 2 * _KEPT:
            del self._positions[:_KEPT], self._moments[:_KEPT]

    def when(self, position: float, end: float, last: float) -> Optional[float]:
        """Return when the audio up to a position was sent; between two moments, by proportion.

        Args:
            position: In seconds.
            end: Up to which position audio was sent, in seconds.
            last: When the last of it was sent.
        """
        after = bisect_left(self._positions, position)
        if not self._positions:
            return None
        if after == 0:
            return self._moments[0]
        begin, since = self._positions[after - 1], self._moments[after - 1]
        if after < len(self._positions):
            end, last = self._positions[after], self._moments[after]
        if end <= begin:
            return since
        return since + (last - since) * min(1.0, (position - begin) / (end - begin))


class Latest:
    """The latest of many values.

    Args:
        most: How many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values = array("d")
        self._next = 0

    def add(self, value: float) -> None:
        """Add a value in place of the oldest, once there are as many as are kept."""
        if len(self._values) < self._most:
            self._values.append(value)
        else:
            self._values[self._next] = value
            self._next = (self._next + 1) % self._most

    def quantiles(self, *fractions: float) -> list[Optional[float]]:
        """For each fraction, the least value that so many are not above; None without values."""
        ordered = sorted(self._values)
        if not ordered:
            return [None for _ in fractions]
        return [ordered[max(0, math.ceil(each * len(ordered)) - 1)] for each in fractions]
