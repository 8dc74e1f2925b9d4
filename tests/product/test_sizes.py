"""No module of the package is longer than a reader can hold in mind."""

from __future__ import annotations

import pytest
from support.places import ROOT

MODULES = sorted((ROOT / "speechmatics_sync").rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_has_at_most_500_lines(path: object) -> None:
    with open(str(path), encoding="utf-8") as module:
        assert sum(1 for _ in module) <= 500
