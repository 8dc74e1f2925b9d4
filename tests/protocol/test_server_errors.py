"""The tables of what ends a session agree with what is documented."""

from __future__ import annotations

import re
from pathlib import Path

from support.places import ROOT

from speechmatics_sync import ErrorType
from speechmatics_sync._protocol.server_errors import CLOSE_CODES, ERROR_TYPES, error_of


def test_every_documented_close_code_names_its_error(shared: Path) -> None:
    line = next(
        line
        for line in (shared / "spec" / "README.md").read_text().replace("\n  ", " ").splitlines()
        if "Close codes:" in line
    )
    documented = line.partition("Close codes:")[2].strip(" .").split(", ")
    named = [f"{code} {row.type}" for code, row in CLOSE_CODES.items() if row.type is not None]
    assert named == documented


def test_close_codes_of_the_range_for_applications_are_errors_the_api_knows() -> None:
    words = {member.value for member in ErrorType}
    assert {
        row.type for code, row in CLOSE_CODES.items() if code is not None and code >= 4000
    } <= words


def test_every_type_of_error_has_its_row_and_every_close_code_a_meaning() -> None:
    assert {member.value for member in ErrorType} <= set(ERROR_TYPES)
    assert {row.type for row in CLOSE_CODES.values() if row.type is not None} <= set(ERROR_TYPES)
    assert all(row.lost or row.type is not None for row in CLOSE_CODES.values())


def test_a_lost_connection_is_known_by_these_close_codes() -> None:
    lost = [code for code, row in CLOSE_CODES.items() if row.lost]
    assert lost == [None, 1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014]
    assert {type for type, row in ERROR_TYPES.items() if row.lost} == {"session_timeout"}
    busy = {type for type, row in ERROR_TYPES.items() if row.busy}
    assert busy == {"quota_exceeded", "job_error", "internal_error"}


def test_the_documentation_says_of_every_type_what_to_do() -> None:
    page = (ROOT / "docs" / "reference" / "errors.rst").read_text(encoding="utf-8")
    described = set(re.findall(r"^``(\w+)``", page, re.MULTILINE))
    assert {*ERROR_TYPES, "duration_limit_exceeded"} <= described


def test_a_reason_that_ends_a_sentence_ends_it_once() -> None:
    error = error_of("invalid_model", "There is no such model.", None)
    assert "invalid_model: There is no such model. " in str(error)
    assert getattr(error, "reason", None) == "There is no such model."
