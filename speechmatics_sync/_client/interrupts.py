"""Ctrl-C as the end of a session's audio.

A KeyboardInterrupt can be raised at any line of the main thread: in a handler of the user's, or
between taking a message and passing it on. Nothing that was cut off there could be resumed. So the
first Ctrl-C is noted by a signal handler, which raises nothing, and the thread acts on the note
when it next waits for a message.
"""

from __future__ import annotations

import signal
import threading
import weakref
from types import FrameType
from typing import Any, Callable, Optional

from .._session.session import Session

__all__ = ["Interrupts"]


class Interrupts:
    """Keeps the first Ctrl-C of a session from being raised; the ones after it are.

    Where SIGINT is ignored, and outside the main thread, which alone gets signals, it does nothing.

    Args:
        session: One that reads its sources. Before it has started nothing was said, and SIGINT
            does what it did before.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._came = False
        self._fresh = False
        self._removed = False
        self._dropped: Optional[weakref.finalize[Any, Any]] = None
        self._previous: Optional[Callable[[int, Optional[FrameType]], Any]] = None

    def install(self, owner: object) -> None:
        """Have SIGINT call this object, until `remove` or until the owner is collected."""
        previous = signal.getsignal(signal.SIGINT)
        if callable(previous) and threading.current_thread() is threading.main_thread():
            self._previous = previous
            self._dropped = weakref.finalize(owner, self.remove)
            self._dropped.atexit = False
            signal.signal(signal.SIGINT, self)

    def remove(self) -> None:
        """Have SIGINT do what it did before.

        Where no other handler can be installed (in another thread than the main one, or above that
        of another session), this one stays and passes signals on.
        """
        self._removed = True
        if self._dropped is not None:
            self._dropped.detach()  # a signal that comes in a finalizer's call is lost
        installed: object = signal.getsignal(signal.SIGINT)
        if installed is self and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._previous)

    def take(self) -> bool:
        """Return whether the first Ctrl-C has come, once."""
        fresh, self._fresh = self._fresh, False
        return fresh

    def __call__(self, number: int, frame: Optional[FrameType]) -> None:
        """Handle SIGINT."""
        started = self._session.life.started_at is not None
        if started and not self._came and not self._removed:
            self._came = self._fresh = True
        elif self._previous is not None:
            if self._removed:
                self.remove()  # signals come in the main thread, where it is possible
            self._previous(number, frame)
