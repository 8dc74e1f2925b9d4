"""A source of any kind as a stream of bytes.

What all kinds share is in `ByteStream`: cutting to size what the source gives, peeking at its
beginning, naming the source in errors.
"""

from __future__ import annotations

import inspect
import io
import math
import os
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union

from .._model.audio_format import AudioFormat
from ..errors import AudioError, InvalidAudioError
from .buffers import audio_view, type_name
from .content import LOOKED_AT, more_to_look_at
from .file_objects import (
    attribute_of,
    bytes_left,
    glance,
    path_name,
    poll_for_bytes,
    reason_of,
    regular_size,
    start_of,
)
from .http_bodies import body_of
from .split_channels import SplitChannel

if TYPE_CHECKING:
    import logging

    Logger = Union[logging.Logger, logging.LoggerAdapter[Any]]
    Piece = Union[bytes, memoryview]

__all__ = [
    "SOURCE_KINDS",
    "ByteStream",
    "OwnedFileStream",
    "byte_stream_of",
    "is_bytes_like",
]

_END = object()
_LARGEST_PEEK = 1 << 16
"""Bytes to read at once while looking for the samples of a WAV file."""

SOURCE_KINDS = (
    "a source is a path, a binary file object, bytes-like data, or an iterable of bytes-like chunks"
)


