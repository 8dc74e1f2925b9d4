"""The web application that `soak_web` wears down: live lines over a WebSocket, and uploads.

gunicorn --chdir benchmarks --threads 100 "web_app:create_app()"
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import resource
from pathlib import Path
from typing import Any

from flask import Flask, jsonify, request
from flask_sock import Sock
from simple_websocket import ConnectionClosed, Server

from speechmatics_sync import (
    AudioEncoding,
    AudioError,
    AudioFormat,
    Client,
    Line,
    TranscriptionConfig,
)

MICROPHONE = AudioFormat(AudioEncoding.PCM_S16LE, sample_rate=16000)
LIVE = TranscriptionConfig(enable_partials=True, max_delay=1.0)


def create_app() -> Flask:
    """Return the application."""
    app = Flask(__name__)
    app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": 5, "max_message_size": 65536}

    @Sock(app).route("/live")
    def live(browser: Server) -> None:
        audio = iter(browser.receive, "end")
        try:
            with (
                Client() as client,
                client.stream(
                    audio, audio_format=MICROPHONE, transcription_config=LIVE, collect=False
                ) as stream,
            ):
                for line in stream.lines():
                    tell(browser, line)
        except AudioError as error:
            if not isinstance(error.__cause__, ConnectionClosed):
                raise

    @app.post("/transcribe")
    def transcribe() -> Any:
        try:
            with Client() as client:
                heard = client.transcribe(request.stream, expected_bytes=request.content_length)
        except AudioError as error:
            return jsonify(error=error.message), 400
        return jsonify(text=heard.text)

    @app.get("/memory")
    def memory() -> dict[str, int]:
        """What is in use: what the allocators keep of what was freed is given back before."""
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL(None).malloc_trim(0)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return {"objects": len(gc.get_objects()), "bytes": pages * resource.getpagesize()}

    return app


def tell(browser: Server, line: Line) -> None:
    try:
        browser.send(json.dumps(line.to_dict()))
    except OSError as error:  # simple-websocket has not noticed yet that the browser is gone
        raise ConnectionClosed from error


def post_worker_init(worker: Any) -> None:
    """Called by gunicorn, for which this file is the configuration: pin it, and say where it is."""
    os.sched_setaffinity(0, {int(os.environ["SOAK_WEB_CORE"])})
    pipe = int(os.environ["SOAK_WEB_PIPE"])
    os.write(pipe, f"{worker.sockets[0].getsockname()[1]} {os.getpid()}\n".encode())
