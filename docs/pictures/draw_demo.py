"""Draw what `make demo` shows in a terminal, as it comes, into demo.svg: ``make pictures``."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Callable, NamedTuple, Optional
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent.parent
PICTURE = Path(__file__).with_name("demo.svg")
COLUMNS, ROWS = 86, 20
CHARACTER, LINE, MARGIN = 8.4, 19, 16  # pixels
HOLD = 8.0  # seconds for which the last screen stays before the picture begins again

FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">
<title>{title}</title>
<style>
text {{ font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  fill: #d6deeb; white-space: pre }}
.gone {{ visibility: hidden }}
.scrolled {{ transform: translateY(-{scrolled}px) }}
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


class Text(NamedTuple):
    """What stands on a line of the output from one second to another."""

    line: int
    text: str
    start: float
    end: Optional[float]


def output_of(*command: str, cwd: Path = ROOT) -> Iterator[tuple[float, str]]:
    """Run a command in a terminal; give what it writes, with the seconds since it began to."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
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


def texts_of(output: Iterator[tuple[float, str]]) -> tuple[list[Text], float]:
    """Return what stood where and when, and the second in which the output ended.

    Of a terminal's codes it knows those that the demo uses: a new line, and erasing one.
    """
    texts = [Text(0, "$ make demo", 0.0, None)]
    line, raw, shown, since, now = 1, "", "", 0.0, 0.0
    for now, written in output:
        *ended, raw = (raw + written).split("\n")
        if shown and visible(ended[0] if ended else raw) != shown:
            texts.append(Text(line, shown, since, now))
            shown = ""
        for text in ended:
            texts.append(Text(line, visible(text), since if shown else now, None))
            line, shown = line + 1, ""
        if visible(raw) != shown:
            shown, since = visible(raw), now
    if shown:
        texts.append(Text(line, shown, since, None))
    return [one for one in texts if one.text.strip()], now


def visible(raw: str) -> str:
    """Return what a line shows: what was written since it was last erased.

    What was read may end within a code.
    """
    return re.sub(r"\r(\033\[?)?$", "", raw).rpartition("\r\033[K")[2]


def plain(one: Text) -> str:
    """Return a text as SVG, in one colour."""
    return escape(one.text)


def drawn(
    texts: Sequence[Text],
    ended: float,
    *,
    title: str = "make demo",
    markup: Callable[[Text], str] = plain,
) -> str:
    """Return an SVG that shows each text in its time; without animation, the last screen."""
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
            f'textLength="{len(one.text) * CHARACTER:.1f}">{markup(one)}</text>'
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
        scrolled=LINE * scrolled,
        rules="\n".join(rules),
        texts="\n".join(elements),
    )


if __name__ == "__main__":
    demo = output_of(os.path.relpath(sys.executable, ROOT), "examples/demo.py")
    PICTURE.write_text(drawn(*texts_of(demo)), encoding="utf-8")
