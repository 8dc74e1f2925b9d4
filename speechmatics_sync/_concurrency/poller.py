"""Waiting for many sockets in one thread, which other threads can wake."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Hashable
from typing import Callable, Optional

from .exhaustion import exhausted

__all__ = ["Poller"]

_LONGEST_WAIT = 3600.0
"""Seconds. The system's calls overflow somewhere above; a user's time limits may be longer."""

_REST = 0.001
_BUSY = 750
_RATE_SECONDS = 0.25
"""From `_BUSY` events a second on, measured over `_RATE_SECONDS`, a poller of many sockets sleeps
`_REST` seconds before each wait, so that one wake-up serves several sessions. At a lower rate most
wake-ups would serve one session anyway."""

_READ_SIZE = 1024

# poll() needs no descriptor of its own, takes any number, and is fast for a few; the system's best
# (epoll, kqueue) is fast for a thousand.
_FEW = getattr(selectors, "PollSelector", selectors.DefaultSelector)
_MANY = selectors.DefaultSelector


class Poller:
    """Waits until something happens at one of the watched sockets, or until it is woken.

    `wait` belongs to one thread; everything else may be called from any.

    Args:
        many: Whether it watches more than a few sockets. Then it rests between two waits, so that
            more arrives together, and connections leave their writing to its thread.

    Raises:
        ConnectionError: There is no descriptor left for it.

    Example:
        >>> poller = Poller()
        >>> poller.wake("a session")
        >>> poller.wait(None)
        {'a session': False}
        >>> poller.close()
    """

    def __init__(self, *, many: bool = False) -> None:
        self.many = many
        self.batch_seconds = 0.0
        """Seconds of a source's audio that should leave together, while its thread is busy."""
        self._rest = 0.0
        self._counted, self._counted_since = 0, 0.0
        self._thread: Optional[int] = None
        # Guards everything below. Reentrant: the garbage collector may end a session at any line.
        self._lock = threading.RLock()
        self._pipe: Optional[tuple[socket.socket, socket.socket]] = None
        """A byte through it ends a wait."""
        self._waiting = False
        self._interrupted = False
        """Whether a byte is on its way: one is enough."""
        self._woken: set[Hashable] = set()
        self.callbacks: dict[Callable[[], None], Hashable] = {}
        """What `run_callbacks` is to call, and on behalf of which owner. Others only look."""
        self.errors: dict[Hashable, BaseException] = {}
        """What callbacks raised, by owner: `raise_error` raises it. Others only look."""
        try:
            self._selector: selectors.BaseSelector = _MANY() if many else _FEW()
            with contextlib.ExitStack() as opened:
                opened.callback(self._selector.close)
                pipe = socket.socketpair()
                for end in pipe:
                    opened.callback(end.close)
                    end.setblocking(False)
                self._selector.register(pipe[0], selectors.EVENT_READ)
                opened.pop_all()
        except (OSError, MemoryError) as error:
            raise exhausted(error) or error from None
        self._pipe = pipe

    def watch(self, opened: socket.socket, events: int, owner: Hashable) -> None:
        """Have `wait` return a socket's owner when one of these events happens.

        Args:
            opened: The socket.
            events: Constants of `selectors`; 0 for none.
            owner: The object to return.
        """
        watched = self._selector.get_map().get(opened.fileno())
        if watched is not None and watched.fileobj is not opened:
            # It was closed without `forget`, which failed, and its number is in use again.
            self._selector.unregister(watched.fileobj)
            watched = None
        if watched is None:
            if events:
                self._selector.register(opened, events, owner)
        elif not events:
            # A socket that stays registered for nothing still reports a reset, to every wait.
            self._selector.unregister(opened)
        elif watched.events != events:
            self._selector.modify(opened, events, owner)

    def forget(self, opened: socket.socket) -> None:
        """Stop watching a socket; call this before closing it."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(opened)

    def wake(self, owner: Hashable) -> None:
        """Make `wait` return, with this owner among the others."""
        with self._lock:
            self._woken.add(owner)
            self._interrupt()

    @property
    def is_here(self) -> bool:
        """Whether the calling thread is the one that waits."""
        return self._thread == threading.get_ident()

    def call_soon(self, callback: Callable[[], None], owner: Hashable) -> None:
        """Have `wait` run a callback before it waits again; once, however often this is called.

        Args:
            callback: Must not block.
            owner: Gets what the callback raises, from `raise_error`.
        """
        with self._lock:
            self.callbacks[callback] = owner
            self._interrupt()

    def wait(self, timeout: Optional[float]) -> dict[Hashable, bool]:
        """Wait until something happens, at most ``timeout`` seconds.

        Returns:
            The owners to whom something happened, and whether it was at a socket.
        """
        if self.callbacks:
            self.run_callbacks()
        if self._rest:
            time.sleep(self._rest)
        self._thread = threading.get_ident()
        limit = _LONGEST_WAIT if timeout is None else min(timeout, _LONGEST_WAIT)
        with self._lock:
            self._waiting = not (self._woken or self.callbacks)
        ready = self._selector.select(limit if self._waiting else 0)
        with self._lock:
            interrupted, self._interrupted, self._waiting = self._interrupted, False, False
            if interrupted:
                self._drain()
            woken = self._woken
            if woken:
                self._woken = set()
        if self.callbacks:
            self.run_callbacks()
        if self.many:
            self._count(len(ready))
        happened = dict.fromkeys(woken, False)
        for key, _ in ready:
            if key.data is not None:
                happened[key.data] = True
            elif not interrupted:
                self._drain()
        return happened

    def _count(self, happened: int) -> None:
        """Note how much happens, and rest before each wait if that is much."""
        self._counted += happened
        elapsed = time.monotonic() - self._counted_since
        if elapsed > _RATE_SECONDS:
            self._rest = _REST if self._counted >= _BUSY * elapsed else 0.0
            self._counted, self._counted_since = 0, time.monotonic()

    def run_callbacks(self) -> None:
        """Run what `call_soon` was given."""
        with self._lock:
            callbacks, self.callbacks = self.callbacks, {}
        for callback, owner in callbacks.items():
            try:
                callback()
            except BaseException as error:  # the other owners have nothing to do with it
                self.errors[owner] = error
                self.wake(owner)

    def raise_error(self, owner: Hashable) -> None:
        """Raise what a callback raised that was called on behalf of an owner, if one did."""
        error = self.errors.pop(owner, None)
        if error is not None:
            raise error

    def _interrupt(self) -> None:
        """End the wait, if there is one. Needs the lock."""
        pipe = self._pipe
        if self._waiting and not self._interrupted and pipe is not None:
            with contextlib.suppress(OSError):
                pipe[1].send(b"\0")
            self._interrupted = True  # in this order: a signal may end this between the two

    def _drain(self) -> None:
        if self._pipe is not None:
            with contextlib.suppress(BlockingIOError):
                self._pipe[0].recv(_READ_SIZE)

    def close(self) -> None:
        """Free the descriptors.

        Takes no lock: in a forked process, the thread that held it may not exist.
        """
        pipe, self._pipe = self._pipe, None
        self._woken, self.callbacks, self.errors = set(), {}, {}  # an owner may hold this
        self._selector.close()
        for end in pipe or ():
            end.close()
