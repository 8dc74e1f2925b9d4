"""One thread that many sessions share: it pumps their connections and reads their paced sources.

A session's own threads do that while few sessions run. Beyond, they sleep, each until its
connection or its source has come to its end, and the switchboard does it for all. Two threads in
its place, let alone two a session, would hand the interpreter's lock to and fro at every call of
the system.

It never waits for a session. Pumping a connection takes what has come and hands it on; and what a
user's code may block in (handlers, keys, sources that wait for audio) has threads of its own. A
source that has all its audio at hand may be slow all the same: a file on a disk that sleeps. One
whose read takes long is read by its own thread from then on; and a second thread watches the first
and takes its place when a read does not come back.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import time
from typing import Optional

from .._concurrency.poller import Poller
from .._concurrency.sharing import Exchange
from .._logs import logger
from .reading import Reading
from .rollover import Rollover

__all__ = ["Switchboard", "attend", "read"]

_SLOW = 0.05
"""Seconds that a source may take of the others' time."""

_HELD_UP = 0.1
"""Seconds after which another thread serves the others."""

_LOOK_AGAIN = 0.05
"""Seconds after which a source looks again whether there is room, or anything of it is wanted."""

_AT_A_TIME = 32
"""Chunks that one source gives while others wait, if it is behind."""

_TURNS = 8
"""Visitors that are served before those who wait for what they brought are woken."""

_GATHERING = ((0.25, 0.25), (0.4, 0.375))
"""For which part of its time the thread is busy, and how many seconds of a source's audio leave
together then: what is spoken first is sent that much later, and costs half as much or less."""

_LITTLE = 0.05
"""For which part it is busy when there is no need for that any more."""

_LOAD_SECONDS = 1.0
"""Seconds over which that is measured."""


def attend(rollover: Rollover) -> None:
    """Pump a session's lines until they are finished, here or at the switchboard.

    Raises:
        BaseException: What pumping raised.
    """
    with _exchange.place() as switchboard:
        if switchboard is not None:
            switchboard.attend(rollover)
            return
        waiter = Poller()
        try:
            while not rollover.finished:
                happened = waiter.wait(rollover.rest(waiter))
                rollover.pump(read=happened.get(rollover, True))
        finally:
            rollover.leave()
            waiter.close()


def read(reading: Reading) -> None:
    """Read a source until nothing more of it is wanted, here or at the switchboard.

    Raises:
        BaseException: What reading raised.
    """
    visit = None
    if reading.paced:
        with _exchange.place() as switchboard:
            if switchboard is None:
                reading.run()
            else:
                visit = switchboard.read(reading)
    if visit is not None:
        with reading.in_user_code():
            visit.wait_until_free()
    reading.run()  # what is left of it


class _Visit:
    """A connection's or a source's stay at the switchboard."""

    def __init__(self) -> None:
        self.due: Optional[float] = None
        """When it is to be served in any case."""
        self.queued: Optional[float] = None
        """For when it stands in the queue: for then or sooner than it is due."""
        self.error: Optional[BaseException] = None
        self.over = threading.Event()
        self.held: Optional[threading.Event] = None
        """Is set when the thread that a read held up has come back from it."""

    def wait(self) -> None:
        """Wait until it is over; raise what it failed with."""
        self.over.wait()
        if self.error is not None:
            raise self.error

    def wait_until_free(self) -> None:
        """Wait until no other thread is in the source's read; raise what that failed with."""
        if self.held is not None:
            self.held.wait()
        if self.error is not None:
            raise self.error


