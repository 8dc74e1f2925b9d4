"""The examples in docstrings run as they are written."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.audio.sound_server import _module_server, sound_server

import speechmatics_sync
from speechmatics_sync import AudioEncoding, AudioFormat, Client, MultiChannelClient
from speechmatics_sync.local import LocalServer, ScriptedRecognizer

__all__ = ["_module_server", "sound_server"]

SAMPLES = bytes(2 * 16000 * 2)
WORDS = [("hello", 0.2, 0.5), ("world", 0.6, 1.0)]
BY_CHANNEL = ("speechmatics_sync._client.multichannel", "speechmatics_sync._audio.split_channels")
"""Modules in whose examples `client` is one for several channels."""

# The recogniser of speech has to be compiled on Python 3.9, and may be missing there.
SPEECH = importlib.util.find_spec("pocketsphinx") is not None or sys.version_info >= (3, 10)


class Finder(doctest.DocTestFinder):
    """Finds public classes where they are written: they name the package as their module."""

    def _from_module(self, module: Any, object: Any) -> bool:
        if inspect.isclass(object) and object.__name__ in getattr(module, "__all__", ()):
            return object.__module__.startswith("speechmatics_sync")  # or it is passed on
        return super()._from_module(module, object)  # type: ignore[misc,no-any-return]


def examples() -> Iterator[doctest.DocTest]:
    """Every docstring of the package that has an example."""
    finder = Finder()
    for found in pkgutil.walk_packages(speechmatics_sync.__path__, "speechmatics_sync."):
        if found.name.endswith(".__main__") or (found.name.endswith("._sphinx") and not SPEECH):
            continue
        module = importlib.import_module(found.name)
        # What a user has: the public names. Imports of the module itself do not count.
        names = {name: getattr(module, name) for name in getattr(module, "__all__", ())}
        yield from (test for test in finder.find(module, globs=names) if test.examples)
    public = {name: getattr(speechmatics_sync, name) for name in dir(speechmatics_sync)}
    yield doctest.DocTestParser().get_doctest(
        speechmatics_sync.__doc__ or "", public, "speechmatics_sync", None, None
    )


class Shown(doctest.OutputChecker):
    """Compares what an example prints with what is shown below it, if anything is."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return not want or super().check_output(want, got, optionflags)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A directory with the recordings that examples name; a server's URL, in the environment."""
    for name, channels in (("audio", 1), ("agent", 1), ("customer", 1), ("call", 2)):
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as wav:
            wav.setnchannels(channels)
            wav.setsampwidth(2)
            wav.setframerate(16000)
            wav.writeframes(SAMPLES * channels)
    monkeypatch.chdir(tmp_path)
    with LocalServer(recognizer=ScriptedRecognizer(WORDS), strict=True) as server:
        monkeypatch.setenv("SPEECHMATICS_RT_URL", server.url)
        yield server.url


def example(test: doctest.DocTest) -> Any:
    used = ("LocalServer()", "PocketsphinxRecognizer()")
    hears = any(name in (test.docstring or "") for name in used)
    return pytest.param(test, id=test.name, marks=[pytest.mark.speech] if hears else [])


@pytest.mark.parametrize("test", [example(test) for test in examples()])
def test_it_runs_as_it_is_written(
    test: doctest.DocTest, workplace: str, request: pytest.FixtureRequest
) -> None:
    if any("Microphone" in shown.source for shown in test.examples):
        request.getfixturevalue("sound_server")
    kind: Any = MultiChannelClient if test.name.startswith(BY_CHANNEL) else Client
    public = {name: getattr(speechmatics_sync, name) for name in dir(speechmatics_sync)}
    said: list[str] = []
    with kind(url=workplace) as client:
        given = {
            "LocalServer": LocalServer,
            "client": client,
            "samples": SAMPLES,
            "url": workplace,
            "audio_format": AudioFormat(AudioEncoding.PCM_S16LE, sample_rate=16000),
        }
        test.globs = {**public, **given, **test.globs}
        done = doctest.DocTestRunner(Shown()).run(test, out=said.append)
    assert done == (0, len(test.examples)), "".join(said)


def test_every_client_shows_how_it_is_used() -> None:
    shown = {test.name.rpartition(".")[2] for test in examples()}
    assert shown >= {"Client", "MultiChannelClient", "LocalServer", "JWTAuth", "transcribe"}
