"""Host names outside ASCII, which the network knows by another name (IDNA)."""

from __future__ import annotations

from typing import Optional
from urllib.parse import urlsplit, urlunsplit

__all__ = ["ascii_name", "not_ascii", "with_ascii_host"]

_AMBIGUOUS = "\u00df\u03c2\u200c\u200d"
"""Characters for which Python's codec (IDNA 2003) names another host than browsers do."""


def ascii_name(host: str) -> Optional[str]:
    """Return the ASCII form of a host name; None if Python does not know it."""
    if any(character in host for character in _AMBIGUOUS):
        return None
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return None


def with_ascii_host(url: str) -> str:
    """Return a URL with the ASCII form of its host name; as it is where there is none.

    Does not raise: it may have a key or a password in variables.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return url
    known = None if host.isascii() else ascii_name(host)
    if known is None:
        return url
    login, at, place = parts.netloc.rpartition("@")
    _, colon, port = place.partition(":")
    return urlunsplit(parts._replace(netloc=f"{login}{at}{known}{colon}{port}"))


def not_ascii(host: Optional[str]) -> Optional[str]:
    """Return what to say about a host name that has no known ASCII form; None for any other."""
    if host is None or ascii_name(host) is not None:
        return None
    return (
        f"the international host name {host!r}, whose ASCII form is not certain: write it (xn--…)"
    )
