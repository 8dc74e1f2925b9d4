"""TCP connections that another thread can end while they are being made.

`OnSocket` gives the caller a socket before anything blocks; shutting the socket down ends the wait.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import os
import selectors
import socket
from collections.abc import Iterable, Iterator
from typing import Callable, Optional, cast

from .._concurrency.deadlines import Deadline
from .names import Address, addresses_of, remember

__all__ = ["OnSocket", "closed_on_error", "connect", "is_time_limit", "socket_timeout"]

OnSocket = Callable[[Optional[socket.socket]], None]
"""Called before each step that may block, with the socket whose shutdown ends that step.

Called with None before there is a socket, repeatedly while a name is looked up. Raises if the
connection is no longer wanted."""

_HEAD_START = 0.25
"""Seconds for an address before the next is tried as well (RFC 8305, 5)."""

# Unlike select it takes any descriptor number, and unlike epoll it needs no descriptor itself.
_Selector = getattr(selectors, "PollSelector", selectors.DefaultSelector)


def connect(host: str, port: int, deadline: Deadline, on_socket: OnSocket) -> socket.socket:
    """Return a socket that is connected to a host.

    Args:
        host: A name or an address. Every address of a name is tried, each 250 ms after the one
            before or as soon as that has failed, and the first to be connected counts (RFC 8305).
        port: The TCP port.
        deadline: When to give up.
        on_socket: See `OnSocket`; what it raises is raised, and all sockets are closed.

    Raises:
        ConnectionError: The host is not known.
        OSError: As the system raises it for the last address that failed.
    """
    on_socket(None)
    addresses = addresses_of(host, port, deadline, lambda: on_socket(None))
    opened, address = _Race(addresses, deadline, on_socket).run()
    remember(host, port, address)
    return opened


class _Race:
    """Connects to several addresses, and keeps the first that is connected."""

    def __init__(
        self, addresses: Iterable[Address], deadline: Deadline, on_socket: OnSocket
    ) -> None:
        self._untried = collections.deque(addresses)
        self._deadline = deadline
        self._on_socket = on_socket
        self._connecting: dict[socket.socket, Address] = {}
        self._next = Deadline(0)  # for the address after the ones that are tried
        self._failure = OSError("it has no address")

    def run(self) -> tuple[socket.socket, Address]:
        """Return the socket that is connected, and its address; close the others."""
        try:
            with _Selector() as selector:
                while self._untried or self._connecting:
                    if self._untried and (self._next.passed() or not self._connecting):
                        connected = self._try(self._untried.popleft(), selector)
                    else:
                        connected = self._wait(selector)
                    if connected is not None:
                        self._on_socket(connected)
                        connected.settimeout(socket_timeout(self._deadline))
                        return connected, self._connecting.pop(connected)
            raise self._failure
        finally:
            for opened in self._connecting:
                opened.close()

    def _try(self, address: Address, selector: selectors.BaseSelector) -> Optional[socket.socket]:
        self._next = Deadline(_HEAD_START)
        try:
            opened = socket.socket(*address[:3])
        except OSError as error:  # IPv6 may be switched off
            self._failure = error
            return None
        self._connecting[opened] = address
        opened.setblocking(False)
        failed = opened.connect_ex(address[4])
        if failed in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            selector.register(opened, selectors.EVENT_WRITE)
            return None
        return self._connected(opened, failed)

    def _wait(self, selector: selectors.BaseSelector) -> Optional[socket.socket]:
        # The shutdown of any socket that is connecting ends the wait; that of one which has not
        # begun to connect does not. So pass the socket on here, and not when it is made.
        self._on_socket(next(reversed(self._connecting)))
        limit = socket_timeout(self._deadline)
        ready = selector.select(self._next.remaining(limit) if self._untried else limit)
        for key, _ in ready:
            opened = cast("socket.socket", key.fileobj)
            selector.unregister(opened)
            failed = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if self._connected(opened, failed) is not None:
                return opened
        return None

    def _connected(self, opened: socket.socket, failed: int) -> Optional[socket.socket]:
        """Return the socket if it is connected; else close it, and have the next address tried."""
        try:
            if failed:
                raise OSError(failed, os.strerror(failed))
            # Send small frames at once, and notice a dead peer even if pings are off.
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return opened
        except OSError as error:
            self._failure = error
            self._next = Deadline(0)
            del self._connecting[opened]
            opened.close()
            return None


def socket_timeout(deadline: Deadline) -> Optional[float]:
    """Return the seconds left, for ``settimeout``.

    Raises:
        socket.timeout: The deadline has passed. (Zero seconds would make the socket non-blocking.)
    """
    left = deadline.remaining()
    if left == 0:
        raise socket.timeout("timed out")
    return left


def is_time_limit(error: BaseException) -> bool:
    """Return whether a time limit of ours has passed: the system's own (ETIMEDOUT) has an errno."""
    return isinstance(error, (socket.timeout, TimeoutError)) and error.errno is None


@contextlib.contextmanager
def closed_on_error(opened: socket.socket) -> Iterator[None]:
    """Close a socket if the block raises."""
    try:
        yield
    except BaseException:
        opened.close()
        raise
