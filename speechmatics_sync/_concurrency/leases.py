"""Which callers of a process share one object, and how long that object lives.

The first few callers get nothing and use a thread of their own, which is fastest for a few.
Hundreds of threads would contend for the GIL, so all further callers share one object. It is made
for the first of them and stopped after the last.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Callable, Generic, Optional, Protocol, TypeVar

__all__ = ["OWN_THREADS", "Leases"]

OWN_THREADS = 8
"""How many callers do not share: the connections and paced sources of four sessions."""


class Stoppable(Protocol):
    """The shared object."""

    def stop(self) -> None:
        """End it, after its last lease."""


_Shared = TypeVar("_Shared", bound=Stoppable)


class Leases(Generic[_Shared]):
    """Leases of one shared object. Lives as long as the process.

    Args:
        make: Makes the shared object.
    """

    def __init__(self, make: Callable[[], _Shared]) -> None:
        self._make = make
        self._reset()
        if hasattr(os, "register_at_fork"):
            # A child process has no other threads, and one of them may have held the lock.
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._own = 0
        self._leased = 0
        self._shared: Optional[_Shared] = None

    @contextlib.contextmanager
    def lease(self) -> Iterator[Optional[_Shared]]:
        """Give the shared object, or None to a caller that is to use its own thread."""
        with self._lock:
            own = self._own < OWN_THREADS
            if own:
                self._own += 1
            else:
                if self._shared is None:
                    self._shared = self._make()
                self._leased += 1
            shared = None if own else self._shared
        try:
            yield shared
        finally:
            unused = None
            with self._lock:
                if own:
                    self._own -= 1
                else:
                    self._leased -= 1
                    if not self._leased:
                        unused, self._shared = self._shared, None
            if unused is not None:
                unused.stop()  # without the lock: it waits for threads
