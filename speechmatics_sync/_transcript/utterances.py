"""Utterances: what is said on a channel between one EndOfUtterance and the next."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Optional

from .._model.typing import Label
from .spoken import Delimiters, Passage, Spoken, SpokenReader
from .words import Said, Word, WordReader

__all__ = ["Utterance", "UtteranceEnd", "UtteranceReader"]


@dataclass(frozen=True)
class Utterance:
    """What was said on one channel until the server sent an EndOfUtterance.

    Args:
        channel: Label of the channel; None in a session with one channel.
        speakers: Labels of the speakers, in the order in which they begin; empty without speaker
            diarization.
        start_time: Seconds from the beginning of the audio.
        end_time: When its last word ends, in seconds from the beginning of the audio.
        text: The words with their punctuation.
        words: The words and entities, in order.
        ended: Whether an EndOfUtterance came after its words. False for the last words of a
            channel, if none came after them.
        forced: Whether ``force_end_of_utterance`` ended it.

    Example:
        >>> for utterance in client.transcribe("audio.wav").utterances:
        ...     print(utterance.start_time, utterance.text)
    """

    channel: Optional[str]
    speakers: list[str]
    start_time: float
    end_time: float
    text: str
    words: list[Word] = field(repr=False)
    ended: bool
    forced: bool


class UtteranceEnd(NamedTuple):
    """An EndOfUtterance among the finals of a transcript."""

    channel: Label
    forced: bool

    def parts(self) -> Iterable[dict[str, Any]]:
        """It has no results."""
        return ()


class _UtterancePassage(Passage):
    """The text of an utterance."""

    __slots__ = ("ended", "forced", "speakers")

    def __init__(self, delimiters: Delimiters, words: Sequence[Spoken]) -> None:
        self.speakers: tuple[str, ...] = ()
        self.ended = self.forced = False
        super().__init__(delimiters, words)

    def extend(self, words: Sequence[Spoken]) -> None:
        super().extend(words)
        for word in words:
            if word.number is None or word.speaker is None or word.speaker in self.speakers:
                continue
            self.speakers += (word.speaker,)


class _Channel:
    """What is read of one channel.

    Attributes:
        passages: The utterances; the last one may go on.
        new: The words that are still to be added to it.
    """

    def __init__(self) -> None:
        self.reader = SpokenReader()
        self.passages: list[_UtterancePassage] = []
        self.new: list[Spoken] = []


class UtteranceReader:
    """Reads utterances of a transcript that grows, each result once.

    Args:
        delimiters: Between words.
    """

    def __init__(self, delimiters: Delimiters) -> None:
        self._delimiters = delimiters
        self._at = 0
        self._channels: dict[Label, _Channel] = {}

    def read(self, said: Sequence[Said], until: int) -> None:
        """Read what was said up to a place in it."""
        for now in said[self._at : until]:
            channel = self._channels.setdefault(now.channel, _Channel())
            if isinstance(now, UtteranceEnd):
                self._join(channel)
                if channel.passages and not channel.passages[-1].ended:
                    channel.passages[-1].ended = True
                    channel.passages[-1].forced = now.forced
                continue
            for part in now.parts():
                word = channel.reader.read(part)
                if word is not None:
                    channel.new.append(word)
        for channel in self._channels.values():
            self._join(channel)
        self._at = max(self._at, until)

    def utterances(self, words: WordReader) -> list[Utterance]:
        """The utterances of all channels by time, with their words, of which as many were read."""
        made = [
            Utterance(
                label,
                list(passage.speakers),
                passage.start_time,
                passage.end_time,
                passage.text,
                words.within(label, passage.spans),
                passage.ended,
                passage.forced,
            )
            for label, channel in self._channels.items()
            for passage in self._with_marks_left(channel)
        ]
        return sorted(made, key=lambda utterance: utterance.start_time)

    def _join(self, channel: _Channel) -> None:
        """Add the words of a channel that are new to its utterances."""
        if not channel.new:
            return
        if channel.passages and not channel.passages[-1].ended:
            channel.passages[-1].extend(channel.new)
        else:
            channel.passages.append(_UtterancePassage(self._delimiters, channel.new))
        channel.reader.last = channel.passages[-1]
        channel.new = []

    def _with_marks_left(self, channel: _Channel) -> list[_UtterancePassage]:
        passages = list(channel.passages)
        left = channel.reader.left()
        if left is not None and passages and not passages[-1].ended:
            passages[-1] = passages[-1].copy()
            passages[-1].extend([left])
        elif left is not None:
            passages.append(_UtterancePassage(self._delimiters, [left]))
        return passages
