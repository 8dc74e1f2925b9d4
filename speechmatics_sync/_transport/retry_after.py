"""What a ``Retry-After`` header asks for (RFC 9110, 10.2.3)."""

from __future__ import annotations

import re
import time
from typing import Optional

__all__ = ["http_date", "seconds_to_wait"]


def seconds_to_wait(value: str, *, date: Optional[float] = None) -> Optional[float]:
    """Return the seconds to wait, None if the value says nothing.

    Args:
        value: The header's: seconds, or a date.
        date: What time it was for the server, in seconds since 1970, if it said so.

    Example:
        >>> seconds_to_wait("120")
        120.0
    """
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    until = http_date(value)
    if until is None:
        return None
    # By the server's own clock if it tells it.
    return max(0.0, until - (date if date is not None else time.time()))


def http_date(words: Optional[str]) -> Optional[float]:
    """Return an HTTP date in seconds since 1970, or None if it is none."""
    if words is None:
        return None
    import email.utils  # only where a server asks for patience

    try:
        return email.utils.parsedate_to_datetime(words).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
