"""The types that users see are part of what is promised."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest
from support.places import ROOT


@pytest.mark.timeout(300)  # a first run checks the standard library's stubs as well
@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="needs mypy")
def test_what_users_write_has_the_types_they_expect() -> None:
    # In a process of its own: what it leaves in memory would slow down each garbage collection.
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "mypy"),
            "--strict",
            "--follow-imports=silent",  # the package itself is checked on its own
            "--config-file=",
            # Beside that of `make lint`, whose options are others: a second run takes a fifth.
            f"--cache-dir={ROOT / '.mypy_cache' / 'typed_use'}",
            str(ROOT / "tests" / "product" / "typed_use.py"),
        ],
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
