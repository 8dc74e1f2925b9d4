"""CONTRIBUTING.rst shows the house as it is."""

from __future__ import annotations

import re

import docutils.core
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


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"``([\w./]+(?:\.py|\.cfg|\.toml|\.rst|/))``", TEXT)))
)
def test_every_path_that_it_names_exists(path: str) -> None:
    assert any((above / path).exists() for above in (ROOT, PACKAGE, ROOT / "benchmarks" / "speed"))
