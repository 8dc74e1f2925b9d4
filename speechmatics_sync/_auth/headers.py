"""Headers of the handshake. Their values may be keys: no error and no variable shows one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Optional

from .._model.secret import Secret
from .._transport.addresses import REQUEST_ID_HEADER
from ..errors import ConfigurationError

__all__ = ["checked_headers", "merge", "request_id_in"]

_RESERVED = frozenset({"connection", "content-length", "host", "transfer-encoding", "upgrade"})


def checked_headers(given: Secret[Any], source: str) -> Secret[dict[str, str]]:
    """Return a copy of headers that a user gave; None gives none.

    Raises:
        ConfigurationError: They are no dict of headers, or one belongs to the handshake.
    """
    problem = _problem(given)
    if problem is not None:
        raise ConfigurationError(f"{source}: {problem}")
    return Secret(dict(given.reveal() or {}))


def merge(headers: Secret[dict[str, str]], more: Secret[dict[str, str]]) -> None:
    """Add headers to others, and replace those of the same name, in whatever case."""
    for name, value in more.reveal().items():
        for known in [known for known in headers.reveal() if known.lower() == name.lower()]:
            del headers.reveal()[known]
        headers.reveal()[name] = value


def request_id_in(headers: Secret[dict[str, str]]) -> Optional[str]:
    """Return the request id among headers, or None."""
    for name, value in headers.reveal().items():
        if name.lower() == REQUEST_ID_HEADER.lower():
            return value
    return None


def _problem(given: Secret[Any]) -> Optional[str]:
    """Return what is wrong with headers. Does not raise: it has their values in variables."""
    headers = given.reveal()
    if headers is None:
        return None
    if not isinstance(headers, Mapping):
        return f"headers are a dict of str, not of type {type(headers).__name__}."
    for name, value in headers.items():
        if not isinstance(name, str) or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            return f"{name!r} is not the name of a header."
        if name.lower() in _RESERVED or name.lower().startswith("sec-websocket-"):
            return f"{name} belongs to the handshake itself."
        if not isinstance(value, str) or not re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", value):
            return f"the value of {name} is not that of a header."
    return None
