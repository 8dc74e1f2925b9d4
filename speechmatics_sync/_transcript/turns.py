"""Turns: who spoke when, over speakers and channels, of a transcript that grows.

Each channel is recognised on its own, and channels may overlap. So the words of a channel are cut
where a sentence ends, where the speaker changes, and where a word of another channel lies between
two of its words. The pieces of all channels are sorted by time; consecutive pieces of the same
speaker and channel are one turn.

What lies far enough back is closed: its words are joined to text, and only that is kept. It is cut
at a boundary, which must not change a turn, now or when more is said: between two words of one
channel, ``a`` and ``b``, such that

- every other word so far ends before ``a`` begins, or begins no earlier than ``b``. So ``a`` stands
  between any two words of another channel on both sides, and cuts them;
- ``a`` and ``b`` are in different pieces; or theirs is the last that begins before the boundary, so
  that its two halves would be neighbours, and one turn again.

Words that come later and begin before ``b`` would belong to what is closed. Finals of different
channels are seconds apart; in case they are further, everything is read once more, and the next
boundary lies further back. Marks that come later join the end of the last closed turn of their
channel, for no word of it has followed.
"""

import bisect
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple, Optional

from .._model.typing import Label
from .spoken import Delimiters, Passage, Spoken, SpokenReader
from .words import Said, Word, WordReader

__all__ = ["Turn", "TurnReader"]

_MARGIN = 30.0
"""Channels are rarely so many seconds apart."""

_BATCH = 100
"""Few enough to be joined at every read, and enough to make looking for a boundary worth it."""


@dataclass(frozen=True)
class Turn:
    """What one speaker said on one channel until another speaker spoke.

    Args:
        speaker: Label of the speaker; None without speaker diarization.
        channel: Label of the channel; None in a session with one channel.
        start_time: Seconds from the beginning of the audio.
        end_time: Seconds from the beginning of the audio.
        text: The words with their punctuation.
        words: The words and entities, in order.

    Example:
        >>> for turn in client.transcribe("audio.wav").turns:
        ...     print(turn.speaker, turn.text)
    """

    speaker: Optional[str]
    channel: Optional[str]
    start_time: float
    end_time: float
    text: str
    words: list[Word] = field(repr=False)


class _Channel:
    """What is read of one channel.

    Args:
        label: The channel's label.

    Attributes:
        open: The words after the last boundary.
    """

    def __init__(self, label: Label) -> None:
        self.label = label
        self.reader = SpokenReader()
        self.open: list[Spoken] = []


class _Piece(NamedTuple):
    """Words of one channel that stand together in the order of time."""

    channel: _Channel
    words: list[Spoken]


class _TurnPassage(Passage):
    """The text of a turn."""

    __slots__ = ("channel", "labels")

    def __init__(self, delimiters: Delimiters, words: Sequence[Spoken], channel: Label) -> None:
        super().__init__(delimiters, words)
        self.channel = channel
        self.labels = channel, self.speaker


