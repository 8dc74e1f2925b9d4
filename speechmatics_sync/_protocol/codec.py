"""Messages as the WebSocket carries them: JSON, in UTF-8."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from .._model.typing import Message
from ..errors import ConfigurationError, TransportError

__all__ = ["decode", "encode"]

_SPACE = " \t\n\r"
_DEPTH = 64
"""Levels of objects and lists in a message, several times what any needs.

The receiver's thread could decode deeper ones, but a handler that reads the message further down
its call stack might exceed the recursion limit.
"""

_SQUARE = bytes.maketrans(b"{}", b"[]")
_NEITHER_BRACKET_NOR_QUOTE = bytes(set(range(256)).difference(b'[]{}"'))


def decode(payload: bytes) -> Message:
    """Return the message in a frame.

    Raises:
        TransportError: It is not UTF-8, not JSON, not an object, or nested without end.
    """
    problem = None
    try:
        text = payload.decode("utf-8").strip(_SPACE)
        # In half the time of `decode`, which skips white space with regular expressions.
        message, end = _DECODER.raw_decode(text)
        if end < len(text):
            raise ValueError(f"there is more behind its end, at character {end}")
    except (ValueError, RecursionError) as error:
        problem = f"{type(error).__name__}: {error}"
    if problem is not None:
        # Not raised above: that error holds the whole message, and would be the context of ours.
        raise TransportError(
            f"The server sent a message that is not JSON: {problem} ({payload[:60]!r}…)."
        )
    if not isinstance(message, dict):
        raise TransportError(f"The server sent JSON that is not an object ({payload[:60]!r}…).")
    # A cheap test first: most messages hold too few objects and lists.
    if payload.count(b"{") + payload.count(b"[") > _DEPTH and _is_too_deep(payload):
        raise TransportError(
            f"The server sent a message of more than {_DEPTH} levels ({payload[:60]!r}…)."
        )
    return message


def _is_too_deep(payload: bytes) -> bool:
    """Return whether valid JSON has more than `_DEPTH` levels.

    Counts the brackets that are outside of strings, in passes over the bytes: to walk through the
    decoded message would take as long as decoding it.
    """
    if b"\\" in payload:
        payload = payload.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = payload.translate(_SQUARE, _NEITHER_BRACKET_NOR_QUOTE)
    # Two quotes in a row do not change what is inside of a string; few are left after this.
    brackets = brackets.replace(b'""', b"")
    brackets = b"".join(brackets.split(b'"')[::2])
    for _ in range(_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")  # one level: what holds nothing any more
    return bool(brackets)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def encode(message: Mapping[str, Any]) -> str:
    try:
        return json.dumps(message, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"The message cannot be sent as JSON: {error}.") from None
