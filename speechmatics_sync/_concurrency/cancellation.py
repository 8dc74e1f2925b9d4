"""For whom a thread fetches a key: whose log it writes to, and whether the key is still wanted.

`AuthBase.get_auth_headers` takes no arguments, and a user's own may call another one. So an errand
goes with the thread that is sent, and whoever does something on the way that takes long asks
`current_cancellation` about it.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from .._logs import logger

if TYPE_CHECKING:
    import logging

__all__ = ["Cancellation", "current_cancellation"]

_current: contextvars.ContextVar[Optional[Cancellation]] = contextvars.ContextVar(
    "cancellation", default=None
)


class Cancellation:
    """What a thread does for somebody, who may give it up in another thread.

    Args:
        log: Whose records say what it is about.
    """

    def __init__(self, log: Union[logging.Logger, logging.LoggerAdapter[Any]]) -> None:
        self.log = log
        self.given_up = False
        # Reentrant: the handler of a signal may give up in a thread that holds it.
        self._lock = threading.RLock()
        self._ends: list[Callable[[], None]] = []

    @contextlib.contextmanager
    def underway(self) -> Iterator[None]:
        """Make this the errand of the calling thread."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def give_up(self) -> None:
        """End what is being done; nothing further is begun. Idempotent, from any thread."""
        with self._lock:
            self.given_up = True
            for end in self._ends:
                end()

    @contextlib.contextmanager
    def ended_by(self, end: Callable[[], None]) -> Iterator[None]:
        """Have ``end`` called if this is given up meanwhile, or was before. It must not block."""
        with self._lock:
            self._ends.append(end)
            if self.given_up:
                end()
        try:
            yield
        finally:
            with self._lock:
                self._ends.remove(end)


def current_cancellation() -> Cancellation:
    """Return the calling thread's errand; if nobody sent it, one that nobody gives up."""
    return _current.get() or Cancellation(logger)
