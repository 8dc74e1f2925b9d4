"""The captions examples run with one command, as ``make demo-web`` does, and end with Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from support.captions import PageOfPython
from support.examples import EXAMPLES
from support.places import ROOT

from speechmatics_sync.local import LocalServer, ScriptedRecognizer


@pytest.mark.parametrize("module", ["captions_flask", "captions_django"])
def test_it_says_which_address_to_open_and_ends_cleanly_while_somebody_speaks(
    module: str, tmp_path: Path
) -> None:
    pytest.importorskip("flask_sock" if module == "captions_flask" else "gunicorn")
    with LocalServer(recognizer=ScriptedRecognizer([("hello", 0.1, 0.5)])) as local:
        with subprocess.Popen(
            [sys.executable, "-m", module, "--port", "0"],
            cwd=EXAMPLES,
            env={**os.environ, "PYTHONPATH": str(ROOT), "SPEECHMATICS_RT_URL": local.url},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as program:
            try:
                url = address_in(program)
                assert "Live captions" in requests.get(url, timeout=20).text
                page = PageOfPython(url)
                page.connect()
                page.send(bytes(32000))
                page.receive_until(lambda: page.last["open"] or page.last["final"])
                os.killpg(program.pid, signal.SIGINT)  # as a terminal does
                _, said = program.communicate(timeout=30)
                page.vanish()
            finally:
                program.kill()
        assert program.returncode == 130
        assert "Traceback" not in said, said


def test_a_port_that_is_taken_is_told_with_how_to_choose_another() -> None:
    pytest.importorskip("flask_sock")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = subprocess.run(
            [sys.executable, "-m", "captions_flask", "--port", str(taken.getsockname()[1])],
            cwd=EXAMPLES,
            env={**os.environ, "PYTHONPATH": str(ROOT), "SPEECHMATICS_RT_URL": "ws://127.0.0.1:9"},
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert ran.returncode == 1
    assert "make demo-web PORT=" in ran.stderr.splitlines()[-1]


def address_in(program: subprocess.Popen[str]) -> str:
    assert program.stderr is not None
    for line in program.stderr:
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if found is not None:
            return f"{found[0]}/"
    raise AssertionError("it ended before it named an address")
