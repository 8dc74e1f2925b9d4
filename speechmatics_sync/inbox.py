"""Messages on their way from the receiver to the thread that runs handlers."""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Iterator
from typing import Any, Callable, Optional

__all__ = ["Inbox"]

Message = dict[str, Any]


class Inbox:
    """A queue that asks for reading to pause above a limit, until half of it has been taken.

    Args:
        lock: The session's: every call needs it.
        limit: How many messages may wait; None for no limit.
        resume: Is called when reading may go on.
    """

    def __init__(
        self, lock: threading.RLock, limit: Optional[int], resume: Callable[[], None]
    ) -> None:
        self._arrived = threading.Condition(lock)
        self._messages: collections.deque[Message] = collections.deque()
        self._limit = limit
        self._resume = resume
        self._paused = False
        self._answers_awaited = 0
        self._closed = False

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Message) -> None:
        """Add a message."""
        self._messages.append(message)
        self._arrived.notify()

    def get(self, timeout: Optional[float]) -> Optional[Message]:
        """Return the next message; None if none came in time, or none will come any more."""
        if not self._messages and not self._closed:
            self._arrived.wait(timeout)
        if not self._messages:
            return None
        message = self._messages.popleft()
        if self._paused and not self._too_many_wait():
            self._resume()
        return message

    def clear(self) -> None:
        """Give up what waits."""
        self._messages.clear()

    def close(self) -> None:
        """Nothing more will come: whoever waits need not."""
        self._closed = True
        self._arrived.notify_all()

    def reading_pauses(self) -> bool:
        """Return whether so much waits that reading must pause."""
        self._paused = self._too_many_wait() and not self._answers_awaited
        return self._paused

    @contextlib.contextmanager
    def awaiting_answers(self, waits: bool = True) -> Iterator[None]:
        """Keep reading although handlers are behind: they may be what waits for an answer."""
        self._answers_awaited += waits
        if waits and self._paused:
            self._resume()
        try:
            yield
        finally:
            self._answers_awaited -= waits

    def _too_many_wait(self) -> bool:
        if self._limit is None:
            return False
        return len(self._messages) > (self._limit // 2 if self._paused else self._limit)
