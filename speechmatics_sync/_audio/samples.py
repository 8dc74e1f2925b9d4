"""How samples are stored in files, and how they become samples that the API takes raw.

Integers of every size become 16-bit ones by their two upper bytes: the API takes no others, and
what the other bytes hold lies below the noise of any speech.
"""

from __future__ import annotations

import functools
import sys
from array import array
from typing import Callable, NamedTuple, Optional

from .._model.audio_format import AudioEncoding

__all__ = ["StoredSamples", "converted", "padded_samples", "rate_for", "stored_samples"]

_PCM, _FLOAT, _ALAW, _MULAW = 1, 3, 6, 7
"""Format tags of WAV files."""

Convert = Callable[[bytes], bytes]


class StoredSamples(NamedTuple):
    """Samples as they are stored, and as they are sent.

    Attributes:
        encoding: What they are sent as.
        size: Bytes of one of them as it is stored.
        sent_size: Bytes of one of them as it is sent.
        convert: Turns whole samples into what is sent; None if they are sent as they are stored.
    """

    encoding: AudioEncoding
    size: int
    sent_size: int
    convert: Optional[Convert] = None


def rate_for(rate: int) -> int:
    """Return the rate to send audio of this rate in, where nobody asks for one.

    It is lowered to what recognition needs, and never raised.
    """
    return min(rate, 16000)


def stored_samples(format_tag: int, size: int, big_endian: bool = False) -> Optional[StoredSamples]:
    """Return how the samples of a WAV file become raw audio; None if that is not known here.

    Args:
        format_tag: 1 for integers, 3 for float, 6 for A-law, 7 for mu-law.
        size: Bytes of one sample.
        big_endian: Whether the first of them is the most significant one.

    Example:
        >>> stored_samples(1, 3).convert(bytes([1, 2, 3, 4, 5, 6])).hex()
        '02030506'
    """
    return _STORED.get((format_tag, size, big_endian and size > 1))


def converted(samples: bytes, stored: Optional[StoredSamples]) -> bytes:
    """Return whole samples as they are sent."""
    return samples if stored is None or stored.convert is None else stored.convert(samples)


def padded_samples(beginning: bytes, big_endian: bool = False) -> Optional[StoredSamples]:
    """Return how 24-bit integers in four bytes are stored, of which the header does not tell.

    The specification has the fourth byte below them. ALSA's arecord has it above them, as their
    sign, and Cool Edit says the same of float samples.

    Args:
        beginning: What the samples begin with.
        big_endian: Whether the first byte of a sample is the most significant one.
    """
    beginning = beginning[: len(beginning) - len(beginning) % 4]
    lowest, _, upper, highest = (beginning[at::4] for at in _order(4, big_endian))
    if not any(lowest):
        return stored_samples(_PCM, 4, big_endian)
    if highest == bytes(0xFF if each & 0x80 else 0 for each in upper):
        _, low, high, _ = _order(4, big_endian)
        return _integers(4, low, high)
    return None


def _order(size: int, big_endian: bool) -> range:
    """Return where the bytes of a sample are, the least significant one first."""
    return range(size - 1, -1, -1) if big_endian else range(size)


def _integers(size: int, low: int, high: int) -> StoredSamples:
    """Return integers of which these bytes are the upper two."""

    def convert(samples: bytes) -> bytes:
        sent = bytearray(len(samples) // size * 2)
        sent[0::2] = samples[low::size]
        sent[1::2] = samples[high::size]
        return bytes(sent)

    return StoredSamples(AudioEncoding.PCM_S16LE, size, 2, convert)


def _unsigned(samples: bytes) -> bytes:
    sent = bytearray(2 * len(samples))
    sent[1::2] = samples.translate(_SIGNED)
    return bytes(sent)


_SIGNED = bytes(each ^ 0x80 for each in range(256))


def _alaw(samples: bytes) -> bytes:
    low, high = _alaw_tables()
    sent = bytearray(2 * len(samples))
    sent[0::2] = samples.translate(low)
    sent[1::2] = samples.translate(high)
    return bytes(sent)


@functools.cache
def _alaw_tables() -> tuple[bytes, bytes]:
    """Return the lower and the upper byte of the sample for each code (ITU-T G.711)."""
    samples = []
    for code in range(256):
        code ^= 0x55  # every second bit is inverted
        exponent, mantissa = code >> 4 & 7, code & 15
        magnitude = (mantissa << 4) + 8
        if exponent:
            magnitude = (magnitude + 256) << (exponent - 1)
        samples.append(magnitude if code & 0x80 else -magnitude)
    return bytes(each & 0xFF for each in samples), bytes(each >> 8 & 0xFF for each in samples)


def _floats(code: str, big_endian: bool) -> Convert:
    def convert(samples: bytes) -> bytes:
        stored = array(code, samples)
        if big_endian != (sys.byteorder == "big"):
            stored.byteswap()
        sent = stored if code == "f" else array("f", stored)
        if sys.byteorder == "big":
            sent.byteswap()
        return sent.tobytes()

    return convert


def _all_stored() -> dict[tuple[int, int, bool], StoredSamples]:
    s16, f32, mulaw = AudioEncoding.PCM_S16LE, AudioEncoding.PCM_F32LE, AudioEncoding.MULAW
    stored = {
        (_PCM, 1, False): StoredSamples(s16, 1, 2, _unsigned),
        (_PCM, 2, False): StoredSamples(s16, 2, 2),
        (_PCM, 2, True): _integers(2, 1, 0),
        (_FLOAT, 4, False): StoredSamples(f32, 4, 4),
        (_FLOAT, 4, True): StoredSamples(f32, 4, 4, _floats("f", True)),
        (_ALAW, 1, False): StoredSamples(s16, 1, 2, _alaw),
        (_MULAW, 1, False): StoredSamples(mulaw, 1, 1),
    }
    for big_endian in (False, True):
        stored[_FLOAT, 8, big_endian] = StoredSamples(f32, 8, 4, _floats("d", big_endian))
        for size in (3, 4):
            low, high = _order(size, big_endian)[-2:]
            stored[_PCM, size, big_endian] = _integers(size, low, high)
    return stored


_STORED = _all_stored()
