"""What captions are held to, and the names of those who speak in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Optional, Union

from .._numbers import plain_number
from ..errors import ConfigurationError
from .caption_units import Key

__all__ = [
    "GAP",
    "LINGER",
    "LONGEST",
    "PAUSE",
    "SHORTEST",
    "SPEED",
    "Names",
    "Shape",
    "SpeakerLabels",
    "shape_of",
]

SpeakerLabels = Union[None, bool, Mapping[str, str]]

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


class Names:
    """What is written in front of a speaker's words.

    Args:
        asked: None for a dash where the speaker changes, if several speak; True for the labels,
            False for nothing; a mapping of labels to names.
        keys: Who speaks, of all.
    """

    def __init__(self, asked: SpeakerLabels, keys: Iterable[Key]) -> None:
        if asked is not None and not isinstance(asked, (bool, Mapping)):
            raise ConfigurationError(
                f"speaker_labels is {asked!r}; allowed: None, True, False or a mapping of labels"
                " to names"
            )
        keys = set(keys)
        channels = {key.channel for key in keys}
        self.are_several = len(keys) > 1
        self._asked = asked
        self._names = asked if isinstance(asked, Mapping) else {}
        self._show_channel = len(channels) > 1 or all(key.speaker is None for key in keys)
        self._show_speaker = len(keys) > len(channels) or channels == {None}

    def name(self, key: Key) -> str:
        """The name of a speaker; empty if there is no label."""
        shown = [
            label
            for label, is_shown in (
                (key.channel, self._show_channel),
                (key.speaker, self._show_speaker),
            )
            if is_shown and label is not None
        ]
        names = (" ".join(str(self._names.get(label, label)).split()) for label in shown)
        return " ".join(name for name in names if name)

    def prefix(self, key: Key) -> str:
        """What is written in front of a speaker's words."""
        if self._asked is None:
            return "- " if self.are_several else ""
        name = "" if self._asked is False else self.name(key)
        return f"{name}: " if name else ""

    def begins(self, key: Key, before: Optional[Key]) -> bool:
        """Whether that is done at the beginning of a caption.

        Args:
            key: Who speaks first in it.
            before: Who spoke last in the caption before; None in the first one.
        """
        return key != before and (before is not None or self._asked is not None)