class ByteStream:
    """The bytes of one source, in order.

    A subclass reads the next piece, of any size (`_piece`), closes what it opened (`close`), and,
    if the source can be read again, moves to a position (`_go_to`).

    Attributes:
        name: The source, for error messages.
        rereadable: Whether `seek` is possible.
        complete: Whether all bytes exist already, so that small pieces are gathered.
        in_memory: Whether reading never waits for anything, not even a disk.
        total_seconds: How long the audio is by what the source says of itself, if it does.
        expected_bytes: How many bytes are to come at least, if the caller knows.
    """

    def __init__(self, name: str, *, rereadable: bool = False, complete: bool = False) -> None:
        self.name = name
        self.rereadable = rereadable
        self.complete = complete
        self.in_memory = False
        self.total_seconds: Optional[float] = None
        self.expected_bytes: Optional[int] = None
        self._came = 0
        """How many bytes were read, from where the source stood at first."""
        self._broke_off: Optional[Exception] = None
        """What a read raised, and is taken for the end: what is missing is told afterwards."""
        self._peeked = bytearray()
        self._rest: Optional[memoryview] = None
        self._ended = False
        self._failed: Optional[AudioError] = None
        """What a read raised after bytes that are still to be returned."""

    def length(self) -> Optional[int]:
        """Return the number of bytes left, or None if only reading can tell."""
        return None

    def where_it_stood(self) -> int:
        """Return where in a file of the caller the source begins, in bytes; 0 if not known."""
        return 0

    def peek(self, offset: int, size: int) -> bytes:
        """Return bytes without consuming them; fewer than ``size`` only at the end."""
        while len(self._peeked) < offset + size:
            missing = offset + size - len(self._peeked)
            piece = self._fetch(min(missing, _LARGEST_PEEK))
            if not piece:
                break
            self._peeked += piece
        return bytes(self._peeked[offset : offset + size])

    def beginning(self, size: int) -> bytes:
        """Return what the source begins with, without consuming it.

        That is `LOOKED_AT` bytes if they are at hand already; else what the first read of ``size``
        bytes gives, for a live source is not to be waited for, unless a few bytes more will tell
        what has begun.
        """
        if self.length() is not None:
            found = self._glance(LOOKED_AT)
            if found is None:
                found = self.peek(0, LOOKED_AT)
                if self.rereadable:
                    self.seek(0)  # a file of the caller stays where it stood
            return found
        if self._rest is None and not self._ended and not self._peeked:
            piece = self._next_piece(size)
            self._ended = not piece
            self._rest = memoryview(piece) if piece else None
        begun = bytes(self._peeked[:LOOKED_AT])  # there is some if this is not the first look
        if self._rest is not None:
            begun += bytes(self._rest[: LOOKED_AT - len(begun)])
        while (size := more_to_look_at(begun)) > len(begun):
            longer = self.peek(0, size)
            if longer == begun:
                break
            begun = longer
        return begun

    def read_to_expected_end(self) -> None:
        """Read on, behind the audio, until all bytes that are to come have come. May block."""
        while self._lacks_bytes() and self._fetch(_LARGEST_PEEK):
            pass

    def shortfall(self) -> Optional[AudioError]:
        """Return an error that says how many bytes are missing at the end, if any are."""
        if not self._lacks_bytes():
            return None
        error = AudioError(
            f"{self.name} is not complete: {self._came} bytes came, and expected_bytes is"
            f" {self.expected_bytes}. Have it sent again; what came was transcribed"
        )
        error.__cause__ = self._broke_off
        return error

    def _lacks_bytes(self) -> bool:
        return self.expected_bytes is not None and self._came < self.expected_bytes

    def in_hand(self) -> bytes:
        """Return what the source has given already and was not read yet."""
        return bytes(self._peeked) + (b"" if self._rest is None else bytes(self._rest))

    def skip(self, size: int) -> None:
        """Drop bytes that were peeked at."""
        del self._peeked[:size]

    def read(self, size: int) -> bytes:
        """Return the next bytes: ``size``, fewer if the source gives fewer, b"" at the end.

        Small pieces are gathered as long as no further one has to be waited for.
        """
        if self._failed is not None:
            raise self._failed
        if self._peeked:
            chunk = bytes(self._peeked[:size])
            del self._peeked[:size]
        else:
            chunk = self._fetch(size)
        return chunk if len(chunk) == size or not chunk else self._filled_up(chunk, size)

    def _filled_up(self, chunk: bytes, size: int) -> bytes:
        pieces = [chunk]
        left = size - len(chunk)
        while left and (self.complete or self._rest is not None):
            try:
                piece = self._fetch(left)
            except AudioError as error:
                self._failed = error
                break
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def seek(self, position: int) -> None:
        """Move to a position in bytes, counted from where the source stood at first."""
        self._peeked.clear()
        self._release()
        self._ended = False
        self._failed = None
        # Most files can be moved beyond their end: read the byte before, to see that it exists.
        self._came = max(0, position - 1)
        try:
            self._go_to(max(0, position - 1))
        except AudioError:
            raise
        except Exception as error:
            raise AudioError(
                f"{self.name} cannot be read again: {type(error).__name__}: {reason_of(error)}"
            ) from error
        if position and not self._fetch(1):
            raise AudioError(
                f"{self.name} cannot be read again: it ends before byte {position}. Leave it as "
                "it is until the session has ended"
            )

    def close(self, logger: Logger) -> None:
        """Close what this stream opened."""
        self._release()

    def _release(self) -> None:
        if self._rest is not None:
            self._rest.release()
            self._rest = None

    def _fetch(self, size: int) -> bytes:
        if self._rest is None:
            if self._ended:
                return b""
            piece = self._next_piece(size)
            if not piece:
                self._ended = True
                return b""
            if type(piece) is bytes and len(piece) <= size:
                return piece
            self._rest = memoryview(piece)
        # Copy: the source may reuse its buffer for the next piece.
        chunk = bytes(self._rest[:size])
        left = self._rest[size:]
        self._rest.release()
        self._rest = left if left else None
        return chunk

    def _next_piece(self, size: int) -> Piece:
        try:
            piece = self._piece(size)
        except AudioError:
            raise
        except Exception as error:
            if self._lacks_bytes():  # so a web server may tell that a browser is gone
                self._broke_off = error
                return b""
            raise AudioError(
                f"{self.name} cannot be read: {type(error).__name__}: {reason_of(error)}"
            ) from error
        self._came += len(piece)
        return piece

    def _glance(self, size: int) -> Optional[bytes]:
        """Return the next bytes without a read, or None if that is not possible."""
        return None

    def _piece(self, size: int) -> Piece:
        """Return more bytes, ``size`` if there is a choice; none at the end."""
        raise NotImplementedError

    def _go_to(self, position: int) -> None:
        """Have the next piece begin at this position."""
        raise NotImplementedError


