"""Threads are started in one room, so that all of them can be found and ended."""

from __future__ import annotations

import ast
from pathlib import Path

from support.places import ROOT

PACKAGE = ROOT / "speechmatics_sync"
STARTERS = {"Thread", "Timer", "ThreadPoolExecutor", "start_new_thread"}


def calls_that_start_threads(path: Path) -> list[int]:
    """The lines of a module at which it may start a thread."""
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return [call.lineno for call in calls if ast.unparse(call.func).split(".")[-1] in STARTERS]


def test_only_the_room_for_threads_and_the_embedded_server_start_any() -> None:
    starting = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob("*.py")
        if calls_that_start_threads(path)
    }
    assert starting == {"_concurrency", "local"}
