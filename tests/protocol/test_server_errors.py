"""The tables of what ends a session agree with what is documented."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Optional

import pytest
from support.places import ROOT

from speechmatics_sync import ErrorType, TranscriptionError
from speechmatics_sync._protocol.server_errors import (
    CLOSE_CODES,
    ERROR_TYPES,
    error_of,
    error_of_close,
)


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


def test_an_error_without_a_reason_says_its_type_and_what_to_do() -> None:
    said = str(error_of("invalid_language", "", None))
    assert said == "The server ended the session with invalid_language. Choose another language."


@pytest.mark.parametrize(
    ("code", "reason", "said"),
    [
        (None, "", "The connection was lost in mid-session."),
        (1006, "", "The connection was lost in mid-session."),
        (1001, "", "The connection was closed with code 1001 in mid-session."),
        (1011, "no room", "The connection was closed with code 1011 in mid-session (no room)."),
        (1002, "", "The server closed the connection with code 1002."),
        (2999, "bye", "The server closed the connection with code 2999 (bye)."),
    ],
)
def test_the_end_of_a_connection_is_told_with_its_code_and_the_servers_reason(
    code: Optional[int], reason: str, said: str
) -> None:
    error = error_of_close(code, reason, when="in mid-session")
    assert str(error).startswith(said)
    assert getattr(error, "close_code", 0) == code


@pytest.mark.parametrize("code", [3000, 4002])
def test_a_close_code_that_nobody_knows_has_the_advice_of_an_unknown_error(code: int) -> None:
    error = error_of_close(code, "Wrong mix.", when="in mid-session")
    assert isinstance(error, TranscriptionError)
    assert (error.type, error.reason, error.code) == ("unknown_error", "Wrong mix.", None)
    assert error.close_code == code
    advice = ERROR_TYPES["unknown_error"].advice
    assert str(error) == f"The server ended the session with unknown_error: Wrong mix. {advice}"
    assert str(error_of("new_error", "", 7)).endswith(f"with new_error. {advice}")
