"""Uploads and their events, in the web servers that people use: whole, cut off, many at once."""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.audio.sources import wav
from support.places import ROOT
from support.serving import PATIENCE
from support.web_servers import EXAMPLES, GUNICORN, form_of, read_answer, until, web_server

from speechmatics_sync.local import (
    CountedRecognizer,
    Faults,
    HoldAcknowledgements,
    LocalServer,
    counted_audio,
)

RECORDING = wav(counted_audio(20))
WORDS = " ".join(f"w{number}" for number in range(1, 21))
HALF = " ".join(f"w{number}" for number in range(1, 11))
THREADS = (*GUNICORN, "--threads", "40")
SUPPORT = str(ROOT / "tests" / "support")
ENDLESS = ("-m", "gunicorn", "--chdir", SUPPORT, "-b", "127.0.0.1:0")


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def service(faults: Faults) -> Iterator[LocalServer]:
    with LocalServer(
        recognizer=CountedRecognizer(service_finals=False), faults=faults, strict=True
    ) as server:
        yield server


def all_ended(service: LocalServer) -> bool:
    return all(session.ended for session in service.sessions)


@pytest.mark.parametrize(
    "arguments",
    [
        (*THREADS, "upload_django"),
        (*THREADS, "browser_recording:create_app()"),
        (*THREADS, "--preload", "browser_recording:create_app()"),
        (*GUNICORN, "-k", "gevent", "browser_recording:create_app()"),
        (*GUNICORN, "browser_recording:create_app()"),
        (str(EXAMPLES / "browser_recording.py"), "--port", "0"),
        ("-m", "waitress", "--listen", "127.0.0.1:0", "--call", "browser_recording:create_app"),
    ],
    ids=["django", "flask", "preload", "gevent", "sync", "werkzeug", "waitress"],
)
def test_a_body_is_transcribed_whole_or_is_an_error(
    arguments: tuple[str, ...], service: LocalServer
) -> None:
    with web_server(*arguments, service=service.url) as server:
        whole = server.post("/transcribe", RECORDING)
        cut = server.post("/transcribe", RECORDING, cut=True)
        until(lambda: all_ended(service))
    assert (whole.status, json.loads(whole.body)) == (200, {"text": WORDS})
    # waitress gives a body to the application when all of it is there, and this one never is.
    assert cut.status == (0 if "waitress" in arguments else 400)
    assert cut.status == 0 or "is not complete" in json.loads(cut.body)["error"]


@pytest.mark.parametrize(
    "arguments",
    [
        (*THREADS, "flask_app:create_app()"),
        ("-m", "uvicorn", "--app-dir", str(EXAMPLES), "--port", "0", "upload_fastapi:app"),
    ],
    ids=["flask", "fastapi"],
)
def test_a_form_is_transcribed_whole_or_not_at_all(
    arguments: tuple[str, ...], service: LocalServer
) -> None:
    body, kind = form_of(RECORDING)
    with web_server(*arguments, service=service.url) as server:
        whole = server.post("/transcribe", body, kind=kind)
        cut = server.post("/transcribe", body, kind=kind, cut=True)
    assert (whole.status, json.loads(whole.body)["text"]) == (200, WORDS)
    assert cut.status in (0, 400)
    assert len(service.sessions) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (*THREADS, "events_flask:create_app()"),
        (str(EXAMPLES / "gevent_server.py"), "--port", "0"),
    ],
    ids=["threads", "gevent"],
)
def test_lines_come_as_events(arguments: tuple[str, ...], service: LocalServer) -> None:
    with web_server(*arguments, service=service.url) as server:
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: server.post("/lines", RECORDING), range(20)))
        cut = server.post("/lines", RECORDING, cut=True)
        gone = server.send("/lines", RECORDING, kind="audio/wav", cut=True)
        until(lambda: len(service.sessions) == 22)
        gone.close()
        until(lambda: all_ended(service))
    for answer in answers:
        assert answer.status == 200
        assert answer.body.endswith("event: end\ndata: null\n\n")
        assert _last_line(answer.body) == WORDS
    assert _last_line(cut.body) == HALF
    assert cut.body.endswith('event: failed\ndata: {"error": "AudioError"}\n\n')


