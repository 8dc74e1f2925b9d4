"""What the package says reads as English, whatever is put into it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from support.places import ROOT

PACKAGE = ROOT / "speechmatics_sync"
CONSONANTS = {"field", "proxy.scheme", "quality"}
"""What is put in after an article and always begins with a consonant."""


def articles(path: Path) -> Iterator[str]:
    """What follows "a" or "an" in a module's texts and is not known before the program runs."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            for before, value in zip(node.values, node.values[1:]):
                text = before.value if isinstance(before, ast.Constant) else ""
                if isinstance(value, ast.FormattedValue) and re.search(r"(?i)\ban? ['\"]?$", text):
                    yield ast.unparse(value.value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"(?i)\ban? (%[rs]|\{)", node.value)


def test_no_article_stands_before_a_word_that_may_begin_with_any_letter() -> None:
    found = {path: set(articles(path)) - CONSONANTS for path in PACKAGE.rglob("*.py")}
    assert len(found) > 100
    assert {path: words for path, words in found.items() if words} == {}
