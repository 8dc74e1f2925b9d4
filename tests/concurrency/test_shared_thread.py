"""Callers that share a thread get their work done.

What is served here knows no sessions: sockets, and work that is due.
"""

from __future__ import annotations

import contextlib
import gc
import selectors
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Callable, Optional

import pytest
from support.serving import PATIENCE
from support.sessions import InThread

from speechmatics_sync._concurrency import shared_thread
from speechmatics_sync._concurrency.poller import Poller
from speechmatics_sync._concurrency.shared_thread import pump_to_end

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


class Failing(Echo):
    """Raises an error of its own when it is pumped."""

    def pump(self, *, read: bool, event: bool) -> bool:
        raise OSError("mine")


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_what_pumping_raised_keeps_nothing_alive() -> None:
    failing = Failing()
    failing.theirs.close()
    seen = weakref.ref(failing)
    with contextlib.suppress(OSError):
        pump_to_end(failing)
    del failing
    assert seen() is None


@pytest.mark.usefixtures("no_collector")
def test_a_shared_thread_that_is_told_to_end_before_it_waits_again_is_freed() -> None:
    shared = shared_thread.SharedThread()
    seen = weakref.ref(shared)
    shared._stopped = True  # as if it had seen that before it took note of who woke it
    shared._poller.wake(shared)
    shared._thread.join()
    shared.stop()
    del shared
    assert seen() is None


class Timed:
    """Work that is due at once, a few times, and watches nothing.

    Attributes:
        batches: The seconds of audio that were to be sent together, each time it was asked.
        left: How often it is still to be pumped; more is wanted of it until this is 0.
    """

    def __init__(self, left: int, *, rest: Optional[float] = 0.0) -> None:
        self.batches: list[float] = []
        self.pumped_by: set[str] = set()
        self.left = left
        self.wake: Callable[[], None] = lambda: None
        self._rest = rest

    @property
    def finished(self) -> bool:
        return not self.left

    def rest(self, poller: Poller) -> Optional[float]:
        self.batches.append(poller.batch_seconds)
        self.wake = lambda: poller.wake(self)
        return self._rest

    def pump(self, *, read: bool, event: bool) -> bool:
        self.pumped_by.add(threading.current_thread().name)
        self.left = max(0, self.left - 1)
        return True

    def leave(self) -> None:
        """Nothing is watched for it."""


def test_work_that_is_due_at_its_time_is_done_to_its_end() -> None:
    timed = Timed(100)
    with pumped(1):
        pump_to_end(timed)
    assert timed.pumped_by == {SHARED}
    assert timed.left == 0


def test_work_of_which_nothing_more_is_wanted_is_left_at_once() -> None:
    timed = Timed(100, rest=10 * PATIENCE)
    with pumped(1):
        working = InThread(pump_to_end, timed)
        given_up = time.monotonic() + PATIENCE
        while not timed.batches:
            assert time.monotonic() < given_up, "it is never pumped"
            time.sleep(0.001)  # the pace of the poll; what ends the wait is the state itself
        timed.left = 0
        timed.wake()
        working.result()


def test_a_busy_thread_says_how_much_audio_to_send_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_thread, "LOAD_SECONDS", 0.0)
    monkeypatch.setattr(shared_thread, "LIGHT_LOAD", -1.0)
    monkeypatch.setattr(shared_thread, "BATCHES", ((-1.0, 0.25),))
    timed = Timed(3)
    pump_to_end(timed)
    assert timed.batches == [0.25, 0.25]
