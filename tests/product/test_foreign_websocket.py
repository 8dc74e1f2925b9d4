"""A module named ``websocket`` that is not websocket-client is named, with its place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Optional

import pytest
from support.places import ROOT

STARTING = """
import speechmatics_sync as s
client = s.Client(url="ws://localhost:1/v2")
for _ in range(2):  # the second session hears the same as the first
    try:
        client.start_session()
    except s.ConfigurationError as error:
        print(error)
    else:
        raise AssertionError
"""

FOREIGN = {
    "empty": "",
    "with other names": "class WebSocket: pass",
    "with the names of something else": """
WebSocket = WebSocketException = object
WebSocketTimeoutException = WebSocketConnectionClosedException = int
""",
    "of Python 2": "print 'hello'",
    "that fails": "raise RuntimeError('no server to talk to')",
}


def said(place: Path, source: str = STARTING) -> str:
    """Run a program where Python finds the modules of a folder first; return what it prints."""
    run = subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(place), str(ROOT)])},
        capture_output=True,
        text=True,
        cwd=place,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_foreign_module_is_named_with_its_place(tmp_path: Path, content: str) -> None:
    (tmp_path / "websocket.py").write_text(content)
    lines = said(tmp_path).splitlines()
    assert len(lines) == 2
    for line in lines:
        assert str(tmp_path / "websocket.py") in line
        assert "rename it" in line
        assert "pip uninstall websocket" in line


@pytest.mark.parametrize("file", ["__init__.py", None])
def test_foreign_package_is_named_with_its_place(tmp_path: Path, file: Optional[str]) -> None:
    (tmp_path / "websocket").mkdir()
    if file is not None:
        (tmp_path / "websocket" / file).write_text("from .server import serve")
    hidden = "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]\n"
    assert str(tmp_path / "websocket") in said(tmp_path, hidden + STARTING)


def test_script_of_that_name_is_named_with_its_place(tmp_path: Path) -> None:
    """A script imports itself when it is called websocket.py and something imports websocket."""
    script = tmp_path / "websocket.py"
    script.write_text(STARTING)
    run = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert str(script) in run.stdout


def test_package_that_is_missing_is_named(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['websocket'] = None\n"
    assert "websocket-client, which is not installed" in said(tmp_path, hidden + STARTING)


def test_right_package_that_cannot_be_read_for_want_of_a_descriptor_is_not_called_foreign(
    tmp_path: Path,
) -> None:
    hidden = """
import errno, sys
class Full:
    @staticmethod
    def find_spec(name, path, target=None):
        if name.startswith("websocket._"):
            raise OSError(errno.EMFILE, "Too many open files")
sys.meta_path.insert(0, Full)
"""
    starting = STARTING.replace("s.ConfigurationError", "s.ConnectionError")
    assert said(tmp_path, hidden + starting).count("no file descriptor left") == 2
