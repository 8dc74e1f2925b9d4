"""Live lines as server-sent events: of an upload, and of a station that many pages read along.

    python examples/events_flask.py
    curl -N --data-binary @examples/audio/demo.wav http://127.0.0.1:5000/lines

A page reads the station with ``new EventSource("/station")``: ``onmessage`` has a line as JSON, and
the event ``end`` says that there are no more.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Optional, Union

from _server import serve
from flask import Flask, Response, request

from speechmatics_sync import (
    Client,
    LineBroadcast,
    SpeechmaticsError,
    Stream,
    TranscriptionConfig,
    open_audio,
    server_sent_event,
)

STATION = Path(__file__).parent / "audio" / "demo.wav"  # or a URL
LIVE = TranscriptionConfig(enable_partials=True)
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # nginx keeps nothing back


def create_app(url: Optional[str] = None, station: Union[str, Path] = STATION) -> Flask:
    """Return the application; ``url`` is the server, None the one in the environment."""
    app = Flask(__name__)
    broadcast = LineBroadcast()
    threading.Thread(target=listen, args=(url, station, broadcast), daemon=True).start()

    @app.get("/station")
    def station_lines() -> Response:
        events = broadcast.events(request.headers.get("Last-Event-ID"))
        return Response(events, mimetype="text/event-stream", headers=HEADERS)

    @app.post("/lines")
    def lines() -> Response:
        # Connects before the response begins, so that a failure can still have a status.
        stream = Client(url=url).stream(
            request.stream, transcription_config=LIVE, expected_bytes=request.content_length
        )
        return Response(told(stream), mimetype="text/event-stream", headers=HEADERS)

    @app.errorhandler(SpeechmaticsError)
    def failed(error: SpeechmaticsError) -> tuple[str, int]:
        return f"The transcription failed ({error.request_id}).\n", 503

    return app


def told(stream: Stream) -> Iterator[str]:
    """The events of a session, and one that says how it failed: the status was sent before."""
    try:
        yield from stream.events()
    except SpeechmaticsError as error:
        yield server_sent_event({"error": type(error).__name__}, event="failed")


def listen(url: Optional[str], station: Union[str, Path], broadcast: LineBroadcast) -> None:
    """Run the session of the station, which all its readers share."""
    try:
        with open_audio(station) as audio, Client(url=url) as client:
            for line in client.stream(audio, realtime=True, transcription_config=LIVE).lines():
                broadcast.send(line)
    finally:
        broadcast.close()


if __name__ == "__main__":
    serve(create_app, "Serve live lines as server-sent events.")
