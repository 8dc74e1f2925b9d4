"""A Flask application that returns the transcript of an uploaded file.

    python examples/flask_app.py [--port 5000]
    curl -F audio=@examples/audio/demo.wav http://127.0.0.1:5000/transcribe

In production, with a key: ``gunicorn --chdir examples --threads 8 "flask_app:create_app()"``.
"""

from __future__ import annotations

from typing import Any, Optional

from _server import serve
from flask import Flask, jsonify, request
from werkzeug.exceptions import HTTPException

from speechmatics_sync import (
    AudioError,
    Client,
    ConnectionError,
    ErrorType,
    SpeechmaticsError,
    TimeoutError,
    TranscriptionError,
)

LARGEST_UPLOAD = 64 * 1024 * 1024
SECONDS_PER_UPLOAD = 300


def create_app(url: Optional[str] = None) -> Flask:
    """Return the application; ``url`` is the server, None the one in the environment."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_UPLOAD

    @app.post("/transcribe")
    def transcribe() -> Any:
        upload = request.files.get("audio")
        if upload is None:
            return jsonify(error="Send an audio file in the form field 'audio'."), 400
        with Client(url=url) as client:  # it runs one session at a time
            transcript = client.transcribe(upload.stream, timeout=SECONDS_PER_UPLOAD)
        return jsonify(
            text=transcript.text,
            words=[
                {"content": word.content, "start": word.start_time, "end": word.end_time}
                for word in transcript.words
            ],
        )

    @app.errorhandler(AudioError)
    def bad_audio(error: AudioError) -> Any:
        return jsonify(error=f"This is not audio: {error.message}"), 400

    @app.errorhandler(SpeechmaticsError)
    def service_failed(error: SpeechmaticsError) -> Any:
        if isinstance(error, TranscriptionError) and error.type == ErrorType.INVALID_AUDIO_TYPE:
            return jsonify(error=f"This audio cannot be read: {error.reason}"), 415
        app.logger.error("%s: %s", type(error).__name__, error)  # details are not for the user
        if isinstance(error, TimeoutError):
            return jsonify(error="The transcription took too long."), 504
        busy = isinstance(error, ConnectionError) or (
            isinstance(error, TranscriptionError) and error.type == ErrorType.QUOTA_EXCEEDED
        )
        status = 503 if busy else 502
        return jsonify(error="The transcription service failed.", id=error.request_id), status

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Any:
        return jsonify(error=error.description), error.code

    return app


if __name__ == "__main__":
    serve(create_app, "Serve POST /transcribe.")
