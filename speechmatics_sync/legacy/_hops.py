"""From the threads of a session into the event loop in which the user's code runs, and back."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, Callable

__all__ = ["Hops", "Left"]


class Left(Exception):
    """The run has ended: its event loop does nothing more for a thread of the session."""


class Hops:
    """Calls functions in the event loop it was made in, for other threads, which wait meanwhile."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._lock = threading.Lock()  # guards the two below
        self._closed = False
        self._waiting: set[Future[Any]] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a function returns, or raise what it raises, in the event loop's thread.

        Raises:
            Left: The run has ended.
        """
        future: Future[Any] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(function(*arguments))
            except BaseException as error:  # Ctrl-C too: it comes out of the run
                future.set_exception(error)

        self._begin(future, lambda: self.soon(run))
        return self._result(future)

    def start(self, coroutine: Coroutine[Any, Any, None], ended: Callable[[], None]) -> None:
        """Run a coroutine in a task of the event loop, until the run ends.

        Args:
            coroutine: What to run.
            ended: Is called when it runs no more, also if it never began.
        """

        def start() -> None:
            task = self._loop.create_task(coroutine)
            task.add_done_callback(lambda _: ended())
            self._tasks.append(task)
            if self._closed:
                task.cancel()

        if not self.soon(start):
            coroutine.close()
            ended()

    def soon(self, function: Callable[..., Any], *arguments: Any) -> bool:
        """Have the event loop call a function, from any thread; return False if it is closed."""
        try:
            self._loop.call_soon_threadsafe(function, *arguments, context=self._context)
        except RuntimeError:
            self._release()
            return False
        return True

    def close(self) -> None:
        """End the waiting of all threads, and the tasks; in the event loop."""
        self._release()
        for task in self._tasks:
            task.cancel()

    def _release(self) -> None:
        with self._lock:
            self._closed = True
            waiting = list(self._waiting)
        for future in waiting:
            future.cancel()

    def _begin(self, future: Future[Any], start: Callable[[], Any]) -> None:
        with self._lock:
            if self._closed:
                raise Left
            self._waiting.add(future)
        start()

    def _result(self, future: Future[Any]) -> Any:
        try:
            return future.result()
        except CancelledError:
            raise Left from None
        finally:
            with self._lock:
                self._waiting.discard(future)
