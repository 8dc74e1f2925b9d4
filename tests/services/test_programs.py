"""The programs that the tests of services need are there, in CI at least."""

from __future__ import annotations

import os
import shutil

import pytest


@pytest.mark.parametrize("program", ["chromium", "redis-server"])
def test_the_program_is_installed(program: str) -> None:
    if shutil.which(program) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{program} is not installed, and in CI nothing is skipped for that reason")
        pytest.skip(f"needs {program}")
