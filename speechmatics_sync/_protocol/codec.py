"""Messages as the WebSocket carries them: JSON, in UTF-8.

Where orjson is installed (extra ``speed``) it decodes what it decodes in the same way as `json`.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from typing import Any, Callable, NoReturn, Optional

from .._model.typing import Message
from ..errors import ConfigurationError, TransportError

__all__ = ["acknowledged", "decode", "encode"]

_loads: Optional[Callable[[bytes], Any]] = None
with contextlib.suppress(ImportError):
    import orjson

    _loads = orjson.loads

_SPACE = " \t\n\r"
_DEPTH = 64
"""Levels of objects and lists in a message, several times what any needs.

The receiver's thread could decode deeper ones, but a handler that reads the message further down
its call stack might exceed the recursion limit.
"""

_SQUARE = bytes.maketrans(b"{}", b"[]")
_NEITHER_BRACKET_NOR_QUOTE = bytes(set(range(256)).difference(b'[]{}"'))


_DIGITS = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))
_LONG_NUMBER = b"0" * 19
"""What `_DIGITS` makes of a number that may be larger than 64 bits: orjson makes it a float."""


_ACKNOWLEDGEMENT = re.compile(
    rb'\{"message": ?"AudioAdded", ?"seq_no": ?([1-9][0-9]{0,17})\}'
).fullmatch


def acknowledged(payload: bytes) -> int:
    """Return the number in an AudioAdded that says nothing else; 0 for every other message.

    `decode` says the same. Most messages of a live session are these, and to look at them in this
    way takes a third.
    """
    found = _ACKNOWLEDGEMENT(payload)
    return 0 if found is None else int(found[1])


def decode(payload: bytes) -> Message:
    """Return the message in a frame.

    Raises:
        TransportError: It is not UTF-8, not JSON, not an object, or nested without end.
    """
    message = None
    if _loads is not None and _LONG_NUMBER not in payload.translate(_DIGITS):
        # It refuses what `json` takes, lone surrogates and numbers that are infinite: try both.
        try:
            message = _loads(payload)
        except ValueError:
            message = None
    if message is None:
        message = _decoded(payload)
    if not isinstance(message, dict):
        raise TransportError(f"The server sent JSON that is not an object ({payload[:60]!r}…).")
    # Cheap tests first: most messages are too short, or hold too few objects and lists.
    deep = len(payload) > _DEPTH and payload.count(b"{") + payload.count(b"[") > _DEPTH
    if deep and _is_too_deep(payload):
        raise TransportError(
            f"The server sent a message of more than {_DEPTH} levels ({payload[:60]!r}…)."
        )
    return message


def _decoded(payload: bytes) -> Any:
    """Return the JSON value in a frame; raise TransportError if there is none."""
    try:
        text = payload.decode("utf-8").strip(_SPACE)
        # In half the time of `decode`, which skips white space with regular expressions.
        message, end = _DECODER.raw_decode(text)
        if end < len(text):
            raise ValueError(f"there is more behind its end, at character {end}")
        return message
    except (ValueError, RecursionError) as error:
        problem = f"{type(error).__name__}: {error}"
    # Not raised above: that error holds the whole message, and would be the context of ours.
    raise TransportError(
        f"The server sent a message that is not JSON: {problem} ({payload[:60]!r}…)."
    )


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
        brackets = brackets.replace(b"[]", b"")  # removes the innermost level
    return bool(brackets)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def encode(message: Mapping[str, Any]) -> str:
    try:
        return json.dumps(message, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"The message cannot be sent as JSON: {error}. Send dicts, lists and texts."
        ) from None
