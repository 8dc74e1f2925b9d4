"""The pictures show what the command line and the demo show."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import draw_demo
import draw_terminal
import pyte
import pytest
from support.places import ROOT

PICTURE = ROOT / "docs" / "pictures" / "demo.svg"
TERMINAL = PICTURE.with_name("terminal.svg")


def shown(svg: str, *, still: bool) -> list[str]:
    """The texts of a picture: all of them, or those that it shows without animation."""
    texts = ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return [one.text or "" for one in texts if not (still and "gone" in one.attrib["class"])]


@pytest.mark.parametrize("picture", [PICTURE, TERMINAL], ids=lambda path: path.name)
def test_a_picture_is_small_and_loads_nothing(picture: Path) -> None:
    svg = picture.read_text(encoding="utf-8")
    assert len(svg) < 100_000
    assert re.findall(r"url\(|@import|href|<script|http(?!://www.w3.org/2000/svg)", svg) == []


def test_the_picture_shows_the_demo_as_it_is() -> None:
    texts = shown(PICTURE.read_text(encoding="utf-8"), still=True)
    assert texts[0] == "$ make demo"
    assert "  customer: have a good afternoon." in texts
    demo = (ROOT / "examples" / "demo.py").read_text(encoding="utf-8")
    own = [text for text in texts if text[0] != " " and not re.search(r"make|\.wav", text)]
    assert own
    assert [text for text in own if text not in demo] == []


def test_the_readmes_picture_shows_the_command_line_as_it_is() -> None:
    svg = TERMINAL.read_text(encoding="utf-8")
    texts = shown(svg, still=True)
    assert texts[0] == "$ speechmatics-sync transcribe --local talk.mp3 -o talk.srt"
    assert "can you tell me your account number." in texts
    assert any(re.fullmatch(r"[\d:,]+ --> [\d:,]+", text) for text in texts)
    assert "0:00/0:10" in svg  # a bar, while it runs


def test_a_line_of_the_screen_is_drawn_while_it_is_there_and_in_its_colours() -> None:
    screen = pyte.Screen(10, 2)
    stream = pyte.Stream(screen)

    def state(second: float, written: str) -> tuple[float, list[draw_terminal.Row]]:
        stream.feed(written)
        return second, [draw_terminal.row_of(screen, row) for row in range(2)]

    texts = draw_terminal.texts_of([state(0, "a\033[36mb\033[0m\r\n<"), state(2, "\r\033[K")])
    assert [tuple(one) for one in texts] == [(1, "<", 0, 2), (0, "ab", 0, None)]
    assert [draw_terminal.markup(row) for row in texts.values()] == [
        "&lt;",
        'a<tspan fill="#7fdbca">b</tspan>',
    ]
    brief = [state(3.0, "\r\033[Kc"), state(3.1, "\r\033[Kd")]
    texts = draw_terminal.texts_of(brief)
    assert [one.text for one in texts if one.line == 1] == ["d"]  # c was there too briefly


def test_a_line_that_is_rewritten_is_shown_in_its_last_state_and_before_in_each() -> None:
    erased = "\r\033[K"
    written = [
        "one\r\n\r\n" + erased + "  a",
        erased[:2],
        erased[2:] + "  a <b",
        erased + "  a <b>.\r",
    ]
    output = ((float(second), text) for second, text in enumerate([*written, "\nlast\r\n"], 1))
    texts, ended = draw_demo.texts_of(output)
    assert [tuple(one) for one in texts] == [
        (0, "$ make demo", 0.0, None),
        (1, "one", 1.0, None),
        (3, "  a", 1.0, 3.0),
        (3, "  a <b", 3.0, 4.0),
        (3, "  a <b>.", 4.0, None),
        (4, "last", 5.0, None),
    ]
    svg = draw_demo.drawn(texts, ended)
    assert shown(svg, still=False) == [one.text for one in texts]
    assert shown(svg, still=True) == ["$ make demo", "one", "  a <b>.", "last"]


def test_more_lines_than_the_terminal_has_scroll() -> None:
    lines = [draw_demo.Text(line, f"line {line}", float(line), None) for line in range(30)]
    svg = draw_demo.drawn(lines, 30.0)
    beyond = (30 - draw_demo.ROWS) * draw_demo.LINE
    assert f".scrolled {{ transform: translateY(-{beyond}px) }}" in svg


def test_the_pictures_of_notebooks_are_small() -> None:
    pictures = sorted(PICTURE.parent.glob("notebook-*.png"))
    assert len(pictures) == 3
    assert all(picture.stat().st_size < 200_000 for picture in pictures)
