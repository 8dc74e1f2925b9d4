"""One thread that does the work of many: it pumps connections, and sends paced audio in memory.

Each caller sleeps while the shared thread does its work (`leases`): with a thread for each, every
system call would hand the GIL back and forth. Only where there can be no shared thread, for want
of a thread or a descriptor, callers do their work themselves.

The shared thread must never wait for one of them. Pumping never blocks, and what may wait for a
user or a disk (handlers, keys, sources) keeps a thread of its own.

What one task raises is raised by its own caller. If the shared thread itself breaks, no caller is
to blame: each goes on with another one.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Hashable
from typing import Optional, Protocol

from .._logs import PackageLogger, logger
from .leases import Leases
from .poller import Poller
from .threads import start_daemon, start_thread

__all__ = ["Pumped", "SharedThread", "pump_to_end"]

_AT_ONCE = 0.005
"""Seconds for which tasks are served before the callbacks they asked for run: those wake threads,
which then contend for the GIL."""

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


class Pumped(Hashable, Protocol):
    """Work that never blocks: on sockets, or at its time."""

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to do."""
        ...

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
        ...

    def leave(self) -> None:
        """Have the poller return this object no more."""


def pump_to_end(pumped: Pumped) -> None:
    """Pump until it is finished, in the shared thread.

    Raises:
        BaseException: What pumping raised.
    """
    for _ in range(_TRIES):
        with _leases.lease() as shared:
            if shared is None:
                break
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


class _Task:
    """The work of one caller, who waits until the shared thread has done it."""

    def __init__(self, pumped: Pumped) -> None:
        self.pumped = pumped
        self.asked = False
        """Whether it has said when to be served, and the poller knows its sockets."""
        self.due: Optional[float] = None
        """When it must be served; None if only for an event."""
        self.queued: Optional[float] = None
        """The time of its entry in the queue, due or earlier. Every other entry is out of date."""
        self.error: Optional[BaseException] = None
        self.over = threading.Lock()
        """Released when it is over. An Event would be six objects for each session."""
        self.over.acquire()


class SharedThread:
    """Pumps for many callers.

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
        self._stopped = False
        self._broken = False
        self._thread = threading.Thread(target=self._run, name="speechmatics-shared", daemon=True)
        try:
            start_thread(self._thread)
        except BaseException:
            self._poller.close()
            raise

    @property
    def works(self) -> bool:
        """Whether callers are served; if not, they have to use another shared thread."""
        return not self._broken

    def pump_to_end(self, pumped: Pumped) -> None:
        """Have an object pumped; return when it is finished, or when the shared thread broke.

        Raises:
            BaseException: What pumping raised.
        """
        task = self._tasks[pumped] = _Task(pumped)
        self._poller.wake(pumped)
        while self.works and not task.over.acquire(timeout=_BROKEN_CHECK):
            pass
        error, task.error = task.error, None  # its frames hold the task
        if error is not None:
            try:
                raise error
            finally:
                del error  # whose frames now hold this one

    def stop(self) -> None:
        """End the thread. No caller may be left."""
        self._stopped = True
        self._poller.wake(self)
        self._thread.join()
        self._poller.close()

    # -- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException:
            self._break()
            _log.exception("The thread that many sessions share failed; they go on with another")
        finally:
            self._poller.run_callbacks()  # of sessions that go on elsewhere

    def _break(self) -> None:
        """Have every caller go on elsewhere."""
        self._broken = True
        try:
            for task in list(self._tasks.values()):
                task.over.release()
        except MemoryError:
            pass  # they see it when they check

    def _serve(self) -> None:
        """Serve every task when it has something to do, until all ends."""
        poller = self._poller
        begun, busy = time.monotonic(), 0.0
        while not self._stopped:
            rest = max(0.0, self._queue[0][0] - time.monotonic()) if self._queue else None
            happened = poller.wait(rest)
            woken = time.monotonic()
            if woken - begun > LOAD_SECONDS:
                self._note_load(busy / (woken - begun))
                begun, busy = woken, 0.0
            until = woken + _AT_ONCE
            for served, read in happened.items():
                task = self._tasks.get(served)
                if task is not None:
                    self._pump(task, read=read, event=task.asked)
                    if poller.callbacks:
                        until = self._run_callbacks_after(until)
            now = time.monotonic()
            while self._queue and self._queue[0][0] <= now:
                if poller.callbacks:
                    until = self._run_callbacks_after(until)
                when, _, task = heapq.heappop(self._queue)
                if task.queued == when:
                    task.queued = None
                    if task.due is not None and task.due > now:
                        self._schedule(task, task.due - now)
                    else:
                        self._pump(task)
            busy += time.monotonic() - woken

    def _run_callbacks_after(self, until: float) -> float:
        """Run the callbacks if it is late; return when it is late again."""
        now = time.monotonic()
        if now < until:
            return until
        self._poller.run_callbacks()
        return now + _AT_ONCE

    def _note_load(self, load: float) -> None:
        """Batch audio when the load is high, and until it is light."""
        poller = self._poller
        for high, seconds in BATCHES:
            if load > high:
                poller.batch_seconds = max(poller.batch_seconds, seconds)
        if load < LIGHT_LOAD:
            poller.batch_seconds = 0.0

    def _pump(self, task: _Task, *, read: bool = True, event: bool = False) -> None:
        pumped = task.pumped
        try:
            if self._poller.errors:
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
        self._tasks.pop(pumped, None)
        task.queued = None
        del task.pumped  # an entry of the queue that is out of date may hold the task for long
        task.over.release()

    def _schedule(self, task: _Task, rest: Optional[float]) -> None:
        """Note when a task is due, and queue it unless it is queued for sooner."""
        task.due = None if rest is None else time.monotonic() + rest
        if task.due is not None and (task.queued is None or task.due < task.queued):
            task.queued = task.due
            heapq.heappush(self._queue, (task.due, next(self._order), task))


_leases = Leases(SharedThread)
_log = PackageLogger(logger.logger, start_daemon)
"""Logs in a thread of its own: a log handler of the user's may block, and callers are waiting."""
