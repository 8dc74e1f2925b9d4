"""Live lines on whatever is there to show them: a notebook's cell, a terminal, a stream."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Optional, Protocol

from ..._logs import PackageLogger, logger
from ..._screen import can_draw_on
from ..._signals import raised_by_signal

if TYPE_CHECKING:
    from ..lines import Line

__all__ = ["LiveDisplay", "Surface", "display_here"]

_BURST = 2.0
_RATE = 6.0
"""Updates at once, and then a second. With the last one they are no more than ten a second, also
where threads are late, and a final and the partial that follows it do not wait for each other."""


class Surface(Protocol):
    """What lines are shown on. Its methods raise whatever writing to it raises.

    Attributes:
        is_costly: Whether it is to be drawn at most ten times a second.
        shows_progress: Whether `status` shows a text.
    """

    is_costly: bool
    shows_progress: bool

    def draw(self, final: Sequence[Line], growing: Sequence[Line]) -> None:
        """Show lines that have become final since the last call, and those that may change."""

    def status(self, text: str) -> None:
        """Have the next `draw` show how far the session is."""

    def clear(self) -> bool:
        """Make room for what others write here; return whether `draw` is to be called again."""
        ...

    def end(self) -> None:
        """Leave the final lines, all of them."""


class LiveDisplay:
    """Shows lines while they grow. One thread at a time calls it.

    It only informs: what cannot be shown is dropped, which is logged, and nothing is raised but
    what a signal handler raises.

    Args:
        surface: Makes what to show the lines on.

    Attributes:
        log: Where to say that it cannot be shown.
    """

    def __init__(self, surface: Callable[[], Surface]) -> None:
        self.log: PackageLogger = logger
        self._process = os.getpid()
        self._growing: dict[int, Line] = {}
        self._final: list[Line] = []
        self._is_due = True
        self._is_settled = False
        self._credit, self._credited_at = _BURST, time.monotonic()
        self._surface: Optional[Surface] = None
        with self._informing():
            self._surface = surface()
        self.tick()  # so that what comes stands where it was asked for

    @property
    def shows_progress(self) -> bool:
        """Whether it shows what is passed to `progress`."""
        return self._surface is not None and bool(self._surface.shows_progress)

    def show(self, lines: Iterable[Line]) -> None:
        """Show lines that have changed, now or, if that was done too often, with `tick`."""
        if self._surface is None:
            return
        for line in lines:
            self._is_due, self._is_settled = True, False
            self._growing.pop(line.id, None)
            if not line.is_final:
                self._growing[line.id] = line
            elif line.text.strip():
                self._final.append(line)

    def progress(self, done: float, total: Optional[float]) -> None:
        """Show the seconds of audio done, and in all if that is known."""
        text = f"{done / total:.0%} of {total:.1f} s" if total else f"{done:.1f} s"
        self._is_due = True
        with self._informing() as surface:
            surface.status(text)

    def tick(self) -> None:
        """Show what waits, unless that was done too often."""
        if self._is_due and self._may_draw():
            self._draw()

    def clear(self) -> None:
        """Make room for what others write, until the next `tick`."""
        with self._informing() as surface:
            if not surface.is_costly and self._final:
                self._draw()  # a final line stands above what is written because of it
            self._is_due |= surface.clear()

    def settle(self) -> None:
        """Show everything, and leave it: the session has ended."""
        self._draw()
        with self._informing() as surface:
            surface.end()
        self._is_settled = True

    def close(self) -> None:
        """Settle; of lines that are not final, what is settled stays. Idempotent."""
        if self._surface is None or self._process != os.getpid():
            return  # in a forked process it is its parent's
        growing = sorted(self._growing.values(), key=lambda line: line.start_time)
        self.show(replace(line, text=line.text[: line.settled], is_final=True) for line in growing)
        if not self._is_settled:
            self.settle()
        self._surface = None

    def _may_draw(self) -> bool:
        if self._surface is None or not self._surface.is_costly:
            return self._surface is not None
        now = time.monotonic()
        self._credit = min(_BURST, self._credit + _RATE * (now - self._credited_at))
        self._credited_at = now
        if self._credit < 1:
            return False
        self._credit -= 1
        return True

    def _draw(self) -> None:
        final, self._final = self._final, []
        growing = sorted(self._growing.values(), key=lambda line: (line.start_time, line.id))
        self._is_due = False
        with self._informing() as surface:
            surface.draw(final, growing)

    @contextmanager
    def _informing(self) -> Iterator[Any]:
        """Give the surface; drop it for good if that raises. Without one, nothing is done."""
        try:
            yield self._surface or _Nothing()
        except Exception as error:
            if raised_by_signal(error):
                raise
            self._surface = None
            self.log.info("No live lines: %s: %s", type(error).__name__, error)


class _Nothing:
    """A surface that was dropped."""

    is_costly = shows_progress = False

    def draw(self, final: Sequence[Line], growing: Sequence[Line]) -> None: ...

    def status(self, text: str) -> None: ...

    def clear(self) -> bool:
        return False

    def end(self) -> None: ...


def display_here() -> LiveDisplay:
    """Return a display in the cell that runs, in the terminal, or on standard output."""
    return LiveDisplay(_surface_here)


def _surface_here() -> Surface:
    from .notebook import NotebookSurface, in_notebook
    from .terminal import PlainSurface, TerminalSurface

    if in_notebook():
        return NotebookSurface()
    if can_draw_on(sys.stdout):
        return TerminalSurface(sys.stdout)
    return PlainSurface(sys.stdout)
