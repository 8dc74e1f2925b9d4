"""The channels of a WAV file, or of an array of samples, as sources of their own."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Callable, Literal, Optional, Protocol, TypeVar, Union

from .._logs import logger
from ..errors import AudioError, ConfigurationError, InvalidAudioError
from .buffers import channels_view
from .file_objects import attribute_of, path_error, path_name, reason_of, start_of
from .samples import StoredSamples, converted
from .wav import MORE_AUDIO, WavHeader, holds_more_audio, read_wav_header

__all__ = [
    "ArrayChannel",
    "Separable",
    "SplitChannel",
    "WavChannel",
    "labels_of",
    "split_known",
]

_FRAMES = 4096
"""Frames to read at once: half a second of telephone speech."""

# The struct code of a sample by its size alone: samples are copied, not computed with.
_SAMPLE_CODES: dict[int, Literal["H", "I", "B"]] = {2: "H", 4: "I", 1: "B"}

_Result = TypeVar("_Result")

_LARGEST_SIZE = 0x7FFEFFFF
"""Bytes of samples in a WAV file, above which readers take the size for that of a live stream."""

_FORMAT_TAGS = {"pcm_s16le": 1, "pcm_f32le": 3, "mulaw": 7}


class _File(Protocol):
    def read(self, size: int, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...


class _SharedFile:
    """A file object of the caller, read from where it stands and left there.

    Its channels are read in several threads.
    """

    def __init__(self, file: Any) -> None:
        start = start_of(file)
        self.name = f"the {type(file).__name__}"
        if start is None:
            raise AudioError(
                f"{self.name} cannot be read once for each of its channels: save it to a file, and"
                " pass its path"
            )
        self._file = file
        self._start = start
        self._lock = threading.Lock()
        """Guards the place where the file stands."""

    def size(self) -> int:
        return self._at(lambda: int(self._file.seek(0, os.SEEK_END)) - self._start)

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes from a place; fewer only at the end."""

        def read() -> bytes:
            self._file.seek(self._start + offset)
            data: Any = b""
            while len(data) < size and (piece := self._file.read(size - len(data))):
                data += piece
            return bytes(data)

        return self._at(read)

    def _at(self, call: Callable[[], _Result]) -> _Result:
        try:
            with self._lock:
                stood = self._file.tell()
                try:
                    return call()
                finally:
                    self._file.seek(stood)
        except Exception as error:
            raise AudioError(
                f"{self.name} cannot be read: {type(error).__name__}: {reason_of(error)}"
            ) from error


class _Cursor:
    """Reads a shared file from a place of its own."""

    def __init__(self, file: _SharedFile) -> None:
        self._file = file
        self._position = 0

    def read(self, size: int, /) -> bytes:
        data = self._file.read(self._position, size)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._position = offset + (self._file.size() if whence == os.SEEK_END else 0)
        return self._position


Recording = Union[str, "os.PathLike[str]", bytes]
_Opened = Union[Recording, _SharedFile]


class Separable(ABC):
    """A source that can give each of its channels as a source of its own."""

    @property
    @abstractmethod
    def _channel_count(self) -> int:
        """How many channels it has."""

    @abstractmethod
    def _channel_sources(self) -> Sequence[Any]:
        """Return a source for each channel, in place of the whole.

        Raises:
            AudioError: It is being read already.
        """


class SplitChannel(ABC):
    """One channel of a recording, which can be read from any position, and again."""

    def __iter__(self) -> Iterator[Union[bytes, memoryview]]:
        return self.pieces()

    @abstractmethod
    def pieces(self, position: int = 0) -> Iterator[Union[bytes, memoryview]]:
        """Read the channel from any position on.

        Args:
            position: Where to begin, in bytes. Pieces end where they do without it.

        Raises:
            AudioError: The recording cannot be opened.
        """

    def length(self) -> Optional[int]:
        """Return how many bytes there are, or None if only reading can tell."""
        return None


