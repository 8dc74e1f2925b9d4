"""The bytes of a source of any kind, in pieces of whatever size it has.

An input hands over what its source gives. What the kinds share (cutting pieces to size, giving back
what was looked at, naming the source in an error) is in `Input`.
"""

from __future__ import annotations

import inspect
import io
import os
import select
import stat
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Optional, Union

from .._model.config import AudioEncoding, AudioFormat
from ..errors import AudioError
from .split_channels import WavChannel

if TYPE_CHECKING:
    import logging

    Logger = Union[logging.Logger, logging.LoggerAdapter[Any]]
    Piece = Union[bytes, memoryview]

__all__ = [
    "KINDS",
    "Input",
    "audio_view",
    "input_of",
    "is_bytes_like",
    "name_of_path",
    "type_name",
]

_END = object()
_LARGEST_PEEK = 1 << 16  # bytes asked of a source at once while looking for the samples
KINDS = (
    "a source is a path, a binary file object, bytes-like data, or an iterable of bytes-like chunks"
)


def audio_view(
    payload: object, audio_format: Optional[AudioFormat] = None, name: Optional[str] = None
) -> memoryview:
    """View bytes-like audio as single bytes, without a copy.

    Args:
        payload: Bytes-like data: bytes, bytearray, memoryview, array.array, a numpy array …
        audio_format: What the samples are to be, if that is known: an array of samples of another
            size is refused, since it would be heard as noise.
        name: What gave the payload, for the message of an error.

    Raises:
        AudioError: The payload is not bytes-like, not contiguous, or holds other samples.

    Example:
        >>> from array import array
        >>> audio_view(array("h", [1, 2])).nbytes
        4
    """
    giver = f"{name} gave" if name is not None else "the audio is"
    if isinstance(payload, str):
        raise AudioError(f'{giver} str, not bytes: open a file in binary mode, with open(…, "rb")')
    try:
        view = memoryview(payload)  # type: ignore[arg-type]
    except TypeError:
        hint = ""
        if isinstance(payload, (int, float)):
            hint = "; samples become bytes with array.array('h', samples).tobytes()"
        raise AudioError(f"{giver} {type_name(payload)}, not bytes{hint}") from None
    except (BufferError, ValueError) as error:
        raise AudioError(f"{giver} {type_name(payload)}, without bytes to read: {error}") from error
    try:
        _check_samples(view, payload, audio_format, giver)
    except AudioError:
        view.release()
        raise
    if view.format == "B" and view.ndim == 1:
        return view
    from pickle import PickleBuffer

    # memoryview.cast() refuses some layouts that are plain bytes all the same (ctypes arrays,
    # empty arrays of two dimensions); this does not.
    with view:
        return PickleBuffer(payload).raw()  # type: ignore[arg-type]


def _check_samples(
    view: memoryview, payload: object, audio_format: Optional[AudioFormat], giver: str
) -> None:
    kind = type_name(payload)
    if not view.c_contiguous:
        raise AudioError(
            f"{giver} {kind} that is not contiguous in memory (every second sample, one column …):"
            " copy it first, with .tobytes()"
        )
    if "O" in view.format:
        raise AudioError(f"{giver} {kind} of Python objects, not of samples")
    if view.itemsize == 1:
        return
    if view.format[:1] in (">", "!"):
        raise AudioError(f"{giver} {kind} of big-endian samples; the API takes little-endian ones")
    if audio_format is None or audio_format.encoding is None:
        return
    if view.itemsize != audio_format.bytes_per_sample:
        raise AudioError(
            f"{giver} {kind} of {view.itemsize}-byte samples, and the audio_format is"
            f" {AudioEncoding(audio_format.encoding).value}, with {audio_format.bytes_per_sample}"
            " bytes a sample: convert the samples, or name their encoding"
        )


