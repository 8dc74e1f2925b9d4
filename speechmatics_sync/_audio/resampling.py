"""Samples of one rate as samples of another."""

from __future__ import annotations

from typing import Any

from .._concurrency.importing import import_modules
from ..errors import missing_extra

__all__ = ["Resampler"]


class Resampler:
    """Turns 16-bit mono samples of one rate into those of another, as they come.

    Done by PyAV, which the package has for decoding. soxr would need numpy for every block, and
    what the standard library can do would take a tenth of a core.

    Args:
        source: The rate of the samples, in Hz.
        target: The rate that is wanted.

    Raises:
        ConfigurationError: PyAV is missing.
    """

    def __init__(self, source: int, target: int) -> None:
        try:
            import_modules("av")
            import av
        except ImportError:
            raise missing_extra(
                f"Resampling {source} to {target} Hz", "PyAV", "microphone"
            ) from None
        self._frame: Any = av.AudioFrame
        self._source = source
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=target)

    def feed(self, samples: bytes) -> bytes:
        """Return the samples that these, and those before them, determine."""
        frame = self._frame(format="s16", layout="mono", samples=len(samples) // 2)
        frame.sample_rate = self._source
        frame.planes[0].update(samples)
        return self._samples_of(frame)

    def end(self) -> bytes:
        """Return the last samples."""
        return self._samples_of(None)

    def _samples_of(self, frame: Any) -> bytes:
        # A plane may be longer than its samples.
        resampled = self._resampler.resample(frame)
        return b"".join(bytes(each.planes[0])[: 2 * each.samples] for each in resampled)