class ArrayChannel(SplitChannel):
    """A source that gives one channel of an array of samples.

    Made by `split_channels`. The array is never copied as a whole.
    """

    def __init__(self, array: Any, index: int) -> None:
        self._array = array
        self._index = index

    def __repr__(self) -> str:
        return f"ArrayChannel({type(self._array).__name__}, index={self._index})"

    def pieces(self, position: int = 0) -> Iterator[memoryview]:
        with channels_view(self._array) as view:
            frames, count = _shape(view)
            # Views that know their element type are held to the format; bytes would not be.
            code: Any = "b" if view.itemsize == 1 else view.format[-1]
            frame, cut = divmod(position, view.itemsize)
            while frame < frames:
                end = frame - frame % _FRAMES + _FRAMES
                # Copied first: whatever the order in memory, one frame follows another then.
                part = memoryview(view[frame:end].tobytes()).cast(code)
                samples = part[self._index :: count].tobytes()
                yield memoryview(samples[cut:]) if cut else memoryview(samples).cast(code)
                frame, cut = end, 0

    def length(self) -> int:
        with channels_view(self._array) as view:
            return _shape(view)[0] * view.itemsize


class WavChannel(SplitChannel):
    """A source that gives one channel of a recording as a mono WAV file.

    Made by `split_channels`. Each iteration opens the recording, and closes it at the end.
    """

    def __init__(
        self, recording: _Opened, size: int, header: WavHeader, samples: StoredSamples, index: int
    ) -> None:
        self._recording = recording
        self._size = size
        self._header = header
        self._samples = samples
        self._index = index

    def __repr__(self) -> str:
        return f"WavChannel({_name(self._recording)}, index={self._index})"

    def pieces(self, position: int = 0) -> Iterator[bytes]:
        header, samples = self._header, self._samples
        mono = self._mono_header()
        frame, cut = divmod(max(0, position - len(mono)), samples.sent_size)
        offset = frame * header.frame_size
        left = max(0, header.data_size - offset) if header.data_size_is_certain else None
        with _opened(self._recording) as file:
            file.seek(header.data_offset + offset)
            if position < len(mono):
                yield mono[position:]
            size = (_FRAMES - frame % _FRAMES) * header.frame_size
            while True:
                frames = file.read(size if left is None else min(size, left))
                if left is not None:
                    left -= len(frames)
                # The last frame of a file may be incomplete.
                frames = frames[: len(frames) - len(frames) % header.frame_size]
                if not frames:
                    return
                whole = memoryview(converted(frames, samples)).cast(
                    _SAMPLE_CODES[samples.sent_size]
                )
                yield whole[self._index :: header.channels].tobytes()[cut:]
                size, cut = _FRAMES * header.frame_size, 0

    def length(self) -> int:
        header = self._header
        left = max(0, self._size - header.data_offset)
        if header.data_size_is_certain:
            left = min(left, header.data_size)
        return len(self._mono_header()) + left // header.frame_size * self._samples.sent_size

    def _mono_header(self) -> bytes:
        header, size = self._header, self._samples.sent_size
        data_size = 0
        if header.data_size_is_certain:
            data_size = header.data_size // header.frame_size * size
        if data_size > _LARGEST_SIZE:
            data_size = 0  # to the end
        return struct.pack(
            "<4sI4s4sIHHIIHH4sI",
            *(b"RIFF", data_size + 36, b"WAVE", b"fmt ", 16),
            *(_FORMAT_TAGS[self._samples.encoding.value], 1, header.sample_rate),
            *(header.sample_rate * size & 0xFFFFFFFF, size, size * 8, b"data", data_size),
        )


