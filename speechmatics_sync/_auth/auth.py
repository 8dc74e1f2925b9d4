"""Who the client is to the service: an API key, or a temporary key bought with one.

A temporary key (a JWT) is fetched from the management platform when it is first needed and kept
until shortly before it expires. Its age is judged by this machine's monotonic clock alone, for
the token's times are the service's and the wall clock here may be wrong: what counts is how long
the token lives, not when.

One thread fetches; whoever asks meanwhile waits for it and shares what it gets, a failure too, so
that a refusing service sees one request and not one for each thread. No lock is held while the
network is waited for. A thread that works for a session ends with it: one that waits stops waiting,
and one that fetches breaks off, for another to begin anew.

Nothing here shows a key: not a ``repr``, not an error, not the chain of an error. The exceptions
of ``requests`` hold the request and with it its headers, so they end in `_attempt`, and ours are
raised outside of their ``except`` blocks.
"""

from __future__ import annotations

import abc
import copy
import math
import os
import re
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Union
from urllib.parse import urlsplit

from .._concurrency.cancellation import Cancellation, current_cancellation
from .._concurrency.deadlines import Deadline
from .._model.checks import Check, Unfit, number, or_none, text
from .._transport.addresses import REQUEST_ID_HEADER, is_loopback
from .._transport.retry_after import http_date, seconds_to_wait
from ..errors import AuthenticationError, ConfigurationError, missing_extra

if TYPE_CHECKING:
    import requests

__all__ = ["AuthBase", "JWTAuth", "StaticKeyAuth"]

_KEY_VARIABLE = "SPEECHMATICS_API_KEY"
_PLATFORM_VARIABLE = "SM_MANAGEMENT_PLATFORM_URL"
_PLATFORM_URL = "https://mp.speechmatics.com"

_TOTAL_SECONDS = 30.0
_ATTEMPTS = 3
_ATTEMPT_SECONDS = 10.0
_FIRST_DELAY = 0.5

_ANSWER_BYTES = 64 * 1024
_REASON_LENGTH = 200


class AuthBase(abc.ABC):
    """Gives the headers that carry a key, once for each connection.

    Derive from it to bring keys from elsewhere:

    >>> class VaultAuth(AuthBase):
    ...     def get_auth_headers(self):
    ...         return {"Authorization": "Bearer " + "from-the-vault"}
    >>> sorted(VaultAuth().get_auth_headers())
    ['Authorization']
    """

    @abc.abstractmethod
    def get_auth_headers(self) -> dict[str, str]:
        """Return the headers to connect with; may block, and any thread may call it.

        Raises:
            AuthenticationError: There is no key to be had.
        """

    def invalidate(self) -> bool:
        """Drop a key that the service refused, and return whether a fresh one can be had.

        A handshake that answers 401 is tried once more if it can. By default there is none.
        """
        return False


class StaticKeyAuth(AuthBase):
    """Connects with one API key.

    Args:
        api_key: The key; None reads ``SPEECHMATICS_API_KEY`` now. An empty string is no key,
            and so is a variable that is not set: a container of one's own takes none.

    Raises:
        ConfigurationError: The key has characters that no key has.

    >>> StaticKeyAuth("an-api-key").get_auth_headers()
    {'Authorization': 'Bearer an-api-key'}
    >>> StaticKeyAuth("").get_auth_headers()
    {}
    """

    def __init__(self, api_key: Optional[str] = None) -> None:
        self._key = _key(api_key)

    @property
    def has_key(self) -> bool:
        """Whether there is a key; without one no Authorization header is sent."""
        return bool(self._key)

    def get_auth_headers(self) -> dict[str, str]:
        """Return the Authorization header, or nothing without a key."""
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}

    def __repr__(self) -> str:
        return f"StaticKeyAuth({'<key>' if self._key else '<no key>'})"


