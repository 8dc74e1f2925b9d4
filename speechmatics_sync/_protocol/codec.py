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


def decode(payload: bytes) -> Message:
    """Return the message in a frame.

    Raises:
        TransportError: It is not UTF-8, not JSON, not an object, or nested without end.
    """
    try:
        text = payload.decode("utf-8").strip(_SPACE)
        # In half the time of `decode`, which skips white space with regular expressions.
        message, end = _DECODER.raw_decode(text)
        if end < len(text):
            raise ValueError(f"there is more behind its end, at character {end}")
    except (ValueError, RecursionError) as error:
        raise TransportError(
            f"The server sent a message that is not JSON: {type(error).__name__}: {error} "
            f"({payload[:60]!r}…)."
        ) from None
    if not isinstance(message, dict):
        raise TransportError(f"The server sent JSON that is not an object ({payload[:60]!r}…).")
    # Cheap tests first: most messages are too short or hold too few objects and lists.
    may_be = len(payload) > 2 * _DEPTH and payload.count(b"{") + payload.count(b"[") > _DEPTH
    if may_be and _is_too_deep(message):
        raise TransportError(
            f"The server sent a message of more than {_DEPTH} levels ({payload[:60]!r}…)."
        )
    return message


def _is_too_deep(message: Message) -> bool:
    level: list[Any] = [message]
    for _ in range(_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
    return bool(level)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def encode(message: Mapping[str, Any]) -> str:
    try:
        return json.dumps(message, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"The message cannot be sent as JSON: {error}.") from None
