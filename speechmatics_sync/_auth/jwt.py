"""Temporary keys (JWTs), fetched when needed and shared by all threads.

A temporary key is kept until shortly before it expires. One thread fetches; the others that need a
key wait for it and share its result, a failure included, so that a service that refuses sees one
request and not one for each thread. No lock is held while waiting for the network. A session that
is closed cancels its part: a thread that waits stops waiting, and a thread that fetches aborts the
request, which another thread then begins anew.
"""

from __future__ import annotations

import copy
import os
import re
import threading
from typing import TYPE_CHECKING, Any, Optional, Union
from urllib.parse import urlsplit

from .._concurrency.cancellation import Cancellation, current_cancellation
from .._model.checks import number, optional, string
from .._model.host_names import not_ascii, with_ascii_host
from .._model.secret import Secret
from .._model.settings import argument
from .._transport.addresses import is_loopback
from ..errors import AuthenticationError, ConfigurationError, missing_extra
from .keys import KEY_VARIABLE, AuthBase, checked_key
from .management_platform import Bearer, ManagementPlatform, TemporaryKey, raise_if_cancelled

if TYPE_CHECKING:
    import ssl

__all__ = ["JWTAuth"]

_PLATFORM_VARIABLE = "SM_MANAGEMENT_PLATFORM_URL"
_PLATFORM_URL = "https://mp.speechmatics.com"

_ttl = number(60, 86_400, whole=True, unit="(a number of seconds)")


