"""What a browser makes of a transcript, its search and its player."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.places import ROOT
from support.transcripts import final, result, transcript

from speechmatics_sync import Transcript

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
CALL = ROOT / "examples" / "audio" / "call.wav"
INSERTED = "<img src=x onerror='window.ran=1'><script>window.ran=1</script>"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page()
    errors: list[Any] = []
    page.on("pageerror", lambda error: errors.append(error))
    yield page
    assert page.evaluate("window.ran") is None
    page.close()
    assert errors == []


def said(count: int = 200) -> Transcript:
    """Turns of two speakers; the last one says what none else does."""
    finals = []
    for turn in range(count):
        texts = ["hello", INSERTED, f"number{turn}", *["and"] * 10]
        results = [
            result(text, turn + at / 20, turn + at / 20 + 0.04, speaker=f"S{1 + turn % 2}")
            for at, text in enumerate(texts)
        ]
        finals.append(final(*results))
    return transcript(*finals)


def html_of(shown: Any) -> str:
    """What a notebook asks for."""
    from IPython.core.formatters import HTMLFormatter

    html: str = HTMLFormatter()(shown)
    return html


def show(page: Any, tmp_path: Path, html: str) -> None:
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><body>{html}{html}", encoding="utf-8")
    page.goto(path.as_uri())


def test_the_search_shows_the_turns_that_have_the_words(page: Any, tmp_path: Path) -> None:
    show(page, tmp_path, html_of(said()))
    assert page.locator("input[type=search]").count() == 2  # an output may be shown twice
    field = page.locator("input[type=search]").first
    output = page.locator("body > div").first
    turns = output.locator(".speechmatics-turn")
    assert turns.count() == 200
    last = output.get_by_text("number199")
    assert not last.is_visible()
    field.fill("NUMBER199 and")
    assert last.is_visible()
    assert output.locator(".speechmatics-turn:visible").count() == 1
    assert "1 found" in output.inner_text()
    field.fill("")
    assert not last.is_visible()
    assert output.locator(".speechmatics-turn:visible").count() > 5
    field.fill("nobody said this")
    assert output.locator(".speechmatics-turn:visible").count() == 0


def test_without_scripts_everything_can_be_read(browser: Any, tmp_path: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    show(page, tmp_path, html_of(said(3)))
    text = page.inner_text("body")
    assert "S1 0:00" in text
    assert "number2" in text
    assert INSERTED in text
    assert page.locator("input").count() == 0
    context.close()


def test_the_player_marks_the_spoken_word_and_jumps_to_the_clicked_one(
    page: Any, tmp_path: Path
) -> None:
    words = [result(f"w{at}", at, at + 0.9) for at in range(9)]
    show(page, tmp_path, transcript(final(*words)).player(CALL).html)
    output = page.locator("body > div").first
    now = "document.querySelector('audio').currentTime"
    output.get_by_text("w5", exact=True).click()
    page.wait_for_function(f"{now} > 5.1")
    marked = "[...document.querySelectorAll('[data-from]')].filter(e => e.style.background)"
    assert page.evaluate(f"{marked}.map(e => e.textContent)")[0] in ("w5", "w6", "w7")
    page.evaluate("document.querySelector('audio').pause()")
    page.evaluate(f"{now} = 2.5")
    page.wait_for_function(f"{marked}.map(e => e.textContent).join() === 'w2'")
    assert page.evaluate("document.querySelectorAll('audio')[1].currentTime") == 0


def test_text_can_be_read_in_light_and_dark(browser: Any, tmp_path: Path) -> None:
    """It has the colour of the page, and what is behind it does not come near that."""
    html = html_of(said(2))
    for scheme, colours in (("light", ("white", "black")), ("dark", ("#111", "#ddd"))):
        page = browser.new_page(color_scheme=scheme)
        background, colour = colours
        body = f"<div style='background:{background};color:{colour}'>{html}</div>"
        show(page, tmp_path, body)
        turn = page.locator(".speechmatics-turn div[dir]").first
        shown = turn.evaluate("element => getComputedStyle(element).color")
        assert shown == page.locator("body > div").first.evaluate(
            "element => getComputedStyle(element).color"
        )
        page.close()
