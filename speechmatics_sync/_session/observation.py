"""Tells the observers of a session what happens to it."""

from __future__ import annotations

import collections
import contextvars
import time
from typing import Any, Optional

from .._auth.endpoint import Endpoint
from .._concurrency.threads import Threads
from .._model.messages import ErrorType
from .._model.observed import ObservedSession, Observers, SessionChange
from .._model.stats import SessionStats
from ..errors import AuthenticationError, TranscriptionError
from .identity import Identity
from .inbox import Inbox
from .meter import Meter
from .options import SessionOptions
from .outbox import Outbox
from .state import Lifecycle

__all__ = ["Observation"]

_LONGEST_ID = 100


class Observation:
    """What observers see of one session. A session without observers pays nothing for it.

    They are called where the session's log records are handed on, for they too may raise or block:
    `tell` is called with the session's lock, in threads that other sessions share.

    Args:
        observers: Whom to tell.
        options: What is said of the session.
        endpoint: The server.
    """

    def __init__(
        self,
        observers: Observers,
        options: SessionOptions,
        endpoint: Endpoint,
        life: Lifecycle,
        identity: Identity,
        inbox: Inbox,
        outbox: Outbox,
        meter: Meter,
    ) -> None:
        self._observers = observers
        self._life = life
        self._identity = identity
        self._inbox = inbox
        self._outbox = outbox
        self._meter = meter
        if not observers:
            return
        # The caller's: a span that it is inside becomes the parent of the session's.
        self._context = contextvars.copy_context()
        self._untold: collections.deque[SessionChange] = collections.deque()
        self._seen = ObservedSession(
            identity.request_id,
            endpoint.server,
            options.transcription_config.language,
            self.read_stats,
        )

    def begin(self) -> None:
        """The session begins: from here on it will tell of its end."""
        if self._observers:
            self._begun, self._begun_at = time.time(), time.monotonic()
            self.tell("begun")
            self._life.when_over(self._end)

    def read_stats(self) -> SessionStats:
        """Return the session's figures as they are now."""
        outbox = self._outbox
        with self._life.lock:
            if not outbox.prepared:
                return SessionStats()
            backlog = outbox.connection.backlog if outbox.connection else 0
            return self._meter.snapshot(outbox.protocol, self._inbox, backlog=backlog)

    def tell(self, kind: str, **facts: Any) -> None:
        """Something happened: `SessionChange` says what can."""
        if not self._observers:
            return
        named = self._identity.session_id
        if named is not None:
            self._seen.session_id = self._identity.words.clean(named, _LONGEST_ID)
        elapsed = time.monotonic() - self._begun_at
        self._untold.append(
            SessionChange(kind, self._seen, self._begun + elapsed, elapsed, **facts)
        )
        # A thread takes as long to start as an observer. So threads of the session hand on most of
        # it when they end: the one that connects (`follow_start`), and the receiver.
        self._identity.log.inform(self._hand_on, soon=kind == "reconnected")

    def follow_start(self, threads: Threads, *, connected: bool) -> None:
        """Hand on what waits, and that recognition has started. In the thread that connects."""
        if not self._observers:
            return
        with threads.in_user_code():
            self._identity.log.flush()
        if connected and self._life.wait_until_started():
            with threads.in_user_code():
                self._identity.log.flush()

    def _end(self) -> None:
        # What an observer keeps holds the figures, and not the session's parts.
        stats = self.read_stats()
        self._seen._read_stats = lambda: stats
        self.tell("ended", error=_name_of(self._life.failure))

    def _hand_on(self) -> None:
        while self._untold:
            change = self._untold.popleft()
            for observer in self._observers:
                try:
                    self._context.run(observer, change)
                except Exception:
                    self._identity.log.exception("An observer of sessions raised")


def _name_of(error: Optional[BaseException]) -> Optional[str]:
    """Return the name of an error. A server may put anything into its type, so known ones only."""
    if error is None:
        return None
    named = error.type if isinstance(error, (AuthenticationError, TranscriptionError)) else None
    return named if named in _KNOWN else type(error).__qualname__


_KNOWN = frozenset(each.value for each in ErrorType)
