"""The first commands say in a sentence what is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import ROOT


def test_what_is_built_is_built_as_a_release_is() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rules = dict(
        re.findall(r"^([\w-]+): \$\(VENV\)/release.installed\n((?:\t.*\n)+)", makefile, re.M)
    )
    script = "\t$(BIN)/python .ci/release_check.py"
    assert rules == {
        "build": f"{script} --build\n",
        "release-check": f"{script} $(RELEASE_ARGS)\n",
    }


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_without_a_package_index_one_sentence_says_so(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/",  # nobody listens there
        "PIP_RETRIES": "0",
        "PIP_DRY_RUN": "1",  # nothing is installed here, whatever happens
    }
    environment.pop("PIP_FIND_LINKS", None)
    # An environment that is there already: to create one takes longer than all else here.
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    made = subprocess.run(
        ["make", "demo", f"VENV={tmp_path / 'venv'}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert made.returncode != 0
    said = made.stderr.splitlines()
    assert said[0].startswith("No package index can be reached.")
    assert len(said) <= 3  # where pip's own words are, and what make adds
    assert "Traceback" not in made.stdout + made.stderr
