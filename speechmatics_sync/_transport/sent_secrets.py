"""What a request holds that nobody may read in an error or a log."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Optional
from urllib.parse import parse_qsl, unquote, urlsplit

from .._model.secret import Secret
from .addresses import REQUEST_ID_HEADER, proxy_variables

__all__ = ["sent_secrets"]

_NO_SECRETS = frozenset({REQUEST_ID_HEADER.lower(), "user-agent", "sm-sdk"})


def sent_secrets(
    url: Secret[str], headers: Secret[dict[str, str]], proxy: Secret[Optional[str]]
) -> Iterator[str]:
    """Yield the secrets that a request carries, in every form in which it carries them.

    Must not raise: a traceback would show its variables, which hold them.

    Args:
        url: The server's URL, with its query.
        headers: The headers of the handshake.
        proxy: The URL of the configured proxy. Passwords of proxies of the environment come too.
    """
    for name, value in headers.reveal().items():
        if name.lower() not in _NO_SECRETS:
            yield value
    query = urlsplit(url.reveal()).query
    for name, value in parse_qsl(query):
        if name not in _NO_SECRETS:
            yield value
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name not in _NO_SECRETS:
            yield value
    for each in (proxy.reveal() or "", *proxy_variables()):
        login = (each.partition("://")[2] or each).rpartition("@")[0]
        user, _, password = login.partition(":")
        if password:
            yield from (password, unquote(password))
            yield base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
