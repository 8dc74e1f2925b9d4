"""Tell what a signal handler raised from what the code that it interrupted raised."""

from __future__ import annotations

import functools
import signal
import threading
from collections.abc import Iterator
from types import CodeType

__all__ = ["raised_by_signal"]


def raised_by_signal(error: BaseException) -> bool:
    """Return whether a signal handler written in Python raised an exception, in this thread.

    Such an exception (a task queue's time limit, an alarm) is not for the code that happened to run
    when the signal came. It is told by the frame of the handler in its traceback, so not where
    other code caught it and raised another, or where the handler is no longer set.
    """
    if threading.current_thread() is not threading.main_thread():
        return False  # signals are handled in the main thread alone
    frames = error.__traceback__
    handlers = set(_handlers()) if frames is not None else set()
    while frames is not None:
        if frames.tb_frame.f_code in handlers:
            return True
        frames = frames.tb_next
    return False


def _handlers() -> Iterator[CodeType]:
    """Give the code of each signal handler that is set."""
    for number in signal.valid_signals():
        handler: object = signal.getsignal(number)
        while isinstance(handler, functools.partial):
            handler = handler.func
        if not callable(handler):
            continue  # not handled in Python
        for function in (handler, type(handler).__call__):
            code = getattr(function, "__code__", None)
            if isinstance(code, CodeType):
                yield code
