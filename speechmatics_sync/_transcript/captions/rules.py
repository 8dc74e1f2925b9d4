"""What captions are held to."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..._numbers import plain_number
from ...errors import ConfigurationError

__all__ = [
    "GAP",
    "LINGER",
    "LONGEST",
    "PAUSE",
    "SHORTEST",
    "SPEED",
    "Shape",
    "shape_of",
]

# Milliseconds, as in the files, so that nothing is lost in rounding.
SHORTEST = 834
"""Five sixths of a second."""
LONGEST = 7000
GAP = 84
"""Two frames of 24 a second, between two captions."""
LINGER = 500
"""How long a caption may stay after its speech."""
PAUSE = 1500
"""From this long a pause on, a new caption begins."""

SPEED = 17
"""Characters a second."""


class Shape(NamedTuple):
    """How large a caption may be: characters of a line, and lines."""

    line_length: int
    lines: int


def shape_of(max_line_length: Any, max_lines: Any) -> Shape:
    """Check what a user asked for."""
    plain = []
    for name, value in (("max_line_length", max_line_length), ("max_lines", max_lines)):
        number = plain_number(value, whole=True)
        if number is None or number < 1:
            raise ConfigurationError(f"{name} is {value!r}; allowed: an integer of at least 1")
        plain.append(int(number))
    return Shape(*plain)
