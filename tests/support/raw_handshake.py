"""A handshake written by hand, for headers that no WebSocket client sends."""

from __future__ import annotations

import re
import socket
from typing import Optional

from support.local_wire import PATIENCE


def status_of(port: int, *headers: str, path: str = "/v2", address: str = "127.0.0.1") -> int:
    """Shake hands with exactly these headers besides the usual ones; return the HTTP status."""
    return int(answer_to(port, *headers, path=path, address=address).split(" ")[1])


def answer_to(port: int, *headers: str, path: str = "/v2", address: str = "127.0.0.1") -> str:
    """The head of the answer, and its body unless the handshake succeeded."""
    lines = [
        f"GET {path} HTTP/1.1",
        *headers,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
    ]
    with socket.create_connection((address, port), timeout=PATIENCE) as sock:
        sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        answer = b""
        while not _is_whole(answer) and (more := sock.recv(4096)):
            answer += more
    return answer.decode("latin-1")


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length: Optional[re.Match[bytes]] = re.search(rb"(?i)content-length: *(\d+)", head)
    return bool(end) and len(body) >= (int(length.group(1)) if length else 0)
