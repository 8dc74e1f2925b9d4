"""A terminal that shows what a person would see."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Sequence
from typing import Any, Callable

import pyte

from support.programs import Program

__all__ = ["PATIENCE", "Terminal"]

PATIENCE = 100.0
"""Seconds after which a program is given up: a guard against hanging, nothing more."""


class Terminal:
    """A Python program in a pseudo-terminal; what is left of it at the end is killed.

    Args:
        words: The interpreter's arguments.
        cwd: The program's folder.
        environment: The program's, and the kind of the terminal unless that is in it.
        stdin: ``subprocess.PIPE`` for a standard input that is not the terminal.

    Attributes:
        screen: What is shown now.
        seen: What was shown after each write of the program: the lines of the screen.
        raw: All that was written.
    """

    def __init__(
        self,
        words: Sequence[Any],
        *,
        cwd: Any,
        environment: dict[str, str],
        columns: int = 80,
        rows: int = 24,
        stdin: Any = None,
    ) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=1000)
        self._stream = pyte.Stream(self.screen)
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self.seen: list[list[str]] = []
        self.raw = ""
        self._ours, its = pty.openpty()
        self._resize(columns, rows)
        self.process = Program(
            [sys.executable, *words],
            cwd=cwd,
            env={"TERM": "xterm-256color", **environment},
            stdin=its if stdin is None else stdin,
            stdout=its,
            stderr=its,
            start_new_session=True,
        )
        os.close(its)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        os.close(self._ours)

    def give(self, audio: bytes) -> None:
        """Write to standard input, if it is a pipe."""
        assert self.process.stdin is not None
        self.process.stdin.write(audio)
        self.process.stdin.flush()

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Make the window another size, as a person does."""
        self.screen.resize(rows, columns)
        self._resize(columns, rows)
        os.killpg(self.process.pid, signal.SIGWINCH)

    def _resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def lines(self) -> list[str]:
        """What the screen shows, without the empty lines at its end."""
        shown = [line.rstrip() for line in self.screen.display]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    @property
    def everything(self) -> list[str]:
        """What has scrolled away, and what the screen shows."""
        above = [
            "".join(line[column].data for column in range(self.screen.columns)).rstrip()
            for line in self.screen.history.top
        ]
        return [*above, *self.lines]

    def until(self, met: Callable[[list[str]], Any]) -> list[str]:
        """Read until the screen shows what is wanted; return its lines."""
        deadline = time.monotonic() + PATIENCE
        while not met(self.lines):
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"never shown; last: {self.lines}\n{self.raw!r}")
        return self.lines

    def until_over(self) -> int:
        """Read to the end; return the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline - time.monotonic()):
            pass
        return self.process.wait(timeout=PATIENCE)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(0.0, seconds))
        if not ready:
            return False
        try:
            written = os.read(self._ours, 65536)
        except OSError:  # Linux says so that the command has ended
            return False
        text = self._decode(written)
        self.raw += text
        self._stream.feed(text)
        self.seen.append(self.lines)
        return bool(written)
