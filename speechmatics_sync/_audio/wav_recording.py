"""A WAV file that grows, and is whole at any time."""

from __future__ import annotations

import contextlib
import os
import struct
from typing import Union

from ..errors import AudioError
from .file_objects import path_name, reason_of

__all__ = ["WavRecording"]

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_UNKNOWN = 0xFFFFFFFF
"""What stands for sizes beyond 4 GiB: readers go on to the end of the file."""


class WavRecording:
    """Writes 16-bit samples to a WAV file whose header is true after each write.

    The samples are written first, the header after them, in one write and past any buffer of this
    process. So whenever the process is killed, the file is one that can be played.

    Args:
        path: The file, which is overwritten.
        sample_rate: The rate in Hz.
        channels: How many channels the samples have.

    Raises:
        AudioError: The file cannot be written, or nothing in it can be overwritten.
    """

    def __init__(self, path: Union[str, os.PathLike[str]], sample_rate: int, channels: int) -> None:
        self.name = path_name(path)
        self._frame = 2 * channels
        self._sample_rate = sample_rate
        self._channels = channels
        self._size = 0
        try:
            self._file = open(path, "wb", buffering=0)  # noqa: SIM115
        except (OSError, ValueError) as error:
            raise AudioError(
                f"{self.name} cannot be written: {reason_of(error)}. Pass save a path that can"
            ) from error
        if not self._file.seekable():
            self._file.close()
            raise AudioError(
                f"{self.name} cannot be written: it is a pipe or a terminal. Pass save the path "
                "of a file"
            )
        self.write(b"")

    def write(self, samples: bytes) -> None:
        """Append samples.

        Raises:
            AudioError: That failed. The file holds what was written before, and is closed.
        """
        try:
            self._put(_HEADER.size + self._size, samples)
            self._size += len(samples)
            self._put(0, self._header())
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(_HEADER.size + self._size)
            self.close()
            seconds = self._size / self._frame / self._sample_rate
            raise AudioError(
                f"{self.name} cannot be written: {error.strerror}; it ends after {seconds:.1f} s"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _put(self, position: int, content: bytes) -> None:
        self._file.seek(position)
        left = memoryview(content)
        while left:
            left = left[self._file.write(left) :]

    def _header(self) -> bytes:
        size = self._size
        riff_size = size + _HEADER.size - 8
        if riff_size >= _UNKNOWN:
            size = riff_size = _UNKNOWN
        return _HEADER.pack(
            *(b"RIFF", riff_size, b"WAVE"),
            *(b"fmt ", 16, 1, self._channels, self._sample_rate),
            *(self._sample_rate * self._frame, self._frame, 16),
            *(b"data", size),
        )
