"""Every block of code in README.rst does what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import docutils.core
import docutils.nodes
import pytest
import responses
from support.places import ROOT

from speechmatics_sync.local import LocalServer, ScriptedRecognizer

README = ROOT / "README.rst"
WORDS = [("hello", 0.2, 0.5), ("world", 0.6, 1.0)]


def _blocks(language: str) -> list[str]:
    document = docutils.core.publish_doctree(
        README.read_text(encoding="utf-8"), settings_overrides={"report_level": 2, "halt_level": 2}
    )
    return [
        block.astext()
        for block in document.findall(docutils.nodes.literal_block)
        if language in block["classes"]
    ]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with the audio that the README names, and a server in the environment."""
    samples = bytes(2 * 16000 * 2)
    (tmp_path / "audio.raw").write_bytes(samples)
    for name, channels in (("audio", 1), ("agent", 1), ("customer", 1), ("call", 2)):
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as wav:
            wav.setnchannels(channels)
            wav.setsampwidth(2)
            wav.setframerate(16000)
            wav.writeframes(samples)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPEECHMATICS_API_KEY", "a-key")
    with LocalServer(recognizer=ScriptedRecognizer(WORDS), strict=True) as server:
        monkeypatch.setenv("SPEECHMATICS_RT_URL", server.url)
        yield tmp_path


@pytest.mark.parametrize("code", _blocks("python"), ids=lambda code: code.split("\n")[-1][:40])
def test_python_blocks_run(
    code: str, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "LocalServer()" in code:  # what the real recogniser hears is the demo's own test
        strict = f"LocalServer(recognizer=ScriptedRecognizer({WORDS}), strict=True)"
        code = code.replace("LocalServer()", strict)
        code = code.replace("import LocalServer", "import LocalServer, ScriptedRecognizer")
    with responses.RequestsMock(assert_all_requests_are_fired=False) as keys:
        keys.post("https://mp.speechmatics.com/v1/api_keys", status=201, json={"key_value": "t"})
        exec(compile(code, "README.rst", "exec"), {"__name__": "__main__"})
    if "transcri" in code:
        assert "not everything was transcribed" not in capsys.readouterr().out


def test_quick_start_prints_what_was_said(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(_blocks("python")[0], "README.rst", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.split()[-2:] == ["hello", "world."]


def test_commands_exist() -> None:
    commands = re.findall(r"^\$ (.*?)(?:\s+#.*)?$", "\n".join(_blocks("console")), re.MULTILINE)
    assert "make demo" in commands
    assert "make test" in commands
    for command in commands:
        words = shlex.split(command)
        if words[0] == "make":
            subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)
        elif words[0] == "pip":
            assert words[1:] == ["install", "."]  # the wheel is tried in test_packaging
        else:
            assert words[:3] == ["python", "-m", "speechmatics_sync.local"]
            tried = [sys.executable, *words[1:3], "--help"]
            said = subprocess.run(tried, cwd=ROOT, check=True, capture_output=True, text=True)
            assert all(word in said.stdout for word in words[3:] if word.startswith("--"))
