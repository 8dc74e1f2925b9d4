"""Speak into a page, and read; others read along. With Flask and flask-sock.

    cd examples
    python -m captions_flask                    # with an embedded server, if there is no key
    gunicorn --threads 100 "captions_flask:create_app()"

A talk lives in one process: one worker with a thread for each speaker and reader.
"""

from __future__ import annotations

from typing import Any, Optional

from captions_page import SOCKET_OPTIONS, STATIC, STREAM_HEADERS, Talks
from flask import Flask, Response, request
from flask_sock import Sock
from simple_websocket import Server

__all__ = ["create_app"]


def create_app(url: Optional[str] = None, **options: Any) -> Flask:
    """Return the application.

    Args:
        url: The server for `Client`; None for the one in the environment.
        options: More arguments for `Client`.
    """
    app = Flask(__name__, static_folder=STATIC, static_url_path="/static")
    app.config["SOCK_SERVER_OPTIONS"] = SOCKET_OPTIONS
    talks = Talks(url, **options)

    @app.get("/")
    def page() -> Response:
        return app.send_static_file("page.html")

    @Sock(app).route("/speak")
    def speak(speaker: Server) -> None:
        talks.speak(speaker, request.environ)

    @app.get("/read")
    def read() -> Response:
        seen = request.headers.get("Last-Event-ID") or request.args.get("seen", "")
        events = talks.read(request.args["talk"], seen)
        return Response(events, mimetype="text/event-stream", headers=STREAM_HEADERS)

    return app
