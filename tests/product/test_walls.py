"""The walls between the rooms hold: in the package, in its tests, and in what is built on it."""

from __future__ import annotations

import ast
import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.places import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGE = "speechmatics_sync"
LINTER: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "tool"
]["importlinter"]
FLOORS = [{room.strip() for room in floor.split("|")} for floor in LINTER["contracts"][0]["layers"]]
ROOMS = {path.parent.name for path in (ROOT / PACKAGE).glob("*/__init__.py")}
FACE = {"", "cli", "errors", "legacy", "local"}
"""What anybody may import: the package itself and its public modules."""

EXCEPTIONS = {
    "conftest.py": {"_concurrency"},  # SHARED=1 has every session share its threads
    "tests/product/test_face.py": {"_client"},  # what a class says that the face did not load
    "tests/support/sharing.py": {"_concurrency"},  # every session of these tests does
    # Which labels mean a speaker is the embedded server's business, and these tests ask it.
    "tests/protocol/test_speaker_labels.py": {"local"},
    "tests/session/test_labels.py": {"local"},
}
"""Files that may import more of a room than others, and why."""

PRIVATE_EXCEPTIONS = {
    # Of named tuples, and public for all that.
    ("tests/audio/test_wav.py", "_replace"),
    ("tests/support/fuzzing.py", "_replace"),
}


