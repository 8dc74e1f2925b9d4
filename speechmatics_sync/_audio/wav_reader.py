"""A WAV file that comes in pieces, as raw audio."""

from __future__ import annotations

from typing import Optional, Union

from .._model.audio_format import AudioFormat
from ..errors import ConfigurationError, InvalidAudioError
from .samples import StoredSamples, converted
from .wav import DataChunk, Walk, WavHeader, wav_header

__all__ = ["WavReader"]


class WavReader:
    """Takes the pieces of a WAV file, and returns its samples as raw audio that the API takes.

    For servers and for audio that is pushed: it reads nothing itself. Integers of 8, 24 and 32
    bits and A-law become 16-bit samples, float64 becomes float32; 16-bit, float32 and mu-law
    samples stay what they are. RIFF, RIFX, RF64 and BW64 files are read, and those of a live
    writer, whose sizes are placeholders. What is no sample is left out. Not safe for threads.

    Attributes:
        audio_format: Encoding and rate of what `feed` returns; None until the header has come.
        channels: How many channels there are, interleaved; None until the header has come.

    Example:
        >>> reader = WavReader()
        >>> with open("call.wav", "rb") as file:
        ...     samples = reader.feed(file.read(1000)) + reader.feed(file.read())
        >>> reader.end()
        >>> reader.audio_format.encoding, reader.channels
        (<AudioEncoding.PCM_S16LE: 'pcm_s16le'>, 2)
    """

    __module__ = "speechmatics_sync"  # which loads this one only when it is needed

    def __init__(self) -> None:
        self.audio_format: Optional[AudioFormat] = None
        self.channels: Optional[int] = None
        self._walk: Walk[Union[WavHeader, str]] = Walk(wav_header())
        self._data: Optional[DataChunk] = None
        """Set when the header has come, as are the next two."""
        self._samples: Optional[StoredSamples] = None
        self._frame_size = 1
        self._held = b""
        """What is less than one sample of each channel."""

    def feed(self, data: bytes) -> bytes:
        """Return the samples that the next bytes of the file complete, of all channels.

        Raises:
            AudioError: This is no WAV file, or one of samples that are not known here, which are
                for a library that decodes.
        """
        if self._data is None:
            self._walk.feed(data)
            data = self._begin()
        return self._samples_of(data)

    def end(self) -> bytes:
        """Return what was held back to tell what it is; less than a whole sample is dropped.

        Raises:
            AudioError: The file ends within its header, or is not what `feed` takes.
        """
        if self._data is not None:
            return b""
        self._walk.end()
        return self._samples_of(self._begin())

    def _begin(self) -> bytes:
        """Return what came behind the header, if that is known now."""
        header = self._walk.result
        if header is None:
            return b""
        if isinstance(header, str):
            raise InvalidAudioError(header)
        if header.encoding is None:
            raise InvalidAudioError(
                f"the WAV file is of {header.description}: decode it with open_audio"
            )
        try:
            self.audio_format = AudioFormat(header.encoding, header.sample_rate)
        except ConfigurationError as error:
            raise InvalidAudioError(
                f"the WAV file is of {header.description}: {error.message}"
            ) from None
        self.channels = header.channels
        self._samples, self._frame_size = header.samples, header.frame_size
        self._data = DataChunk(header)
        return self._walk.rest(header.data_offset)

    def _samples_of(self, data: bytes) -> bytes:
        if self._data is None:
            return b""
        data = self._held + self._data.feed(data)
        whole = len(data) - len(data) % self._frame_size
        self._held = data[whole:]
        return converted(data[:whole], self._samples)
