"""A run: which source is transcribed when, and what comes out in which order.

Three threads take part. The feeder reads the sources, which may block. The scheduler does all the
rest: it submits sources to the executor, takes what comes back, and alone touches the ledger. The
consumer takes finished jobs.

What is held at any time: the sources of sessions that run or were refused, one source more, and
finished jobs that nobody has taken yet, together no more than `_AHEAD` for each session. Sources
that another run of the same ledger has taken, or that this run was given twice, are held beside
them: no more than that run has sessions, and `_ASIDE` at most.
"""

from __future__ import annotations

import atexit
import contextlib
import heapq
import os
import reprlib
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Optional

from .._concurrency.deadlines import Deadline, interruptible
from .._concurrency.executors import DaemonThreads, Executor, Future, start_named, submit
from .._logs import logger
from ..errors import (
    AuthenticationError,
    ConnectionError,
    SessionError,
    TranscriptionError,
)
from .jobs import Job
from .leaving import Leaving
from .ledger import Claim, Done, OpenLedger
from .pace import Pace
from .sources import Identity, can_be_read_again, check_sendable
from .work import Outcome, Work, transcribe_one

__all__ = ["Plan", "Run"]

_AHEAD = 2
"""How many sources are held for each session that may run."""

_ASIDE = 1000
"""How many sources are held that are transcribed already."""

_LOOK = 0.5
"""Seconds between two looks at what another run of the ledger has done."""

_ENDING = 10.0
"""Seconds for sessions to end, in all; what is still in a user's code then is left there."""

_FEEDER_GRACE = 0.25
"""Seconds for the feeder to end; it may be inside the user's iterator, and is left there."""


class Plan(NamedTuple):
    """What a run was asked for, checked.

    Args:
        work: What each worker does.
        executor: Where.
        in_threads: Whether the workers are threads of this process.
        leaving: Ends sessions that run.
        most: How many may run at once.
        ordered: Whether jobs come in the order of their sources.
        stop_at_error: Whether the first error ends the run.
    """

    work: Work
    executor: Executor
    in_threads: bool
    leaving: Leaving
    most: int
    ordered: bool
    stop_at_error: bool


class _Task:
    """A source on its way.

    Args:
        place: Its place among the sources.
        source: The source.
        problem: Why it cannot be transcribed.
        identity: How the ledger knows it; None without a ledger.
    """

    def __init__(
        self,
        place: int,
        source: Any,
        problem: Optional[Exception] = None,
        identity: Optional[Identity] = None,
    ) -> None:
        self.place = place
        self.source = source
        self.problem = problem
        self.identity = identity
        self.attempts = 0

    def __lt__(self, other: _Task) -> bool:
        return self.place < other.place


class _WorkerTraceback(Exception):
    """Where an error was raised in another process; the cause of that error."""

    def __str__(self) -> str:
        return f"\n\n{self.args[0]}"


