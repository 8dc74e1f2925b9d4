"""A terminal that an example runs in."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Union

from support.examples import EXAMPLES, PATIENCE
from support.places import ROOT

__all__ = ["Terminal", "in_terminal"]

_SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|([\r\n])")


class Terminal:
    """What an example shows, and how to interrupt it.

    Attributes:
        sent: Everything that the example sent so far.
    """

    def __init__(self, descriptor: int, example: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self._example = example
        self._received = b""

    @property
    def sent(self) -> str:
        return self._received.decode("utf-8", errors="ignore")

    def read_until(self, awaited: str) -> None:
        """Read until the example has shown a text."""
        while awaited not in self.sent:
            assert self._read(), f"it ended before it showed {awaited!r}: {self.sent}"

    def interrupt(self) -> None:
        """Send what Ctrl-C sends."""
        os.killpg(self._example.pid, signal.SIGINT)

    def read_to_end(self) -> int:
        """Read until the example has ended; return its status."""
        while self._read():
            pass
        return self._example.wait(PATIENCE)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], PATIENCE)
        assert ready, f"it shows nothing more: {self.sent}"
        with contextlib.suppress(OSError):  # how Linux says that the terminal is gone
            received = os.read(self._descriptor, 4096)
            self._received += received
            return bool(received)
        return False

    def lines(self) -> list[str]:
        """Return what stands in the terminal, with what has scrolled up, line by line.

        It knows the few sequences that move the cursor by lines and erase, and drops colours.
        """
        lines, row, column = [""], 0, 0
        text = self.sent
        position = 0
        for found in [*_SEQUENCE.finditer(text), None]:
            plain = text[position : found.start() if found else len(text)]
            lines[row] = (
                lines[row][:column].ljust(column) + plain + lines[row][column + len(plain) :]
            )
            column += len(plain)
            if found is None:
                break
            position = found.end()
            count, command = int(found[1]) if (found[1] or "").isdigit() else 0, found[2]
            if found[3] == "\r":
                column = 0
            elif found[3] == "\n":
                row += 1
                lines += [""] * (row == len(lines))
            elif command == "A":
                row -= max(1, count)
                assert row >= 0
            elif command == "K":
                lines[row] = "" if count == 2 else lines[row][:column]
            else:
                assert command in "mhl", found[0]
        return [line.rstrip() for line in lines]


@contextlib.contextmanager
def in_terminal(
    script: str, *arguments: Union[str, Path], environment: dict[str, str], columns: int = 80
) -> Iterator[Terminal]:
    """Run an example in a terminal of its own; what is left of it is killed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    try:
        with subprocess.Popen(
            [sys.executable, EXAMPLES / script, *arguments],
            env={**environment, "TERM": "xterm", "COLUMNS": str(columns)},
            cwd=ROOT,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        ) as example:
            os.close(theirs)
            try:
                yield Terminal(ours, example)
            finally:
                example.kill()
    finally:
        os.close(ours)
