"""The channels of a WAV file as sources of their own."""

from __future__ import annotations

import contextlib
import io
import os
import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Literal, Optional, Union

from .._logs import logger
from .._model.audio_format import AudioEncoding
from ..errors import AudioError, ConfigurationError, InvalidAudioError
from .file_objects import path_error
from .wav import MORE_AUDIO, WavHeader, holds_more_audio, read_wav_header

__all__ = ["WavChannel", "split_channels"]

_FRAMES = 4096
"""Frames to read at once: half a second of telephone speech."""

# The struct code of a sample by its size alone: samples are copied, not computed with.
_SAMPLE_CODES: dict[AudioEncoding, Literal["H", "I", "B"]] = {
    AudioEncoding.PCM_S16LE: "H",
    AudioEncoding.PCM_F32LE: "I",
    AudioEncoding.MULAW: "B",
}

Recording = Union[str, "os.PathLike[str]", bytes]


class WavChannel:
    """A source that gives one channel of a recording as a mono WAV file.

    Made by `split_channels`. Each iteration opens the recording, and closes it at the end.
    """

    def __init__(self, recording: Recording, header: WavHeader, index: int) -> None:
        self._recording = recording
        self._header = header
        self._index = index

    def __repr__(self) -> str:
        return f"WavChannel({_name(self._recording)}, index={self._index})"

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces()

    def pieces(self, position: int = 0) -> Iterator[bytes]:
        """Read the channel as a mono WAV file, from any position on.

        Args:
            position: Where to begin, in bytes of the mono file with its header. Pieces end where
                they do without it.

        Raises:
            AudioError: The recording cannot be opened.
        """
        header = self._header
        count = header.channels
        code = _SAMPLE_CODES[_encoding(header, self._recording)]
        mono = _mono_header(header)
        frame, cut = divmod(max(0, position - len(mono)), header.frame_size // count)
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
                whole = memoryview(frames)[: len(frames) - len(frames) % header.frame_size]
                if not whole:
                    return
                yield whole.cast(code)[self._index :: count].tobytes()[cut:]
                size, cut = _FRAMES * header.frame_size, 0


def split_channels(
    recording: Recording, labels: Optional[Sequence[str]] = None
) -> dict[str, WavChannel]:
    """Return a source for each channel of a WAV file, for `MultiChannelClient.transcribe`.

    The file is read while it is sent, once for each channel, and never held in memory as a whole.
    A warning is logged if there is more audio in it than its header names.

    Args:
        recording: The path of a WAV file of 16-bit, float32 or mu-law samples, or its content as
            bytes.
        labels: The label of each channel, in the file's order; by default ``"1"``, ``"2"`` …

    Returns:
        The sources by label.

    Raises:
        AudioError: The file cannot be read, or is no WAV file of such samples.
        ConfigurationError: There is not one label for each channel, or a label comes twice.

    Example:
        >>> sources = split_channels("call.wav", labels=["agent", "customer"])
        >>> transcript = client.transcribe(sources)
    """
    with _opened(recording) as file:

        def peek(offset: int, size: int) -> bytes:
            file.seek(offset)
            return file.read(size)

        header = read_wav_header(peek)
        if header is not None and header.data_size_is_certain:
            file.seek(header.data_offset + header.data_size)
            if holds_more_audio(file.read, header.data_size, to_the_end=True):
                logger.warning(MORE_AUDIO, _name(recording), header.data_size)
    name = _name(recording)
    if header is None:
        raise AudioError(f"{name} is no WAV file whose channels can be told apart.")
    _encoding(header, recording)
    if labels is None:
        labels = [str(number + 1) for number in range(header.channels)]
    if isinstance(labels, str) or not all(isinstance(label, str) and label for label in labels):
        raise ConfigurationError(f"labels is {labels!r}; allowed: a list of names")
    if len(labels) != header.channels or len(set(labels)) != len(labels):
        raise ConfigurationError(
            f"labels is {list(labels)!r}; allowed: {header.channels} different names, "
            f"for the channels of {name}"
        )
    return {label: WavChannel(recording, header, index) for index, label in enumerate(labels)}


@contextlib.contextmanager
def _opened(recording: Recording) -> Iterator[BinaryIO]:
    if isinstance(recording, bytes):
        yield io.BytesIO(recording)
        return
    if not isinstance(recording, (str, os.PathLike)):
        raise InvalidAudioError(
            f"a recording to split is the path of a WAV file or its content as bytes, not "
            f"{type(recording).__name__}"
        )
    try:
        file = open(recording, "rb")  # noqa: SIM115  (errors of reading are not for this except)
    except (OSError, ValueError) as error:
        raise path_error(recording, error) from error
    with file:
        if not file.seekable():
            raise AudioError(f"{_name(recording)} cannot be read once for each of its channels.")
        yield file


def _encoding(header: WavHeader, recording: Recording) -> AudioEncoding:
    if header.encoding is None:
        raise AudioError(
            f"{_name(recording)} has samples that the API does not take raw "
            f"(format {header.format_tag}, {header.bits_per_sample} bits); "
            "16-bit, float32 and mu-law can be split."
        )
    return header.encoding


def _mono_header(header: WavHeader) -> bytes:
    size = header.frame_size // header.channels
    data_size = header.data_size // header.channels if header.data_size_is_certain else 0
    form = struct.pack(
        "<4sIHHIIHH",
        b"fmt ",
        16,
        header.format_tag,
        1,
        header.sample_rate,
        header.sample_rate * size,
        size,
        size * 8,
    )
    return (
        struct.pack("<4sI4s", b"RIFF", min(data_size + 36, 0xFFFFFFFF), b"WAVE")
        + form
        + struct.pack("<4sI", b"data", data_size)
    )


def _name(recording: Recording) -> str:
    return "the recording" if isinstance(recording, bytes) else f"the file {os.fspath(recording)!r}"
