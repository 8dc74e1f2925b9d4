"""How many sessions may run at a time."""

from __future__ import annotations

import threading

from ._validation import Refused

__all__ = ["Quota"]


class Quota:
    """Counts the sessions that run. A connection is none before its StartRecognition.

    Args:
        limit: How many may run.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()  # guards the set
        self._running: set[str] = set()

    @property
    def usage(self) -> int:
        """How many sessions run."""
        return len(self._running)

    def check(self, usage: int) -> None:
        """Raise `Refused` if no more than `limit` sessions may run, and `usage` are too many."""
        if usage > self.limit:
            raise Refused("quota_exceeded", f"no more than {self.limit} sessions may run at a time")

    def take(self, id: str) -> None:
        """Count the session of this id.

        Raises:
            Refused: ``quota_exceeded``.
        """
        with self._lock:
            self.check(len(self._running) + 1)
            self._running.add(id)

    def leave(self, id: str) -> None:
        """Count the session of this id no more, if it was counted."""
        with self._lock:
            self._running.discard(id)
