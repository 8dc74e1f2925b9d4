"""Which callers of a process share one object, and how long that object lives.

The first few callers get nothing and use a thread of their own, which is fastest for a few.
Hundreds of threads would contend for the GIL, so all further callers share one object. It is made
for the first of them and stopped after the last. If it breaks, it is made anew for whoever comes
next; where none can be made, for want of a thread or a descriptor, callers use their own threads.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Callable, Generic, Optional, Protocol, TypeVar

from ..errors import ConnectionError

__all__ = ["OWN_THREADS", "Leases"]

OWN_THREADS = 8
"""How many callers do not share: the connections and paced sources of four sessions."""


class Stoppable(Protocol):
    """The shared object."""

    @property
    def works(self) -> bool:
        """Whether it can be used; not if it is broken."""

    def stop(self) -> None:
        """End it, after its last lease."""


_Shared = TypeVar("_Shared", bound=Stoppable)


class _Leased(Generic[_Shared]):
    """A shared object, and how many use it."""

    def __init__(self, shared: _Shared) -> None:
        self.shared = shared
        self.users = 0


class Leases(Generic[_Shared]):
    """Leases of one shared object. Lives as long as the process.

    Args:
        make: Makes the shared object, or raises ConnectionError if the system has no more of what
            it needs.
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
        self._leased: Optional[_Leased[_Shared]] = None

    @contextlib.contextmanager
    def lease(self) -> Iterator[Optional[_Shared]]:
        """Give the shared object, or None to a caller that is to use its own thread."""
        leased = self._take()
        try:
            yield None if leased is None else leased.shared
        finally:
            self._give_back(leased)

    def _take(self) -> Optional[_Leased[_Shared]]:
        with self._lock:
            if self._own >= OWN_THREADS:
                leased = self._leased
                if leased is None or not leased.shared.works:
                    # None to be had: a thread of the caller's own is there already.
                    with contextlib.suppress(ConnectionError, MemoryError):
                        leased = self._leased = _Leased(self._make())
                if leased is not None and leased.shared.works:
                    leased.users += 1
                    return leased
            self._own += 1
            return None

    def _give_back(self, leased: Optional[_Leased[_Shared]]) -> None:
        with self._lock:
            if leased is None:
                self._own -= 1
                return
            leased.users -= 1
            if leased.users:
                return
            if leased is self._leased:
                self._leased = None
        leased.shared.stop()  # without the lock: it waits for threads
