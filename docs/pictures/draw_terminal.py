"""Draw the command line at work, as a terminal shows it, into terminal.svg: ``make pictures``."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pyte
import screens

PICTURE = Path(__file__).with_name("terminal.svg")
SAMPLE = screens.ROOT / "examples" / "audio" / "demo.wav"
COMMANDS = (
    "speechmatics-sync transcribe --local talk.mp3 -o talk.srt",
    "cat talk.srt",
)
PAUSE = 1.5  # seconds between two commands


def encoded(sample: Path, path: Path) -> None:
    """Write a sample as an MP3 file."""
    import av

    with av.open(str(sample)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("mp3", rate=16000)
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


def states_of(folder: Path, commands: Iterable[str]) -> list[tuple[float, list[screens.Row]]]:
    """Run commands, each as typed in a terminal; return what it showed and when."""
    screen = pyte.Screen(screens.COLUMNS, screens.ROWS)
    states = []
    begun = 0.0
    for command in commands:
        pyte.Stream(screen).feed(f"$ {command}\r\n")
        states.append((begun, screens.rows_of(screen)))
        words = command.split()
        if words[0] == "speechmatics-sync":
            words = [sys.executable, "-m", "speechmatics_sync", *words[1:]]
        shown = screens.shown_by(screen, *words, cwd=folder)
        states += [(begun + now, rows) for now, rows in shown]
        begun = states[-1][0] + PAUSE
    return states


def main() -> None:
    """Draw the picture."""
    with tempfile.TemporaryDirectory() as folder:
        encoded(SAMPLE, Path(folder, "talk.mp3"))
        states = states_of(Path(folder), COMMANDS)
    texts = screens.texts_of(states)
    svg = screens.drawn(texts, states[-1][0], title=COMMANDS[0])
    PICTURE.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    if shutil.which("cat") is None:
        sys.exit("needs cat: no picture is drawn.")
    main()
