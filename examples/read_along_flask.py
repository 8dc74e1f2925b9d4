"""One session, and any number of pages that read along by server-sent events.

    python examples/read_along_flask.py                     # then open http://127.0.0.1:5000

The page's ``EventSource`` connects again by itself, and then gets what it lacks.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Optional

from _server import serve
from flask import Flask, Response, request

from speechmatics_sync import Client, LineBroadcast, TranscriptionConfig, open_audio

STATION = str(Path(__file__).parent / "audio" / "demo.wav")  # or a URL
LIVE = TranscriptionConfig(enable_partials=True)
PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Read along</title>
<div id="said" aria-live="polite"></div>
<script>
  const source = new EventSource("/lines");
  source.onmessage = event => {
    const line = JSON.parse(event.data);
    let row = document.getElementById("line" + line.id);
    if (!row) {
      row = document.createElement("p");
      row.id = "line" + line.id;
      document.getElementById("said").append(row);
    }
    row.textContent = line.text;  // of a final line without text, nothing is left
  };
  source.addEventListener("end", () => source.close());
</script>
"""


def create_app(url: Optional[str] = None, station: str = STATION) -> Flask:
    """Return the application; ``url`` is the server, None the one in the environment."""
    app = Flask(__name__)
    broadcast = LineBroadcast()

    def listen() -> None:
        try:
            with open_audio(station) as audio, Client(url=url) as client:
                for line in client.stream(audio, realtime=True, transcription_config=LIVE).lines():
                    broadcast.send(line)
        finally:
            broadcast.close()

    @app.get("/")
    def page() -> str:
        return PAGE

    @app.get("/lines")
    def lines() -> Response:
        events = broadcast.events(request.headers.get("Last-Event-ID"))
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return Response(events, mimetype="text/event-stream", headers=headers)

    threading.Thread(target=listen, daemon=True).start()
    return app


if __name__ == "__main__":
    serve(create_app, "Serve a page to read along.")
