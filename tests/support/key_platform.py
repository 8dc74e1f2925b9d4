"""The management platform, as far as tests need it below HTTP."""

from __future__ import annotations

import socket

CREATED = (
    b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 24\r\n\r\n"
    b'{"key_value": "a-token"}'
)


def read_order(connection: socket.socket) -> bytes:
    """Read one request for a temporary key, to the end of its JSON."""
    request = b""
    while not request.endswith(b"}"):
        received = connection.recv(4096)
        if not received:
            break
        request += received
    return request


def busy(retry_after: int) -> bytes:
    """An answer that asks to come back after so many seconds."""
    return (
        f"HTTP/1.1 503 Busy\r\nConnection: close\r\nRetry-After: {retry_after}\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()
