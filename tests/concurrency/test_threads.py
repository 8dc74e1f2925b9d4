"""Threads start whole, whenever an interrupt comes."""

from __future__ import annotations

import itertools
import sys
import threading
from types import FrameType
from typing import Any

from support.serving import PATIENCE

from speechmatics_sync._concurrency import threads as module
from speechmatics_sync._concurrency.threads import Threads

FILES = {threading.__file__, module.__file__}
"""An interrupt in what the garbage collector calls is another matter."""


def start_interrupted(threads: Threads, line: int, ran: threading.Event) -> bool:
    """Start a thread; raise KeyboardInterrupt at a line that this passes. Return whether it did."""
    passed = itertools.count()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in FILES:
            return None
        if event == "line" and next(passed) == line:
            raise KeyboardInterrupt
        return trace

    tracing = sys.gettrace()
    sys.settrace(trace)
    try:
        threads.start("test", ran.set)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(tracing)
    return False


def test_an_interrupt_at_any_line_ends_only_the_wait_for_the_start_of_a_thread() -> None:
    threads, ran = Threads("test"), threading.Event()
    for line in itertools.count():
        # Some lines of `Thread.start` leave a lock released that the new thread holds.
        if not start_interrupted(threads, line, ran):
            break
    assert ran.wait(PATIENCE)
    assert line > 10
