"""Callers that share a thread get their work done, and a slow one delays no other.

What is served here knows no sessions: sockets, and sources that are lists.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from typing import Callable, Optional

import pytest
from support.serving import PATIENCE
from support.sessions import InThread, wait_for

from speechmatics_sync._concurrency import shared_thread
from speechmatics_sync._concurrency.poller import Poller
from speechmatics_sync._concurrency.shared_thread import Later, pump_to_end, read_to_end

SHARED = "speechmatics-shared"


class Echo:
    """Sends back every byte, until its peer closes the connection.

    Attributes:
        theirs: The peer's end.
        pumped_by: The names of the threads that pumped it.
        fails: What the next pumping raises.
    """

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._poller: Optional[Poller] = None
        self.finished = False
        self.pumped_by: set[str] = set()
        self.fails: Optional[BaseException] = None

    def rest(self, poller: Poller) -> Optional[float]:
        self._poller = poller
        poller.watch(self._ours, selectors.EVENT_READ, self)
        return None

    def pump(self, *, read: bool, event: bool) -> bool:
        self.pumped_by.add(threading.current_thread().name)
        if self.fails is not None:
            raise self.fails
        with contextlib.suppress(BlockingIOError):
            received = self._ours.recv(100)
            self.finished = not received
            if received:
                self._ours.send(received)
        return self.finished

    def leave(self) -> None:
        if self._poller is not None:
            self._poller.forget(self._ours)
        self._ours.close()

    def answers(self) -> bool:
        """Whether a byte comes back."""
        self.theirs.settimeout(PATIENCE)
        self.theirs.send(b"?")
        return self.theirs.recv(1) == b"?"


@contextlib.contextmanager
def pumped(number: int) -> Iterator[list[Echo]]:
    """So many connections, each of which echoes before and after what happens inside."""
    echoes = [Echo() for _ in range(number)]
    calls = [InThread(pump_to_end, echo) for echo in echoes]
    assert all(echo.answers() for echo in echoes)
    yield echoes
    assert all(echo.answers() for echo in echoes)
    for echo in echoes:
        echo.theirs.close()
    for call in calls:
        call.result()


class Reads:
    """A source whose reads are due at once, each a call.

    Attributes:
        read_by: The names of the threads that read, in order.
        batches: The seconds it was told to read together, in order.
    """

    def __init__(self, *reads: Callable[[], None], paced: bool = True, wait: float = 0.0) -> None:
        self.paced = paced
        self.batch_seconds = 0.0
        self.finished = False
        self.read_by: list[str] = []
        self.batches: list[float] = []
        self._reads = list(reads)
        self._wait = wait
        self._over: list[Callable[[], None]] = []

    def run(self) -> None:
        while not self.finished:
            self.step(wait=True)

    def step(self, *, wait: bool) -> Optional[Later]:
        if not self._reads:
            self.finished = True
            return None
        self.read_by.append(threading.current_thread().name)
        self.batches.append(self.batch_seconds)
        self._reads.pop(0)()
        return Later(self._wait) if self._wait else None

    def when_over(self, call: Callable[[], None]) -> None:
        self._over.append(call)

    def end(self) -> None:
        """Let nothing more of it be wanted."""
        self.finished = True
        for call in self._over:
            call()

    def in_user_code(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


def nothing() -> None:
    """A read that returns at once."""


class Held:
    """A read that does not return before the test lets it."""

    def __init__(self, fails: Optional[BaseException] = None) -> None:
        self.begun, self.released = threading.Event(), threading.Event()
        self._fails = fails

    def __call__(self) -> None:
        self.begun.set()
        wait_for(self.released)
        if self._fails is not None:
            raise self._fails


def fail() -> None:
    raise OSError("mine")


def test_connections_of_many_callers_are_pumped_by_one_thread_which_ends_with_the_last() -> None:
    with pumped(5) as echoes:
        pass
    assert {name for echo in echoes for name in echo.pumped_by} == {SHARED}
    assert SHARED not in [thread.name for thread in threading.enumerate()]


def test_what_pumping_raises_is_raised_by_its_caller_and_no_other() -> None:
    failing = Echo()
    failing.fails = OSError("mine")
    with pumped(2):
        with pytest.raises(OSError, match="mine"):
            pump_to_end(failing)
        failing.theirs.close()


def test_a_source_is_read_to_its_end() -> None:
    source = Reads(*[nothing] * 100)
    with pumped(1):
        read_to_end(source)
    assert source.read_by == [SHARED] * 100


def test_a_source_that_is_not_paced_is_read_by_its_caller() -> None:
    source = Reads(nothing, nothing, paced=False)
    read_to_end(source)
    assert source.read_by == [threading.current_thread().name] * 2


def test_what_reading_raises_is_raised_by_its_caller_and_no_other() -> None:
    with pumped(1), pytest.raises(OSError, match="mine"):
        read_to_end(Reads(nothing, fail))


def test_a_source_of_which_nothing_more_is_wanted_is_left_at_once() -> None:
    source = Reads(*[nothing] * 100, wait=10 * PATIENCE)
    with pumped(1):
        reading = InThread(read_to_end, source)
        given_up = time.monotonic() + PATIENCE
        while not source.read_by:
            assert time.monotonic() < given_up, "it is never read"
            time.sleep(0.001)  # the pace of the poll; what ends the wait is the state itself
        source.end()
        reading.result()
    assert source.read_by == [SHARED]


def test_a_read_that_does_not_return_delays_nobody_and_its_caller_reads_on() -> None:
    held = Held()
    source = Reads(nothing, held, nothing, nothing)
    with pumped(2) as echoes:
        reading = InThread(read_to_end, source)
        wait_for(held.begun)
        assert all(echo.answers() for echo in echoes)
        assert reading.running
        held.released.set()
        reading.result()
    assert source.read_by[:2] == [SHARED] * 2
    assert len(source.read_by) == 4
    # The steps of one turn may go on in the thread that was held up.
    assert all(echo.pumped_by == {SHARED} for echo in echoes)


def test_what_a_read_raises_that_did_not_return_is_raised_by_its_caller() -> None:
    held = Held(fails=OSError("mine"))
    with pumped(1) as (echo,):
        reading = InThread(read_to_end, Reads(held))
        wait_for(held.begun)
        assert echo.answers()
        held.released.set()
        with pytest.raises(OSError, match="mine"):
            reading.result()


def test_a_slow_read_makes_its_caller_read_on() -> None:
    source = Reads(lambda: time.sleep(1.4 * shared_thread.SLOW), nothing, wait=0.001)
    with pumped(1):
        read_to_end(source)
    assert len(source.read_by) == 2
    assert source.read_by[0] == SHARED
    assert source.read_by[1] == threading.current_thread().name


def test_a_busy_thread_tells_sources_to_read_more_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_thread, "LOAD_SECONDS", 0.0)
    monkeypatch.setattr(shared_thread, "LIGHT_LOAD", -1.0)
    monkeypatch.setattr(shared_thread, "BATCHES", ((-1.0, 0.25),))
    source = Reads(nothing)
    read_to_end(source)
    assert source.batches == [0.25]
