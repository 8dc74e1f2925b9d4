"""CONTRIBUTING.rst shows the house as it is."""

from __future__ import annotations

import ast
import re

import docutils.core
import docutils.nodes
import pytest
from support.places import ROOT

TEXT = (ROOT / "CONTRIBUTING.rst").read_text(encoding="utf-8")
PACKAGE = ROOT / "speechmatics_sync"


def test_it_is_valid_restructured_text() -> None:
    docutils.core.publish_doctree(TEXT, settings_overrides={"halt_level": 2})


def test_every_room_is_in_the_picture() -> None:
    picture = TEXT[TEXT.index("How the house is built") : TEXT.index("Glossary")]
    rooms = {path.parent.name for path in PACKAGE.glob("_*/__init__.py")}
    assert set(re.findall(r"(?<!\w)(_[a-z]+)/", picture)) == rooms
    modules = {path.name for path in PACKAGE.glob("*.py")} - {"__main__.py", "telemetry.py"}
    assert set(re.findall(r"(\w+\.py)", picture[: picture.index("Each room")])) == modules


def test_every_path_that_it_names_exists() -> None:
    named = set(re.findall(r"``([\w./]+(?:\.py|\.cfg|\.toml|\.rst|/))``", TEXT))
    places = (ROOT, PACKAGE, ROOT / "benchmarks" / "speed")
    assert len(named) > 50
    assert {path for path in named if not any((above / path).exists() for above in places)} == set()


def test_every_command_that_it_names_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())  # type: ignore[index]
    named = set(re.findall(r"(?:\$ |``)(?:\w+=\S+ )?make ([\w-]+)", TEXT))
    assert targets - named == {"build", "clean", "demo-web"}
    assert named <= targets


def test_every_threat_has_a_test_that_is_there() -> None:
    security = docutils.core.publish_doctree(
        (ROOT / "SECURITY.rst").read_text(encoding="utf-8"), settings_overrides={"halt_level": 2}
    )
    threats = list(security.findall(docutils.nodes.definition_list_item))
    assert len(threats) > 10
    for threat in threats:
        named = [literal.astext() for literal in threat[-1].findall(docutils.nodes.literal)]
        assert named, threat.astext()
        for name in named:
            file, *path = name.split("::")
            found: ast.AST = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            for part in path:
                inside = {getattr(node, "name", None): node for node in getattr(found, "body", ())}
                assert part in inside, name
                found = inside[part]
            assert isinstance(found, ast.FunctionDef), name


def test_the_long_test_files_that_begin_first_are_there(pytestconfig: pytest.Config) -> None:
    long = pytestconfig.pluginmanager.get_plugin(str(ROOT / "conftest.py")).LONG  # type: ignore[union-attr]
    places = (ROOT / "tests", ROOT / "benchmarks" / "tests")
    files = {path.name for place in places for path in place.rglob("test_*.py")}
    assert set(long) <= files
