"""Runs that are killed at any moment lose nothing and do nothing twice, and their workers end."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.places import ROOT

from speechmatics_sync import Ledger
from speechmatics_sync.local import CountedRecognizer, LocalServer, counted_audio

FILES, KILLS, SESSIONS = 200, 10, 4
PATIENCE = 60.0

RUN = """
import json, pathlib, sys
from speechmatics_sync import AudioFormat, transcribe_many

with open("begun", "a") as begun:
    def call(client, source, **options):
        begun.write(source + "\\n")
        begun.flush()
        return client.transcribe(source, **options)

    print("ready", flush=True)
    jobs = transcribe_many(
        sorted(map(str, pathlib.Path("audio").iterdir())),
        ledger="done.sqlite",
        max_sessions=int(sys.argv[1]),
        audio_format=AudioFormat("pcm_s16le", 16000),
        realtime=True,
        call=call,
    )
    print(json.dumps([(job.source, job.transcript.text, job.attempts) for job in jobs]))
"""

IN_PROCESSES = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
from speechmatics_sync import AudioFormat, transcribe_many
from speechmatics_sync.local import counted_audio

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        sources = [counted_audio(1), *2 * [counted_audio(400)]]
        raw = AudioFormat("pcm_s16le", 16000)
        for job in transcribe_many(sources, executor=executor, realtime=True, audio_format=raw):
            print(job.transcript.text, flush=True)
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    monkeypatch.chdir(tmp_path)
    with LocalServer(recognizer=CountedRecognizer()) as server:
        monkeypatch.setenv("SPEECHMATICS_RT_URL", server.url)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        yield server


def started(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def said_by(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_two_hundred_files_come_once_each_however_often_the_runs_are_killed(
    server: LocalServer,
) -> None:
    os.mkdir("audio")
    for number in range(1, FILES + 1):
        Path(f"audio/{number:03}.raw").write_bytes(counted_audio(1, first=number, period=0.2))
    chance = random.Random(seed := random.randrange(10**6))
    beside: list[Any] = []
    for at in range(KILLS):
        run = started(RUN, SESSIONS)
        if at % 2 and not beside:  # share the work with another one, which is killed at the end
            beside = [started(RUN, 1)]
        assert said_by(run) == "ready\n"
        time.sleep(chance.uniform(0, 0.8))  # the moment of the kill is what is chosen here
        kill(run)
    for run in beside:
        kill(run)
    begun = Path("begun").read_text().split()
    done = {job.source for job in Ledger("done.sqlite")}
    assert 0 < len(done) < FILES, f"seed {seed}"
    assert len(begun) <= len(done) + KILLS * SESSIONS + len(beside), f"seed {seed}"

    last = started(RUN, 20)
    assert said_by(last) == "ready\n"
    jobs = json.loads(last.communicate(timeout=PATIENCE)[0])
    assert Counter(source for source, _, _ in jobs) == {
        f"audio/{number:03}.raw": 1 for number in range(1, FILES + 1)
    }, f"seed {seed}"
    assert all(text == f"w{int(source[6:9])}." for source, text, _ in jobs), f"seed {seed}"
    again = Counter(Path("begun").read_text().split()[len(begun) :])
    assert set(again.values()) == {1}, f"seed {seed}"
    assert {os.path.abspath(source) for source in again}.isdisjoint(done), f"seed {seed}"
    assert len(list(Ledger("done.sqlite"))) == FILES


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_the_sessions_of_processes_end_with_the_program_that_began_them(
    server: LocalServer, method: str, end: int
) -> None:
    Path("program.py").write_text(IN_PROCESSES)
    process = subprocess.Popen(
        [sys.executable, "program.py", method],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert said_by(process) == "w1.\n"
        deadline = time.monotonic() + PATIENCE
        while sum(not record.ended for record in server.sessions) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(end)
        process.wait(PATIENCE)
        while not all(record.ended for record in server.sessions):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # workers of a killed program wait for ever
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