def test_whoever_comes_reads_along(service: LocalServer, tmp_path: Path) -> None:
    (tmp_path / "speech.wav").write_bytes(wav(counted_audio(4)))
    app = f"read_along_flask:create_app(station='{tmp_path / 'speech.wav'}')"
    with web_server(*THREADS, app, service=service.url) as server:

        def read(last_event_id: str) -> str:
            asked = urllib.request.Request(
                f"http://127.0.0.1:{server.port}/lines", headers={"Last-Event-ID": last_event_id}
            )
            with urllib.request.urlopen(asked, timeout=PATIENCE) as lines:
                assert lines.headers["Content-Type"].startswith("text/event-stream")
                return str(lines.read().decode())

        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            heard = list(pool.map(read, [""] * 20))
        late, again = read(""), read("99")
    for events in (*heard, late):
        assert _last_line(events) == "w1 w2 w3 w4"
        assert events.endswith("event: end\ndata: null\n\n")
    assert again == "event: end\ndata: null\n\n"
    assert len(service.sessions) == 1


def _last_line(events: str) -> str:
    lines = [json.loads(data) for data in re.findall(r"^data: (\{.*\"id\".*)$", events, re.M)]
    assert lines[-1]["is_final"]
    return str(lines[-1]["text"])


def test_a_sync_worker_is_killed_in_the_middle_and_one_with_threads_is_not(
    service: LocalServer, faults: Faults
) -> None:
    faults.add(HoldAcknowledgements(seconds=3), times=None)
    app = "browser_recording:create_app()"
    with web_server(*GUNICORN, "--timeout", "1", app, service=service.url, fails=True) as server:
        killed = server.post("/transcribe", RECORDING)
        assert "WORKER TIMEOUT" in server.said
    faults.clear()
    # A worker with threads says once in a second that it lives: a busy machine may be late with it.
    faults.add(HoldAcknowledgements(seconds=6), times=None)
    with web_server(*THREADS, "--timeout", "4", app, service=service.url) as server:
        served = server.post("/transcribe", RECORDING)
    assert killed.status == 500
    assert (served.status, json.loads(served.body)) == (200, {"text": WORDS})


@pytest.mark.parametrize("define", ["def", "async def"])
def test_a_call_in_an_async_function_blocks_everybody(
    define: str, service: LocalServer, faults: Faults, tmp_path: Path
) -> None:
    faults.add(HoldAcknowledgements(seconds=2), times=None)
    text = (EXAMPLES / "upload_fastapi.py").read_text(encoding="utf-8")
    assert "\ndef transcribe(" in text
    (tmp_path / "app.py").write_text(text.replace("\ndef ", f"\n{define} "), encoding="utf-8")
    arguments = ("-m", "uvicorn", "--app-dir", str(tmp_path), "--port", "0", "app:app")
    body, kind = form_of(RECORDING)
    with (
        web_server(*arguments, service=service.url) as server,
        server.send("/transcribe", body, kind=kind) as upload,
    ):
        until(lambda: service.sessions and service.sessions[0].audio_bytes)
        page = f"http://127.0.0.1:{server.port}/openapi.json"
        with urllib.request.urlopen(page, timeout=PATIENCE) as answer:
            assert answer.status == 200
        ended = service.sessions[0].ended
        assert json.loads(read_answer(upload).body)["text"] == WORDS
    assert ended == (define == "async def"), "the page waited for the transcript"


@pytest.mark.parametrize("suite", ["tests_flask", "tests_django"])
def test_the_test_suites_of_the_examples_pass(suite: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", suite],
        cwd=EXAMPLES,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout
    assert re.search(r"[45] passed", ran.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        (*ENDLESS, "--threads", "4", "endless_apps:flask_app"),
        (*ENDLESS, "--threads", "4", "endless_apps:django_app"),
        (*ENDLESS, "-k", "gevent", "endless_apps:flask_app"),
        ("-m", "uvicorn", "--app-dir", SUPPORT, "--port", "0", "endless_apps:fastapi_app"),
    ],
    ids=["flask", "django", "gevent", "fastapi"],
)
def test_a_reader_who_leaves_in_silence_leaves_no_session(
    arguments: tuple[str, ...], service: LocalServer
) -> None:
    with web_server(*arguments, service=service.url) as server:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/", timeout=PATIENCE) as reader:
            assert reader.readline() == b":\n"
            assert not service.sessions[0].ended
        until(lambda: all_ended(service))
