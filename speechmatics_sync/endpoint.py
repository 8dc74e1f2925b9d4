"""Where a session connects, and how it says who it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Optional
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from ._version import __version__
from .auth import AuthBase, StaticKeyAuth
from .errors import ConfigurationError

__all__ = ["DEFAULT_URL", "REQUEST_ID_HEADER", "Endpoint", "is_loopback"]

DEFAULT_URL = "wss://eu.rt.speechmatics.com/v2"
REQUEST_ID_HEADER = "X-Request-Id"


class Endpoint:
    """A server's address and the key for it.

    Args:
        url: ``ws://`` or ``wss://``; its query is kept.
        auth: Gives the headers that carry the key.
        sdk_identifier: What the service is told this client is (``sm-sdk``).
        allow_insecure: Whether a key may travel in clear text to another machine.

    Raises:
        ConfigurationError: The URL is not one, or a key is missing, or would travel in clear text.
    """

    def __init__(
        self,
        url: str,
        auth: AuthBase,
        *,
        sdk_identifier: Optional[str] = None,
        allow_insecure: bool = False,
    ) -> None:
        scheme, host, query = _parts(url)
        self._auth = auth
        self._in_clear = scheme == "ws" and not is_loopback(host) and not allow_insecure
        keyless = isinstance(auth, StaticKeyAuth) and not auth.has_key
        names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
        if "jwt" in names:
            self._refuse_clear_text()
        elif keyless and (host == "speechmatics.com" or host.endswith(".speechmatics.com")):
            raise ConfigurationError(
                f"There is no API key, and {host} wants one: set SPEECHMATICS_API_KEY "
                "or pass api_key=…."
            )
        elif not keyless:
            self._refuse_clear_text()
        self.url = _with_sdk(url, sdk_identifier or f"python-sync-sdk-v{__version__}")

    def __repr__(self) -> str:
        return f"Endpoint({self.url.partition('?')[0]!r})"

    def headers(self, request_id: str, ws_headers: Optional[Mapping[str, str]]) -> dict[str, str]:
        """Return the headers of a handshake; may block while a temporary key is fetched.

        Raises:
            AuthenticationError: A temporary key cannot be had.
            ConfigurationError: What ``auth`` gave is not a dict of headers.
        """
        headers = {REQUEST_ID_HEADER: request_id}
        _merge(headers, ws_headers or {}, "ws_headers")
        given = self._auth.get_auth_headers()
        if not isinstance(given, Mapping):
            if hasattr(given, "close"):
                given.close()  # a coroutine that nobody will await
            raise ConfigurationError(
                f"get_auth_headers() of {type(self._auth).__name__} returned a "
                f"{type(given).__name__}, not a dict of headers."
            )
        _merge(headers, given, f"get_auth_headers() of {type(self._auth).__name__}")
        if any(name.lower() == "authorization" for name in headers):
            self._refuse_clear_text()
        return headers

    def forget_key(self) -> bool:
        """Drop a key that was refused; return whether a fresh one can be had."""
        return self._auth.invalidate()

    def _refuse_clear_text(self) -> None:
        if self._in_clear:
            raise ConfigurationError(
                "The key would travel in clear text to another machine: use a wss:// URL, "
                "or say ConnectionConfig(allow_insecure=True)."
            )


def request_id_in(ws_headers: Optional[Mapping[str, str]]) -> Optional[str]:
    """Return the request id that a user's own headers give, if they do."""
    for name, value in (ws_headers or {}).items():
        if isinstance(name, str) and name.lower() == REQUEST_ID_HEADER.lower():
            return value
    return None


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine."""
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None


def _merge(headers: dict[str, str], more: Mapping[str, str], source: str) -> None:
    for name, value in more.items():
        if not isinstance(name, str) or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise ConfigurationError(f"{source}: {name!r} is not the name of a header.")
        # The value may be a key: it is not shown.
        if not isinstance(value, str) or not re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", value):
            raise ConfigurationError(f"{source}: the value of {name} is not that of a header.")
        for known in [known for known in headers if known.lower() == name.lower()]:
            del headers[known]
        headers[name] = value


def _parts(url: str) -> tuple[str, str, str]:
    shown = repr(url).partition("?")[0]
    if not isinstance(url, str) or re.search(r"[^\x21-\x7e]", url) or not url:
        raise ConfigurationError(f"url is a ws:// or wss:// URL in plain characters, not {shown}.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"url is not a URL: {error}.") from None
    if parts.scheme not in ("ws", "wss"):
        raise ConfigurationError(f"url starts with ws:// or wss://, unlike {shown}.")
    if not host or port == 0:
        raise ConfigurationError(f"url names no host and port to connect to: {shown}.")
    if parts.username is not None:
        raise ConfigurationError("url carries a user or password: pass the key as api_key=….")
    return parts.scheme, host, parts.query


def _with_sdk(url: str, sdk_identifier: str) -> str:
    """Return the URL with ``sm-sdk`` added and every other parameter as it was."""
    parts = urlsplit(url)
    kept = [pair for pair in parts.query.split("&") if pair and pair.split("=")[0] != "sm-sdk"]
    query = "&".join([*kept, f"sm-sdk={quote(sdk_identifier, safe='')}"])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