class JWTAuth(AuthBase):
    """Connects with temporary keys, each fetched with the API key and used until it expires.

    Needs ``pip install "speechmatics-sync[jwt]"``. One object serves any number of clients and
    threads, which then share a key. The fetch takes at most three attempts and about 30 seconds.

    Args:
        api_key: The key to buy with; None reads ``SPEECHMATICS_API_KEY`` now.
        ttl: How long a temporary key lives, 60 to 86400 seconds. A session that has begun
            outlives it.
        region: Deprecated by the service and without effect.
        client_ref: A reference of the caller's own; the service ignores it for realtime keys.
        mp_url: The management platform; None reads ``SM_MANAGEMENT_PLATFORM_URL``, then takes
            ``https://mp.speechmatics.com``. Plain ``http`` reaches this machine only.
        request_id: Sent as ``X-Request-Id`` with every fetch; None makes one for each fetch.

    Raises:
        ConfigurationError: A value is refused, there is no API key, or the extra is missing.

    Source: https://docs.speechmatics.com/get-started/authentication (temporary keys)

    >>> auth = JWTAuth("an-api-key", ttl=3600)
    >>> auth
    JWTAuth(<key>, ttl=3600, mp_url='https://mp.speechmatics.com')

    ``Client(auth=auth)`` fetches the first temporary key when it connects.
    """

    # Guards _kept and _fetch; is notified when a fetch is done, or a thread is to wait no longer.
    _changed: threading.Condition
    _kept: Optional[_Kept]
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
        try:
            import jwt  # noqa: F401
            import requests  # noqa: F401
        except ImportError:
            raise missing_extra("JWTAuth", "requests and PyJWT", "jwt") from None
        self._bearer = _Bearer(_key(api_key))
        if not self._bearer.key:
            raise ConfigurationError(
                f"JWTAuth has no API key to fetch temporary keys with: set {_KEY_VARIABLE} "
                "or pass api_key=…."
            )
        self._ttl: int = _checked(
            "ttl", ttl, number(60, 86_400, whole=True, unit="(a number of seconds)")
        )
        self._order: dict[str, Union[int, str]] = {
            "ttl": self._ttl,
            "region": _checked("region", region, text(1)),
        }
        if _checked("client_ref", client_ref, or_none(text(1))) is not None:
            self._order["client_ref"] = str(client_ref)
        self._request_id: Optional[str] = _checked(
            "request_id",
            request_id,
            or_none(text(1, pattern=r"[\x21-\x7e]+", allowed="visible ASCII characters")),
        )
        self._mp_url = _platform(mp_url)
        self._wait: Callable[[Cancellation, float], object] = self._pause
        self._forget_other_process()

    def get_auth_headers(self) -> dict[str, str]:
        """Return the Authorization header with a temporary key, fetched if there is none at hand.

        Raises:
            AuthenticationError: The service refused the API key (its ``status`` says so), gave no
                temporary key, or could not be reached.
        """
        return {"Authorization": f"Bearer {self._token()}"}

    def invalidate(self) -> bool:
        """Drop the temporary key, so that the next call fetches another; return True."""
        if self._process == os.getpid():
            with self._changed:
                self._kept = None
        return True

    def __repr__(self) -> str:
        return f"JWTAuth(<key>, ttl={self._ttl}, mp_url={self._mp_url!r})"

    def _forget_other_process(self) -> None:
        # A fork copies the lock as it was and a fetch whose thread is not there to finish it.
        # The process id is set last: whoever sees it sees the rest too.
        self._changed = threading.Condition()
        self._kept = None
        self._fetch = None
        self._process = os.getpid()

    def _token(self) -> str:
        if self._process != os.getpid():
            self._forget_other_process()
        cancellation = current_cancellation()
        while True:
            with self._changed:
                if self._kept is not None and not self._kept.until.passed():
                    return self._kept.token
                fetch = self._fetch
                mine = fetch is None
                if fetch is None:
                    fetch = self._fetch = _Fetch()
            if mine:
                return self._run(fetch, cancellation)
            self._wait_for(fetch, cancellation)
            if fetch.error is not None:
                # A copy, for a session writes its ids into the error it raises.
                raise copy.copy(fetch.error)
            if fetch.kept is not None:
                return fetch.kept.token
            # Whoever fetched was interrupted, and that is not this thread's failure: ask anew.

    def _run(self, fetch: _Fetch, cancellation: Cancellation) -> str:
        """Fetch for all who wait."""
        try:
            fetch.kept = self._buy(cancellation)
        except AuthenticationError as error:
            if not cancellation.cancelled:
                fetch.error = copy.copy(error)
            raise
        finally:
            with self._changed:
                self._kept = fetch.kept
                self._fetch = None
                fetch.done = True
                self._changed.notify_all()
        return fetch.kept.token

    def _wait_for(self, fetch: _Fetch, cancellation: Cancellation) -> None:
        with cancellation.on_cancel(self._wake), self._changed:
            self._changed.wait_for(lambda: fetch.done or cancellation.cancelled)
        _end_if_cancelled(cancellation)

    def _pause(self, cancellation: Cancellation, seconds: float) -> None:
        with cancellation.on_cancel(self._wake), self._changed:
            self._changed.wait_for(lambda: cancellation.cancelled, seconds)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _buy(self, cancellation: Cancellation) -> _Kept:
        import random
        import uuid

        deadline = Deadline(_TOTAL_SECONDS)
        request_id = self._request_id or str(uuid.uuid4())
        asked = f"Asked {self._mp_url} for a temporary key ({REQUEST_ID_HEADER} {request_id})"
        for attempt in range(1, _ATTEMPTS + 1):
            sent = time.monotonic()
            _end_if_cancelled(cancellation)
            outcome = self._attempt(request_id, deadline, cancellation)
            _end_if_cancelled(cancellation)  # then what came may have been cut off
            if isinstance(outcome, _Answer) and outcome.status == 201:
                kept = self._accept(outcome, sent, asked)
                cancellation.log.debug("%s: received one", asked)
                return kept
            if isinstance(outcome, _Answer):
                failure = self._refusal(outcome, asked)
                again = outcome.status == 429 or outcome.status >= 500
                delay = outcome.retry_after()
            else:
                failure = AuthenticationError(f"{asked}: {outcome.what}.")
                again, delay = outcome.may_pass, None
            if not again:
                raise failure
            left = deadline.remaining() or 0.0
            if attempt == _ATTEMPTS:
                raise _ended(failure, f"Gave up after {_ATTEMPTS} attempts; try again later.")
            if delay is not None and delay > left:
                raise _ended(
                    failure,
                    f"It wants {delay:.0f} s of waiting (Retry-After), which is more than the "
                    f"{left:.0f} s left of {_TOTAL_SECONDS:.0f}; try again then.",
                )
            if delay is None:
                # Spread, so that many processes that were refused together come back apart.
                delay = min(left, _FIRST_DELAY * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))
            cancellation.log.warning("%s Trying again in %.1f s.", failure.message, delay)
            self._wait(cancellation, delay)
            if deadline.passed():
                raise _ended(failure, f"Gave up after {_TOTAL_SECONDS:.0f} s; try again later.")
        raise AssertionError("the last attempt returns or raises")

    def _attempt(
        self, request_id: str, deadline: Deadline, cancellation: Cancellation
    ) -> Union[_Answer, _Fault]:
        import requests

        from .cancellable_http import EndableSession

        limit = max(0.001, deadline.remaining(_ATTEMPT_SECONDS) or 0.0)
        whole = Deadline(limit)
        try:
            with EndableSession() as http, cancellation.on_cancel(http.end):
                # Plain http reaches this machine only; a proxy from the environment would be
                # another one.
                http.trust_env = not self._mp_url.startswith("http:")
                with http.post(
                    f"{self._mp_url}/v1/api_keys",
                    params={"type": "rt"},
                    json=self._order,
                    headers={REQUEST_ID_HEADER: request_id},
                    auth=self._bearer,
                    timeout=limit,
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    body = b""
                    for chunk in response.iter_content(4096):
                        body += chunk
                        if len(body) > _ANSWER_BYTES:
                            return _Fault(f"its answer is longer than {_ANSWER_BYTES} bytes", False)
                        if whole.passed():
                            return _Fault(f"its answer took longer than {limit:.0f} s", True)
                    return _Answer(
                        response.status_code,
                        response.headers.get("Retry-After"),
                        response.headers.get("Date"),
                        body,
                    )
        except requests.Timeout:
            return _Fault(f"no answer within {limit:.0f} s", True)
        except requests.RequestException as error:
            return _fault(error)

    def _accept(self, answer: _Answer, sent: float, asked: str) -> _Kept:
        token = answer.member("key_value")
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise AuthenticationError(
                f"{asked}: it answered 201, but what it sent holds no temporary key "
                '(a JSON object with a "key_value").',
                status=answer.status,
            )
        lifetime = _lifetime(token, answer.date, self._ttl)
        # Time for the handshake that will carry it, without spending a short life on it.
        margin = min(10.0, lifetime / 10)
        # Counted from before the request: the token may have been made at once. A machine that
        # slept can still present one that is too old, which is then a 401 and one fresh token.
        return _Kept(token, Deadline(lifetime - margin - (time.monotonic() - sent)))

    def _refusal(self, answer: _Answer, asked: str) -> AuthenticationError:
        status = answer.status
        reason = self._bearer.scrub(answer.body.decode("utf-8", "replace"))
        what = f"{asked}: it answered {status}" + (f" ({reason})." if reason else ".")
        if status == 401:
            what += " The API key is not valid: check api_key=… or SPEECHMATICS_API_KEY."
        elif status == 403:
            what += " The API key may not make temporary keys: check it, and what its plan allows."
        elif 300 <= status < 400:
            what += " Redirects are not followed with a key: set mp_url to the address itself."
        elif status == 429:
            what += " Too many temporary keys were asked for: share one JWTAuth, or a longer ttl."
        return AuthenticationError(what, status=status, reason=reason or None)


class _Kept(NamedTuple):
    """A temporary key, and until when it is used."""

    token: str
    until: Deadline

    def __repr__(self) -> str:
        return "_Kept(<token>)"


class _Fetch:
    """A fetch under way; once it is done it has a key or an error, or neither if interrupted."""

    __slots__ = ("done", "error", "kept")

    def __init__(self) -> None:
        self.done = False
        self.kept: Optional[_Kept] = None
        self.error: Optional[AuthenticationError] = None


class _Fault(NamedTuple):
    """Why there was no answer, and whether another attempt may fare better."""

    what: str
    may_pass: bool


class _Answer:
    """What the management platform answered; its body may be a key and is not shown."""

    __slots__ = ("body", "date", "status", "wants")

    def __init__(
        self, status: int, retry_after: Optional[str], date: Optional[str], body: bytes
    ) -> None:
        self.status = status
        self.wants = retry_after
        self.date = http_date(date)
        self.body = body

    def member(self, name: str) -> object:
        """Return a member of the JSON object that the body should be, or None."""
        import json

        try:
            content = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return content.get(name) if isinstance(content, dict) else None

    def retry_after(self) -> Optional[float]:
        """Return the seconds to wait that the answer asks for."""
        return None if self.wants is None else seconds_to_wait(self.wants, date=self.date)


class _Bearer:
    """Puts the key on a request, and is what a traceback shows in its place.

    ``requests`` calls it. Without an ``auth`` it would look into ``~/.netrc`` and overwrite the
    Authorization header with what it finds there.
    """

    __slots__ = ("key",)

    def __init__(self, key: str) -> None:
        self.key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.key}"
        return request

    def __repr__(self) -> str:
        return "_Bearer(<key>)"

    def scrub(self, words: str) -> str:
        """Return the server's words in one short line, without the key should they repeat it."""
        line = " ".join(words.replace(self.key, "<key>").split())
        return line if len(line) <= _REASON_LENGTH else f"{line[: _REASON_LENGTH - 1]}…"


