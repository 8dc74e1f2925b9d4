"""The embedded server with faults, and who talks to it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from speechmatics_sync.local import (
    CountedRecognizer,
    Faults,
    LocalServer,
    counted_audio,
)
from support.local_wire import (
    PATIENCE,
    Wire,
    chunks,
    run,
    start_message,
    words,
)

CHUNK = 8000  # a quarter of a second


AUDIO = counted_audio(4)  # eight chunks of two words a second


ALL = ["w1", "w2", "w3", "w4"]


IN_SESSION = ["connected", "starting", "audio", "ending", "ended"]


GUARD = 0.2
"""Seconds of a wait for what must not come. Too short it could only miss a failure, never make
one."""


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def server(faults: Faults) -> Iterator[LocalServer]:
    with LocalServer(recognizer=CountedRecognizer(), strict=True, faults=faults) as server:
        yield server


class Talk(Wire):
    """Runs a session as far as the server lets it; returns how the connection ended."""

    def go(self, **config: Any) -> Talk:
        try:
            self.send(start_message(**config))
            while (message := self.next()) and message["message"] != "RecognitionStarted":
                pass
            if message:
                self.send(*chunks(AUDIO, CHUNK), {"message": "EndOfStream", "last_seq_no": 8})
                self.rest()
        except ConnectionClosed as closed:
            self.close_code = closed.rcvd.code if closed.rcvd else None
        return self

    @property
    def names(self) -> list[str]:
        return [message["message"] for message in self.received]


def talk(url: str, **options: Any) -> Talk:
    with Talk(url, **options) as wire:
        return wire.go()


def is_well(server: LocalServer) -> None:
    assert words(run(server.url, AUDIO, size=CHUNK).received) == ALL


def bare(server: LocalServer, **options: Any) -> socket.socket:
    """A TCP connection that has sent its handshake."""
    sock = socket.create_connection(("127.0.0.1", server.port), PATIENCE, **options)
    sock.sendall(
        b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    return sock


def everything(sock: socket.socket) -> bytes:
    """Return what comes until the end of the connection."""
    received = b""
    while data := sock.recv(65536):
        received += data
    return received
