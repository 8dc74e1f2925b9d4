"""Calls that nothing can interrupt: callers that want the same result share one, in a thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable
from typing import Callable, Generic, Optional, TypeVar, Union

from ..errors import ConnectionError
from .threads import start_thread

__all__ = ["SharedCall", "SharedCalls"]

_T = TypeVar("_T")


class SharedCall(Generic[_T]):
    """A call in progress. Once ``done`` is set, ``outcome`` is what it returned or raised."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.outcome: Optional[Union[_T, Exception]] = None


class SharedCalls(Generic[_T]):
    """Makes calls that may hang, at most one at a time for each key.

    A request for a key whose call is still running returns that call. So callers that give up
    waiting and try again leave one thread behind, and not one each.

    Args:
        name: Part of the threads' names.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()  # a signal handler may ask in the thread that holds it
        self._running: dict[Hashable, SharedCall[_T]] = {}
        self._process = os.getpid()

    def start(self, key: Hashable, call: Callable[[], _T]) -> SharedCall[_T]:
        """Return the call that runs for a key; begin it if there is none."""
        if self._process != os.getpid():
            self._reset()  # forked: the threads of the calls are not there
        with self._lock:
            running = self._running.get(key)
            if running is not None:
                return running
            running = self._running[key] = SharedCall()
        name = f"speechmatics-{self._name}"
        thread = threading.Thread(
            target=self._make, args=(key, running, call), name=name, daemon=True
        )
        try:
            start_thread(thread)
        except (ConnectionError, RuntimeError):  # no thread is to be had
            self._make(key, running, call)
        return running

    def _make(self, key: Hashable, running: SharedCall[_T], call: Callable[[], _T]) -> None:
        try:
            running.outcome = call()
        except Exception as error:
            running.outcome = error.with_traceback(None)
        finally:
            with self._lock:
                self._running.pop(key, None)
            running.done.set()
