"""Words and turns: how the results of a transcript become text.

- The first alternative of a result counts; a result without alternatives is skipped.
- Two results are separated by the word delimiter of their language (from LanguageInfo, else from
  ``language_pack_info``, else a space), and by nothing where ``attaches_to`` joins them. A
  punctuation mark without ``attaches_to`` joins the word before it.
- Each channel is recognised on its own, and channels may overlap. So the words of a channel are
  cut where a sentence ends, where the speaker changes, and where a word of another channel lies
  between two of its words. The pieces of all channels are sorted by time; consecutive pieces of
  the same speaker and channel are one turn.
"""

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple, Optional

__all__ = ["Turn", "Word", "text_of", "turns_of", "words_of"]


@dataclass(frozen=True)
class Word:
    """A word or an entity of the transcript.

    Args:
        content: The word as it is written.
        start_time: Seconds from the beginning of the audio.
        end_time: Seconds from the beginning of the audio.
        confidence: From 0 to 1.
        speaker: Label of the speaker; None without speaker diarization.
        channel: Label of the channel; None in a session with one channel.
        language: ISO code; None if the server did not send it.
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
    """What one speaker said on one channel until another speaker spoke.

    Args:
        speaker: Label of the speaker; None without speaker diarization.
        channel: Label of the channel; None in a session with one channel.
        start_time: Seconds from the beginning of the audio.
        end_time: Seconds from the beginning of the audio.
        text: The words with their punctuation.
        words: The words and entities, in order.
    """

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
    """A word with its punctuation marks, or marks that have no word (``word`` is None)."""

    channel: Optional[str]
    speaker: Optional[str]
    start_time: float
    end_time: float
    tokens: list[_Token]
    word: Optional[Word] = None
    ends_sentence: bool = False


def words_of(results: Iterable[dict[str, Any]]) -> list[Word]:
    """The words and entities among results as the server sent them."""
    return [spoken.word for spoken in _spoken(results) if spoken.word is not None]


def turns_of(
    channels: Iterable[Iterable[dict[str, Any]]], delimiters: Mapping[str, str], default: str
) -> list[Turn]:
    """The turns of all channels, by time.

    Args:
        channels: The results of each channel, as the server sent them.
        delimiters: Language → its word delimiter.
        default: The word delimiter of a language that is not among them.
    """
    words_by_channel = [_spoken(results) for results in channels]
    pieces = []
    for own, words in enumerate(words_by_channel):
        others = sorted(
            (word.start_time, word.end_time)
            for index, theirs in enumerate(words_by_channel)
            if index != own
            for word in theirs
        )
        pieces += _cut(words, others)
    if len(words_by_channel) > 1:
        pieces.sort(key=lambda piece: piece[0].start_time)
    turns = []
    for (channel, speaker), run in groupby(
        pieces, key=lambda piece: (piece[0].channel, piece[0].speaker)
    ):
        words = [word for piece in run for word in piece]
        turns.append(
            Turn(
                speaker,
                channel,
                words[0].start_time,
                max(word.end_time for word in words),
                _joined((token for word in words for token in word.tokens), delimiters, default),
                [spoken.word for spoken in words if spoken.word is not None],
            )
        )
    return turns


def text_of(turns: list[Turn]) -> str:
    """One line for each turn, with its label; without labels if one speaker said everything."""
    channels = {turn.channel for turn in turns}
    speakers = {(turn.channel, turn.speaker) for turn in turns}
    if len(speakers) < 2:
        return " ".join(turn.text for turn in turns)
    lines = []
    for turn in turns:
        labels = [turn.channel] if len(channels) > 1 else []
        if len(speakers) > len(channels):
            labels.append(turn.speaker)
        label = " ".join(label for label in labels if label is not None)
        lines.append(f"{label}: {turn.text}" if label else turn.text)
    return "\n".join(lines)


def _spoken(results: Iterable[dict[str, Any]]) -> list[_Spoken]:
    """The words of one or more channels, each with the marks that join it."""
    spoken: list[_Spoken] = []
    waiting: list[_Token] = []  # marks that join the next word
    first_mark: Optional[dict[str, Any]] = None
    for result in results:
        best = next(iter(result.get("alternatives") or ()), None)
        content = "" if best is None else best["content"].strip()
        if best is None or not content:
            continue
        is_mark = result["type"] == "punctuation"
        attaches_to = result.get("attaches_to") or ("previous" if is_mark else "none")
        token = _Token(content, attaches_to, best.get("language"))
        if is_mark:
            if spoken and attaches_to != "next":
                spoken[-1].tokens.append(token)
                spoken[-1].ends_sentence |= result.get("is_eos") is True
            else:
                waiting.append(token)
                first_mark = result
            continue
        word = Word(
            content,
            result["start_time"],
            result["end_time"],
            best["confidence"],
            best.get("speaker"),
            result.get("channel"),
            token.language,
            result["type"],
        )
        times = word.start_time, word.end_time
        spoken.append(_Spoken(word.channel, word.speaker, *times, [*waiting, token], word))
        waiting = []
    if waiting and first_mark is not None:
        best = first_mark["alternatives"][0]
        times = first_mark["start_time"], first_mark["end_time"]
        spoken.append(_Spoken(first_mark.get("channel"), best.get("speaker"), *times, waiting))
    return spoken


def _cut(words: list[_Spoken], others: list[tuple[float, float]]) -> list[list[_Spoken]]:
    """The words of one channel, cut where a turn may end.

    Args:
        words: The words of the channel, in order.
        others: Start and end of the words of all other channels, sorted.
    """
    pieces: list[list[_Spoken]] = []
    last: Optional[_Spoken] = None
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


def _joined(tokens: Iterable[_Token], delimiters: Mapping[str, str], default: str) -> str:
    text = ""
    last: Optional[_Token] = None
    for token in tokens:
        if last is not None and not (
            last.attaches_to in ("next", "both") or token.attaches_to in ("previous", "both")
        ):
            # Between two languages, the longer delimiter keeps their words apart.
            sides = (delimiters.get(side.language or "", default) for side in (last, token))
            text += max(sides, key=len)
        text += token.content
        last = token
    return text
