"""The lines of an upload as server-sent events, while it is transcribed.

python examples/events_flask.py
curl -N --data-binary @examples/audio/demo.wav http://127.0.0.1:5000/lines
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from _server import serve
from flask import Flask, Response, request

from speechmatics_sync import (
    Client,
    SpeechmaticsError,
    Stream,
    TranscriptionConfig,
    server_sent_event,
)

LIVE = TranscriptionConfig(enable_partials=True)
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # nginx keeps nothing back


def create_app(url: Optional[str] = None) -> Flask:
    """Return the application; ``url`` is the server, None the one in the environment."""
    app = Flask(__name__)

    @app.post("/lines")
    def lines() -> Response:
        # Connects before the response begins, so that a failure can still have a status.
        stream = Client(url=url).stream(
            request.stream, transcription_config=LIVE, expected_bytes=request.content_length
        )
        return Response(events(stream), mimetype="text/event-stream", headers=HEADERS)

    @app.errorhandler(SpeechmaticsError)
    def failed(error: SpeechmaticsError) -> tuple[str, int]:
        return f"The transcription failed ({error.request_id}).\n", 503

    return app


def events(stream: Stream) -> Iterator[str]:
    """The events of a session, and one that says how it failed: the status was sent before."""
    try:
        yield from stream.events()
    except SpeechmaticsError as error:
        yield server_sent_event({"error": type(error).__name__}, event="failed")


if __name__ == "__main__":
    serve(create_app, "Serve POST /lines.")
