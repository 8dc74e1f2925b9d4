"""What is said of a release is so: its version, its changes, and what it was tested on."""

from __future__ import annotations

import configparser
import re
import sys

import docutils.core
import docutils.nodes
import pytest
import release_check
from support.places import ROOT

from speechmatics_sync import __version__

CHANGELOG = (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8")


WHOLE = (".ci", "docs", "examples", "speechmatics_sync")


def declared(name: str) -> list[str]:
    """Return the ends of the classifiers of a kind."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    classifiers = setup["metadata"]["classifiers"].split("\n")
    return [line[len(name) :] for line in classifiers if line.startswith(name)]


def test_the_version_stands_in_one_place() -> None:
    stating = [
        path.relative_to(ROOT)
        for place in (ROOT, *(ROOT / name for name in WHOLE))
        for suffix in ("py", "cfg", "toml", "in", "rst")
        for path in (place.glob if place == ROOT else place.rglob)(f"*.{suffix}")
        if re.search(rf"(?<![\d.]){re.escape(__version__)}(?![\d.])", path.read_text("utf-8"))
    ]
    changelog = [path for path in stating if path.name == "CHANGELOG.rst"]
    assert [path.as_posix() for path in stating if path not in changelog] == [
        "speechmatics_sync/_version.py"
    ]


class TestChangelog:
    def test_it_has_its_title_and_says_nothing_twice(self) -> None:
        changelog = docutils.core.publish_doctree(
            CHANGELOG, settings_overrides={"report_level": 2, "halt_level": 2}
        )
        assert changelog.get("title") == "Changelog"
        entries = [item.astext() for item in changelog.findall(docutils.nodes.list_item)]
        for entry in entries:
            beginning = entry.rstrip(".")
            assert [other for other in entries if other.startswith(beginning)] == [entry]

    def test_what_would_be_released_next_has_its_entries(self) -> None:
        assert release_check.check_changelog(CHANGELOG, __version__, None, True)

    @pytest.mark.parametrize(
        ("title", "release", "changed"),
        [
            ("Unreleased", None, True),
            ("1.2.0 (2030-01-31)", None, True),
            ("1.2.0 (2030-01-31)", "1.1.0", True),
            ("Unreleased", "1.1.0", True),
            ("Unreleased", "1.2.0", True),
            ("1.2.0 (2030-01-31)", "1.2.0", False),
        ],
    )
    def test_its_newest_section_is_about_what_comes(
        self, title: str, release: str, changed: bool
    ) -> None:
        text = f"Changelog\n=========\n\nWords.\n\n{title}\n---\n\nAdded\n~~~\n\n* A thing.\n"
        assert release_check.check_changelog(text, "1.2.0", release, changed) == title

    @pytest.mark.parametrize(
        ("title", "entry", "release", "changed"),
        [
            ("Unreleased", "", "1.1.0", True),  # nothing is said
            ("1.1.0 (2030-01-31)", "* A thing.", "1.1.0", True),  # nothing is said of 1.2.0
            ("1.2.0 (2030-01-31)", "* A thing.", "1.2.0", True),  # changed since
            ("Unreleased", "* A thing.", "1.2.0", False),  # released without its date
            ("1.2.0", "* A thing.", "1.1.0", True),  # no date
            ("1x2.0 (2030-01-31)", "* A thing.", "1.1.0", True),
        ],
    )
    def test_it_is_refused_without(
        self, title: str, entry: str, release: str, changed: bool
    ) -> None:
        older = "1.0.0 (2029-01-01)\n---\n\n* Older.\n"
        text = f"Changelog\n=========\n\n{title}\n---\n\n{entry}\n\n{older}"
        with pytest.raises(release_check.Failed, match=r"CHANGELOG.rst"):
            release_check.check_changelog(text, "1.2.0", release, changed)


class TestClassifiers:
    """`release_check` tries the versions of Python that they name; `.ci/run` tests the ends."""

    def test_the_pythons_are_all_from_the_lowest_that_is_taken(self) -> None:
        setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")
        lowest = int(re.search(r"python_requires = >=3\.(\d+)", setup)[1])  # type: ignore[index]
        named = declared("Programming Language :: Python :: 3.")
        assert named == [str(lowest + step) for step in range(len(named))]
        assert [f"3.{minor}" for minor in named] == release_check.PYTHONS

    def test_every_change_is_tested_on_the_ends(self) -> None:
        run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
        tested = re.search(r"for version in (.+); do", run)[1].split()  # type: ignore[index]
        assert tested == [release_check.PYTHONS[0], release_check.PYTHONS[-1]]

    def test_a_python_that_is_not_there_is_not_passed_over(self) -> None:
        with pytest.raises(release_check.Failed, match=r"Python 3\.99"):
            release_check.python_of("3.99")

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="nothing is tested elsewhere")
    def test_the_system_and_the_interpreter_are_those_of_the_tests(self) -> None:
        assert declared("Operating System :: ") == ["POSIX :: Linux"]
        assert declared("Programming Language :: Python :: Implementation :: ") == ["CPython"]
        assert sys.implementation.name == "cpython"


def test_packages_come_from_where_pip_is_told_to_take_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.example.com/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://a.example.com https://b.example.com")
    settings = release_check.settings_of_uv()
    assert settings["UV_DEFAULT_INDEX"] == "https://packages.example.com/simple"
    assert "https://a.example.com https://b.example.com" in settings["UV_INDEX"]
