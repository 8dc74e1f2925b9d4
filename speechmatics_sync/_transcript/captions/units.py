"""The words of a transcript as captions need them: with their widths and what may part them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Optional

from ..._model.typing import Label
from ..columns import display_width
from ..speaker_names import Key
from ..spoken import Delimiters, Spoken, SpokenReader, Token
from ..words import Said
from .breaks import Kind, break_cost, kind_of, mark_cost

__all__ = ["Unit", "UnitReader", "in_order", "units_by_channel"]

_SPACE = re.compile(r"[^\S\u00a0\u2007\u202f]+|[\x00-\x1f\x7f-\x9f]+")
"""Where a text may be broken, and what cannot be shown. Not the spaces that forbid a break."""

_AROUND = re.compile(r"^\W+|[^\w'’]+$")
"""The marks around a word."""

_NO_KIND = Kind()


class Unit:
    """A word with its marks, which stays in one line.

    Args:
        text: The word as it is written, with the marks that join it.
        start: In milliseconds.
        end: In milliseconds.
        key: Its channel and speaker.
        delimiter: What stands between the unit before it and this one, on the same channel.
        cost: Of a break in front of it; see `break_cost`.
        ends_sentence: Whether a sentence ends with it.
    """

    __slots__ = (
        "cost",
        "delimiter",
        "end",
        "ends_sentence",
        "key",
        "start",
        "text",
        "width",
    )

    def __init__(
        self,
        text: str,
        start: int,
        end: int,
        key: Key,
        delimiter: str,
        cost: float,
        ends_sentence: bool,
    ) -> None:
        self.text = text
        self.width = display_width(text)
        self.start = start
        self.end = end
        self.key = key
        self.delimiter = delimiter
        self.cost = cost
        self.ends_sentence = ends_sentence


class UnitReader:
    """Makes the units of one channel, in order.

    The last word is held until the next one is there: marks may still join it.

    Args:
        channel: The channel's label.
        delimiters: Between words.
        language: Of words whose language the server did not name.
    """

    def __init__(self, channel: Label, delimiters: Delimiters, language: Optional[str]) -> None:
        self._channel = channel
        self._delimiters = delimiters
        self._language = language
        self._reader = SpokenReader()
        self._held: Optional[Spoken] = None
        self._last_token: Optional[Token] = None
        self._kinds = (_NO_KIND, _NO_KIND)  # of the last two units
        self._mark: Optional[float] = None  # what a mark at the end of the last unit makes a break
        self._latest = 0  # start of the last unit
        self._ended = 0

    def read(self, results: Iterable[Mapping[str, Any]]) -> Iterator[Unit]:
        """Read results as the server sent them; give the units that are complete."""
        for result in results:
            spoken = self._reader.read(result)
            if spoken is not None:
                yield from self._take(spoken)

    @property
    def holds_a_word(self) -> bool:
        """Whether there is a word that marks may still join."""
        return self._held is not None

    def end(self) -> Iterator[Unit]:
        """Give all that is held, with marks that wait for a word."""
        left = self._reader.left()
        self._reader = SpokenReader()
        if left is not None:
            yield from self._take(left)
        yield from self.release()

    def _take(self, spoken: Spoken) -> Iterator[Unit]:
        held = self._held
        if held is not None and held.speaker == spoken.speaker and _is_attached(held, spoken):
            held.tokens.extend(spoken.tokens)
            held.end_time = max(held.end_time, spoken.end_time)
            held.ends_sentence = spoken.ends_sentence
            self._reader.last = held
            return
        yield from self.release()
        self._held = spoken

    def release(self) -> Iterator[Unit]:
        """Give the units that are held. A mark that comes for them later is left out."""
        spoken, self._held = self._held, None
        if spoken is None:
            return
        delimiter = self._delimiters.between(self._last_token, spoken.tokens[0])
        self._last_token = spoken.tokens[-1]
        text = self._delimiters.joined(spoken.tokens)
        pieces = [each.strip() for each in _SPACE.split(text) if each.strip()]
        length, begun = sum(map(len, pieces)), 0
        # A channel's words stay in their order, whatever their times.
        start = max(self._latest, round(spoken.start_time * 1000))
        end = max(start, int(spoken.end_time * 1000 + 1e-6))
        language = next((token.language for token in spoken.tokens if token.language), None)
        for index, piece in enumerate(pieces):
            is_last = index == len(pieces) - 1
            from_ = start + (end - start) * begun // length
            begun += len(piece)
            until = start + (end - start) * begun // length
            kind = kind_of(_AROUND.sub("", piece), language or self._language)
            cost = break_cost(
                *self._kinds,
                kind,
                mark=self._mark,
                pause=(from_ - self._ended) / 1000,
                within_entity=index > 0,
            )
            ends_sentence = spoken.ends_sentence and is_last
            self._mark = mark_cost(
                piece, ends_sentence=ends_sentence, has_mark=is_last and len(spoken.tokens) > 1
            )
            self._kinds = self._kinds[1], kind
            key = Key(self._channel, spoken.speaker)
            yield Unit(piece, from_, until, key, " " if index else delimiter, cost, self._mark == 0)
            self._latest, self._ended = from_, until


def _is_attached(before: Spoken, after: Spoken) -> bool:
    return before.tokens[-1].attaches_to in ("next", "both") or after.tokens[0].attaches_to in (
        "previous",
        "both",
    )


def units_by_channel(
    said: Sequence[Said], delimiters: Delimiters, language: Optional[str]
) -> list[list[Unit]]:
    """The units of each channel, in order."""
    readers: dict[Label, UnitReader] = {}
    units: dict[Label, list[Unit]] = {}
    for now in said:
        reader = readers.get(now.channel)
        if reader is None:
            reader = readers[now.channel] = UnitReader(now.channel, delimiters, language)
            units[now.channel] = []
        units[now.channel].extend(reader.read(now.parts()))
    for label, reader in readers.items():
        units[label].extend(reader.end())
    return list(units.values())


def in_order(channels: Sequence[Sequence[Unit]]) -> list[Unit]:
    """The units of all channels by time; those of one channel stay in their order."""
    if len(channels) == 1:
        return list(channels[0])
    return sorted((unit for units in channels for unit in units), key=lambda unit: unit.start)
