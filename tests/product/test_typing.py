"""The types that users see are part of what is promised."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.places import ROOT

mypy = pytest.importorskip("mypy.api")


@pytest.mark.timeout(300)  # a first run checks the standard library's stubs as well
def test_what_users_write_has_the_types_they_expect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    report, errors, status = mypy.run(
        [
            "--strict",
            "--follow-imports=silent",  # the package itself is checked on its own
            "--config-file=",
            f"--cache-dir={tmp_path}",
            str(ROOT / "tests" / "product" / "typed_use.py"),
        ]
    )
    assert (status, errors) == (0, ""), report
