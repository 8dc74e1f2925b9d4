"""What everything that connects has to know of addresses and requests."""

from __future__ import annotations

import re

__all__ = ["REQUEST_ID_HEADER", "is_loopback"]

REQUEST_ID_HEADER = "X-Request-Id"


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine."""
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None
