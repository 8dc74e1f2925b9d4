"""Live lines in a notebook's cell: one output, updated."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..speaker_names import who_says
from .markup import clock, escape, root, small

if TYPE_CHECKING:
    from ..lines import Line

__all__ = ["NotebookSurface", "in_notebook"]

_SHOWN = 12
"""How many final lines are shown while others grow: each update carries all that is shown."""

_OPEN = 40
"""How many of the last lines are not folded at the end."""

_KEPT = 5000
"""How many lines are kept; of streams without end, those before are counted."""


def in_notebook() -> bool:
    """Return whether this program runs in a notebook's kernel."""
    # Imported by the kernel, if there is one.
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


class NotebookSurface:
    """An output of the cell that runs. Other threads update it where it is."""

    is_costly = True
    shows_progress = False  # tqdm draws a widget of its own

    def __init__(self) -> None:
        self._lines: list[Line] = []
        self._dropped = 0
        self._handle: Any = None

    def draw(self, final: Sequence[Line], growing: Sequence[Line]) -> None:
        self._lines += final
        if len(self._lines) > _KEPT:
            self._dropped += len(self._lines) - _KEPT
            del self._lines[:-_KEPT]
        shown = self._lines[-_SHOWN:]
        earlier = self._dropped + len(self._lines) - len(shown)
        before = small(f"{earlier} earlier lines") if earlier else ""
        self._update(before, [*shown, *growing], [*shown, *growing])

    def status(self, text: str) -> None: ...

    def clear(self) -> bool:
        return False

    def end(self) -> None:
        folded, shown = self._lines[:-_OPEN], self._lines[-_OPEN:]
        before = small(f"{self._dropped} earlier lines are not kept") if self._dropped else ""
        if folded:
            before += (
                f"<details><summary>{len(folded)} earlier lines</summary>"
                f"{''.join(_rows(folded))}</details>"
            )
        self._update(before, shown, self._lines)

    def _update(self, before: str, shown: Sequence[Line], as_text: Sequence[Line]) -> None:
        bundle = {
            "text/html": root(before + "".join(_rows(shown))),
            "text/plain": "\n".join(_plain(line) for line in as_text),
        }
        if self._handle is None:
            from IPython.display import (  # type: ignore[import-not-found,unused-ignore]
                display,
            )

            self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call,unused-ignore]
        else:
            self._handle.update(bundle, raw=True)


def _plain(line: Line) -> str:
    who = who_says(line)
    return f"{who}: {line.text}" if who else line.text


def _rows(lines: Iterable[Line]) -> Iterable[str]:
    for line in lines:
        who = who_says(line)
        settled = len(line.text) if line.is_final else line.settled
        said = escape(line.text[:settled])
        if settled < len(line.text):
            said += f'<span style="opacity:.55">{escape(line.text[settled:])}</span>'
        # In <bdi>, so that the direction of the row is that of what is said.
        label = f"<bdi><b>{escape(who)}</b></bdi> " if who else ""
        yield f'<div dir="auto">{small(clock(line.start_time))} {label}{said}</div>'
