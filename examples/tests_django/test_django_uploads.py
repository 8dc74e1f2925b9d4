"""What a Django application answers, whatever the service does: no key, no network, no model.

The fixtures come with speechmatics-sync. `speechmatics_recognizer` says what the server hears.
"""

from __future__ import annotations

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import Client, RequestFactory
from upload_django import transcribe  # the application under test

from speechmatics_sync.local import Faults, LocalServer, ScriptedRecognizer, SendError

AUDIO = b"\1\0" * 32000  # two seconds; what is in it, the script says


@pytest.fixture
def speechmatics_recognizer() -> ScriptedRecognizer:
    return ScriptedRecognizer([("good", 0.2, 0.6), ("morning", 0.7, 1.1)])


@pytest.fixture
def client(speechmatics_server: LocalServer) -> Client:
    return Client()


def post(client: Client, audio: bytes) -> tuple[int, dict[str, str]]:
    answer = client.post("/transcribe", data=wav(audio), content_type="audio/wav")
    return answer.status_code, answer.json()


def wav(audio: bytes) -> bytes:
    sizes = (len(audio) + 36).to_bytes(4, "little"), len(audio).to_bytes(4, "little")
    rate = (16000).to_bytes(4, "little") + (32000).to_bytes(4, "little")
    fmt = b"fmt \x10\0\0\0\1\0\1\0" + rate + b"\2\0\x10\0"
    return b"RIFF" + sizes[0] + b"WAVE" + fmt + b"data" + sizes[1] + audio


def test_a_body_is_transcribed(client: Client) -> None:
    assert post(client, AUDIO) == (200, {"text": "good morning."})


def test_what_the_service_heard_is_what_was_sent(
    client: Client, speechmatics_server: LocalServer
) -> None:
    post(client, AUDIO)
    (session,) = speechmatics_server.sessions
    assert session.audio_bytes == len(AUDIO)


def test_a_service_that_is_busy_is_told(client: Client, speechmatics_faults: Faults) -> None:
    speechmatics_faults.add(SendError("quota_exceeded"), times=None)
    status, answer = post(client, AUDIO)
    assert (status, answer["error"]) == (503, "The service failed.")
    assert answer["id"]


def test_a_body_that_ends_early_is_no_transcript(speechmatics_server: LocalServer) -> None:
    request = RequestFactory().post("/transcribe", data=wav(AUDIO), content_type="audio/wav")
    request = WSGIRequest({**request.META, "CONTENT_LENGTH": str(len(AUDIO) * 2)})
    answer = transcribe(request)
    assert answer.status_code == 400
    assert b"is not complete" in answer.content
