"""CONTRIBUTING.rst shows the house as it is."""

from __future__ import annotations

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
    assert set(re.findall(r"(_[a-z]+)/", picture)) >= rooms


def test_every_path_that_it_names_exists() -> None:
    named = set(re.findall(r"``([\w./]+(?:\.py|\.cfg|\.toml|\.rst|/))``", TEXT))
    places = (ROOT, PACKAGE, ROOT / "benchmarks" / "speed")
    assert len(named) > 50
    assert {path for path in named if not any((above / path).exists() for above in places)} == set()


def test_the_changelog_has_its_title_and_says_nothing_twice() -> None:
    changelog = docutils.core.publish_doctree(
        (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8"),
        settings_overrides={"report_level": 2, "halt_level": 2},
    )
    assert changelog.get("title") == "Changelog"
    entries = [item.astext() for item in changelog.findall(docutils.nodes.list_item)]
    for entry in entries:
        beginning = entry.rstrip(".")
        assert [other for other in entries if other.startswith(beginning)] == [entry]


def test_the_tests_that_stand_against_threats_are_there() -> None:
    text = (ROOT / "SECURITY.rst").read_text(encoding="utf-8")
    named = re.findall(r"``(tests/[\w/.]+)``", text)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_long_test_files_that_begin_first_are_there(pytestconfig: pytest.Config) -> None:
    long = pytestconfig.pluginmanager.get_plugin(str(ROOT / "conftest.py")).LONG  # type: ignore[union-attr]
    places = (ROOT / "tests", ROOT / "benchmarks" / "tests")
    files = {path.name for place in places for path in place.rglob("test_*.py")}
    assert set(long) <= files
