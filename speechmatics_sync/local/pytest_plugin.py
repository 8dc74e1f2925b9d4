"""Fixtures for `pytest`, to test applications with: a server in this process that can fail.

Installed with the package (entry point ``pytest11``). Until a test asks for a fixture it loads
nothing of what the server needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from speechmatics_sync import ConfigurationError

if TYPE_CHECKING:
    from . import Faults, LocalServer, Recognizer

__all__ = ["speechmatics_faults", "speechmatics_recognizer", "speechmatics_server"]

API_KEY = "a-key-for-tests"
"""What ``SPEECHMATICS_API_KEY`` is in a test: some applications want it, the server does not."""


@pytest.fixture
def speechmatics_recognizer() -> Recognizer:
    """Who hears the audio in `speechmatics_server`; override it to have other words.

    By default a `CountedRecognizer`, which needs no model and hears the words that
    `counted_audio` wrote into the samples, wherever a connection begins.

    Example:
        >>> import pytest
        >>> from speechmatics_sync.local import ScriptedRecognizer
        >>> @pytest.fixture
        ... def speechmatics_recognizer():
        ...     return ScriptedRecognizer([("hello", 0.2, 0.6), ("world", 0.7, 1.1)])
    """
    try:
        from . import CountedRecognizer
    except ConfigurationError as missing:
        pytest.fail(str(missing), pytrace=False)
    return CountedRecognizer()


@pytest.fixture
def speechmatics_faults() -> Faults:
    """What goes wrong at `speechmatics_server`: nothing, until a test adds it.

    Example:
        >>> from speechmatics_sync.local import Drop
        >>> def test_it_survives_a_dropped_connection(speechmatics_server, speechmatics_faults):
        ...     speechmatics_faults.add(Drop(), after_chunks=10)
    """
    from . import Faults

    return Faults()


@pytest.fixture
def speechmatics_server(
    speechmatics_recognizer: Recognizer,
    speechmatics_faults: Faults,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[LocalServer]:
    """A strict `LocalServer` that runs for one test, and that clients find by the environment.

    ``SPEECHMATICS_RT_URL`` names it, ``SPEECHMATICS_API_KEY`` holds a key that is none; so an
    application that configures nothing else talks to it.

    Example:
        >>> from speechmatics_sync import Client
        >>> def test_something_is_heard(speechmatics_server):
        ...     Client().transcribe("audio.wav")
        ...     assert speechmatics_server.sessions[0].audio_chunks > 0
    """
    try:
        from . import LocalServer
    except ConfigurationError as missing:
        pytest.fail(str(missing), pytrace=False)
    with LocalServer(
        recognizer=speechmatics_recognizer, faults=speechmatics_faults, strict=True
    ) as server:
        monkeypatch.setenv("SPEECHMATICS_RT_URL", server.url)
        monkeypatch.setenv("SPEECHMATICS_API_KEY", API_KEY)
        yield server
