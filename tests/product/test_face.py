"""What users import comes from one place, and says so itself."""

from __future__ import annotations

import builtins
import inspect
import pickle
import traceback

import pytest

import speechmatics_sync
from speechmatics_sync import ConfigurationError, Transcript, TranscriptionConfig

# A union of types, as Source is, can carry neither a module nor a docstring.
PUBLIC = [name for name in dir(speechmatics_sync) if name not in ("Source", "__version__")]


def test_dir_shows_what_is_public_and_nothing_else() -> None:
    built_in = {"ConnectionError", "TimeoutError"}
    assert set(dir(speechmatics_sync)) == built_in | set(speechmatics_sync.__all__)


def test_taking_every_name_hides_no_built_in() -> None:
    assert not set(speechmatics_sync.__all__) & set(dir(builtins))
    assert issubclass(speechmatics_sync.ConnectionError, builtins.ConnectionError)


def test_a_public_name_says_that_it_comes_from_the_package() -> None:
    public = {name: getattr(speechmatics_sync, name) for name in PUBLIC}
    assert {name for name in public if public[name].__module__ != "speechmatics_sync"} == set()
    assert {name for name in public if not inspect.getdoc(public[name])} == set()


def test_a_stream_that_nobody_imported_says_so_too() -> None:
    from speechmatics_sync._client.stream import Stream

    assert Stream.__module__ == "speechmatics_sync"


def test_tracebacks_and_pickles_name_the_package() -> None:
    with pytest.raises(ConfigurationError) as caught:
        TranscriptionConfig(max_delay=9)
    shown = traceback.format_exception_only(caught.type, caught.value)
    assert shown[0].startswith("speechmatics_sync.ConfigurationError: ")
    assert b"speechmatics_sync._model" not in pickle.dumps(TranscriptionConfig())
    assert pickle.loads(pickle.dumps(Transcript())).text == ""


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Clint'"):
        _ = speechmatics_sync.Clint
