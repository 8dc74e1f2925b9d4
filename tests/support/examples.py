"""Runs the examples as programs, on recordings of known words."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest

from support.places import ROOT
from support.programs import Program, run_program

EXAMPLES = ROOT / "examples"


SAMPLE = EXAMPLES / "audio" / "demo.wav"


SENTENCES = (EXAMPLES / "audio" / "demo.txt").read_text().splitlines()


PAUSE = re.compile(rb"(?:\0\0){4000,}")
"""A quarter of a second of silence at 16 kHz, as there is between the sample's sentences."""


PATIENCE = 100.0
"""Seconds after which an example is given up: a guard against hanging, nothing more."""


@pytest.fixture
def environment(programs: None) -> dict[str, str]:
    """The environment of an example: this tree's package, no key, and a width to print in."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "COLUMNS": "80"}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One WAV file for each sentence of the sample."""
    directory = tmp_path_factory.mktemp("sentences")
    with wave.open(str(SAMPLE)) as sample:
        parameters = sample.getparams()
        samples = sample.readframes(sample.getnframes())
    pauses = [(found.start() + found.end()) // 4 * 2 for found in PAUSE.finditer(samples)]
    cuts = [0, *(cut for cut in pauses if 8000 < cut < len(samples) - 8000), len(samples)]
    assert len(cuts) == len(SENTENCES) + 1, "one pause between two sentences"
    paths = []
    for number, (start, end) in enumerate(zip(cuts, cuts[1:])):
        paths.append(directory / f"{number}.wav")
        with wave.open(str(paths[-1]), "wb") as sentence:
            sentence.setparams(parameters)
            sentence.writeframes(samples[start:end])
    return paths


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def wrong_share(heard: str, spoken: str) -> float:
    """Return the share of words to change, to leave out and to add: the word error rate."""
    said, row = words_of(spoken), list(range(len(words_of(spoken)) + 1))
    for number, word in enumerate(words_of(heard), 1):
        diagonal, row[0] = row[0], number
        for column, other in enumerate(said, 1):
            cost = min(row[column] + 1, row[column - 1] + 1, diagonal + (word != other))
            diagonal, row[column] = row[column], cost
    return row[-1] / len(said)


def assert_heard(heard: str, spoken: str) -> None:
    assert wrong_share(heard, spoken) <= 0.05, f"heard {heard!r}, spoken was {spoken!r}"


def run(
    script: str, *arguments: object, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run an example to its end, with Python's own warnings shown."""
    return run_program(
        ["-W", "default", EXAMPLES / script, *map(str, arguments)],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE,
    )


@contextlib.contextmanager
def started(
    script: str, *arguments: str, environment: dict[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """Run an example that is not waited for; what is left of it is killed."""
    with Program(
        [sys.executable, EXAMPLES / script, *arguments],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as example:
        try:
            yield example
        finally:
            example.kill()


def read_until(example: subprocess.Popen[str], awaited: str) -> str:
    """Return what an example says on stderr, up to the line with what is awaited."""
    assert example.stderr is not None
    said = ""
    for line in example.stderr:
        said += line
        if awaited in line:
            return said
    raise AssertionError(f"it ended before it said {awaited!r}: {said}")


@contextlib.contextmanager
def web_app(
    script: str, environment: dict[str, str], service: Optional[str] = None
) -> Iterator[str]:
    """Run an application on a free port; give its URL. It must say nothing of a traceback.

    Args:
        service: The server that it transcribes with; the embedded one unless given.
    """
    if service is not None:
        environment = {**environment, "SPEECHMATICS_RT_URL": service}
    with started(script, "--port", "0", environment=environment) as app:
        said = read_until(app, "Running on")
        found = re.search(r"Running on (http://\S+)", said)
        assert found is not None
        yield found[1]
        app.terminate()
        _, rest = app.communicate(timeout=PATIENCE)
        assert "Traceback" not in rest, rest
