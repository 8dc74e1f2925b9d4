"""README.rst and docs/ are valid, all of their code is found, and every link leads somewhere."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from urllib.parse import urlsplit

import docutils.core
import docutils.nodes
import pytest
from support.pages import PAGES, README, pages
from support.places import ROOT

REFERENCE = sorted((ROOT / "docs" / "reference").glob("*.rst"))
INDEX = ROOT / "docs" / "index.rst"
OTHERS = sorted({*ROOT.glob("*.rst"), *ROOT.glob("*/*.rst")} - {*PAGES})
"""Pages whose code is not run: for those who work on the project, and of examples."""
QUICKLY = {"syntax_highlight": "none"}


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


@functools.cache
def parsed(page: Path) -> docutils.nodes.document:
    # What only Sphinx knows stands in the index and the reference, which ``make docs`` checks.
    level = 5 if page == INDEX or page in REFERENCE else 2
    return docutils.core.publish_doctree(
        page.read_text(encoding="utf-8"),
        settings_overrides={**QUICKLY, "report_level": level, "halt_level": level},
    )


def links(page: Path) -> list[str]:
    document = parsed(page)
    found = [node.get("refuri") for node in document.findall(docutils.nodes.reference)]
    found += [node["uri"] for node in document.findall(docutils.nodes.image)]
    return [link for link in found if link is not None]


@pytest.mark.parametrize("page", [*PAGES, *REFERENCE], ids=ids)
def test_a_page_is_valid_and_all_of_its_code_is_found(page: Path) -> None:
    code = [
        node.astext()
        for node in parsed(page).findall(docutils.nodes.literal_block)
        if {"python", "python3", "console"} & set(node["classes"])
        and not re.search("from (celery|distributed) import", node.astext())
    ]
    assert [region.parsed.strip("\n") for _, region in pages.parse(page).regions] == code


@pytest.mark.parametrize("page", [*PAGES, *REFERENCE, *OTHERS], ids=ids)
def test_links_to_files_lead_to_files_and_their_sections(page: Path) -> None:
    for link in links(page):
        if not urlsplit(link).scheme:
            file, _, section = link.partition("#")
            target = page.parent / file if file else page
            assert target.exists(), link
            assert not section or section in parsed(target.resolve()).ids, link


def test_links_to_other_sites_are_secure_and_spelled_in_one_way() -> None:
    pages = [*PAGES, *REFERENCE, *OTHERS]
    others = {link for page in pages for link in links(page) if ":" in link}
    assert len(others) > 3
    assert [link for link in others if urlsplit(link).scheme != "https"] == []
    spelled = {re.sub(r"^https://(www\.)?|/$", "", link).lower() for link in others}
    assert len(spelled) == len(others), sorted(others)


def test_the_first_screen_shows_what_it_is_and_answers_what_newcomers_ask() -> None:
    first = " ".join(README.read_text(encoding="utf-8").splitlines()[:45])
    commands = ("make demo", "make test", "transcribe --local talk.mp3", "--mic", "-o talk.srt")
    for shown in (*commands, "client.transcribe(", ".. image:: ", "portal.speechmatics.com"):
        assert shown in first, shown
    asked = ("official", "key", "without a key", "microphone", "Subtitles", "notebook")
    for question in (*asked, "web application"):
        assert re.search(rf"\*\*[^*]*{question}\?\*\*", first), question


def test_the_readme_leads_to_every_page() -> None:
    named = {page.name for page in PAGES if f"docs/{page.name}" in links(README)}
    assert {page.name for page in PAGES} - named == {README.name, INDEX.name}


@pytest.mark.parametrize(
    "name", ["Client", "MultiChannelClient", "JWTAuth", "transcribe", "local.LocalServer"]
)
def test_what_begins_a_program_shows_how_it_is_used(name: str) -> None:
    import speechmatics_sync.local

    public = functools.reduce(getattr, name.split("."), speechmatics_sync)
    assert ">>>" in (public.__doc__ or "")
