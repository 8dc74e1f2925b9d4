"""No file is longer than a reader can hold in mind: no module, no test, no benchmark, no README."""

from __future__ import annotations

from collections import Counter

import pytest
from support.places import ROOT

PLACES = ("speechmatics_sync", "tests", "benchmarks", "examples", "docs")


@pytest.mark.parametrize("place", PLACES)
def test_a_module_has_at_most_500_lines(place: str) -> None:
    lines = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n")
        for path in (ROOT / place).rglob("*.py")
    }
    assert lines
    assert {path: count for path, count in lines.items() if count > 500} == {}


def test_the_readme_is_short() -> None:
    """Long explanations belong into docs/."""
    assert (ROOT / "README.rst").read_text(encoding="utf-8").count("\n") <= 250


def test_no_two_test_files_have_one_name() -> None:
    """pytest imports them by their names alone, and would leave one of them out."""
    names = Counter(
        path.name for place in ("tests", "benchmarks") for path in (ROOT / place).rglob("test_*.py")
    )
    assert [name for name, count in names.items() if count > 1] == []
