"""URLs, hosts and HTTP heads: what every request has in common."""

from __future__ import annotations

import re

__all__ = ["HTTP_HEAD_LIMIT", "REQUEST_ID_HEADER", "is_loopback", "without_query"]

HTTP_HEAD_LIMIT = 32 * 1024
"""Bytes that the head of an HTTP response may have."""

REQUEST_ID_HEADER = "X-Request-Id"


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine."""
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None


def without_query(url: str) -> str:
    """Return a URL without its query, which may hold a key."""
    return url.partition("?")[0]