class _FileStream(ByteStream):
    """A binary file object of the caller, from where it stands."""

    def __init__(self, file: Any, name: str, audio_format: AudioFormat) -> None:
        start = start_of(file)
        super().__init__(name, rereadable=start is not None, complete=start is not None)
        self._file = file
        self._audio_format = audio_format
        # A read(n) of a socket or an HTTP body waits for all n bytes.
        self._as_they_come = not self.complete and callable(attribute_of(file, "read1"))
        self._poll_for_bytes = poll_for_bytes(file)
        self._start = start or 0
        said = attribute_of(file, "total_seconds")
        if isinstance(said, (int, float)) and 0 < said < math.inf:
            self.total_seconds = float(said)

    def length(self) -> Optional[int]:
        return bytes_left(self._file)

    def where_it_stood(self) -> int:
        return self._start

    def _glance(self, size: int) -> Optional[bytes]:
        # A read that only looks could fail or block, and would move the file of the caller.
        return glance(self._file, size)

    def _piece(self, size: int) -> Piece:
        if self._poll_for_bytes is not None:
            self._poll_for_bytes.poll()
            piece = self._file.read1(size)
        elif self._as_they_come:
            piece = self._read1(size)
        else:
            piece = self._file.read(size)
        if type(piece) is bytes:
            return piece
        if piece is None:
            raise AudioError(
                f"{self.name} is in non-blocking mode and has nothing to read at the moment:"
                " make it blocking, or wait for its bytes in a generator"
            )
        if inspect.isawaitable(piece):
            if inspect.iscoroutine(piece):
                piece.close()
            raise InvalidAudioError(
                f"{self.name} is asynchronous, and this client is not: {SOURCE_KINDS}"
            )
        return audio_view(piece, self._audio_format, self.name)

    def _read1(self, size: int) -> Any:
        try:
            piece = self._file.read1(size)
        except io.UnsupportedOperation:  # as io.BufferedIOBase has it
            self._as_they_come = False
            return self._file.read(size)
        if not piece and isinstance(self._file, io.BufferedReader):
            return self._file.read(1)  # in non-blocking mode, read1 only seems to be at the end
        return piece

    def _go_to(self, position: int) -> None:
        target = self._start + position
        self._file.seek(target)
        reached = self._file.tell()
        if reached != target:
            raise AudioError(
                f"{self.name} cannot be read again: sent to byte {target}, it is at {reached}. "
                "Pass its path"
            )


class OwnedFileStream(_FileStream):
    """A binary file object that is closed with the stream."""

    def close(self, logger: Logger) -> None:
        super().close(logger)
        opened, self._file = self._file, None
        if opened is not None:
            opened.close()


class _PathStream(OwnedFileStream):
    """A path, opened at the first read, and again by a `seek` after `close`."""

    def __init__(self, path: Union[str, bytes], name: str, audio_format: AudioFormat) -> None:
        super().__init__(None, name, audio_format)
        self._path = path
        self.rereadable = self.complete = self.length() is not None

    def length(self) -> Optional[int]:
        try:
            return regular_size(os.stat(self._path))
        except OSError:
            return None  # open() will raise the error

    def _glance(self, size: int) -> Optional[bytes]:
        try:
            self._open()
        except Exception:
            return None  # reading will raise it
        return super()._glance(size)

    def _piece(self, size: int) -> Piece:
        self._open()
        return super()._piece(size)

    def _go_to(self, position: int) -> None:
        self._open()
        super()._go_to(position)

    def _open(self) -> None:
        if self._file is None:
            # Unbuffered, to get the bytes of a FIFO as they arrive.
            self._file = open(self._path, "rb", buffering=0)  # noqa: SIM115


