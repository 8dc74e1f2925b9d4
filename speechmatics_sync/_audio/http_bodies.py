"""The bodies of HTTP responses as sources: of `requests` and of `httpx`, which is not imported."""

from __future__ import annotations

from typing import Any

from .file_objects import attribute_of

__all__ = ["body_of"]


def body_of(source: Any, chunk_size: int) -> Any:
    """Return the body of an HTTP response, of `requests` or `httpx`; anything else as it is.

    What they give when they are iterated over or read is of no use: 128 bytes at a time, or all.
    """
    if callable(attribute_of(source, "iter_content")):
        raw = attribute_of(source, "raw")
        ready = attribute_of(source, "_content_consumed")
        # urllib3 2 has read1; with 1.26, pieces come when they are full.
        if not ready and attribute_of(raw, "stream") and attribute_of(raw, "read1"):
            return _HttpBody(raw)
        return source.iter_content(chunk_size)
    if callable(attribute_of(source, "iter_bytes")):
        return source.iter_bytes()
    return source


class _HttpBody:
    """The body of a `requests.Response` whose bytes are still to come, decoded as they come."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def read(self, size: int) -> Any:
        return self._raw.read(size, decode_content=True)

    def read1(self, size: int) -> Any:
        return self._raw.read1(size, decode_content=True)
