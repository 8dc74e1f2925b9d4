"""Sources of audio, and their audio in chunks.

A source is a path, a binary file object (anything with ``read(n)``), bytes-like data, or an
iterable of bytes-like chunks. Opening and reading a source may block, and cannot be interrupted:
do both in a thread of their own. Only `check_source` returns at once.

`ByteStream` reads the bytes of any kind of source. `AudioSource` cuts them into chunks, and knows
where the audio of a WAV file begins and ends.
"""

from __future__ import annotations

import inspect
import io
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import TYPE_CHECKING, Any, Optional

from .._logs import logger as _logger
from .._model.audio_format import AudioFormat
from ..errors import AudioError, ConfigurationError, InvalidAudioError
from .byte_streams import (
    SOURCE_KINDS,
    ByteStream,
    audio_view,
    byte_stream_of,
    is_bytes_like,
    path_name,
    type_name,
)
from .wav import WavHeader, read_wav_header

if TYPE_CHECKING:
    from .byte_streams import Logger

__all__ = ["AudioSource", "audio_view", "check_realtime", "check_source", "open_source"]


def check_source(source: object) -> None:
    """Refuse what cannot be a source, without opening or reading it.

    Args:
        source: The caller's source.

    Raises:
        AudioError: ``source`` is none of the four kinds of source, the path of a directory or of
            no file, a file that is closed, in text mode or not open for reading, or an array that
            is not contiguous.

    Example:
        >>> check_source("audio.wav")
        >>> check_source("/")
        Traceback (most recent call last):
        speechmatics_sync.AudioError: the file '/' cannot be read: it is a directory
    """
    if isinstance(source, (str, os.PathLike)):
        _check_path(source)
    elif isinstance(source, type):
        raise InvalidAudioError(f"{source.__name__!r} is a class, not audio: {SOURCE_KINDS}")
    elif _is_asynchronous(source):
        raise InvalidAudioError(
            f"{type_name(source)} is asynchronous, and this client is not: {SOURCE_KINDS}. Pass "
            "the file behind it, or read it first"
        )
    elif hasattr(source, "read"):
        _check_file(source)
    elif isinstance(source, (Mapping, Set)):
        raise InvalidAudioError(
            f"{type_name(source)} is not one stream of audio in order: {SOURCE_KINDS}. Several "
            "sources at once are for MultiChannelClient"
        )
    elif is_bytes_like(source):
        audio_view(source).release()
    elif not isinstance(source, Iterable) and not hasattr(source, "__getitem__"):
        called = " (call it, and pass what it returns)" if callable(source) else ""
        raise InvalidAudioError(f"{type_name(source)} is not audio{called}: {SOURCE_KINDS}")


def check_realtime(audio_format: AudioFormat) -> None:
    """Refuse ``realtime`` for a file, whose speed only the server can tell.

    Args:
        audio_format: The format of the audio. To be called when it is known: at once if the caller
            passed it, else when the source has been opened.

    Raises:
        ConfigurationError: The audio is a file.
    """
    if audio_format.encoding is None:
        raise ConfigurationError(
            "realtime=True is for raw audio, and this audio goes as a file: pass an audio_format "
            "with an encoding, or leave realtime out."
        )


def open_source(
    source: object, audio_format: Optional[AudioFormat] = None, *, logger: Logger = _logger
) -> AudioSource:
    """Open a source, and take the audio format from it if none is passed.

    With an ``audio_format``, nothing is opened or read before the first chunk. Without one, this
    reads the beginning of the source, and may block: a mono WAV of samples that the API takes raw
    (16-bit, float32, mu-law) becomes raw audio, without its header; anything else is a file, and
    is sent unchanged.

    Args:
        source: A path, a binary file object, bytes-like data, or an iterable of bytes-like chunks.
        audio_format: The format of the bytes; None: take it from the source.
        logger: Gets a warning if a WAV file is shorter than its header says, or if a generator
            fails when it is closed.

    Raises:
        AudioError: ``source`` is no source, or cannot be opened or read.

    Example:
        >>> source = open_source("audio.wav")
        >>> source.audio_format.sample_rate
        16000
        >>> for chunk in source:
        ...     print(len(chunk))
        >>> source.close()
    """
    check_source(source)
    stream = byte_stream_of(source, audio_format)
    if audio_format is not None:
        return AudioSource(stream, audio_format, total_bytes=stream.length(), logger=logger)
    try:
        length = stream.length()
        header = read_wav_header(stream.peek)
        wav_format = None if header is None else _raw_format(header)
        if header is None or wav_format is None:
            return AudioSource(stream, AudioFormat(), logger=logger)
        stream.skip(header.data_offset)
        data_size, total_bytes = _sizes(header, length)
        return AudioSource(
            stream,
            wav_format,
            begin=header.data_offset,
            total_bytes=total_bytes,
            data_size=data_size,
            logger=logger,
        )
    except BaseException:
        stream.close(logger)
        raise


