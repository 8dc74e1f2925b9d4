"""The live view of a terminal: final lines scroll, and what may still change stands below them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any, Optional, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from speechmatics_sync import Line, Transcript
from speechmatics_sync._screen import COLOURS, Screen

from ._exits import one_line
from ._views import Progress, View, who_says

__all__ = ["TerminalView", "live_console"]

_BARS = 4
"""How many of the inputs that are being transcribed are shown."""
_LEAST_DECIBELS = -50.0


def live_console(stream: TextIO) -> Optional[Console]:
    """Return a console to draw on a terminal, or None where only plain lines can be shown."""
    console = Console(file=stream, highlight=False, soft_wrap=False)
    if not console.is_terminal or console.is_dumb_terminal or console.legacy_windows:
        return None
    return console


class TerminalView(View):
    """Shows finals as they come, and below them partials and progress.

    Args:
        console: The terminal.
        names: What the inputs are called.
    """

    live = shows_text = True

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        super().__init__()
        self._console = console
        self._names = names
        self._open: dict[tuple[int, Any], Line] = {}
        self._colours: dict[str, str] = {}
        self._running: Sequence[Progress] = ()
        self._screen = Screen(console.file)  # type: ignore[arg-type]
        self._last_number: Optional[int] = None
        self._closed = False

    def line(self, number: int, line: Line) -> None:
        if not line.is_final:
            self._open[number, line.id] = line
            return
        self._open.pop((number, line.id), None)
        if not line.text.strip():
            return
        above: list[Any] = []
        if len(self._names) > 1 and number != self._last_number:
            self._last_number = number
            above.append(Text(one_line(self._names[number]), style="bold"))
        self._draw([*above, self._text(line)])

    def ended(self, number: int, transcript: Optional[Transcript]) -> None:
        for key in [key for key in self._open if key[0] == number]:
            del self._open[key]

    def tick(self, running: Sequence[Progress]) -> None:
        self._running = running
        self._draw([])

    def note(self, text: str) -> None:
        self._draw([Text(one_line(text), style="yellow")])

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        # The terminal may be gone.
        with contextlib.suppress(OSError, ValueError):
            self._screen.clear()

    # -- drawing ----------------------------------------------------------------------------------

    def _draw(self, above: Sequence[Any]) -> None:
        """Write these lines for good, and what stands below them."""
        if not self._closed:
            self._screen.draw([line for each in above for line in self._lines(each)], self._below())

    def _lines(self, renderable: Any) -> list[str]:
        """Return what a renderable looks like at the present width."""
        with self._console.capture() as capture:
            self._console.print(renderable)
        return capture.get().rstrip("\n").split("\n")

    def _below(self) -> list[str]:
        """Return the lines that may still change, as many as have room."""
        open_lines = sorted(self._open.values(), key=lambda line: line.start_time or 0.0)
        texts = [line for each in open_lines for line in self._lines(self._text(each))]
        shown = list(self._running[:_BARS])
        bars = [line for each in shown for line in self._lines(self._status(each))]
        if len(self._running) > len(shown):
            bars += self._lines(Text(f"and {len(self._running) - len(shown)} more", style="dim"))
        room = max(1, self._console.height - 1 - len(bars))
        return [*texts[-room:], *bars][-max(1, self._console.height - 1) :]

    def _text(self, line: Line) -> Text:
        """Return a line in its speaker's colour; what may still change is dim."""
        who, said = one_line(who_says(line)), one_line(line.text)
        text = Text()
        if who:
            colour = self._colours.setdefault(who, COLOURS[len(self._colours) % len(COLOURS)])
            text.append(f"{who}: ", style=f"bold {colour}")
        settled = len(said) if line.is_final else line.settled
        text.append(said[:settled].lstrip())
        text.append(said[settled:].rstrip(), style="dim")
        return text

    def _status(self, progress: Progress) -> Text:
        """Return one line that fits into the width."""
        width = self._console.width - 1
        name = Text(one_line(progress.name), style="dim", no_wrap=True)
        ascii_only = self._console.options.ascii_only
        if progress.level is not None:
            end = f" {_clock(progress.done)}"
            bar = _meter(_loudness(progress.level()), width - 5 - cell_len(end), ascii_only)
            return Text.assemble(("mic  ", "bold"), bar, end, no_wrap=True, overflow="crop")
        if not progress.total:
            end = f"{_clock(progress.done)}"
            room = max(0, width - cell_len(end) - 1)
            name.truncate(room, overflow="ellipsis")
            return Text.assemble(name, " ", end, no_wrap=True, overflow="crop")
        share = min(1.0, progress.done / progress.total)
        end = f" {_clock(progress.done)}/{_clock(progress.total)} {progress.speed:.1f}x"
        room = max(0, width - cell_len(end) - 1)
        name.truncate(min(room // 2, 30), overflow="ellipsis")
        bar = _meter(share, max(0, room - name.cell_len), ascii_only)
        return Text.assemble(name, " ", bar, end, no_wrap=True, overflow="crop")


def _meter(share: float, width: int, ascii_only: bool) -> Text:
    filled = round(max(0.0, min(1.0, share)) * max(0, width))
    full, empty = ("#", "-") if ascii_only else ("━", "─")
    return Text.assemble((full * filled, "green"), (empty * (width - filled), "dim"))


def _loudness(level: float) -> float:
    """Return a level of 0 to 1 on the scale by which it is heard."""
    decibels = 20 * math.log10(max(level, 1e-6))
    return max(0.0, 1 - decibels / _LEAST_DECIBELS)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
