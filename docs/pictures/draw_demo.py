"""Draw what `make demo` shows in a terminal, as it comes, into demo.svg: ``make pictures``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pyte
import screens

PICTURE = Path(__file__).with_name("demo.svg")
PYTHON = ".venv/bin/python"  # what it is called where make demo was typed
LINES = 60  # more than it shows: the picture scrolls, not the terminal


def main() -> None:
    """Draw the picture."""
    screen = pyte.Screen(screens.COLUMNS, LINES)
    pyte.Stream(screen).feed("$ make demo\r\n")
    states = [(0.0, screens.rows_of(screen))]
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder, PYTHON)
        python.parent.parent.symlink_to(sys.prefix)
        demo = screens.ROOT / "examples" / "demo.py"
        states += screens.shown_by(screen, str(python), str(demo), cwd=Path(folder))
    picture = screens.drawn(screens.texts_of(states), states[-1][0], title="make demo")
    PICTURE.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
