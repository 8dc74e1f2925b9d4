"""The URL of a proxy, which may hold a password."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Optional, Union
from urllib.parse import unquote, urlsplit

from .host_names import ascii_name, not_ascii
from .secret import Secret

__all__ = ["ALLOWED_PROXIES", "Proxy", "parsed_proxy"]

_DEFAULT_PORTS = {"http": 80, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}

ALLOWED_PROXIES = (
    '"http://user:password@host:port" or the same with '
    "socks4, socks4a, socks5 or socks5h (a proxy behind https:// is not supported)"
)


class Proxy(NamedTuple):
    """A proxy's address, and the user and password for it."""

    scheme: str
    host: str
    port: int
    login: Secret[Optional[tuple[str, str]]]

    def __str__(self) -> str:
        return f"proxy {self.host}:{self.port}"


def parsed_proxy(url: Secret[Any]) -> Union[Proxy, str]:
    """Return the proxy that a URL names, or why it names none, without showing the URL.

    Does not raise: it has parts of the URL in variables.
    """
    text = url.reveal()
    if not isinstance(text, str):
        return f"of type {type(text).__name__}"
    if re.search(r"[/?#[\]]", text.partition("://")[2].rpartition("@")[0]):
        return (
            "a URL whose user or password has one of / ? # [ ], "
            "which are written as %2F %3F %23 %5B %5D there"
        )
    nowhere = "no URL with a host and a port"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return nowhere
    if not host or port == 0:
        return nowhere
    foreign = not_ascii(host)
    if foreign is not None:
        return f"a URL with {foreign}"
    if parts.scheme not in _DEFAULT_PORTS:
        return f"the URL of a proxy behind {parts.scheme}://"
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    login = (user, password) if user else None
    return Proxy(
        parts.scheme, ascii_name(host) or host, port or _DEFAULT_PORTS[parts.scheme], Secret(login)
    )
