"""The errors of speechmatics_sync, as the exceptions that programs of the old package expect.

It raised those of ``websockets`` and ``httpx``. A program that catches them has these packages;
where they are missing, an exception of the same name and the same attributes is raised.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sys
from types import SimpleNamespace
from typing import Any, Optional
from urllib.parse import SplitResult

import speechmatics_sync

from .exceptions import TranscriptionError

__all__ = [
    "ConnectionClosedError",
    "HTTPStatusError",
    "InvalidStatus",
    "InvalidURI",
    "as_before",
    "invalid_uri",
    "key_refused",
    "load_exceptions_of_websockets",
]


class InvalidStatus(Exception):
    """The server refused the handshake; ``response.status_code`` has the HTTP status."""

    def __init__(self, response: Any) -> None:
        super().__init__(f"server rejected WebSocket connection: HTTP {response.status_code}")
        self.response = response


class InvalidURI(Exception):
    """``uri`` is no URL to connect to."""

    def __init__(self, uri: str, msg: str) -> None:
        super().__init__(f"{uri} isn't a valid URI: {msg}")
        self.uri, self.msg = uri, msg


class ConnectionClosedError(Exception):
    """The connection was lost; ``code`` is the close code, if there was one."""

    def __init__(self, code: Optional[int], message: str) -> None:
        super().__init__(message)
        self.code = code


class HTTPStatusError(Exception):
    """There is no temporary key; ``response.status_code`` has the HTTP status."""

    def __init__(self, message: str, response: Any) -> None:
        super().__init__(message)
        self.response = response


def load_exceptions_of_websockets() -> None:
    """Have a program that imports ``websockets`` find its ``exceptions``, as with the old package.

    It loads its modules when they are imported, and a program that imports nothing more may name
    them.
    """
    if "websockets" in sys.modules:
        with contextlib.suppress(ImportError):  # something else of this name
            importlib.import_module("websockets.exceptions")


def as_before(error: BaseException, *, connected: bool = True, told: bool = False) -> BaseException:
    """Return the exception that the old package would have raised for an error of a session.

    Args:
        error: The error.
        connected: Whether the session had started.
        told: Whether the server sent an Error.
    """
    if not isinstance(error, speechmatics_sync.SpeechmaticsError):
        return error
    code = getattr(error, "close_code", None)
    if code is not None and not told:  # a close code alone was no Error
        return _connection_closed(code, error.message)
    if isinstance(error, speechmatics_sync.TranscriptionError):
        return TranscriptionError(error.reason or error.message)
    if isinstance(error, speechmatics_sync.AuthenticationError):
        if error.type is not None:
            return TranscriptionError(error.reason or error.message)
        return error if error.status is None else _invalid_status(error.status)
    if isinstance(error, speechmatics_sync.TransportError):
        return ValueError(error.message)  # no JSON, or more acknowledgements than chunks
    if isinstance(error, speechmatics_sync.TimeoutError):
        return asyncio.TimeoutError(str(error))
    if isinstance(error, speechmatics_sync.ConnectionError):
        if error.status is not None:
            return _invalid_status(error.status)
        if not connected:
            return error.__cause__ if isinstance(error.__cause__, OSError) else error
        if "ack_timeout" in error.message:  # a lost connection like any other, but for its words
            return asyncio.TimeoutError(error.message)
        return _connection_closed(None, str(error))
    return error


def invalid_uri(parts: SplitResult) -> Optional[BaseException]:
    """Return the exception for a URL that no connection can be made to; None for any other."""
    if parts.scheme not in ("ws", "wss"):
        reason = "scheme isn't ws or wss"
    elif not parts.hostname:
        reason = "hostname isn't provided"
    else:
        return None
    # What may be secret is left out: what is before an @, and the query.
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
    try:
        from websockets.exceptions import InvalidURI as Theirs
    except ImportError:
        return InvalidURI(shown, reason)
    return Theirs(shown, reason)


def key_refused(error: speechmatics_sync.AuthenticationError) -> BaseException:
    """Return the exception for a temporary key that could not be had."""
    try:
        httpx: Any = importlib.import_module("httpx")
    except ImportError:
        if error.status is None:
            return error
        return HTTPStatusError(error.message, SimpleNamespace(status_code=error.status))
    request = httpx.Request("POST", "https://mp.speechmatics.com/v1/api_keys")
    before: BaseException
    if error.status is None:
        before = httpx.ConnectError(error.message, request=request)
    else:
        response = httpx.Response(error.status, request=request)
        before = httpx.HTTPStatusError(error.message, request=request, response=response)
    return before


def _invalid_status(status: int) -> BaseException:
    try:
        from websockets.datastructures import Headers
        from websockets.exceptions import InvalidStatus as Theirs
        from websockets.http11 import Response
    except ImportError:
        return InvalidStatus(SimpleNamespace(status_code=status))
    return Theirs(Response(status, "", Headers()))


def _connection_closed(code: Optional[int], message: str) -> BaseException:
    try:
        from websockets.exceptions import ConnectionClosedError as Theirs
        from websockets.frames import Close
    except ImportError:
        return ConnectionClosedError(code, message)
    return Theirs(None if code is None else Close(code, message), None)
