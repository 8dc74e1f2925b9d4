"""Waiting for connections, in one thread, and being woken by others."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Hashable
from typing import Callable, Optional

__all__ = ["Poller"]

_LONGEST_WAIT = 3600.0
"""Seconds; what the system takes has an end, which a user's limits may pass."""

_PAUSES = 2.0
_LONGEST_PAUSE = 0.003
"""Seconds between two waits for many: each thread that runs costs all others a turn, so what comes
within this time is done in one."""

# Without a descriptor of its own and without a limit on their numbers, and good for a few; the
# system's best is good for a thousand.
_FEW = getattr(selectors, "PollSelector", selectors.DefaultSelector)
_MANY = selectors.DefaultSelector


class Poller:
    """Waits until something happens to one of the sockets it watches, or somebody wakes it.

    `wait` belongs to one thread, all else may be called from any.

    Args:
        many: Whether it watches more than a few. Then it takes a short rest between two waits, in
            which more comes together, and whoever sends leaves the writing to its thread.

    Example:
        >>> waiter = Poller()
        >>> waiter.wake("a session")
        >>> waiter.wait(None)
        {'a session': False}
        >>> waiter.close()
    """

    def __init__(self, *, many: bool = False) -> None:
        self.many = many
        self._selector: selectors.BaseSelector = _MANY() if many else _FEW()
        self._woke = 0.0
        self._thread: Optional[int] = None
        # Guards the bell and who was woken. Reentrant: the garbage collector may end a session at
        # any line.
        self._lock = threading.RLock()
        self._bell: Optional[tuple[socket.socket, socket.socket]] = socket.socketpair()
        self._listening = False
        self._rung = False
        self._woken: set[Hashable] = set()
        self._errands: set[Callable[[], None]] = set()
        for end in self._bell:
            end.setblocking(False)
        self._selector.register(self._bell[0], selectors.EVENT_READ)

    def watch(self, opened: socket.socket, events: int, owner: Hashable) -> None:
        """Have events on a socket end `wait`, which then returns its owner.

        Args:
            opened: The socket.
            events: Of `selectors`; 0 for none.
            owner: Whose it is.
        """
        watched = self._selector.get_map().get(opened.fileno())
        if watched is None:
            if events:
                self._selector.register(opened, events, owner)
        elif not events:
            # Without this a connection that is not read but was reset would end every wait.
            self._selector.unregister(opened)
        elif watched.events != events:
            self._selector.modify(opened, events, owner)

    def forget(self, opened: socket.socket) -> None:
        """Watch a socket no more; to be called before it is closed."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(opened)

    def wake(self, owner: Hashable) -> None:
        """Make `wait` return, with this owner among the others."""
        with self._lock:
            self._woken.add(owner)
            self._ring()

    @property
    def is_here(self) -> bool:
        """Whether the calling thread is the one that waits."""
        return self._thread == threading.get_ident()

    def post(self, errand: Callable[[], None]) -> None:
        """Have `wait` do something before it waits again, once however often it is asked to."""
        with self._lock:
            self._errands.add(errand)
            self._ring()

    def wait(self, timeout: Optional[float]) -> dict[Hashable, bool]:
        """Wait until something happens, or ``timeout`` seconds.

        Returns:
            To whom something happened, and whether it was at their socket.
        """
        self.run_errands()
        if self.many:
            # In proportion to what there was to do: one message waits for nobody.
            time.sleep(min(_LONGEST_PAUSE, _PAUSES * (time.monotonic() - self._woke)))
        self._thread = threading.get_ident()
        limit = _LONGEST_WAIT if timeout is None else min(timeout, _LONGEST_WAIT)
        with self._lock:
            self._listening = not (self._woken or self._errands)
        ready = self._selector.select(limit if self._listening else 0)
        with self._lock:
            self._listening = False
            if self._rung and self._bell is not None:
                self._rung = False
                self._bell[0].recv(1)
        self.run_errands()
        with self._lock:
            woken, self._woken = self._woken, set()
        self._woke = time.monotonic()
        happened = dict.fromkeys(woken, False)
        for key, _ in ready:
            if key.data is not None:
                happened[key.data] = True
        return happened

    def run_errands(self) -> None:
        """Do what was posted."""
        if self._errands:
            with self._lock:
                errands, self._errands = self._errands, set()
            for errand in errands:
                errand()

    def _ring(self) -> None:
        """End the wait, if there is one. Needs the lock."""
        bell = self._bell
        if self._listening and not self._rung and bell is not None:
            self._rung = True
            with contextlib.suppress(OSError):
                bell[1].send(b"\0")

    def close(self) -> None:
        """Free what it holds. Takes no lock: in a forked process nobody may be left to give it."""
        bell, self._bell = self._bell, None
        self._selector.close()
        for end in bell or ():
            end.close()
