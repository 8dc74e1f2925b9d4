"""From the threads of a session into the event loop in which the user's code runs, and back."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable
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

    def wait_for(self, awaitable: Awaitable[Any]) -> Any:
        """Return what an awaitable gives that is awaited in the event loop.

        Raises:
            Left: The run has ended.
        """
        future: Future[Any] = Future()

        async def run() -> None:
            try:
                future.set_result(await awaitable)
            except BaseException as error:
                if not future.cancelled():
                    future.set_exception(error)

        def start() -> None:
            task = self._loop.create_task(run())
            # One that was cancelled before it began would warn that it was never awaited.
            task.add_done_callback(lambda _: _close(awaitable))
            future.add_done_callback(
                lambda done: self.soon(task.cancel) if done.cancelled() else None
            )

        try:
            self._begin(future, lambda: self.soon(start))
        except Left:
            _close(awaitable)
            raise
        return self._result(future)

    def soon(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have the event loop call a function, from any thread; a closed loop does not."""
        try:
            self._loop.call_soon_threadsafe(function, *arguments, context=self._context)
        except RuntimeError:  # the loop is closed
            self.close()

    def close(self) -> None:
        """End the waiting of all threads."""
        with self._lock:
            self._closed = True
            waiting = list(self._waiting)
        for future in waiting:
            future.cancel()

    def _begin(self, future: Future[Any], start: Callable[[], None]) -> None:
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


def _close(awaitable: Awaitable[Any]) -> None:
    if inspect.iscoroutine(awaitable):
        awaitable.close()
