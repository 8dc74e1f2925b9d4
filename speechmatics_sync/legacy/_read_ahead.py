"""Reads an asynchronous source in its event loop, ahead of the thread that sends the audio."""

from __future__ import annotations

import asyncio
import inspect
import queue
from collections.abc import Awaitable
from typing import Any, Callable, Optional

from ._hops import Hops

__all__ = ["ReadAhead"]

_MOST = 16
"""Items that may wait for the thread. To wait for it after each would cost two switches a chunk."""


class ReadAhead:
    """A queue from the event loop, which reads a source, to the thread that sends its audio.

    Args:
        hops: Runs in the event loop.
        prepare: Returns a chunk as it is to be sent, in the event loop; None to read no more.
        fail: Is called with the error if reading fails, in the event loop.
    """

    def __init__(
        self,
        hops: Hops,
        prepare: Callable[[Any], Any],
        fail: Callable[[BaseException], None],
    ) -> None:
        self._hops = hops
        self._prepare = prepare
        self._fail = fail
        self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._room: Optional[asyncio.Future[None]] = None
        """What the reading waits for while too much waits for the thread."""

    def start(self, first: Awaitable[Any], stream: Any, chunk_size: int) -> None:
        """Read in the event loop from now on; in the thread.

        Args:
            first: The first read, which has begun.
            stream: The source.
            chunk_size: How many bytes to ask for at a time.
        """

        def ended() -> None:
            self._items.put(None)
            if inspect.iscoroutine(first):
                first.close()  # if the reading never began: it would warn

        self._hops.start(self._read(first, stream, chunk_size), ended)

    def get(self) -> Any:
        """Wait for the next item and return it: audio, a message, or None at the end."""
        item = self._items.get()
        if self._room is not None and self._items.empty():
            self._hops.soon(self._resume)
        return item

    def put(self, item: Any) -> None:
        """Add a message, or None to end the audio here."""
        self._items.put(item)

    async def _read(self, chunk: Any, stream: Any, chunk_size: int) -> None:
        items = self._items
        try:
            while True:
                if inspect.isawaitable(chunk):
                    chunk = await chunk
                chunk = self._prepare(chunk) if chunk else None
                if isinstance(chunk, (bytearray, memoryview)):
                    chunk = bytes(chunk)  # the source may use its buffer again
                items.put(chunk)
                if not chunk:
                    return
                if items.qsize() >= _MOST:
                    await self._until_taken()
                chunk = stream.read(chunk_size)
        except BaseException as error:
            self._fail(error)
            if isinstance(error, asyncio.CancelledError):
                raise

    async def _until_taken(self) -> None:
        self._room = asyncio.get_running_loop().create_future()
        if self._items.qsize() >= _MOST:  # the thread may not have seen that this waits
            await self._room
        self._room = None

    def _resume(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
