"""Anything that becomes chunks of audio.

A source is a path, a binary file object (anything with ``read(n)``), bytes-like data, or an
iterable of bytes-like chunks. Opening and reading one may block for as long as it likes and cannot
be interrupted, so both belong in a thread of their own; only `check_source` returns at once.

Each kind of source is an input that hands over pieces of whatever size it has. What an input shares
with the others (cutting pieces to size, giving back what was looked at, naming the source in an
error) is in `_Input`; what a chunk is, and where the audio of a WAV file ends, is in `AudioSource`.
"""

from __future__ import annotations

import inspect
import io
import os
import select
import stat
from collections.abc import Generator, Iterable, Iterator, Mapping, Set
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any, Optional, Union

from .config import AudioEncoding, AudioFormat
from .errors import AudioError, ConfigurationError
from .logs import logger as _logger
from .wav import WavHeader, read_wav_header

if TYPE_CHECKING:
    import logging

    Logger = Union[logging.Logger, logging.LoggerAdapter[Any]]
    Piece = Union[bytes, memoryview]

__all__ = ["AudioSource", "audio_view", "check_source", "open_source"]

_END = object()
_LARGEST_PEEK = 1 << 16  # bytes asked of a source at once while looking for the samples
_KINDS = (
    "a source is a path, a binary file object, bytes-like data, or an iterable of bytes-like chunks"
)


def check_source(source: object) -> None:
    """Refuse at once what can never be a source, without opening or reading it.

    Args:
        source: What the user wants transcribed.

    Raises:
        AudioError: It is none of the four kinds of source, a path where there is no file, a file
            in text mode, not open for reading, or closed, or an array that is not contiguous.

    Example:
        >>> check_source("audio.wav")
        >>> check_source("/")
        Traceback (most recent call last):
        speechmatics_sync.errors.AudioError: the file '/' cannot be read: it is a directory
    """
    if isinstance(source, (str, os.PathLike)):
        _check_path(source)
    elif isinstance(source, type):
        raise AudioError(f"{source.__name__!r} is a class, not audio: {_KINDS}")
    elif _is_asynchronous(source):
        raise AudioError(
            f"{_kind(source)} is asynchronous, and this client is not: {_KINDS}. Pass the file"
            " behind it, or read it first"
        )
    elif hasattr(source, "read"):
        _check_file(source)
    elif isinstance(source, (Mapping, Set)):
        raise AudioError(
            f"{_kind(source)} is not one stream of audio in order: {_KINDS}. Several sources at"
            " once are for MultiChannelClient"
        )
    elif _is_bytes_like(source):
        audio_view(source).release()
    elif not isinstance(source, Iterable) and not hasattr(source, "__getitem__"):
        called = " (call it, and pass what it returns)" if callable(source) else ""
        raise AudioError(f"{_kind(source)} is not audio{called}: {_KINDS}")


def open_source(
    source: object, audio_format: Optional[AudioFormat] = None, *, logger: Logger = _logger
) -> AudioSource:
    """Open a source; find out what its audio is if nobody says.

    With an `audio_format` nothing is opened or read before the first chunk is asked for. Without
    one, the beginning is looked at: a mono WAV whose samples the API takes raw (16-bit, float32,
    mu-law) becomes raw audio with its own rate, its header taken off; everything else is a file,
    byte for byte. In that case this call may block as long as a read of the source may.

    Args:
        source: A path, a binary file object, bytes-like data, or an iterable of bytes-like chunks.
        audio_format: What the bytes are, or None to find out.
        logger: Where to warn of a WAV file that is shorter than its header says, and of a
            generator that cannot be closed.

    Raises:
        AudioError: The source is none, or cannot be opened or read.

    Example:
        >>> source = open_source("audio.wav")
        >>> source.audio_format.sample_rate
        16000
        >>> for chunk in source:
        ...     print(len(chunk))
        >>> source.close()
    """
    check_source(source)
    if audio_format is not None:
        stream = _input(source, audio_format)
        return AudioSource(stream, audio_format, total_bytes=stream.length(), logger=logger)
    stream = _input(source, None)
    try:
        length = stream.length()
        header = read_wav_header(stream.peek)
        wav_format = None if header is None else _raw_format(header)
        if header is None or wav_format is None:
            return AudioSource(stream, AudioFormat(), logger=logger)
        stream.skip(header.data_offset)
        return AudioSource(
            stream,
            wav_format,
            total_bytes=_audio_length(header, length),
            data_size=_data_size(header, length),
            logger=logger,
        )
    except BaseException:
        stream.close(logger)
        raise


