"""Dataclass instances as a table, in HTML and in text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, Field, fields
from typing import Any, Optional

from ..._words import printable
from ..columns import display_width
from .markup import escape, root, small

__all__ = ["table_html", "table_text"]

_FIRST, _LAST = 20, 5
"""How many rows are shown, from where on those between are counted."""

_LONGEST = 60
"""Columns of a cell, in text."""


def table_html(rows: Sequence[Any]) -> str:
    """Return rows as HTML: those in the middle of a long table are counted."""
    if not rows:
        return root(small("nothing"))
    names = _names(rows)
    head = "".join(
        f'<th style="text-align:{_side(getattr(rows[0], name))}">{escape(_title(name))}</th>'
        for name in names
    )
    lines = []
    for row in _shown(rows):
        if row is None:
            left = len(rows) - _FIRST - _LAST
            lines.append(f'<tr><td colspan="{len(names)}">{small(f"… {left} more …")}</td></tr>')
            continue
        cells = (_cell(row, name) for name in names)
        lines.append(f"<tr>{''.join(cells)}</tr>")
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return root(table + small(_count(rows)))


def table_text(rows: Sequence[Any]) -> str:
    """Return rows as lines of text, in columns."""
    if not rows:
        return "[]"
    names = _names(rows)
    cells = [[_title(name) for name in names]]
    for row in _shown(rows):
        cells.append(["…"] if row is None else [_text(row, name) for name in names])
    widths = [
        max(display_width(each[at]) for each in cells if at < len(each)) for at in range(len(names))
    ]
    lines = [
        "  ".join(text + " " * (width - display_width(text)) for text, width in zip(each, widths))
        for each in cells
    ]
    return "\n".join(line.rstrip() for line in [*lines, _count(rows)])


def _shown(rows: Sequence[Any]) -> list[Optional[Any]]:
    """Return the rows to show, with None in place of those between."""
    if len(rows) <= _FIRST + _LAST + 1:
        return list(rows)
    return [*rows[:_FIRST], None, *rows[-_LAST:]]


def _names(rows: Sequence[Any]) -> list[str]:
    """Return the fields that say something in any of the rows."""
    return [
        field.name
        for field in fields(rows[0])
        if any(_says_something(getattr(row, field.name), field) for row in rows)
    ]


def _says_something(value: Any, field: Field[Any]) -> bool:
    if value is None or value is False or value == field.default:
        return False
    return isinstance(value, (str, int, float)) or (
        isinstance(value, (list, tuple))
        and bool(value)
        and field.default_factory is MISSING
        and all(isinstance(each, str) for each in value)
    )


def _title(name: str) -> str:
    return {"start_time": "start", "end_time": "end"}.get(name, name.replace("_", " "))


def _values(row: Any, name: str) -> list[str]:
    """Return the texts of a cell, one below the other."""
    value = getattr(row, name)
    if value is None or value is False:
        return []
    if isinstance(value, (list, tuple)):
        return [str(each) for each in value]
    # Servers write whole seconds as integers.
    is_measured = name == "confidence" or name.endswith("_time")
    return [f"{value:.2f}" if is_measured else str(value)]


def _cell(row: Any, name: str) -> str:
    texts = "<br>".join(escape(text) for text in _values(row, name))
    return f'<td dir="auto" style="text-align:{_side(getattr(row, name))}">{texts}</td>'


def _side(value: Any) -> str:
    return "right" if isinstance(value, (int, float)) and not isinstance(value, bool) else "left"


def _text(row: Any, name: str) -> str:
    return printable(" / ".join(_values(row, name)), _LONGEST)


def _count(rows: Sequence[Any]) -> str:
    return f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