class Run:
    """Transcribes sources: the consumer calls `take` until it returns None, and then `close`.

    Args:
        sources: The sources, without end maybe.
        plan: How.
        ledger: What earlier runs have done, and others do now.

    Raises:
        ConnectionError: No thread is left.
    """

    def __init__(
        self, sources: Iterable[Any], plan: Plan, ledger: Optional[OpenLedger] = None
    ) -> None:
        self._sources = sources
        self._plan = plan
        self._ledger = ledger
        policy = plan.work.reconnect
        self._most_attempts = 0 if policy is None else policy.max_attempts
        self._pace = Pace(plan.most, 0.0 if policy is None else policy.busy_delay)

        # Guards what the threads share. Reentrant: a signal handler may close the run in the
        # thread that waits, and an executor may call back in the thread that submits.
        self._changed = threading.Condition()
        self._news = False
        """Whether something has changed since the scheduler last looked."""
        self._read: Optional[_Task] = None
        self._reading = True
        self._stopping = False
        self._finished = False
        self._failure: Optional[BaseException] = None
        self._source_failure: Optional[BaseException] = None
        self._came: deque[tuple[_Task, Future[Outcome]]] = deque()
        self._ready: list[tuple[int, Job]] = []
        self._made = 0  # how many jobs became ready
        self._taken = 0

        self._process = os.getpid()

        # The scheduler's own.
        self._running: dict[_Task, Future[Outcome]] = {}
        self._due: list[_Task] = []
        self._aside: list[_Task] = []
        self._looked = 0.0
        self._scheduler = start_named("many", self._schedule)
        try:
            self._feeder = start_named("feed", self._feed)
        except BaseException:
            self._tell(stop=True)
            raise
        atexit.register(self.close)  # later, its threads would be gone

    # -- the consumer ---------------------------------------------------------------------------

    def take(self) -> Optional[Job]:
        """Wait for the next job; None after the last.

        Raises:
            BaseException: What ended the run, after the jobs that were finished before.
        """
        with self._changed:
            while not self._may_take():
                if self._finished:
                    if self._failure is not None:
                        raise self._failure
                    return None
                self._changed.wait(interruptible(None))
            self._taken += 1
            self._tell()
            return heapq.heappop(self._ready)[1]

    def close(self) -> None:
        """End what runs, and wait for that; the end of the interpreter does so too."""
        atexit.unregister(self.close)
        if self._process != os.getpid():
            return  # forked: the threads are not in this process
        self._tell(stop=True)
        deadline = Deadline(_ENDING)
        with self._changed:
            while not self._finished and not deadline.passed():
                self._changed.wait(interruptible(deadline.remaining()))
        self._scheduler.join(deadline.remaining())
        self._feeder.join(_FEEDER_GRACE)

    def _may_take(self) -> bool:
        if not self._ready:
            return False
        return not self._plan.ordered or self._ready[0][0] == self._taken

    def _tell(self, *, stop: bool = False) -> None:
        with self._changed:
            self._news = True
            self._stopping = self._stopping or stop
            self._changed.notify_all()

    # -- the feeder -----------------------------------------------------------------------------

    def _feed(self) -> None:
        failure: Optional[BaseException] = None
        try:
            for place, source in enumerate(self._sources):
                task = self._task(place, source)
                del source
                with self._changed:
                    self._changed.wait_for(lambda: self._read is None or self._stopping)
                    if self._stopping:
                        return
                    self._read = task
                    self._tell()
                del task
        except BaseException as error:
            failure = error
        finally:
            with self._changed:
                self._reading = False
                self._source_failure = failure
                self._tell()

    def _task(self, place: int, source: Any) -> _Task:
        try:
            if not self._plan.in_threads:
                check_sendable(source)
            identity = None if self._ledger is None else self._ledger.identity_of(source)
            return _Task(place, source, identity=identity)
        except Exception as error:
            return _Task(place, source, error)

    # -- the scheduler --------------------------------------------------------------------------

    def _schedule(self) -> None:
        failure: Optional[BaseException] = None
        try:
            with self._ledger or contextlib.nullcontext():
                try:
                    while self._step():
                        pass
                finally:
                    self._end_sessions()
        except BaseException as error:
            failure = error
        finally:
            with self._changed:
                self._failure = failure
                self._finished = True
                self._tell()

    def _step(self) -> bool:
        """Do what is to be done, and wait for more; return whether more will come."""
        with self._changed:
            self._news = False
        for task, future in self._taken_back():
            self._settle(task, future)
        if self._stopping:
            return False
        self._look_aside()
        self._start()
        with self._changed:
            if self._news:
                return True
            if not (self._reading or self._read or self._running or self._due or self._aside):
                if self._source_failure is not None:
                    raise self._source_failure
                return False
            self._changed.wait(self._patience())
        return True

    def _taken_back(self) -> Iterator[tuple[_Task, Future[Outcome]]]:
        """Give what came back; what is left when its user fails comes again."""
        while True:
            with self._changed:
                if not self._came:
                    return
                task, future = self._came.popleft()
            self._running.pop(task, None)
            yield task, future

    def _patience(self) -> Optional[float]:
        """Return the seconds until there is something to do, whatever happens."""
        waits = []
        if self._pace.slowed and (self._due or self._read is not None):
            wait = self._pace.until - time.monotonic()
            waits += [wait] if wait > 0 else []
        if self._ledger is not None:
            waits.append(self._ledger.next_beat())
        if self._aside:
            waits.append(_LOOK)
        return min(waits, default=None)

    def _look_aside(self) -> None:
        """Look what has become of the sources that another run has taken."""
        if not self._aside or time.monotonic() - self._looked < _LOOK:
            return
        self._looked = time.monotonic()
        aside, self._aside = self._aside, []
        for task in aside:
            self._claim(task)

    def _start(self) -> None:
        """Begin as many sessions as may run."""
        while not self._stopping and self._pace.room(len(self._running), time.monotonic()):
            if not self._due:
                task = self._next_read()
                if task is None:
                    return
                self._claim(task)
            if self._due and not self._submit(heapq.heappop(self._due)):
                return

    def _next_read(self) -> Optional[_Task]:
        with self._changed:
            held = len(self._running) + len(self._due) + len(self._ready)
            task = self._read
            room = held < _AHEAD * self._plan.most and len(self._aside) < _ASIDE
            if task is not None and room:
                self._read = None
                self._changed.notify_all()
                return task
        return None

    def _claim(self, task: _Task) -> None:
        """Make a source due, if there is something to do that nobody does."""
        if task.problem is not None:
            self._put(task, Outcome(None, task.problem, 0.0))
        elif self._ledger is None or task.identity is None:
            heapq.heappush(self._due, task)
        else:
            claim = self._ledger.claim(task.identity)
            if isinstance(claim, Done):
                self._put(task, Outcome(claim.transcript, None, claim.seconds))
            elif claim is Claim.OURS:
                heapq.heappush(self._due, task)
            else:
                self._aside.append(task)

    def _submit(self, task: _Task) -> bool:
        """Have a worker transcribe a source; return False if no thread is left for it."""
        plan = self._plan
        patient = plan.in_threads and plan.work.call is None
        patient = patient and not can_be_read_again(task.source)
        task.attempts += 1
        try:
            future = submit(
                plan.executor,
                transcribe_one,
                plan.work,
                task.source,
                plan.leaving,
                patient=patient,
                portable=not plan.in_threads,
                number=(task.place, task.attempts),
            )
        except ConnectionError:
            if not self._running:
                raise
            self._wait_for_room(task, 0.0)
            return False
        self._running[task] = future
        future.add_done_callback(lambda future: self._note(task, future))
        return True

    def _note(self, task: _Task, future: Future[Outcome]) -> None:
        """A future is done; called in any thread."""
        with self._changed:
            self._came.append((task, future))
            self._tell()

    def _settle(self, task: _Task, future: Future[Outcome]) -> None:
        """Take what came of a source.

        Raises:
            BaseException: It ends the run.
        """
        outcome = _outcome_of(future)
        error = outcome.error
        if error is not None and outcome.refused and self._may_wait(task, error):
            self._wait_for_room(task, outcome.wait)
            return
        if error is not None:
            if outcome.trace:
                error.__cause__ = _WorkerTraceback(outcome.trace)
            if self._plan.stop_at_error or _concerns_all(error):
                if hasattr(error, "add_note"):  # Python 3.11
                    error.add_note(f"The source is {reprlib.repr(task.source)}.")
                raise error
        try:
            self._keep(task, outcome)
        finally:
            self._put(task, outcome)

    def _keep(self, task: _Task, outcome: Outcome) -> None:
        if self._ledger is not None and task.identity is not None:
            self._ledger.settle(task.identity, outcome.transcript, outcome.seconds)

    def _may_wait(self, task: _Task, error: Exception) -> bool:
        if self._plan.work.reconnect is None:
            return False
        # How many sessions an account may run, others may decide. What else is refused may be
        # refused for ever.
        at_quota = isinstance(error, TranscriptionError) and error.type == "quota_exceeded"
        return at_quota or task.attempts <= self._most_attempts

    def _wait_for_room(self, task: _Task, wait: float) -> None:
        slowed = self._pace.slowed
        self._pace.refused(len(self._running), time.monotonic(), wait)
        heapq.heappush(self._due, task)
        if not slowed:
            logger.warning("There is no room for more sessions: no more are begun for now")

    def _put(self, task: _Task, outcome: Outcome) -> None:
        job = Job(task.source, outcome.transcript, outcome.error, outcome.seconds, task.attempts)
        with self._changed:
            key = task.place if self._plan.ordered else self._made
            self._made += 1
            heapq.heappush(self._ready, (key, job))
            self._changed.notify_all()

    def _end_sessions(self) -> None:
        """End the sessions that run; what is finished meanwhile is kept in the ledger."""
        plan, deadline = self._plan, Deadline(_ENDING)
        for future in list(self._running.values()):
            future.cancel()
        while True:
            for task, future in self._taken_back():
                if not future.cancelled() and future.exception() is None:
                    with contextlib.suppress(SessionError):  # it is raised already
                        self._keep(task, future.result())
            plan.leaving.end()
            if not self._running or deadline.passed():
                break
            with self._changed:
                if not self._came:
                    self._changed.wait(deadline.remaining(at_most=0.05))
        if isinstance(plan.executor, DaemonThreads):
            plan.executor.join(deadline)


def _outcome_of(future: Future[Outcome]) -> Outcome:
    """Return what a future brought.

    Raises:
        BaseException: Something came that is no error, such as a KeyboardInterrupt.
    """
    if future.cancelled():
        return Outcome(
            None, SessionError("The executor cancelled the task: give it the source again."), 0.0
        )
    error = future.exception()
    if error is None:
        return future.result()
    if not isinstance(error, Exception):
        raise error
    return Outcome(None, error, 0.0)


def _concerns_all(error: Exception) -> bool:
    """Return whether an error would come for each source: the key is refused, or its time spent."""
    if isinstance(error, AuthenticationError):
        return error.status in (401, 403) or error.type is not None
    return isinstance(error, TranscriptionError) and error.type == "timelimit_exceeded"
