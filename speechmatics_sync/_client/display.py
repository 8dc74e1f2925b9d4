"""``display=True``: the lines of a session where its user sees them."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any, Optional

from .._logs import PackageLogger
from .._transcript.lines import LiveText
from .._transcript.views.live import display_here
from ..errors import TransportError
from .progress import ProgressReport

__all__ = ["SessionDisplay"]


class SessionDisplay:
    """Shows the lines of one session. Only the thread that pulls its messages calls it.

    Args:
        log: The logger of the session.
        listened: The names of messages that have handlers.
    """

    def __init__(self, log: PackageLogger, listened: Collection[str]) -> None:
        self._listened = listened
        self._text = LiveText()
        self._display = display_here()
        self._display.log = log
        self.tick, self.clear, self.close = (
            self._display.tick,
            self._display.clear,
            self._display.close,
        )

    def add(self, message: dict[str, Any]) -> None:
        """Take the lines that a message changes, before its handlers run; `tick` shows them."""
        with suppress(TransportError):  # which the session finds as well
            self._display.show(self._text.add(message))
        if message.get("message") in self._listened:
            self._display.clear()  # handlers may print

    def report(self) -> Optional[ProgressReport]:
        """Return what shows the progress below the lines; None where that is a bar of its own."""
        return ProgressReport(self._display.progress) if self._display.shows_progress else None
