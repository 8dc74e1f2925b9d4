"""What a person who watches live text sees, and what must hold of every line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from speechmatics_sync import Line, LiveText
from support.transcripts import final

END_OF_TRANSCRIPT = {"message": "EndOfTranscript"}


def partial(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**final(*results, **more), "message": "AddPartialTranscript"}


def utterance_end(at: float, **more: Any) -> dict[str, Any]:
    metadata = {"start_time": at, "end_time": at}
    return {"message": "EndOfUtterance", "metadata": metadata, **more}


class Watcher:
    """Shows lines as a page does: each in its place, until it is final.

    Attributes:
        final: The final lines with text, in the order in which they ended.
        open: The unfinished lines, by id.
    """

    def __init__(self) -> None:
        self.final: list[Line] = []
        self.open: dict[int, Line] = {}
        self._ended: set[int] = set()

    def see(self, lines: Iterable[Line]) -> list[Line]:
        """Check lines that were given, and show them; return them."""
        lines = list(lines)
        for line in lines:
            self._check(line)
            self.open.pop(line.id, None)
            if not line.is_final:
                self.open[line.id] = line
                continue
            self._ended.add(line.id)
            if line.text:
                self.final.append(line)
        return lines

    def _check(self, line: Line) -> None:
        before = self.open.get(line.id)
        assert line.id not in self._ended, "the id was used again"
        assert line.text or (line.is_final and line.settled == 0)
        assert 0 <= line.settled <= len(line.text)
        if line.is_final:
            assert line.settled == len(line.text)
        if before is None:
            return
        assert line != before, "given again without a change"
        assert line.channel == before.channel
        assert line.text[: before.settled] == before.text[: before.settled]
        assert line.settled >= before.settled
        if before.settled:
            assert line.speaker == before.speaker
            assert line.start_time == before.start_time


def watched(live: LiveText, *messages: dict[str, Any]) -> list[Line]:
    """Add messages; return the final lines."""
    watcher = Watcher()
    for message in messages:
        watcher.see(live.add(message))
        assert live.open_lines == sorted(
            watcher.open.values(), key=lambda line: (line.start_time, line.id)
        )
    return watcher.final
