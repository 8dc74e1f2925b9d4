"""The threads of one session, and how it parts from those that are in the user's hands."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Callable, Optional, TypeVar

from .deadlines import Deadline

__all__ = ["Threads"]

_T = TypeVar("_T")

_LEAVING_GRACE = 0.25
"""Seconds for a thread to come out of a read or a handler of the user's before it is left alone."""


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
        self._in_users_hands: dict[threading.Thread, float] = {}
        self._leaving: Optional[float] = None

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
        There the call is made in a thread of its own: an interrupt ends the wait for it, and the
        call is still made whole.
        """
        if threading.current_thread() is not threading.main_thread():
            return call()
        returned: list[_T] = []
        raised: list[BaseException] = []
        done = threading.Event()

        def run() -> None:
            try:
                returned.append(call())
            except BaseException as error:
                raised.append(error)
            finally:
                done.set()

        name = f"speechmatics-{self._name}-call"
        threading.Thread(target=run, name=name, daemon=True).start()
        done.wait()
        if raised:
            try:
                raise raised[0]
            finally:
                raised.clear()  # or the error would hold itself, through this frame
        return returned[0]

    @contextlib.contextmanager
    def in_users_hands(self, grace: float = _LEAVING_GRACE) -> Iterator[None]:
        """Mark the calling thread as inside code of the user's.

        Args:
            grace: Seconds that it is waited for nevertheless.
        """
        thread = threading.current_thread()
        self._in_users_hands[thread] = grace
        try:
            yield
        finally:
            self._in_users_hands.pop(thread, None)

    def join(self, deadline: Deadline) -> bool:
        """Wait for all but the calling thread; return whether none is left but the user's."""
        self._leaving = self._leaving or time.monotonic()
        left = [thread for thread in self._started if not self._joined(thread, deadline)]
        return not left

    def _joined(self, thread: threading.Thread, deadline: Deadline) -> bool:
        if thread is threading.current_thread():
            return True
        while thread.is_alive() and not deadline.passed():
            grace = self._in_users_hands.get(thread)
            if grace is not None and time.monotonic() - (self._leaving or 0.0) > grace:
                return True
            thread.join(deadline.remaining(at_most=0.05))
        return not thread.is_alive() or thread in self._in_users_hands
