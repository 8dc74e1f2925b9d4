"""Fixtures for `pytest`: a server in this process that fails when a test tells it to.

They are installed with the package (entry point ``pytest11``). Nothing that the server needs is
loaded until a test asks for a fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from speechmatics_sync import ConfigurationError

from .._help import module_dir

if TYPE_CHECKING:
    from . import Faults, LocalServer, Recognizer

__all__ = ["speechmatics_faults", "speechmatics_recognizer", "speechmatics_server"]

__dir__ = module_dir(__name__)

API_KEY = "a-key-for-tests"
"""The ``SPEECHMATICS_API_KEY`` in a test: applications may need one, the server does not."""


@pytest.fixture
def speechmatics_recognizer() -> Recognizer:
    """The recogniser of `speechmatics_server`; override it for other words.

    By default a `CountedRecognizer`. It needs no model, and hears the words that `counted_audio`
    wrote into the samples, wherever a connection begins.

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
    """The faults of `speechmatics_server`: none, until a test adds them.

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
    """A strict `LocalServer` that runs for one test, and that clients find in the environment.

    ``SPEECHMATICS_RT_URL`` is its URL and ``SPEECHMATICS_API_KEY`` a made-up key, so that an
    application that configures nothing else connects to it.

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
