"""Time limits, and how long to wait in one go."""

from __future__ import annotations

import threading
import time
from typing import Optional

__all__ = ["INTERRUPTED", "Deadline", "attentive"]

INTERRUPTED = 0.5
"""Seconds for ending a session after Ctrl-C, whose user waits."""

_ATTENTION = 0.5
"""Seconds after which the main thread looks whether there was a signal."""


class Deadline:
    """The end of a time limit that starts when the object is made.

    Args:
        seconds: The limit; None for one that never ends.
    """

    __slots__ = ("_at", "seconds")

    def __init__(self, seconds: Optional[float]) -> None:
        self.seconds = seconds
        self._at = None if seconds is None else time.monotonic() + seconds

    def remaining(self, at_most: Optional[float] = None) -> Optional[float]:
        """Return the seconds left, never negative, or ``at_most`` if that is sooner.

        None means that nothing limits the wait.
        """
        if self._at is None:
            return at_most
        left = max(0.0, self._at - time.monotonic())
        return left if at_most is None else min(left, at_most)

    def passed(self) -> bool:
        """Return whether the limit is over."""
        return self._at is not None and time.monotonic() >= self._at


def attentive(seconds: Optional[float]) -> Optional[float]:
    """Return for how long to wait in one go, where ``seconds`` (None: no limit) are to be waited.

    A signal ends a wait of the main thread, save one that comes in the instant before it begins:
    that would go unnoticed for as long as the wait lasts.
    """
    if threading.current_thread() is not threading.main_thread():
        return seconds
    return _ATTENTION if seconds is None else min(seconds, _ATTENTION)
