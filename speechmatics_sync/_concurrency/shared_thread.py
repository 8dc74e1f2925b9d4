"""One thread that does the work of many: it pumps connections and reads paced sources.

Each caller sleeps while the shared thread does its work (`leases`): with a thread for each, every
system call would hand the GIL back and forth. Only where there can be no shared thread, for want
of a thread or a descriptor, callers do their work themselves.

The shared thread must never wait for one of them. Pumping never blocks, and what may wait for a
user (handlers, keys, live sources) keeps a thread of its own. A source that has all its audio at
hand can still be slow, such as a file on a disk that sleeps. So a source whose read was slow goes
back to the thread of its caller; and while a read does not return, a second thread takes over.

What one task raises is raised by its own caller. If the shared thread itself breaks, no caller is
to blame: each goes on with another one.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import time
from collections.abc import Hashable
from typing import Callable, NamedTuple, Optional, Protocol

from .._logs import PackageLogger, logger
from ..errors import ConnectionError
from .leases import Leases
from .poller import Poller
from .threads import start_daemon, start_thread

__all__ = ["Later", "PacedReads", "Pumped", "SharedThread", "pump_to_end", "read_to_end"]

SLOW = 0.05
"""Seconds after which a read that returned is called slow."""

_HELD_UP = 0.1
"""Seconds after which a read that has not returned makes another thread take over."""

_RETRY = 0.05
"""Seconds until a source tries again that could not tell for how long it has to wait."""

_STEPS_IN_A_ROW = 32
"""Steps that a source which is behind may take while others wait."""

_TASKS_IN_A_ROW = 8
"""Tasks that are served before the callbacks they asked for run."""

BATCHES = ((0.25, 0.25), (0.4, 0.375))
"""Load (the busy share of the thread's time) above which so many seconds of a source's audio leave
together: the first of it is sent that much later, and all of it costs half as much or less."""

LIGHT_LOAD = 0.05
"""Load below which audio leaves chunk by chunk again."""

LOAD_SECONDS = 1.0
"""Seconds over which the load is measured."""

_BROKEN_CHECK = 20.0
"""How often callers check that the shared thread works. It tells them when it breaks, unless that
fails as well: what breaks it is most likely that there is no memory left."""

_TRIES = 3
"""How many shared threads may break under one caller until it uses its own."""


class Later(NamedTuple):
    """A step could not be taken yet.

    Args:
        seconds: When to try again; None if only an event tells.
    """

    seconds: Optional[float]


class Pumped(Hashable, Protocol):
    """Work on sockets that never blocks."""

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to do."""

    def rest(self, poller: Poller, /) -> Optional[float]:
        """Have a poller return this object when there may be something to do.

        Returns:
            The seconds after which there is something to do in any case; None if there need not be.
        """

    def pump(self, *, read: bool, event: bool) -> bool:
        """Do what can be done now.

        Args:
            read: Whether its sockets may have something to read.
            event: Whether something happened, rather than that time has passed.

        Returns:
            Whether `finished` or `rest` may say something else than before.
        """

    def leave(self) -> None:
        """Have the poller return this object no more."""


class PacedReads(Hashable, Protocol):
    """Reads of a source, each of which is due at its time. They run a user's code, so may block."""

    paced: bool
    """Whether all of it is at hand and it is only read when it is due. Only then it is shared."""

    batch_seconds: float
    """Seconds of it that are to be read and sent together."""

    finished: bool
    """Whether nothing more of it is wanted."""

    def step(self, *, wait: bool) -> Optional[Later]:
        """Read what is due; return when to try again if nothing is and ``wait`` is false."""

    def run(self) -> None:
        """Read the rest of it, each read when it is due."""

    def when_over(self, call: Callable[[], None], /) -> None:
        """Have something called once nothing more of it may be wanted."""

    def in_user_code(self) -> contextlib.AbstractContextManager[None]:
        """Mark the calling thread as one that may be stuck in a user's code."""


def pump_to_end(pumped: Pumped) -> None:
    """Pump until it is finished, here or in the shared thread.

    Raises:
        BaseException: What pumping raised.
    """
    for _ in range(_TRIES):
        with _leases.lease() as shared:
            if shared is None:
                _pump_here(pumped)
                return
            shared.pump_to_end(pumped)
        if pumped.finished:
            return
    _pump_here(pumped)


def _pump_here(pumped: Pumped) -> None:
    poller = Poller()
    try:
        while not pumped.finished:
            happened = poller.wait(pumped.rest(poller))
            poller.raise_error(pumped)
            pumped.pump(read=happened.get(pumped, True), event=False)
    finally:
        pumped.leave()
        poller.close()


def read_to_end(source: PacedReads) -> None:
    """Read a source until nothing more of it is wanted, here or in the shared thread.

    Raises:
        BaseException: What reading raised.
    """
    task = None
    if source.paced:
        with _leases.lease() as shared:
            if shared is None:
                source.run()
            else:
                task = shared.read(source)
    if task is not None:
        with source.in_user_code():
            task.wait_until_returned()
    source.run()  # what is left of it


class _Task:
    """The work of one caller, who waits until the shared thread has done it."""

    def __init__(self) -> None:
        self.due: Optional[float] = None
        """When it must be served; None if only for an event."""
        self.queued: Optional[float] = None
        """The time of its entry in the queue, due or earlier. Every other entry is out of date."""
        self.error: Optional[BaseException] = None
        self.over = threading.Event()


class _PumpTask(_Task):
    def __init__(self, pumped: Pumped) -> None:
        super().__init__()
        self.pumped = pumped
        self.asked = False
        """Whether it has said when to be served, and the poller knows its sockets."""


class _ReadTask(_Task):
    def __init__(self, source: PacedReads) -> None:
        super().__init__()
        self.source = source
        self.returned: Optional[threading.Event] = None
        """Set when the read that another thread was left in has returned."""

    def wait_until_returned(self) -> None:
        """Wait until no other thread is inside a read of the source; raise its error."""
        if self.returned is not None:
            self.returned.wait()
        if self.error is not None:
            raise self.error


class SharedThread:
    """Pumps connections and reads paced sources for many callers.

    It is two threads: one serves, the other watches the first and takes over when a read does not
    return.

    Example:
        >>> shared = SharedThread()
        >>> shared.stop()
    """

    def __init__(self) -> None:
        self._poller = Poller(many=True)
        self._tasks: dict[Hashable, _Task] = {}
        """By what they serve."""
        self._queue: list[tuple[float, int, _Task]] = []
        self._order = itertools.count()
        self._batch_seconds = 0.0
        self._broken = False
        # Guards all below: which thread serves, and since when it has been in which read.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._stopped = False
        self._server: Optional[threading.Thread] = None
        self._reading: Optional[_ReadTask] = None
        self._reading_since = 0.0
        self._threads: list[threading.Thread] = []
        self._watched = False
        """Whether there is a thread that can take over."""
        try:
            with self._lock:
                self._add_thread()
        except BaseException:
            self._poller.close()
            raise

    @property
    def works(self) -> bool:
        """Whether anybody is served; if not, callers have to use another one."""
        return not self._broken

    def pump_to_end(self, pumped: Pumped) -> None:
        """Wait until an object, which is pumped meanwhile, is finished or this one is broken.

        Raises:
            BaseException: What pumping raised.
        """
        task = _PumpTask(pumped)
        self._add(pumped, task)
        self._wait_for(task)

    def read(self, source: PacedReads) -> _ReadTask:
        """Wait until a source, read meanwhile, has ended or proved slow, or this is broken.

        Returns:
            The task: a thread may still be inside a read.

        Raises:
            BaseException: What reading raised.
        """
        task = _ReadTask(source)
        self._add(source, task)
        source.when_over(lambda: self._poller.wake(source))
        with source.in_user_code():  # the shared thread may be in it
            self._wait_for(task)
        return task

    def stop(self) -> None:
        """End the threads. No caller may be left."""
        with self._lock:
            self._stopped = True
            self._changed.notify_all()
            threads = list(self._threads)
        self._poller.wake(self)
        for thread in threads:
            thread.join()
        self._poller.close()

    # -- the threads ----------------------------------------------------------------------------

    def _add_thread(self) -> None:
        """Start a thread that watches and, when needed, takes over. Needs the lock."""
        thread = threading.Thread(target=self._run, name="speechmatics-shared", daemon=True)
        self._threads.append(thread)
        try:
            start_thread(thread)
        except BaseException:
            self._threads.remove(thread)
            raise
        self._watched = True

    def _watch(self) -> None:
        """Start a thread that can take over, if there is none and one can be had."""
        if not self._watched:
            with self._lock, contextlib.suppress(ConnectionError, MemoryError):
                self._add_thread()

    def _run(self) -> None:
        """Watch the thread that serves, then serve; a thread's whole life."""
        try:
            if self._take_over():
                self._serve()
        except BaseException:
            if self._server not in (None, threading.current_thread()):
                self._watched = False  # this one only watched; another one is started
                return
            self._break()
            _log.exception("The thread that many sessions share failed; they go on with another")
        finally:
            self._poller.run_callbacks()  # of sessions that go on elsewhere

    def _break(self) -> None:
        """Have every caller go on elsewhere."""
        self._broken = True
        try:
            for task in list(self._tasks.values()):
                task.over.set()
            with self._lock:
                self._stopped = True
                self._changed.notify_all()
        except MemoryError:
            self._stopped = True  # they see it when they check

    def _take_over(self) -> bool:
        """Wait until no thread serves, or the one that does is held up in a read.

        Returns:
            Whether the calling thread serves from now on; False if all is to end.
        """
        with self._lock:
            while not self._stopped and self._server is not None:
                held_up = self._reading
                if held_up is not None and time.monotonic() - self._reading_since > _HELD_UP:
                    held_up.returned = threading.Event()
                    self._finish(held_up.source, held_up)
                    self._threads.remove(self._server)
                    break
                self._changed.wait(_HELD_UP / 2)
            if self._stopped:
                return False
            self._server, self._reading = threading.current_thread(), None
            self._watched = False
        self._watch()
        return True

    def _serve(self) -> None:
        """Serve every task when it has something to do, until all ends or another takes over."""
        begun, busy = time.monotonic(), 0.0
        while not self._stopped:
            rest = max(0.0, self._queue[0][0] - time.monotonic()) if self._queue else None
            happened = self._poller.wait(rest)
            woken = time.monotonic()
            if woken - begun > LOAD_SECONDS:
                self._note_load(busy / (woken - begun))
                self._watch()
                begun, busy = woken, 0.0
            for count, (served, read) in enumerate(happened.items(), 1):
                if not count % _TASKS_IN_A_ROW:
                    self._poller.run_callbacks()
                task = self._tasks.get(served)
                if isinstance(task, _PumpTask):
                    self._pump(task, read=read, event=task.asked)
                elif task is not None:
                    self._schedule(task, 0.0)
            now = time.monotonic()
            count = 0
            while self._queue and self._queue[0][0] <= now:
                count += 1
                if not count % _TASKS_IN_A_ROW:
                    self._poller.run_callbacks()
                when, _, task = heapq.heappop(self._queue)
                if task.queued == when and not self._serve_queued(task, now):
                    return  # another thread has taken over, and goes on with the queue
            busy += time.monotonic() - woken

    def _note_load(self, load: float) -> None:
        """Batch audio when the load is high, and until it is light."""
        for high, seconds in BATCHES:
            if load > high:
                self._batch_seconds = max(self._batch_seconds, seconds)
        if load < LIGHT_LOAD:
            self._batch_seconds = 0.0

    # -- the tasks ------------------------------------------------------------------------------

    def _add(self, served: Hashable, task: _Task) -> None:
        self._tasks[served] = task
        self._poller.wake(served)

    def _wait_for(self, task: _Task) -> None:
        """Wait until a task is over, or nobody serves it any more; raise its error."""
        while self.works and not task.over.wait(_BROKEN_CHECK):
            pass
        if task.error is not None:
            raise task.error

    def _serve_queued(self, task: _Task, now: float) -> bool:
        """Serve a task from the queue if it is due; return whether this thread goes on serving."""
        task.queued = None
        if task.due is not None and task.due > now:
            self._schedule(task, task.due - now)
        elif isinstance(task, _PumpTask):
            self._pump(task)
        elif isinstance(task, _ReadTask):
            return self._read(task)
        return True

    def _pump(self, task: _PumpTask, *, read: bool = True, event: bool = False) -> None:
        pumped = task.pumped
        try:
            self._poller.raise_error(pumped)
            if event and not pumped.pump(read=read, event=True):
                return  # it is due when it was due before
            if not (event or pumped.finished):
                pumped.pump(read=read, event=False)
            if not pumped.finished:
                self._schedule(task, pumped.rest(self._poller))
                task.asked = True
                return
        except BaseException as error:
            task.error = error
        try:
            pumped.leave()
            self._poller.run_callbacks()  # nobody else does if this is the last
            self._poller.raise_error(pumped)
        except BaseException as error:
            task.error = task.error or error
        self._finish(pumped, task)

    def _read(self, task: _ReadTask) -> bool:
        """Read what is due of a source; return whether this thread goes on serving."""
        source = task.source
        rest: Optional[float] = 0.0
        begun = time.monotonic()
        # In this order, for the other thread may look between the lines.
        self._reading_since = begun
        self._reading = task
        over = False
        try:
            source.batch_seconds = self._batch_seconds
            for _ in range(_STEPS_IN_A_ROW):
                later = None if source.finished else source.step(wait=False)
                if later is not None:
                    rest = _RETRY if later.seconds is None else later.seconds
                    break
            over = source.finished
        except BaseException as error:
            task.error = error
        with self._lock:
            if self._server is not threading.current_thread():
                if task.returned is not None:
                    task.returned.set()  # its caller reads on
                return False
            self._reading = None
        slow = time.monotonic() - begun > SLOW
        if task.error is not None or over or slow:
            self._finish(source, task)
        else:
            self._schedule(task, rest)
        return True

    def _finish(self, served: Hashable, task: _Task) -> None:
        self._tasks.pop(served, None)
        task.queued = None
        task.over.set()

    def _schedule(self, task: _Task, rest: Optional[float]) -> None:
        """Note when a task is due, and queue it unless it is queued for sooner."""
        task.due = None if rest is None else time.monotonic() + rest
        if task.due is not None and (task.queued is None or task.due < task.queued):
            task.queued = task.due
            heapq.heappush(self._queue, (task.due, next(self._order), task))


_leases = Leases(SharedThread)
_log = PackageLogger(logger.logger, start_daemon)
"""A user's handler may block, and callers still wait for the thread that logs."""