class AudioSource:
    """The audio of one source, as chunks that are ready to be sent.

    Made by `open_source`. Not for use by several threads at once.

    Attributes:
        name: What the source is, for messages to the user.
        audio_format: What the chunks are: as given, or as the source's beginning says.
        total_seconds: How long the audio is, or None where that is not known before its end.
        prompt: Whether all of it is at hand, so that no read waits for audio still to come.
    """

    def __init__(
        self,
        stream: _Input,
        audio_format: AudioFormat,
        *,
        total_bytes: Optional[int] = None,
        data_size: Optional[int] = None,
        logger: Logger = _logger,
    ) -> None:
        self._stream = stream
        self._logger = logger
        self._closed = False
        self._data_size = data_size  # Where the audio of a WAV file ends; None: with the source.
        self._left = data_size
        self.name = stream.name
        self.audio_format = audio_format
        self.prompt = stream.length() is not None
        self.total_seconds: Optional[float] = None
        if audio_format.encoding is not None and total_bytes is not None:
            samples = total_bytes / audio_format.bytes_per_sample
            self.total_seconds = samples / audio_format.sample_rate

    def __iter__(self) -> Iterator[bytes]:
        """Read the source, chunk by chunk.

        A chunk is as long as `chunk_size` at most, and shorter where the source gives less at a
        time: live audio does not wait until a chunk is full. Chunks are not aligned to samples.

        Raises:
            AudioError: The source cannot be opened or read, or gives something else than bytes.
        """
        size = self._chunk_size()
        while self._left != 0:
            if self._closed:
                raise AudioError(f"{self.name} was closed before its end")
            chunk = self._stream.read(size if self._left is None else min(size, self._left))
            if not chunk:
                self._warn_if_cut_short()
                return
            if self._left is not None:
                self._left -= len(chunk)
            yield chunk

    def close(self) -> None:
        """Close what the library opened, and a generator; a user's own file object stays open."""
        if not self._closed:
            self._closed = True
            self._stream.close(self._logger)

    def _chunk_size(self) -> int:
        size = self.audio_format.chunk_size
        if self.audio_format.encoding is None:
            return size
        return size - size % self.audio_format.bytes_per_sample or size

    def _warn_if_cut_short(self) -> None:
        if self._data_size is not None and self._left:
            self._logger.warning(
                "%s is cut short: its WAV header promises %d bytes of audio, and it holds %d;"
                " those are transcribed",
                self.name,
                self._data_size,
                self._data_size - self._left,
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
        raise AudioError(f"{giver} {_kind(payload)}, not bytes{hint}") from None
    except (BufferError, ValueError) as error:
        raise AudioError(f"{giver} {_kind(payload)}, without bytes to read: {error}") from error
    with view:
        _check_samples(view, payload, audio_format, giver)
    # memoryview.cast() refuses some layouts that are plain bytes all the same (ctypes arrays,
    # empty arrays of two dimensions); this does not.
    return PickleBuffer(payload).raw()  # type: ignore[arg-type]


def _check_samples(
    view: memoryview, payload: object, audio_format: Optional[AudioFormat], giver: str
) -> None:
    kind = _kind(payload)
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


class _Input:
    """The bytes of one source, in order, each given once.

    A subclass says how to get a piece of any size (`_piece`), and what there is to close.
    """

    def __init__(self, name: str) -> None:
        self.name = name
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

    def close(self, logger: Logger) -> None:
        """Close what the library opened."""
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


class _FileInput(_Input):
    """A binary file object of the user's, from where it stands."""

    def __init__(self, file: Any, name: str) -> None:
        super().__init__(name)
        self._file = file
        self._arrival = _arrival(file)

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
            raise AudioError(f"{self.name} is asynchronous, and this client is not: {_KINDS}")
        return audio_view(piece, name=self.name)


class _PathInput(_FileInput):
    """A file that the library opens at the first read."""

    def __init__(self, path: Union[str, bytes], name: str) -> None:
        super().__init__(None, name)
        self._path = path

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
        if self._file is None:
            # Without a buffer: a FIFO's bytes are handed on as they come.
            self._file = open(self._path, "rb", buffering=0)  # noqa: SIM115
        return super()._piece(size)


class _BytesInput(_Input):
    """Bytes-like data: one piece, which is cut and never copied as a whole."""

    def __init__(self, payload: object, name: str, audio_format: Optional[AudioFormat]) -> None:
        super().__init__(name)
        view = audio_view(payload, audio_format)
        self._length = view.nbytes
        self._rest = view if view else None
        self._ended = True

    def length(self) -> Optional[int]:
        return self._length


class _IterableInput(_Input):
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


def _input(source: Any, audio_format: Optional[AudioFormat]) -> _Input:
    if isinstance(source, (str, os.PathLike)):
        return _PathInput(os.fspath(source), _path_name(source))
    name = f"the {_kind(source)}"
    own_name = getattr(source, "name", None) or getattr(source, "__name__", None)
    if isinstance(own_name, str):
        name += f" {own_name!r}"
    if hasattr(source, "read"):
        return _FileInput(source, name)
    if _is_bytes_like(source):
        return _BytesInput(source, name, audio_format)
    return _IterableInput(source, name, audio_format)


def _raw_format(header: WavHeader) -> Optional[AudioFormat]:
    if header.channels != 1 or header.encoding is None:
        return None
    try:
        return AudioFormat(encoding=header.encoding, sample_rate=header.sample_rate)
    except ConfigurationError:
        return None  # A rate the API does not take raw; it may still take the file.


def _data_size(header: WavHeader, length: Optional[int]) -> Optional[int]:
    """Where the audio of a WAV source ends, or None: where the source does.

    A placeholder may lie within a stream that never ends, and must not cut it off.
    """
    if header.data_size_is_certain:
        return header.data_size
    fits = length is not None and 0 < header.data_size <= length - header.data_offset
    return header.data_size if fits else None


def _audio_length(header: WavHeader, length: Optional[int]) -> Optional[int]:
    """How many bytes of audio a WAV source holds, by its header and by its length."""
    size = _data_size(header, length)
    if length is None:
        return size
    return length - header.data_offset if size is None else min(size, length - header.data_offset)


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


def _check_path(path: Any) -> None:
    name = _path_name(path)
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise AudioError(f"{name} cannot be read: {error}") from error
    if stat.S_ISDIR(status.st_mode):
        raise AudioError(f"{name} cannot be read: it is a directory")


def _check_file(file: Any) -> None:
    if isinstance(file, io.TextIOBase):
        raise AudioError(
            f'the {_kind(file)} is open in text mode: open it in binary mode, with open(…, "rb")'
        )
    if not callable(file.read):
        raise AudioError(f"the read of {_kind(file)} cannot be called: {_KINDS}")
    if isinstance(file, io.IOBase):
        if file.closed:
            raise AudioError(f"the {_kind(file)} is closed")
        if not file.readable():
            raise AudioError(f'the {_kind(file)} is not open for reading: open it with "rb"')


def _is_asynchronous(source: object) -> bool:
    return (
        inspect.isawaitable(source)
        or hasattr(source, "__aiter__")
        or inspect.iscoroutinefunction(getattr(source, "read", None))
    )


def _is_bytes_like(source: object) -> bool:
    try:
        memoryview(source).release()  # type: ignore[arg-type]
    except TypeError:
        return False
    except (BufferError, ValueError):
        return True
    return True


def _path_name(path: Any) -> str:
    return f"the file {os.fsdecode(path)!r}"


def _kind(source: object) -> str:
    return type(source).__name__
