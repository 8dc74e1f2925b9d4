"""Servers written for the tests: real sockets that do what one test tells them."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import ssl
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Callable, Optional, Union

import websockets.sync.server
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

# `Server.serve_forever` leaves closing its selector to the garbage collector, and an epoll is a
# descriptor that counts as left open until then. A poll is none.
websockets.sync.server.selectors = SimpleNamespace(  # type: ignore[attr-defined]
    DefaultSelector=selectors.PollSelector, EVENT_READ=selectors.EVENT_READ
)

STARTED = {
    "message": "RecognitionStarted",
    "id": "session-1",
    "orchestrator_version": "1.0",
    "language_pack_info": {"word_delimiter": " ", "language_description": "English"},
}
PATIENCE = 60.0
"""Seconds after which a wait in a test is given up: a guard against hanging, nothing more."""


def final(text: str, start: float = 0.0, end: float = 1.0) -> dict[str, Any]:
    """An AddTranscript of one word."""
    return {
        "message": "AddTranscript",
        "format": "2.1",
        "metadata": {"transcript": f"{text} ", "start_time": start, "end_time": end},
        "results": [
            {
                "type": "word",
                "start_time": start,
                "end_time": end,
                "alternatives": [{"content": text, "confidence": 0.9}],
            }
        ],
    }


class Peer:
    """The server's side of one session, for a test to drive."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.headers = connection.request.headers if connection.request else {}
        self.path = connection.request.path if connection.request else ""
        self.audio: list[bytes] = []
        self.start_message: Optional[dict[str, Any]] = None

    def send(self, *messages: Union[dict[str, Any], str, bytes]) -> None:
        """Send messages: dicts as JSON, ``str`` and ``bytes`` as they are."""
        for message in messages:
            plain = json.dumps(message) if isinstance(message, dict) else message
            self.connection.send(plain)

    def receive(self) -> Union[dict[str, Any], bytes]:
        """Return the next message: audio as bytes, all else decoded."""
        message = self.connection.recv(timeout=PATIENCE)
        return message if isinstance(message, bytes) else json.loads(message)

    def start(self, **changes: Any) -> None:
        """Take StartRecognition and answer it."""
        message = self.receive()
        assert isinstance(message, dict), "audio before StartRecognition"
        assert message["message"] == "StartRecognition"
        self.start_message = message
        self.send({**STARTED, **changes})

    def acknowledge(self) -> None:
        """Acknowledge the chunks received so far, the last one only."""
        self.send({"message": "AudioAdded", "seq_no": len(self.audio)})

    def take_audio(self, *, acknowledge: bool = True) -> Union[dict[str, Any], None]:
        """Take audio until another message comes, and return that."""
        while True:
            message = self.receive()
            if isinstance(message, dict):
                return message
            self.audio.append(message)
            if acknowledge:
                self.acknowledge()

    def finish(self) -> None:
        """Take audio up to EndOfStream and answer with EndOfTranscript."""
        message = self.take_audio()
        assert message is not None
        assert message == {"message": "EndOfStream", "last_seq_no": len(self.audio)}
        self.send({"message": "EndOfTranscript"})

    def wait_closed(self) -> None:
        """Read until the client has gone."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.connection.recv(timeout=PATIENCE)


Behaviour = Callable[[Peer], None]


@contextlib.contextmanager
def serving(
    behave: Behaviour, *, ssl_context: Optional[ssl.SSLContext] = None, **options: Any
) -> Iterator[str]:
    """Serve every connection with ``behave``; give the URL. What ``behave`` raises is raised."""
    errors: list[BaseException] = []

    def handle(connection: ServerConnection) -> None:
        try:
            behave(Peer(connection))
        except ConnectionClosed:
            pass
        except BaseException as error:
            errors.append(error)

    server: Server = serve(
        handle, "127.0.0.1", 0, ssl=ssl_context, compression=None, close_timeout=2, **options
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    scheme = "ws" if ssl_context is None else "wss"
    try:
        yield f"{scheme}://localhost:{server.socket.getsockname()[1]}/v2"
    finally:
        server.shutdown()
        thread.join()
        _join_handlers()
        for end in (server.shutdown_watcher, server.shutdown_notifier):
            if isinstance(end, int):  # websockets 15, the last for Python 3.9, leaves its pipe open
                os.close(end)
    if errors:
        raise errors[0]


def _join_handlers() -> None:
    for thread in threading.enumerate():
        if getattr(thread, "_target", None) is not None and "conn_handler" in repr(thread):
            thread.join(PATIENCE)


@contextlib.contextmanager
def refusing() -> Iterator[int]:
    """Give a port that refuses connections, bound: one given back may be another test's server."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextlib.contextmanager
def listening(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve plain TCP: every connection is handed to ``behave``; give the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            with connection, contextlib.suppress(OSError):
                behave(connection)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)


def answering(response: bytes) -> Callable[[socket.socket], None]:
    """Read a request's headers and answer with these bytes."""

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(response)

    return behave


def read_request(connection: socket.socket) -> bytes:
    """Read up to the empty line that ends an HTTP request's headers."""
    request = b""
    while b"\r\n\r\n" not in request:
        received = connection.recv(4096)
        if not received:
            break
        request += received
    return request
