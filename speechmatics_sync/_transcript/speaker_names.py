"""The names of those who speak, as captions and texts show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Optional, Protocol, Union

from .._model.typing import Label
from ..errors import ConfigurationError

__all__ = ["Key", "Labelled", "Names", "SpeakerLabels", "who_says"]

SpeakerLabels = Union[None, bool, Mapping[str, str]]


class Labelled(Protocol):
    """What was said by somebody, such as a line or a turn."""

    @property
    def channel(self) -> Label: ...

    @property
    def speaker(self) -> Label: ...


def who_says(said: Labelled) -> str:
    """Return the channel and the speaker of what was said; "" if there is neither."""
    return " ".join(filter(None, [said.channel, said.speaker]))


class Key(NamedTuple):
    """Who speaks where."""

    channel: Label
    speaker: Label


class Names:
    """How speakers are named in captions and texts.

    Args:
        asked: None for a dash (in a text: the label) where the speaker changes, if several speak;
            True for the labels, False for nothing; a mapping of labels to names.
        keys: All who speak.

    Attributes:
        are_several: Whether more than one speaks.
    """

    def __init__(self, asked: SpeakerLabels, keys: Iterable[Key]) -> None:
        if asked is not None and not isinstance(asked, (bool, Mapping)):
            raise ConfigurationError(
                f"speaker_labels is {asked!r}; allowed: None, True, False or a mapping of labels"
                " to names"
            )
        self.are_several = False
        self._asked = asked
        self._names = asked if isinstance(asked, Mapping) else {}
        self._keys: set[Key] = set()
        self.add(keys)

    def add(self, keys: Iterable[Key]) -> None:
        """Add speakers who were not known before."""
        self._keys.update(keys)
        channels = {key.channel for key in self._keys}
        self.are_several = len(self._keys) > 1
        self._show_channel = len(channels) > 1 or all(key.speaker is None for key in self._keys)
        self._show_speaker = len(self._keys) > len(channels) or channels == {None}

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

    def label(self, key: Key) -> str:
        """What is written in front of a speaker's words in a text: a name, or nothing."""
        if self._asked is False or (self._asked is None and not self.are_several):
            return ""
        name = self.name(key)
        return f"{name}: " if name else ""

    def prefix(self, key: Key) -> str:
        """What is written in front of a speaker's words in a caption."""
        if self._asked is None:
            return "- " if self.are_several else ""
        return self.label(key)

    def begins(self, key: Key, before: Optional[Key]) -> bool:
        """Whether that is done at the beginning of a caption.

        Args:
            key: Who speaks first in it.
            before: Who spoke last in the caption before; None in the first one.
        """
        return key != before and (before is not None or self._asked is not None)
