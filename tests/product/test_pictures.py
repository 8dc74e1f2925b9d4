"""The README's picture shows what the demo shows, and is drawn with what the demo needs."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import draw_demo
from support.places import ROOT

PICTURE = ROOT / "docs" / "pictures" / "demo.svg"


def shown(svg: str, *, still: bool) -> list[str]:
    """The texts of a picture: all of them, or those that it shows without animation."""
    texts = ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return [one.text or "" for one in texts if not (still and "gone" in one.attrib["class"])]


def test_the_picture_is_small_and_loads_nothing() -> None:
    svg = PICTURE.read_text(encoding="utf-8")
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
