"""The web applications among the examples, run by web servers in processes of their own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Callable, NamedTuple

from support.places import ROOT
from support.serving import PATIENCE

EXAMPLES = ROOT / "examples"
GUNICORN = ("-m", "gunicorn", "--chdir", str(EXAMPLES), "-b", "127.0.0.1:0", "--workers", "1")


class Answer(NamedTuple):
    """What a web server answered; status 0 if it only closed the connection."""

    status: int
    body: str


class WebServer:
    """A web server that runs.

    Args:
        process: The process.
        port: Where it listens.
        log: What it says.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self._log = log

    @property
    def said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def send(self, path: str, body: bytes, *, kind: str, cut: bool = False) -> socket.socket:
        """Post a body, or the first half of it and no more; return the connection."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        connection.sendall(body[: len(body) // 2] if cut else body)
        return connection

    def post(self, path: str, body: bytes, *, kind: str = "audio/wav", cut: bool = False) -> Answer:
        """Post a body; return what is answered. If it is cut, the peer is gone after half of it."""
        with self.send(path, body, kind=kind, cut=cut) as connection:
            if cut:
                connection.shutdown(socket.SHUT_WR)
            return read_answer(connection)


def read_answer(connection: socket.socket) -> Answer:
    """Read an answer up to its end; chunks are put together."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1\.[01] (\d+)", head)
    if b"chunked" in head.lower():
        body = re.sub(rb"(?:\r\n)?[0-9A-Fa-f]+\r\n", b"", body).removesuffix(b"\r\n")
    return Answer(int(found[1]) if found else 0, body.decode("utf-8"))


def form_of(audio: bytes) -> tuple[bytes, str]:
    """Return a form with a file, and its content type."""
    head = (
        b'--limit\r\nContent-Disposition: form-data; name="audio"; filename="call.wav"\r\n'
        b"Content-Type: audio/wav\r\n\r\n"
    )
    return head + audio + b"\r\n--limit--\r\n", "multipart/form-data; boundary=limit"


@contextlib.contextmanager
def web_server(*arguments: str, service: str, fails: bool = False) -> Iterator[WebServer]:
    """Run a web server with Python; it must say where it listens, and nothing of a traceback.

    Args:
        arguments: Of the interpreter; port 0 lets the system choose one.
        service: The URL of the server that the application transcribes with.
        fails: Whether it says something of a traceback.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(EXAMPLES))),
        "PYTHONUNBUFFERED": "1",
        "SPEECHMATICS_RT_URL": service,
        "SPEECHMATICS_API_KEY": "a-key",
    }
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=environment, cwd=ROOT, stdout=log, stderr=log
        )
        server = WebServer(process, 0, Path(log.name))
        try:
            until(lambda: _ADDRESS.search(server.said) or process.poll() is not None)
            found = _ADDRESS.search(server.said)
            assert found is not None, server.said
            server.port = int(found[1])
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        assert ("Traceback" in server.said) == fails, server.said


_ADDRESS = re.compile(r"http://127\.0\.0\.1:([1-9]\d*)")


def until(true: Callable[[], object]) -> None:
    """Wait for something in another process, which tells no event."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "what the test waits for does not happen"
        time.sleep(0.02)