class AudioSource:
    """The audio of one source in chunks that are ready to send.

    Made by `open_source`. Not thread-safe.

    Attributes:
        name: The source, for error messages.
        audio_format: The format of the chunks: as passed, or as found in the source.
        total_seconds: The length of the audio in seconds, or None if not known before its end.
        at_hand: Whether all audio exists already, so that no read waits for more.
        rereadable: Whether `seek` is possible: for the path of a regular file, bytes-like data, a
            seekable file object, and a channel from `split_channels`.
    """

    def __init__(
        self,
        stream: ByteStream,
        audio_format: AudioFormat,
        *,
        begin: int = 0,
        total_bytes: Optional[int] = None,
        data_size: Optional[int] = None,
        logger: Logger = _logger,
    ) -> None:
        self._stream = stream
        self._logger = logger
        self._closed = False
        self._begin = begin  # where in the source the audio begins, in bytes
        self._data_size = data_size  # bytes of audio in a WAV file; None: to the source's end
        self._position = 0
        self._farthest = 0
        self._after_seek = False
        self._warned = False
        self.name = stream.name
        self.audio_format = audio_format
        self.at_hand = stream.length() is not None
        self.rereadable = stream.rereadable
        self.total_seconds: Optional[float] = None
        self._chunk_size = audio_format.chunk_size
        if audio_format.encoding is not None:
            sample = audio_format.bytes_per_sample
            self._chunk_size -= self._chunk_size % sample if self._chunk_size > sample else 0
            if total_bytes is not None:
                self.total_seconds = total_bytes / sample / audio_format.sample_rate

    def __iter__(self) -> Iterator[bytes]:
        """Read chunks until the source ends."""
        while True:
            chunk = self.read()
            if not chunk:
                return
            yield chunk

    def read(self) -> bytes:
        """Return the next chunk, or b"" at the end.

        A chunk has at most ``audio_format.chunk_size`` bytes, and fewer if the source gives fewer:
        live audio does not wait until a chunk is full. A chunk may end within a sample.

        Raises:
            AudioError: The source cannot be opened or read, gives something other than bytes, or
                is shorter than when it was read before.
        """
        size = self._chunk_size
        if self._after_seek:
            size -= self._position % size
        if self._data_size is not None:
            size = min(size, self._data_size - self._position)
            if not size:
                return b""
        if self._closed:
            raise AudioError(f"{self.name} was closed before its end")
        chunk = self._stream.read(size)
        if chunk:
            self._after_seek = False
            self._position += len(chunk)
            self._farthest = max(self._farthest, self._position)
        elif self._position < self._farthest:
            raise AudioError(
                f"{self.name} has become shorter: {self._farthest} bytes of audio were read, and"
                f" now it ends after {self._position}"
            )
        else:
            self._warn_if_cut_short()
        return chunk

    def seek(self, position: int) -> None:
        """Continue reading at another position, also after the end. May block.

        The first chunk after it is cut so that the following ones begin at multiples of the chunk
        size, as they did before. A source that cannot be moved there is closed.

        Args:
            position: Bytes of audio from its start, as `read` returns them.

        Raises:
            AudioError: The source ends before the position, or cannot be read again.
            RuntimeError: The source is not `rereadable`.
            ValueError: The position is negative.
        """
        if not self.rereadable:
            raise RuntimeError(f"{self.name} cannot be read again")
        if position < 0:
            raise ValueError(f"position is {position}; allowed: 0 and more")
        if self._closed:
            raise AudioError(f"{self.name} was closed before its end")
        try:
            if self._data_size is not None and position > self._data_size:
                raise AudioError(
                    f"{self.name} cannot be read again: its audio ends before byte {position}"
                )
            self._stream.seek(self._begin + position)
        except BaseException:
            # Its position is unknown: never send that audio as if it came from elsewhere.
            self.close()
            raise
        self._position = position
        self._after_seek = True

    def close(self) -> None:
        """Close the file of a path, and a generator. A file object of the caller stays open."""
        if not self._closed:
            self._closed = True
            self._stream.close(self._logger)

    def _warn_if_cut_short(self) -> None:
        if self._data_size is not None and not self._warned:
            self._warned = True
            self._logger.warning(
                "%s is cut short: its WAV header promises %d bytes of audio, and it holds %d;"
                " those are transcribed",
                self.name,
                self._data_size,
                self._position,
            )


def _raw_format(header: WavHeader) -> Optional[AudioFormat]:
    if header.channels != 1 or header.encoding is None:
        return None
    try:
        return AudioFormat(encoding=header.encoding, sample_rate=header.sample_rate)
    except ConfigurationError:
        return None  # a rate that the API does not take raw; it may take the file


def _sizes(header: WavHeader, length: Optional[int]) -> tuple[Optional[int], Optional[int]]:
    """Return where the audio of a WAV source ends by its header, and how many bytes there are.

    The first is None if the header does not tell: a placeholder must not cut off a live stream.
    The second is None if nothing tells before the source ends.
    """
    if length is None:
        size = header.data_size if header.data_size_is_certain else None
        return size, size
    left = length - header.data_offset
    if header.data_size_is_certain or 0 < header.data_size <= left:
        return header.data_size, min(header.data_size, left)
    return None, left


def _check_path(path: Any) -> None:
    name = path_name(path)
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise AudioError(f"{name} cannot be read: {error}") from error
    if stat.S_ISDIR(status.st_mode):
        raise AudioError(f"{name} cannot be read: it is a directory")


def _check_file(file: Any) -> None:
    if isinstance(file, io.TextIOBase):
        raise InvalidAudioError(
            f"the {type_name(file)} is open in text mode: open it in binary mode, with"
            ' open(…, "rb")'
        )
    if not callable(file.read):
        raise InvalidAudioError(f"the read of {type_name(file)} cannot be called: {SOURCE_KINDS}")
    if isinstance(file, io.IOBase):
        if file.closed:
            raise InvalidAudioError(f"the {type_name(file)} is closed")
        if not file.readable():
            raise InvalidAudioError(
                f'the {type_name(file)} is not open for reading: open it with "rb"'
            )


def _is_asynchronous(source: object) -> bool:
    return (
        inspect.isawaitable(source)
        or hasattr(source, "__aiter__")
        or inspect.iscoroutinefunction(getattr(source, "read", None))
    )
