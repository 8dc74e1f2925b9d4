"""``python -m speechmatics_sync.legacy check FILE…``: what becomes of old programs."""

from __future__ import annotations

import io
import sys
import tokenize
from collections import Counter

from ._check_python import check_python
from ._check_rt import check_rt
from ._reading import AS_IT_IS, CHANGE, DIFFERS, OUTSIDE, Finding

__all__ = ["check", "findings"]


def findings(source: str) -> list[Finding]:
    """Return what there is to say about each line that uses speechmatics-python or speechmatics-rt.

    Raises:
        SyntaxError: The source is no program.

    Example:
        >>> for finding in findings("from speechmatics.rt import AsyncClient"):
        ...     print(finding.line, finding.kind, finding.text)
        1 change write: from speechmatics_sync import Client
    """
    return sorted([*check_python(source), *check_rt(source)])


def check(files: list[str]) -> int:
    """Print the findings of files; return the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a code page has few characters
    counts: Counter[str] = Counter()
    unreadable = False
    for path in files:
        try:
            if path.endswith(".ipynb"):
                raise ValueError(
                    "make a program of this notebook with jupyter nbconvert --to script"
                )
            with tokenize.open(path) as file:
                found = findings(file.read())
        # An expression that is nested too deeply is one of the last two.
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
            unreadable = True
            line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            reason = getattr(error, "strerror", None) or getattr(error, "msg", None) or error
            if isinstance(error, (RecursionError, MemoryError)):
                reason = "it is nested too deeply"
            sys.stderr.write(f"{path}{line}: cannot be read: {reason}\n")
            continue
        counts.update(finding.kind for finding in found)
        for finding in found:
            sys.stdout.write(f"{path}:{finding.line}: {finding.kind}: {finding.text}\n")
    kinds = (AS_IT_IS, CHANGE, DIFFERS, OUTSIDE)
    sys.stdout.write(", ".join(f"{counts[kind]} {kind}" for kind in kinds) + "\n")
    sys.stdout.flush()
    return 2 if unreadable else 1 if counts[OUTSIDE] else 0
