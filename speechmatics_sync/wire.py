"""Messages as the WebSocket carries them: JSON, in UTF-8."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from .errors import ConfigurationError, TransportError

__all__ = ["Message", "decode", "encode"]

Message = dict[str, Any]


def decode(payload: bytes) -> Message:
    """Return the message in a frame.

    Raises:
        TransportError: It is not UTF-8, not JSON, or not an object.
    """
    try:
        message = _DECODER.decode(payload.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise TransportError(
            f"The server sent a message that is not JSON: {type(error).__name__}: {error} "
            f"({payload[:60]!r}…)."
        ) from None
    if not isinstance(message, dict):
        raise TransportError(f"The server sent JSON that is not an object ({payload[:60]!r}…).")
    return message


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def encode(message: Mapping[str, Any]) -> str:
    try:
        return json.dumps(message, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"The message cannot be sent as JSON: {error}.") from None
