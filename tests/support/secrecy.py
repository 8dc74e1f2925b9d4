"""The whole text of errors and logs, for tests that search it for a key."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Iterator
from typing import Optional

KEY = "SECRET-0123456789-abcdefghijklmnopqrstuvwxyz"


def all_said_by(error: BaseException, *, variables: bool = False) -> str:
    """Text, ``repr``, arguments and traceback of an error and of all that led to it.

    With the ``variables`` of each frame, if asked for: error trackers send them on.
    """
    said: list[str] = []
    seen: set[int] = set()
    pending: list[Optional[BaseException]] = [error]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        said += [str(one), repr(one), repr(one.args), repr(vars(one))]
        lines = traceback.TracebackException.from_exception(one, capture_locals=variables)
        said += lines.format()
        pending += [one.__cause__, one.__context__]
    return "\n".join(said)


@contextlib.contextmanager
def everything_logged() -> Iterator[list[str]]:
    """Collect what any logger says, at DEBUG, with tracebacks."""
    said: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(self.format(record))

    root, handler = logging.getLogger(), Collect()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield said
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
