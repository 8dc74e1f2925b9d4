"""Whether what the old package lost in silence is reported."""

from __future__ import annotations

import logging

__all__ = ["is_strict", "report", "strict_errors"]

_enabled = True


def strict_errors(enabled: bool = True) -> None:
    """Report what the old package lost in silence, which is the default; or lose it again.

    Errors, unless this is off: a KeyError in a handler, a handler that is a coroutine function, a
    session that the server ends before all audio is transcribed. Log lines: a setting that
    `TranscriptionConfig` does not know, a source without audio, a key that is sent unencrypted, an
    acknowledgement that never came, new settings after the last chunk of audio, a change by a
    middleware that is not sent.

    Args:
        enabled: False gives the silence of the old package, for the whole process.

    Example:
        >>> strict_errors(False)
        >>> strict_errors()
    """
    global _enabled
    _enabled = enabled


def is_strict() -> bool:
    """Return whether losses are reported."""
    return _enabled


def report(log: logging.Logger, message: str, *args: object) -> None:
    """Log a loss as a WARNING, unless losses are to be silent."""
    log.log(logging.WARNING if _enabled else logging.DEBUG, message, *args)
