"""Where the calls of many sessions run: threads of our own, or any executor of the user's."""

from __future__ import annotations

import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, Callable, Optional, TypeVar

from ..errors import ConnectionError, SessionError
from .deadlines import Deadline
from .threads import start_thread

__all__ = [
    "DaemonThreads",
    "Executor",
    "Future",
    "ProcessPoolExecutor",
    "runs_in_threads",
    "size_of",
    "start_named",
    "submit",
]

_T = TypeVar("_T")


class DaemonThreads(Executor):
    """Makes each call in a daemon thread of its own; who submits sees to it that they are few.

    Not a `ThreadPoolExecutor`: the end of the interpreter waits for the threads of one, and with
    them for a session that has no end of its own.

    Args:
        name: Part of the threads' names.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._threads: set[threading.Thread] = set()

    def submit(self, call: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Make a call, and return its future.

        Raises:
            ConnectionError: No thread is left.
        """
        future: Future[_T] = Future()
        future.set_running_or_notify_cancel()

        def run() -> None:
            try:
                result = call(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            finally:
                self._threads.discard(thread)

        thread = threading.Thread(target=run, name=f"speechmatics-{self._name}", daemon=True)
        self._threads.add(thread)
        try:
            start_thread(thread)
        except BaseException:
            self._threads.discard(thread)
            raise
        return future

    def join(self, deadline: Deadline) -> None:
        """Wait for the threads; what is still in a user's code at the deadline is left there."""
        for thread in list(self._threads):
            thread.join(deadline.remaining())


def submit(executor: Executor, call: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
    """Have an executor make a call, and return its future.

    Raises:
        ConnectionError: No thread is left for it.
        SessionError: The executor takes no more calls: somebody has shut it down, or a process of
            it has died.
    """
    try:
        return executor.submit(call, *args, **kwargs)
    except ConnectionError:
        raise
    except Exception as error:  # each executor has its own
        raise SessionError(
            f"The executor takes no more sources: {type(error).__name__}: {error}. Pass another "
            "one; what is in a ledger is not done again"
        ) from error


def runs_in_threads(executor: Executor) -> bool:
    """Return whether calls get their arguments as they are; in other processes they are pickled."""
    return isinstance(executor, (DaemonThreads, ThreadPoolExecutor))


def size_of(executor: Executor) -> Optional[int]:
    """Return how many calls an executor makes at once; None if it does not say."""
    size = getattr(executor, "_max_workers", None)  # of the two in the standard library
    return size if isinstance(size, int) else None


def start_named(role: str, run: Callable[[], None]) -> threading.Thread:
    """Start a daemon thread and return it.

    Raises:
        ConnectionError: No thread is left.
    """
    thread = threading.Thread(target=run, name=f"speechmatics-{role}", daemon=True)
    start_thread(thread)
    return thread
