"""Sends the messages of a session, from whichever of its threads they come."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Optional

from websockets.sync.server import ServerConnection

from ._channel import Message
from ._logs import logger
from ._session import CLOSED, Session
from ._validation import Refused

__all__ = ["Sender", "SessionOver"]

_ACKNOWLEDGEMENTS = ("AudioAdded", "ChannelAudioAdded")


class SessionOver(Exception):
    """Nothing more is sent: the session is closed."""


class _HeldAcknowledgements:
    """Delays acknowledgements once told to; passes on everything else. Not thread-safe."""

    def __init__(self) -> None:
        self._holding = False
        self._chunks: Optional[int] = None
        self._seconds: Optional[float] = None
        self._counted: defaultdict[Optional[str], deque[Message]] = defaultdict(deque)
        self._timed: deque[tuple[float, Message]] = deque()

    def hold(self, chunks: Optional[int], seconds: Optional[float]) -> None:
        """Hold acknowledgements from now on: for chunks, for seconds, or (both None) for good."""
        self._holding = True
        self._chunks, self._seconds = chunks, seconds

    def replace(self, message: Message, now: float) -> list[Message]:
        """Return the messages to send instead of this one, in order."""
        if not self._holding or message["message"] not in _ACKNOWLEDGEMENTS:
            return [message]
        if self._seconds is not None:
            self._timed.append((now + self._seconds, message))
            return []
        held = self._counted[message.get("channel")]
        held.append(message)
        if self._chunks is None or len(held) <= self._chunks:
            return []
        return [held.popleft()]

    def due(self, now: float) -> list[Message]:
        """Return the acknowledgements whose delay is over."""
        found = []
        while self._timed and self._timed[0][0] <= now:
            found.append(self._timed.popleft()[1])
        return found

    @property
    def timed(self) -> bool:
        """Whether some acknowledgements are still to be sent after a delay."""
        return bool(self._timed)

    def rest(self) -> list[Message]:
        """Return those that were waiting for more chunks, as no more will come."""
        if self._chunks is None:
            return []
        found = [message for held in self._counted.values() for message in held]
        self._counted.clear()
        return found


class Sender:
    """Sends the messages of one session, and nothing after an Error."""

    def __init__(self, connection: ServerConnection, session: Session) -> None:
        self._connection = connection
        self._session = session
        self._acknowledgements = _HeldAcknowledgements()
        self._lock = threading.Lock()  # held while sending, and while an Error closes the session

    def send(self, messages: Iterable[Message]) -> None:
        """Send messages as the iterable gives them.

        Raises:
            SessionOver: If the session is closed.
            ConnectionClosed: If the connection is.
        """
        for message in messages:
            with self._lock:
                if self._session.state == CLOSED:
                    raise SessionOver
                for passed in self._acknowledgements.replace(message, time.monotonic()):
                    self._connection.send(_text(passed))

    def hold_acknowledgements(self, chunks: Optional[int], seconds: Optional[float]) -> None:
        """Hold acknowledgements from now on: for chunks, for seconds, or (both None) for good."""
        with self._lock:
            self._acknowledgements.hold(chunks, seconds)

    def acknowledge(self, *, ending: bool = False) -> bool:
        """Send the held acknowledgements that are due.

        Args:
            ending: Whether to send those as well that were waiting for more chunks.

        Returns:
            Whether some are left that will be due later.
        """
        with self._lock:
            due = self._acknowledgements.due(time.monotonic())
            if ending:
                due += self._acknowledgements.rest()
            for message in due:
                self._connection.send(_text(message))
            return self._acknowledgements.timed

    def fail(self, error: Exception) -> None:
        """Close the session because of an exception, and send the Error that reports it."""
        type, reason = "unknown_error", "the server failed"
        if isinstance(error, Refused):
            type, reason = error.type, error.reason
        else:
            logger.error("a session failed", exc_info=error)
        with self._lock:
            if self._session.state != CLOSED:  # otherwise another thread was first
                self._connection.send(_text(self._session.fail(type, reason)))

    def close_connection(self) -> None:
        """Close the connection, which also wakes the thread that receives from it."""
        self._connection.close(self._session.close_code or 1000)


def _text(message: Message) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))
