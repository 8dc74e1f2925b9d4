"""Who waits for the connections of a process, and pumps them.

A session's receiver thread does it itself while few sessions run. Hundreds of threads that wake for
every acknowledgement would fight for the interpreter's lock, and with a thousand all are late for
ever. So above a few, one thread, the switchboard, attends to all that come, and their receiver
threads sleep until their connection has come to its end. It never waits for a session: pumping one
takes what has come and hands it on. What a user's code may block in (sources, handlers, keys) has
threads of its own.

The switchboard comes with the first session that needs it and goes with its last.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import threading
import time
from collections.abc import Iterator
from typing import Optional

from .rollover import Rollover
from .waiting import Waiter

__all__ = ["Switchboard", "attend"]

_ALONE = 4
"""Sessions of a process that attend to their connections themselves."""


def attend(rollover: Rollover) -> None:
    """Pump a session's lines until they are finished, here or in the switchboard's thread.

    Raises:
        BaseException: What pumping raised.
    """
    with _exchange.place() as switchboard:
        if switchboard is None:
            _attend_alone(rollover)
        else:
            switchboard.attend(rollover)


def _attend_alone(rollover: Rollover) -> None:
    waiter = Waiter()
    try:
        while not rollover.finished:
            happened = waiter.wait(rollover.rest(waiter))
            rollover.pump(read=happened.get(rollover, True))
    finally:
        rollover.leave()
        waiter.close()


class _Visit:
    """A session's stay at the switchboard."""

    def __init__(self) -> None:
        self.due: Optional[float] = None
        """When it is to be pumped in any case."""
        self.queued: Optional[float] = None
        """For when it stands in the queue: for then or sooner than it is due."""
        self.error: Optional[BaseException] = None
        self.over = threading.Event()


class Switchboard:
    """Attends to the lines of many sessions, in a thread of its own.

    Example:
        >>> switchboard = Switchboard()
        >>> switchboard.attend(rollover)  # returns when it has come to its end
        >>> switchboard.stop()
    """

    def __init__(self) -> None:
        self._waiter = Waiter(many=True)
        self._visits: dict[Rollover, _Visit] = {}
        self._queue: list[tuple[float, int, Rollover]] = []
        self._turn = itertools.count()
        self._stopped = False
        self._thread = threading.Thread(
            target=self._run, name="speechmatics-switchboard", daemon=True
        )
        self._thread.start()

    def attend(self, rollover: Rollover) -> None:
        """Wait until a session's lines, which are pumped meanwhile, are finished.

        Raises:
            BaseException: What pumping raised.
        """
        visit = self._visits[rollover] = _Visit()
        self._waiter.wake(rollover)
        visit.over.wait()
        if visit.error is not None:
            raise visit.error

    def stop(self) -> None:
        """End the thread; nobody is attended to any more."""
        self._stopped = True
        self._waiter.wake(self)
        self._thread.join()
        self._waiter.close()

    def _run(self) -> None:
        """Pump whoever has something to pump; the thread's whole life."""
        while not self._stopped:
            patience = None
            if self._queue:
                patience = max(0.0, self._queue[0][0] - time.monotonic())
            for owner, read in self._waiter.wait(patience).items():
                if isinstance(owner, Rollover):
                    self._serve(owner, read=read)
            now = time.monotonic()
            while self._queue and self._queue[0][0] <= now:
                self._serve_if_due(heapq.heappop(self._queue)[2], now)

    def _serve_if_due(self, rollover: Rollover, now: float) -> None:
        visit = self._visits.get(rollover)
        if visit is None:
            return
        visit.queued = None
        if visit.due is not None and visit.due <= now:
            self._serve(rollover)
        elif visit.due is not None:
            self._put(rollover, visit, visit.due)

    def _serve(self, rollover: Rollover, *, read: bool = True) -> None:
        """Pump a session's lines, and see when that is to be done again."""
        visit = self._visits.get(rollover)
        if visit is None:
            return  # it left in this very round
        try:
            if not rollover.finished:
                rollover.pump(read=read)
            if not rollover.finished:
                patience = rollover.rest(self._waiter)
                visit.due = None if patience is None else time.monotonic() + patience
                # What it stands for already comes sooner, most often: it is looked at then.
                if visit.due is not None and (visit.queued is None or visit.due < visit.queued):
                    self._put(rollover, visit, visit.due)
                return
        except BaseException as error:
            visit.error = error
        del self._visits[rollover]
        rollover.leave()
        visit.over.set()

    def _put(self, rollover: Rollover, visit: _Visit, when: float) -> None:
        visit.queued = when
        heapq.heappush(self._queue, (when, next(self._turn), rollover))


class _Exchange:
    """Who attends to whom in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alone = 0
        self._visitors = 0
        self._switchboard: Optional[Switchboard] = None

    @contextlib.contextmanager
    def place(self) -> Iterator[Optional[Switchboard]]:
        """Give a session the switchboard, or None if it is to attend to itself."""
        with self._lock:
            alone = self._alone < _ALONE
            if alone:
                self._alone += 1
            else:
                self._visitors += 1
                if self._switchboard is None:
                    self._switchboard = Switchboard()
            switchboard = None if alone else self._switchboard
        try:
            yield switchboard
        finally:
            with self._lock:
                last = False
                if alone:
                    self._alone -= 1
                else:
                    self._visitors -= 1
                    last = not self._visitors
                if last:
                    self._switchboard = None
            if last and switchboard is not None:
                switchboard.stop()


_exchange = _Exchange()


def _begin_anew() -> None:
    """Leave threads, and a lock that one may hold, to the parent process."""
    global _exchange
    _exchange = _Exchange()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
