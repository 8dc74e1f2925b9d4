"""The pictures show what the command line and the demo show."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pyte
import pytest
import screens
from support.places import ROOT

PICTURE = ROOT / "docs" / "pictures" / "demo.svg"
TERMINAL = PICTURE.with_name("terminal.svg")


def shown(svg: str, *, still: bool) -> list[str]:
    """The texts of a picture: all of them, or those that it shows without animation."""
    texts = ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return [
        "".join(one.itertext()) for one in texts if not (still and "gone" in one.attrib["class"])
    ]


@pytest.mark.parametrize("picture", [PICTURE, TERMINAL], ids=lambda path: path.name)
def test_a_picture_is_small_and_loads_nothing(picture: Path) -> None:
    svg = picture.read_text(encoding="utf-8")
    assert len(svg) < 100_000
    assert re.findall(r"url\(|@import|href|<script|http(?!://www.w3.org/2000/svg)", svg) == []


def test_the_picture_shows_the_demo_as_it_is() -> None:
    texts = shown(PICTURE.read_text(encoding="utf-8"), still=True)
    assert texts[0] == "$ make demo"
    assert "   8.5  customer  have a good afternoon." in texts
    assert any(re.fullmatch(" +connection lost, resumed after .* nothing lost", t) for t in texts)
    demo = (ROOT / "examples" / "demo.py").read_text(encoding="utf-8")
    titles = [text.rstrip(" ─") for text in texts if "──" in text]
    assert len(titles) == 6
    assert [title for title in titles if f'heading("{title}"' not in demo] == []


def test_the_readmes_picture_shows_the_command_line_as_it_is() -> None:
    svg = TERMINAL.read_text(encoding="utf-8")
    texts = shown(svg, still=True)
    assert texts[0] == "$ speechmatics-sync transcribe --local talk.mp3 -o talk.srt"
    assert "can you tell me your account number." in texts
    assert any(re.fullmatch(r"[\d:,]+ --> [\d:,]+", text) for text in texts)
    assert "0:00/0:10" in svg  # a bar, while it runs


def test_a_line_of_the_screen_is_drawn_while_it_is_there_and_as_it_looks() -> None:
    screen = pyte.Screen(10, 2)
    stream = pyte.Stream(screen)

    def state(second: float, written: str) -> tuple[float, list[screens.Row]]:
        stream.feed(written)
        return second, screens.rows_of(screen)

    looks = "a\033[36mb\033[1;3mc\033[0;38;5;235md\033[0m\r\n<"
    texts = screens.texts_of([state(0, looks), state(2, "\r\033[K")])
    assert [(one.line, one.row.text, one.start, one.end) for one in texts] == [
        (1, "<", 0, 2),
        (0, "abcd", 0, None),
    ]
    assert [screens.markup(one.row) for one in texts] == [
        "&lt;",
        (
            'a<tspan fill="#7fdbca">b</tspan>'
            '<tspan fill="#7fdbca" font-weight="bold" font-style="italic">c</tspan>'
            '<tspan fill="#262626">d</tspan>'
        ),
    ]
    svg = screens.drawn(texts, 2.0, title="a title")
    assert shown(svg, still=False) == ["<", "abcd"]
    assert shown(svg, still=True) == ["abcd"]
    brief = [state(3.0, "\r\033[Kc"), state(3.1, "\r\033[Kd")]
    assert [one.row.text for one in screens.texts_of(brief) if one.line == 1] == ["d"]  # not c


def test_a_program_is_drawn_in_a_terminal_as_large_as_the_screen() -> None:
    screen = pyte.Screen(30, 3)
    size = "import os; print('\033[35m%d x %d' % os.get_terminal_size())"
    states = list(screens.shown_by(screen, sys.executable, "-S", "-c", size))
    row = states[-1][1][0]
    assert row == screens.Row("30 x 3", ((screens.Style("magenta", False, False), "30 x 3"),))


def test_more_lines_than_the_picture_has_scroll() -> None:
    rows = [screens.Row(f"line {line}", ()) for line in range(30)]
    lines = [screens.Text(line, row, float(line), None) for line, row in enumerate(rows)]
    svg = screens.drawn(lines, 30.0, title="a title")
    steps = re.findall(r"translateY\((-?\d+)px\)", svg)
    assert steps[0] == "0"
    assert steps[-1] == str(-(30 - screens.ROWS) * screens.LINE)
    # Without animation nothing scrolls: the first lines are what it shows.
    assert svg.index("prefers-reduced-motion") < svg.index("translateY")


def test_the_pictures_of_notebooks_are_small() -> None:
    pictures = sorted(PICTURE.parent.glob("notebook-*.png"))
    assert len(pictures) == 3
    assert all(picture.stat().st_size < 200_000 for picture in pictures)
