"""The time limits of a connection, without a clock: the caller says what happened and when."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Optional

from .._model.connection_config import ConnectionConfig
from ..errors import ConnectionError, SpeechmaticsError, TimeoutError
from .leg import Due, State

__all__ = ["Limits"]

_PING_AFTER = 5.0
"""Seconds of complete silence after which to ping a server that owes something."""

_ANSWER_WITHIN = 14.0
"""Seconds of silence after that ping, at the latest, that make the connection a lost one: 20 s in
all, with the second below."""

_NOTICE_WITHIN = 1.0
"""Seconds within which to notice that the server owes something."""


class Limits:
    """The time limits of one connection.

    Whatever the server owes has a clock of its own: each acknowledgement restarts that of its
    channel's acknowledgements, a final that of the end, and what only informs restarts none.
    Silence counts only while we read: `restart` leaves out time in which we did not.

    While something is owed and not a byte is heard, a ping is sent sooner, and is to be answered
    sooner: a network path that carries nothing is noticed within 20 s. A server that answers pings,
    or is only slow with what it owes, is not cut off.
    """

    def __init__(self, config: ConnectionConfig, now: float) -> None:
        self._config = config
        limits = (
            config.start_timeout,
            config.ack_timeout,
            config.ping_interval,
            config.ping_timeout,
        )
        self.accuracy = min([1.0, *(limit / 8 for limit in limits if limit is not None)])
        """How often the limits need to be checked, in seconds."""
        self._started = now
        self._pinged = now
        self._unanswered_ping: Optional[float] = None
        self._alive = now
        """When the connection last gave a sign of life."""
        self._owed: dict[tuple[Due, Hashable], tuple[int, float]] = {}
        """What is owed: how far the server has come with it, and when it last made progress."""
        self._owing_since: Optional[float] = None
        """Since when there has always been something owed."""

    def restart(self, now: float) -> None:
        """Count the peer's silence from now."""
        self._alive = now
        if self._unanswered_ping is not None:
            self._unanswered_ping = now
        self._owed = {what: (progress, now) for what, (progress, _) in self._owed.items()}

    def ping_is_due(self, now: float) -> bool:
        """Return whether to send a ping now; if so, it counts as sent."""
        due = self._next_ping
        if due is None or now < due:
            return False
        self._pinged = now
        if self._unanswered_ping is None:
            self._unanswered_ping = now
        return True

    def note(
        self,
        now: float,
        *,
        heard: float,
        owed: Mapping[tuple[Due, Hashable], int],
        unblocked: float = 0.0,
    ) -> None:
        """Note what has happened.

        Args:
            now: When.
            heard: When the last byte came.
            owed: What the server owes (`Leg.owed`).
            unblocked: When the network last took bytes for which it had had no room. While much is
                sent over a slow line, an acknowledgement or a pong may take long.
        """
        self._alive = max(self._alive, heard, unblocked)
        if self._unanswered_ping is not None and heard > self._unanswered_ping:
            self._unanswered_ping = None
        if not owed:
            self._owing_since = None
        elif self._owing_since is None:
            self._owing_since = now
        before, self._owed = self._owed, {}
        for what, progress in owed.items():
            known = before.get(what)
            self._owed[what] = known if known and known[0] == progress else (progress, now)

    def passed(self, now: float, state: State) -> Optional[SpeechmaticsError]:
        """Return the error of a limit that has passed."""
        config = self._config
        if state is State.STARTING:
            if _over(config.start_timeout, self._started, now):
                return TimeoutError(
                    f"The server did not start the session within start_timeout "
                    f"({config.start_timeout} s). Try again, or allow it more."
                )
        elif self._owed:
            (what, _), (_, since) = min(self._owed.items(), key=lambda item: item[1][1])
            if _over(config.ack_timeout, since, now):
                return ConnectionError(
                    f"The connection was lost: the server owed {what.value} and made no progress "
                    f"with it for ack_timeout ({config.ack_timeout} s)."
                )
        if _over(_ANSWER_WITHIN, self._unanswered_in_silence, now):
            return ConnectionError(
                f"The connection was lost: the server owed an answer and nothing arrived for "
                f"{now - self._alive:.0f} s, not even the answer to a ping."
            )
        if _over(config.ping_timeout, self._unanswered_ping, now):
            return ConnectionError(
                f"The connection was lost: no sign of life within ping_timeout "
                f"({config.ping_timeout} s) of a ping."
            )
        return None

    def patience(self, now: float, state: State) -> Optional[float]:
        """Return for how many seconds no limit can pass and no ping is due."""
        config = self._config
        moments = []
        if state is State.STARTING:
            if config.start_timeout is not None:
                moments.append(self._started + config.start_timeout)
        elif config.ack_timeout is not None:
            # An answer may become owed while the receiver sleeps: it must not sleep too long.
            since = min((since for _, since in self._owed.values()), default=now)
            moments.append(min(since + config.ack_timeout, now + config.ack_timeout / 4))
        if self._next_ping is not None:
            moments.append(self._next_ping)
            if not self._owed and state is not State.STARTING:
                moments.append(now + _NOTICE_WITHIN)
        if config.ping_timeout is not None and self._unanswered_ping is not None:
            moments.append(self._unanswered_ping + config.ping_timeout)
        if self._unanswered_in_silence is not None:
            moments.append(self._unanswered_in_silence + _ANSWER_WITHIN)
        return max(0.0, min(moments) - now) if moments else None

    @property
    def _silent_since(self) -> Optional[float]:
        """Since when nothing at all was heard although something is owed."""
        # Not since the last progress, which is noted late: it came no later than the last byte.
        return None if self._owing_since is None else max(self._alive, self._owing_since)

    @property
    def _next_ping(self) -> Optional[float]:
        interval, silent_since = self._config.ping_interval, self._silent_since
        if interval is None:
            return None
        due = self._pinged + interval
        if silent_since is not None:
            due = min(due, max(self._pinged, silent_since) + _PING_AFTER)
        return due

    @property
    def _unanswered_in_silence(self) -> Optional[float]:
        """Since when an answer is owed and a ping unanswered; None if that ends nothing."""
        if self._unanswered_ping is None or self._config.ping_timeout is None:
            return None
        silent_since = self._silent_since
        return None if silent_since is None else max(self._unanswered_ping, silent_since)


def _over(limit: Optional[float], since: Optional[float], now: float) -> bool:
    return limit is not None and since is not None and now - since >= limit
