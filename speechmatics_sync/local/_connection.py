"""A connection that refuses as the API does: an Error, or HTTP 503 if there is no room for it."""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
from typing import Any, Optional, Union

from websockets.frames import CloseCode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.sync.server import ServerConnection

from ._logs import logger
from ._validation import CLOSE_CODE, Refused

__all__ = [
    "BUSY",
    "Connection",
    "hung_up",
    "posted_to",
    "refused_by",
    "socket_hung_up",
    "turn_away",
]

BUSY = "The server is busy; try again later."
_BUSY_ANSWER = f"{BUSY}\n".encode()
_REQUEST_BYTES = 1 << 16
_POST_BYTES = 1 << 16
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*(?=\r\n|$)", re.IGNORECASE)
_ANSWER_SECONDS = 1.0
"""How long to wait for the request of a client that is turned away. None is accepted meanwhile."""


class _Protocol(ServerProtocol):
    """What `websockets` lacks of the service.

    It sends an Error and close code 1003 where `websockets` would close with 1009 alone, and takes
    a POST, whose body `posted` then holds.
    """

    refused: Optional[Refused] = None
    posted: Optional[bytes] = None
    _unread: Optional[bytes] = b""

    def receive_data(self, data: Union[bytes, bytearray]) -> None:
        if self._unread is not None:
            data = self._take_post(self._unread + bytes(data))
        if data:
            super().receive_data(data)

    def _take_post(self, data: bytes) -> bytes:
        """Return what `websockets` is to read of the first bytes; nothing if more must come."""
        self._unread = data
        head, end, body = data.partition(b"\r\n\r\n")
        if b"POST ".startswith(data[:5]) and len(data) <= _POST_BYTES:
            length = _LENGTH.search(head)
            if not end or (length is not None and len(body) < int(length.group(1))):
                return b""
            self.posted = body
            # It reads requests without a body, and in some versions GET, alone.
            data = b"GET " + _LENGTH.sub(b"", head)[5:] + end
        self._unread = None
        return data

    def fail(self, code: int, reason: str = "") -> None:
        if code == CloseCode.MESSAGE_TOO_BIG and self.state is State.OPEN:
            # Sent here, because nothing can be sent after `fail`. What the client still sends is
            # read and discarded, so that it gets the Error.
            refused = self.refused = Refused("protocol_error", f"a message is too large: {reason}")
            error = {"message": "Error", "type": refused.type, "reason": refused.reason}
            self.send_text(json.dumps(error).encode())
            code, reason = CLOSE_CODE[refused.type], ""
        super().fail(code, reason)


class Connection(ServerConnection):
    """A connection that sends an Error when a message is too large.

    Raises:
        RuntimeError, OSError: If no thread or descriptor is left; its client has been answered.
    """

    def __init__(self, sock: Any, protocol: ServerProtocol, *args: Any, **options: Any) -> None:
        # `serve` creates the protocol, and its class cannot be chosen. Replacing a method of the
        # object would make a reference cycle.
        protocol.__class__ = _Protocol
        try:
            super().__init__(sock, protocol, *args, **options)
        except (RuntimeError, OSError) as error:
            # `websockets` closes the socket without a word.
            logger.warning("a connection is refused: %s", error)
            turn_away(sock)
            for name in ("shutdown_watcher", "shutdown_notifier"):  # not in every version
                if (end := getattr(self, name, None)) is not None:
                    end.close()
            raise


def turn_away(sock: Any) -> None:
    """Answer a handshake with HTTP 503 without a thread of its own, before the socket is closed.

    The answer may be lost, because the request may not have come yet: then closing the socket
    resets the connection.
    """
    head = (
        b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
        b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(_BUSY_ANSWER)
    )
    with contextlib.suppress(OSError):
        sock.settimeout(_ANSWER_SECONDS)
        with contextlib.suppress(socket.timeout):
            sock.recv(_REQUEST_BYTES)
        sock.sendall(head + _BUSY_ANSWER)
        sock.shutdown(socket.SHUT_WR)


def hung_up(connection: ServerConnection) -> bool:
    """Whether the client has ended the connection, perhaps unnoticed while nothing is read."""
    return connection.state is not State.OPEN or socket_hung_up(connection.socket)


def socket_hung_up(sock: Any) -> bool:
    """Whether the other end of a socket has ended the connection."""
    number = sock.fileno()
    if number < 0:
        return True
    if not hasattr(select, "poll"):  # Windows: only the server can end it
        return False
    poll = select.poll()
    poll.register(number, getattr(select, "POLLRDHUP", 0))  # others only notice a reset
    return bool(poll.poll(0))


def posted_to(connection: ServerConnection) -> Optional[bytes]:
    """Return the body of a POST, or None if the request is a handshake."""
    protocol = connection.protocol
    return protocol.posted if isinstance(protocol, _Protocol) else None


def refused_by(connection: ServerConnection) -> Optional[Refused]:
    """Return what the connection itself has refused with an Error, or None."""
    protocol = connection.protocol
    return protocol.refused if isinstance(protocol, _Protocol) else None
