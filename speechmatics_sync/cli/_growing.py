"""Files that grow while a session runs: ``--follow``."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, TextIO

from speechmatics_sync import CaptionFile, Line, LiveCaptions

from ._exits import written_to
from ._views import written

__all__ = ["Growing", "growing"]


class Growing:
    """Adds to files what is final.

    Args:
        lines: The files of lines: their paths, and what adds a line.
        captions: The files of captions.
    """

    def __init__(
        self,
        lines: Sequence[tuple[Path, Callable[[Line], object]]],
        captions: Sequence[tuple[Path, CaptionFile]],
    ) -> None:
        self._lines = lines
        self._captions = captions
        self._live = LiveCaptions()

    def listen(self, client: Any) -> None:
        """Have a client's messages become captions, if there are files of them."""
        for name in LiveCaptions.MESSAGES if self._captions else ():
            client.on(name, self._add)

    def line(self, line: Line) -> None:
        """Add a line, if it is final.

        Raises:
            OutputError: A file cannot be written.
        """
        if not line.is_final or not line.text.strip():
            return
        for path, add in self._lines:
            with written_to(path):
                add(line)

    def _add(self, message: Mapping[str, Any]) -> None:
        finished = self._live.add(message)
        for path, file in self._captions:
            with written_to(path):
                file.add(finished)


@contextlib.contextmanager
def growing(paths: Iterable[Path]) -> Iterator[Growing]:
    """Give what adds to these files, which are emptied.

    Raises:
        OutputError: A file cannot be written.
    """
    lines: list[tuple[Path, Callable[[Line], object]]] = []
    captions: list[tuple[Path, CaptionFile]] = []
    with contextlib.ExitStack() as stack:
        for path in paths:
            format = path.suffix[1:].lower()
            with written_to(path):
                if format in ("srt", "vtt"):
                    file: Any = CaptionFile(path)
                    captions.append((path, file))
                else:
                    file = open(path, "w", encoding="utf-8", errors="replace", buffering=1)  # noqa: SIM115
                    lines.append((path, functools.partial(_write, file, format)))
            stack.callback(_close, path, file)
        yield Growing(lines, captions)


def _write(file: TextIO, format: str, line: Line) -> None:
    file.write(written(line, format) + "\n")


def _close(path: Path, file: Any) -> None:
    with written_to(path):  # what could not be written is tried again
        file.close()
