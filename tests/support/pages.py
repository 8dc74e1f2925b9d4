"""Every block of code in README.rst, in docs/ and in docstrings is a test: Sybil collects them.

A plugin of pytest, which ``conftest.py`` names. Each block runs alone, as a reader copies it, in a
folder with the audio that it names and beside an embedded server of its own.
"""

from __future__ import annotations

import contextlib
import doctest
import inspect
import io
import os
import re
import sys
import wave
from collections.abc import Iterable, Iterator
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import pytest
from sybil import Document, Example, Region, Sybil
from sybil.document import PythonDocStringDocument
from sybil.evaluators.python import pad
from sybil.parsers.rest import CodeBlockParser

import speechmatics_sync
from speechmatics_sync import AudioEncoding, AudioFormat, Client, MultiChannelClient, local
from speechmatics_sync.local import LocalServer, ScriptedRecognizer
from support.places import NOT_HERE, ROOT
from support.shown_commands import run_commands, run_python

__all__ = ["PAGES", "README", "pytest_collect_file", "pytest_itemcollected", "shown"]
pytest_plugins = ["support.audio.sound_server"]

README = ROOT / "README.rst"
PAGES = [README, *sorted((ROOT / "docs").glob("*.rst"))]
WORDS = [("hello", 0.2, 0.5), ("world", 0.6, 1.0)]
SAMPLES = bytes(2 * 16000 * 2)
CHANNELS = {"audio": 1, "agent": 1, "customer": 1, "call": 2}
BY_CHANNEL = ("multichannel.py", "splitting.py")
"""Modules in whose examples `client` is one for several channels."""
SERVICES = ("celery", "distributed")
"""Packages of blocks that ``tests/services`` runs, with the programs that they need."""


@pytest.fixture(scope="session")
def encoded() -> dict[str, bytes]:
    """The files that are no WAV files, by name."""
    from support.audio.encoded import encode

    return {
        "meeting.mp4": encode(SAMPLES, "mp4", "aac", rate=44100, video=True),
        "call.m4a": encode(2 * SAMPLES, "ipod", "aac", channels=2),
        "interview.mp3": encode(SAMPLES, "mp3", "mp3"),
    }


@pytest.fixture
def shown(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.FixtureRequest]:
    """What a block finds where it runs: audio, a key, a server, a microphone."""
    region = request.node.example.region
    code = str(getattr(region.parsed, "docstring", region.parsed))
    # First what the end of the session or of the interpreter ends: it is no leak.
    if "multiprocessing" in code:
        resource_tracker.ensure_running()
    if region.evaluator in (run_commands, run_old_block):
        request.getfixturevalue("programs")
    for fixture in ("leaks", "logging_as_before"):
        request.getfixturevalue(fixture)
    if "Microphone" in code:
        request.getfixturevalue("sound_server")
    (tmp_path / "audio.raw").write_bytes(SAMPLES)
    for name, channels in CHANNELS.items():
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as wav:
            wav.setparams((channels, 2, 16000, 0, "NONE", ""))
            wav.writeframes(SAMPLES)
    if re.search(r"\.(mp4|m4a|mp3)\"", code):
        for file, content in request.getfixturevalue("encoded").items():
            (tmp_path / file).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    strict = region.evaluator is not run_old_block  # other packages count chunks wrongly
    with LocalServer(recognizer=ScriptedRecognizer(WORDS), strict=strict) as server:
        monkeypatch.setenv("SPEECHMATICS_RT_URL", server.url)
        yield request


def said_by(example: Example) -> str:
    """Run a block as a program; return what it prints."""
    code = compile(
        pad(example.parsed, example.line + example.parsed.line_offset), example.path, "exec"
    )
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, names)
        if "app" in names:  # a web application
            ask(names["app"], Path("audio.wav").read_bytes())
        for test in [names[name] for name in names if name.startswith("test_")]:
            fixture = example.namespace["shown"].getfixturevalue
            test(**{name: fixture(name) for name in inspect.signature(test).parameters})
    return out.getvalue().strip()


def ask(app: Any, body: bytes) -> None:
    """Post a recording to each of an application's own addresses."""
    rules = [rule for rule in app.url_map.iter_rules() if "POST" in rule.methods]
    assert rules
    for rule in rules:
        answer = app.test_client().post(rule.rule, data=body)
        assert answer.status_code == 200
        assert b"hello" in answer.data or answer.json == {"key": "t"}


