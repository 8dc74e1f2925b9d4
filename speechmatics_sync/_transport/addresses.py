"""URLs, hosts and HTTP heads: what every request has in common."""

from __future__ import annotations

import os
import re

__all__ = [
    "HTTP_HEAD_LIMIT",
    "REQUEST_ID_HEADER",
    "is_loopback",
    "proxy_variables",
    "without_query",
]

HTTP_HEAD_LIMIT = 32 * 1024
"""Bytes that the head of an HTTP response may have."""

REQUEST_ID_HEADER = "X-Request-Id"

_PROXY_VARIABLES = [
    name
    for lower in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    for name in (lower, lower.upper())
]


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine.

    In every spelling that the system takes: ``127.1``, ``0.0.0.0`` (where to connect to, it is
    this machine), ``::ffff:127.0.0.1``.
    """
    name = host.rstrip(".").lower()
    if name == "localhost":
        return True
    if ":" in name:
        import ipaddress

        try:
            newer = ipaddress.IPv6Address(name)
        except ValueError:
            return False
        return any(
            address.is_loopback or address.is_unspecified
            for address in (newer, newer.ipv4_mapped)
            if address is not None
        )
    if not re.fullmatch("[0-9a-fx.]+", name):
        return False
    import socket

    try:
        older = socket.inet_aton(name)
    except OSError:
        return False
    return older[0] == 127 or older == b"\0\0\0\0"


def proxy_variables() -> list[str]:
    """Return the values of the environment's variables that name a proxy, or hosts without one."""
    # By their names: to go through the environment takes a tenth of what a connection does.
    values = [os.environ.get(name) for name in _PROXY_VARIABLES]
    return [value for value in values if value is not None]


def without_query(url: str) -> str:
    """Return a URL without its query, which may hold a key."""
    return url.partition("?")[0]
