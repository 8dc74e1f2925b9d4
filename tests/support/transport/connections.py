"""One connection, and a server that speaks frames to it."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any, Callable, Optional, Union

from speechmatics_sync import (
    ConnectionConfig,
)
from speechmatics_sync._model.secret import Secret
from speechmatics_sync._transport.connection import Closed, Connection
from support.serving import PATIENCE, listening
from support.sessions import (
    shake_hands,
    wait_for,
)

TEXT, BINARY, CONTINUES, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


MEGABYTE = 1024 * 1024


INFO = json.dumps({"message": "Info", "type": "x"}).encode()


def frame(
    payload: bytes = b"",
    opcode: int = TEXT,
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: Optional[bytes] = None,
    length: Optional[int] = None,
) -> bytes:
    """A server's frame, valid or not; ``length`` may be wrong."""
    size = len(payload) if length is None else length
    masked = 0x80 if mask else 0
    head = bytes([fin << 7 | rsv << 4 | opcode])
    if size < 126:
        head += bytes([masked | size])
    elif size < 65536:
        head += struct.pack("!BH", masked | 126, size)
    else:
        head += struct.pack("!BQ", masked | 127, size)
    return head + (mask or b"") + payload


def closing(code: int, reason: bytes = b"") -> bytes:
    return frame(struct.pack("!H", code) + reason, CLOSE)


def drain(connection: socket.socket) -> None:
    """Read until the client has gone."""
    while connection.recv(65536):
        pass


def reset(connection: socket.socket) -> None:
    """End the connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def fast_frame(connection: socket.socket) -> tuple[int, bytes]:
    """The client's next frame; its payload unmasked if it is short."""
    with connection.makefile("rb", buffering=0) as plain:
        head = exactly(plain, 2)
        size = head[1] & 0x7F
        if size >= 126:
            kind = "!H" if size == 126 else "!Q"
            (size,) = struct.unpack(kind, exactly(plain, struct.calcsize(kind)))
        mask, payload = exactly(plain, 4), exactly(plain, size)
    if size < 126:
        payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return head[0] & 0x0F, payload


def exactly(plain: Any, size: int) -> bytes:
    read = bytearray()
    while len(read) < size:
        more = plain.read(size - len(read))
        if not more:
            raise ConnectionResetError
        read += more
    return bytes(read)


@contextlib.contextmanager
def connected(
    behave: Optional[Callable[[socket.socket], None]] = None, **limits: Any
) -> Iterator[Connection]:
    """An open connection, to a server that reads nothing unless `behave` does."""
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        shake_hands(connection)
        if behave is None:
            wait_for(over)
        else:
            behave(connection)
            drain(connection)

    with listening(serve) as port:
        config = ConnectionConfig(**limits)
        connection = Connection(Secret(f"ws://localhost:{port}/v2"), Secret({}), config)
        try:
            connection.open()
            yield connection
        finally:
            over.set()
            connection.close()


def until_closed(connection: Connection) -> list[Union[bytes, Closed]]:
    received: list[Union[bytes, Closed]] = []
    while not received or not isinstance(received[-1], Closed):
        connection.wait(PATIENCE)
        received += connection.receive()
    return received
