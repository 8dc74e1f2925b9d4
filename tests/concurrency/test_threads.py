"""Threads start whole, whenever an interrupt comes."""

from __future__ import annotations

import itertools
import sys
import threading
from types import FrameType
from typing import Any, Callable

import pytest
from support.serving import PATIENCE

from speechmatics_sync._concurrency import threads as module
from speechmatics_sync._concurrency.deadlines import Deadline
from speechmatics_sync._concurrency.threads import Threads

FILES = {threading.__file__, module.__file__}
"""An interrupt in what the garbage collector calls is another matter."""


def with_event(line: int, event: Callable[[], None], call: Callable[[], Any]) -> Any:
    """Make a call; something happens at one of the lines that it passes. Return what it does."""
    passed = itertools.count()

    def trace(frame: FrameType, what: str, argument: Any) -> Any:
        # Not as an object is made: what comes out of an `except` with nothing but `pass` leaves its
        # exception the one that is handled, in CPython 3.11, for whatever this thread does next.
        if frame.f_code.co_filename not in FILES or frame.f_code.co_name == "__init__":
            return None
        if what == "line" and next(passed) == line:
            event()
        return trace

    tracing = sys.gettrace()
    sys.settrace(trace)
    try:
        return call()
    finally:
        sys.settrace(tracing)


def interrupt() -> None:
    raise KeyboardInterrupt


def test_an_interrupt_at_any_line_ends_only_the_wait_for_the_start_of_a_thread() -> None:
    threads, ran = Threads("test"), threading.Event()
    for line in itertools.count():
        # Some lines of `Thread.start` leave a lock released that the new thread holds.
        try:
            with_event(line, interrupt, lambda: threads.start("test", ran.set))
        except KeyboardInterrupt:
            continue
        break
    assert ran.wait(PATIENCE)
    assert line > 10


@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize("before", [0, 1], ids=["the first", "another"])
def test_a_call_is_made_at_whatever_line_the_session_ends(before: int) -> None:
    for line in itertools.count():
        threads, ends = Threads("test"), 0

        def end(threads: Threads = threads) -> None:
            nonlocal ends
            ends += 1
            for _ in range(2):  # of itself, and by close()
                threads.stop_workers()

        for _ in range(before):
            threads.shielded(int)
        assert with_event(line, end, lambda: threads.shielded(lambda: "made")) == "made"  # noqa: B023
        assert threads.join(Deadline(PATIENCE))
        if not ends:
            break
    assert line > 5
