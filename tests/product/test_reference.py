"""The reference describes every public name, every error and every limit, as they are."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re

import pytest
from support.places import ROOT

import speechmatics_sync
import speechmatics_sync.local
from speechmatics_sync import ConnectionConfig, ReconnectPolicy, SpeechmaticsError

REFERENCE = ROOT / "docs" / "reference"
ERRORS = [
    public
    for name in dir(speechmatics_sync)
    if inspect.isclass(public := getattr(speechmatics_sync, name))
    and issubclass(public, SpeechmaticsError)
]


@pytest.mark.parametrize("package", [speechmatics_sync, speechmatics_sync.local])
def test_every_public_name_is_described_once(package: object) -> None:
    directives = re.compile(rf"auto\w+:: {re.escape(package.__name__)}\.(\w+)\n")  # type: ignore[attr-defined]
    described = [
        name for page in REFERENCE.glob("*.rst") for name in directives.findall(page.read_text())
    ]
    assert sorted(described) == sorted(set(dir(package)) - {"__version__"})  # type: ignore[attr-defined]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_error_names_its_section(error: type[SpeechmaticsError]) -> None:
    page, _, section = error("because").help.partition("#")
    source = (REFERENCE.parent / page).with_suffix(".rst").read_text(encoding="utf-8")
    titles = re.findall(r"^(\w+)\n-+$", source, re.MULTILINE)
    assert [title for title in titles if title.lower() == section] == [error.__name__]


def test_an_error_that_is_not_public_has_the_section_of_the_one_that_is() -> None:
    with pytest.raises(speechmatics_sync.ConfigurationError) as caught:
        speechmatics_sync.Client(url="wss://eu.rt.speechmatics.com/v2")
    assert type(caught.value) is not speechmatics_sync.ConfigurationError
    assert caught.value.help == "reference/errors.html#configurationerror"


def _rows(page: str) -> dict[str, str]:
    """The first two columns of the page's tables."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    return dict(re.findall(r"^``(\w+)`` +(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("settings", [ConnectionConfig, ReconnectPolicy])
def test_the_limits_are_as_they_are_described(settings: type) -> None:
    described = _rows("limits.rst")
    for field in dataclasses.fields(settings):
        if isinstance(field.default, (bool, str)) or field.name in NO_LIMITS:
            continue
        assert described[field.name] == str(field.default), field.name


def test_the_limits_of_calls_are_as_they_are_described() -> None:
    text = (REFERENCE / "limits.rst").read_text(encoding="utf-8")
    described = re.findall(r"^``([\w.]+)\((\w+)\)`` +(\S+)", text, re.MULTILINE)
    assert len(described) > 5
    for name, argument, default in described:
        call = functools.reduce(getattr, name.split("."), speechmatics_sync)
        assert str(inspect.signature(call).parameters[argument].default) == default, name


def test_every_variable_of_the_environment_is_described() -> None:
    variables = re.compile(r'"((?:SPEECHMATICS|SM|SSL|CURL|REQUESTS|XDG|NO)_[A-Z_]+)"')
    package = (ROOT / "speechmatics_sync").rglob("*.py")
    read = {name for path in package for name in variables.findall(path.read_text("utf-8"))}
    assert "SPEECHMATICS_API_KEY" in read
    assert read - _rows("environment.rst").keys() == set()


NO_LIMITS = ("ssl_context", "proxy", "read_limit", "write_limit")


def test_every_page_is_in_the_index() -> None:
    docs = REFERENCE.parent
    listed = re.findall(r"^   ([\w/-]+)$", (docs / "index.rst").read_text("utf-8"), re.MULTILINE)
    pages = {page.relative_to(docs).with_suffix("").as_posix() for page in docs.rglob("*.rst")}
    assert sorted(listed) == sorted(page for page in pages - {"index"} if "_build" not in page)
