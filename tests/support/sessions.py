"""What the tests of sessions share: clients, audio, threads, and a server below the WebSocket."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any, Callable, Optional

import pytest
from websockets.exceptions import ConnectionClosed

from speechmatics_sync import AudioEncoding, AudioFormat, Client, ConnectionConfig, ReconnectPolicy
from support.serving import PATIENCE, STARTED, read_request

RAW = AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=16000)
END_OF_TRANSCRIPT = {"message": "EndOfTranscript"}


def speech(seconds: float) -> bytes:
    """Raw audio in the format `RAW`."""
    return b"\1\2" * int(seconds * 16000)


def client_of(
    url: str,
    handler_errors: str = "raise",
    *,
    reconnect: Optional[ReconnectPolicy] = None,
    **limits: Any,
) -> Client:
    """A client with these limits of the connection, which does not reconnect unless told to."""
    return Client(
        url=url,
        conn_config=ConnectionConfig(**limits),
        handler_errors=handler_errors,
        reconnect=reconnect,
    )


class InThread:
    """A call in a thread of its own; `result` joins it and returns or raises what it did."""

    def __init__(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._returned: Any = None
        self._raised: Optional[BaseException] = None

        def run() -> None:
            try:
                self._returned = call(*args, **kwargs)
            except BaseException as error:
                self._raised = error

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    @property
    def running(self) -> bool:
        return self.thread.is_alive()

    def result(self) -> Any:
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), "the call hangs"
        if self._raised is not None:
            raise self._raised
        return self._returned


class Blocking:
    """A source that gives some audio and then nothing, until the test lets it go, or ends."""

    def __init__(self, audio: bytes = b"") -> None:
        self.audio = audio
        self.blocked = threading.Event()
        self.released = threading.Event()
        _blocking.append(self)

    def read(self, size: int) -> bytes:
        if self.audio:
            chunk, self.audio = self.audio[:size], self.audio[size:]
            return chunk
        self.blocked.set()
        self.released.wait(PATIENCE)
        return b""


_blocking: list[Blocking] = []


@pytest.fixture(autouse=True)
def let_sources_go() -> Iterator[None]:
    """No source blocks longer than its test."""
    yield
    while _blocking:
        _blocking.pop().released.set()


def wait_for(event: threading.Event) -> None:
    assert event.wait(PATIENCE), "what the test waits for does not happen"


def with_longer_limits(attempt: Callable[[float], None]) -> None:
    """Try with limits that are so many times as long, where shorter ones ended a session.

    A busy machine reaches short ones though nothing is wrong. What ends by a limit that should not
    count does so with each.
    """
    for times in (1.0, 4.0):
        try:
            return attempt(times)
        except (ConnectionError, ConnectionClosed):  # a client's, and a server's
            pass
    return attempt(15.0)


# -- below the WebSocket: a server that can be silent, or stop reading --------------------------


def shake_hands(connection: socket.socket) -> None:
    """Answer the handshake of a WebSocket client."""
    key = re.search(rb"(?i)sec-websocket-key: *(\S+)", read_request(connection))
    assert key is not None
    digest = hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )


def send_frame(connection: socket.socket, message: Any, opcode: int = 1) -> None:
    """Send one frame: JSON, or bytes as they are."""
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    size = len(payload)
    head = struct.pack("!BB", 0x80 | opcode, size) if size < 126 else None
    head = head or struct.pack("!BBH", 0x80 | opcode, 126, size)
    connection.sendall(head + payload)


def _exactly(connection: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        more = connection.recv(size - len(read))
        if not more:
            raise ConnectionResetError
        read += more
    return read


def receive_frame(connection: socket.socket) -> tuple[int, bytes]:
    """Return opcode and payload of the client's next frame."""
    first, second = _exactly(connection, 2)
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack("!H", _exactly(connection, 2))
    elif size == 127:
        (size,) = struct.unpack("!Q", _exactly(connection, 8))
    mask = _exactly(connection, 4)
    masked = _exactly(connection, size)
    return first & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))


def start_below(connection: socket.socket) -> None:
    """Shake hands and start the session."""
    shake_hands(connection)
    opcode, payload = receive_frame(connection)
    assert opcode == 1
    assert json.loads(payload)["message"] == "StartRecognition"
    send_frame(connection, STARTED)
