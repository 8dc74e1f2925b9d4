"""What observers of all sessions of a process are told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from .stats import SessionStats

__all__ = ["ObservedSession", "SessionChange"]


class ObservedSession:
    """A session, as `observe_sessions` tells of it: who it is and its figures, not what is said.

    One object for each session: it may be a key of a dict.

    Attributes:
        request_id: This client's id of the session.
        session_id: The server's id of the session; None before recognition has started. Another
            one after a reconnect.
        server_address: The host name of the server.
        server_port: Its port.
        language: The language of the session.

    Example:
        >>> stop = observe_sessions(lambda change: print(change.session.request_id, change.kind))
        >>> stop()
    """

    def __init__(
        self,
        request_id: str,
        server: tuple[str, int],
        language: str,
        read_stats: Callable[[], SessionStats],
    ) -> None:
        self.request_id = request_id
        self.session_id: Optional[str] = None
        self.server_address, self.server_port = server
        self.language = language
        self._read_stats = read_stats

    def __repr__(self) -> str:
        return f"ObservedSession(request_id={self.request_id!r}, session_id={self.session_id!r})"

    @property
    def stats(self) -> SessionStats:
        """The figures of the session as they are now, or as they were at its end."""
        return self._read_stats()


@dataclass(frozen=True)
class SessionChange:
    """Something that happened to a session.

    Args:
        kind: ``"begun"``, ``"started"`` (recognition, for the first time), ``"reconnecting"`` and
            ``"reconnected"`` (one of each for an outage or a planned change of connections), or
            ``"ended"``, which is the last.
        session: The session.
        time: When it happened, in seconds since the epoch.
        elapsed: Seconds since the session began, whatever the system's clock did meanwhile.
        error: With ``"ended"``: the name of what ended it: an `ErrorType` of the server, else the
            class of the error; None if everything was transcribed.
        attempt: With ``"reconnecting"`` and ``"reconnected"``: attempts so far to connect again.
        seconds_replayed: Likewise: seconds of audio that are sent again.
        seconds_lost: Likewise: seconds of audio that could not be kept for that.

    Example:
        >>> def note(change: SessionChange) -> None:
        ...     if change.kind == "ended":
        ...         print(change.session.request_id, change.elapsed, change.error)
        >>> stop = observe_sessions(note)
        >>> stop()
    """

    kind: str
    session: ObservedSession
    time: float
    elapsed: float = 0.0
    error: Optional[str] = None
    attempt: int = 0
    seconds_replayed: float = 0.0
    seconds_lost: float = 0.0


Observers = Sequence[Callable[[SessionChange], object]]
