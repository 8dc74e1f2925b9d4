"""Fetching one temporary key from the management platform.

Nothing here shows a key: not a ``repr``, not an error, not the context of an error. The exceptions
of ``requests`` hold the request and with it its headers, so `_attempt` handles all of them, and
ours are raised outside its ``except`` blocks.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Optional, Union

from .._concurrency.cancellation import Cancellation
from .._concurrency.deadlines import Deadline
from .._concurrency.exhaustion import exhausted
from .._concurrency.importing import import_modules
from .._model.secret import Secret
from .._transport.addresses import REQUEST_ID_HEADER
from .._transport.retry_after import http_date, seconds_to_wait
from .._words import Words
from ..errors import AuthenticationError, SpeechmaticsError

if TYPE_CHECKING:
    import requests

__all__ = ["Bearer", "ManagementPlatform", "TemporaryKey", "raise_if_cancelled"]

_TOTAL_SECONDS = 30.0
_ATTEMPTS = 3
_ATTEMPT_SECONDS = 10.0
_FIRST_DELAY = 0.5

_BODY_LIMIT = 64 * 1024
_REASON_LENGTH = 200

_ADVICE = {
    **dict.fromkeys(
        range(300, 400),
        " Redirects are not followed with a key: set mp_url to the address itself.",
    ),
    401: " The API key is not valid: check api_key=… or SPEECHMATICS_API_KEY.",
    403: " The API key may not make temporary keys: check it, and what its plan allows.",
    429: " Too many temporary keys were asked for: share one JWTAuth, or a longer ttl.",
}


class TemporaryKey(NamedTuple):
    """A temporary key, and until when to use it."""

    token: Secret[str]
    until: Deadline


class Bearer:
    """Adds the API key to a request, and hides it from tracebacks.

    ``requests`` calls it. Without an ``auth``, ``requests`` would read ``~/.netrc`` and overwrite
    the Authorization header with what it finds there.
    """

    __slots__ = ("key",)

    def __init__(self, key: Secret[str]) -> None:
        self.key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.key.reveal()}"
        return request

    def __repr__(self) -> str:
        return "Bearer(<key>)"

    def scrub(self, words: str) -> str:
        """Return the server's words in one short line, without the key if they repeat it."""
        return Words(self.key.reveal()).clean(words, _REASON_LENGTH)


