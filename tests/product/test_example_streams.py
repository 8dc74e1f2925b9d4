"""The examples of sound that comes from elsewhere: a radio station, a recording of a browser."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import threading
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from support.audio.encoded import encode
from support.examples import (
    PATIENCE,
    SENTENCES,
    assert_heard,
    environment,
    recordings,
    run,
    started,
    web_app,
)
from support.serving import answering, listening, read_request

__all__ = ["environment", "recordings"]

pytestmark = pytest.mark.timeout(120)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nicy-name: Test\r\n\r\n"


def samples_of(*paths: Path) -> bytes:
    samples = b""
    for path in paths:
        with wave.open(str(path)) as file:
            samples += file.readframes(file.getnframes())
    return samples


# -- radio ----------------------------------------------------------------------------------------


@pytest.mark.speech
def test_a_station_is_printed_line_by_line(
    environment: dict[str, str], recordings: list[Path]
) -> None:
    programme = encode(samples_of(*recordings[:2]), "mp3", "mp3")
    with listening(answering(HEAD + programme)) as port:
        done = run("radio.py", f"http://127.0.0.1:{port}/live", environment=environment)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line, spoken in zip(lines, SENTENCES):
        assert re.match(r" +\d+\.\d\d  ", line)
        assert_heard(line, spoken)


@contextlib.contextmanager
def station(programme: bytes) -> Iterator[str]:
    """A station that sends this and then keeps silent."""
    over = threading.Event()

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(HEAD + programme)
        over.wait(PATIENCE)

    with listening(behave) as port:
        try:
            yield f"http://127.0.0.1:{port}/live"
        finally:
            over.set()


@pytest.mark.speech
def test_ctrl_c_ends_it_with_what_was_said_until_then(
    environment: dict[str, str], recordings: list[Path]
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # or it is inherited ignored
    try:
        programme = encode(samples_of(*recordings[:2]), "mp3", "mp3")
        with (
            station(programme) as url,
            started("radio.py", url, environment=environment) as example,
        ):
            assert example.stdout is not None
            first = example.stdout.readline()
            example.send_signal(signal.SIGINT)
            rest, errors = example.communicate(timeout=PATIENCE)
    finally:
        signal.signal(signal.SIGINT, before)
    assert example.returncode == 0, errors
    assert_heard(first, SENTENCES[0])
    assert rest.strip()


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "127.0.0.1"),
    ],
)
def test_a_station_that_is_none_is_one_clear_line(
    response: bytes, said: str, environment: dict[str, str]
) -> None:
    with listening(answering(response)) as port:
        done = run(
            "radio.py",
            f"http://127.0.0.1:{port}/live",
            environment={**environment, "SPEECHMATICS_RT_URL": "ws://127.0.0.1:9/v2"},
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Not transcribed: ")
    assert said in line


# -- a browser ------------------------------------------------------------------------------------

RECORDERS = [
    pytest.param("webm", "libopus", 48000, id="as Chrome and Firefox record"),
    pytest.param("mp4", "aac", 44100, id="as Safari records"),
]


@pytest.mark.speech
@pytest.mark.parametrize(("container", "codec", "rate"), RECORDERS)
def test_a_recording_is_transcribed(
    container: str, codec: str, rate: int, environment: dict[str, str], recordings: list[Path]
) -> None:
    fragments = {"movflags": "frag_keyframe+empty_moov"} if container == "mp4" else {}
    recording = encode(
        samples_of(recordings[1]), container, codec, rate=rate, options=fragments, piped=True
    )
    with web_app("browser_recording.py", environment) as url:
        answer = requests.post(f"{url}/transcribe", data=recording, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    assert_heard(answer.json()["text"], SENTENCES[1])


def test_the_page_records_and_sends(environment: dict[str, str]) -> None:
    with web_app("browser_recording.py", environment, "ws://127.0.0.1:9/v2") as url:
        page = requests.get(url, timeout=PATIENCE)
        nothing = requests.post(f"{url}/transcribe", data=b"", timeout=PATIENCE)
        no_sound = requests.post(f"{url}/transcribe", data=b"no sound " * 99, timeout=PATIENCE)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert 'fetch("/transcribe"' in page.text
    for answer in (nothing, no_sound):
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("This cannot be transcribed: ")


def test_a_service_that_cannot_be_reached_is_said_without_details(
    environment: dict[str, str], recordings: list[Path]
) -> None:
    with web_app("browser_recording.py", environment, "ws://127.0.0.1:9/v2") as url:
        answer = requests.post(
            f"{url}/transcribe", data=recordings[1].read_bytes(), timeout=PATIENCE
        )
    assert answer.status_code == 503
    assert answer.json()["error"] == "The transcription failed."
