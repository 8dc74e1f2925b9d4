"""The URL and the headers of a session's connections."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Optional
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from .._transport.addresses import REQUEST_ID_HEADER, is_loopback, without_query
from .._version import __version__
from ..errors import ConfigurationError
from .keys import AuthBase, StaticKeyAuth

__all__ = ["DEFAULT_URL", "Endpoint", "request_id_in"]

_RESERVED_HEADERS = frozenset(
    {"connection", "content-length", "host", "transfer-encoding", "upgrade"}
)

DEFAULT_URL = "wss://eu.rt.speechmatics.com/v2"


class Endpoint:
    """A server's address and the key for it.

    Args:
        url: ``ws://`` or ``wss://``; its query is kept.
        auth: Gives the headers that carry the key.
        sdk_identifier: How the client names itself to the service (``sm-sdk``).
        allow_insecure: Whether a key may be sent in clear text to another machine.

    Raises:
        ConfigurationError: The URL is invalid, or a key is missing or would be sent in clear text.
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
        if sdk_identifier is not None and not isinstance(sdk_identifier, str):
            raise ConfigurationError(
                f"sdk_identifier is a string, not a {type(sdk_identifier).__name__}."
            )
        self._auth = auth
        self._scheme = scheme
        self._allow_insecure = allow_insecure
        self._in_clear = scheme == "ws" and not is_loopback(host) and not allow_insecure
        keyless = isinstance(auth, StaticKeyAuth) and not auth.has_key
        names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
        self._key_in_url = "jwt" in names
        if self._key_in_url:
            self._refuse_clear_text(self._in_clear)
        elif keyless and (host == "speechmatics.com" or host.endswith(".speechmatics.com")):
            raise ConfigurationError(
                f"There is no API key, and {host} wants one: set SPEECHMATICS_API_KEY "
                "or pass api_key=…."
            )
        elif not keyless:
            self._refuse_clear_text(self._in_clear)
        self.url = _with_sdk(url, sdk_identifier or f"python-sync-sdk-v{__version__}")

    def __repr__(self) -> str:
        return f"Endpoint({without_query(self.url)!r})"

    def headers(
        self,
        request_id: str,
        ws_headers: Optional[Mapping[str, str]],
        *,
        proxy: Optional[str] = None,
    ) -> dict[str, str]:
        """Return the headers of a handshake; may block while a temporary key is fetched.

        Args:
            request_id: This client's id of the session.
            ws_headers: The user's own.
            proxy: The URL of the configured proxy. The loopback address of a URL is then the
                proxy's own machine.

        Raises:
            AuthenticationError: There is no temporary key.
            ConfigurationError: ``auth`` did not give a dict of headers, or the key would be sent in
                clear text to another machine.
        """
        headers: dict[str, str] = {}
        _merge(headers, ws_headers or {}, "ws_headers")
        given = self._auth.get_auth_headers()
        if not isinstance(given, Mapping):
            if hasattr(given, "close"):
                given.close()  # a coroutine would warn that it was never awaited
            raise ConfigurationError(
                f"get_auth_headers() of {type(self._auth).__name__} returned a "
                f"{type(given).__name__}, not a dict of headers."
            )
        _merge(headers, given, f"get_auth_headers() of {type(self._auth).__name__}")
        if given or self._key_in_url or any(name.lower() == "authorization" for name in headers):
            self._refuse_clear_text(self._in_clear or self._read_by_proxy(proxy))
        _merge(headers, {REQUEST_ID_HEADER: request_id}, "request_id")
        return headers

    def drop_key(self) -> bool:
        """Drop a key that was refused; return whether `headers` can get a fresh one."""
        return self._auth.invalidate()

    def _read_by_proxy(self, proxy: Optional[str]) -> bool:
        """Return whether a proxy on another machine would see the key in clear text."""
        if proxy is None or self._scheme != "ws" or self._allow_insecure:
            return False
        return not is_loopback(urlsplit(proxy).hostname or "")

    def _refuse_clear_text(self, in_clear: bool) -> None:
        if in_clear:
            raise ConfigurationError(
                "The key would travel in clear text to another machine: use a wss:// URL, "
                "or say ConnectionConfig(allow_insecure=True)."
            )


def request_id_in(ws_headers: Optional[Mapping[str, str]]) -> Optional[str]:
    """Return the request id among a user's own headers, or None.

    Raises:
        ConfigurationError: A header is invalid, or belongs to the handshake.
    """
    headers: dict[str, str] = {}
    _merge(headers, ws_headers or {}, "ws_headers")
    for name, value in headers.items():
        if name.lower() == REQUEST_ID_HEADER.lower():
            return value
    return None


def _merge(headers: dict[str, str], more: Mapping[str, str], source: str) -> None:
    for name, value in more.items():
        if not isinstance(name, str) or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise ConfigurationError(f"{source}: {name!r} is not the name of a header.")
        if name.lower() in _RESERVED_HEADERS or name.lower().startswith("sec-websocket-"):
            raise ConfigurationError(f"{source}: {name} belongs to the handshake itself.")
        # The value may be a key: it is not shown.
        if not isinstance(value, str) or not re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", value):
            raise ConfigurationError(f"{source}: the value of {name} is not that of a header.")
        for known in [known for known in headers if known.lower() == name.lower()]:
            del headers[known]
        headers[name] = value


def _parts(url: str) -> tuple[str, str, str]:
    if not isinstance(url, str):
        raise ConfigurationError(f"url is a string, not a {type(url).__name__}.")
    # Without a password before the host and a key in the query.
    shown = repr(re.sub(r"(?<=//).*@", "***@", url, flags=re.DOTALL)).partition("?")[0]
    if re.search(r"[^\x21-\x7e]", url):
        raise ConfigurationError(
            f"url has a space, a control character or one outside ASCII: {shown}."
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError(
            f"url is not a URL with a host and a port of 1 to 65535: {shown}."
        ) from None
    if parts.scheme not in ("ws", "wss"):
        raise ConfigurationError(f"url starts with ws:// or wss://, unlike {shown}.")
    if not host or port == 0:
        raise ConfigurationError(f"url names no host and port to connect to: {shown}.")
    if parts.username is not None:
        raise ConfigurationError("url carries a user or password: pass the key as api_key=….")
    if "#" in url:
        raise ConfigurationError(f"url has a fragment, which no server would see: {shown}.")
    return parts.scheme, host.rstrip("."), parts.query


def _with_sdk(url: str, sdk_identifier: str) -> str:
    """Return the URL with ``sm-sdk`` added or replaced, and all other parameters unchanged."""
    parts = urlsplit(url)
    kept = [pair for pair in parts.query.split("&") if pair and pair.split("=")[0] != "sm-sdk"]
    query = "&".join([*kept, f"sm-sdk={quote(sdk_identifier, safe='')}"])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
