"""A source as the file object that FFmpeg reads and moves in."""

from __future__ import annotations

import os
from typing import Optional

from .byte_streams import ByteStream
from .content import LOOKED_AT

__all__ = ["CarefulFile"]


class CarefulFile:
    """The file object that PyAV reads a stream from.

    PyAV prints an exception of `read` that FFmpeg does not heed, and copies more bytes than were
    asked for beyond its buffer: so nothing is raised here, and no more returned.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.failed: Optional[BaseException] = None
        """What reading raised."""
        self.beginning = b""
        """What it began with."""
        self._length = stream.length() if stream.rereadable else None
        self._position = 0
        self._wanted = 0

    def seekable(self) -> bool:
        return self._length is not None

    def read(self, size: int) -> bytes:
        if self.failed is not None or (self._length is not None and self._wanted >= self._length):
            return b""
        try:
            if self._wanted != self._position:
                self._stream.seek(self._wanted)
                self._position = self._wanted
            data = self._stream.read(size)
        except BaseException as error:  # KeyboardInterrupt too
            self.failed = error
            return b""
        if self._position == len(self.beginning) < LOOKED_AT:
            self.beginning += data[: LOOKED_AT - len(self.beginning)]
        self._position += len(data)
        self._wanted = self._position
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._wanted, os.SEEK_END: self._length}[whence]
        if start is None or start + offset < 0:
            return -1
        self._wanted = start + offset
        return self._wanted

    def tell(self) -> int:
        return self._wanted
