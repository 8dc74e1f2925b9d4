"""A terminal as a screen: what is final scrolls, and what may still change stands below it.

What stands below is drawn in one write, and the cursor is left at its beginning. So it is erased
from where the cursor is to the end of the screen, however the terminal has wrapped it since, and
nothing is left behind when the window becomes narrower.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

__all__ = ["COLOURS", "Screen", "can_draw_on"]

COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "red")
"""For speakers, in the order in which they come."""

_ERASE_BELOW = "\r \x1b[J\r"
"""Erases from the second column, for tmux puts what is erased from the first one of the first row
into its history: each frame would be found there."""
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_CROP, _WRAP = "\x1b[?7l", "\x1b[?7h"
"""Between them a line that is wider than the terminal is not wrapped. Terminals disagree on the
width of some characters, and each line below must take one row."""
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
"""A terminal that knows them shows what is between them at once; others ignore them."""


def can_draw_on(stream: Any) -> bool:
    """Return whether a stream is a terminal that knows escape sequences."""
    if not stream.isatty() or os.environ.get("TERM", "").lower() in ("dumb", "unknown"):
        return False
    # The console of old versions of Windows shows the sequences themselves.
    return sys.platform != "win32" or bool(os.environ.get("WT_SESSION") or os.environ.get("TERM"))


class Screen:
    """Draws on a terminal. One thread at a time calls it.

    Its methods raise what writing to the terminal raises.

    Args:
        stream: The terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._below: list[str] = []
        self._hidden = False

    def draw(self, scrolled: Sequence[str], below: Sequence[str]) -> None:
        """Write lines for good, and lines that stand below them until the next call.

        Args:
            scrolled: Lines of any width.
            below: Lines of one row each; what is wider is cut off.
        """
        below = list(below)
        if not scrolled and below == self._below:
            return
        self._below = below
        self._hidden = True
        text = _BEGIN + _HIDE + _ERASE_BELOW + "".join(f"{line}\r\n" for line in scrolled)
        text += _CROP + "\r\n".join(below) + _WRAP + "\r"
        if len(below) > 1:
            text += f"\x1b[{len(below) - 1}A"
        self._write(text + _END)

    def clear(self) -> None:
        """Erase what stands below, and show the cursor: until the next call others may write."""
        if self._hidden:
            self._hidden = False
            self._below = []
            self._write(_ERASE_BELOW + _SHOW)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
