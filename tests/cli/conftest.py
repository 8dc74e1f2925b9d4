"""A folder for the commands of each test, and a server that they reach."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest
from support.cli.commands import Place, Ran

from speechmatics_sync.cli import main
from speechmatics_sync.local import CountedRecognizer, LocalServer


@pytest.fixture
def place(tmp_path: Path, programs: None) -> Place:
    return Place(tmp_path)


@pytest.fixture
def call(
    place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    """Runs a command in this process, which is quicker: for those that start nothing."""
    monkeypatch.chdir(place.path)

    def call(*words: str, input: str = "") -> Ran:
        for name in ("HOME", "XDG_CONFIG_HOME", *place.environment):
            monkeypatch.setenv(name, place.environment[name])
        monkeypatch.setattr(sys, "stdin", io.StringIO(input))
        capfd.readouterr()
        try:
            code = main(list(words))
        except SystemExit as exited:
            code = exited.code if isinstance(exited.code, int) else 1
        return Ran(code, *capfd.readouterr())

    return call


@pytest.fixture
def counting() -> Iterator[LocalServer]:
    """A server that hears the words of `Place.talk`."""
    with LocalServer(recognizer=CountedRecognizer(), strict=True) as server:
        yield server


@pytest.fixture
def served(place: Place, counting: LocalServer) -> Place:
    """A place whose commands reach that server."""
    place.environment["SPEECHMATICS_RT_URL"] = counting.url
    return place
