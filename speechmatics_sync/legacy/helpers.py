"""The functions that `speechmatics.helpers` had."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
from collections.abc import AsyncIterator
from typing import Any, Callable

import speechmatics_sync

from .._help import module_dir
from ._gone import module_getattr

__all__ = ["del_none", "get_version", "json_utf8", "read_in_chunks"]

__getattr__ = module_getattr(__name__)
__dir__ = module_dir(__name__)


def del_none(dictionary: dict[Any, Any]) -> dict[Any, Any]:
    """Remove the entries that are None, in nested dicts too; return the same dict.

    Example:
        >>> del_none({"language": "en", "domain": None})
        {'language': 'en'}
    """
    for key, value in list(dictionary.items()):
        if value is None:
            del dictionary[key]
        elif isinstance(value, dict):
            del_none(value)
    return dictionary


def json_utf8(func: Callable[..., Any]) -> Callable[..., str]:
    """Have a function return its result as JSON.

    Example:
        >>> json_utf8(dict)(message="Info")
        '{"message": "Info"}'
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> str:
        return json.dumps(func(*args, **kwargs))

    return wrapper


async def read_in_chunks(stream: Any, chunk_size: int) -> AsyncIterator[bytes]:
    """Give what a file object reads, until it reads nothing. Its ``read`` may be asynchronous.

    Args:
        stream: Has ``read(n)``. A plain one is called in another thread.
        chunk_size: How many bytes to ask for at a time.
    """
    while True:
        if inspect.iscoroutinefunction(stream.read):
            chunk = await stream.read(chunk_size)
        else:
            chunk = await asyncio.to_thread(stream.read, chunk_size)
        if not chunk:
            return
        yield chunk


def get_version() -> str:
    """Return the version of speechmatics_sync, which tells the service who connects."""
    return speechmatics_sync.__version__