def sources(*places: str) -> list[Path]:
    return sorted(path for place in places for path in (ROOT / place).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


OUTSIDE = [ROOT / "conftest.py", *sources("tests", "benchmarks", "examples")]


# -- the contracts of import-linter ---------------------------------------------------------------

BREACHES = {
    "Imports point one way": ("_model/__init__.py", "from .. import _session"),
    "Modules of a room do not import each other in circles": (
        "_model/one.py",
        "from . import other",
    ),
    "Rooms do not import the face": ("_audio/__init__.py", "from speechmatics_sync import Client"),
    "The protocol has no sockets, no threads and no clock": ("_protocol/__init__.py", "import ssl"),
    "Only the transport imports websocket": ("_session/__init__.py", "import websocket"),
    "Only what decodes and resamples imports av": ("_audio/__init__.py", "import av"),
    "Clients and sessions know no frames, sessions no JSON": (
        "_session/__init__.py",
        "import json",
    ),
    "Keys know no protocol and no audio": ("_auth/__init__.py", "from .. import _audio"),
    "Values know nothing but errors and what a number is": (
        "_model/__init__.py",
        "from .. import _logs",
    ),
    "What lies beside the library imports its face, and logs and reads numbers as it does": (
        "local/__init__.py",
        "from .. import _audio",
    ),
    "The command line imports nothing but faces": (
        "cli/__init__.py",
        "from speechmatics_sync.local import _server",
    ),
    "What is made for old programs imports nothing but faces": (
        "legacy/__init__.py",
        "from speechmatics_sync.cli import _profiles",
    ),
}
"""By contract: a file of the package and an import that is forbidden there."""


LINT = "from importlinter.cli import *; lint_imports_command()"


def test_every_contract_is_tried() -> None:
    assert [contract["name"] for contract in LINTER["contracts"]] == list(BREACHES)


@pytest.mark.skipif(
    importlib.util.find_spec("importlinter") is None, reason="needs import-linter (Python 3.10)"
)
@pytest.mark.parametrize("contract", BREACHES)
def test_a_forbidden_import_breaks_its_contract(contract: str, tmp_path: Path) -> None:
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / PACKAGE, tmp_path / PACKAGE, ignore=unwanted)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / PACKAGE / "_model" / "other.py").write_text("from . import one\n")
    place, line = BREACHES[contract]
    with open(tmp_path / PACKAGE / place, "a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    ran = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert f"{contract} BROKEN" in ran.stdout, ran.stdout + ran.stderr


# -- what import-linter does not see --------------------------------------------------------------


def imported(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """The modules of the package that a file names, in imports and in patches, without its name."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            first = node.args[0] if node.args else None
            if node.func.attr == "setattr" and isinstance(first, ast.Constant):
                names = [str(first.value)]
        for name in names:
            package, *rest = name.split(".")
            if package == PACKAGE:
                yield tuple(rest)


def may_import(path: Path, module: tuple[str, ...]) -> bool:
    room, inner = module[0] if module else "", module[1] if len(module) > 1 else ""
    name, own = name_of(path), path.parent.name
    if room in EXCEPTIONS.get(name, ()):
        return True
    if not room.startswith("_") or room == "__version__":
        # A name of the face, `errors`, or `cli`, `legacy` or `local` and its public names.
        return not (room in ("cli", "legacy", "local") and inner.startswith("_")) or own == room
    if not name.startswith("tests/") or f"_{own}" not in ROOMS:
        return False
    floor = next(at for at, rooms in enumerate(FLOORS) if f"_{own}" in rooms)
    return room == f"_{own}" or any(room in rooms for rooms in FLOORS[floor + 1 :])


def test_files_outside_the_package_import_what_they_may() -> None:
    """The face, and what lies beside it; tests of a room also that room and those below it."""
    found = {
        (name_of(path), ".".join(module))
        for path in OUTSIDE
        for module in imported(parsed(path))
        if not may_import(path, module)
    }
    assert found == set()


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("examples/pull.py", "from speechmatics_sync._session.session import Session"),
        ("examples/pull.py", "from speechmatics_sync.local._server import LocalServer"),
        ("tests/local/test_local_command.py", "from speechmatics_sync.cli._main import run"),
        ("benchmarks/soak.py", "import speechmatics_sync._protocol"),
        ("tests/promises/test_closing.py", "from speechmatics_sync import _client"),
        ("tests/protocol/test_leg.py", "from speechmatics_sync._session.state import Lifecycle"),
        ("tests/client/test_client.py", "patch.setattr('speechmatics_sync.local._server.x', 1)"),
    ],
)
def test_an_import_of_more_than_that_is_found(path: str, line: str) -> None:
    assert not all(may_import(ROOT / path, module) for module in imported(ast.parse(line)))


def privates(tree: ast.AST) -> set[str]:
    """The private names that a file defines."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                found.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)  # of __slots__
    return {name for name in found if name.startswith("_")}


def test_files_outside_the_package_read_no_private_attributes() -> None:
    """Tests of a room may read that room's."""
    of_room: dict[str, set[str]] = {}
    for path in sources(PACKAGE):
        of_room.setdefault(path.parent.name, set()).update(privates(parsed(path)))
    found = set()
    for path in OUTSIDE:
        tree = parsed(path)
        known = privates(tree) | of_room.get(f"_{path.parent.name}", set())
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and re.match("_(?!_)", node.attr)
                and node.attr not in known
                and not (isinstance(node.value, ast.Name) and node.value.id in ("os", "sys"))
            ):
                found.add((name_of(path), node.attr))
    assert found == PRIVATE_EXCEPTIONS


STARTS_THREADS = ("_concurrency", "cli", "legacy", "local")


def thread_starts(tree: ast.AST) -> set[str]:
    """The names by which a file starts threads or processes."""
    starts = {"Thread", "Timer", "ThreadPoolExecutor", "ProcessPoolExecutor", "start_new_thread"}
    modules = {"_thread", "concurrent", "multiprocessing"}
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found |= {ast.unparse(node.func).rpartition(".")[2]} & starts
        elif isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names} & modules
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {str(node.module).partition(".")[0]} & modules
    return found


def test_threads_are_started_only_where_they_are_ended() -> None:
    """In `_concurrency`, and in what stands beside the library."""
    found = {
        (name_of(path), name)
        for path in sources(PACKAGE)
        if path.relative_to(ROOT / PACKAGE).parts[0] not in STARTS_THREADS
        for name in thread_starts(parsed(path))
    }
    assert found == set()


@pytest.mark.parametrize(
    "line",
    [
        "threading.Thread(target=print).start()",
        "Timer(1, print)",
        "import concurrent.futures",
        "from multiprocessing import Process",
    ],
)
def test_a_start_of_a_thread_is_found(line: str) -> None:
    assert thread_starts(ast.parse(line))
