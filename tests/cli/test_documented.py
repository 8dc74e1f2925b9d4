"""Every command that the README and docs/ show does what it is said to do."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.cli.commands import PATIENCE, Place
from support.places import ROOT

from speechmatics_sync.local import counted_audio

PAGES = [ROOT / "README.rst", *sorted((ROOT / "docs").glob("*.rst"))]
COMMANDS = sorted(
    {
        command.strip()
        for page in PAGES
        for command in re.findall(
            r"^    \$ (speechmatics-sync .*?)(?: +#.*)?$", page.read_text("utf-8"), re.MULTILINE
        )
    }
)
NOT_RUN = ("--mic", "serve", "devices", "--print-completion")
"""What needs a microphone, or has no end; completion is tried elsewhere."""


def test_there_are_some() -> None:
    assert len(COMMANDS) > 10


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs a shell")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_does_what_is_said(command: str, served: Place) -> None:
    words = shlex.split(command)
    if any(word in words for word in NOT_RUN):
        shown = served.run(words[1], "--help").out if not words[1].startswith("-") else words[1]
        assert [word for word in words if word[:2] == "--" and word not in shown] == []
        return
    for name in ("talk.mp3", "talk.wav", "a.wav", "b.wav", "agent.wav", "customer.wav"):
        served.talk(name)
    shutil.copytree(ROOT / "examples" / "audio", served.path / "examples" / "audio")
    shutil.copy(ROOT / "examples" / "audio" / "call.wav", served.path)
    (served.path / "audio.raw").write_bytes(counted_audio(3))
    served.settings_file.parent.mkdir(parents=True)
    served.settings_file.write_text('{"work": {"language": "en"}}')
    served.settings_file.chmod(0o600)
    url = served.environment["SPEECHMATICS_RT_URL"]
    served.environment["SM_MANAGEMENT_PLATFORM_URL"] = re.sub("^ws(.*)/v2$", r"http\1", url)
    served.environment["SPEECHMATICS_API_KEY"] = "a-secret-key"
    # The recogniser of speech is slow, and tried in test_speech.py.
    line = command.replace("--local ", "").replace("speechmatics-sync ", "run ", 1)
    if re.search(r"[|<>;&$*?~]", line):
        shell = f'run() {{ {sys.executable} -m speechmatics_sync "$@"; }}; {line}'
        ran = subprocess.run(
            ["bash", "-c", shell],
            cwd=served.path,
            env=served.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert ran.returncode == 0, ran
    else:
        said = served.run(*shlex.split(line)[1:], input="a-secret-key\n")
        assert said.code == 0, said
    if "-o" in words:
        written = Path(served.path, words[words.index("-o") + 1])
        assert written.is_file() or list(written.iterdir())