class Switchboard:
    """Pumps the connections of many sessions, and reads their paced sources.

    Example:
        >>> switchboard = Switchboard()
        >>> switchboard.stop()
    """

    def __init__(self) -> None:
        self._waiter = Poller(many=True)
        self._visits: dict[object, _Visit] = {}
        # Guards whose turn it is to serve, and what is read.
        self._lock = threading.Lock()
        self._stopping = threading.Condition(self._lock)
        self._stopped = False
        self._queue: list[tuple[float, int, object]] = []
        self._turn = itertools.count()
        self._servant: Optional[threading.Thread] = None
        self._gathered = 0.0
        self._read_now: Optional[Reading] = None
        self._reading_since: Optional[float] = None
        self._threads: list[threading.Thread] = []
        with self._lock:
            self._add_thread()

    def attend(self, rollover: Rollover) -> None:
        """Wait until a session's lines, which are pumped meanwhile, are finished.

        Raises:
            BaseException: What pumping raised.
        """
        visit = self._visits[rollover] = _Visit()
        self._waiter.wake(rollover)
        visit.wait()

    def read(self, reading: Reading) -> _Visit:
        """Wait until a source, which is read meanwhile, has come to its end, or proved slow.

        Returns:
            The visit: a thread may still be in the source's read.

        Raises:
            BaseException: What reading raised.
        """
        visit = self._visits[reading] = _Visit()
        self._waiter.wake(reading)
        reading.when_over(lambda: self._waiter.wake(reading))
        with reading.in_user_code():  # of which it may be, in whatever thread
            visit.wait()
        return visit

    def stop(self) -> None:
        """End the threads; nobody is served any more."""
        with self._lock:
            self._stopped = True
            self._stopping.notify_all()
            threads = list(self._threads)
        self._waiter.wake(self)
        for thread in threads:
            thread.join()
        self._waiter.close()

    # -- the threads ----------------------------------------------------------------------------

    def _add_thread(self) -> None:
        """Start another thread, which serves if the one that does is held up. Needs the lock."""
        thread = threading.Thread(target=self._run, name="speechmatics-switchboard", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _run(self) -> None:
        """Watch whoever serves, then serve; a thread's whole life."""
        if not self._take_turn():
            return
        try:
            self._serve_all()
        except BaseException as error:
            logger.exception("The thread that many sessions share failed")
            for visit in list(self._visits.values()):
                visit.error = error
                visit.over.set()
        finally:
            self._waiter.run_errands()  # of sessions that go on elsewhere

    def _serve_all(self) -> None:
        """Serve whoever has something to do, until nobody is served or another thread does it."""
        begun, busy = time.monotonic(), 0.0
        while not self._stopped:
            patience = None
            if self._queue:
                patience = max(0.0, self._queue[0][0] - time.monotonic())
            visitors = self._waiter.wait(patience)
            woken = time.monotonic()
            if woken - begun > _LOAD_SECONDS:
                self._note_load(busy / (woken - begun))
                begun, busy = woken, 0.0
            for count, (visitor, happened) in enumerate(visitors.items(), 1):
                if not count % _TURNS:
                    self._waiter.run_errands()
                if isinstance(visitor, Rollover):
                    self._pump(visitor, read=happened)
                else:
                    self._hurry(visitor)
            now = time.monotonic()
            turns = 0
            while self._queue and self._queue[0][0] <= now:
                turns += 1
                if not turns % _TURNS:
                    self._waiter.run_errands()
                when, _, visitor = heapq.heappop(self._queue)
                if not self._serve_if_due(visitor, when, now):
                    return  # another thread has taken its place, and goes on with the queue
            busy += time.monotonic() - woken

    def _note_load(self, load: float) -> None:
        """Gather audio while there is much to do, and until there is little."""
        for much, seconds in _GATHERING:
            if load > much:
                self._gathered = max(self._gathered, seconds)
        if load < _LITTLE:
            self._gathered = 0.0

    def _take_turn(self) -> bool:
        """Wait until nobody serves, or who does is held up; return whether it is time to serve."""
        with self._lock:
            while not self._stopped and self._servant is not None:
                since = self._reading_since
                if since is not None and time.monotonic() - since > _HELD_UP:
                    self._threads.remove(self._servant)
                    visit = self._visits.pop(self._read_now, None)
                    if visit is not None:
                        visit.held = threading.Event()
                        visit.over.set()
                    break
                self._stopping.wait(_HELD_UP / 2)
            if self._stopped:
                return False
            self._servant, self._reading_since = threading.current_thread(), None
            with contextlib.suppress(RuntimeError):  # no more threads: nobody watches this one
                self._add_thread()
            return True

    # -- serving --------------------------------------------------------------------------------

    def _hurry(self, visitor: object) -> None:
        visit = self._visits.get(visitor)
        if visit is not None:
            self._put(visitor, visit, 0.0)

    def _serve_if_due(self, visitor: object, when: float, now: float) -> bool:
        """Serve a visitor whose turn has come; return whether this thread serves on."""
        visit = self._visits.get(visitor)
        if visit is None or visit.queued != when:
            return True  # it has left, or has been put further ahead since
        visit.queued = None
        if visit.due is not None and visit.due > now:
            self._put(visitor, visit, visit.due - now)
        elif isinstance(visitor, Rollover):
            self._pump(visitor)
        elif isinstance(visitor, Reading):
            return self._read(visitor, visit)
        return True

    def _pump(self, rollover: Rollover, *, read: bool = True) -> None:
        """Pump a session's lines, and see when that is to be done again."""
        visit = self._visits.get(rollover)
        if visit is None:
            return  # it left in this very round
        try:
            if not rollover.finished:
                rollover.pump(read=read)
            if not rollover.finished:
                self._put(rollover, visit, rollover.rest(self._waiter))
                return
        except BaseException as error:
            visit.error = error
        del self._visits[rollover]
        rollover.leave()
        self._waiter.run_errands()  # nobody else does them if this is the last
        visit.over.set()

    def _read(self, reading: Reading, visit: _Visit) -> bool:
        """Read what is due of a source, and see when more is.

        Returns:
            Whether this thread serves on: none took its place meanwhile.
        """
        patience = 0.0
        reading.gathered = self._gathered
        begun = time.monotonic()
        self._read_now, self._reading_since = reading, begun
        try:
            for _ in range(_AT_A_TIME):
                later = None if reading.finished else reading.step(wait=False)
                if later is not None:
                    patience = _LOOK_AGAIN if later.seconds is None else later.seconds
                    break
        except BaseException as error:
            visit.error = error
        with self._lock:
            on = self._servant is threading.current_thread()
            if on:
                self._read_now = self._reading_since = None
        if not on:
            if visit.held is not None:
                visit.held.set()  # its own thread reads it from here
            return False
        slow = time.monotonic() - begun > _SLOW
        if visit.error is None and not reading.finished and not slow:
            self._put(reading, visit, patience)
        else:
            del self._visits[reading]
            visit.over.set()
        return True

    def _put(self, visitor: object, visit: _Visit, patience: Optional[float]) -> None:
        """Put a visitor in the queue, unless it stands there for sooner than it is due."""
        visit.due = None if patience is None else time.monotonic() + patience
        if visit.due is not None and (visit.queued is None or visit.due < visit.queued):
            visit.queued = visit.due
            heapq.heappush(self._queue, (visit.due, next(self._turn), visitor))


_exchange = Exchange(Switchboard)
