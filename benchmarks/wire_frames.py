"""A connection taken apart into WebSocket frames (RFC 6455, section 5), and conditions on them."""

from __future__ import annotations

import itertools
import json
from typing import Callable, Optional

__all__ = [
    "DOWN",
    "END_OF_HEAD",
    "UP",
    "Frame",
    "Taker",
    "When",
    "after_bytes",
    "after_frames",
    "at_message",
]

UP, DOWN = "up", "down"
"""From the client to the server, and back."""

END_OF_HEAD = b"\r\n\r\n"
_TEXT = 1


class Frame:
    """A WebSocket frame on its way, as `Fault.when` sees it.

    Attributes:
        direction: `UP` or `DOWN`.
        number: Its place among the frames of its direction, from 1.
        position: Bytes of frames in its direction so far, this one included.
        opcode: 1 for text, 2 for binary, 8 and more for control frames.
    """

    __slots__ = ("_body", "_name", "direction", "number", "opcode", "position", "raw")

    def __init__(self, direction: str, number: int, position: int, raw: bytes, body: int) -> None:
        self.direction = direction
        self.number = number
        self.position = position
        self.raw = raw
        self.opcode = raw[0] & 0x0F
        self._body = body
        self._name: Optional[str] = None

    @property
    def name(self) -> str:
        """The name of the JSON message in it, empty for audio and control frames."""
        if self._name is None:
            self._name = self._read_name() if self.opcode == _TEXT else ""
        return self._name

    def _read_name(self) -> str:
        body = self.raw[self._body :]
        if self.raw[1] & 0x80:
            mask = self.raw[self._body - 4 : self._body]
            key = (mask * (len(body) // 4 + 1))[: len(body)]
            plain = int.from_bytes(body, "little") ^ int.from_bytes(key, "little")
            body = plain.to_bytes(len(body), "little")
        try:
            return str(json.loads(body)["message"])
        except (ValueError, KeyError, TypeError):
            return ""


When = Callable[[Frame], bool]


def after_frames(direction: str, count: int) -> When:
    """Return a condition that is met by frame `count` of a direction."""
    return lambda frame: frame.direction == direction and frame.number >= count


def after_bytes(direction: str, count: int) -> When:
    """Return a condition that is met by the frame of a direction that has byte `count`."""
    return lambda frame: frame.direction == direction and frame.position >= count


def at_message(*names: str, nth: int = 1) -> When:
    """Return a condition that is met by the nth frame with a message of one of these names."""
    seen = itertools.count(1)
    return lambda frame: frame.name in names and next(seen) >= nth


class Taker:
    """Takes one direction apart: the handshake's head first, which passes, then frames."""

    def __init__(self, direction: str, *, in_head: bool) -> None:
        self._direction = direction
        self._in_head = in_head
        self._buffer = bytearray()
        self._number = 0
        self._position = 0

    def head(self, piece: bytes) -> bytes:
        """Return bytes to pass on that are not frames; keep the rest for `frames`."""
        self._buffer += piece
        if not self._in_head:
            return b""
        end = self._buffer.find(END_OF_HEAD)
        if end < 0:
            return b""
        self._in_head = False
        head = bytes(self._buffer[: end + len(END_OF_HEAD)])
        del self._buffer[: len(head)]
        return head

    def rest(self) -> bytes:
        """Return the rest, to pass on unchanged."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def next_frame(self) -> Optional[Frame]:
        buffer = self._buffer
        if self._in_head or len(buffer) < 2:
            return None
        size, body = buffer[1] & 0x7F, 2
        if size >= 126:
            body = 4 if size == 126 else 10
            if len(buffer) < body:
                return None
            size = int.from_bytes(buffer[2:body], "big")
        if buffer[1] & 0x80:
            body += 4
        if len(buffer) < body + size:
            return None
        raw = bytes(buffer[: body + size])
        del buffer[: body + size]
        self._number += 1
        self._position += len(raw)
        return Frame(self._direction, self._number, self._position, raw, body)