def _key(api_key: Optional[str]) -> str:
    """Return the key without surrounding white space; empty if there is none."""
    name = "api_key"
    if api_key is None:
        name, api_key = _KEY_VARIABLE, os.environ.get(_KEY_VARIABLE, "")
    if not isinstance(api_key, str):
        raise ConfigurationError(f"{name} is a {type(api_key).__name__}; allowed: a string")
    key = api_key.strip()
    if not re.fullmatch(r"[\x21-\x7e]*", key):
        # The value is not shown.
        raise ConfigurationError(
            f"{name} holds a space, a line break or a character outside ASCII; "
            "allowed: the key alone, without quotes around it or a word before it"
        )
    return key


def _checked(name: str, value: object, check: Check) -> Any:
    try:
        return check(value)
    except Unfit as unfit:
        message = str(unfit.within(name))
    raise ConfigurationError(message)


def _platform(mp_url: Optional[str]) -> str:
    name = "mp_url"
    if mp_url is None:
        name, mp_url = _PLATFORM_VARIABLE, os.environ.get(_PLATFORM_VARIABLE) or _PLATFORM_URL
    # The value may hold a password and is not shown before that is known.
    allowed = "an https:// URL without user, query or fragment (http:// to this machine only)"
    if not isinstance(mp_url, str) or not re.fullmatch(r"[\x21-\x7e]+", mp_url):
        raise ConfigurationError(f"{name} is not a URL; allowed: {allowed}")
    try:
        parts = urlsplit(mp_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port == 0 or re.search("[@?#]", mp_url):
        raise ConfigurationError(f"{name} is no such URL; allowed: {allowed}")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ConfigurationError(
            f"{name} is {mp_url!r}, to which the key would travel in clear text; allowed: {allowed}"
        )
    return mp_url.rstrip("/")


def _end_if_cancelled(cancellation: Cancellation) -> None:
    if cancellation.cancelled:
        raise AuthenticationError("Nobody waits for the temporary key any more.")


def _ended(failure: AuthenticationError, why: str) -> AuthenticationError:
    return AuthenticationError(
        f"{failure.message} {why}", status=failure.status, reason=failure.reason
    )


def _lifetime(token: str, date: Optional[float], ttl: int) -> float:
    """Return how many seconds a token lives, from the service's own times."""
    import jwt

    try:
        # Unverified: the service checks it, and nothing is decided here but when to ask again.
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        claims = {}
    expires, issued = _seconds(claims.get("exp")), _seconds(claims.get("iat"))
    if issued is None:
        issued = date
    if expires is None or issued is None:
        return float(ttl)
    return max(0.0, expires - issued)


def _seconds(claim: object) -> Optional[float]:
    if isinstance(claim, bool) or not isinstance(claim, (int, float)):
        return None
    try:
        return float(claim) if math.isfinite(claim) else None
    except OverflowError:
        return None


def _fault(error: Exception) -> _Fault:
    """Say what became of a request, without the error's own words, which may hold a proxy's key."""
    cause: Optional[BaseException] = error
    system: Optional[OSError] = None
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, OSError) and cause.strerror:
            system = cause
        cause = cause.__cause__ or cause.__context__
    words = f"{system.strerror} ({type(error).__name__})" if system else type(error).__name__
    # A certificate does not become valid by asking again.
    refused = "CERTIFICATE_VERIFY_FAILED" in str(error)
    if refused:
        words = (
            "its TLS certificate cannot be verified (REQUESTS_CA_BUNDLE names other authorities)"
        )
    return _Fault(words, not refused)
