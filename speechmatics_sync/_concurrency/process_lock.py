"""Locks of a process, which a child process finds free."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

__all__ = ["STARTING", "ProcessLock"]


class ProcessLock:
    """A reentrant lock: a signal handler may take it in the thread that holds it.

    A thread that held it at a fork is not in the child, where the lock begins anew.

    Example:
        >>> lock = ProcessLock()
        >>> with lock.held():
        ...     pass
    """

    def __init__(self) -> None:
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock while the context lasts."""
        with self._lock:
            yield


STARTING = ProcessLock()
"""Held by a thread that makes and starts a session, which takes the CPU alone. Hundreds of threads
that start sessions at the same time would keep the GIL from those that send audio."""
