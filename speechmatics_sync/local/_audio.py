"""Decodes the audio of clients to what recognisers need: 16 kHz, mono, 16-bit.

Decoders are streams: they take bytes in pieces that may end within a sample or a header.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

import numpy as np
import soxr  # type: ignore[import-untyped]

from speechmatics_sync import AudioEncoding, AudioError, AudioFormat, WavReader

from ._encoded_audio import SentFile
from ._recognizer import SAMPLE_RATE
from ._validation import Refused

if TYPE_CHECKING:
    from ._recognizer import Samples

__all__ = ["AudioDecoder", "FileDecoder", "RawDecoder", "WavDecoder", "decoder_for"]

_FILE_HELP = (
    "this server reads audio files of type wav only (PCM of 8, 16, 24 or 32 bits, float, A-law,"
    " mu-law)"
)


def _mulaw_table() -> Samples:
    # ITU-T G.711: inverted bits; a sign, three bits of exponent, four of mantissa; bias 132.
    codes = ~np.arange(256, dtype=np.uint8)
    exponent = (codes >> 4) & 7
    magnitude = ((((codes & 0x0F).astype(np.int32) << 3) + 132) << exponent) - 132
    table = np.zeros(256, dtype=np.int16)
    table[:] = np.where(codes & 0x80, -magnitude, magnitude)
    return table


_MULAW = _mulaw_table()


def _from_float(samples: Any) -> Samples:
    plain = np.nan_to_num(samples.astype(np.float64), nan=0.0, posinf=1.0, neginf=-1.0)
    clipped: Samples = np.clip(np.rint(plain * 32768), -32768, 32767).astype(np.int16)
    return clipped


def _samples_of(encoded: bytes, encoding: AudioEncoding) -> Samples:
    """Return whole samples as 16-bit integers."""
    if encoding is AudioEncoding.PCM_S16LE:
        return np.frombuffer(encoded, dtype="<i2").astype(np.int16)
    if encoding is AudioEncoding.MULAW:
        return _MULAW[np.frombuffer(encoded, dtype=np.uint8)]
    return _from_float(np.frombuffer(encoded, dtype="<f4"))


class AudioDecoder(ABC):
    """Decodes a client's bytes to samples."""

    @property
    @abstractmethod
    def seconds(self) -> float:
        """Seconds of audio received."""

    @property
    @abstractmethod
    def sample_rate(self) -> Optional[int]:
        """The sample rate of the client's audio in Hz; None until it is known."""

    @abstractmethod
    def feed(self, encoded: bytes) -> Samples:
        """Return the samples that `encoded` completes.

        Raises:
            Refused: If this is not audio that can be decoded.
        """

    @abstractmethod
    def finish(self) -> Samples:
        """Return the remaining samples, as no more bytes will come."""

    def close(self) -> None:  # noqa: B027  (most have nothing to free)
        """Free what it holds."""


class RawDecoder(AudioDecoder):
    """Decodes raw samples.

    Args:
        encoding: The API's name of their encoding.
        sample_rate: In Hz.
        channels: The number of interleaved channels, which are mixed to one.
    """

    def __init__(self, encoding: str, sample_rate: int, channels: int = 1) -> None:
        self._sample_rate = sample_rate
        self._encoding = AudioEncoding(encoding)
        self._frame_size = channels * AudioFormat(encoding).bytes_per_sample
        self._channels = channels
        self._pending = b""
        self._count = 0
        self._resampler = None
        if sample_rate != SAMPLE_RATE:
            self._resampler = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="int16")

    @property
    def seconds(self) -> float:
        return self._count / self._sample_rate

    @property
    def sample_rate(self) -> int:
        return self._sample_rate

    def feed(self, encoded: bytes) -> Samples:
        encoded = self._pending + encoded
        whole = len(encoded) - len(encoded) % self._frame_size
        self._pending = encoded[whole:]
        samples = _samples_of(encoded[:whole], self._encoding)
        if self._channels > 1:
            mixed = samples.reshape(-1, self._channels).astype(np.int32).mean(axis=1)
            samples = np.rint(mixed).astype(np.int16)
        self._count += len(samples)
        return self._resample(samples, last=False)

    def finish(self) -> Samples:
        return self._resample(np.zeros(0, dtype=np.int16), last=True)

    def _resample(self, samples: Samples, *, last: bool) -> Samples:
        if self._resampler is None:
            return samples
        return np.asarray(self._resampler.resample_chunk(samples, last=last), dtype=np.int16)


class WavDecoder(AudioDecoder):
    """Decodes a WAV file, from its first byte on.

    A data chunk of unknown size lasts until the end of the stream. Bytes after a data chunk of
    known size are ignored.
    """

    def __init__(self) -> None:
        self._reader = WavReader()
        self._audio: Optional[RawDecoder] = None
        self._begun = False

    @property
    def sample_rate(self) -> Optional[int]:
        return None if self._audio is None else self._audio.sample_rate

    @property
    def seconds(self) -> float:
        return 0.0 if self._audio is None else self._audio.seconds

    def feed(self, encoded: bytes) -> Samples:
        self._begun = self._begun or bool(encoded)
        return self._decode(lambda: self._reader.feed(encoded))

    def finish(self) -> Samples:
        if not self._begun:
            return np.zeros(0, dtype=np.int16)
        rest = self._decode(self._reader.end)
        return rest if self._audio is None else np.concatenate((rest, self._audio.finish()))

    def _decode(self, read: Callable[[], bytes]) -> Samples:
        try:
            samples = read()
        except AudioError as error:
            raise Refused("invalid_audio_type", f"{error.message}; {_FILE_HELP}") from None
        reader = self._reader
        if self._audio is None and reader.audio_format is not None:
            encoding, rate = reader.audio_format.encoding, reader.audio_format.sample_rate
            self._audio = RawDecoder(str(encoding), rate, reader.channels or 1)
        if self._audio is None:
            return np.zeros(0, dtype=np.int16)
        return self._audio.feed(samples)


class FileDecoder(AudioDecoder):
    """Decodes a file of any type that the service takes: WAV by itself, all else with PyAV."""

    def __init__(self) -> None:
        self._decoder: Union[WavDecoder, SentFile] = WavDecoder()
        self._beginning: Optional[bytes] = b""
        """What came, until it is known what it is."""

    @property
    def sample_rate(self) -> Optional[int]:
        return self._decoder.sample_rate

    @property
    def seconds(self) -> float:
        return self._decoder.seconds

    def feed(self, encoded: bytes) -> Samples:
        if self._beginning is None:
            return self._decoder.feed(encoded)
        self._beginning += encoded
        try:
            samples = self._decoder.feed(encoded)
        except Refused:
            return self._decode_with_pyav(self._beginning)
        if self.sample_rate is not None:
            self._beginning = None
        return samples

    def finish(self) -> Samples:
        try:
            return self._decoder.finish()
        except Refused:
            if self._beginning is None:
                raise
        samples = self._decode_with_pyav(self._beginning)
        return np.concatenate((samples, self._decoder.finish()))

    def close(self) -> None:
        self._decoder.close()

    def _decode_with_pyav(self, beginning: bytes) -> Samples:
        self._beginning = None
        self._decoder = SentFile()
        return self._decoder.feed(beginning)


def decoder_for(audio_format: dict[str, Any]) -> AudioDecoder:
    """Return the decoder for a checked ``audio_format``."""
    if audio_format["type"] == "file":
        return FileDecoder()
    return RawDecoder(audio_format["encoding"], int(audio_format["sample_rate"]))
