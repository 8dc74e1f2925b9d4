"""Live lines in a terminal, and as plain lines where there is none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from ..._screen import COLOURS, Screen
from ..._words import printable
from ..columns import rows_of
from ..speaker_names import who_says

if TYPE_CHECKING:
    from ..lines import Line

__all__ = ["PlainSurface", "TerminalSurface"]

_CODES = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36}
_LONGEST = 100_000
"""Characters of a line, of which no session has so many."""


class PlainSurface:
    """Writes each final line as text, and nothing else."""

    is_costly = shows_progress = False

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def draw(self, final: Sequence[Line], growing: Sequence[Line]) -> None:
        for line in final:
            who = who_says(line)
            text = printable(f"{who}: {line.text}" if who else line.text, _LONGEST)
            self._stream.write(f"{text}\n")
        if final:
            self._stream.flush()

    def status(self, text: str) -> None: ...

    def clear(self) -> bool:
        return False

    def end(self) -> None: ...


class TerminalSurface:
    """Final lines scroll; what may still change stands below them, dim."""

    is_costly = False
    shows_progress = True

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._screen = Screen(stream)
        self._colours: dict[str, int] = {}
        self._status = ""

    def draw(self, final: Sequence[Line], growing: Sequence[Line]) -> None:
        columns, rows = _size(self._stream)
        below = [row for line in growing for row in self._rows(line, columns)]
        if self._status:
            below.append(_styled(self._status, "2"))
        self._screen.draw([self._text(line) for line in final], below[-max(1, rows - 1) :])

    def status(self, text: str) -> None:
        self._status = text

    def clear(self) -> bool:
        self._screen.clear()
        return True

    def end(self) -> None:
        self._status = ""
        self._screen.clear()

    def _text(self, line: Line) -> str:
        who = printable(who_says(line))
        return self._who(who) + printable(line.text, _LONGEST)

    def _rows(self, line: Line, columns: int) -> list[str]:
        """Return a line that may change as rows of the terminal."""
        who, said = printable(who_says(line)), printable(line.text, _LONGEST)
        label = f"{who}: " if who else ""
        # Printing may have changed the text, so count from its end what may still change.
        left = len(line.text[line.settled :].lstrip())
        start = len(label) + max(0, len(said) - left)
        text, at = label + said, 0
        styled: list[str] = []
        for row in rows_of(text, max(1, columns - 1)):
            at = text.find(row, at)
            settled = row[: max(0, start - at)]
            rest = row[len(settled) :]
            if not styled and label:
                settled = self._who(who) + settled[len(label) :]
            styled.append(settled + (_styled(rest, "2") if rest else ""))
            at += len(row)
        return styled

    def _who(self, who: str) -> str:
        if not who:
            return ""
        colour = self._colours.setdefault(who, _CODES[COLOURS[len(self._colours) % len(COLOURS)]])
        return _styled(f"{who}: ", "1" if os.environ.get("NO_COLOR") else f"1;{colour}")


def _styled(text: str, codes: str) -> str:
    return f"\x1b[{codes}m{text}\x1b[0m"


def _size(stream: Any) -> tuple[int, int]:
    try:
        size = os.get_terminal_size(stream.fileno())
        return size.columns or 80, size.lines or 24
    except (OSError, ValueError):  # no terminal of the system's, such as that of an editor
        return 80, 24
