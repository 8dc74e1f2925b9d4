"""What a Flask application answers, whatever the service does: no key, no network, no model.

The fixtures come with speechmatics-sync: `speechmatics_server` is in the environment of the
application, and `speechmatics_faults` has it fail.
"""

from __future__ import annotations

import io
import wave

import pytest
from flask.testing import FlaskClient
from flask_app import create_app  # the application under test

from speechmatics_sync.local import Drop, Faults, LocalServer, Refuse, SendError, counted_audio


@pytest.fixture
def client(speechmatics_server: LocalServer) -> FlaskClient:
    return create_app().test_client()


@pytest.fixture
def recording() -> io.BytesIO:
    """A WAV file in which the server hears w1 to w6."""
    content = io.BytesIO()
    with wave.open(content, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(16000)
        wav.writeframes(counted_audio(6))
    content.seek(0)
    return content


def test_an_upload_is_transcribed(client: FlaskClient, recording: io.BytesIO) -> None:
    answer = client.post("/transcribe", data={"audio": (recording, "call.wav")})
    assert answer.status_code == 200
    assert answer.json["text"] == "w1 w2 w3 w4 w5 w6."


def test_a_dropped_connection_is_not_noticed(
    client: FlaskClient, recording: io.BytesIO, speechmatics_faults: Faults
) -> None:
    speechmatics_faults.add(Drop(), after_seconds=1)
    answer = client.post("/transcribe", data={"audio": (recording, "call.wav")})
    assert answer.json["text"] == "w1 w2 w3 w4 w5 w6."


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Refuse(401), 502),
        (SendError("quota_exceeded"), 503),
        (SendError("invalid_audio_type"), 415),
    ],
)
def test_a_failure_has_a_status_that_says_whose_it_is(
    client: FlaskClient,
    recording: io.BytesIO,
    speechmatics_faults: Faults,
    fault: Refuse,
    status: int,
) -> None:
    speechmatics_faults.add(fault, times=None)
    answer = client.post("/transcribe", data={"audio": (recording, "call.wav")})
    assert answer.status_code == status
    assert "text" not in answer.json