class TurnReader:
    """Reads turns of a transcript that grows, each result once.

    Args:
        delimiters: Between words.
        margin: Seconds between a boundary and the latest word.
        batch: How many words are open before a boundary is looked for.
    """

    def __init__(
        self, delimiters: Delimiters, *, margin: float = _MARGIN, batch: int = _BATCH
    ) -> None:
        self._delimiters = delimiters
        self._margin = margin
        self._batch = batch
        self._has_several_channels = False
        self._begin()

    def _begin(self) -> None:
        self._at = 0
        self._channels: dict[Label, _Channel] = {}
        self._closed: list[_TurnPassage] = []
        self._closed_speakers: set[tuple[Label, Optional[str]]] = set()
        self._open_words = 0
        self._look_at = self._batch
        self._latest = -math.inf
        # Where the last boundary lies: its time, and the channel of the words on both sides.
        self._boundary: tuple[float, Optional[_Channel]] = (-math.inf, None)

    @property
    def count(self) -> int:
        """How many words were read."""
        return sum(channel.reader.count for channel in self._channels.values())

    def read(self, said: Sequence[Said], until: int) -> None:
        """Read what was said up to a place in it."""
        while not (self._read(said, until) and self._left_is_in_time()):
            self._begin()

    def turns(self, words: WordReader) -> list[Turn]:
        """The turns, by time, with their words, of which as many were read."""
        return [
            Turn(
                passage.speaker,
                passage.channel,
                passage.start_time,
                passage.end_time,
                passage.text,
                words.within(passage.channel, passage.spans),
            )
            for passage in self._passages()
        ]

    def text(self) -> str:
        """One line for each turn, with its label; without labels if one speaker said everything."""
        passages = self._passages()
        open_passages = passages[max(0, len(self._closed) - 1) :]
        speakers = self._closed_speakers.union(each.labels for each in open_passages)
        if len(speakers) < 2:
            return " ".join(passage.text for passage in passages)
        channels = {channel for channel, _ in speakers}
        begins = {}
        for channel, speaker in speakers:
            labels = [channel] if len(channels) > 1 else []
            if len(speakers) > len(channels):
                labels.append(speaker)
            label = " ".join(label for label in labels if label is not None)
            begins[channel, speaker] = label and f"{label}: "
        return "\n".join([begins[each.labels] + each.text for each in passages])

    # -- reading --------------------------------------------------------------------------------

    def _read(self, said: Sequence[Said], until: int) -> bool:
        """Read on; return False if everything is to be read again, with what was learnt."""
        while self._at < until:
            now = said[self._at]
            for part in now.parts():
                channel = self._channels.get(now.channel)
                if channel is None:
                    if self._closed and not self._has_several_channels:
                        self._has_several_channels = True
                        return False
                    channel = self._channels[now.channel] = _Channel(now.channel)
                    self._has_several_channels |= len(self._channels) > 1
                word = channel.reader.read(part)
                if word is None:
                    continue
                if not self._is_in_time(channel, word):
                    return False
                channel.open.append(word)
                self._open_words += 1
                self._latest = max(self._latest, word.end_time)
            if self._open_words >= self._look_at:
                self._close()
            self._at += 1
        return True

    def _is_in_time(self, channel: _Channel, word: Spoken) -> bool:
        """Whether a word belongs behind the last boundary; if not, widen the margin."""
        boundary, of = self._boundary
        if word.end_time < word.start_time:
            self._margin = math.inf  # nothing is known of the order of such words
            return not self._closed
        if word.start_time > boundary or (word.start_time == boundary and channel is of):
            return True
        self._margin = 2 * max(self._margin, self._latest - word.start_time)
        return False

    def _left_is_in_time(self) -> bool:
        """Whether marks that are still alone belong behind the last boundary."""
        if not self._has_several_channels:
            return True  # nothing is sorted: they are the last
        left = ((channel, channel.reader.left()) for channel in self._channels.values())
        return all(word is None or self._is_in_time(channel, word) for channel, word in left)

    def _passages(self) -> list[_TurnPassage]:
        passages = list(self._closed)
        if passages:
            passages[-1] = passages[-1].copy()
        self._append(passages, self._pieces(with_marks_left=True))
        return passages

    def _append(self, passages: list[_TurnPassage], pieces: Iterable[_Piece]) -> None:
        """Add pieces, by time, to turns that they follow."""
        by_speaker = groupby(pieces, key=lambda piece: (piece.channel, piece.words[0].speaker))
        for (channel, speaker), run in by_speaker:
            words = [word for piece in run for word in piece.words]
            last = passages[-1] if passages else None
            if last is not None and last.labels == (channel.label, speaker):
                last.extend(words)
            else:
                passages.append(_TurnPassage(self._delimiters, words, channel.label))

    def _pieces(self, *, with_marks_left: bool = False) -> list[_Piece]:
        """The open words, cut where a turn may end, by time."""
        words = {channel: channel.open for channel in self._channels.values()}
        if with_marks_left:
            for channel in words:
                left = channel.reader.left()
                if left is not None:
                    words[channel] = [*channel.open, left]
        spans = [
            (word.start_time, word.end_time, channel)
            for channel in words
            for word in words[channel]
        ]
        spans.sort(key=itemgetter(0, 1))
        pieces = []
        for channel in words:
            others = [span[:2] for span in spans if span[2] is not channel]
            pieces += [_Piece(channel, piece) for piece in _cut(words[channel], others)]
        if self._has_several_channels:
            pieces.sort(key=lambda piece: piece.words[0].start_time)
        return pieces

    # -- closing --------------------------------------------------------------------------------

    def _close(self) -> None:
        """Close what lies before the last boundary, if there is one."""
        pieces = self._pieces()
        closing = self._before_boundary(pieces)
        if closing:
            kept = max(0, len(self._closed) - 1)
            left = (
                _Piece(channel, [word for word in words if word in closing])
                for channel, words in pieces
            )
            self._append(self._closed, [piece for piece in left if piece.words])
            for channel in self._channels.values():
                channel.open = [word for word in channel.open if word not in closing]
            for passage in self._closed[kept:]:
                self._closed_speakers.add(passage.labels)
                channel = self._channels[passage.channel]
                if not channel.open:
                    channel.reader.last = passage
            self._open_words -= len(closing)
        self._look_at = max(self._batch, 2 * self._open_words)

    def _before_boundary(self, pieces: list[_Piece]) -> set[Spoken]:
        """Find the last boundary, and note it; return the words before it."""
        ranks = {word: rank for rank, piece in enumerate(pieces) for word in piece.words}
        ends = {piece.channel: piece.words[-1] for piece in pieces}
        places = [
            (word.start_time, order, index, word, channel)
            for order, channel in enumerate(self._channels.values())
            for index, word in enumerate(channel.open)
        ]
        places.sort(key=itemgetter(0, 1, 2))
        found = 0
        highest = dict.fromkeys(self._channels.values(), -1)
        missing = 0  # words of all channels that stand before one that was seen
        latest_end, highest_rank = -math.inf, -1
        for number, (place, following) in enumerate(zip(places, places[1:]), 1):
            _, _, index, word, channel = place
            missing += index - highest[channel] - 1 if index > highest[channel] else -1
            highest[channel] = max(highest[channel], index)
            after = following[3]
            if after.start_time > self._latest - self._margin:
                break
            if word is channel.open[-1] and word is not ends[channel]:
                break  # a mark that comes later joins this word, and not the end of the turn
            if (
                missing == 0
                and following[4] is channel
                and following[2] == index + 1 == highest[channel] + 1
                and latest_end <= word.start_time < after.start_time
                and word.end_time <= after.start_time
                and (ranks[word] != ranks[after] or ranks[word] >= highest_rank)
            ):
                found = number
                self._boundary = after.start_time, channel
            latest_end = max(latest_end, word.end_time)
            highest_rank = max(highest_rank, ranks[word])
        return {place[3] for place in places[:found]}


def _cut(words: list[Spoken], others: list[tuple[float, float]]) -> list[list[Spoken]]:
    """The words of one channel, cut where a turn may end.

    Args:
        words: The words of the channel, in order.
        others: Start and end of the words of all other channels, sorted.
    """
    pieces: list[list[Spoken]] = []
    last: Optional[Spoken] = None
    for word in words:
        if (
            last is None
            or last.ends_sentence
            or last.speaker != word.speaker
            or _any_within(others, last.end_time, word.start_time)
        ):
            pieces.append([])
        pieces[-1].append(word)
        last = word
    return pieces


def _any_within(spans: list[tuple[float, float]], start_time: float, end_time: float) -> bool:
    """Whether any span lies between two times; the spans are sorted by their start."""
    for index in range(bisect.bisect_left(spans, (start_time,)), len(spans)):
        span_start, span_end = spans[index]
        if span_start >= end_time:
            return False
        if span_end <= end_time:
            return True
    return False
