"""TCP connections that another thread can end while they are being made.

`OnSocket` gives the caller each socket before anything blocks on it; shutting the socket down ends
the wait. Only the look-up of a host name cannot be ended: the system's own limit applies to it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
from collections.abc import Iterator
from typing import Any, Callable, Optional

from .._concurrency.deadlines import Deadline
from ..errors import ConnectionError

__all__ = ["OnSocket", "closed_on_error", "connect", "is_time_limit", "socket_timeout"]

OnSocket = Callable[[socket.socket], None]
"""Called with every socket, more than once with some; raises if the connection is not wanted."""

# Unlike select it takes any descriptor number, and unlike epoll it needs no descriptor itself.
_Selector = getattr(selectors, "PollSelector", selectors.DefaultSelector)


def connect(host: str, port: int, deadline: Deadline, on_socket: OnSocket) -> socket.socket:
    """Return a socket that is connected to a host.

    Args:
        host: A name or an address; every address of a name is tried.
        port: The TCP port.
        deadline: When to give up.
        on_socket: Called with every socket; what it raises is raised, and the socket closed.

    Raises:
        ConnectionError: The host is not known.
        OSError: As the system raises it.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        socket.socket().close()  # without a descriptor, no host is known either: it raises that
        reason = getattr(error, "strerror", None) or "it is not a host name"
        raise ConnectionError(
            f"The host {host} is not known: {reason}. Check the address and the network."
        ) from None
    failure: OSError = OSError("it has no address")
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        opened = socket.socket(family, kind, protocol)
        with closed_on_error(opened):
            try:
                # An equal share of the time, so that an address that never answers leaves some
                # for the next.
                left = socket_timeout(deadline)
                opened.settimeout(None if left is None else left / (len(addresses) - tried))
                _connect_to(address, opened, on_socket)
                # Send small frames at once, and notice a dead peer even if pings are off.
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                return opened
            except OSError as error:
                failure = error
        opened.close()
    raise failure


def _connect_to(address: Any, opened: socket.socket, on_socket: OnSocket) -> None:
    limit = opened.gettimeout()
    opened.setblocking(False)
    on_socket(opened)
    failed = opened.connect_ex(address)
    on_socket(opened)  # again: a shutdown before connect_ex had no effect
    if failed in (errno.EINPROGRESS, errno.EWOULDBLOCK):
        with _Selector() as selector:
            selector.register(opened, selectors.EVENT_WRITE)
            if not selector.select(limit):
                raise socket.timeout("timed out")
        failed = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if failed:
        raise OSError(failed, os.strerror(failed))
    opened.settimeout(limit)


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
