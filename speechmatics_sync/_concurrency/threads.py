"""The threads of one session, and how it parts from those that are in the user's hands."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any, Callable, Generic, Optional, TypeVar

from .deadlines import Deadline, attentive

__all__ = ["Threads"]

_T = TypeVar("_T")

_LEAVING_GRACE = 0.25
"""Seconds for a thread to come out of a read or a handler of the user's before it is left alone."""


class _Order(Generic[_T]):
    """A call that another thread makes."""

    def __init__(self, call: Callable[[], _T]) -> None:
        self._call = call
        self._returned: list[_T] = []
        self._raised: list[BaseException] = []
        self._made = threading.Lock()
        self._made.acquire()

    def make(self) -> None:
        try:
            self._returned.append(self._call())
        except BaseException as error:
            self._raised.append(error)

    def done(self) -> None:
        self._made.release()

    def result(self) -> _T:
        """Wait until the call was made; return or raise what it did."""
        while not self._made.acquire(timeout=attentive(None) or -1):
            pass
        if self._raised:
            try:
                raise self._raised[0]
            finally:
                self._raised.clear()  # or the error would hold itself, through this frame
        return self._returned[0]


class _InUserCode:
    """A context; a generator would cost a source or a handler four times as much each time."""

    __slots__ = ("_grace", "_marked", "_thread")

    def __init__(self, marked: dict[threading.Thread, float], grace: float) -> None:
        self._marked = marked
        self._grace = grace
        self._thread = threading.current_thread()

    def __enter__(self) -> None:
        self._marked[self._thread] = self._grace

    def __exit__(self, *exc: object) -> None:
        self._marked.pop(self._thread, None)


class Threads:
    """The threads of one session.

    A thread inside code of the user's (a ``read``, a handler, an `AuthBase`) may never come back:
    it is waited for only briefly, and touches nothing when it does.

    Args:
        name: Stands in the name of each.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._started: list[threading.Thread] = []
        self._in_user_code: dict[threading.Thread, float] = {}
        self._leaving: Optional[float] = None
        self._orders: queue.SimpleQueue[Optional[_Order[Any]]] = queue.SimpleQueue()
        self._callers = 0
        self._idle: list[None] = []  # one for each caller that waits for an order
        self._dismissed = False

    def start(self, role: str, run: Callable[..., None], *args: object) -> threading.Thread:
        """Start a thread and return it."""
        name = f"speechmatics-{self._name}-{role}"
        thread = threading.Thread(target=run, args=args, name=name, daemon=True)
        self._started.append(thread)
        thread.start()
        return thread

    def shielded(self, call: Callable[[], _T]) -> _T:
        """Make a call that no signal can cut in two, and return or raise what it does.

        Signals come to the main thread only, and a KeyboardInterrupt can come at any line of it.
        There the call is made in another thread: an interrupt ends the wait for it, and the call
        is still made whole.

        That thread serves the next call as well. One for each would be slower, and it would lose
        signals: what frees a `threading.Thread` runs as a callback of a weak reference, often in
        the main thread, and a KeyboardInterrupt that comes in there is ignored.
        """
        if self._dismissed or threading.current_thread() is not threading.main_thread():
            return call()
        order = _Order(call)
        try:
            self._idle.pop()
        except IndexError:  # none so far, or an interrupt left a call that still goes on
            self._add_caller()
        # An interrupt between these lines leaves a caller more than needed, and none unknown.
        self._orders.put(order)
        if self._dismissed:
            self._add_caller()  # the others may have ended before they saw it
        return order.result()

    def dismiss_callers(self) -> None:
        """End the threads that make calls for the main thread, when they have made them."""
        self._dismissed = True
        for _ in range(self._callers):
            self._orders.put(None)

    def _add_caller(self) -> None:
        self._callers += 1
        if self._dismissed:
            self._orders.put(None)
        self.start("call", self._make_calls)

    def _make_calls(self) -> None:
        while True:
            order = self._orders.get()
            if order is None:
                return
            order.make()
            self._idle.append(None)
            order.done()
            del order  # and with it what the call holds

    def in_user_code(self, grace: float = _LEAVING_GRACE) -> _InUserCode:
        """Mark the calling thread as inside code of the user's, while the context lasts.

        Args:
            grace: Seconds that it is waited for nevertheless.
        """
        return _InUserCode(self._in_user_code, grace)

    def join(self, deadline: Deadline) -> bool:
        """Wait for all but the calling thread; return whether none is left but the user's."""
        self.dismiss_callers()
        self._leaving = self._leaving or time.monotonic()
        left = [thread for thread in self._started if not self._joined(thread, deadline)]
        return not left

    def _joined(self, thread: threading.Thread, deadline: Deadline) -> bool:
        if thread is threading.current_thread():
            return True
        while thread.is_alive() and not deadline.passed():
            grace = self._in_user_code.get(thread)
            if grace is not None and time.monotonic() - (self._leaving or 0.0) > grace:
                return True
            thread.join(deadline.remaining(at_most=0.05))
        return not thread.is_alive() or thread in self._in_user_code
