"""The samples of a WAV file, converted while they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .byte_streams import ByteStream
from .samples import StoredSamples, converted

if TYPE_CHECKING:
    from .byte_streams import Logger

__all__ = ["ConvertedStream"]


class ConvertedStream(ByteStream):
    """The samples of a stream as they are sent; sizes and positions are in those bytes.

    Less than a sample at the end is dropped.

    Args:
        stream: The source, which stands where the samples begin.
        offset: Where that is, in bytes.
        samples: How they are stored.
    """

    def __init__(self, stream: ByteStream, offset: int, samples: StoredSamples) -> None:
        super().__init__(stream.name, rereadable=stream.rereadable, complete=stream.complete)
        self.in_memory = stream.in_memory
        self._stream = stream
        self._offset = offset
        self._samples = samples
        self._held = b""
        """A part of a sample."""
        self._cut = 0
        """Bytes of the next sample that were asked for before."""

    @property
    def left_over(self) -> int:
        """Bytes that were read and are less than a sample."""
        return len(self._held)

    def close(self, logger: Logger) -> None:
        super().close(logger)
        self._stream.close(logger)

    def _piece(self, size: int) -> bytes:
        samples = self._samples
        wanted = -(-(size + self._cut) // samples.sent_size) * samples.size
        data = self._held
        while len(data) < samples.size:
            piece = self._stream.read(wanted - len(data))
            if not piece:
                return b""
            data += piece
        whole = len(data) - len(data) % samples.size
        self._held = data[whole:]
        sent, self._cut = converted(data[:whole], samples)[self._cut :], 0
        return sent

    def _go_to(self, position: int) -> None:
        sample, self._cut = divmod(position, self._samples.sent_size)
        self._held = b""
        self._stream.seek(self._offset + sample * self._samples.size)
