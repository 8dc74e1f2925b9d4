"""Runs Python in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading

from support.places import ROOT
from support.programs import Program
from support.serving import PATIENCE
from support.sessions import wait_for

__all__ = ["run_script"]

PREAMBLE = """
import sys, threading
from speechmatics_sync import *
url = sys.argv[1]
config = ConnectionConfig(close_timeout=60)
RAW = AudioFormat("pcm_s16le", 16000)
def blocking():
    yield bytes(3200)
    threading.Event().wait()
"""


def run_script(
    script: str, url: str, ready: threading.Event, interrupt: bool
) -> subprocess.CompletedProcess[str]:
    """Run Python code that may use ``url``; interrupt it once the server is ready."""
    process = Program(
        [sys.executable, "-W", "error", "-c", PREAMBLE + textwrap.dedent(script), url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(ready)
        if interrupt:
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
