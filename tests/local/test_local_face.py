"""What users import from the embedded server comes from one place, and says so itself."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys

import pytest

import speechmatics_sync.local
from speechmatics_sync.local import ScriptedRecognizer, Word


def test_dir_shows_what_is_public_and_nothing_else() -> None:
    assert dir(speechmatics_sync.local) == sorted(speechmatics_sync.local.__all__)


@pytest.mark.parametrize("name", speechmatics_sync.local.__all__)
def test_a_public_name_says_that_it_comes_from_the_package(name: str) -> None:
    if name == "PocketsphinxRecognizer":  # has to be compiled on Python 3.9, and may be missing
        pytest.importorskip("pocketsphinx")
    public = getattr(speechmatics_sync.local, name)
    assert public.__module__ == "speechmatics_sync.local"
    assert inspect.getdoc(public)


def test_what_nobody_imported_says_so_too() -> None:
    code = """
import sys
from speechmatics_sync.local import LocalServer
print(sys.modules["speechmatics_sync.local._record"].SessionRecord.__module__)
"""
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert shown == "speechmatics_sync.local\n"


def test_a_pickle_names_the_package() -> None:
    assert ScriptedRecognizer.__module__ == Word.__module__
    pickled = pickle.dumps(Word("hello", 0.1, 0.2))
    assert b"speechmatics_sync.local._" not in pickled
    assert pickle.loads(pickled) == Word("hello", 0.1, 0.2)
