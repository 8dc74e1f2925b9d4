"""Words and turns: what one speaker said until somebody else spoke.

How results become text:

- The first alternative counts; a result without one is skipped.
- Between two results stands the word delimiter of their language (LanguageInfo, else
  ``language_pack_info``, else a space); none where ``attaches_to`` joins them. A punctuation mark
  that does not say attaches to what is before it.
- A turn is what one speaker says on one channel until somebody else speaks. Channels are
  recognised apart and may overlap, so each is cut where a sentence ends, where the speaker changes,
  and where a word of another channel falls into its silence; the pieces follow one another by time.
"""

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple, Optional

__all__ = ["Turn", "Word", "in_turns", "joined", "spoken_words"]


@dataclass(frozen=True)
class Word:
    """A word or an entity of the transcript; times in seconds.

    Args:
        content: As it is written.
        start_time: When it begins.
        end_time: When it ends.
        confidence: From 0 to 1.
        speaker: Who said it, with diarization.
        channel: On which channel, in a session of several.
        language: ISO code, if the server says.
        type: ``word`` or ``entity``.
    """

    content: str
    start_time: float
    end_time: float
    confidence: float
    speaker: Optional[str] = None
    channel: Optional[str] = None
    language: Optional[str] = None
    type: str = "word"


@dataclass(frozen=True)
class Turn:
    """What one speaker said on one channel until somebody else spoke; times in seconds."""

    speaker: Optional[str]
    channel: Optional[str]
    start_time: float
    end_time: float
    text: str
    words: list[Word]


class _Token(NamedTuple):
    content: str
    attaches_to: str
    language: Optional[str]


@dataclass(eq=False, repr=False)
class _Spoken:
    """A word with the marks that go with it."""

    channel: Optional[str]
    speaker: Optional[str]
    start_time: float
    end_time: float
    tokens: list[_Token]
    word: Optional[Word] = None
    ends_sentence: bool = False


class _Piece:
    """Consecutive words of one speaker on one channel."""

    def __init__(self) -> None:
        self.words: list[_Spoken] = []

    @property
    def voice(self) -> tuple[Optional[str], Optional[str]]:
        return self.words[0].channel, self.words[0].speaker

    @property
    def start_time(self) -> float:
        return self.words[0].start_time


def spoken_words(parts: Iterable[dict[str, Any]]) -> list[_Spoken]:
    """The words, each with the marks that go with it."""
    spoken: list[_Spoken] = []
    waiting: list[_Token] = []
    first_mark: Optional[dict[str, Any]] = None
    for part in parts:
        best = next(iter(part.get("alternatives") or ()), None)
        content = "" if best is None else best["content"].strip()
        if best is None or not content:
            continue
        is_mark = part["type"] == "punctuation"
        attaches_to = part.get("attaches_to") or ("previous" if is_mark else "none")
        token = _Token(content, attaches_to, best.get("language"))
        if is_mark:
            if spoken and attaches_to != "next":
                spoken[-1].tokens.append(token)
                spoken[-1].ends_sentence |= part.get("is_eos") is True
            else:
                waiting.append(token)
                first_mark = part
            continue
        word = Word(
            token.content,
            part["start_time"],
            part["end_time"],
            best["confidence"],
            best.get("speaker"),
            part.get("channel"),
            token.language,
            part["type"],
        )
        spoken.append(
            _Spoken(
                word.channel,
                word.speaker,
                word.start_time,
                word.end_time,
                [*waiting, token],
                word,
            )
        )
        waiting = []
    if waiting and first_mark is not None:
        best = first_mark["alternatives"][0]
        times = first_mark["start_time"], first_mark["end_time"]
        spoken.append(_Spoken(first_mark.get("channel"), best.get("speaker"), *times, waiting))
    return spoken


def in_turns(channels: list[list[_Spoken]]) -> list[list[_Spoken]]:
    """The words of all channels, in turns, by time."""
    pieces = []
    for own, spoken in enumerate(channels):
        others = sorted(
            (word.start_time, word.end_time)
            for index, words in enumerate(channels)
            if index != own
            for word in words
        )
        pieces += _cut(spoken, others)
    if len(channels) > 1:
        pieces.sort(key=lambda piece: piece.start_time)
    turns = []
    for _, run in groupby(pieces, key=lambda piece: piece.voice):
        turns.append([word for piece in run for word in piece.words])
    return turns


def _cut(spoken: list[_Spoken], others: list[tuple[float, float]]) -> list[_Piece]:
    """One channel's words, cut where somebody else may have had the word."""
    pieces: list[_Piece] = []
    last: Optional[_Spoken] = None
    for word in spoken:
        if (
            last is None
            or last.ends_sentence
            or last.speaker != word.speaker
            or _any_within(others, last.end_time, word.start_time)
        ):
            pieces.append(_Piece())
        pieces[-1].words.append(word)
        last = word
    return pieces


def _any_within(spans: list[tuple[float, float]], start_time: float, end_time: float) -> bool:
    """Whether a whole span lies in a time; the spans are sorted by their start."""
    for index in range(bisect.bisect_left(spans, (start_time,)), len(spans)):
        span_start, span_end = spans[index]
        if span_start >= end_time:
            return False
        if span_end <= end_time:
            return True
    return False


def joined(tokens: Iterable[_Token], delimiters: Mapping[str, str], usual: str) -> str:
    text = ""
    last: Optional[_Token] = None
    for token in tokens:
        if last is not None and not (
            last.attaches_to in ("next", "both") or token.attaches_to in ("previous", "both")
        ):
            # Where two languages meet, the longer delimiter keeps their words apart.
            sides = (delimiters.get(side.language or "", usual) for side in (last, token))
            text += max(sides, key=len)
        text += token.content
        last = token
    return text
