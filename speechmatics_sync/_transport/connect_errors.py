"""The errors for a connection that could not be made: one table by error, one by HTTP status."""

from __future__ import annotations

import ssl
from typing import NamedTuple, Optional, Union

from .._concurrency.exhaustion import exhausted
from .._words import printable
from ..errors import (
    AuthenticationError,
    ConnectionError,
    HandshakeCutError,
    SpeechmaticsError,
    TimeoutError,
)
from .tcp import is_time_limit
from .tls import AUTHORITIES_ADVICE
from .websocket_client import (
    WebSocketConnectionClosedException,
    WebSocketException,
    WebSocketTimeoutException,
)

__all__ = ["IS_IT_RIGHT", "error_by_status", "map_error"]

IS_IT_RIGHT = "Is the address that of a Realtime server?"


class _Row(NamedTuple):
    kinds: Union[type[BaseException], tuple[type[BaseException], ...]]
    words: str
    chained: bool
    failure: type[ConnectionError] = ConnectionError


# The first row that fits. An error that may hold what the server answered is not chained: the
# server may repeat the key, and a UnicodeDecodeError always holds what it could not decode.
_BY_ERROR = (
    _Row(
        WebSocketConnectionClosedException,
        "{where} closed the connection in the middle of the handshake. It may have no room.",
        chained=False,
        failure=HandshakeCutError,
    ),
    _Row(
        (WebSocketException, UnicodeDecodeError),
        "{where} did not answer as a WebSocket server does. " + IS_IT_RIGHT,
        chained=False,
    ),
    _Row(
        ssl.SSLCertVerificationError,
        "The certificate of {where} cannot be verified: {said}. " + AUTHORITIES_ADVICE,
        chained=True,
    ),
    _Row(
        ssl.SSLError,
        "No TLS with {where}: {said}. Does that port speak TLS (wss)?",
        chained=True,
    ),
    _Row(
        (ConnectionResetError, ConnectionAbortedError, BrokenPipeError),
        "{where} cut the connection before it answered: {said}. It may have no room for another.",
        chained=True,
        failure=HandshakeCutError,
    ),
    _Row(
        OSError,
        "Cannot connect to {where}: {said}. Is a server running there, and is the address right?",
        chained=True,
    ),
    _Row(
        ValueError, "Cannot connect to {where}: {said}. Is the address right?", chained=True
    ),  # no name TLS can verify
)


def map_error(
    error: BaseException, where: str, limit: Optional[float]
) -> Optional[SpeechmaticsError]:
    """Return what to raise for an error while connecting; None if it is not ours to map.

    To be raised where ``error`` is no longer handled, or its frames, which hold the key, come along
    as the context.

    Args:
        error: What was raised.
        where: The server's URL, without its query.
        limit: The ``open_timeout``, in seconds.
    """
    if isinstance(error, SpeechmaticsError):
        return error.with_traceback(None)
    limit_met = exhausted(error)
    if limit_met is not None:
        return limit_met
    if is_time_limit(error) or isinstance(error, WebSocketTimeoutException):
        return TimeoutError(
            f"No WebSocket connection to {where} within open_timeout ({limit} s). "
            "Is the address right and the network up?"
        )
    for kinds, words, chained, kind in _BY_ERROR:
        if isinstance(error, kinds):
            said = [getattr(error, name, None) for name in ("verify_message", "reason", "strerror")]
            failure = kind(
                words.format(where=where, said=next(filter(None, said), printable(str(error))))
            )
            if chained:
                failure.__cause__ = error.with_traceback(None)
            return failure
    return None


_REFUSED_KEY = "{where} refused the key with HTTP {status}{said}. "
_REDIRECTS = (
    "{where} redirects (HTTP {status}) to {location}. "
    "Redirects are not followed, for the key would go along: set the new URL instead."
)
_ANSWERED = "{where} answered HTTP {status} in place of a WebSocket handshake{said}."

_BY_STATUS = {
    **dict.fromkeys(range(300, 400), _REDIRECTS),
    401: _REFUSED_KEY
    + "Check the API key (SPEECHMATICS_API_KEY), and that it is meant for this region.",
    403: _REFUSED_KEY + "This key may not use this service.",
    404: _ANSWERED + " Is the path of the URL right (…/v2)?",
    405: _ANSWERED + " Is the path of the URL right (…/v2)?",
    429: _ANSWERED + " Too many requests: try again later.",
}


def error_by_status(
    status: int, where: str, said: str, location: str, retry_after: Optional[str]
) -> SpeechmaticsError:
    """Return the error for an answer to the handshake that is not 101.

    Args:
        status: The HTTP status.
        where: The server's URL.
        said: The words of the answer's body, in brackets; empty if it has none for people.
        location: Where a redirect leads.
        retry_after: The ``Retry-After`` header.
    """
    words = _BY_STATUS.get(status, _ANSWERED).format(
        where=where, status=status, said=said, location=location
    )
    if status in (401, 403):
        return AuthenticationError(words, status=status)
    return ConnectionError(words, status=status, retry_after=retry_after)
