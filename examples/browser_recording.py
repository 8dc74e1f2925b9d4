"""A web page that records in the browser, and shows what was said.

    python examples/browser_recording.py [--port 5000]      # then open http://127.0.0.1:5000

A browser's recorder makes webm with opus (Chrome, Firefox) or mp4 with aac (Safari), without a
length; `open_audio` decodes it while it arrives. Browsers give a page the microphone on 127.0.0.1
and over https only.
"""

from __future__ import annotations

from typing import Any, Optional

from _server import serve
from flask import Flask, jsonify, request

from speechmatics_sync import AudioError, Client, SpeechmaticsError, open_audio

SECONDS_PER_RECORDING = 300
LARGEST_RECORDING = 64 * 1024 * 1024
PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Speak</title>
<button id="button">Record</button>
<p id="said"></p>
<script>
  const button = document.getElementById("button"), said = document.getElementById("said");
  let recorder;

  async function send(recording) {
    const answer = await fetch("/transcribe", {method: "POST", body: recording});
    const {text, error} = await answer.json();
    said.textContent = error || text;
  }

  async function record() {
    const stream = await navigator.mediaDevices.getUserMedia({audio: true});
    const pieces = [];
    recorder = new MediaRecorder(stream);
    recorder.ondataavailable = event => pieces.push(event.data);
    recorder.onstop = () => {
      stream.getTracks().forEach(track => track.stop());
      send(new Blob(pieces)).catch(error => { said.textContent = error; });
    };
    recorder.start();
    button.textContent = "Stop";
  }

  button.onclick = () => {
    if (recorder?.state === "recording") {
      recorder.stop();
      button.textContent = "Record";
    } else {
      record().catch(error => { said.textContent = error; });
    }
  };
</script>
"""


def create_app(url: Optional[str] = None) -> Flask:
    """Return the application; ``url`` is the server, None the one in the environment."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_RECORDING

    @app.get("/")
    def page() -> str:
        return PAGE

    @app.post("/transcribe")
    def transcribe() -> Any:
        with Client(url=url) as client, open_audio(request.stream) as recording:
            transcript = client.transcribe(
                recording,
                expected_bytes=request.content_length,  # fewer: the browser is gone
                timeout=SECONDS_PER_RECORDING,
            )
        return jsonify(text=transcript.text)

    @app.errorhandler(AudioError)
    def bad_audio(error: AudioError) -> Any:
        return jsonify(error=f"This cannot be transcribed: {error.message}"), 400

    @app.errorhandler(SpeechmaticsError)
    def service_failed(error: SpeechmaticsError) -> Any:
        app.logger.error("%s: %s", type(error).__name__, error)  # details are not for the user
        return jsonify(error="The transcription failed.", id=error.request_id), 503

    return app


if __name__ == "__main__":
    serve(create_app, "Serve a page that records.")
