"""Deadlines, and waits that Ctrl-C ends."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple, Optional

__all__ = ["Deadline", "Later", "interruptible"]

_SIGNAL_CHECK = 0.5
"""Seconds after which the main thread ends a wait to let pending signals be handled."""


class Later(NamedTuple):
    """A step could not be taken yet.

    Args:
        seconds: When to try again; None if only an event tells.
    """

    seconds: Optional[float]


class Deadline:
    """A time limit that starts when the object is made.

    Args:
        seconds: The limit; None for no limit.
    """

    __slots__ = ("_at", "seconds")

    def __init__(self, seconds: Optional[float]) -> None:
        self.seconds = seconds
        self._at = None if seconds is None else time.monotonic() + seconds

    def remaining(self, at_most: Optional[float] = None) -> Optional[float]:
        """Return the seconds left, at least 0 and at most ``at_most``; None for no limit."""
        if self._at is None:
            return at_most
        left = max(0.0, self._at - time.monotonic())
        return left if at_most is None else min(left, at_most)

    def passed(self) -> bool:
        """Return whether no time is left."""
        return self._at is not None and time.monotonic() >= self._at


def interruptible(seconds: Optional[float]) -> Optional[float]:
    """Return a timeout for one wait of many, short enough to notice Ctrl-C in the main thread.

    A signal ends a wait of the main thread. But one that arrives just before the wait begins would
    go unnoticed until it ends.

    Args:
        seconds: How long to wait in all; None for ever.
    """
    if threading.current_thread() is not threading.main_thread():
        return seconds
    return _SIGNAL_CHECK if seconds is None else min(seconds, _SIGNAL_CHECK)
