"""The guides for those who come from other packages: each line of old and new code runs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.pages import blocks
from support.places import ROOT

from speechmatics_sync.local import LocalServer, ScriptedRecognizer

OLD, RT = (ROOT / "docs" / f"from-speechmatics-{name}.rst" for name in ("python", "rt"))
WORDS = [("hello", 0.2, 0.5), ("world", 0.6, 1.0)]
SERVICE = '"wss://eu2.rt.speechmatics.com/v2"'

RUN_ALL = """
import contextlib, io, json, sys
from speechmatics_sync.legacy import strict_errors
said = []
for code in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, "a block of the guide", "exec"), {"__name__": "__main__"})
    said.append(out.getvalue())
json.dump(said, sys.stdout)
"""


def pairs(page: Path) -> list[tuple[str, str]]:
    """The code before and now, of each row of the tables."""
    code = [block.code for block in blocks(page) if block.in_table]
    assert len(code) % 2 == 0
    return list(zip(code[::2], code[1::2]))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with LocalServer(recognizer=ScriptedRecognizer(WORDS)) as server:
        yield server.url


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the audio that the guides name."""
    place = tmp_path_factory.mktemp("workplace")
    samples = bytes(2 * 16000 * 2)
    (place / "audio.raw").write_bytes(samples)
    (place / "program.py").write_text("import speechmatics\nprint(speechmatics.__name__)\n")
    with wave.open(str(place / "audio.wav"), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(16000)
        wav.writeframes(samples)
    return place


@pytest.fixture(autouse=True)
def environment(place: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the new code takes from where it runs."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("SPEECHMATICS_RT_URL", url)
    monkeypatch.setenv("SPEECHMATICS_API_KEY", "a-key")


def started(place: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(place)},
        input=given,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def said_before(place: Path, url: str) -> list[str]:
    """What the old code of speechmatics-python says, under its own name."""
    (place / "run_all.py").write_text(RUN_ALL)
    server = f'"{url}", ssl_context=None'
    codes = [before.replace(SERVICE, server) for before, _ in pairs(OLD)]
    run = ("-m", "speechmatics_sync.legacy", "run", "run_all.py")
    ran = started(place, *run, given=json.dumps(codes))
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)  # type: ignore[no-any-return]


def said(code: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, "a block of the guide", "exec"), {"__name__": "__main__"})
    return out.getvalue().strip()


@pytest.mark.parametrize("at", range(len(pairs(OLD))))
def test_old_and_new_code_say_the_same(at: int, said_before: list[str]) -> None:
    assert said(pairs(OLD)[at][1]) == said_before[at].strip() != ""


@pytest.mark.parametrize(("before", "now"), pairs(RT))
def test_code_of_the_asynchronous_package_and_new_code_say_the_same(before: str, now: str) -> None:
    pytest.importorskip("speechmatics.rt")
    assert said(now) == said(before) != ""


def commands() -> list[str]:
    return sorted(
        {
            command
            for page in (OLD, RT)
            for command in re.findall(r"^    \$ (.*)$", page.read_text("utf-8"), re.MULTILINE)
        }
    )


@pytest.mark.parametrize("command", commands())
def test_a_command_does_what_is_said(command: str, place: Path, url: str) -> None:
    python, *words = shlex.split(command)
    assert python == "python"
    if "transcribe" in words:
        words += ["--url", url, "--ssl-mode", "none"]
    ran = started(place, *words)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout
