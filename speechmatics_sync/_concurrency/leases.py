"""The lifetime of an object that all callers in a process share.

It is made for the first caller and stopped after the last one. If it breaks, the next caller gets a
new one. If none can be made, for want of a thread or a descriptor, callers get None.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Callable, Generic, Optional, Protocol, TypeVar

from ..errors import ConnectionError

__all__ = ["Leases"]


class Stoppable(Protocol):
    """The shared object."""

    @property
    def works(self) -> bool:
        """Whether it can be used; not if it is broken."""
        ...

    def stop(self) -> None:
        """End it, after its last lease."""


_Shared = TypeVar("_Shared", bound=Stoppable)


class _Leased(Generic[_Shared]):
    """A shared object, and how many use it."""

    def __init__(self, shared: _Shared) -> None:
        self.shared = shared
        self.users = 0


class _Lease(Generic[_Shared]):
    """One use of a shared object.

    Not a generator, for each session lives inside it: that would be a kilobyte more.
    """

    __slots__ = ("_give_back", "_leased", "_take")

    def __init__(
        self,
        take: Callable[[], Optional[_Leased[_Shared]]],
        give_back: Callable[[Optional[_Leased[_Shared]]], None],
    ) -> None:
        self._take = take
        self._give_back = give_back
        self._leased: Optional[_Leased[_Shared]] = None

    def __enter__(self) -> Optional[_Shared]:
        self._leased = leased = self._take()
        return None if leased is None else leased.shared

    def __exit__(self, *exc: object) -> None:
        self._give_back(self._leased)


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
        self._leased: Optional[_Leased[_Shared]] = None

    def lease(self) -> _Lease[_Shared]:
        """Return a context that gives the shared object, or None if there can be none."""
        return _Lease(self._take, self._give_back)

    def _take(self) -> Optional[_Leased[_Shared]]:
        with self._lock:
            leased = self._leased
            if leased is None or not leased.shared.works:
                with contextlib.suppress(ConnectionError, MemoryError):
                    leased = self._leased = _Leased(self._make())
            if leased is None or not leased.shared.works:
                return None
            leased.users += 1
            return leased

    def _give_back(self, leased: Optional[_Leased[_Shared]]) -> None:
        if leased is None:
            return
        with self._lock:
            leased.users -= 1
            if leased.users:
                return
            if leased is self._leased:
                self._leased = None
        leased.shared.stop()  # without the lock: it waits for threads
