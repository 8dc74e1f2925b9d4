"""A folder for the commands of each test, and a server that they reach."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli.commands import Place

from speechmatics_sync.local import CountedRecognizer, LocalServer


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


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