class Input:
    """The bytes of one source, in order, each given once unless it is sent back.

    A subclass says how to get a piece of any size (`_piece`), what there is to close, and, if it
    can be read again, how to get to a byte of it (`_go_to`).

    Attributes:
        name: What the source is, for messages to the user.
        rereadable: Whether `seek` is possible.
    """

    def __init__(self, name: str, *, rereadable: bool = False) -> None:
        self.name = name
        self.rereadable = rereadable
        self._looked_at = bytearray()
        self._rest: Optional[memoryview] = None
        self._ended = False

    def length(self) -> Optional[int]:
        """The number of bytes to come, if that can be told without reading."""
        return None

    def peek(self, offset: int, size: int) -> bytes:
        """The bytes at an offset; they stay to be read. Fewer than `size` only at the end."""
        while len(self._looked_at) < offset + size:
            missing = offset + size - len(self._looked_at)
            piece = self._fetch(min(missing, _LARGEST_PEEK))
            if not piece:
                break
            self._looked_at += piece
        return bytes(self._looked_at[offset : offset + size])

    def skip(self, size: int) -> None:
        """Drop bytes that were looked at."""
        del self._looked_at[:size]

    def read(self, size: int) -> bytes:
        """The next bytes: `size` at most, fewer if the source gives fewer, b"" at the end."""
        if not self._looked_at:
            return self._fetch(size)
        # The few bytes that were looked at are no chunk of their own; what follows fills it up.
        head = bytes(self._looked_at[:size])
        del self._looked_at[:size]
        return head if len(head) == size else head + self._fetch(size - len(head))

    def seek(self, position: int) -> None:
        """Go on at this byte, counted from where the source stood when it was opened."""
        self._looked_at.clear()
        self._release()
        self._ended = False
        # Whether a file goes as far as this, only a read can tell: most let themselves be sent to
        # any place beyond their end.
        try:
            self._go_to(max(0, position - 1))
        except AudioError:
            raise
        except Exception as error:
            raise AudioError(
                f"{self.name} cannot be read again: {type(error).__name__}: {error}"
            ) from error
        if position and not self._fetch(1):
            raise AudioError(f"{self.name} cannot be read again: it ends before byte {position}")

    def close(self, logger: Logger) -> None:
        """Close what the library opened."""
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
        # A copy: the piece may be a buffer that the source fills anew.
        chunk = bytes(self._rest[:size])
        left = self._rest[size:]
        self._rest.release()
        self._rest = left if left else None
        return chunk

    def _next_piece(self, size: int) -> Piece:
        try:
            return self._piece(size)
        except AudioError:
            raise
        except Exception as error:
            raise AudioError(
                f"{self.name} cannot be read: {type(error).__name__}: {error}"
            ) from error

    def _piece(self, size: int) -> Piece:
        """Some more bytes, `size` of them if there is a choice; nothing at the end."""
        raise NotImplementedError

    def _go_to(self, position: int) -> None:
        """Make the byte at this position the first of the next piece."""
        raise NotImplementedError


class _FileInput(Input):
    """A binary file object of the user's, from where it stands."""

    def __init__(self, file: Any, name: str) -> None:
        origin = _origin(file)
        super().__init__(name, rereadable=origin is not None)
        self._file = file
        self._arrival = _arrival(file)
        self._origin = origin or 0

    def length(self) -> Optional[int]:
        return _bytes_left(self._file)

    def _piece(self, size: int) -> Piece:
        if self._arrival is None:
            piece = self._file.read(size)
        else:
            self._arrival.poll()
            piece = self._file.read1(size)
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
            raise AudioError(f"{self.name} is asynchronous, and this client is not: {KINDS}")
        return audio_view(piece, name=self.name)

    def _go_to(self, position: int) -> None:
        target = self._origin + position
        self._file.seek(target)
        reached = self._file.tell()
        if reached != target:
            raise AudioError(
                f"{self.name} cannot be read again: sent to byte {target}, it is at {reached}"
            )


class _PathInput(_FileInput):
    """A file that the library opens at the first read."""

    def __init__(self, path: Union[str, bytes], name: str) -> None:
        super().__init__(None, name)
        self._path = path
        self.rereadable = self.length() is not None

    def length(self) -> Optional[int]:
        try:
            return _regular_size(os.stat(self._path))
        except OSError:
            return None  # The open that follows says what is wrong.

    def close(self, logger: Logger) -> None:
        super().close(logger)
        if self._file is not None:
            self._file.close()

    def _piece(self, size: int) -> Piece:
        self._open()
        return super()._piece(size)

    def _go_to(self, position: int) -> None:
        self._open()
        super()._go_to(position)

    def _open(self) -> None:
        if self._file is None:
            # Without a buffer: a FIFO's bytes are handed on as they come.
            self._file = open(self._path, "rb", buffering=0)  # noqa: SIM115


