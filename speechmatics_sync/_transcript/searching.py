"""Where something was said."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

from .._model.typing import Label
from .spoken import Delimiters, Spoken, SpokenReader
from .words import Said

__all__ = ["Match", "search"]


@dataclass(frozen=True)
class Match:
    """A place in a transcript where the words of a search were said.

    Args:
        text: The words as they are written, with their punctuation.
        start_time: When the first of them begins, in seconds from the beginning of the audio.
        end_time: When the last of them ends, in seconds from the beginning of the audio.
        before: What the same speaker said before, as text that ``text`` continues.
        after: What the same speaker said next, as text that continues ``text``.
        speaker: Label of the speaker; None without speaker diarization.
        channel: Label of the channel; None in a session with one channel.

    Example:
        >>> match = client.transcribe("audio.wav").search("world")[0]
        >>> match.start_time, match.context
        (0.6, 'hello world.')
    """

    __module__ = "speechmatics_sync"  # which loads this one only when it is needed

    text: str
    start_time: float
    end_time: float
    before: str
    after: str
    speaker: Optional[str] = None
    channel: Optional[str] = None

    @property
    def context(self) -> str:
        """The words with what was said around them."""
        return f"{self.before}{self.text}{self.after}".strip()


def search(said: Sequence[Said], delimiters: Delimiters, text: str, *, context: int) -> list[Match]:
    """Find words; see `Transcript.search`."""
    wanted = _tokens(text)
    matches: list[Match] = []
    for channel, words in _by_channel(said).items() if wanted else ():
        for start, end in _places(words, wanted):
            matches.append(_match(words, start, end, channel, delimiters, context))
    return sorted(matches, key=lambda match: match.start_time)


def _by_channel(said: Sequence[Said]) -> dict[Label, list[Spoken]]:
    readers: dict[Label, SpokenReader] = {}
    words: dict[Label, list[Spoken]] = {}
    for now in said:
        reader = readers.setdefault(now.channel, SpokenReader())
        own = words.setdefault(now.channel, [])
        for part in now.parts():
            word = reader.read(part)
            if word is not None:
                own.append(word)
    return words


def _places(words: Sequence[Spoken], wanted: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The index of the first word, and the one behind the last, of each match."""
    known: dict[str, list[str]] = {}
    tokens: list[str] = []
    owners: list[int] = []
    for index, word in enumerate(words):
        for written in word.tokens:
            parts = known.get(written.content)
            if parts is None:
                parts = known[written.content] = _tokens(written.content)
            tokens += parts
            owners += [index] * len(parts)
    at = 0
    while at + len(wanted) <= len(tokens):
        until = at + len(wanted)
        first, last = owners[at], owners[until - 1]
        if tokens[at:until] == wanted and _of_one_speaker(words[first : last + 1]):
            yield first, last + 1
            at = until
        else:
            at += 1


def _of_one_speaker(words: Sequence[Spoken]) -> bool:
    return all(word.speaker == words[0].speaker for word in words)


def _match(
    words: Sequence[Spoken],
    start: int,
    end: int,
    channel: Label,
    delimiters: Delimiters,
    context: int,
) -> Match:
    found = words[start:end]
    speaker = found[0].speaker
    begun = start
    while begun > max(0, start - context) and words[begun - 1].speaker == speaker:
        begun -= 1
    until = end
    while until < min(len(words), end + context) and words[until].speaker == speaker:
        until += 1
    before = [token for word in words[begun:start] for token in word.tokens]
    text = [token for word in found for token in word.tokens]
    after = [token for word in words[end:until] for token in word.tokens]
    between = delimiters.between(before[-1], text[0]) if before else ""
    return Match(
        delimiters.joined(text),
        found[0].start_time,
        max(word.end_time for word in found),
        delimiters.joined(before) + between,
        delimiters.joined(after, after=text[-1]) if after else "",
        speaker,
        channel,
    )


def _tokens(text: str) -> list[str]:
    """The words of a text as they are compared: without case, punctuation and apostrophes.

    Characters of scripts that do not part words are one each.
    """
    tokens: list[str] = []
    is_open = False  # whether the next character may continue the last token
    for character in unicodedata.normalize("NFKC", text).casefold():
        if character in _APOSTROPHES:
            continue
        category = unicodedata.category(character)
        if category[0] == "M" and tokens:
            tokens[-1] += character
        elif category[0] not in "LNM":
            is_open = False
        elif _stands_alone(character):
            tokens.append(character)
            is_open = False
        elif is_open:
            tokens[-1] += character
        else:
            tokens.append(character)
            is_open = True
    return tokens


_APOSTROPHES = "'’ʼ"

_UNPARTED = (("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"))
"""Thai and Lao, Burmese, Khmer."""


def _stands_alone(character: str) -> bool:
    if character.isascii():
        return False
    return unicodedata.east_asian_width(character) in "WF" or any(
        first <= character <= last for first, last in _UNPARTED
    )