def run_block(example: Example) -> None:
    """Run a block of a page; in a guide, compare it with the block of old code before it."""
    keys: Any = contextlib.nullcontext()
    if "JWTAuth" in example.parsed:
        import responses

        keys = responses.RequestsMock()
        keys.post("https://mp.speechmatics.com/v1/api_keys", status=201, json={"key_value": "t"})
    request = example.namespace["shown"]
    patch = request.getfixturevalue("monkeypatch")
    patch.setenv("SPEECHMATICS_API_KEY", "a-key")
    # What the real recogniser hears is the demo's own test.
    heard = ScriptedRecognizer(WORDS)
    patch.setattr(local, "LocalServer", partial(LocalServer, recognizer=heard, strict=True))
    with keys:
        said = said_by(example)
    assert "not everything was transcribed" not in said
    if example.parsed.rstrip().endswith("print(transcript.text)"):
        assert said.split()[-2:] == ["hello", "world."]
    before = example.namespace.pop("before", None)
    assert before is None or said == before != ""


def run_old_block(example: Example) -> None:
    """Run a block of code for another package, and keep what it says for the block after it."""
    example.namespace["shown"].getfixturevalue("monkeypatch").setenv("SPEECHMATICS_API_KEY", "k")
    if "speechmatics.rt" in example.parsed:
        pytest.importorskip("speechmatics.rt")
        said = said_by(example)
    else:
        said = run_python(example, "-m", "speechmatics_sync.legacy", "run", "old.py").strip()
    example.namespace["before"] = said


class BlockParser(CodeBlockParser):
    """Finds the blocks that need no other programs."""

    def __call__(self, document: Document) -> Iterable[Region]:
        for region in super().__call__(document):
            if not any(f"from {package} import" in region.parsed for package in SERVICES):
                yield region


class ExampleChecker(doctest.OutputChecker):
    """Compares what an example prints with what is shown below it, if anything is."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return not want or super().check_output(want, got, optionflags)


def run_docstring(example: Example) -> None:
    """Run the examples of a docstring, with the public names and what they take for granted."""
    module = sys.modules[example.namespace["__name__"]]
    test, path = example.parsed, Path(example.path)
    kind: Any = MultiChannelClient if path.name in BY_CHANNEL else Client
    said: list[str] = []
    names: list[tuple[Any, str]] = [(speechmatics_sync, name) for name in dir(speechmatics_sync)]
    if path.parent.name == "local":
        names += [(local, name) for name in set(dir(local)) - NOT_HERE]
    with kind() as client:
        test.globs = {
            **{name: getattr(face, name) for face, name in names},
            "LocalServer": LocalServer,
            "client": client,
            "samples": SAMPLES,
            "url": os.environ["SPEECHMATICS_RT_URL"],
            "audio_format": AudioFormat(AudioEncoding.PCM_S16LE, sample_rate=16000),
            # What a user has: the public names. Imports of the module itself do not count.
            **{name: getattr(module, name) for name in getattr(module, "__all__", ())},
        }
        done = doctest.DocTestRunner(ExampleChecker()).run(test, out=said.append)
    assert done == (0, len(test.examples)), "".join(said)


def docstring_examples(document: Document) -> Iterable[Region]:
    """Find the examples of one docstring, which belong together."""
    test = doctest.DocTestParser().get_doctest(document.text, {}, document.path, None, None)
    if test.examples:
        yield Region(0, len(document.text), test, run_docstring)


class Docstrings(PythonDocStringDocument):
    """The docstrings of a module; most have no examples, and need not be parsed."""

    @staticmethod
    def extract_docstrings(code: str) -> Iterator[tuple[int, int, str]]:
        return PythonDocStringDocument.extract_docstrings(code) if ">>>" in code else iter(())


pages = Sybil(
    parsers=[
        BlockParser("python", run_block),
        BlockParser("python3", run_old_block),
        BlockParser("console", run_commands),
    ],
    patterns=["README.rst", "docs/*.rst", "docs/reference/*.rst"],
    exclude="examples/*",
    path=str(ROOT),
    fixtures=["shown"],
)
docstrings = Sybil(
    parsers=[docstring_examples],
    pattern="*.py",
    path=str(ROOT / "speechmatics_sync"),
    fixtures=["shown"],
    document_types={".py": Docstrings},
)
pytest_collect_file = (pages + docstrings).pytest()


def pytest_itemcollected(item: Any) -> None:
    """Mark the docstrings that hear speech."""
    shown = getattr(getattr(item, "example", None), "parsed", None)
    if isinstance(shown, doctest.DocTest) and re.search(
        r"LocalServer\(\)|PocketsphinxRecognizer\(\)", shown.docstring or ""
    ):
        item.add_marker(pytest.mark.speech)
