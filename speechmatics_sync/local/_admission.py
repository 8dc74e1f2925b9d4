"""Who may use the server, by what a request says: its path, Host, Origin and key.

A browser lets any page of the web connect to a server on this machine. It names the page in
``Origin``, and the name by which it found the server in ``Host``, which is the page's own where
its DNS name was made to lead here. So both are checked, with and without keys.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple, Optional, Union
from urllib.parse import parse_qs, urlsplit

from websockets.http11 import Request

from speechmatics_sync import ConfigurationError

from ._temporary_keys import TemporaryKeys

__all__ = ["Admission", "ApiKeys", "Refusal"]

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s]+")


_KEYS_PATH = "/v1/api_keys"
_SHORTEST_TTL, _LONGEST_TTL = 60, 86400


class Refusal(NamedTuple):
    """The answer to a request that is refused.

    Args:
        status: The HTTP status.
        reason: What is wrong and what to do, in one sentence.
    """

    status: HTTPStatus
    reason: str


class ApiKeys:
    """The keys that a server accepts, hidden from tracebacks, which show variables.

    Args:
        given: The keys, or the only one; None accepts every client.
    """

    def __init__(self, given: Optional[Union[str, Iterable[str]]]) -> None:
        # Does not raise: it has the keys in variables.
        self._keys: Optional[frozenset[str]] = None
        if given is not None:
            keys = [given] if isinstance(given, (str, bytes)) else list(given)
            # A header cannot hold any other.
            usable = all(isinstance(key, str) and re.fullmatch(r"\S+", key) for key in keys)
            self._keys = frozenset(keys if usable else ())

    @property
    def wanted(self) -> bool:
        """Whether a client needs a key.

        Raises:
            ConfigurationError: None was given that a client could send.
        """
        if self._keys is not None and not self._keys:
            raise ConfigurationError(
                "api_keys is empty, or a key in it is empty, has white space or is no string; "
                "give keys as strings, or None"
            )
        return self._keys is not None

    def accept(self, given: Iterable[str]) -> bool:
        """Whether one of the keys was given or none is wanted, compared in constant time."""
        return self._keys is None or any(
            hmac.compare_digest(_encoded(one), key.encode()) for one in given for key in self._keys
        )


class Admission:
    """Decides about handshakes, and makes temporary keys for those who have a key.

    Args:
        host: The address that the server listens at, as the user named it.
        api_keys: The keys to accept.
        allowed_origins: Origins of web pages that may use the server; ``"*"`` for any.

    Raises:
        ConfigurationError: If an argument is not valid, or `host` needs `api_keys`.
    """

    def __init__(
        self,
        host: str,
        api_keys: ApiKeys,
        allowed_origins: Union[str, Iterable[str]],
    ) -> None:
        self._api_keys = api_keys
        if not api_keys.wanted and not (host == "localhost" or _is_loopback(host)):
            raise ConfigurationError(
                f"host is {host!r}, which other machines can reach; allowed without api_keys: "
                "a loopback address such as '127.0.0.1'"
            )
        self._temporary_keys = TemporaryKeys()
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
        refusal = self._foreign(request, address)
        if refusal is not None:
            return refusal
        parts = urlsplit(request.path)
        if parts.path == _KEYS_PATH:
            return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Temporary keys are asked for with POST.")
        if re.match("/v2/agent(/|$)", parts.path):
            return Refusal(
                HTTPStatus.NOT_FOUND,
                "This server transcribes and has no voice agents: the endpoint is /v2.",
            )
        if parts.path != "/v2" and not parts.path.startswith("/v2/"):
            return Refusal(HTTPStatus.NOT_FOUND, "The endpoint is /v2.")
        given = [*parse_qs(parts.query).get("jwt", []), *_bearer(request)]
        if not self._api_keys.accept(given) and not any(
            self._temporary_keys.accept(_encoded(key)) for key in given
        ):
            return Refusal(HTTPStatus.UNAUTHORIZED, "The key is missing or not valid.")
        return None

    def temporary_key(self, request: Request, address: str, body: bytes) -> Union[Refusal, str]:
        """Return a new temporary key, as JSON, or how to refuse it.

        Args:
            request: The head of a POST.
            address: This machine's address on which it came.
            body: What was posted.
        """
        refusal = self._foreign(request, address)
        if refusal is not None:
            return refusal
        parts = urlsplit(request.path)
        if parts.path != _KEYS_PATH:
            return Refusal(HTTPStatus.NOT_FOUND, f"POST is for {_KEYS_PATH} alone.")
        if not self._api_keys.accept(_bearer(request)):  # a temporary one will not do
            return Refusal(HTTPStatus.UNAUTHORIZED, "The API key is missing or not valid.")
        if parse_qs(parts.query).get("type") != ["rt"]:
            return Refusal(HTTPStatus.BAD_REQUEST, "The query must be type=rt.")
        try:
            order = json.loads(body)
            ttl = order["ttl"]
        except (ValueError, RecursionError, TypeError, KeyError):
            return Refusal(HTTPStatus.BAD_REQUEST, "The body must be a JSON object with a ttl.")
        if type(ttl) is not int or not _SHORTEST_TTL <= ttl <= _LONGEST_TTL:
            return Refusal(
                HTTPStatus.BAD_REQUEST,
                f"ttl must be an integer from {_SHORTEST_TTL} to {_LONGEST_TTL}.",
            )
        return json.dumps({"apikey_id": None, "key_value": self._temporary_keys.make(ttl)})

    def _foreign(self, request: Request, address: str) -> Optional[Refusal]:
        """Return how to refuse a request with the Host or the Origin of somebody else."""
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


def _checked_origins(allowed_origins: Union[str, Iterable[str]]) -> frozenset[str]:
    given = [allowed_origins] if isinstance(allowed_origins, (str, bytes)) else allowed_origins
    origins = [one.lower() if isinstance(one, str) else "" for one in given]
    if not all(one == "*" or _ORIGIN.fullmatch(one) for one in origins):
        raise ConfigurationError(
            f"allowed_origins is {allowed_origins!r}; allowed: origins such as "
            "'https://app.example.com:8080', or '*' for any"
        )
    return frozenset(origins)


def _bearer(request: Request) -> list[str]:
    """Return the keys in the header Authorization."""
    values = [value.partition(" ") for value in request.headers.get_all("Authorization")]
    return [key.strip() for scheme, _, key in values if scheme.lower() == "bearer"]


def _encoded(key: str) -> bytes:
    # Bytes of a header that are not ASCII come as surrogates.
    return key.encode("utf-8", "surrogateescape")


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
