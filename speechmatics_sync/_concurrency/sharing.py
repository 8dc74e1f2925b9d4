"""How many sessions of a process come to share a thread.

The first few have threads of their own, which is what serves a few best. Hundreds would fight for
the interpreter's lock: what comes beyond those few is served by one thread that they share, which
begins with the first of them and ends with the last.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from typing import Callable, Generic, Optional, Protocol, TypeVar

__all__ = ["ALONE", "Exchange", "Shared"]

ALONE = 8
"""How many of a process do not share: the connections and paced sources of four sessions."""


class Shared(Protocol):
    """What many share."""

    def stop(self) -> None:
        """End it: nobody is served any more."""


_Shared = TypeVar("_Shared", bound=Shared)

_exchanges: weakref.WeakSet[Exchange[Shared]] = weakref.WeakSet()


class Exchange(Generic[_Shared]):
    """Who shares in this process, and what.

    Args:
        make: Makes what is shared.
    """

    def __init__(self, make: Callable[[], _Shared]) -> None:
        self._make = make
        _exchanges.add(self)  # type: ignore[arg-type]
        self.begin_anew()

    def begin_anew(self) -> None:
        """Leave threads, and a lock that one of them may hold, to the parent process."""
        self._lock = threading.Lock()
        self._alone = 0
        self._sharing = 0
        self._shared: Optional[_Shared] = None

    @contextlib.contextmanager
    def place(self) -> Iterator[Optional[_Shared]]:
        """Give what is shared, or None to one of the few that do not share."""
        with self._lock:
            alone = self._alone < ALONE
            if alone:
                self._alone += 1
            else:
                if self._shared is None:
                    self._shared = self._make()
                self._sharing += 1
            shared = None if alone else self._shared
        try:
            yield shared
        finally:
            leaving = None
            with self._lock:
                if alone:
                    self._alone -= 1
                else:
                    self._sharing -= 1
                    if not self._sharing:
                        leaving, self._shared = self._shared, None
            if leaving is not None:
                leaving.stop()


def _begin_anew() -> None:
    for exchange in _exchanges:
        exchange.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
