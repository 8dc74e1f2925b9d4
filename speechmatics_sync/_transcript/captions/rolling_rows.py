"""The last rows of live text, which roll up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Optional

from ..columns import rows_of
from ..lines import Line
from ..speaker_names import Key, Names
from .captions import Caption
from .rules import Shape

__all__ = ["RollingRows"]


class RollingRows:
    """What to show of the lines of live text.

    Args:
        shape: How much is shown at once.
        names: Of the speakers.

    Attributes:
        current: What to show; None before the first word. Replaced, never changed: other threads
            read it.
    """

    def __init__(self, shape: Shape, names: Names) -> None:
        self.current: Optional[Caption] = None
        self._shape = shape
        self._names = names
        self._lines: dict[int, Line] = {}
        self._before: Optional[Key] = None  # who said the last line that is not kept

    def show(self, lines: Sequence[Line]) -> None:
        """Show lines that have changed."""
        if not lines:
            return
        for line in lines:
            self._lines.pop(line.id, None)
            if line.text:
                self._lines[line.id] = line
            if line.settled:  # the speaker of a partial may turn out to be another one
                self._names.add([_key(line)])
        shown = sorted(self._lines.values(), key=lambda line: (line.start_time, line.id))
        rows: list[tuple[str, Line]] = []
        before = self._before
        for line in shown:
            key = _key(line)
            prefix = self._names.prefix(key) if self._names.begins(key, before) else ""
            rows += [(row, line) for row in rows_of(prefix + line.text, self._shape.line_length)]
            before = key
        rows = rows[-self._shape.lines :]
        self._forget(shown, {line.id for _, line in rows})
        self.current = _caption(rows) if rows else None

    def _forget(self, lines: Iterable[Line], visible: set[int]) -> None:
        """Drop the lines that have rolled out of sight for good."""
        for line in lines:
            if not line.is_final or line.id in visible:
                break
            del self._lines[line.id]
            self._before = _key(line)


def _key(line: Line) -> Key:
    return Key(line.channel, line.speaker)


def _caption(rows: list[tuple[str, Line]]) -> Caption:
    lines = [line for _, line in rows]
    keys = {_key(line) for line in lines}
    channels = {key.channel for key in keys}
    return Caption(
        min(line.start_time for line in lines),
        max(line.end_time for line in lines),
        tuple(row for row, _ in rows),
        lines[0].speaker if len(keys) == 1 else None,
        lines[0].channel if len(channels) == 1 else None,
    )
