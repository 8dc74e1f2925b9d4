"""Every command that a page shows does what it is said to do."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from sybil import Example

from speechmatics_sync.local import CountedRecognizer, LocalServer
from support.cli.commands import PATIENCE, Place
from support.places import ROOT
from support.programs import Program

__all__ = ["run_commands", "run_python"]

NOT_RUN = ("--mic", "serve", "devices", "--print-completion", "speechmatics_sync.local")
"""What needs a microphone, or has no end; completion is tried elsewhere."""
WAV_FILES = ("talk", "audio", "a", "b", "agent", "customer")


def run_commands(example: Example) -> None:
    """Run the commands of a block, one after the other, beside the files that they name."""
    place = Place(example.namespace["shown"].getfixturevalue("tmp_path"))
    with LocalServer(recognizer=CountedRecognizer(), strict=True) as server:
        place.environment.update(
            SPEECHMATICS_API_KEY="a-secret-key",
            SPEECHMATICS_RT_URL=server.url,
            SM_MANAGEMENT_PLATFORM_URL=re.sub("^ws(.*)/v2$", r"http\1", server.url),
        )
        furnish(place)
        commands = re.findall(r"^\$ (.*?)(?:\s+#.*)?$", example.parsed, re.MULTILINE)
        assert commands
        for command in commands:
            run(command, place)


def furnish(place: Place) -> None:
    """Put the files there that commands name."""
    for name in ("talk.mp3", *(f"{name}.wav" for name in WAV_FILES)):
        place.talk(name)
    shutil.copytree(ROOT / "examples" / "audio", place.path / "examples" / "audio")
    shutil.copy(ROOT / "examples" / "audio" / "call.wav", place.path)
    (place.path / "program.py").write_text("import speechmatics\nprint(speechmatics.__name__)\n")
    place.settings_file.parent.mkdir(parents=True)
    place.settings_file.write_text('{"work": {"language": "en"}}')
    place.settings_file.chmod(0o600)


def run(command: str, place: Place) -> None:
    """Run a command, or see that what would run is there."""
    words = shlex.split(command)
    if words[0] == "make":
        make = ["make", "-n", f"PYTHON={sys.executable}", *words[1:]]  # it need not look for one
        subprocess.run(make, cwd=ROOT, check=True, capture_output=True)
    elif words[:2] == ["pip", "install"]:
        assert words[2].partition("[")[0] == "."  # the wheel is tried in test_packaging
    elif words[0] == "export":
        assert re.match(r"SPEECHMATICS_\w+=", words[1])
    elif words[0] == "python":
        run_module(words[1:], place)
    else:
        run_client(command, words, place)


def run_module(words: list[str], place: Place) -> None:
    if "transcribe" in words:
        words += ["--url", place.environment["SPEECHMATICS_RT_URL"], "--ssl-mode", "none"]
    assert words[0] == "-m"
    endless = words[1] in NOT_RUN
    ran = place.run_python(*words[:2], "--help") if endless else place.run_python(*words)
    assert ran.code == 0, ran
    assert ran.out
    if endless:
        assert [word for word in words if word[:2] == "--" and word not in ran.out] == []


def run_client(command: str, words: list[str], place: Place) -> None:
    assert words[0] == "speechmatics-sync"
    if any(word in words for word in NOT_RUN):
        shown = place.run(words[1], "--help").out if not words[1].startswith("-") else words[1]
        assert [word for word in words if word[:2] == "--" and word not in shown] == []
        return
    # The recogniser of speech is slow, and tried in test_speech.py.
    line = command.replace("--local ", "").replace("speechmatics-sync ", "run ", 1)
    if re.search(r"[|<>;&$*?~]", line):
        shell = f'run() {{ {sys.executable} -m speechmatics_sync "$@"; }}; {line}'
        ran = subprocess.run(
            ["bash", "-c", shell],
            cwd=place.path,
            env=place.environment,
            capture_output=True,
            timeout=PATIENCE,
        )
        assert ran.returncode == 0, ran
    else:
        said = place.run(*shlex.split(line)[1:], input="a-secret-key\n")
        assert said.code == 0, said
    if "-o" in words:
        written = Path(place.path, words[words.index("-o") + 1])
        assert written.is_file() or list(written.iterdir())


def run_python(example: Example, *words: Any) -> str:
    """Run a block's code as the file ``old.py``; return what it prints."""
    Path("old.py").write_text(
        example.parsed.replace(
            '"wss://eu2.rt.speechmatics.com/v2"',
            f'"{os.environ["SPEECHMATICS_RT_URL"]}", ssl_context=None',
        )
    )
    with Program(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        said, wrong = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, wrong
    return said
