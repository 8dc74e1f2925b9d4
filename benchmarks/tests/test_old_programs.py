"""Programs of speechmatics-python say the same with that package and with this one.

What they say with that package is in ``old_programs/expected.json``, and is checked where it is
installed, as ``make bench`` does; ``python benchmarks/tests/test_old_programs.py`` records it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from running import LEGACY_PACKAGES, ROOT

from speechmatics_sync.local import CountedRecognizer, LocalServer, counted_audio

PROGRAMS = ROOT / "benchmarks" / "old_programs" / "all.py"
EXPECTED = PROGRAMS.with_name("expected.json")


@contextlib.contextmanager
def servers() -> Iterator[dict[str, str]]:
    """Servers of each kind, by what the programs call them."""
    with (
        socket.socket() as refusing,
        LocalServer(recognizer=CountedRecognizer(), strict=True) as plain,
        LocalServer(recognizer=CountedRecognizer(), api_keys=["the-key"]) as keyed,
    ):
        # Bound and not listening: a port that was given back would soon be another test's server.
        refusing.bind(("127.0.0.1", 0))
        nowhere = refusing.getsockname()[1]
        yield {
            "plain": plain.url,
            "keyed": keyed.url,
            "platform": keyed.url.replace("ws:", "http:").rpartition("/")[0],
            "nowhere": f"ws://127.0.0.1:{nowhere}/v2",
        }


def said_with(packages: Optional[Path]) -> dict[str, Any]:
    """Run all programs; return what each said.

    Args:
        packages: Where the old package is; None runs them with `speechmatics_sync.legacy`.
    """
    with servers() as urls, tempfile.TemporaryDirectory() as home:
        audio = Path(home, "audio.raw")
        audio.write_bytes(counted_audio(2))
        paths = [str(ROOT)] if packages is None else [str(packages), str(ROOT)]
        under = [] if packages else ["-m", "speechmatics_sync.legacy", "run"]
        ran = subprocess.run(
            [sys.executable, *under, str(PROGRAMS), json.dumps({**urls, "audio": str(audio)})],
            env={**os.environ, "HOME": home, "PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert ran.returncode == 0, ran.stderr
        said = ran.stdout
        for name, url in urls.items():  # their ports differ
            said = said.replace(url, f"<{name}>")
        return json.loads(said)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    return said_with(None)


def recorded() -> dict[str, Any]:
    return json.loads(EXPECTED.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@pytest.mark.parametrize("program", recorded() if EXPECTED.exists() else [])
def test_a_program_says_what_it_said_with_the_old_package(
    program: str, ours: dict[str, Any]
) -> None:
    assert ours[program] == recorded()[program]


def test_every_program_is_compared(ours: dict[str, Any]) -> None:
    assert set(ours) == set(recorded())


@pytest.mark.skipif(
    not LEGACY_PACKAGES.exists(), reason="speechmatics-python is not installed: make bench does so"
)
def test_what_was_recorded_is_what_the_old_package_says() -> None:
    assert said_with(LEGACY_PACKAGES) == recorded()


if __name__ == "__main__":
    found = said_with(Path(sys.argv[1]) if sys.argv[1:] else LEGACY_PACKAGES)
    EXPECTED.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
