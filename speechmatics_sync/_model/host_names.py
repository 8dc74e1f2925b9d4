"""Host names outside ASCII, which connections, certificates and proxies know by another name."""

from __future__ import annotations

import contextlib
from typing import Optional

__all__ = ["not_ascii"]

_AMBIGUOUS = "\u00df\u03c2\u200c\u200d"
"""Characters for which Python's codec (IDNA 2003) names another host than browsers do."""


def not_ascii(host: Optional[str]) -> Optional[str]:
    """Return what to say about a host name outside ASCII; None for any other."""
    if host is None or host.isascii():
        return None
    form = "(xn--…)"
    if not any(character in host for character in _AMBIGUOUS):
        with contextlib.suppress(UnicodeError):
            form = host.encode("idna").decode()
    return f"the international host name {host!r}: write its ASCII form {form}"
