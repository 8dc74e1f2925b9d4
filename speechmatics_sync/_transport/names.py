"""The addresses of hosts, in the order in which to try them."""

from __future__ import annotations

import contextlib
import functools
import re
import socket
from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest
from typing import Any, Callable

from .._concurrency.deadlines import Deadline
from .._concurrency.shared_calls import SharedCalls
from ..errors import ConnectionError, NameLookupError

__all__ = ["Address", "addresses_of", "noting_failure", "remember"]

Address = tuple[Any, Any, int, str, Any]
"""Family, type, protocol, name and socket address, as `socket.getaddrinfo` gives them."""

_CHECK_SECONDS = 0.05
_REMEMBERED = 256

_look_ups: SharedCalls[list[Address]] = SharedCalls("look-up")
_last: dict[tuple[str, int], tuple[Address, bool]] = {}
"""By host and port: the address that was connected to last, and whether it worked."""


def addresses_of(
    host: str, port: int, deadline: Deadline, still_wanted: Callable[[], None]
) -> list[Address]:
    """Return the addresses of a host.

    IPv6 and IPv4 alternate (RFC 8305, 4). An address that worked last time comes first; one that
    accepted the last connection and then failed comes last.

    Args:
        host: A name or an address.
        port: The TCP port.
        deadline: When to give up. The look-up itself goes on, and the next call shares it.
        still_wanted: Called now and then; what it raises is raised.

    Raises:
        ConnectionError: The host is not known.
        NameLookupError: It cannot be looked up now.
        socket.timeout: The deadline has passed.
    """
    look_up = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    if ":" in host or re.fullmatch("[0-9.]+", host):  # an address, which needs no look-up
        try:
            return look_up()
        except OSError as error:
            raise _unknown(host, error) from error
    call = _look_ups.start((host, port), look_up)
    # No event tells that a connection is no longer wanted, so ask.
    while not call.done.wait(deadline.remaining(_CHECK_SECONDS)):
        still_wanted()
        if deadline.passed():
            raise socket.timeout("timed out")
    if not isinstance(call.outcome, list):
        raise _unknown(host, call.outcome) from call.outcome
    return _in_order(call.outcome, *_last.get((host, port), (None, False)))


def remember(host: str, port: int, address: Address) -> None:
    """Try this address first at the next connection to the host."""
    if len(_last) >= _REMEMBERED:
        _last.clear()
    _last[host, port] = (address, True)


@contextlib.contextmanager
def noting_failure(opened: socket.socket) -> Iterator[None]:
    """If the block raises, try this socket's address last at the next connection to its host.

    The address accepted the connection, but the handshake failed: it would most likely fail again.
    """
    peer = None
    with contextlib.suppress(OSError):  # it may have gone
        peer = opened.getpeername()
    try:
        yield
    except BaseException:
        for host, (address, _) in list(_last.items()):
            if address[4] == peer:
                _last[host] = (address, False)
        raise


def _in_order(found: Iterable[Address], last: object, worked: bool) -> list[Address]:
    found = list(dict.fromkeys(found))
    newer = [address for address in found if address[0] == socket.AF_INET6]
    older = [address for address in found if address[0] != socket.AF_INET6]
    in_turn = filter(None, chain.from_iterable(zip_longest(newer, older)))
    return sorted(in_turn, key=lambda address: (address == last) != worked)


def _unknown(host: str, error: object) -> ConnectionError:
    socket.socket().close()  # without a descriptor, no host is known either: it raises that
    if getattr(error, "errno", None) == socket.EAI_AGAIN:
        return NameLookupError(
            f"The host {host} cannot be looked up now: {getattr(error, 'strerror', error)}. "
            "Check the network."
        )
    reason = getattr(error, "strerror", None) or "it is not a host name"
    return ConnectionError(
        f"The host {host} is not known: {reason}. Check the address and the network."
    )
