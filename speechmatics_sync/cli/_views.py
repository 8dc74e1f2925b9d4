"""What is shown while sessions run: the plain lines of a pipe, or nothing.

The live view of a terminal is in `_terminal`, which needs rich.
"""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Sequence
from typing import Any, Callable, Optional, TextIO

from speechmatics_sync import Line, Transcript

from ._exits import complain, one_line

__all__ = ["PlainView", "Progress", "View", "rendered", "who_says", "written"]


class Progress:
    """How far an input is. Written by the thread of its session, read by the one that shows it.

    Attributes:
        name: What the input is called.
        done: Seconds of audio that were transcribed.
        total: Seconds in all, or None if nobody knows.
        level: Returns how loud the microphone is, from 0 to 1; None without one.
        running: Whether it has begun and is not over.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.done = 0.0
        self.total: Optional[float] = None
        self.level: Optional[Callable[[], float]] = None
        self.running = False
        self._begun: Optional[float] = None

    @property
    def speed(self) -> float:
        """Seconds of audio in a second."""
        spent = time.monotonic() - self._begun if self._begun is not None else 0.0
        return self.done / spent if spent else 0.0

    def begin(self) -> None:
        """Start to count the time: the session has started."""
        self._begun = time.monotonic()

    def update(self, done: float, total: Optional[float]) -> None:
        """Say how far it is, in seconds of audio."""
        self.done = done
        if total is not None:
            self.total = total


class View:
    """Shows nothing but notes. Only the main thread calls it, `later` excepted.

    Its methods raise the OSError of a stream that cannot be written to.

    Attributes:
        live: Whether it shows what may still change.
        shows_text: Whether what is heard can be read in it.
    """

    live = False
    shows_text = False

    def __init__(self) -> None:
        self._notes: queue.SimpleQueue[str] = queue.SimpleQueue()

    def line(self, number: int, line: Line) -> None:
        """Show a line of an input, which may not be final."""

    def ended(self, number: int, transcript: Optional[Transcript]) -> None:
        """Note that an input is over; without a transcript it failed."""

    def tick(self, running: Sequence[Progress]) -> None:
        """Show how far the inputs are that are being transcribed."""

    def note(self, text: str) -> None:
        """Show a sentence to the user."""
        complain(text)

    def later(self, text: str) -> None:
        """Have `show_notes` show a sentence. Any thread may call it, and a logging handler."""
        self._notes.put(text)

    def show_notes(self) -> None:
        """Show the sentences that wait."""
        while not self._notes.empty():
            self.note(self._notes.get())

    def close(self) -> None:
        """Leave the screen as it should be."""


class PlainView(View):
    """Writes the result to a stream: each final line as it comes, and nothing else.

    Those of several inputs come one input after the other, in the inputs' order. Formats that are
    not made of lines are written when an input is over.

    Args:
        stream: Where to write.
        format: ``txt``, ``json``, ``jsonl``, ``srt`` or ``vtt``.
    """

    def __init__(self, stream: TextIO, format: str) -> None:
        super().__init__()
        self.shows_text = format == "txt"
        self._stream = stream
        self._format = format
        self._waiting: dict[int, list[str]] = {}
        self._over: set[int] = set()
        self._turn = 0

    def line(self, number: int, line: Line) -> None:
        if line.is_final and line.text.strip() and self._format in ("txt", "jsonl"):
            self._write(number, written(line, self._format))

    def ended(self, number: int, transcript: Optional[Transcript]) -> None:
        if transcript is not None and self._format not in ("txt", "jsonl"):
            self._write(number, rendered(transcript, self._format).rstrip("\n"))
        self._over.add(number)
        while self._turn in self._over:
            self._turn += 1
            for text in self._waiting.pop(self._turn, []):
                self._write_now(text)

    def _write(self, number: int, text: str) -> None:
        if number == self._turn:
            self._write_now(text)
        else:
            self._waiting.setdefault(number, []).append(text)

    def _write_now(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


def rendered(transcript: Transcript, format: str) -> str:
    """Return a transcript in a format."""
    made: Any = getattr(transcript, f"to_{format}")
    return str(made())


def written(line: Line, format: str) -> str:
    """Return a final line as text after who says it, or as `Transcript.to_jsonl` writes it."""
    if format == "jsonl":
        keys = ("speaker", "channel", "start_time", "end_time", "text")
        return json.dumps({key: getattr(line, key) for key in keys}, ensure_ascii=False)
    who = who_says(line)
    return one_line(f"{who}: {line.text.strip()}" if who else line.text.strip())


def who_says(line: Line) -> str:
    """Return the channel and the speaker of a line; "" if there is neither."""
    return " ".join(filter(None, [line.channel, line.speaker]))
