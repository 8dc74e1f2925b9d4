"""Starts programs that go on until the test is over, and recordings for them to transcribe."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Optional

import pytest
from sybil import Document
from sybil.parsers.rest import CodeBlockParser

from speechmatics_sync.local import counted_audio
from support.places import ROOT

__all__ = ["Service", "block_that_needs", "counted_files", "counted_text", "running"]

PATIENCE = 60.0
"""Seconds after which a wait is given up: a guard against hanging, nothing more."""

COUNTS = range(1, 7)


def counted_text(count: int) -> str:
    """What is heard in the file with so many words."""
    return " ".join(f"w{number}" for number in range(1, count + 1)) + "."


@pytest.fixture(scope="module")
def counted_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """WAV files, and what a `CountedRecognizer` hears in each."""
    folder = tmp_path_factory.mktemp("calls")
    files = {}
    for count in COUNTS:
        path = folder / f"{count}.wav"
        with wave.open(str(path), "wb") as wav:
            wav.setnchannels(1)
            wav.setsampwidth(2)
            wav.setframerate(16000)
            wav.writeframes(counted_audio(count))
        files[str(path)] = counted_text(count)
    return files


def block_that_needs(package: str) -> str:
    """The block of code of the guide that imports a package."""
    page = (ROOT / "docs" / "many.rst").read_text(encoding="utf-8")
    regions = CodeBlockParser("python")(Document(page, "many.rst"))
    (code,) = (region.parsed for region in regions if f"from {package} import" in region.parsed)
    return str(code)


class Service:
    """A program that runs until the test is over, in a group of processes of its own.

    Attributes:
        process: Its first process.
        log: The file that it writes to.
    """

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        self._out: Optional[IO[bytes]] = log.open("wb")
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def until(self, pattern: str) -> re.Match[str]:
        """Wait until it has written what matches; return the match."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = re.search(pattern, self.said())
            if found is not None:
                return found
            assert self.process.poll() is None, f"it has ended: {self.said()}"
            assert time.monotonic() < deadline, f"it does not say {pattern!r}: {self.said()}"
            time.sleep(0.02)  # the pace of the poll; what ends the wait is what it writes

    def kill(self) -> None:
        """End it and all that it has started, as a machine that loses its power does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self._out is not None:
            self._out.close()
            self._out = None


@contextlib.contextmanager
def running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[Service]:
    """Run a program until the end of the context."""
    program = Service(command, environment, log)
    try:
        yield program
    finally:
        program.kill()
