"""Words with their punctuation marks, and how they are joined to text.

- The first alternative of a result counts; a result without alternatives is skipped.
- A punctuation mark without ``attaches_to`` joins the word before it. A mark that has no word
  before it, or joins the next one, waits for that.
- Two results are separated by the word delimiter of their language (from LanguageInfo, else from
  ``language_pack_info``, else a space), and by nothing where ``attaches_to`` joins them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Optional, Protocol, TypeVar

__all__ = ["Attachable", "Delimiters", "Passage", "Spoken", "SpokenReader", "Token", "content_of"]

_P = TypeVar("_P", bound="Passage")


class Token(NamedTuple):
    """A word or a mark, as it is written."""

    content: str
    attaches_to: str
    language: Optional[str]


class Spoken:
    """A word with its punctuation marks, or marks that have no word.

    Args:
        speaker: Label of the speaker; None without speaker diarization.
        start_time: Of the word, in seconds.
        end_time: Of the word, in seconds.
        tokens: The word and its marks, in order.
        number: Which word of its channel it is, from 0; None for marks alone.
    """

    __slots__ = ("end_time", "ends_sentence", "number", "speaker", "start_time", "tokens")

    def __init__(
        self,
        speaker: Optional[str],
        start_time: float,
        end_time: float,
        tokens: list[Token],
        number: Optional[int],
    ) -> None:
        self.speaker = speaker
        self.start_time = start_time
        self.end_time = end_time
        self.tokens = tokens
        self.number = number
        self.ends_sentence = False

    def attach(self, mark: Token, ends_sentence: bool) -> None:
        """Add a mark that joins this word."""
        self.tokens.append(mark)
        self.ends_sentence |= ends_sentence


class Attachable(Protocol):
    """What a mark can join: a word, or text that ends with it."""

    def attach(self, mark: Token, ends_sentence: bool) -> None: ...


class SpokenReader:
    """Reads the results of one channel, in order.

    Attributes:
        last: What a mark joins that belongs to the word before: the last word, or what its owner
            has put in its place. None before the first word.
        count: How many words were read.
    """

    def __init__(self) -> None:
        self.last: Optional[Attachable] = None
        self.count = 0
        self._waiting: list[Token] = []
        self._last_mark: Mapping[str, Any] = {}

    def copy(self, last: Optional[Attachable]) -> SpokenReader:
        """A reader that goes on from here, with another ``last``."""
        copied = SpokenReader()
        copied.last, copied.count = last, self.count
        copied._waiting, copied._last_mark = list(self._waiting), self._last_mark
        return copied

    def read(self, result: Mapping[str, Any]) -> Optional[Spoken]:
        """Read a result as the server sent it; return it if it is a word, with its marks."""
        content = content_of(result)
        if not content:
            return None
        best = result["alternatives"][0]
        is_mark = result["type"] == "punctuation"
        attaches_to = result.get("attaches_to") or ("previous" if is_mark else "none")
        token = Token(content, attaches_to, best.get("language"))
        if is_mark:
            if self.last is not None and attaches_to != "next":
                self.last.attach(token, result.get("is_eos") is True)
            else:
                self._waiting.append(token)
                self._last_mark = result
            return None
        spoken = _spoken(result, [*self._waiting, token], self.count)
        self.last = spoken
        self.count += 1
        self._waiting = []
        return spoken

    def left(self) -> Optional[Spoken]:
        """The marks that still wait for a word; None without any."""
        return _spoken(self._last_mark, self._waiting, None) if self._waiting else None


class Delimiters:
    """What stands between two words.

    Args:
        default: The delimiter of a language that is not in ``by_language``.
        by_language: ISO code of a language → its delimiter.
    """

    def __init__(self, default: str = " ", by_language: Optional[Mapping[str, str]] = None) -> None:
        self._default = default
        self._by_language = by_language or {}
        self._used: dict[Optional[str], str] = {}

    def change(self, default: str, by_language: Mapping[str, str]) -> bool:
        """Take others; return whether everything joined so far would be joined in the same way."""
        self._default, self._by_language = default, by_language
        used, self._used = self._used, {}
        return all(self._of(language) == delimiter for language, delimiter in used.items())

    def between(self, before: Optional[Token], after: Token) -> str:
        """What separates two tokens; nothing in front of the first."""
        if (
            before is None
            or before.attaches_to in ("next", "both")
            or after.attaches_to in ("previous", "both")
        ):
            return ""
        # Between two languages, the longer delimiter keeps their words apart.
        return max(self._of(before.language), self._of(after.language), key=len)

    def joined(self, tokens: Iterable[Token], *, after: Optional[Token] = None) -> str:
        """Tokens as text, which may continue the text that ends with another token."""
        parts = []
        for token in tokens:
            parts.append(self.between(after, token))
            parts.append(token.content)
            after = token
        return "".join(parts)

    def _of(self, language: Optional[str]) -> str:
        delimiter = self._used.get(language)
        if delimiter is None:
            delimiter = self._by_language.get(language or "", self._default)
            self._used[language] = delimiter
        return delimiter


class Passage:
    """Consecutive words of a channel, as one text.

    Args:
        delimiters: Between its words.
        words: The first of them, at least one.

    Attributes:
        speaker: Of the first word.
        ends_sentence: Whether a mark after the last word ends a sentence.
        spans: The numbers of its words in their channel: from, and up to and without.
    """

    __slots__ = (
        "_delimiters",
        "_last",
        "end_time",
        "ends_sentence",
        "spans",
        "speaker",
        "start_time",
        "text",
    )

    def __init__(self, delimiters: Delimiters, words: Sequence[Spoken]) -> None:
        self._delimiters = delimiters
        self._last: Optional[Token] = None
        self.text = ""
        self.speaker = words[0].speaker
        self.start_time = words[0].start_time
        self.end_time = words[0].end_time
        self.spans: list[tuple[int, int]] = []
        self.extend(words)

    def copy(self: _P) -> _P:
        """A passage that goes on from here."""
        copied = copy.copy(self)
        copied.spans = list(self.spans)
        return copied

    def extend(self, words: Sequence[Spoken]) -> None:
        """Add the words that follow, at least one."""
        tokens = [token for word in words for token in word.tokens]
        self.text += self._delimiters.joined(tokens, after=self._last)
        self._last = tokens[-1]
        self.end_time = max(self.end_time, *(word.end_time for word in words))
        self.ends_sentence = words[-1].ends_sentence
        spans = self.spans
        for word in words:
            if word.number is None:
                continue
            if spans and spans[-1][1] == word.number:
                spans[-1] = spans[-1][0], word.number + 1
            else:
                spans.append((word.number, word.number + 1))

    def attach(self, mark: Token, ends_sentence: bool) -> None:
        """Add a mark that joins the last word."""
        self.text += self._delimiters.between(self._last, mark) + mark.content
        self._last = mark
        self.ends_sentence |= ends_sentence


def content_of(result: Mapping[str, Any]) -> str:
    """What a result says, as it is written; empty if it is to be skipped."""
    alternatives = result.get("alternatives")
    content: str = alternatives[0]["content"] if alternatives else ""
    return content.strip()


def _spoken(result: Mapping[str, Any], tokens: list[Token], number: Optional[int]) -> Spoken:
    speaker = result["alternatives"][0].get("speaker")
    return Spoken(speaker, result["start_time"], result["end_time"], tokens, number)
