"""The walls between the rooms hold: in the package, in its tests, and in what is built on it."""

from __future__ import annotations

import ast
import functools
import gc
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

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
FACE = {"", "cli", "errors", "legacy", "local", "telemetry"}
"""What anybody may import: the package itself and its public modules."""

EXCEPTIONS = {
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
    # Of subprocess.Popen, of which it is another kind.
    ("tests/support/programs.py", "_close_pipe_fds"),
}


def sources(*places: str) -> list[Path]:
    return sorted(path for place in places for path in (ROOT / place).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


class Facts(NamedTuple):
    """What a program has in it that the walls are about."""

    imports: set[tuple[str, ...]]
    defines: set[str]
    reads: set[str]
    thread_starts: set[str]


@functools.cache
def facts(path: Path) -> Facts:
    return facts_of(path.read_text(encoding="utf-8"))


def facts_of(text: str) -> Facts:
    gc.disable()  # it would look again and again at thousands of nodes, all of them in use
    try:
        program = list(ast.walk(ast.parse(text)))
        return Facts(
            set(imported(program)), privates(program), reads(program), thread_starts(program)
        )
    finally:
        gc.enable()


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
    "The transcript knows no session, no protocol and no connection": (
        "_transcript/__init__.py",
        "from .. import _protocol",
    ),
    "What lies beside the library imports its face, and logs and reads numbers as it does": (
        "local/__init__.py",
        "from .. import _audio",
    ),
    "The command line imports nothing but faces, and draws as the library does": (
        "cli/__init__.py",
        "from speechmatics_sync.local import _server",
    ),
    "Telemetry and what is made for old programs import nothing but faces": (
        "legacy/__init__.py",
        "from speechmatics_sync.cli import _profiles",
    ),
}
"""By contract: a file of the package and an import that is forbidden there."""


LINT = """
import json, pathlib, sys
from importlinter.cli import lint_imports

for place, line in json.loads(sys.argv[1]):
    file = pathlib.Path(place)
    before = file.read_bytes()
    file.write_bytes(before + b"\\n" + line.encode() + b"\\n")
    print("END", "exit code", lint_imports(no_cache=True))
    file.write_bytes(before)
"""
"""One process for all, as most of the time is that of its start."""


def test_every_contract_is_tried() -> None:
    assert [contract["name"] for contract in LINTER["contracts"]] == list(BREACHES)


@pytest.fixture(scope="module")
def linted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By contract: what import-linter says of a package that has its breach."""
    if importlib.util.find_spec("importlinter") is None:
        pytest.skip("needs import-linter (Python 3.10)")
    folder = tmp_path_factory.mktemp("linted")
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / PACKAGE, folder / PACKAGE, ignore=unwanted)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / PACKAGE / "_model" / "other.py").write_text("from . import one\n")
    (folder / PACKAGE / "_model" / "one.py").write_text("")
    breaches = [(f"{PACKAGE}/{place}", line) for place, line in BREACHES.values()]
    ran = subprocess.run(
        [sys.executable, "-c", LINT, json.dumps(breaches)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = re.findall(r"(.*?)END exit code (\d)", ran.stdout, re.DOTALL)
    return {contract: "".join(each) for contract, each in zip(BREACHES, said)}


@pytest.mark.parametrize("contract", BREACHES)
def test_a_forbidden_import_breaks_its_contract(contract: str, linted: dict[str, str]) -> None:
    assert f"{contract} BROKEN" in linted[contract], linted[contract]
    assert linted[contract].endswith("1")


# -- what import-linter does not see --------------------------------------------------------------


def imported(program: list[ast.AST]) -> Iterator[tuple[str, ...]]:
    """The modules of the package that a file names, in imports and in patches, without its name."""
    for node in program:
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
        for module in facts(path).imports
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
    assert not all(may_import(ROOT / path, module) for module in facts_of(line).imports)


def privates(program: list[ast.AST]) -> set[str]:
    """The private names that a file defines."""
    found: set[str] = set()
    for node in program:
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


def reads(program: list[ast.AST]) -> set[str]:
    """The private attributes that a file reads or sets."""
    return {
        node.attr
        for node in program
        if isinstance(node, ast.Attribute)
        and re.match("_(?!_)", node.attr)
        and not (isinstance(node.value, ast.Name) and node.value.id in ("os", "sys"))
    }


def test_files_outside_the_package_read_no_private_attributes() -> None:
    """Tests of a room may read that room's."""
    of_room: dict[str, set[str]] = {}
    for path in sources(PACKAGE):
        of_room.setdefault(path.parent.name, set()).update(facts(path).defines)
    found = {
        (name_of(path), name)
        for path in OUTSIDE
        for name in facts(path).reads
        - facts(path).defines
        - of_room.get(f"_{path.parent.name}", set())
    }
    assert found == PRIVATE_EXCEPTIONS


STARTS_THREADS = {"_concurrency", "cli", "legacy", "local"}


def thread_starts(program: list[ast.AST]) -> set[str]:
    """The names by which a file starts threads or processes."""
    starts = {"Thread", "Timer", "ThreadPoolExecutor", "ProcessPoolExecutor", "start_new_thread"}
    modules = {"_thread", "concurrent", "multiprocessing"}
    found: set[str] = set()
    for node in program:
        if isinstance(node, ast.Call):
            if isinstance(node.func, (ast.Attribute, ast.Name)):
                called = node.func
                found |= {called.attr if isinstance(called, ast.Attribute) else called.id} & starts
        elif isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names} & modules
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {str(node.module).partition(".")[0]} & modules
    return found


def test_threads_are_started_only_where_they_are_ended() -> None:
    """In `_concurrency`, and in what stands beside the library."""
    found = {
        path.relative_to(ROOT / PACKAGE).parts[0]
        for path in sources(PACKAGE)
        if facts(path).thread_starts
    }
    assert found == STARTS_THREADS


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
    assert facts_of(line).thread_starts
