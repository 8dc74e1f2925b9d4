"""The time limits of a session, as the API documents them: warnings, then an Error.

A session ends after 48 hours, or after one hour without audio. Warnings come 45, 30 and 15
minutes, or 15, 10 and 5 minutes before. How long a connection may go without StartRecognition is
this server's own limit.
"""

from __future__ import annotations

from typing import Any, Optional

from ._validation import Refused

__all__ = ["TimeLimits"]

_SESSION_WARNINGS = (2700.0, 1800.0, 900.0)
_IDLE_WARNINGS = (900.0, 600.0, 300.0)


class _Limit:
    """One time limit, and the warnings before it."""

    def __init__(self, type: str, reason: str, seconds: float, warnings: tuple[float, ...]) -> None:
        self.type = type
        self.reason = reason
        self.seconds = seconds
        self._warnings = tuple(before for before in warnings if before < seconds)
        self.begin(0.0)

    def begin(self, now: float) -> None:
        self.end = now + self.seconds
        self._left = list(self._warnings)

    def next(self) -> float:
        return self.end - (self._left[0] if self._left else 0.0)

    def due(self, now: float) -> Optional[dict[str, Any]]:
        if now < self.next():
            return None
        if not self._left:
            raise Refused(self.type, f"{self.reason}; the limit is {self.seconds:g} seconds")
        remaining = self._left.pop(0)
        return {
            "message": "Warning",
            "type": self.type,
            "reason": f"Session will timeout in {remaining / 60:g}m: {self.reason}",
        }


class TimeLimits:
    """Says when a session's warnings and its timeout are due. The caller reads the clock.

    Args:
        now: When the session began.
        session_seconds: How long a session may last.
        idle_seconds: How long it may go without audio.
        start_seconds: How long a connection may go without StartRecognition.
    """

    def __init__(
        self, now: float, session_seconds: float, idle_seconds: float, start_seconds: float
    ) -> None:
        self._idle = _Limit("idle_timeout", "no audio came", idle_seconds, _IDLE_WARNINGS)
        self._limits = [
            _Limit("idle_timeout", "no StartRecognition came", start_seconds, ()),
            _Limit(
                "session_timeout",
                "the session has lasted its maximum duration",
                session_seconds,
                _SESSION_WARNINGS,
            ),
            self._idle,
        ]
        for limit in self._limits:
            limit.begin(now)

    def started(self) -> None:
        """StartRecognition has come."""
        del self._limits[0]

    def audio_came(self, now: float) -> None:
        """Start the idle time again."""
        self._idle.begin(now)

    def wait(self, now: float) -> float:
        """Return the seconds until something is due."""
        return max(0.0, min(limit.next() for limit in self._limits) - now)

    def due(self, now: float) -> list[dict[str, Any]]:
        """Return the Warnings that are due.

        Raises:
            Refused: ``session_timeout`` or ``idle_timeout`` when a limit has passed.
        """
        return [warning for limit in self._limits if (warning := limit.due(now)) is not None]
