"""A server's answer to the handshake, bounded in bytes and time, and what a refusal means."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Union
from urllib.parse import parse_qsl, urlsplit

from .._concurrency.deadlines import Deadline
from ..errors import AuthenticationError, ConnectionError, SpeechmaticsError
from .addresses import REQUEST_ID_HEADER
from .dialing import HTTP_HEAD_LIMIT, patience

if TYPE_CHECKING:
    import email.message

__all__ = ["HandshakeSocket", "line", "without_query"]

_READ_SIZE = 4096
_BODY_LIMIT = 16 * 1024
_BODY_SECONDS = 2.0
_SECRET_LENGTH = 8


class HandshakeSocket:
    """The socket as websocket-client sees it while it shakes hands.

    An answer other than 101 never gets there: versions of it follow a redirect with the key, take
    one for a connection, or allocate whatever a ``Content-Length`` says.

    Args:
        opened: The connected socket.
        deadline: By when the answer must have come, to its last byte.
        url: What was asked for.
        headers: What was sent along; none of it is shown.
    """

    def __init__(
        self, opened: socket.socket, deadline: Deadline, url: str, headers: Mapping[str, str]
    ) -> None:
        self._socket = opened
        self._deadline = deadline
        self._url = url
        self._headers = headers
        self._received = b""
        self._head = b""
        self._line = b""

    def gettimeout(self) -> Union[float, None]:
        """Return what the socket has: anything but 0."""
        return self._socket.gettimeout()

    def send(self, request: bytes) -> int:
        """Send the whole request."""
        self._socket.settimeout(patience(self._deadline))
        self._socket.sendall(request)
        return len(request)

    def recv(self, size: int) -> bytes:
        """Return the next bytes of the answer's head; none at its end.

        Raises:
            SpeechmaticsError: The answer is not 101.
        """
        while not self._line:
            read = self._next_line()
            if not read:
                return b""
            # websocket-client would keep cookies for the whole process, send them with the keys of
            # others, and raise what it should not for some. The service has no use for any.
            if b"set-cookie" not in read.partition(b":")[0].lower():
                self._line = read
        # It asks for each byte until one ends the line, and joins what it got: all that comes
        # before that one may come at once.
        at_once = len(self._line) - 1 if size == 1 and len(self._line) > 1 else size
        given, self._line = self._line[:at_once], self._line[at_once:]
        return given

    @property
    def rest(self) -> bytes:
        """What came behind the head: the first frames."""
        return self._received[len(self._head) :]

    def _next_line(self) -> bytes:
        """Return a line of an answer that is 101, or nothing if the answer ends inside of one."""
        start = len(self._head)
        while (end := self._received.find(b"\n", start)) < 0:
            if len(self._received) > HTTP_HEAD_LIMIT:
                raise ConnectionError(f"{self._where} did not answer as a WebSocket server does.")
            self._socket.settimeout(patience(self._deadline))
            received = self._socket.recv(_READ_SIZE)
            if not received:
                return b""
            self._received += received
        self._head = self._received[: end + 1]
        if len(self._head) > HTTP_HEAD_LIMIT:
            raise ConnectionError(f"{self._where} did not answer as a WebSocket server does.")
        if not re.match(rb"HTTP/1\.\d 101\b", self._head):
            self._refuse()
        return self._head[start:]

    def close(self) -> None:
        """Leave the socket to its owner."""

    @property
    def _where(self) -> str:
        return without_query(self._url)

    def _refuse(self) -> None:
        """Raise once the head of a refusal is complete, or is not one of HTTP."""
        answered = re.match(rb"HTTP/1\.\d (\d{3})\b", self._head)
        if answered is None:
            raise ConnectionError(
                f"{self._where} did not answer as a WebSocket server does: "
                f"{line(self._scrubbed(self._head))!r}"
            )
        if not self._head.endswith((b"\r\n\r\n", b"\n\n")):
            return
        # Only for a refusal: loading these is a fifth of what importing this package costs.
        import email.message
        import http.client
        import io

        head = io.BytesIO(self._head.partition(b"\n")[2])
        try:
            answer: email.message.Message = http.client.parse_headers(head)
        except http.client.HTTPException:
            answer = email.message.Message()
        raise self._refusal(int(answered.group(1)), answer)

    def _body(self, answer: email.message.Message) -> bytes:
        """Return the body, or nothing if it is long, late or of unknown length."""
        length = answer.get("content-length", "").strip()
        if not re.fullmatch(r"[0-9]{1,9}", length) or int(length) > _BODY_LIMIT:
            return b""
        deadline = Deadline(self._deadline.remaining(at_most=_BODY_SECONDS))
        body = self.rest[: int(length)]
        try:
            while len(body) < int(length):
                self._socket.settimeout(patience(deadline))
                received = self._socket.recv(int(length) - len(body))
                if not received:
                    break
                body += received
        except OSError:
            return b""  # the status is what counts
        return body

    def _refusal(self, status: int, answer: email.message.Message) -> SpeechmaticsError:
        said = self._said(self._body(answer))
        if status in (401, 403):
            advice = (
                "Check the API key (SPEECHMATICS_API_KEY), and that it is meant for this region."
                if status == 401
                else "This key may not use this service."
            )
            return AuthenticationError(
                f"{self._where} refused the key with HTTP {status}{said}. {advice}", status=status
            )
        if 300 <= status < 400:
            to = line(self._scrubbed(without_query(answer.get("location", "nowhere")).encode()))
            return ConnectionError(
                f"{self._where} redirects (HTTP {status}) to {to}. "
                "Redirects are not followed, for the key would go along: set the new URL instead.",
                status=status,
            )
        advice = {
            404: " Is the path of the URL right (…/v2)?",
            405: " Is the path of the URL right (…/v2)?",
            429: " Too many requests: try again later.",
        }.get(status, "")
        return ConnectionError(
            f"{self._where} answered HTTP {status} in place of a WebSocket handshake{said}."
            f"{advice}",
            status=status,
            retry_after=answer.get("retry-after"),
        )

    def _said(self, body: bytes) -> str:
        """Return the words of a body in one short line, if they are for people."""
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
        return f" ({line(self._scrubbed(text.encode()))})"

    def _scrubbed(self, words: bytes) -> str:
        """Return the server's words without what was sent: it may repeat the key."""
        text = words.decode("utf-8", "replace")
        sent = [value for name, value in self._headers.items() if name != REQUEST_ID_HEADER]
        query = urlsplit(self._url).query
        sent += [value for _, value in parse_qsl(query)]
        sent += [pair.partition("=")[2] for pair in query.split("&")]
        for value in sent:
            for secret in (value, value.rpartition(" ")[2]):
                if len(secret) >= _SECRET_LENGTH:
                    text = text.replace(secret, "***")
        return text


def line(text: str) -> str:
    """Return a peer's words in one short line that is safe to print."""
    words = " ".join(re.sub(r"[^\x20-\x7e\xa0-\U0010ffff]", " ", text).split())
    return words if len(words) <= 200 else f"{words[:199]}…"


def without_query(url: str) -> str:
    """Return a URL without what may be a key in it."""
    return url.partition("?")[0]
