"""Quiet places in raw audio, where it can be cut without cutting a word."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from typing import Optional

from .._model.audio_format import AudioEncoding, AudioFormat

__all__ = ["QuietFinder"]

_BLOCK_SECONDS = 0.01
_QUIET_SECONDS = 0.05
_QUIET_SHARE = 0.1
"""Quiet means at most this fraction of the loudest level so far."""

_MULAW = [(256.0 ** ((~code & 0x7F) / 127) - 1) / 255 for code in range(256)]
"""How far each byte of mu-law audio is from zero (ITU-T G.711)."""


class QuietFinder:
    """Finds the first place in a stream of chunks that is quiet compared with what came before.

    Args:
        audio_format: Of the audio, which is raw.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        self._encoding = AudioEncoding(audio_format.encoding)
        self._sample_size = audio_format.bytes_per_sample
        self._block = max(1, int(audio_format.sample_rate * _BLOCK_SECONDS))
        self._wanted = int(audio_format.sample_rate * _QUIET_SECONDS)
        self._loudest = 0.0
        self._quiet = 0

    def find(self, chunk: bytes) -> Optional[int]:
        """Search the next chunk; return the byte at which to cut it, or None.

        Args:
            chunk: Whole samples.
        """
        samples = self._levels(chunk)
        for start in range(0, len(samples), self._block):
            block = samples[start : start + self._block]
            level = max(max(block), -min(block))
            self._loudest = max(self._loudest, level)
            self._quiet = self._quiet + len(block) if level <= self._threshold else 0
            if self._quiet >= self._wanted:
                return (start + len(block)) * self._sample_size
        return None

    @property
    def _threshold(self) -> float:
        return self._loudest * _QUIET_SHARE

    def _levels(self, chunk: bytes) -> Sequence[float]:
        if self._encoding is AudioEncoding.MULAW:
            return [_MULAW[code] for code in chunk]
        samples = array("h" if self._encoding is AudioEncoding.PCM_S16LE else "f", chunk)
        if sys.byteorder == "big":
            samples.byteswap()
        return samples
