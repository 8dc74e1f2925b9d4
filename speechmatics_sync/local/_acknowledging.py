"""Acknowledgements that are held back: which go out when. Told the time; knows no clock."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any, Optional

__all__ = ["Acknowledgements"]

Message = dict[str, Any]

_NAMES = ("AudioAdded", "ChannelAudioAdded")


class Acknowledgements:
    """Lets messages through, and acknowledgements when they are due. Not thread-safe."""

    def __init__(self) -> None:
        self._holding = False
        self._chunks: Optional[int] = None
        self._seconds: Optional[float] = None
        self._held: defaultdict[Optional[str], deque[Message]] = defaultdict(deque)
        self._timed: deque[tuple[float, Message]] = deque()

    def hold(self, chunks: Optional[int], seconds: Optional[float]) -> None:
        """Hold acknowledgements from now on: for chunks, for seconds, or (both None) for good."""
        self._holding = True
        self._chunks, self._seconds = chunks, seconds

    def through(self, message: Message, now: float) -> list[Message]:
        """Return what goes out in the place of a message, in order."""
        if not self._holding or message["message"] not in _NAMES:
            return [message]
        if self._seconds is not None:
            self._timed.append((now + self._seconds, message))
            return []
        held = self._held[message.get("channel")]
        held.append(message)
        if self._chunks is None or len(held) <= self._chunks:
            return []
        return [held.popleft()]

    def due(self, now: float) -> list[Message]:
        """Return those whose time has come."""
        found = []
        while self._timed and self._timed[0][0] <= now:
            found.append(self._timed.popleft()[1])
        return found

    @property
    def timed(self) -> bool:
        """Whether some are held whose time will come."""
        return bool(self._timed)

    def rest(self) -> list[Message]:
        """Return those that waited for more chunks: no more come."""
        if self._chunks is None:
            return []
        found = [message for held in self._held.values() for message in held]
        self._held.clear()
        return found
