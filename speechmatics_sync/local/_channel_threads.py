"""The threads of a session: one for each of its channels, and one way out for all.

The connection's own thread receives. In a session by channel it only sorts what it receives into
lanes, in each of which a thread recognises one channel and sends what follows, acknowledgements
included: a channel that is slow to recognise delays no other.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Optional

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from ._acknowledging import Acknowledgements
from ._channel import Message
from ._session import CLOSED, Session, Work
from ._validation import Refused

__all__ = ["Lanes", "Outlet", "SessionOver"]

_logger = logging.getLogger("speechmatics_sync.local")

_LANE_BYTES = 1 << 20
_LANE_ITEMS = 1024
"""What may wait in a lane. Beyond that nothing more is received, and TCP holds the client back.
Whoever sends no more than a window of unacknowledged chunks hardly comes to that."""


class SessionOver(Exception):
    """Nothing more goes out, for an Error went out before."""


class Outlet:
    """Sends what the threads of a session have to say, and nothing after an Error."""

    def __init__(self, connection: ServerConnection, session: Session) -> None:
        self._connection = connection
        self._session = session
        self._acknowledgements = Acknowledgements()
        self._lock = threading.Lock()  # held while sending, and from an Error to its going out

    def send(self, messages: Iterable[Message]) -> None:
        """Send messages as they come.

        Raises:
            SessionOver: If the session is closed.
            ConnectionClosed: If the connection is.
        """
        for message in messages:
            with self._lock:
                if self._session.state == CLOSED:
                    raise SessionOver
                for passed in self._acknowledgements.through(message, time.monotonic()):
                    self._connection.send(_text(passed))

    def hold_acknowledgements(self, chunks: Optional[int], seconds: Optional[float]) -> None:
        """Hold acknowledgements back from now on; see `Acknowledgements.hold`."""
        with self._lock:
            self._acknowledgements.hold(chunks, seconds)

    def acknowledge(self, *, ending: bool = False) -> bool:
        """Send the acknowledgements that were held and are due.

        Args:
            ending: Whether those go as well that were to wait for more audio.

        Returns:
            Whether some are left that will be due.
        """
        with self._lock:
            due = self._acknowledgements.due(time.monotonic())
            if ending:
                due += self._acknowledgements.rest()
            for message in due:
                self._connection.send(_text(message))
            return self._acknowledgements.timed

    def fail(self, error: Exception) -> None:
        """Close the session for what went wrong in it, and send the Error that says so."""
        type, reason = "unknown_error", "the server failed"
        if isinstance(error, Refused):
            type, reason = error.type, error.reason
        else:
            _logger.error("a session failed", exc_info=error)
        with self._lock:
            if self._session.state != CLOSED:  # otherwise another thread was first
                self._connection.send(_text(self._session.fail(type, reason)))

    def hang_up(self) -> None:
        """Close the connection: whoever waits to receive from it learns that it is over."""
        self._connection.close(self._session.close_code or 1000)


def _text(message: Message) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


class _Lane:
    """What one channel has still to do."""

    def __init__(self, thread: threading.Thread, lock: threading.Lock) -> None:
        self.thread = thread
        self.waiting: deque[Work] = deque()
        self.bytes = 0
        self.busy = False
        self.filled = threading.Condition(lock)


class Lanes:
    """The threads in which the channels of one session do their work."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._lock = threading.Lock()  # guards all of this
        self._eased = threading.Condition(self._lock)  # a lane has less to do than before
        self._lanes: dict[str, _Lane] = {}
        self._closed = False

    def add(self, work: Work) -> None:
        """Have a channel do something after all it has to do; waits while that is too much."""
        with self._lock:
            lane = self._lanes.get(work.channel) or self._begin(work.channel)
            while not self._closed and (
                lane.bytes >= _LANE_BYTES or len(lane.waiting) >= _LANE_ITEMS
            ):
                self._eased.wait()
            if not self._closed:
                lane.waiting.append(work)
                lane.bytes += work.size
                lane.filled.notify()

    def wait(self) -> None:
        """Wait until every channel has done its work, or the session is over."""
        with self._lock:
            while not self._closed and any(
                lane.waiting or lane.busy for lane in self._lanes.values()
            ):
                self._eased.wait()

    def close(self) -> None:
        """End the threads after what they are doing; what waits is not done."""
        self._let_go()
        for lane in self._lanes.values():
            lane.thread.join()

    def runs_in(self, thread: threading.Thread) -> bool:
        """Whether a thread is one of these."""
        with self._lock:
            return any(lane.thread is thread for lane in self._lanes.values())

    def _begin(self, channel: str) -> _Lane:
        thread = threading.Thread(
            target=self._run, args=(channel,), name="speechmatics-local-channel", daemon=True
        )
        lane = self._lanes[channel] = _Lane(thread, self._lock)
        thread.start()
        return lane

    def _run(self, channel: str) -> None:
        with self._lock:
            lane = self._lanes[channel]
        while (work := self._next(lane)) is not None:
            try:
                self._outlet.send(work.messages)
            except (ConnectionClosed, SessionOver):
                self._let_go()
            except Exception as error:
                with contextlib.suppress(ConnectionClosed):
                    self._outlet.fail(error)
                self._let_go()
                self._outlet.hang_up()

    def _next(self, lane: _Lane) -> Optional[Work]:
        with self._lock:
            lane.busy = False
            self._eased.notify()
            while not self._closed and not lane.waiting:
                lane.filled.wait()
            if self._closed:
                return None
            work = lane.waiting.popleft()
            lane.bytes -= work.size
            lane.busy = True
            self._eased.notify()
            return work

    def _let_go(self) -> None:
        with self._lock:
            self._closed = True
            self._eased.notify()
            for lane in self._lanes.values():
                lane.filled.notify()
