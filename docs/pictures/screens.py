"""What a program shows in a terminal, as it comes, drawn as an SVG that is animated."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional
from xml.sax.saxutils import escape

import pyte

ROOT = Path(__file__).resolve().parent.parent.parent
COLUMNS, ROWS = 86, 20
CHARACTER, LINE, MARGIN = 8.4, 19, 16  # pixels
HOLD = 8.0  # seconds for which the last screen stays before the picture begins again
SHORTEST = 0.15  # seconds; what is shown for less is not drawn
COLOURS = {
    "cyan": "#7fdbca",
    "green": "#addb67",
    "magenta": "#c792ea",
    "brown": "#ffcb6b",  # so pyte calls yellow
    "red": "#ff6b6b",
    "brightblack": "#8796b0",
}

FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">
<title>{title}</title>
<style>
text {{ font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  fill: #d6deeb; white-space: pre }}
.gone {{ visibility: hidden }}
@media (prefers-reduced-motion: no-preference) {{
{rules}
}}
</style>
<rect x="0.5" y="0.5" width="{frame_width}" height="{frame_height}" rx="8" fill="#1b2330"
  stroke="#5c6a80"/>
<svg x="{margin}" y="{margin}" width="{inner_width}" height="{inner_height}">
<g class="scrolled">
{texts}
</g>
</svg>
</svg>
"""


class Style(NamedTuple):
    """How some characters look."""

    colour: str
    bold: bool
    italic: bool


class Row(NamedTuple):
    """A line of the screen: its text, and its parts with their looks."""

    text: str
    spans: tuple[tuple[Style, str], ...]


class Text(NamedTuple):
    """What stands on a line of the screen from one second to another."""

    line: int
    row: Row
    start: float
    end: Optional[float]


def shown_by(
    screen: pyte.Screen, *command: str, cwd: Path = ROOT
) -> Iterator[tuple[float, list[Row]]]:
    """Run a command in a terminal; give what its screen shows, with the seconds since it began."""
    stream = pyte.Stream(screen)
    for now, written in _output_of(command, cwd, screen):
        stream.feed(written)
        yield now, rows_of(screen)


def _output_of(
    command: Sequence[str], cwd: Path, screen: pyte.Screen
) -> Iterator[tuple[float, str]]:
    ours, its = pty.openpty()
    size = struct.pack("HHHH", screen.lines, screen.columns, 0, 0)
    fcntl.ioctl(its, termios.TIOCSWINSZ, size)
    decode = codecs.getincrementaldecoder("utf-8")().decode
    with subprocess.Popen(command, cwd=cwd, stdin=its, stdout=its, stderr=its) as process:
        os.close(its)
        begun = None
        while True:
            try:
                written = os.read(ours, 65536)
            except OSError:  # Linux says so that the terminal's other side was closed
                break
            if not written:
                break
            begun = begun or time.monotonic()
            yield time.monotonic() - begun + 1, decode(written)
    os.close(ours)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}: no picture is drawn.")


def rows_of(screen: pyte.Screen) -> list[Row]:
    """Return the lines of a screen."""
    return [_row(screen.buffer[number], screen.columns) for number in range(screen.lines)]


def _row(cells: Any, columns: int) -> Row:
    text = "".join(cells[column].data for column in range(columns)).rstrip()
    spans: list[tuple[Style, str]] = []
    for column in range(len(text)):
        cell = cells[column]
        style = Style(cell.fg, cell.bold, cell.italics)
        if spans and spans[-1][0] == style:
            spans[-1] = (style, spans[-1][1] + cell.data)
        else:
            spans.append((style, cell.data))
    return Row(text, tuple(spans))


def texts_of(states: Iterable[tuple[float, list[Row]]]) -> list[Text]:
    """Return what stood where and when, of screens and the seconds in which they were there."""
    texts: list[Text] = []
    since: list[tuple[Row, float]] = []
    nothing = Row("", ())
    for now, rows in states:
        for number, row in enumerate(rows):
            if number == len(since):
                since.append((nothing, now))
            before, start = since[number]
            if row != before:
                if before.text and now - start >= SHORTEST:
                    texts.append(Text(number, before, start, now))
                # What was there too briefly is followed by the next one without a gap.
                brief = before.text and now - start < SHORTEST
                since[number] = (row, start if brief else now)
    for number, (row, start) in enumerate(since):
        if row.text:
            texts.append(Text(number, row, start, None))
    return texts


def markup(row: Row) -> str:
    """Return a line as SVG."""
    return "".join(_span(style, text) for style, text in row.spans)


def _span(style: Style, text: str) -> str:
    # One of the 256 colours is named by its six hexadecimal digits.
    is_number = len(style.colour) == 6 and set(style.colour) <= set("0123456789abcdef")
    fill = f"#{style.colour}" if is_number else COLOURS.get(style.colour)
    attributes = (f' fill="{fill}"' if fill else "") + (' font-weight="bold"' if style.bold else "")
    attributes += ' font-style="italic"' if style.italic else ""
    return f"<tspan{attributes}>{escape(text)}</tspan>" if attributes else escape(text)


def drawn(texts: Sequence[Text], ended: float, *, title: str) -> str:
    """Return an SVG that shows each text in its time; without animation, the first screen
    as it is in the end."""
    seconds = ended + HOLD

    def at(second: float) -> str:
        return f"{100 * second / seconds:.2f}%"

    def animation(name: str, frames: str) -> str:
        return (
            f".{name} {{ animation: {name} {seconds:.1f}s step-end infinite }}\n"
            f"@keyframes {name} {{ {frames} }}"
        )

    rules, elements = [], []
    for number, one in enumerate(texts):
        hidden = f"{at(one.end)} {{ visibility: hidden }}" if one.end is not None else ""
        shown = f"{at(one.start)} {{ visibility: visible }}"
        before = "0% { visibility: hidden } " if one.start else ""
        rules.append(animation(f"t{number}", f"{before}{shown} {hidden}"))
        elements.append(
            f'<text class="{"gone " if hidden else ""}t{number}" y="{one.line * LINE + 14}" '
            f'textLength="{len(one.row.text) * CHARACTER:.1f}">{markup(one.row)}</text>'
        )
    scrolled, steps = 0, []
    for one in sorted(texts, key=lambda one: one.start):
        if not steps or one.line >= ROWS + scrolled:
            scrolled = max(0, one.line + 1 - ROWS)
            steps.append(f"{at(one.start)} {{ transform: translateY({-scrolled * LINE}px) }}")
    rules.append(animation("scrolled", " ".join(steps)))
    inner_width, inner_height = round(COLUMNS * CHARACTER), ROWS * LINE
    width, height = inner_width + 2 * MARGIN, inner_height + 2 * MARGIN
    return FRAME.format(
        title=title,
        width=width,
        height=height,
        frame_width=width - 1,
        frame_height=height - 1,
        inner_width=inner_width,
        inner_height=inner_height,
        margin=MARGIN,
        rules="\n".join(rules),
        texts="\n".join(elements),
    )
