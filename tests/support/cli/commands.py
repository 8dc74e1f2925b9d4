"""The command in a process of its own, with a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any, Union

from speechmatics_sync.local import counted_audio
from support.places import ROOT
from support.programs import Program
from support.terminal import Terminal

PATIENCE = 60.0
COMMAND = (sys.executable, "-m", "speechmatics_sync")

Word = Union[str, bytes, "os.PathLike[str]"]


class Place:
    """A folder to work in, with a home and settings that are no others'.

    Attributes:
        path: The folder.
        environment: The variables of the commands.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "LANG", "LC_ALL", "COVERAGE_PROCESS_START", "SYSTEMROOT")
        }
        self.environment = {
            **kept,
            "HOME": str(path / "home"),
            "XDG_CONFIG_HOME": str(path / "settings"),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "default",
        }

    @property
    def settings_file(self) -> Path:
        return self.path / "settings" / "speechmatics-sync" / "config.json"

    def start(self, *words: Word, **options: Any) -> subprocess.Popen[bytes]:
        """Start the command; its streams are pipes of bytes."""
        environment = {**self.environment, **options.pop("environment", {})}
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return Program(
            [*COMMAND, *words],
            cwd=self.path,
            env=environment,
            **{**pipes, **options},
        )

    def run(self, *words: Word, input: str = "", **options: Any) -> Ran:
        """Run the command to its end."""
        with self.start(*words, **options) as process:
            try:
                out, err = process.communicate(input.encode(), timeout=PATIENCE)
            except BaseException:
                process.kill()
                raise
        return Ran(process.returncode, (out or b"").decode(), (err or b"").decode())

    def terminal(self, *words: Any, environment: Any = (), **options: Any) -> Terminal:
        """Start the command in a terminal."""
        variables = {**self.environment, **dict(environment)}
        return Terminal([*COMMAND[1:], *words], cwd=self.path, environment=variables, **options)

    def run_python(self, *words: Word) -> Ran:
        """Run the interpreter instead of the command."""
        ran = subprocess.run(
            [sys.executable, *words],
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def talk(self, name: Word = "talk.wav", words: int = 3, first: int = 1) -> Path:
        """Write a WAV file in which a counting recogniser hears so many words."""
        path = self.path / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        with open(path, "wb") as file, wave.open(file, "wb") as samples:
            samples.setparams((1, 2, 16000, 0, "NONE", ""))
            samples.writeframes(counted_audio(words, first=first))
        return path


class Ran:
    """What a command did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"<exit code {self.code}\n{self.out}\n--\n{self.err}>"
