"""Anything that becomes chunks of audio.

A source is a path, a binary file object (anything with ``read(n)``), bytes-like data, or an
iterable of bytes-like chunks. Opening and reading one may block for as long as it likes and cannot
be interrupted, so both belong in a thread of their own; only `check_source` returns at once.

What the kinds have in common is in `Input`, which hands over pieces of whatever size the source
has; what a chunk is, and where the audio of a WAV file ends, is in `AudioSource`.
"""

from __future__ import annotations

import inspect
import io
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import TYPE_CHECKING, Any, Optional

from .._logs import logger as _logger
from .._model.config import AudioFormat
from ..errors import AudioError, ConfigurationError
from .inputs import (
    KINDS,
    Input,
    audio_view,
    input_of,
    is_bytes_like,
    name_of_path,
    type_name,
)
from .wav import WavHeader, read_wav_header

if TYPE_CHECKING:
    from .inputs import Logger

__all__ = ["AudioSource", "audio_view", "check_realtime", "check_source", "open_source"]


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
        raise AudioError(f"{source.__name__!r} is a class, not audio: {KINDS}")
    elif _is_asynchronous(source):
        raise AudioError(
            f"{type_name(source)} is asynchronous, and this client is not: {KINDS}. Pass the file"
            " behind it, or read it first"
        )
    elif hasattr(source, "read"):
        _check_file(source)
    elif isinstance(source, (Mapping, Set)):
        raise AudioError(
            f"{type_name(source)} is not one stream of audio in order: {KINDS}. Several sources at"
            " once are for MultiChannelClient"
        )
    elif is_bytes_like(source):
        audio_view(source).release()
    elif not isinstance(source, Iterable) and not hasattr(source, "__getitem__"):
        called = " (call it, and pass what it returns)" if callable(source) else ""
        raise AudioError(f"{type_name(source)} is not audio{called}: {KINDS}")


def check_realtime(audio_format: AudioFormat) -> None:
    """Refuse to send a file at the speed it is spoken: only the server can tell that speed.

    Args:
        audio_format: What the audio is: checked at once if the caller names it, else as soon as
            the source was looked at.

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
        stream = input_of(source, audio_format)
        return AudioSource(stream, audio_format, total_bytes=stream.length(), logger=logger)
    stream = input_of(source, None)
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
            begin=header.data_offset,
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
        rereadable: Whether `seek` is possible: for the path of a regular file, bytes-like data, a
            file object that is seekable, and a channel of a recording that was split.
    """

    def __init__(
        self,
        stream: Input,
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
        self._begin = begin  # Where in the source the audio begins (bytes).
        self._data_size = data_size  # Where the audio of a WAV file ends; None: with the source.
        self._position = 0
        self._farthest = 0
        self._sought = False
        self._warned = False
        self.name = stream.name
        self.audio_format = audio_format
        self.prompt = stream.length() is not None
        self.rereadable = stream.rereadable
        self.total_seconds: Optional[float] = None
        self._chunk_size = audio_format.chunk_size
        if audio_format.encoding is not None:
            sample = audio_format.bytes_per_sample
            self._chunk_size -= self._chunk_size % sample if self._chunk_size > sample else 0
            if total_bytes is not None:
                self.total_seconds = total_bytes / sample / audio_format.sample_rate

    def __iter__(self) -> Iterator[bytes]:
        """Read the source to its end, chunk by chunk, as `read` does."""
        while True:
            chunk = self.read()
            if not chunk:
                return
            yield chunk

    def read(self) -> bytes:
        """Read the next chunk; b"" at the end, however often it is asked for.

        A chunk is as long as `chunk_size` at most, and shorter where the source gives less at a
        time: live audio does not wait until a chunk is full. Chunks are not aligned to samples.

        Raises:
            AudioError: The source cannot be opened or read, gives something else than bytes, or
                has become shorter since it was read before.
        """
        size = self._chunk_size
        if self._sought:
            size -= self._position % size
        if self._data_size is not None:
            size = min(size, self._data_size - self._position)
            if not size:
                return b""
        if self._closed:
            raise AudioError(f"{self.name} was closed before its end")
        chunk = self._stream.read(size)
        if chunk:
            self._sought = False
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
        """Read on from another place, also after the end; the next bytes are those that follow it.

        The first chunk that is read there ends where one does that begins a multiple of the chunk
        size after the start, so that the chunks of a file are the same as before. What has changed
        in the source since the last reading is read as it is now. A source that cannot get there
        is closed. May block as a read may.

        Args:
            position: Where to go on (bytes of audio, of those that `read` gives).

        Raises:
            AudioError: The source does not go as far, or fails; the error names it.
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
            # It stands somewhere, and nothing must be taken for the audio of another place.
            self.close()
            raise
        self._position = position
        self._sought = True

    def close(self) -> None:
        """Close what the library opened, and a generator; a user's own file object stays open."""
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


def _check_path(path: Any) -> None:
    name = name_of_path(path)
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise AudioError(f"{name} cannot be read: {error}") from error
    if stat.S_ISDIR(status.st_mode):
        raise AudioError(f"{name} cannot be read: it is a directory")


def _check_file(file: Any) -> None:
    if isinstance(file, io.TextIOBase):
        raise AudioError(
            f"the {type_name(file)} is open in text mode: open it in binary mode, with"
            ' open(…, "rb")'
        )
    if not callable(file.read):
        raise AudioError(f"the read of {type_name(file)} cannot be called: {KINDS}")
    if isinstance(file, io.IOBase):
        if file.closed:
            raise AudioError(f"the {type_name(file)} is closed")
        if not file.readable():
            raise AudioError(f'the {type_name(file)} is not open for reading: open it with "rb"')


def _is_asynchronous(source: object) -> bool:
    return (
        inspect.isawaitable(source)
        or hasattr(source, "__aiter__")
        or inspect.iscoroutinefunction(getattr(source, "read", None))
    )
