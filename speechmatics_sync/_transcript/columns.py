"""Text in columns: how wide it is, and where it is broken."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

__all__ = ["display_width", "rows_of"]

_SPACES = re.compile(r"\s+")

_NOT_FIRST = frozenset("、。，．！？；：」』）】…ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ")
"""What does not begin a row in languages without spaces."""


def display_width(text: str) -> int:
    """How many columns a text takes: two for a wide character, none for one that combines."""
    if text.isascii():
        return len(text)
    width = 0
    for character in text:
        if unicodedata.category(character) in ("Mn", "Me", "Cf"):
            continue
        width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return width


def rows_of(text: str, length: int) -> list[str]:
    """Break a text at a width, row by row, so that what is appended to it changes the last alone.

    A word longer than a row has one to itself.
    """
    rows: list[str] = []
    width = 0
    for gap, piece in _pieces(text):
        taken = display_width(piece)
        if rows and width + len(gap) + taken <= length:
            rows[-1] += gap + piece
            width += len(gap) + taken
        else:
            rows.append(piece)
            width = taken
    return rows


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """What is not broken, each with what stands in front of it."""
    for word in _SPACES.split(text.strip()):
        piece, gap = "", " "
        for before, character in zip(f" {word}", word):
            if piece and (_is_wide(before) or _is_wide(character)) and character not in _NOT_FIRST:
                yield gap, piece
                piece, gap = "", ""
            piece += character
        if piece:
            yield gap, piece


def _is_wide(character: str) -> bool:
    return not character.isascii() and unicodedata.east_asian_width(character) in "WF"