class _BytesStream(ByteStream):
    """Bytes-like data, which is never copied as a whole."""

    def __init__(self, payload: object, name: str, audio_format: AudioFormat) -> None:
        super().__init__(name, rereadable=True, complete=True)
        self.in_memory = isinstance(payload, (bytes, bytearray))
        self._payload = payload
        self._audio_format = audio_format
        self._go_to(0)
        self._length = self._came

    def length(self) -> Optional[int]:
        return self._length

    def _glance(self, size: int) -> Optional[bytes]:
        return b"" if self._rest is None else bytes(self._rest[:size])

    def _go_to(self, position: int) -> None:
        # A new view each time: a view that is kept would keep the owner from resizing the data.
        view = audio_view(self._payload, self._audio_format)[position:]
        self._rest = view if view else None
        self._came = position + view.nbytes
        self._ended = True


class _IterableStream(ByteStream):
    """An iterable of chunks. A generator is closed at the end."""

    def __init__(self, chunks: Any, name: str, audio_format: AudioFormat) -> None:
        super().__init__(name, complete=isinstance(chunks, Sequence))
        self._chunks = chunks
        self._audio_format = audio_format
        self._iterator: Optional[Iterator[object]] = None

    def close(self, logger: Logger) -> None:
        super().close(logger)
        opened = self._chunks if self._iterator is None else self._iterator
        if not isinstance(opened, Generator):
            return
        try:
            opened.close()
        except Exception:
            # Not raised: it would hide the reason for which the session ends.
            logger.warning("%s failed when it was closed", self.name, exc_info=True)

    def _piece(self, size: int) -> Piece:
        if self._iterator is None:
            self._iterator = iter(self._chunks)
        while True:
            chunk = next(self._iterator, _END)
            if chunk is _END:
                return b""
            if type(chunk) is bytes:
                if chunk:
                    return chunk
                continue
            view = audio_view(chunk, self._audio_format, self.name)
            if view:
                return view


class _ChannelStream(_IterableStream):
    """One channel of a recording, which can be read from any position."""

    def __init__(self, channel: SplitChannel, audio_format: AudioFormat) -> None:
        super().__init__(channel, f"the {channel!r}", audio_format)
        self.rereadable = self.complete = True
        self._channel = channel

    def length(self) -> Optional[int]:
        return self._channel.length()

    def _go_to(self, position: int) -> None:
        if isinstance(self._iterator, Generator):
            self._iterator.close()
        self._iterator = self._channel.pieces(position)


def byte_stream_of(source: Any, audio_format: AudioFormat) -> ByteStream:
    """Return the bytes of a source that `check_source` accepts; opens and reads nothing yet.

    Args:
        source: The caller's source.
        audio_format: What arrays in it are held to; that of a file if nobody named one.
    """
    if isinstance(source, (str, os.PathLike)):
        return _PathStream(os.fspath(source), path_name(source), audio_format)
    if isinstance(source, SplitChannel):
        return _ChannelStream(source, audio_format)
    name = "the audio" if isinstance(source, (bytes, bytearray)) else f"the {type_name(source)}"
    own_name = attribute_of(source, "name") or attribute_of(source, "__name__")
    if isinstance(own_name, str):
        name += f" {own_name!r}"
    source = body_of(source, audio_format.chunk_size)
    if attribute_of(source, "read") is not None:
        return _FileStream(source, name, audio_format)
    if is_bytes_like(source):
        return _BytesStream(source, name, audio_format)
    return _IterableStream(source, name, audio_format)


def is_bytes_like(source: object) -> bool:
    try:
        memoryview(source).release()  # type: ignore[arg-type]
    except TypeError:
        return False
    except Exception:  # it has a buffer that cannot be had: reading it will say why
        return True
    return True
