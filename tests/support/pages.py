"""The blocks of code in pages of documentation."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from support.places import ROOT

__all__ = ["PAGES", "README", "Block", "blocks"]

README = ROOT / "README.rst"
# The index is for Sphinx alone, which checks it.
PAGES = [README, *sorted({*(ROOT / "docs").glob("*.rst")} - {ROOT / "docs" / "index.rst"})]


class Block(NamedTuple):
    """A block of code, and whether it stands in a table."""

    language: str
    code: str
    in_table: bool

    @property
    def needs_services(self) -> bool:
        """Whether it needs other programs, so that it is run in ``tests/services``."""
        return any(f"from {package} import" in self.code for package in ("celery", "distributed"))


def blocks(page: Path) -> Iterator[Block]:
    """Find the blocks of a page, as docutils does, which takes long: tests are made of them."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^([ *-]*)\.\. code-block:: (\w+)\n", text, re.MULTILINE):
        inside = " " * (len(found[1]) + 3)
        code = re.compile(rf"(?:\n|{inside}.*\n)*").match(text, found.end())
        assert code is not None
        yield Block(found[2], textwrap.dedent(code[0]).strip("\n"), bool(found[1].strip()))
