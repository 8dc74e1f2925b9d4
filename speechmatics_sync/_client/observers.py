"""Who is told what happens to the sessions of this process."""

from __future__ import annotations

from typing import Callable

from .._model.observed import SessionChange

__all__ = ["observe_sessions", "observers"]

# One step adds, removes or reads, so it needs no lock, which a fork could leave locked.
_observers: dict[object, Callable[[SessionChange], object]] = {}


def observers() -> tuple[Callable[[SessionChange], object], ...]:
    """Return those whom a session that begins now is to tell."""
    return tuple(_observers.values())


def observe_sessions(observer: Callable[[SessionChange], object]) -> Callable[[], None]:
    """Have every session that begins from now on tell an observer what happens to it.

    For measurements, such as those of ``speechmatics_sync.telemetry``. The observer is called in
    threads of its own, for one session one call at a time and in order, with the context variables
    (``contextvars``) of the code that began the session. No session waits for it, save that
    ``close`` gives it up to a second to return. What it raises is logged.

    Args:
        observer: Called with each `SessionChange`. Other sessions may call it at the same time.

    Returns:
        A function that ends this. Sessions that have begun tell the observer until their end.

    Example:
        >>> stop = observe_sessions(lambda change: print(change.kind, change.error))
        >>> with Client() as client:
        ...     transcript = client.transcribe("audio.wav")
        begun None
        started None
        ended None
        >>> stop()
    """
    key = object()
    _observers[key] = observer

    def stop() -> None:
        _observers.pop(key, None)

    return stop