class ManagementPlatform:
    """Makes temporary keys.

    Args:
        url: Its address, without a path.
        bearer: The API key.
        order: The body of each request; its ``ttl`` counts if the key does not tell its own.
        request_id: Sent with each request; None makes one for each fetch.
    """

    def __init__(
        self,
        url: str,
        bearer: Bearer,
        order: Mapping[str, Union[int, str]],
        request_id: Optional[str],
    ) -> None:
        self.url = url
        self._bearer = bearer
        self._order = order
        self._request_id = request_id
        self._pause = _pause  # tests wait less

    def fetch(self, cancellation: Cancellation, ttl: Optional[int] = None) -> TemporaryKey:
        """Return a new temporary key, in at most three attempts and about 30 seconds.

        Args:
            cancellation: Ends it.
            ttl: How many seconds the key is to live, in place of what the order says.

        Raises:
            AuthenticationError: There is none, or the caller is no longer waiting.
        """
        import random
        import uuid

        order = self._order if ttl is None else {**self._order, "ttl": ttl}
        deadline = Deadline(_TOTAL_SECONDS)
        request_id = self._request_id or str(uuid.uuid4())
        asked = f"Asked {self.url} for a temporary key ({REQUEST_ID_HEADER} {request_id})"
        for attempt in range(1, _ATTEMPTS + 1):
            sent = time.monotonic()
            raise_if_cancelled(cancellation)
            outcome = self._attempt(order, request_id, deadline, cancellation)
            raise_if_cancelled(cancellation)  # then the answer may have been cut off
            if isinstance(outcome, _Answer) and outcome.status == 201:
                key = self._accept(outcome, sent, asked, float(order["ttl"]))
                cancellation.log.debug("%s: received one", asked)
                return key
            if isinstance(outcome, _Answer):
                failure = self._refusal(outcome, asked)
                again = outcome.status == 429 or outcome.status >= 500
                delay = outcome.retry_after()
            else:
                failure = AuthenticationError(
                    f"{asked}: {outcome.reason}. Check the network, and mp_url."
                )
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
                # Random, so that many processes refused together do not come back together.
                delay = min(left, _FIRST_DELAY * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))
            cancellation.log.warning("%s Trying again in %.1f s.", failure.message, delay)
            self._pause(cancellation, delay)
            if deadline.passed():
                raise _ended(failure, f"Gave up after {_TOTAL_SECONDS:.0f} s; try again later.")
        raise AssertionError("the last attempt returns or raises")

    def _attempt(
        self,
        order: Mapping[str, Union[int, str]],
        request_id: str,
        deadline: Deadline,
        cancellation: Cancellation,
    ) -> Union[_Answer, _NoAnswer]:
        import_modules("requests", f"{__package__}.cancellable_http")
        import requests

        from .._transport.tls import tls_context
        from .cancellable_http import CancellableSession

        query = {"type": "rt"}
        if cancellation.sdk_identifier:
            query["sm-sdk"] = cancellation.sdk_identifier
        limit = max(0.001, deadline.remaining(_ATTEMPT_SECONDS) or 0.0)
        whole = Deadline(limit)
        try:
            tls = tls_context(cancellation.ssl_context)
            with CancellableSession(tls) as http, cancellation.on_cancel(http.cancel):
                # A proxy from the environment would be another machine, which plain http must not
                # reach.
                http.trust_env = not self.url.startswith("http:")
                with http.post(
                    f"{self.url}/v1/api_keys",
                    params=query,
                    json=order,
                    headers={REQUEST_ID_HEADER: request_id},
                    auth=self._bearer,
                    timeout=limit,
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    body = b""
                    for chunk in response.iter_content(4096):
                        body += chunk
                        if len(body) > _BODY_LIMIT:
                            return _NoAnswer(
                                f"its answer is longer than {_BODY_LIMIT} bytes", False
                            )
                        if whole.passed():
                            return _NoAnswer(f"its answer took longer than {limit:.0f} s", True)
                    return _Answer(
                        response.status_code,
                        response.headers.get("Retry-After"),
                        response.headers.get("Date"),
                        body,
                    )
        except requests.Timeout:
            return _NoAnswer(f"no answer within {limit:.0f} s", True)
        except OSError as error:  # those of requests are
            return _no_answer(error)

    def _accept(self, answer: _Answer, sent: float, asked: str, ttl: float) -> TemporaryKey:
        found = Secret(answer.member("key_value"))
        token = Secret(str(found.reveal()))
        if not isinstance(found.reveal(), str) or not re.fullmatch(r"[\x21-\x7e]+", token.reveal()):
            raise AuthenticationError(
                f"{asked}: it answered 201, but what it sent holds no temporary key "
                '(a JSON object with a "key_value"). Is mp_url the management platform?',
                status=answer.status,
            )
        lifetime = _lifetime(token, answer.date)
        if lifetime is None:
            lifetime = ttl
        # Leave time for the handshake that carries the key, but not much of a short life.
        margin = min(10.0, lifetime / 10)
        # From before the request: the key may have been made at once. If this machine was suspended
        # a key can still be too old: the handshake's 401 then leads to one fresh key.
        return TemporaryKey(token, Deadline(lifetime - margin - (time.monotonic() - sent)))

    def _refusal(self, answer: _Answer, asked: str) -> AuthenticationError:
        status = answer.status
        reason = self._bearer.scrub(answer.body.decode("utf-8", "replace"))
        said = f" ({reason})." if reason else "."
        return AuthenticationError(
            f"{asked}: it answered {status}{said}{_ADVICE.get(status, '')}",
            status=status,
            reason=reason or None,
        )


def raise_if_cancelled(cancellation: Cancellation) -> None:
    """Raise AuthenticationError if the key is no longer wanted."""
    if cancellation.cancelled:
        raise AuthenticationError("The temporary key is no longer needed.")


def _pause(cancellation: Cancellation, seconds: float) -> None:
    # A Condition, whose lock is reentrant: a signal handler may cancel in this very thread.
    changed = threading.Condition()

    def wake() -> None:
        with changed:
            changed.notify_all()

    with cancellation.on_cancel(wake), changed:
        changed.wait_for(lambda: cancellation.cancelled, seconds)


def _ended(failure: AuthenticationError, why: str) -> AuthenticationError:
    return AuthenticationError(
        f"{failure.message} {why}", status=failure.status, reason=failure.reason
    )


# -- answers ------------------------------------------------------------------------------------


class _Answer:
    """What the platform answered. The body may hold a key and is not shown."""

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


class _NoAnswer(NamedTuple):
    """Why there was no answer, and whether another attempt may succeed."""

    reason: str
    may_pass: bool


def _no_answer(error: Exception) -> _NoAnswer:
    """Describe an error without its own words, which may hold a proxy's password."""
    cause: Optional[BaseException] = error
    system: Optional[OSError] = None
    ours: Optional[SpeechmaticsError] = None
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, SpeechmaticsError):
            ours = cause
        if isinstance(cause, OSError) and cause.strerror:
            system = cause
        cause = cause.__cause__ or cause.__context__
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        from .._transport.tls import AUTHORITIES_ADVICE

        # Asking again does not make it valid.
        advice = AUTHORITIES_ADVICE.rstrip(".")
        return _NoAnswer(f"its TLS certificate cannot be verified. {advice}", False)
    limit_met = exhausted(error)
    if limit_met is not None:
        return _NoAnswer(limit_met.message.rstrip("."), True)
    if ours is not None:  # its words hide passwords
        return _NoAnswer(ours.message.rstrip("."), True)
    name = type(error).__name__
    return _NoAnswer(f"{system.strerror} ({name})" if system else name, True)


def _lifetime(token: Secret[str], date: Optional[float]) -> Optional[float]:
    """Return how many seconds a token lives; None if it does not say so.

    By the service's own times alone: the wall clock of this machine may be wrong, so the age of a
    key is measured with the monotonic clock.

    Args:
        token: A JWT, or anything else.
        date: When the service made it, if the token does not say so.
    """
    import jwt

    try:
        # Unverified: the service verifies it. This only decides when to fetch another.
        claims = jwt.decode(token.reveal(), options={"verify_signature": False})
    except jwt.PyJWTError:
        claims = {}
    expires, issued = _seconds(claims.get("exp")), _seconds(claims.get("iat"))
    if issued is None:
        issued = date
    if expires is None or issued is None:
        return None
    return max(0.0, expires - issued)


def _seconds(claim: object) -> Optional[float]:
    if isinstance(claim, bool) or not isinstance(claim, (int, float)):
        return None
    try:
        return float(claim) if math.isfinite(claim) else None
    except OverflowError:
        return None
