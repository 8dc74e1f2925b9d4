"""The ``Retry-After`` header (RFC 9110, 10.2.3)."""

from __future__ import annotations

import re
import time
from typing import Optional

__all__ = ["http_date", "seconds_to_wait"]


def seconds_to_wait(value: str, *, date: Optional[float] = None) -> Optional[float]:
    """Return the seconds to wait; None if the value is invalid.

    Args:
        value: The header's value: seconds, or a date.
        date: The server's time when it answered (its ``Date`` header), in seconds since 1970; None
            takes this machine's.

    Example:
        >>> seconds_to_wait("120")
        120.0
    """
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    until = http_date(value)
    if until is None:
        return None
    return max(0.0, until - (date if date is not None else time.time()))


def http_date(value: Optional[str]) -> Optional[float]:
    """Return an HTTP date in seconds since 1970; None if it is invalid."""
    if value is None:
        return None
    import email.utils  # rarely needed, and slow to import

    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