class _BytesInput(Input):
    """Bytes-like data: one piece, which is cut and never copied as a whole."""

    def __init__(self, payload: object, name: str, audio_format: Optional[AudioFormat]) -> None:
        super().__init__(name, rereadable=True)
        self._payload = payload
        self._audio_format = audio_format
        self._go_to(0)
        self._length = 0 if self._rest is None else self._rest.nbytes

    def length(self) -> Optional[int]:
        return self._length

    def _go_to(self, position: int) -> None:
        # A view of its own each time: between the end and another reading the owner may resize it.
        view = audio_view(self._payload, self._audio_format)[position:]
        self._rest = view if view else None
        self._ended = True


class _IterableInput(Input):
    """The chunks of an iterable; a generator is closed."""

    def __init__(self, chunks: Any, name: str, audio_format: Optional[AudioFormat]) -> None:
        super().__init__(name)
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
            # The session ends for another reason, which must not be hidden behind this one.
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


class _ChannelInput(_IterableInput):
    """One channel of a recording, which can begin anywhere in it."""

    def __init__(self, channel: WavChannel, audio_format: Optional[AudioFormat]) -> None:
        super().__init__(channel, f"the {channel!r}", audio_format)
        self.rereadable = True
        self._channel = channel

    def _go_to(self, position: int) -> None:
        if isinstance(self._iterator, Generator):
            self._iterator.close()
        self._iterator = self._channel.pieces(position)


def input_of(source: Any, audio_format: Optional[AudioFormat]) -> Input:
    if isinstance(source, (str, os.PathLike)):
        return _PathInput(os.fspath(source), name_of_path(source))
    if isinstance(source, WavChannel):
        return _ChannelInput(source, audio_format)
    name = f"the {type_name(source)}"
    own_name = getattr(source, "name", None) or getattr(source, "__name__", None)
    if isinstance(own_name, str):
        name += f" {own_name!r}"
    if hasattr(source, "read"):
        return _FileInput(source, name)
    if is_bytes_like(source):
        return _BytesInput(source, name, audio_format)
    return _IterableInput(source, name, audio_format)


def _bytes_left(file: object) -> Optional[int]:
    # Only where position and length cost nothing: seeking to the end of a GzipFile reads it all.
    try:
        if isinstance(file, io.BytesIO):
            return max(0, file.getbuffer().nbytes - file.tell())
        raw = file.raw if isinstance(file, (io.BufferedReader, io.BufferedRandom)) else file
        if isinstance(raw, io.FileIO):
            size = _regular_size(os.fstat(raw.fileno()))
            return None if size is None else max(0, size - file.tell())  # type: ignore[attr-defined]
    except (OSError, ValueError):
        return None
    return None


def _origin(file: Any) -> Optional[int]:
    """Where a file object stands, if it can be sent back there later."""
    try:
        raw = file.raw if isinstance(file, (io.BufferedReader, io.BufferedRandom)) else file
        # A GzipFile calls itself seekable whatever it reads from, a pipe too.
        beneath = getattr(raw, "fileobj", raw)
        # Some devices can be sent anywhere, and give something new there.
        if isinstance(raw, io.FileIO) and _regular_size(os.fstat(raw.fileno())) is None:
            return None
        # SpooledTemporaryFile has no `seekable` before Python 3.11, mmap none before 3.13.
        if not all(part.seekable() for part in (file, beneath) if hasattr(part, "seekable")):
            return None
        position = file.tell()
        file.seek(position)  # Some say that they are seekable and are not.
    except Exception:
        # Whatever it is that fails: such a file can be read, only not twice.
        return None
    return position if isinstance(position, int) else None


def _arrival(file: object) -> Optional[select.poll]:
    """Return what waits for the bytes of a buffered pipe or terminal, such as ``sys.stdin.buffer``.

    To wait inside its ``read`` would hold the lock of its buffer, without which the interpreter
    aborts when it exits meanwhile.
    """
    if not isinstance(file, io.BufferedReader) or not hasattr(select, "poll"):
        return None
    try:
        number = file.fileno()
        if not isinstance(file.raw, io.FileIO) or not os.get_blocking(number):
            return None
        if _regular_size(os.fstat(number)) is not None:
            return None
    except (OSError, ValueError):
        return None
    arrival = select.poll()
    arrival.register(number, select.POLLIN)
    return arrival


def _regular_size(status: os.stat_result) -> Optional[int]:
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def is_bytes_like(source: object) -> bool:
    try:
        memoryview(source).release()  # type: ignore[arg-type]
    except TypeError:
        return False
    except (BufferError, ValueError):
        return True
    return True


def name_of_path(path: Any) -> str:
    return f"the file {os.fsdecode(path)!r}"


def type_name(source: object) -> str:
    return type(source).__name__