def split_known(recording: Any, labels: Optional[Sequence[str]] = None) -> Optional[dict[str, Any]]:
    """Return a source for each channel of a recording whose samples are known here.

    Returns:
        The sources by label; None for what has to be decoded, which stays as it was.

    Raises:
        AudioError: The recording cannot be read, or is an array of another kind.
        ConfigurationError: There is not one label for each channel, or a label comes twice.
    """
    if isinstance(recording, Separable):
        names = labels_of(labels, recording._channel_count, repr(recording))
        return dict(zip(names, recording._channel_sources()))
    opened = _wav_file(recording)
    if opened is not None:
        found = _look_at(opened)
        if found is None:
            return None
        size, header, samples = found
        names = labels_of(labels, header.channels, _name(opened))
        return {
            label: WavChannel(opened, size, header, samples, index)
            for index, label in enumerate(names)
        }
    with channels_view(recording) as view:
        frames, count = _shape(view)
        if 0 < frames < count and (labels is None or len(labels) != count):
            raise InvalidAudioError(
                f"an array to split is of the shape n × channels, and this one is of"
                f" {frames} × {count}: pass its transpose, in numpy samples.T"
            )
    names = labels_of(labels, count, f"the {type(recording).__name__}")
    return {label: ArrayChannel(recording, index) for index, label in enumerate(names)}


def _wav_file(recording: Any) -> Optional[_Opened]:
    """Return a recording that is a file, or the content of one; None for anything else."""
    if isinstance(recording, (str, os.PathLike, bytes)):
        return recording
    if attribute_of(recording, "read") is not None:
        return _SharedFile(recording)
    try:
        with memoryview(recording) as view:
            return bytes(view) if view.ndim == 1 and view.format in ("B", "c") else None
    except Exception:
        return None  # `channels_view` says what it is


def _shape(view: memoryview) -> tuple[int, int]:
    frames, channels = view.shape or (0, 0)
    return frames, channels


def _look_at(recording: _Opened) -> Optional[tuple[int, WavHeader, StoredSamples]]:
    """Return the size of a WAV file, its header, and what its samples are.

    None for what is no WAV file, or one of compressed samples.
    """
    name = _name(recording)
    with _opened(recording) as file:

        def peek(offset: int, size: int) -> bytes:
            file.seek(offset)
            return file.read(size)

        header = read_wav_header(peek)
        size = file.seek(0, os.SEEK_END)
        end = 0 if header is None else header.data_offset + header.data_size
        if header is not None and header.data_size_is_certain and end < size:
            file.seek(end)
            if holds_more_audio(file.read, header, header.data_size, to_the_end=True):
                logger.warning(MORE_AUDIO, name, header.data_size)
    if header is None or header.is_compressed:
        return None
    if header.encoding is None or header.samples is None:
        raise AudioError(
            f"{name} has samples that the API does not take raw ({header.description}): "
            "convert it to integers, float, A-law or mu-law first."
        )
    return size, header, header.samples


def labels_of(labels: Optional[Sequence[str]], count: int, name: str) -> Sequence[str]:
    if labels is None:
        return [str(number + 1) for number in range(count)]
    if isinstance(labels, str) or not all(isinstance(label, str) and label for label in labels):
        raise ConfigurationError(f"labels is {labels!r}; allowed: a list of names")
    if len(labels) != count:
        has = "one channel" if count == 1 else f"{count} channels"
        cure = "transcribe it without naming channels" if count == 1 else f"name all {count}"
        raise ConfigurationError(
            f"{name} has {has}, and {len(labels)} {'was' if len(labels) == 1 else 'were'} named"
            f" ({', '.join(labels)}): {cure}"
        )
    if len(set(labels)) != len(labels):
        raise ConfigurationError(
            f"labels is {list(labels)!r}; allowed: {count} different names, for the channels of"
            f" {name}"
        )
    return labels


@contextlib.contextmanager
def _opened(recording: _Opened) -> Iterator[_File]:
    if isinstance(recording, bytes):
        yield io.BytesIO(recording)
        return
    if isinstance(recording, _SharedFile):
        yield _Cursor(recording)
        return
    try:
        file = open(recording, "rb")  # noqa: SIM115  (errors of reading are not for this except)
    except (OSError, ValueError) as error:
        raise path_error(recording, error) from error
    with file:
        if not file.seekable():
            raise AudioError(
                f"{_name(recording)} cannot be read once for each of its channels: save it to a "
                "file, and pass its path."
            )
        yield file


def _name(recording: _Opened) -> str:
    if isinstance(recording, _SharedFile):
        return recording.name
    return "the recording" if isinstance(recording, bytes) else path_name(recording)
