"""Who may use the server, by what the handshake says: its path, Host, Origin and key.

A browser lets any page of the web connect to a server on this machine. It names the page in
``Origin``, and the name by which it found the server in ``Host``, which is the page's own where
its DNS name was made to lead here. So both are looked at, with and without keys.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple, Optional, Union
from urllib.parse import parse_qs, urlsplit

from websockets.http11 import Request

from speechmatics_sync import ConfigurationError

__all__ = ["Admission", "Refusal"]

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s]+")


class Refusal(NamedTuple):
    """The answer to a handshake that is refused.

    Args:
        status: The HTTP status.
        reason: What is wrong and what to do, in one sentence.
    """

    status: HTTPStatus
    reason: str


class Admission:
    """Decides about handshakes.

    Args:
        host: The address that the server listens at, as the user named it.
        api_keys: The keys to accept; None accepts every client.
        allowed_origins: Origins of web pages that may use the server; ``"*"`` for any.

    Raises:
        ConfigurationError: If an argument is not valid, or `host` needs `api_keys`.
    """

    def __init__(
        self,
        host: str,
        api_keys: Optional[Union[str, Iterable[str]]],
        allowed_origins: Union[str, Iterable[str]],
    ) -> None:
        self._keys = None if api_keys is None else _checked_keys(api_keys)
        if self._keys is None and not (host == "localhost" or _is_loopback(host)):
            raise ConfigurationError(
                f"host is {host!r}, which other machines can reach; allowed without api_keys: "
                "a loopback address such as '127.0.0.1'"
            )
        self._host = host.lower()
        origins = _checked_origins(allowed_origins)
        self._any = "*" in origins
        self._origins = origins
        self._hosts = {"localhost", self._host, *(_name(urlsplit(one).netloc) for one in origins)}

    def refusal(self, request: Request, address: str) -> Optional[Refusal]:
        """Return how to refuse a handshake, or None to accept it.

        Args:
            request: The handshake.
            address: This machine's address on which it came.
        """
        hosts = request.headers.get_all("Host")
        if not self._any:
            if len(hosts) != 1 or not self._is_ours(_name(hosts[0]), address):
                return Refusal(
                    HTTPStatus.FORBIDDEN,
                    "The header Host does not name this server: connect to its address, or name "
                    "the host in LocalServer(allowed_origins=…).",
                )
            if not all(
                self._is_allowed(one.lower(), hosts[0].lower())
                for one in request.headers.get_all("Origin")
            ):
                return Refusal(
                    HTTPStatus.FORBIDDEN,
                    "Web pages of this Origin may not use this server; "
                    "LocalServer(allowed_origins=…) names those that may.",
                )
        parts = urlsplit(request.path)
        if parts.path != "/v2" and not parts.path.startswith("/v2/"):
            return Refusal(HTTPStatus.NOT_FOUND, "The endpoint is /v2.")
        if self._keys is not None and not _has_key(request, parts.query, self._keys):
            return Refusal(HTTPStatus.UNAUTHORIZED, "The key is missing or not valid.")
        return None

    def _is_ours(self, name: str, address: str) -> bool:
        if name in self._hosts or name.endswith(".localhost") or _is_loopback(name):
            return True
        # Behind a forwarded port the address is not known. A name that somebody else gave to this
        # machine is what matters, and an address is none.
        return name == address or (_is_any(self._host) and _is_address(name))

    def _is_allowed(self, origin: str, host: str) -> bool:
        # Clients that are no browsers, such as websocket-client, name the server itself.
        return origin in self._origins or origin in (f"http://{host}", f"https://{host}")


def _checked_keys(api_keys: Union[str, Iterable[str]]) -> frozenset[str]:
    keys = [api_keys] if isinstance(api_keys, (str, bytes)) else list(api_keys)
    # A header cannot hold any other.
    if not keys or not all(isinstance(key, str) and re.fullmatch(r"\S+", key) for key in keys):
        raise ConfigurationError(
            "api_keys is empty, or a key in it is empty, has white space or is no string; "
            "give keys as strings, or None"
        )
    return frozenset(keys)


def _checked_origins(allowed_origins: Union[str, Iterable[str]]) -> frozenset[str]:
    given = [allowed_origins] if isinstance(allowed_origins, (str, bytes)) else allowed_origins
    origins = [one.lower() if isinstance(one, str) else "" for one in given]
    if not all(one == "*" or _ORIGIN.fullmatch(one) for one in origins):
        raise ConfigurationError(
            f"allowed_origins is {allowed_origins!r}; allowed: origins such as "
            "'https://app.example.com:8080', or '*' for any"
        )
    return frozenset(origins)


def _has_key(request: Request, query: str, keys: Iterable[str]) -> bool:
    """Whether a handshake has one of the keys, compared in constant time."""
    given = parse_qs(query).get("jwt", [])
    for value in request.headers.get_all("Authorization"):
        scheme, _, key = value.partition(" ")
        if scheme.lower() == "bearer":
            given.append(key.strip())
    # Bytes of a header that are not ASCII come as surrogates.
    encoded = [one.encode("utf-8", "surrogateescape") for one in given]
    return any(hmac.compare_digest(one, key.encode()) for one in encoded for key in keys)


def _name(netloc: str) -> str:
    """Return the host's name in a ``Host`` header or an origin, empty if there is none."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _is_any(host: str) -> bool:
    return _is_address(host) and ipaddress.ip_address(host).is_unspecified
