"""The Flask application among the examples."""

from __future__ import annotations

import concurrent.futures
import io
from pathlib import Path

import pytest
import requests
from support.examples import (
    PATIENCE,
    SAMPLE,
    SENTENCES,
    assert_heard,
    environment,
    recordings,
    web_app,
    words_of,
)
from support.serving import answering, listening, refusing

__all__ = ["environment", "recordings"]

pytestmark = pytest.mark.timeout(120)


@pytest.mark.speech
def test_uploads_at_once_each_get_their_own_transcript(
    environment: dict[str, str], recordings: list[Path]
) -> None:
    uploads = recordings[1:]
    with web_app("flask_app.py", environment) as url:

        def transcript_of(path: Path) -> str:
            answer = post(url, path.read_bytes())
            assert answer.status_code == 200, answer.text
            transcript = answer.json()
            spoken = [word["content"] for word in transcript["words"]]
            assert words_of(" ".join(spoken)) == words_of(transcript["text"])
            assert all(word["start"] < word["end"] for word in transcript["words"])
            return str(transcript["text"])

        with concurrent.futures.ThreadPoolExecutor(len(uploads)) as pool:
            texts = list(pool.map(transcript_of, uploads))
    for heard, spoken in zip(texts, SENTENCES[1:]):
        assert_heard(heard, spoken)


@pytest.mark.speech
def test_an_upload_that_is_not_audio_is_the_senders_fault(environment: dict[str, str]) -> None:
    with web_app("flask_app.py", environment) as url:
        unknown = post(url, bytes(range(1, 256)) * 100)
        text = post(url, b"this is a text, and nobody speaks\n" * 100)
        empty = post(url, b"")
    answers = (unknown.status_code, text.status_code, empty.status_code)
    assert answers == (415, 400, 400)
    assert unknown.json()["error"].startswith("This audio cannot be read: ")
    assert text.json()["error"].startswith("This is not audio: ")
    assert empty.json()["error"].startswith("This is not audio: ")


def test_a_request_without_a_file_is_told_which_field_to_use(environment: dict[str, str]) -> None:
    with web_app("flask_app.py", environment, "ws://127.0.0.1:9/v2") as url:
        answer = requests.post(f"{url}/transcribe", data={"audio": "text"}, timeout=PATIENCE)
        lost = requests.get(f"{url}/nowhere", timeout=PATIENCE)
    assert (answer.status_code, lost.status_code) == (400, 404)
    assert "'audio'" in answer.json()["error"]
    assert lost.json()["error"]


def test_a_service_that_cannot_be_reached_is_unavailable(environment: dict[str, str]) -> None:
    with (
        refusing() as port,
        web_app("flask_app.py", environment, f"ws://127.0.0.1:{port}/v2") as url,
    ):
        answer = post(url, SAMPLE.read_bytes())
    assert answer.status_code == 503
    assert str(port) not in answer.text, "where the service is, is not the sender's business"


def test_a_service_that_refuses_our_key_is_a_bad_gateway(environment: dict[str, str]) -> None:
    refusal = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
    with (
        listening(answering(refusal)) as port,
        web_app("flask_app.py", environment, f"ws://127.0.0.1:{port}/v2") as url,
    ):
        answer = post(url, SAMPLE.read_bytes())
    assert answer.status_code == 502
    assert answer.json()["id"]


def post(url: str, audio: bytes) -> requests.Response:
    files = {"audio": ("call.wav", io.BytesIO(audio))}
    return requests.post(f"{url}/transcribe", files=files, timeout=PATIENCE)