class JWTAuth(AuthBase):
    """Connects with temporary keys, each fetched with the API key and used until it expires.

    Needs ``pip install "speechmatics-sync[jwt]"``. One object serves any number of clients and
    threads, which then share a key; a copy that is sent to another process fetches its own. The
    fetch takes at most three attempts and about 30 seconds, and verifies certificates as the
    session does that it is for.

    Args:
        api_key: The key to fetch with; None reads ``SPEECHMATICS_API_KEY`` now.
        ttl: How long a temporary key lives, 60 to 86400 seconds. A session that has begun
            outlives it.
        region: Deprecated by the service and without effect.
        client_ref: A reference of the caller's own; the service ignores it for realtime keys.
        mp_url: The management platform; None reads ``SM_MANAGEMENT_PLATFORM_URL``, then takes
            ``https://mp.speechmatics.com``. Plain ``http`` is allowed for this machine only.
        request_id: Sent as ``X-Request-Id`` with every fetch; None makes one for each fetch.

    Raises:
        ConfigurationError: A value is refused, there is no API key, or the extra is missing.

    Source: https://docs.speechmatics.com/get-started/authentication (temporary keys)

    >>> auth = JWTAuth("an-api-key", ttl=3600)
    >>> auth
    JWTAuth(<key>, ttl=3600, mp_url='https://mp.speechmatics.com')

    ``Client(auth=auth)`` fetches the first temporary key when it connects.
    """

    # Guards _kept and _fetch; notified when a fetch is done or a thread that waits is cancelled.
    _changed: threading.Condition
    _kept: Optional[TemporaryKey]
    _fetch: Optional[_Fetch]
    _process: int

    def __init__(
        self,
        api_key: Optional[str] = None,
        *,
        ttl: int = 60,
        region: str = "eu",
        client_ref: Optional[str] = None,
        mp_url: Optional[str] = None,
        request_id: Optional[str] = None,
    ) -> None:
        given, address = Secret(api_key), Secret(mp_url)
        del api_key, mp_url
        try:
            import jwt  # noqa: F401
            import requests  # noqa: F401
        except ImportError:
            raise missing_extra("JWTAuth", "requests and PyJWT", "jwt") from None
        bearer = Bearer(checked_key(given))
        if not bearer.key.reveal():
            raise ConfigurationError(
                f"JWTAuth has no API key to fetch temporary keys with: set {KEY_VARIABLE} "
                "or pass api_key=…."
            )
        self._ttl: int = argument("ttl", ttl, _ttl)
        order: dict[str, Union[int, str]] = {
            "ttl": self._ttl,
            "region": argument("region", region, string(1)),
        }
        if argument("client_ref", client_ref, optional(string(1))) is not None:
            order["client_ref"] = str(client_ref)
        visible = optional(string(1, pattern=r"[\x21-\x7e]+", allowed="visible ASCII characters"))
        self._platform = ManagementPlatform(
            _platform_url(address), bearer, order, argument("request_id", request_id, visible)
        )
        self._reset()

    def get_auth_headers(self) -> dict[str, str]:
        """Return the Authorization header with a temporary key, fetched if none is at hand.

        Raises:
            AuthenticationError: The service refused the API key (its ``status`` says so), gave no
                temporary key, or could not be reached.
        """
        return {"Authorization": f"Bearer {self._token().reveal()}"}

    def temporary_key(self, *, ttl: Optional[int] = None) -> str:
        """Return a new temporary key, to hand to somebody else: a browser that connects itself.

        Each call fetches one; it is not that of this object's clients. Whoever has it can begin
        sessions at your expense until it expires: ask who wants it first, and keep it short-lived.

        Args:
            ttl: How long it lives, 60 to 86400 seconds; None: as long as this object's keys.

        Returns:
            The key, a JWT. A browser puts it into the URL of its WebSocket, as ``?jwt=…``.

        Raises:
            AuthenticationError: As in `get_auth_headers`.
            ConfigurationError: ``ttl`` is refused.
        """
        seconds: Optional[int] = argument("ttl", ttl, optional(_ttl))
        return self._platform.fetch(current_cancellation(), seconds).token.reveal()

    def invalidate(self) -> bool:
        """Drop the temporary key, so that the next call fetches another; return True."""
        if self._process == os.getpid():
            with self._changed:
                self._kept = None
        return True

    def __repr__(self) -> str:
        return f"JWTAuth(<key>, ttl={self._ttl}, mp_url={self._platform.url!r})"

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process: the API key and the settings, and no temporary key."""
        return {"_ttl": self._ttl, "_platform": self._platform}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._reset()

    def _reset(self) -> None:
        """Start without a key; in a forked process too, whose copies of these are of no use.

        The lock may have been held, and the thread of a fetch is not there to finish it.
        """
        self._changed = threading.Condition()
        self._kept = None
        self._fetch = None
        self._process = os.getpid()  # last: a thread that sees it must see the rest

    def _token(self) -> Secret[str]:
        if self._process != os.getpid():
            self._reset()
        cancellation = current_cancellation()
        while True:
            with self._changed:
                if self._kept is not None and not self._kept.until.passed():
                    return self._kept.token
                fetch = self._fetch
                mine = fetch is None
                if fetch is None:
                    fetch = self._fetch = _Fetch(cancellation.ssl_context)
            if mine:
                return self._run(fetch, cancellation)
            self._wait_for(fetch, cancellation)
            if fetch.error is not None and fetch.ssl_context is cancellation.ssl_context:
                # A copy: a session writes its ids into the error it raises.
                raise copy.copy(fetch.error)
            if fetch.key is not None:
                return fetch.key.token
            # The thread that fetched was interrupted, or failed with another TLS context, which is
            # no failure of this one's.

    def _run(self, fetch: _Fetch, cancellation: Cancellation) -> Secret[str]:
        """Fetch for all threads that wait."""
        try:
            fetch.key = fetched = self._platform.fetch(cancellation)
        except AuthenticationError as error:
            if not cancellation.cancelled:
                fetch.error = copy.copy(error)
            raise
        finally:
            with self._changed:
                self._kept = fetch.key
                self._fetch = None
                fetch.done = True
                self._changed.notify_all()
        return fetched.token

    def _wait_for(self, fetch: _Fetch, cancellation: Cancellation) -> None:
        with cancellation.on_cancel(self._wake), self._changed:
            self._changed.wait_for(lambda: fetch.done or cancellation.cancelled)
        raise_if_cancelled(cancellation)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


class _Fetch:
    """A fetch in progress; when done it has a key or an error, or neither if interrupted."""

    __slots__ = ("done", "error", "key", "ssl_context")

    def __init__(self, ssl_context: Optional[ssl.SSLContext]) -> None:
        self.ssl_context = ssl_context
        self.done = False
        self.key: Optional[TemporaryKey] = None
        self.error: Optional[AuthenticationError] = None


def _platform_url(given: Secret[Optional[str]]) -> str:
    name, url = "mp_url", given
    if url.reveal() is None:
        name = _PLATFORM_VARIABLE
        # Stripped: what is read from a file ends with a line break.
        url = Secret(os.environ.get(_PLATFORM_VARIABLE, "").strip() or _PLATFORM_URL)
    problem = _problem(url)
    if problem is not None:
        allowed = "an https:// URL without user, query or fragment (http:// to this machine only)"
        raise ConfigurationError(f"{name} {problem}; allowed: {allowed}")
    return with_ascii_host(str(url.reveal())).rstrip("/")


def _problem(secret: Secret[Optional[str]]) -> Optional[str]:
    """Return what is wrong with a URL. Does not raise: it has the URL in a variable."""
    # It may hold a password: it is not shown until that is ruled out.
    url = secret.reveal()
    if not isinstance(url, str):
        return "is not a URL"
    url = with_ascii_host(url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is no such URL"
    foreign = not_ascii(host)
    if foreign is not None:
        return f"has {foreign}"
    if not re.fullmatch(r"[\x21-\x7e]+", url):
        return "is not a URL"
    if not host or port == 0 or re.search("[@?#]", url):
        return "is no such URL"
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        return f"is {url!r}, to which the key would travel in clear text"
    return None
