"""Draw the command line at work, as a terminal shows it, into terminal.svg: ``make pictures``."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, Optional
from xml.sax.saxutils import escape

import draw_demo
import pyte

PICTURE = Path(__file__).with_name("terminal.svg")
SAMPLE = draw_demo.ROOT / "examples" / "audio" / "demo.wav"
COMMANDS = (
    "speechmatics-sync transcribe --local talk.mp3 -o talk.srt",
    "cat talk.srt",
)
COLOURS = {"cyan": "#7fdbca", "green": "#addb67", "magenta": "#c792ea", "brown": "#ffcb6b"}
DIM = "#8796b0"
PAUSE = 1.5  # seconds between two commands
SHORTEST = 0.15  # seconds; what is shown for less is not drawn


class Row(NamedTuple):
    """A line of the screen: its text, and what stands in another colour than the rest."""

    text: str
    spans: tuple[tuple[str, str], ...]


def row_of(screen: Any, number: int) -> Row:
    """Return a line of the screen."""
    cells = [screen.buffer[number][column] for column in range(screen.columns)]
    text = "".join(cell.data for cell in cells).rstrip()
    spans: list[list[str]] = []
    for cell in cells[: len(text)]:
        if not spans or spans[-1][0] != cell.fg:
            spans.append([cell.fg, ""])
        spans[-1][1] += cell.data
    return Row(text, tuple((colour, part) for colour, part in spans))


def texts_of(states: Iterable[tuple[float, list[Row]]]) -> dict[draw_demo.Text, Row]:
    """Return what stood where and when, of screens and the seconds in which they were there."""
    texts: dict[draw_demo.Text, Row] = {}
    since: list[tuple[Row, float]] = []
    nothing = Row("", ())
    for now, rows in states:
        for number, row in enumerate(rows):
            if number == len(since):
                since.append((nothing, now))
            before, start = since[number]
            if row != before:
                if before.text and now - start >= SHORTEST:
                    texts[draw_demo.Text(number, before.text, start, now)] = before
                # What was there too briefly is followed by the next one without a gap.
                brief = before.text and now - start < SHORTEST
                since[number] = (row, start if brief else now)
    for number, (row, start) in enumerate(since):
        if row.text:
            texts[draw_demo.Text(number, row.text, start, None)] = row
    return texts


def markup(row: Row) -> str:
    """Return a line as SVG."""
    parts = []
    for colour, text in row.spans:
        fill = COLOURS.get(colour) or (DIM if colour == "dim" else None)
        parts.append(f'<tspan fill="{fill}">{escape(text)}</tspan>' if fill else escape(text))
    return "".join(parts)


def encoded(sample: Path, path: Path) -> None:
    """Write a sample as an MP3 file."""
    import av

    with av.open(str(sample)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("mp3", rate=16000)
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


def states_of(folder: Path, commands: Iterable[str]) -> list[tuple[float, list[Row]]]:
    """Run commands, each as typed in a terminal; return what it showed and when."""
    screen = pyte.Screen(draw_demo.COLUMNS, draw_demo.ROWS)
    stream = pyte.Stream(screen)
    states = []
    begun = 0.0
    now: Optional[float] = 0.0
    for command in commands:
        stream.feed(f"$ {command}\r\n")
        states.append((begun, [row_of(screen, number) for number in range(draw_demo.ROWS)]))
        words = command.split()
        if words[0] == "speechmatics-sync":
            words = [sys.executable, "-m", "speechmatics_sync", *words[1:]]
        for now, written in draw_demo.output_of(*words, cwd=folder):
            stream.feed(written)
            rows = [row_of(screen, number) for number in range(draw_demo.ROWS)]
            states.append((begun + now, rows))
        begun += (now or 0.0) + PAUSE
    return states


def main() -> None:
    """Draw the picture."""
    with tempfile.TemporaryDirectory() as folder:
        encoded(SAMPLE, Path(folder, "talk.mp3"))
        states = states_of(Path(folder), COMMANDS)
    texts = texts_of(states)
    ended = states[-1][0]
    svg = draw_demo.drawn(
        list(texts), ended, title=COMMANDS[0], markup=lambda one: markup(texts[one])
    )
    PICTURE.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    if shutil.which("cat") is None:
        sys.exit("needs cat: no picture is drawn.")
    main()
