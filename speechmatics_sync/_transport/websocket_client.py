"""What this room uses of websocket-client, or an error that says what lies in its place.

Its module has a name that others take too: a user's ``websocket.py``, the package ``websocket``.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Optional

from .._concurrency.exhaustion import exhausted
from ..errors import ConfigurationError

__all__ = [
    "WebSocket",
    "WebSocketConnectionClosedException",
    "WebSocketException",
    "WebSocketTimeoutException",
]

_NEEDED = "speechmatics_sync needs the package websocket-client"
_INSTALL = "pip install --force-reinstall websocket-client"


def _problem(error: Exception) -> str:
    """Return what to tell a user about a module that is not the right one, or not there."""
    place = _place()
    if place is None:
        return f"{_NEEDED}, which is not installed: {_INSTALL}"
    return (
        f"{_NEEDED}, but the module `websocket` that Python finds is another one, at {place} "
        f"({type(error).__name__}: {error}). If that file or folder is yours, rename it. If it is "
        f"the package `websocket`: pip uninstall websocket, then {_INSTALL}"
    )


def _place() -> Optional[str]:
    loaded = sys.modules.get("websocket")
    try:
        spec = loaded.__spec__ if loaded is not None else importlib.util.find_spec("websocket")
    except (ImportError, ValueError):
        spec = None
    file: Optional[str] = getattr(loaded, "__file__", None)
    if file is None and spec is not None:
        # A folder without __init__.py has no origin.
        file = spec.origin or next(iter(spec.submodule_search_locations or ()), None)
    return file


_failure: Optional[str] = None
try:
    from websocket import (
        WebSocket,
        WebSocketConnectionClosedException,
        WebSocketException,
        WebSocketTimeoutException,
    )

    if not issubclass(WebSocketException, Exception) or not callable(WebSocket.connect):
        raise ImportError("its names stand for something else")
except Exception as error:  # another module may raise anything
    if exhausted(error) is not None:
        raise  # it may be the right one
    _failure = _problem(error)
if _failure is not None:
    raise ConfigurationError(_failure)
