"""The queue of messages between the receiver and the thread that runs handlers."""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Hashable, Iterator
from typing import Callable, Optional

from .._model.messages import ServerMessageType
from .._model.typing import Message

__all__ = ["Inbox"]

_PARTIALS = frozenset(
    {
        ServerMessageType.ADD_PARTIAL_TRANSCRIPT.value,
        ServerMessageType.ADD_PARTIAL_TRANSLATION.value,
    }
)


class Inbox:
    """A queue that pauses reading when it is full, until half of it has been taken.

    While it is more than half full, a new partial replaces the one before it, which it supersedes;
    nothing else is ever dropped.

    Args:
        lock: The session's lock. Every call needs it.
        limit: How many messages may wait before reading pauses; None for no limit.
        resume: Called when reading may go on.
        at_rest: Calls a function now, or when the calling thread has served the other sessions.
    """

    def __init__(
        self,
        lock: threading.RLock,
        limit: Optional[int],
        resume: Callable[[], None],
        at_rest: Callable[[Callable[[], None]], None],
    ) -> None:
        self._lock = lock
        self._arrived = threading.Condition(lock)
        # By number, so that removing a partial from the middle is cheap.
        self._messages: collections.OrderedDict[int, Message] = collections.OrderedDict()
        self._number = 0
        self._partials: dict[Hashable, int] = {}
        self.superseded = 0
        """How many partials were left out, for a newer one came while they waited."""
        self._limit = limit
        self._resume = resume
        self._at_rest = at_rest
        self.overfull = False
        """Whether `reading_pauses` may have become true since its last call."""
        self._unannounced = False
        self._paused = False
        self._answers_awaited = 0
        self._closed = False

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Message) -> None:
        """Add a message; while many wait, a partial replaces the one that it supersedes."""
        self._number += 1
        key = _superseded_key(message)
        if key is not None:
            before = self._partials.get(key)
            if before is not None and self._half_full():
                self.superseded += self._messages.pop(before, None) is not None
            self._partials[key] = self._number
        self._messages[self._number] = message
        if self._limit is not None and len(self._messages) > self._limit:
            self.overfull = True
        if not self._unannounced:
            self._unannounced = True
            self._at_rest(self._announce)

    def get(self, timeout: Optional[float]) -> Optional[Message]:
        """Return the next message; None if none came in time, or the queue is closed and empty."""
        if not self._messages and not self._closed:
            self._arrived.wait(timeout)
        try:
            _, message = self._messages.popitem(last=False)
        except KeyError:
            return None
        if self._paused and not self._too_many_wait():
            self._resume()
        return message

    def clear(self) -> None:
        """Drop all messages."""
        self._messages.clear()
        self._partials.clear()

    def close(self) -> None:
        """Say that no more messages will come; ends every wait."""
        self._closed = True
        self._arrived.notify_all()

    def reading_pauses(self) -> bool:
        """Return whether so many messages wait that reading must pause."""
        self.overfull = False
        self._paused = self._too_many_wait() and not self._answers_awaited
        return self._paused

    def has_room_for(self, more: int) -> bool:
        """Return whether so many messages, which are held back, may be added at once."""
        fits = self._limit is None or len(self._messages) + more <= self._limit
        return fits or bool(self._answers_awaited)

    @contextlib.contextmanager
    def awaiting_answers(self, waits: bool = True) -> Iterator[None]:
        """Keep reading although the queue is full, while a handler waits for an answer."""
        self._answers_awaited += waits
        if waits and self._paused:
            self._resume()
        try:
            yield
        finally:
            self._answers_awaited -= waits

    def _announce(self) -> None:
        """Wake the thread that waits for a message."""
        with self._lock:
            self._unannounced = False
            self._arrived.notify()

    def _too_many_wait(self) -> bool:
        if self._paused:
            return self._half_full()
        return self._limit is not None and len(self._messages) > self._limit

    def _half_full(self) -> bool:
        return self._limit is not None and len(self._messages) > self._limit // 2


def _superseded_key(message: Message) -> Optional[Hashable]:
    """Return what a later partial must have in common to supersede this one; None if no partial."""
    name = message.get("message")
    if not isinstance(name, str) or name not in _PARTIALS:
        return None
    channel, language = message.get("channel"), message.get("language")
    for value in (channel, language):
        if value is not None and not isinstance(value, str):
            return None
    return name, channel, language
