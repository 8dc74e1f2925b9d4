"""The whole text of errors and logs, for tests that search it for a key."""

from __future__ import annotations

import contextlib
import logging
import os
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


def variables_of(error: BaseException) -> str:
    """What an error tracker sends on: the variables of this package's frames, and what is in them.

    Strings as they are, dicts and sequences item by item, all else as its ``repr``.
    """
    told: list[str] = []
    seen: set[int] = set()

    def tell(value: object) -> None:
        if isinstance(value, str):
            told.append(value)
        elif id(value) not in seen and isinstance(value, (dict, list, tuple, set)):
            seen.add(id(value))
            for item in value.items() if isinstance(value, dict) else value:
                tell(item)
        else:
            with contextlib.suppress(AttributeError):  # an object that is not whole yet
                told.append(repr(value))

    pending: list[Optional[BaseException]] = [error]
    frames = 0
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        tell(one.args)
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if is_ours(frame.f_code.co_filename):
                frames += 1
                tell(frame.f_locals)
        pending += [one.__cause__, one.__context__]
    assert frames, "the error does not come out of this package"
    return "\n".join(told)


def is_ours(filename: str) -> bool:
    """Whether a frame's file is of this package, in whatever directory that lies."""
    # "<string>" is what dataclasses makes.
    return f"{os.sep}speechmatics_sync{os.sep}" in filename or filename == "<string>"


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
