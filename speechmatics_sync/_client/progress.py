"""Progress of a transcription: a callback, or a bar."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Callable, Optional, Union

from .._logs import PackageLogger, logger
from .._signals import raised_by_signal
from ..errors import ConfigurationError, missing_extra

__all__ = ["ProgressCallback", "ProgressReport", "progress_report"]

ProgressCallback = Callable[[float, Optional[float]], object]
"""Called with the seconds of audio done, and the seconds in total, None if not known.

What it raises ends the session and comes out of the call, as the exception of a handler does.
"""

_COUNTED = {"s": "seconds", "files": "files"}
"""By the unit of a bar: what it counts."""

_NO_BAR = "No progress bar: %s: %s"


class ProgressReport:
    """Calls a callback whenever the progress of a session has changed."""

    def __init__(self, callback: ProgressCallback) -> None:
        self.log: PackageLogger = logger
        """The logger of the session, once there is one."""
        self._callback = callback
        self._last: Optional[tuple[float, Optional[float]]] = None

    def update(self, done: float, total: Optional[float]) -> None:
        """Report the seconds done and the seconds in total, if they changed."""
        if (done, total) != self._last:
            self._last = (done, total)
            self._callback(done, total)

    def close(self) -> None:
        """Free what the report shows; nothing more will be reported."""


class _Bar(ProgressReport):
    """A progress bar, in a terminal or a notebook; none where it cannot be drawn."""

    def __init__(self, tqdm: Any, unit: str) -> None:
        # Without the subclass, tqdm's monitor thread would outlive the session. One that could not
        # be made is disabled, or `__del__` would try to close it.
        self._tqdm = type("_Tqdm", (tqdm,), {"monitor_interval": 0, "disable": True})
        self._unit = unit
        self._bar: Any = None
        self._dropped = False
        super().__init__(lambda done, total: self._attempt(self._draw, done, total))

    def _attempt(self, call: Callable[..., None], *args: Any) -> None:
        """Make a call, and drop the bar if it fails: ``sys.stderr`` may be None, or closed."""
        if self._dropped:
            return
        try:
            call(*args)
        except Exception as error:
            if raised_by_signal(error):
                raise
            self._dropped = True
            if self._bar is not None:
                self._bar.disable = True
            self.log.info(_NO_BAR, type(error).__name__, error)

    def _draw(self, done: float, total: Optional[float]) -> None:
        if self._bar is None:
            self._bar = self._tqdm(
                unit=self._unit,
                desc="transcribing",
                bar_format="{desc}: {percentage:3.0f}%|{bar}| "
                + ("{n:.1f}" if self._unit == "s" else "{n}")
                + "/{total_fmt} {unit} [{elapsed}]",
            )
        if total is not None and self._bar.total is None:
            # This alone has a notebook's bar take the width of one whose end is known.
            self._bar.reset(round(total, 1) if self._unit == "s" else int(total))
        self._bar.n = round(done, 1) if self._unit == "s" else int(done)
        self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._attempt(self._bar.close)


def progress_report(
    progress: Union[bool, ProgressCallback, None], unit: str = "s"
) -> Optional[ProgressReport]:
    """Return the report for a caller's ``progress`` argument; None if no report is wanted.

    Args:
        progress: The argument.
        unit: What a bar counts.

    Raises:
        ConfigurationError: ``progress`` is neither a bool nor callable, or tqdm is missing.
    """
    if progress is None or progress is False:
        return None
    if callable(progress):
        return ProgressReport(progress)
    if progress is not True:
        raise ConfigurationError(
            f"progress is {progress!r}; allowed: True, or what is called with the "
            f"{_COUNTED[unit]} done and in all"
        )
    try:
        # Without ipywidgets tqdm.auto takes the bar of text as well, and warns of it in a notebook.
        if find_spec("ipywidgets") is None:
            from tqdm import tqdm
        else:
            from tqdm.auto import tqdm
    except ImportError:
        raise missing_extra("progress=True", "tqdm", "progress") from None
    except Exception as error:
        if raised_by_signal(error):
            raise
        # Such as its warning in a notebook with an old ipywidgets, where warnings are errors.
        logger.info(_NO_BAR, type(error).__name__, error)
        return None
    return _Bar(tqdm, unit)
