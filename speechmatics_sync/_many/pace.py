"""How many sessions to run at once, by what the server refuses.

Has no clock: it is told the time.
"""

from __future__ import annotations

__all__ = ["Pace"]

_LONGEST_HOLD = 60.0
"""Seconds between two tries to run more sessions than the server last allowed."""


class Pace:
    """Counts down when the server has no room, and up again in small steps.

    When sessions are refused, those that run are what the server has room for, and no more are
    begun than that. After a while one more in four is tried, at least one. If that is refused, the
    next try comes after twice the time.

    Args:
        most: How many sessions may run at once.
        hold: Seconds before more are tried, at first.

    Attributes:
        limit: How many sessions may run now.
        until: When more may be tried.
    """

    def __init__(self, most: int, hold: float) -> None:
        self.limit = most
        self.until = 0.0
        self._most = most
        self._first = self._hold = hold
        self._tried = False

    @property
    def slowed(self) -> bool:
        """Whether fewer sessions may run than were asked for."""
        return self.limit < self._most

    def room(self, running: int, now: float) -> bool:
        """Return whether another session may begin.

        Args:
            running: How many run.
            now: The time, in seconds.
        """
        if running >= self.limit and self.slowed and now >= self.until:
            if self._tried:  # and nothing was refused since
                self._hold = self._first
            self.limit = min(self._most, self.limit + max(1, self.limit // 4))
            self.until = now + self._hold
            self._tried = True
        return running < self.limit

    def refused(self, running: int, now: float, wait: float = 0.0) -> None:
        """The server had no room for a session.

        Args:
            running: How many run without it.
            now: The time, in seconds.
            wait: Seconds that the server asked for.
        """
        if self._tried:
            self._hold = min(2 * self._hold, max(_LONGEST_HOLD, self._first))
            self._tried = False
        self.limit = min(self.limit, running)
        self.until = max(self.until, now + max(self._hold, wait))
