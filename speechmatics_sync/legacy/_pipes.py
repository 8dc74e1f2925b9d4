"""Reads pipes and terminals, such as standard input, without waiting inside their buffer."""

from __future__ import annotations

import io
import os
import select
import stat
from typing import Any, Callable

__all__ = ["outside_its_buffer"]


def outside_its_buffer(stream: Any, over: Callable[[], bool]) -> Any:
    """Return a stream that reads the same; of a buffered pipe or terminal, one that waits outside.

    A thread that waits in ``read`` holds the lock of the file's buffer. The interpreter needs that
    lock at exit, which a Ctrl-C may begin at any time, and aborts without it.

    Args:
        stream: What to read.
        over: Whether nothing is to be read any more: what comes is left to whoever reads next.
    """
    if type(stream) is not io.BufferedReader or not hasattr(select, "poll"):
        return stream
    try:
        number = stream.fileno()
        waits = os.get_blocking(number) and not stat.S_ISREG(os.fstat(number).st_mode)
    except (OSError, ValueError):  # closed, or not a file of the system: reading says so
        return stream
    return _Pipe(stream, over) if waits else stream


class _Pipe:
    def __init__(self, file: io.BufferedReader, over: Callable[[], bool]) -> None:
        self._file = file
        self._over = over
        self._poll = select.poll()
        self._poll.register(file, select.POLLIN)

    def read(self, size: int) -> bytes:
        """Return as many bytes as were asked for, fewer only at the end, as the file would."""
        found = bytearray()
        while len(found) < size:
            self._poll.poll()
            piece = b"" if self._over() else self._file.read1(size - len(found))
            if not piece:
                break
            found += piece
        return bytes(found)
