"""The URL and the headers of a session's connections."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Optional, cast
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from .._model.host_names import not_ascii, with_ascii_host
from .._model.proxy import parsed_proxy
from .._model.secret import Secret
from .._transport.addresses import REQUEST_ID_HEADER, is_loopback, without_query
from .._version import __version__
from ..errors import ConfigurationError, MissingKeyError
from .headers import checked_headers, merge
from .keys import AuthBase, StaticKeyAuth

__all__ = ["Endpoint"]

_URL_VARIABLE = "SPEECHMATICS_RT_URL"
DEFAULT_URL = "wss://eu.rt.speechmatics.com/v2"


class Endpoint:
    """A server's address and the key for it.

    Args:
        given: The URL, ``ws://`` or ``wss://``; its query, which may hold a key, is kept. None
            takes that of the environment, else that of the service in Europe.
        auth: Gives the headers that carry the key.
        sdk_identifier: How the client names itself to the service (``sm-sdk``).
        allow_insecure: Whether a key may be sent in clear text to another machine.

    Raises:
        ConfigurationError: The URL is invalid, or a key is missing or would be sent in clear text.
    """

    def __init__(
        self,
        given: Secret[Optional[str]],
        auth: AuthBase,
        *,
        sdk_identifier: Optional[str] = None,
        allow_insecure: bool = False,
    ) -> None:
        name, url = _named(given)
        problem = _problem(url, name)
        if problem is not None:
            raise ConfigurationError(problem)
        url = Secret(with_ascii_host(url.reveal()))
        scheme, host = _scheme_and_host(url)
        if sdk_identifier is not None and not isinstance(sdk_identifier, str):
            raise ConfigurationError(
                f"sdk_identifier is of type {type(sdk_identifier).__name__}; allowed: a string"
            )
        self.sdk_identifier = sdk_identifier
        self._auth = auth
        self._scheme = scheme
        self._allow_insecure = allow_insecure
        self._in_clear = scheme == "ws" and not is_loopback(host) and not allow_insecure
        keyless = isinstance(auth, StaticKeyAuth) and not auth.has_key
        self._key_in_url = _has_key(url)
        if self._key_in_url:
            self._refuse_clear_text(self._in_clear)
        elif keyless and (host == "speechmatics.com" or host.endswith(".speechmatics.com")):
            raise MissingKeyError(
                f"There is no API key, and {host} wants one: make one at "
                "https://portal.speechmatics.com, and set SPEECHMATICS_API_KEY or pass api_key=…. "
                "speechmatics_sync.local has a server that needs none."
            )
        elif not keyless:
            self._refuse_clear_text(self._in_clear)
        self.url = _with_sdk(url, sdk_identifier or f"python-sync-sdk-v{__version__}")

    def __repr__(self) -> str:
        return f"Endpoint({without_query(self.url.reveal())!r})"

    @property
    def server(self) -> tuple[str, int]:
        """Host name and port."""
        parts = urlsplit(self.url.reveal())
        return parts.hostname or "", parts.port or (80 if self._scheme == "ws" else 443)

    def headers(
        self,
        request_id: str,
        ws_headers: Secret[dict[str, str]],
        *,
        proxy: Secret[Optional[str]],
    ) -> Secret[dict[str, str]]:
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
        headers: Secret[dict[str, str]] = Secret({})
        merge(headers, ws_headers)
        given = Secret[Any](self._auth.get_auth_headers())
        source = f"get_auth_headers() of {type(self._auth).__name__}"
        if not isinstance(given.reveal(), Mapping):
            if hasattr(given.reveal(), "close"):
                given.reveal().close()  # a coroutine would warn that it was never awaited
            raise ConfigurationError(
                f"{source} returned {type(given.reveal()).__name__}; allowed: a dict of headers"
            )
        merge(headers, checked_headers(given, source))
        named = any(name.lower() == "authorization" for name in headers.reveal())
        if given.reveal() or self._key_in_url or named:
            self._refuse_clear_text(self._in_clear or self._read_by_proxy(proxy))
        merge(headers, Secret({REQUEST_ID_HEADER: request_id}))
        return headers

    def drop_key(self) -> bool:
        """Drop a key that was refused; return whether `headers` can get a fresh one."""
        return self._auth.invalidate()

    def _read_by_proxy(self, proxy: Secret[Optional[str]]) -> bool:
        """Return whether a proxy on another machine would see the key in clear text."""
        if proxy.reveal() is None or self._scheme != "ws" or self._allow_insecure:
            return False
        found = parsed_proxy(proxy)
        return isinstance(found, str) or not is_loopback(found.host)

    def _refuse_clear_text(self, in_clear: bool) -> None:
        if in_clear:
            raise ConfigurationError(
                "The key would travel in clear text to another machine: use a wss:// URL, "
                "or say ConnectionConfig(allow_insecure=True)."
            )


# These have parts of the URL in variables, and do not raise.


def _named(given: Secret[Optional[str]]) -> tuple[str, Secret[str]]:
    """Return what the URL is called in errors, and the URL."""
    if given.reveal():
        return "url", cast("Secret[str]", given)
    # Stripped: what is read from a file ends with a line break.
    found = Secret(os.environ.get(_URL_VARIABLE, "").strip())
    return (_URL_VARIABLE, found) if found.reveal() else ("url", Secret(DEFAULT_URL))


def _problem(secret: Secret[str], name: str) -> Optional[str]:
    """Return what is wrong with a URL."""
    url = secret.reveal()
    if not isinstance(url, str):
        return f"{name} is a string, not of type {type(url).__name__}."
    url = with_ascii_host(url)
    # Without a password before the host and a key in the query.
    shown = repr(re.sub(r"(?<=//).*@", "***@", url, flags=re.DOTALL)).partition("?")[0]
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = None, None, None
    foreign = not_ascii(host)
    if foreign is not None:
        return f"{name} has {foreign}."
    if re.search(r"[^\x21-\x7e]", url):
        return f"{name} has a space, a control character or one outside ASCII: {shown}."
    if parts is None:
        return f"{name} is not a URL with a host and a port of 1 to 65535: {shown}."
    if parts.scheme not in ("ws", "wss"):
        return f"{name} is {shown}; allowed: a URL that starts with wss:// or ws://"
    if not host or port == 0:
        return f"{name} names no host and port to connect to: {shown}."
    if parts.username is not None:
        return f"{name} carries a user or password: pass the key as api_key=…."
    if "#" in url:
        return f"{name} has a fragment, which no server would see: {shown}."
    return None


def _scheme_and_host(url: Secret[str]) -> tuple[str, str]:
    parts = urlsplit(url.reveal())
    return parts.scheme, (parts.hostname or "").rstrip(".")


def _has_key(url: Secret[str]) -> bool:
    pairs = parse_qsl(urlsplit(url.reveal()).query, keep_blank_values=True)
    return any(name == "jwt" for name, _ in pairs)


def _with_sdk(url: Secret[str], sdk_identifier: str) -> Secret[str]:
    """Return the URL with ``sm-sdk`` added or replaced, and all other parameters unchanged."""
    parts = urlsplit(url.reveal())
    kept = [pair for pair in parts.query.split("&") if pair and pair.split("=")[0] != "sm-sdk"]
    query = "&".join([*kept, f"sm-sdk={quote(sdk_identifier, safe='')}"])
    return Secret(urlunsplit((parts.scheme, parts.netloc, parts.path, query, "")))
