"""WebSocket frames as a client reads and writes them (RFC 6455, section 5), without a socket.

``websocket-client`` calls ``recv`` two or three times for each frame, and makes an object of each
frame it reads or writes. Here one call parses all frames that arrived together:
``benchmarks/NOTES.rst`` has the numbers. Where websockets is installed (extra ``speed``), its C
function masks; Python takes ten times as long.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from typing import Callable, NamedTuple, Optional, Union

from ..errors import MessageSizeError, TransportError

__all__ = ["BINARY", "CLOSE", "PING", "PONG", "TEXT", "Control", "FrameReader", "FrameWriter"]

_CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

_KEY_SIZE = 4
_KEYS_AT_ONCE = 64

_FINAL = 0x80
_RESERVED = 0x70
_OPCODE = 0x0F
_MASKED = 0x80
_WHOLE = (_FINAL | TEXT, _FINAL | BINARY)
"""First bytes of a frame that is a message by itself."""
_SHORT = 125
"""The largest length that fits into one byte, and the largest of a control frame."""

# Codes that may be sent (RFC 6455, 7.4), and those registered with IANA since.
_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})


class Control(NamedTuple):
    """A control frame from the peer."""

    opcode: int
    payload: bytes


class FrameReader:
    """Parses a stream of bytes into messages and control frames.

    Args:
        max_size: The largest message to accept, in bytes; None for no limit.

    Example:
        >>> reader = FrameReader(None)
        >>> received = []
        >>> reader.feed(bytes([0x81, 5]) + b"hel", received), received
        (None, [])
        >>> reader.feed(b"lo", received), received
        (None, [b'hello'])
    """

    def __init__(self, max_size: Optional[int]) -> None:
        self._max_size = sys.maxsize if max_size is None else max_size
        self._pieces: list[bytes] = []
        self._held = 0
        self._needed = 2
        self._message: Optional[bytearray] = None
        self.has_controls = False
        """Whether control frames were completed; whoever deals with them takes this back."""

    def feed(self, fresh: bytes, received: list[Union[bytes, Control]]) -> None:
        """Parse the next bytes and append what they complete, up to a close frame.

        Args:
            fresh: The bytes.
            received: Messages (``bytes``) and control frames are appended to it, in order.

        Raises:
            TransportError: The peer broke the protocol. Everything before that was appended.
        """
        size = len(fresh)
        if (
            not self._held
            and 2 < size <= _SHORT
            and fresh[1] == size - 2 <= self._max_size
            and fresh[0] in _WHOLE
            and self._message is None
        ):
            received.append(fresh[2:])  # one short message by itself: most acknowledgements
            return
        self._pieces.append(fresh)
        self._held += size
        if self._held < self._needed:
            return
        stream = fresh if self._held == len(fresh) else b"".join(self._pieces)
        at, size = 0, len(stream)
        while True:
            self._needed = 2
            if size - at < 2:
                break
            first, length = stream[at], stream[at + 1]
            body = at + 2
            if length > _SHORT:
                if length & _MASKED:
                    raise TransportError("The server sent a frame that is masked.")
                body += 2 if length == _SHORT + 1 else 8
                self._needed = body - at
                if body > size:
                    break
                length = int.from_bytes(stream[at + 2 : body], "big")
            # Check the header alone, before waiting for a body: its length may be up to 2**63.
            whole = first in _WHOLE and self._message is None and length <= self._max_size
            if not whole:
                self._check(first, length)
            end = body + length
            self._needed = end - at
            if end > size:
                break
            at = end
            if whole:
                received.append(stream[body:end])
            elif self._take(first, stream[body:end], received):
                break
        self._pieces = [stream[at:]] if at < size else []
        self._held = size - at

    def _check(self, first: int, length: int) -> None:
        """Raise if a frame's header is invalid, or its message too long."""
        opcode = first & _OPCODE
        if first & _RESERVED:
            raise TransportError("The server broke the WebSocket protocol: reserved bits are set.")
        if opcode in (CLOSE, PING, PONG):
            if not first & _FINAL:
                raise TransportError("The server sent a control frame in fragments.")
            if length > _SHORT:
                raise TransportError("The server sent a control frame that is too long.")
            return
        if opcode not in (_CONTINUATION, TEXT, BINARY):
            raise TransportError(f"The server broke the WebSocket protocol: opcode {opcode}.")
        if (opcode == _CONTINUATION) is (self._message is None):
            raise TransportError("The server mixed up the fragments of its messages.")
        length += len(self._message or b"")
        if length > self._max_size:
            raise MessageSizeError(
                f"The server sent a message of {length} bytes or more; max_size allows "
                f"{self._max_size}."
            )

    def _take(self, first: int, payload: bytes, received: list[Union[bytes, Control]]) -> bool:
        """Handle a control frame or a fragment; return whether it was a close frame."""
        opcode = first & _OPCODE
        if opcode in (CLOSE, PING, PONG):
            if opcode == CLOSE:
                _check_close(payload)
            received.append(Control(opcode, payload))
            self.has_controls = True
            return opcode == CLOSE
        if self._message is None:
            self._message = bytearray(payload)
        else:
            self._message += payload
        if first & _FINAL:
            received.append(bytes(self._message))
            self._message = None
        return False


def _check_close(payload: bytes) -> None:
    if len(payload) == 1 or (payload and int.from_bytes(payload[:2], "big") not in _CLOSE_CODES):
        raise TransportError(
            f"The server broke the WebSocket protocol: {payload[:2]!r} is no close code."
        )


class FrameWriter:
    """Makes a masked frame of each message. Not thread-safe.

    Example:
        >>> written = FrameWriter().frame(TEXT, b"hello")
        >>> len(written), written[:2]
        (11, b'\x81\x85')
    """

    def __init__(self) -> None:
        self._keys = b""

    def frame(self, opcode: int, payload: bytes) -> bytes:
        """Return the frame for a message or a control frame, masked with a random key."""
        size = len(payload)
        if size <= _SHORT:
            head = bytes((_FINAL | opcode, _MASKED | size))
        elif size < 1 << 16:
            head = struct.pack("!BBH", _FINAL | opcode, _MASKED | (_SHORT + 1), size)
        else:
            head = struct.pack("!BBQ", _FINAL | opcode, _MASKED | (_SHORT + 2), size)
        if not self._keys:
            # A call for four bytes costs as much, and releases the GIL each time.
            self._keys = os.urandom(_KEY_SIZE * _KEYS_AT_ONCE)
        key, self._keys = self._keys[:_KEY_SIZE], self._keys[_KEY_SIZE:]
        return b"".join((head, key, _mask(payload, key)))


def _mask_in_python(payload: bytes, key: bytes) -> bytes:
    """Return a payload, masked with a key of four bytes."""
    size = len(payload)
    # XOR of two large integers: the fastest way in pure Python.
    repeated = int.from_bytes((key * (size // _KEY_SIZE + 1))[:size], "little")
    return (int.from_bytes(payload, "little") ^ repeated).to_bytes(size, "little")


_mask: Callable[[bytes, bytes], bytes] = _mask_in_python
with contextlib.suppress(ImportError):
    from websockets.speedups import apply_mask

    _mask = apply_mask
