"""The server's answer to the handshake, bounded in bytes and time."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
from typing import TYPE_CHECKING, Union

from .._concurrency.deadlines import Deadline
from .._model.secret import Secret
from .._words import Words
from ..errors import ConnectionError
from .addresses import HTTP_HEAD_LIMIT, without_query
from .connect_errors import IS_IT_RIGHT, error_by_status
from .tcp import socket_timeout

if TYPE_CHECKING:
    import email.message

__all__ = ["HandshakeSocket"]

_READ_SIZE = 4096
_BODY_LIMIT = 16 * 1024
_BODY_SECONDS = 2.0
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What a server appends to the key (RFC 6455, 1.3)."""
_CHECKED = (b"upgrade", b"connection", b"sec-websocket-accept")
_SAID_LENGTH = 200


class HandshakeSocket:
    """The socket as websocket-client sees it while it shakes hands.

    No key reaches it, for ``websocket.enableTrace`` has it print what it sends and reads: the query
    and the headers are added to its request here, and of the answer it gets no more than it checks.

    An answer other than 101 does not reach it either: depending on its version, websocket-client
    follows a redirect and sends the key along, takes a redirect for a connection, or allocates as
    much memory as a ``Content-Length`` announces.

    Args:
        opened: The connected socket.
        deadline: For the whole answer.
        url: The server's URL. Its query is never shown.
        headers: The headers to add to the request.
        words: Clean what the server says.
    """

    def __init__(
        self,
        opened: socket.socket,
        deadline: Deadline,
        url: Secret[str],
        headers: Secret[dict[str, str]],
        words: Words,
    ) -> None:
        self._socket = opened
        self._deadline = deadline
        self._url = url
        self._headers = headers
        self._words = words
        self._received = b""
        self._head = b""
        self._accept = b""
        self._to_check = b""

    def gettimeout(self) -> Union[float, None]:
        """Return the socket's timeout."""
        return self._socket.gettimeout()

    def send(self, request: bytes) -> int:
        """Send the whole request, with the query and the headers that it lacks."""
        key = re.search(rb"\r\nSec-WebSocket-Key: (\S+)\r\n", request)
        challenge = (key[1] if key else b"") + _GUID
        self._accept = base64.b64encode(hashlib.sha1(challenge, usedforsecurity=False).digest())
        self._socket.settimeout(socket_timeout(self._deadline))
        self._socket.sendall(self._completed(request))
        return len(request)

    def recv(self, size: int) -> bytes:
        """Return the next bytes of what websocket-client checks of the answer; none at its end.

        Raises:
            SpeechmaticsError: The answer is not 101, or not well-formed.
        """
        if not self._to_check:
            lines = [self._next_line()]
            while lines[-1].strip():
                lines.append(self._next_line())
            if not lines[-1]:
                return b""
            self._to_check = self._checked_fields(lines[1:-1])
        # websocket-client reads a line byte by byte, until it gets b"\n". It accepts more than one
        # byte, so give it the whole line but the end at once.
        at_once = self._to_check.index(b"\n") or 1 if size == 1 else size
        given, self._to_check = self._to_check[:at_once], self._to_check[at_once:]
        return given

    @property
    def unread(self) -> bytes:
        """The bytes after the head: the first frames."""
        return self._received[len(self._head) :]

    def _next_line(self) -> bytes:
        """Return the next line of the head; nothing if the connection ends inside it.

        Raises:
            SpeechmaticsError: The answer is not 101, or its head is too long.
        """
        start = len(self._head)
        while (end := self._received.find(b"\n", start, HTTP_HEAD_LIMIT)) < 0:
            if len(self._received) > HTTP_HEAD_LIMIT:
                raise ConnectionError(
                    f"{self._where} did not answer as a WebSocket server does. {IS_IT_RIGHT}"
                )
            self._socket.settimeout(socket_timeout(self._deadline))
            received = self._socket.recv(_READ_SIZE)
            if not received:
                return b""
            self._received += received
        self._head = self._received[: end + 1]
        if not re.match(rb"HTTP/1\.\d 101\b", self._head):
            self._refuse()
        return self._head[start:]

    def close(self) -> None:
        """Do nothing: `Connection` closes the socket."""

    def _completed(self, request: bytes) -> bytes:
        line, version, rest = request.partition(b" HTTP/1.1\r\n")
        _, mark, query = self._url.reveal().partition("?")
        fields = (f"{name}: {value}\r\n" for name, value in self._headers.reveal().items())
        return b"".join(
            [
                line,
                mark.encode(),
                query.encode(),
                version,
                rest[:-2],
                *map(str.encode, fields),
                b"\r\n",
            ]
        )

    def _checked_fields(self, lines: list[bytes]) -> bytes:
        """Return the head of an answer with no more than the fields that websocket-client checks.

        Not with cookies, for one: websocket-client keeps them for the whole process, would send
        them along with another client's key, and raises errors of its own for some.

        Raises:
            ConnectionError: The answer is to another handshake, or agrees to more than was asked.
        """
        fields: dict[bytes, list[bytes]] = {}
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon or not name.strip():
                raise ConnectionError(
                    f"{self._where} did not answer as a WebSocket server does. {IS_IT_RIGHT}"
                )
            fields.setdefault(name.strip().lower(), []).append(value.strip())
        if fields.get(b"sec-websocket-accept") != [self._accept]:
            # websocket-client compares it without regard to case.
            raise ConnectionError(
                f"{self._where} did not answer as a WebSocket server does: its "
                "Sec-WebSocket-Accept is not the answer to this handshake. " + IS_IT_RIGHT
            )
        for field in ("Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"):
            if any(fields.get(field.lower().encode(), [])):
                raise ConnectionError(
                    f"{self._where} agreed to a {field} that was not asked for. "
                    "Is there a proxy in between that speaks for the client?"
                )
        head = [b"HTTP/1.1 101 Switching Protocols"]
        for name in _CHECKED:
            if name in fields:
                value = self._cleaned(b", ".join(fields[name])).encode()
                head.append(name + b": " + value)
        return b"\r\n".join([*head, b"", b""])

    @property
    def _where(self) -> str:
        return without_query(self._url.reveal())

    def _refuse(self) -> None:
        """Raise if the head of a refusal is complete, or is not HTTP."""
        answered = re.match(rb"HTTP/1\.\d (\d{3})\b", self._head)
        if answered is None:
            raise ConnectionError(
                f"{self._where} did not answer as a WebSocket server does: "
                f"{self._cleaned(self._head)!r}. {IS_IT_RIGHT}"
            )
        if not self._head.endswith((b"\r\n\r\n", b"\n\n")):
            return
        # Imported here: loading these takes a fifth of the time to import this package.
        import email.message
        import http.client
        import io

        head = io.BytesIO(self._head.partition(b"\n")[2])
        try:
            answer: email.message.Message = http.client.parse_headers(head)
        except http.client.HTTPException:
            answer = email.message.Message()
        location = without_query(answer.get("location", "nowhere"))
        raise error_by_status(
            int(answered.group(1)),
            self._where,
            self._said(self._body(answer)),
            self._cleaned(location.encode()),
            answer.get("retry-after"),
        )

    def _body(self, answer: email.message.Message) -> bytes:
        """Return the body, or nothing if it is long, late or of unknown length."""
        length = answer.get("content-length", "").strip()
        if not re.fullmatch(r"[0-9]{1,9}", length) or int(length) > _BODY_LIMIT:
            return b""
        deadline = Deadline(self._deadline.remaining(at_most=_BODY_SECONDS))
        body = self.unread[: int(length)]
        try:
            while len(body) < int(length):
                self._socket.settimeout(socket_timeout(deadline))
                received = self._socket.recv(int(length) - len(body))
                if not received:
                    break
                body += received
        except OSError:
            return b""  # the status is what counts
        return body

    def _said(self, body: bytes) -> str:
        """Return the reason that a body gives, in brackets; nothing for HTML."""
        text = body.decode("utf-8", "replace").strip()
        if text.startswith("{"):
            try:
                answered = json.loads(text)
            except (ValueError, RecursionError):
                answered = {}
            for name in ("error", "reason", "message", "detail"):
                if isinstance(answered.get(name), str):
                    text = answered[name]
                    break
        if not text or text.startswith("<"):
            return ""
        return f" ({self._cleaned(text.encode())})"

    def _cleaned(self, words: bytes) -> str:
        return self._words.clean(words.decode("utf-8", "replace"), _SAID_LENGTH)
