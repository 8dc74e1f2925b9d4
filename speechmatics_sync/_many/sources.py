"""What a source of many can be, where its session runs, and how it is known again."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import stat
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from .._audio.byte_streams import is_bytes_like
from .._audio.file_objects import path_error
from ..errors import ConfigurationError, InvalidAudioError

__all__ = ["Identity", "can_be_read_again", "check_sendable", "identity_of", "pickling_problem"]


def can_be_read_again(source: object) -> bool:
    """Return whether another session can have a source from its beginning."""
    if isinstance(source, Mapping):
        return all(map(can_be_read_again, source.values()))
    return isinstance(source, (str, os.PathLike)) or is_bytes_like(source)


def check_sendable(source: object) -> None:
    """Refuse a source that a worker in another process cannot get.

    Raises:
        AudioError: It is an open file, a generator, or something else that cannot be pickled.
    """
    if isinstance(source, (str, os.PathLike, bytes, bytearray)):
        return
    if isinstance(source, Mapping):
        for each in source.values():
            check_sendable(each)
    problem = pickling_problem(source)
    if problem is not None:
        raise InvalidAudioError(
            f"a worker in another process cannot get a source of type {type(source).__name__}: "
            f"{problem}. Pass its path or its bytes, or open it in the worker with call=…"
        )


def pickling_problem(value: object) -> Optional[str]:
    """Return why a value cannot be sent to another process; None if it can."""
    try:
        pickle.dumps(value)
        return None
    except Exception as error:  # of whatever class `value` has in it
        problem = str(error)
    better = sys.modules.get("cloudpickle")  # which Dask and others send functions with
    try:
        if better is not None:
            better.dumps(value)
            return None
    except Exception as error:
        problem = str(error)
    return problem


class Identity(NamedTuple):
    """How a source is known again.

    Args:
        name: Which it is.
        version: Another one if its content has changed.
    """

    name: str
    version: str


def identity_of(source: object, *, content: bool, any_kind: bool) -> Identity:
    """Return how a source is known again.

    Args:
        source: The source.
        content: Tell by a hash of the content of a file whether it has changed, not by its size
            and time.
        any_kind: Whether a source may be anything that JSON can hold, since a function of the
            user's makes audio of it.

    Raises:
        AudioError: It cannot be read.
        ConfigurationError: It cannot be known again.
    """
    if isinstance(source, (str, os.PathLike)):
        return _of_path(source, content=content, any_kind=any_kind)
    if is_bytes_like(source):
        return Identity(f"sha256:{hashlib.sha256(memoryview(source)).hexdigest()}", "")  # type: ignore[arg-type]
    if isinstance(source, Mapping):
        parts = {
            str(label): identity_of(each, content=content, any_kind=any_kind)
            for label, each in source.items()
        }
        return Identity(
            json.dumps({label: part.name for label, part in parts.items()}),
            json.dumps({label: part.version for label, part in parts.items()}),
        )
    if any_kind:
        try:
            return Identity(json.dumps(source, sort_keys=True), "")
        except (TypeError, ValueError):
            pass
    raise ConfigurationError(
        f"the ledger would not know a source of type {type(source).__name__} again: "
        "pass a path or bytes"
    )


def _of_path(path: Any, *, content: bool, any_kind: bool) -> Identity:
    try:
        status = os.stat(path)
        regular = stat.S_ISREG(status.st_mode)
        version = f"{status.st_size} bytes, {status.st_mtime_ns} ns"
        if content and regular:
            version = f"sha256:{_hash_of(path)}"
    except (OSError, ValueError) as error:
        if any_kind:
            return Identity(os.fsdecode(path), "")
        raise path_error(path, error) from error
    if not regular:
        raise ConfigurationError(
            f"the ledger would not know {path!r} again: it is no file. Correct the path, or leave "
            "ledger out"
        )
    return Identity(os.path.abspath(os.fsdecode(path)), version)


def _hash_of(path: Any) -> str:
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            found.update(chunk)
    return found.hexdigest()
