"""A local replacement for Speechmatics' management platform, which issues temporary keys."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class KeyService(ThreadingHTTPServer):
    """Issues a temporary key to requests that have the API key."""

    def __init__(self, api_key: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api_key = api_key
        self.temporary_key = secrets.token_urlsafe()  # a JWT from the real service

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: KeyService

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/v1/api_keys?type=rt":
            return self._answer(404, {"error": "not found"})
        if self.headers["Authorization"] != f"Bearer {self.server.api_key}":
            return self._answer(401, {"error": "not the API key"})
        return self._answer(201, {"apikey_id": None, "key_value": self.server.temporary_key})

    def _answer(self, status: int, body: dict[str, object]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextlib.contextmanager
def key_service(api_key: str) -> Iterator[KeyService]:
    """Run a key service on this machine."""
    with KeyService(api_key) as service:
        thread = threading.Thread(target=service.serve_forever)
        thread.start()
        try:
            yield service
        finally:
            service.shutdown()
            thread.join()
