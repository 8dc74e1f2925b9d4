"""Pauses in raw audio, where it can be cut without cutting a word."""

from __future__ import annotations

import collections
import math
import sys
from array import array
from collections.abc import Sequence
from typing import Optional

from .._model.audio_format import AudioEncoding, AudioFormat

__all__ = ["QuietFinder"]

_BLOCK_SECONDS = 0.01
_QUIET_SECONDS = 0.05
_QUIET_SHARE = 0.1
"""Quiet means at most this fraction of the loudest recent level."""

_HALF_LIFE = 2.0
"""Seconds after which the loudest level so far counts half, and the softest double."""

_LOUD_BLOCKS = 3
"""A sound counts as loud if it lasts for so many blocks: a click does not."""

_SETTLED_AFTER = 1.0
"""Seconds of audio after which the softest block tells the offset and the noise of the room."""

_NOISE_SPREAD = 1.5
_NOISE_SHARE = 0.3
"""Noise counts as quiet up to so many times its softest level, and up to this fraction of the
loudest level. What is louder is part of the recording."""


def _mulaw(code: int) -> float:
    size: float = (256.0 ** ((~code & 0x7F) / 127) - 1) / 255
    return -size if ~code & 0x80 else size


_MULAW = [_mulaw(code) for code in range(256)]
"""The level of each byte of mu-law audio (ITU-T G.711)."""


class QuietFinder:
    """Finds the first pause in a stream of chunks: audio that is quiet beside what came before.

    A block's level is that of its loudest sample, without the offset of the audio: the mean of its
    softest block.

    Args:
        audio_format: The format of the audio, which is raw.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        self._encoding = AudioEncoding(audio_format.encoding)
        self._sample_size = audio_format.bytes_per_sample
        self._block = max(1, int(audio_format.sample_rate * _BLOCK_SECONDS))
        self._wanted = int(audio_format.sample_rate * _QUIET_SECONDS)
        self._fades = 0.5 ** (_BLOCK_SECONDS / _HALF_LIFE)
        self._last: collections.deque[float] = collections.deque(maxlen=_LOUD_BLOCKS)
        self._loudest = 0.0
        self._softest = (math.inf, math.inf)
        """Of the softest recent block: half its range, and the distance of its mean from zero."""
        self._mean = 0.0
        self._blocks = 0
        self._quiet = 0.0
        self._rest = b""
        """What is left of the last chunk: less than a block."""

    def find(self, chunk: bytes) -> Optional[int]:
        """Search the next chunk; return the byte at which to cut it, or None.

        Args:
            chunk: Whole samples.
        """
        before = len(self._rest)
        audio = self._rest + chunk
        samples, size = self._levels(audio), self._block
        end = 0
        for end in range(size, len(samples) + 1, size):
            block = samples[end - size : end]
            counts = self._counts_as_quiet(block)
            self._quiet = self._quiet + counts * size if counts else 0.0
            if self._quiet >= self._wanted:
                return end * self._sample_size - before
        self._rest = audio[end * self._sample_size :]
        return None

    def _counts_as_quiet(self, block: Sequence[float]) -> float:
        """Return 1.0 for a quiet block, 0.5 for one at the level of the noise, 0.0 for speech.

        A soft consonant may be at that level, but not for as long as a pause lasts.
        """
        high, low = max(block), min(block)
        mean = sum(block) / len(block)
        # Of two equally soft blocks, take the one nearer to zero: the other is part of a sound.
        softest, off = self._softest
        self._softest, self._mean = min(
            ((softest / self._fades, off), self._mean), (((high - low) / 2, abs(mean)), mean)
        )
        self._blocks += 1
        settled = self._blocks * _BLOCK_SECONDS > _SETTLED_AFTER
        offset = self._mean if settled else 0.0
        level = max(high - offset, offset - low)
        self._last.append(level)
        loud = min(self._last) if len(self._last) == _LOUD_BLOCKS else 0.0
        self._loudest = max(self._loudest * self._fades, loud)
        if level <= self._loudest * _QUIET_SHARE:
            return 1.0
        noise = min(self._softest[0] * _NOISE_SPREAD, self._loudest * _NOISE_SHARE)
        return 0.5 if settled and level <= noise else 0.0

    def _levels(self, audio: bytes) -> Sequence[float]:
        if self._encoding is AudioEncoding.MULAW:
            return [_MULAW[code] for code in audio]
        samples = array("h" if self._encoding is AudioEncoding.PCM_S16LE else "f", audio)
        if sys.byteorder == "big":
            samples.byteswap()
        return samples
