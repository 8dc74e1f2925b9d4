"""Showing how far a transcription has come."""

from __future__ import annotations

from typing import Any, Callable, Optional, Union

from ..errors import ConfigurationError, missing_extra

__all__ = ["ProgressCallback", "ProgressReport", "progress_report"]

ProgressCallback = Callable[[float, Optional[float]], object]
"""Is given the seconds done and the seconds in all, or None where nobody knows."""


class ProgressReport:
    """Tells a callback how far a session has come, as often as that changes."""

    def __init__(self, callback: ProgressCallback) -> None:
        self._callback = callback
        self._last: Optional[tuple[float, Optional[float]]] = None

    def update(self, done: float, total: Optional[float]) -> None:
        """Report seconds done, of the seconds in all."""
        if (done, total) != self._last:
            self._last = (done, total)
            self._callback(done, total)

    def close(self) -> None:
        """Nothing more will be reported."""


class _Bar(ProgressReport):
    """A progress bar, in a terminal or a notebook."""

    def __init__(self, tqdm: Any) -> None:
        # The thread that tqdm keeps for bars that stand still would outlive the session.
        self._tqdm = type("_Tqdm", (tqdm,), {"monitor_interval": 0})
        self._bar: Any = None
        super().__init__(self._draw)

    def _draw(self, done: float, total: Optional[float]) -> None:
        if self._bar is None:
            self._bar = self._tqdm(
                unit="s",
                desc="transcribing",
                bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total_fmt} s [{elapsed}]",
            )
        if total is not None and self._bar.total is None:
            self._bar.total = round(total, 1)
        self._bar.n = round(done, 1)
        self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def progress_report(progress: Union[bool, ProgressCallback, None]) -> Optional[ProgressReport]:
    """Return what a caller's ``progress`` asks for.

    Raises:
        ConfigurationError: It is no bool and cannot be called, or the bar's library is missing.
    """
    if progress is None or progress is False:
        return None
    if callable(progress):
        return ProgressReport(progress)
    if progress is not True:
        raise ConfigurationError(
            f"progress is True, or is called with the seconds done and in all; not {progress!r}."
        )
    try:
        from tqdm import tqdm
    except ImportError:
        raise missing_extra("progress=True", "tqdm", "progress") from None
    return _Bar(tqdm)
