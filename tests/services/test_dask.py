"""Many files on a Dask cluster: of processes here, and of programs that were started elsewhere."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.examples import environment, started
from support.services import Service, block_that_needs, counted_files, running
from support.sessions import wait_for

from speechmatics_sync.local import CountedRecognizer, Faults, LocalServer, Silence

__all__ = ["counted_files", "environment"]

pytestmark = pytest.mark.timeout(120)

DASK = [sys.executable, "-m", "dask"]


def lines_of(files: dict[str, str]) -> list[str]:
    return sorted(f"{path}: {text}" for path, text in files.items())


def test_processes_of_this_machine_share_an_account_that_is_too_small(
    environment: dict[str, str], counted_files: dict[str, str]
) -> None:
    with LocalServer(recognizer=CountedRecognizer(), max_sessions=2) as server:
        environment = {**environment, "SPEECHMATICS_RT_URL": server.url}
        with started("dask_cluster.py", *counted_files, environment=environment) as example:
            said, warned = example.communicate(timeout=100)
    assert example.returncode == 0, warned
    assert sorted(said.splitlines()) == lines_of(counted_files), warned
    assert len(server.sessions) > len(counted_files), "none was refused"


@contextlib.contextmanager
def scheduler(environment: dict[str, str], folder: Path) -> Iterator[str]:
    """Run a scheduler; give its address."""
    command = [*DASK, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    with running(command, environment, folder / "scheduler.log") as program:
        found = program.until(r"Scheduler at: +(tcp://\S+)")
        yield found[1]


def worker(
    name: str, address: str, server: LocalServer, environment: dict[str, str], folder: Path
) -> contextlib.AbstractContextManager[Service]:
    command = [*DASK, "worker", address, "--nthreads", "3", "--no-nanny", "--no-dashboard"]
    environment = {**environment, "SPEECHMATICS_RT_URL": server.url}
    return running([*command, "--name", name], environment, folder / f"{name}.log")


def test_files_of_a_worker_that_is_killed_in_their_middle_are_done_elsewhere(
    environment: dict[str, str], counted_files: dict[str, str], tmp_path: Path
) -> None:
    """The first worker's server falls silent in the middle of each session."""
    amid = threading.Event()
    faults = Faults()
    faults.add(Silence(reads=True), after_chunks=2, times=None, when=lambda record: note(amid))
    silent = LocalServer(recognizer=CountedRecognizer(), faults=faults)
    sound = LocalServer(recognizer=CountedRecognizer())
    with contextlib.ExitStack() as stack:
        stack.enter_context(silent)
        stack.enter_context(sound)
        address = stack.enter_context(scheduler(environment, tmp_path))
        first = stack.enter_context(worker("first", address, silent, environment, tmp_path))
        first.until("Registered to")
        command = ("dask_cluster.py", "--scheduler", address, *counted_files)
        example = stack.enter_context(started(*command, environment=environment))
        wait_for(amid)
        second = stack.enter_context(worker("second", address, sound, environment, tmp_path))
        second.until("Registered to")
        first.kill()
        said, warned = example.communicate(timeout=60)
    assert example.returncode == 0, warned
    assert sorted(said.splitlines()) == lines_of(counted_files), warned
    assert silent.sessions
    assert len(sound.sessions) == len(counted_files)


def note(event: threading.Event) -> bool:
    event.set()
    return True


def test_the_guide_does_what_it_says(
    environment: dict[str, str], counted_files: dict[str, str], tmp_path: Path
) -> None:
    code = block_that_needs("distributed")
    folder = Path(next(iter(counted_files))).parent
    (tmp_path / "program.py").write_text(code, encoding="utf-8")
    with LocalServer(recognizer=CountedRecognizer()) as server:
        ran = subprocess.run(
            [sys.executable, tmp_path / "program.py"],
            cwd=folder,
            env={**environment, "SPEECHMATICS_RT_URL": server.url},
            capture_output=True,
            text=True,
            timeout=100,
        )
    expected = {Path(file).name: text for file, text in counted_files.items()}
    assert dict(line.split(" ", 1) for line in ran.stdout.splitlines()) == expected, ran.stderr
