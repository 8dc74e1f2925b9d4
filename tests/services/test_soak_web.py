"""The soak of a web application finds nothing wrong, and would say so if something were."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from soak_web import Tally
from support.places import ROOT

SHORT = """
import soak_web, sys
sys.argv += "--seconds 3 --live 6 --uploads 3".split()
soak_web.LIVE_WORDS, soak_web.UPLOAD_WORDS = (4, 8), (20, 40)
soak_web.LATEST = 10.0  # how fast a busy machine is, no test says
sys.exit(soak_web.main())
"""


@pytest.mark.timeout(100)
def test_a_short_soak_loses_and_leaves_nothing() -> None:
    command = [sys.executable, "-c", SHORT]
    place = ROOT / "benchmarks"
    soaked = subprocess.run(command, cwd=place, text=True, capture_output=True)
    assert soaked.returncode == 0, soaked.stdout + soaked.stderr
    figures = dict(re.findall(r"^(.*?)  +(\S+)", soaked.stdout, re.MULTILINE))
    for name in ("live sessions", "uploads", "vanished in the middle", "words", "lines"):
        assert int(figures[name]) > 0, name
    for name in ("words lost", "words repeated", "sessions left", "threads left", "sockets left"):
        assert int(figures[name]) <= 0, name


@pytest.mark.parametrize(
    ("heard", "lost", "repeated"),
    [(["w1", "w2", "w3"], 0, 0), (["w1", "w3"], 1, 0), (["w1", "w2", "w2", "w3"], 0, 1)],
)
def test_words_are_compared(heard: list[str], lost: int, repeated: int) -> None:
    tally = Tally()
    tally.compare("live", ["w1", "w2", "w3"], heard)
    assert (tally.counts["lost"], tally.counts["repeated"]) == (lost, repeated)
    assert bool(tally.wrong) == bool(lost or repeated)
