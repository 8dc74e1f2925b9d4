"""The captions page of the examples: a browser in front of it, and servers behind it."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Iterator
from typing import Any, Callable, Optional

import pytest
import websocket

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"

PATIENCE = 30.0

CHUNK = 3200
"""Bytes: a tenth of a second at 16 kHz."""

INSECURE = "captions.test"
"""A name of this machine that a browser does not take for a safe place, as it does 127.0.0.1."""


@contextlib.contextmanager
def browser(*arguments: str) -> Iterator[Any]:
    """Run Chromium without a window."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = launched(playwright.chromium, *arguments)
        yield chromium
        chromium.close()


def launched(chromium: Any, *arguments: str) -> Any:
    """Launch one more Chromium; `browser` has to have the first."""
    mapped = f"--host-resolver-rules=MAP {INSECURE} 127.0.0.1"
    return chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", mapped, *arguments])


def with_microphone(recording: Any) -> list[str]:
    """Arguments for a browser whose microphone plays a WAV file once, and is always allowed."""
    return [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={recording}%noloop",
    ]


@contextlib.contextmanager
def opened(browser: Any, url: str, **options: Any) -> Iterator[Any]:
    """Open a page in a profile of its own; fail if a script of it fails."""
    problems: list[str] = []
    context = browser.new_context(**options)
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(url)
        yield page
    finally:
        context.close()
    assert problems == []


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application in threads of this process; give its URL."""
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_: Any) -> None:
            pass

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    yield f"http://127.0.0.1:{server.port}/"
    server.shutdown()
    thread.join()
    server.server_close()


class Closed(Exception):
    """The server has closed a WebSocket: the code and the reason."""


class PageOfPython:
    """Speaks to the server as the page does, with audio of one's own.

    Args:
        url: The application's.
        key: The page's secret.
        origin: The page's site; by default the application's.
    """

    def __init__(self, url: str, *, key: str = "k" * 48, origin: Optional[str] = None) -> None:
        self._key, self._given_origin = key, origin
        self.move(url)
        self.taken, self.seen = 0, ""
        self.said: list[str] = []
        self.last: dict[str, Any] = {}
        self.socket: websocket.WebSocket

    def move(self, url: str) -> None:
        """Connect to another server from now on."""
        self._url = url.rstrip("/")
        self._origin = self._given_origin or self._url

    def connect(self, *, rate: Any = 16000) -> None:
        """Open the WebSocket, and wait for what the server has taken."""
        address = f"{self._url.replace('http', 'ws')}/speak"
        self.socket = websocket.create_connection(address, origin=self._origin, timeout=20)
        first = {"key": self._key, "rate": rate, "taken": self.taken, "seen": self.seen}
        self.socket.send(json.dumps(first))
        self.receive()

    def send(self, audio: bytes) -> None:
        """Send audio from where the server is."""
        for start in range(self.taken, len(audio), CHUNK):
            self.socket.send_binary(audio[start : start + CHUNK])

    def receive(self) -> bool:
        """Take one message; return whether it has news, and is not only a sign of life."""
        opcode, payload = self.socket.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            self.vanish()  # the close frame was answered
            raise Closed(int.from_bytes(payload[:2], "big"), payload[2:].decode())
        message = json.loads(payload)
        if message:
            self.last = message
            self.taken, self.seen = message["taken"], message["seen"]
            self.said += [line["text"] for line in message["final"]]
        return bool(message)

    def receive_until(self, done: Callable[[], bool]) -> None:
        """Take messages until something is so."""
        while not done():
            self.receive()

    def stop(self) -> None:
        """End the audio; wait for the last words and for the server to close."""
        self.socket.send("stop")
        with contextlib.suppress(Closed):
            self.receive_until(lambda: False)

    def vanish(self) -> None:
        """Lose the connection, without a word."""
        self.socket.shutdown()
