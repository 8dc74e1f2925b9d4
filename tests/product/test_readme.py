"""Every block of code in README.rst and docs/ does what it says, and every link leads somewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docutils.core
import docutils.nodes
import pytest
import responses
from support.audio.encoded import encode
from support.audio.sound_server import _module_server, sound_server
from support.pages import PAGES, README, blocks
from support.places import ROOT
from support.spawning import keeps_a_resource_tracker

from speechmatics_sync.local import LocalServer, ScriptedRecognizer

__all__ = ["_module_server", "keeps_a_resource_tracker", "sound_server"]

WORDS = [("hello", 0.2, 0.5), ("world", 0.6, 1.0)]


def _blocks(language: str, *pages: Path) -> list[str]:
    return [block.code for page in pages for block in blocks(page) if block.language == language]


def _python_here() -> list[str]:
    found = [block for page in PAGES for block in blocks(page) if block.language == "python"]
    return [block.code for block in found if not block.needs_services]


@pytest.fixture(scope="module")
def encoded() -> dict[str, bytes]:
    """The files that are no WAV files, by name."""
    samples = bytes(2 * 16000 * 2)
    return {
        "meeting.mp4": encode(samples, "mp4", "aac", rate=44100, video=True),
        "call.m4a": encode(2 * samples, "ipod", "aac", channels=2),
        "interview.mp3": encode(samples, "mp3", "mp3"),
    }


@pytest.fixture
def workplace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoded: dict[str, bytes]
) -> Iterator[Path]:
    """A directory with the audio that the pages name, and a server in the environment."""
    samples = bytes(2 * 16000 * 2)
    (tmp_path / "audio.raw").write_bytes(samples)
    for name, channels in (("audio", 1), ("agent", 1), ("customer", 1), ("call", 2)):
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as wav:
            wav.setnchannels(channels)
            wav.setsampwidth(2)
            wav.setframerate(16000)
            wav.writeframes(samples)
    for file, content in encoded.items():
        (tmp_path / file).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPEECHMATICS_API_KEY", "a-key")
    with LocalServer(recognizer=ScriptedRecognizer(WORDS), strict=True) as server:
        monkeypatch.setenv("SPEECHMATICS_RT_URL", server.url)
        yield tmp_path


@pytest.mark.parametrize("code", _python_here(), ids=lambda code: code.split("\n")[-1][:40])
def test_python_blocks_run(
    code: str,
    workplace: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "Microphone" in code:
        request.getfixturevalue("sound_server")
    if "LocalServer()" in code:  # what the real recogniser hears is the demo's own test
        strict = f"LocalServer(recognizer=ScriptedRecognizer({WORDS}), strict=True)"
        code = code.replace("LocalServer()", strict)
        code = code.replace("import LocalServer", "import LocalServer, ScriptedRecognizer")
    with responses.RequestsMock(assert_all_requests_are_fired=False) as keys:
        keys.post("https://mp.speechmatics.com/v1/api_keys", status=201, json={"key_value": "t"})
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(code, "a block of the docs", "exec"), names)
        if "app" in names:  # a web application
            _ask(names["app"], (workplace / "audio.wav").read_bytes())
    if "transcri" in code:
        assert "not everything was transcribed" not in capsys.readouterr().out


def _ask(app: Any, body: bytes) -> None:
    """Post a recording to each of an application's own addresses."""
    rules = [rule for rule in app.url_map.iter_rules() if "POST" in rule.methods]
    assert rules
    for rule in rules:
        answer = app.test_client().post(rule.rule, data=body)
        assert answer.status_code == 200
        assert b"hello" in answer.data or answer.json == {"key": "t"}


def test_quick_start_prints_what_was_said(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(_blocks("python", README)[0], "README.rst", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.split()[-2:] == ["hello", "world."]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_valid_its_code_is_found_and_links_to_files_lead_to_files(page: Path) -> None:
    document = docutils.core.publish_doctree(
        page.read_text(encoding="utf-8"), settings_overrides={"report_level": 2, "halt_level": 2}
    )
    code = [
        (node["classes"][-1], node.astext())
        for node in document.findall(docutils.nodes.literal_block)
    ]
    assert [(block.language, block.code) for block in blocks(page)] == code
    uris = [
        node["refuri"] for node in document.findall(docutils.nodes.reference) if "refuri" in node
    ]
    uris += [node["uri"] for node in document.findall(docutils.nodes.image)]
    files = [uri for uri in uris if not uri.startswith("https:")]
    assert files
    assert [uri for uri in files if not (page.parent / uri).exists()] == []


def test_the_first_screen_shows_what_it_is_and_answers_what_newcomers_ask() -> None:
    first = " ".join(README.read_text(encoding="utf-8").splitlines()[:45])
    commands = ("make demo", "make test", "transcribe --local talk.mp3", "--mic", "-o talk.srt")
    for shown in (*commands, "client.transcribe(", ".. image:: ", "portal.speechmatics.com"):
        assert shown in first, shown
    asked = ("official", "key", "without a key", "microphone", "Subtitles", "notebook")
    for question in (*asked, "web application"):
        assert re.search(rf"\*\*[^*]*{question}\?\*\*", first), question


def test_the_readme_leads_to_every_page() -> None:
    text = README.read_text(encoding="utf-8")
    assert [page.name for page in PAGES[1:] if f"<docs/{page.name}>" not in text] == []


def test_commands_exist() -> None:
    commands = re.findall(
        r"^\$ (.*?)(?:\s+#.*)?$", "\n".join(_blocks("console", *PAGES)), re.MULTILINE
    )
    assert "make demo" in commands
    assert "make test" in commands
    python = f"PYTHON={sys.executable}"  # so that make need not look for one
    for command in dict.fromkeys(commands):
        words = shlex.split(command)
        if words[0] == "make":
            make = ["make", "-n", python, *words[1:]]
            subprocess.run(make, cwd=ROOT, check=True, capture_output=True)
        elif words[0] == "pip":
            assert words[1] == "install"  # the wheel is tried in test_packaging
            assert words[2].partition("[")[0] == "."
        elif words[:3] == ["python", "-m", "speechmatics_sync.legacy"] or words[2:3] == [
            "speechmatics_sync.legacy.cli"
        ]:
            pass  # tried in test_guides.py
        elif words[0] != "speechmatics-sync":  # these are tried in tests/cli/test_documented.py
            assert words[:3] == ["python", "-m", "speechmatics_sync.local"]
            tried = [sys.executable, *words[1:3], "--help"]
            said = subprocess.run(tried, cwd=ROOT, check=True, capture_output=True, text=True)
            assert all(word in said.stdout for word in words[3:] if word.startswith("--"))
