"""Celery over Redis: workers that die, time limits, and live text for whoever listens."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from support.examples import EXAMPLES, environment, started
from support.services import Service, block_that_needs, counted_files, running
from support.sessions import wait_for

from speechmatics_sync.local import CountedRecognizer, Faults, LocalServer, Silence

__all__ = ["counted_files", "environment"]

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server"),
]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Redis server that keeps nothing on disk, without the number of a database."""
    folder = tmp_path_factory.mktemp("redis")
    command = ["redis-server", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    for attempt in range(5):  # another program may take the port before Redis has it
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        log = folder / f"{attempt}.log"
        command_here = [*command, "--dir", str(folder), "--port", str(port)]
        with running(command_here, dict(os.environ), log) as program:
            said = program.until("Ready to accept connections|in use")[0]
            if said.startswith("Ready"):
                yield f"redis://127.0.0.1:{port}"
                return
    pytest.fail("there is no free port")


class Listener:
    """Whoever listens to the texts of all tasks."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url)
        self._events = self._redis.pubsub()
        self._events.psubscribe("transcript:*")
        self._events.get_message(timeout=10)  # that it is subscribed

    def until(self, awaited: str) -> list[dict[str, Any]]:
        """The events up to the first of a kind."""
        found: list[dict[str, Any]] = []
        while not found or found[-1]["event"] != awaited:
            message = self._events.get_message(timeout=60)
            assert message is not None, f"no {awaited} after {found}"
            found.append(json.loads(message["data"]))
        return found

    def close(self) -> None:
        self._events.close()
        self._redis.close()


class Place:
    """A database of Redis, and the workers and listeners that use it."""

    def __init__(self, url: str, environment: dict[str, str], folder: Path) -> None:
        self.url = url
        self.environment = {**environment, "CELERY_REDIS_URL": url}
        self.listener = Listener(url)
        self._folder = folder
        self._stack = contextlib.ExitStack()

    def worker(
        self,
        name: str,
        server: LocalServer,
        *options: str,
        app: str = "celery_tasks",
        folder: Path = EXAMPLES,
        **settings: str,
    ) -> Service:
        """Start a worker with sessions at a server of its own; return when it is ready."""
        command = [sys.executable, "-m", "celery", "--workdir", str(folder)]
        command += ["-A", app, "worker", "--hostname", name, "--loglevel", "INFO"]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        environment = {**self.environment, "SPEECHMATICS_RT_URL": server.url, **settings}
        program = self._stack.enter_context(
            running([*command, *quiet, *options], environment, self._folder / f"{name}.log")
        )
        program.until(r"ready\.")
        return program

    def asking_for(self, file: str, **settings: str) -> contextlib.AbstractContextManager[Any]:
        """Run the example that has a worker transcribe a file."""
        return started("celery_tasks.py", file, environment={**self.environment, **settings})

    def close(self) -> None:
        self._stack.close()
        self.listener.close()


_databases = iter(range(16))


@pytest.fixture
def place(broker: str, environment: dict[str, str], tmp_path: Path) -> Iterator[Place]:
    place = Place(f"{broker}/{next(_databases)}", environment, tmp_path)
    yield place
    place.close()


@contextlib.contextmanager
def silent_server(times: int | None, after_seconds: float = 0.2) -> Iterator[Any]:
    """A server that falls silent in the middle of sessions, and an event for when it does."""
    amid = threading.Event()

    def note(record: Any) -> bool:
        amid.set()
        return True

    faults = Faults()
    faults.add(Silence(reads=True), after_seconds=after_seconds, times=times, when=note)
    with LocalServer(recognizer=CountedRecognizer(), faults=faults) as server:
        yield server, amid


def longest(files: dict[str, str]) -> tuple[str, str]:
    return list(files.items())[-1]


def finish(example: Any) -> str:
    said, warned = example.communicate(timeout=60)
    assert example.returncode == 0, warned
    return str(said)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_live_text_reaches_whoever_listens(
    pool: str, place: Place, counted_files: dict[str, str]
) -> None:
    file, text = longest(counted_files)
    with LocalServer(recognizer=CountedRecognizer()) as server:
        place.worker("one", server, "--pool", pool, "--concurrency", "2")
        with place.asking_for(file) as example:
            begun, *lines, ended = place.listener.until("ended")
            said = finish(example)
    assert (begun["event"], ended["complete"]) == ("begun", True)
    assert {line["event"] for line in lines} == {"line"}
    assert len(lines) > 1
    assert (lines[-1]["text"], lines[-1]["is_final"]) == (text, True)
    assert said.replace("\r", "\n").splitlines()[-1] == text


def test_a_file_whose_process_is_killed_is_transcribed_by_another(
    place: Place, counted_files: dict[str, str]
) -> None:
    file, text = longest(counted_files)
    with silent_server(times=1) as (server, amid):
        place.worker("one", server, "--pool", "prefork", "--concurrency", "1")
        with place.asking_for(file) as example:
            (begun,) = place.listener.until("begun")
            wait_for(amid)
            os.kill(begun["pid"], signal.SIGKILL)
            again, *lines, ended = place.listener.until("begun") + place.listener.until("ended")
            while again["event"] == "line":  # of before it was killed
                again, *lines = lines
            finish(example)
    assert again["event"] == "begun"
    assert again["pid"] != begun["pid"]
    assert (ended["complete"], lines[-1]["text"]) == (True, text)
    assert len(server.sessions) == 2


def test_a_file_whose_whole_worker_is_killed_is_transcribed_by_another(
    place: Place, counted_files: dict[str, str]
) -> None:
    file, text = longest(counted_files)
    with (
        silent_server(times=None) as (silent, amid),
        LocalServer(recognizer=CountedRecognizer()) as sound,
    ):
        first = place.worker("one", silent, "--concurrency", "1")
        with place.asking_for(file) as example:
            wait_for(amid)
            first.kill()
            place.worker("two", sound, "--concurrency", "1", CELERY_VISIBILITY_SECONDS="1")
            *_, line, ended = place.listener.until("ended")
            finish(example)
    assert (ended["complete"], line["text"]) == (True, text)
    assert len(sound.sessions) == 1


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_file_that_takes_too_long_gives_what_was_heard(
    pool: str, place: Place, counted_files: dict[str, str]
) -> None:
    """By a signal from Celery, or where threads can have none, by the session's time limit."""
    file, text = longest(counted_files)
    short = {"LONGEST_TASK_SECONDS": "1"}
    with silent_server(times=1, after_seconds=2.0) as (server, _):
        options = ("--pool", pool, "--concurrency", "1")
        worker = place.worker("one", server, *options, **short)
        with place.asking_for(file, **short) as example:
            *_, ended = place.listener.until("ended")
            said, warned = example.communicate(timeout=60)
        assert (ended["complete"], example.returncode) == (False, 1)
        assert said.startswith("w1")
        assert "this is not all" in warned
        with place.asking_for(file) as example:  # the worker goes on
            *_, line, ended = place.listener.until("ended")
            finish(example)
    assert (ended["complete"], line["text"]) == (True, text)
    assert ("Soft time limit" in worker.said()) == (pool == "prefork")


def test_a_worker_that_is_to_end_finishes_its_file_and_takes_no_other(
    place: Place, counted_files: dict[str, str]
) -> None:
    """As deployments do it: SIGTERM, and a new worker."""
    file, text = longest(counted_files)
    amid, go_on = threading.Event(), threading.Event()

    def hold(record: Any) -> bool:
        amid.set()
        go_on.wait(60)
        return False

    faults = Faults()
    faults.add(Silence(), after_seconds=0.2, when=hold)
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(LocalServer(recognizer=CountedRecognizer(), faults=faults))
        new = stack.enter_context(LocalServer(recognizer=CountedRecognizer()))
        first = place.worker("one", old, "--concurrency", "1")
        example = stack.enter_context(place.asking_for(file))
        wait_for(amid)
        other = stack.enter_context(place.asking_for(file))
        first.process.terminate()
        first.until("Warm shutdown")
        go_on.set()
        assert finish(example).replace("\r", "\n").splitlines()[-1] == text
        assert first.process.wait(60) == 0
        place.worker("two", new, "--concurrency", "1")
        assert finish(other).replace("\r", "\n").splitlines()[-1] == text
        assert (len(old.sessions), len(new.sessions)) == (1, 1)


DELAY = """
import sys
from calls import transcribe
for word in transcribe.delay(sys.argv[1]).get(timeout=60)["results"]:
    print(word["alternatives"][0]["content"])
"""


def test_the_guide_does_what_it_says(
    place: Place, counted_files: dict[str, str], tmp_path: Path
) -> None:
    file, text = longest(counted_files)
    code = block_that_needs("celery").replace("redis://localhost", place.url)
    (tmp_path / "calls.py").write_text(code, encoding="utf-8")
    with LocalServer(recognizer=CountedRecognizer()) as server:
        place.worker("one", server, "--concurrency", "1", app="calls", folder=tmp_path)
        ran = subprocess.run(
            [sys.executable, "-c", DELAY, file],
            cwd=tmp_path,
            env=place.environment,
            capture_output=True,
            text=True,
            timeout=100,
        )
    assert " ".join(ran.stdout.split()).replace(" .", ".") == text, ran.stderr
