"""No message of a client, whatever its kind or order, ends the process of the server."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.places import ROOT


@pytest.mark.speech
@pytest.mark.timeout(300)
def test_no_message_in_any_order_and_state_ends_the_process() -> None:
    ran = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "support.any_order"],
        cwd=ROOT / "tests",
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert ran.returncode == 0, f"exit status {ran.returncode}:\n{ran.stdout[-6000:]}"
