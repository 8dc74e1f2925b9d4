"""The embedded server for sessions of one stream."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from speechmatics_sync.local import (
    CountedRecognizer,
    LocalServer,
)


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """A strict server that hears counted audio, with finals half a second late."""
    recognizer = CountedRecognizer(delay=0.5, voices=("ann", "bob"), turn=2)
    with LocalServer(recognizer=recognizer, strict=True) as server:
        yield server


CONFIG = "transcription_config"
