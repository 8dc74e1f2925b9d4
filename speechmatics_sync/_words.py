"""Words that others choose, as this package may repeat them in an error or a log.

A server's reasons and close frames, the body of an HTTP answer, what another library raises: they
may hold the key that was just sent, a line break that starts a line of its own in a log, an escape
sequence for the terminal, or no end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["Words", "printable"]

_LONGEST = 1000
"""Characters of one text that are shown, unless fewer are asked for."""

_SHORTEST_SECRET = 4
"""Characters from which on a value is taken for a secret: shorter ones are in every text."""

_HIDDEN_ANYWHERE = 8
"""Characters from which on a secret is hidden within a word too. A shorter one can be part of a
word by chance: it is hidden where no letter or digit stands beside it."""

_BEGINNING = 12
"""Characters from which on the beginning of a secret is hidden too: the rest may be cut off."""

_LINE_BREAKS = re.compile(r" *[^\S ]\s*")
_JOINERS = "\u200c\u200d"  # part of words in some scripts


def printable(text: str, limit: int = _LONGEST) -> str:
    """Return a text as one line of at most so many characters that are safe to print."""
    line = _LINE_BREAKS.sub(" ", text[: 2 * limit]).strip()
    if not line.isprintable():
        line = "".join(
            each
            if each.isprintable() or each in _JOINERS
            else each.encode("unicode_escape").decode("ascii")
            for each in line
        )
    return line if len(line) <= limit and len(text) <= 2 * limit else f"{line[: limit - 1]}…"


class Words:
    """Repeats what others said, without the secrets of one session.

    Any thread may call it.
    """

    __slots__ = ("_secrets",)

    def __init__(self, *secrets: str) -> None:
        # Replaced, never changed. The longest first: one may be part of another.
        self._secrets: tuple[str, ...] = ()
        self.hide(secrets)

    def __repr__(self) -> str:
        return "Words(<secrets>)"

    def hide(self, values: Iterable[str]) -> None:
        """Show these values no more, nor their last words: ``Bearer`` stands before a key."""
        known = set(self._secrets)
        for value in values:
            known.update((value, value.rpartition(" ")[2]))
        secrets = (each for each in known if len(each) >= _SHORTEST_SECRET)
        self._secrets = tuple(sorted(secrets, key=len, reverse=True))

    def without_secrets(self, text: str) -> str:
        """Return a text without secrets, nor the beginning of one that was cut off."""
        for secret in self._secrets:
            if len(secret) < _HIDDEN_ANYWHERE:
                alone = rf"(?<![^\W_]){re.escape(secret)}(?![^\W_])"
                text = re.sub(alone, "***", text)
                continue
            start = secret[:_BEGINNING]
            at = text.find(start)
            while at >= 0:
                end = at + len(start)
                while text[end : end + 1] and text[end] == secret[end - at : end - at + 1]:
                    end += 1
                text = f"{text[:at]}***{text[end:]}"
                at = text.find(start, at + 3)
        return text

    def clean(self, text: str, limit: int = _LONGEST) -> str:
        """Return a text without secrets as one printable line of at most so many characters."""
        return printable(self.without_secrets(text), limit)
