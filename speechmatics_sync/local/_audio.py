"""Decodes the audio of clients to what recognisers need: 16 kHz, mono, 16-bit.

Decoders are streams: they take bytes in pieces that may end within a sample or a header.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
import soxr  # type: ignore[import-untyped]

from ._recognizer import SAMPLE_RATE
from ._validation import Refused

if TYPE_CHECKING:
    from ._recognizer import Samples

__all__ = ["AudioDecoder", "RawDecoder", "WavDecoder", "decoder_for"]

_MAX_HEADER_BYTES = 1 << 20
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)
"""Sizes of the data chunk in files whose writer could not seek back to fill it in."""

_FILE_HELP = (
    "this server reads audio files of type wav only (PCM of 8, 16, 24 or 32 bits, float, mu-law)"
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


class _Encoding:
    """How samples are encoded.

    Args:
        name: ``"u8"``, ``"s16"``, ``"s24"``, ``"s32"``, ``"f32"``, ``"f64"`` or ``"mulaw"``,
            little-endian.
    """

    SIZES = {"u8": 1, "s16": 2, "s24": 3, "s32": 4, "f32": 4, "f64": 8, "mulaw": 1}  # noqa: RUF012

    def __init__(self, name: str) -> None:
        self.name = name
        self.size = self.SIZES[name]

    def samples(self, encoded: bytes) -> Samples:
        """Return whole samples as 16-bit integers."""
        if self.name == "s16":
            return np.frombuffer(encoded, dtype="<i2").astype(np.int16)
        if self.name == "mulaw":
            return _MULAW[np.frombuffer(encoded, dtype=np.uint8)]
        if self.name == "u8":
            return ((np.frombuffer(encoded, dtype=np.uint8).astype(np.int16) - 128) << 8).astype(
                np.int16
            )
        if self.name == "s24":
            # The upper two of three bytes are the 16-bit sample.
            triples = np.frombuffer(encoded, dtype=np.uint8).reshape(-1, 3)
            return np.ascontiguousarray(triples[:, 1:]).view("<i2")[:, 0].astype(np.int16)
        if self.name == "s32":
            return (np.frombuffer(encoded, dtype="<i4") >> 16).astype(np.int16)
        return _from_float(np.frombuffer(encoded, dtype="<f4" if self.name == "f32" else "<f8"))


class AudioDecoder(ABC):
    """Decodes a client's bytes to samples.

    Attributes:
        sample_rate: The sample rate of the client's audio in Hz; None until it is known.
        seconds: Seconds of audio received.
    """

    sample_rate: Optional[int] = None
    seconds: float = 0.0

    @abstractmethod
    def feed(self, encoded: bytes) -> Samples:
        """Return the samples that `encoded` completes.

        Raises:
            Refused: If this is not audio that can be decoded.
        """

    @abstractmethod
    def finish(self) -> Samples:
        """Return the remaining samples, as no more bytes will come."""


class RawDecoder(AudioDecoder):
    """Decodes raw samples.

    Args:
        encoding: The name of an encoding.
        sample_rate: In Hz.
        channels: The number of interleaved channels, which are mixed to one.
    """

    def __init__(self, encoding: str, sample_rate: int, channels: int = 1) -> None:
        self.sample_rate: int = sample_rate
        self._encoding = _Encoding(encoding)
        self._channels = channels
        self._pending = b""
        self._count = 0
        self._resampler = None
        if sample_rate != SAMPLE_RATE:
            self._resampler = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="int16")

    @property
    def seconds(self) -> float:  # type: ignore[override]
        return self._count / self.sample_rate

    def feed(self, encoded: bytes) -> Samples:
        encoded = self._pending + encoded
        size = self._encoding.size * self._channels
        whole = len(encoded) - len(encoded) % size
        self._pending = encoded[whole:]
        samples = self._encoding.samples(encoded[:whole])
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
        self._header = b""
        self._audio: Optional[RawDecoder] = None
        self._left: Optional[int] = None

    @property
    def sample_rate(self) -> Optional[int]:  # type: ignore[override]
        return None if self._audio is None else self._audio.sample_rate

    @property
    def seconds(self) -> float:  # type: ignore[override]
        return 0.0 if self._audio is None else self._audio.seconds

    def feed(self, encoded: bytes) -> Samples:
        if self._audio is None:
            self._header += encoded
            encoded = self._read_header()
            if self._audio is None:
                return np.zeros(0, dtype=np.int16)
        if self._left is not None:
            encoded = encoded[: self._left]
            self._left -= len(encoded)
        return self._audio.feed(encoded)

    def finish(self) -> Samples:
        if self._audio is None:
            if not self._header:
                return np.zeros(0, dtype=np.int16)
            raise Refused("invalid_audio_type", f"the file ends within its header; {_FILE_HELP}")
        return self._audio.finish()

    def _read_header(self) -> bytes:
        """Look for the data chunk; return the bytes after its header once they have come."""
        header = self._header
        if len(header) >= 4 and header[:4] not in (b"RIFF", b"RF64"):
            raise Refused("invalid_audio_type", f"not a wav file; {_FILE_HELP}")
        if len(header) >= 12 and header[8:12] != b"WAVE":
            raise Refused("invalid_audio_type", f"RIFF, but not WAVE; {_FILE_HELP}")
        at = 12
        form: Optional[bytes] = None
        while len(header) >= at + 8:
            name, size = header[at : at + 4], struct.unpack_from("<I", header, at + 4)[0]
            if name == b"data":
                if form is None:
                    raise Refused("invalid_audio_type", "a wav file with no fmt chunk before data")
                self._audio = _audio_of(form)
                self._left = None if size in _UNKNOWN_SIZES else size
                self._header = b""
                return header[at + 8 :]
            if name == b"fmt ":
                form = header[at + 8 : at + 8 + size]
            at += 8 + size + size % 2  # chunks are padded to an even length
            if at > _MAX_HEADER_BYTES:
                raise Refused(
                    "invalid_audio_type", "a wav file with no data chunk in its first MiB"
                )
        return b""


def _audio_of(form: bytes) -> RawDecoder:
    """Read a fmt chunk."""
    if len(form) < 16:
        raise Refused("invalid_audio_type", f"a wav file with a fmt chunk of {len(form)} bytes")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", form)
    if tag == 0xFFFE and len(form) >= 26:  # extensible: the real tag begins the GUID
        tag = struct.unpack_from("<H", form, 24)[0]
    names = {
        (1, 8): "u8",
        (1, 16): "s16",
        (1, 24): "s24",
        (1, 32): "s32",
        (3, 32): "f32",
        (3, 64): "f64",
        (7, 8): "mulaw",
    }
    name = names.get((tag, bits))
    if name is None:
        raise Refused(
            "invalid_audio_type", f"a wav file of format {tag} with {bits} bits; {_FILE_HELP}"
        )
    if not 1 <= channels <= 64 or not 1000 <= rate <= 384000:
        raise Refused(
            "invalid_audio_type", f"a wav file of {channels} channels at {rate} Hz; {_FILE_HELP}"
        )
    return RawDecoder(name, rate, channels)


def decoder_for(audio_format: dict[str, Any]) -> AudioDecoder:
    """Return the decoder for a checked ``audio_format``."""
    if audio_format["type"] == "file":
        return WavDecoder()
    names = {"pcm_s16le": "s16", "pcm_f32le": "f32", "mulaw": "mulaw"}
    return RawDecoder(names[audio_format["encoding"]], int(audio_format["sample_rate"]))
