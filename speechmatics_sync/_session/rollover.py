"""Replace a connection before the server ends it for its age.

The server limits the length of a session, and warns some minutes before the limit. Shortly before
it, a second connection is opened beside the first. Once recognition has started there, the audio is
cut: the first connection gets EndOfStream, the second one the audio from there on (and, where it is
never quiet, the last seconds before), and its messages are held back until the first has sent its
last. Where the account allows no second session at the
same time, the first connection is ended before the second is opened.
"""

from __future__ import annotations

import contextlib
import time
from typing import Callable, Optional

from .._concurrency.poller import Poller
from .._logs import SessionLogger
from .._protocol.events import Lost
from .._protocol.leg import State
from .._transport.connection import Connection
from ..errors import ConnectionError, SpeechmaticsError, TranscriptionError, TransportError
from .connecting import ConnectAttempt, Connector
from .outages import Outages
from .outbox import Outbox
from .pump import Pump
from .state import Lifecycle

__all__ = ["Rollover"]

_PROGRESS_INTERVAL = 0.05
"""How often to check on the pending connection or the cut, in seconds."""

_TRIES = 10
"""How many attempts to make a second connection fit into the rollover margin."""

_REASON = "The session is near the longest time that the server keeps one."


class Rollover:
    """Pumps a session's connection, and replaces it in time.

    Belongs to the thread that pumps it: the receiver, or the shared thread meanwhile.

    Args:
        current: The pump of the connection.
        life: The session's state.
        outbox: Sends over the new connection after the cut.
        outages: Announces the change of connections; has the user's policy.
        connector: Makes the next connection.
        begin: Starts recognition over an open connection; returns None if the session is over.
        log: The session's logger.
    """

    def __init__(
        self,
        current: Pump,
        *,
        life: Lifecycle,
        outbox: Outbox,
        outages: Outages,
        connector: Connector,
        begin: Callable[[Connection], Optional[Pump]],
        log: SessionLogger,
    ) -> None:
        self.current = current
        self.lost: Optional[Lost] = None
        """Why the session needs another connection, or None."""
        self.ended = False
        """Whether the connection was ended for its age, and the next is still to be made."""
        self._life = life
        self._outbox = outbox
        self._protocol = outbox.protocol
        self._outages = outages
        self._policy = outages.policy
        self._connector = connector
        self._begin = begin
        self._log = log
        self._attempt: Optional[ConnectAttempt] = None
        self._successor: Optional[Pump] = None
        """The pump of the second connection."""
        self._not_before = 0.0
        """When to make the next attempt at the earliest, after one that failed."""
        self._no_second = False
        """Whether the account allows no second session beside the first."""
        self._cut_by: Optional[float] = None
        """When to cut even if it is not quiet; None while no cut is sought."""

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to pump."""
        return self._life.state.over or self.lost is not None or self.ended

    def rest(self, poller: Poller) -> Optional[float]:
        """Have the poller report this object when there is something to pump.

        Returns:
            The seconds after which to pump in any case; None for no limit.
        """
        rest = _sooner(self._patience(), self.current.rest(poller, self))
        if self._successor is not None:
            rest = _sooner(rest, self._successor.rest(poller, self))
        return rest

    def pump(self, *, read: bool = True, event: bool = False) -> bool:
        """Pump, and replace the connection if it is time to. Never waits.

        Args:
            read: Whether there may be something to read.
            event: Whether something happened at a connection, rather than that time has passed.

        Returns:
            Whether `finished` or `rest` may say something else than before.

        Raises:
            TransportError: The server broke the protocol.
        """
        current, successor = self.current, self._successor
        changed = current.pump(read=read, event=event)
        if not changed and successor is None and self._attempt is None and not self._no_second:
            return False
        if successor is not None and not current.lost:
            try:
                successor.pump(read=read)
            except TransportError as error:
                if current.successor is not None:
                    raise
                self._without(error)
        self._advance()
        return True

    def leave(self) -> None:
        """Have no poller watch the connections any more."""
        for pump in (self.current, self._successor):
            if pump is not None:
                pump.connection.unregister()

    def close(self) -> None:
        """Close the connections, and cancel the attempt to make another."""
        if self._attempt is not None:
            self._attempt.cancel()
        for pump in (self.current, self._successor):
            if pump is not None:
                pump.connection.close()

    # -- inside ---------------------------------------------------------------------------------

    def _patience(self) -> Optional[float]:
        """Return after how many seconds to call `_advance` in any case."""
        if self._successor is not None or self._attempt is not None or self._no_second:
            return _PROGRESS_INTERVAL
        due = self._due()
        return None if due is None else max(0.0, due - time.monotonic())

    def _due(self) -> Optional[float]:
        """Return when to make the next connection; None if that is not known, or not possible."""
        policy, ends_at = self._policy, self.current.ends_at
        if policy is None or ends_at is None or self.current.leg.state is not State.RUNNING:
            return None
        if not self._protocol.succession.cuttable:
            return None
        return max(ends_at - policy.rollover_margin, self._not_before)

    def _advance(self) -> None:
        """Take the next step of the replacement, if it is time for it."""
        current, successor = self.current, self._successor
        if current.lost is not None:
            self.lost = current.lost
        elif current.ended:
            self._finish(current)
        elif successor is not None:
            if successor.lost is not None and current.successor is not None:
                self.lost = successor.lost
            elif successor.lost is not None:
                self._without(successor.lost.error)
            elif successor.started is not None and current.successor is None:
                self._cut_when_quiet()
        elif self._no_second and current.leg.state is State.RUNNING:
            self._cut_when_quiet()
        elif self._attempt is not None:
            if self._attempt.finished:
                self._opened(self._attempt)
        else:
            due = self._due()
            if due is not None and time.monotonic() >= due:
                self._log.info("The session nears its end; another connection is made")
                try:
                    self._attempt = self._connector.start()
                except ConnectionError as error:  # no thread is left
                    self._without(error)

    def _opened(self, attempt: ConnectAttempt) -> None:
        self._attempt = None
        try:
            connection = attempt.result()
        except SpeechmaticsError as error:
            self._without(error)
            return
        if connection is not None:
            self._successor = self._begin(connection)

    def _without(self, error: SpeechmaticsError) -> None:
        """Go on without a successor, which could not be had; try again later."""
        self._give_up_successor()
        full = isinstance(error, TranscriptionError) and error.type == "quota_exceeded"
        if full or getattr(error, "status", None) == 429:
            self._no_second = True
            return
        policy = self._policy
        assert policy is not None  # noqa: S101  (without a policy there is no attempt)
        wait = max(policy.initial_delay, policy.rollover_margin / _TRIES)
        self._not_before = time.monotonic() + wait
        self._log.warning("No other connection could be made yet: %s", error.message)

    def _give_up_successor(self) -> None:
        with self._life.lock:
            self._protocol.succession.give_up_cut()
        self._cut_by = None
        if self._successor is not None:
            self._successor.connection.close()
            self._successor = None
        self._outbox.flush()

    def _cut_when_quiet(self) -> None:
        """Cut the audio where it is quiet; when that takes too long, cut it with an overlap."""
        now = time.monotonic()
        with self._life.lock:
            if self._cut_by is None:
                margin = 0.0 if self._policy is None else self._policy.rollover_margin
                self._cut_by = min(now + margin / 2, (self.current.ends_at or now) - margin / 4)
                self._protocol.succession.seek_cut()
            found = self._protocol.succession.cut_found
        if found or now >= self._cut_by:
            self._cut_by = None
            self._cut()

    def _cut(self) -> None:
        """End the audio of the current connection; the successor, if any, takes the rest."""
        current, successor, outbox = self.current, self._successor, self._outbox
        with self._life.lock:
            if self._life.state.over or current.leg.state is not State.RUNNING:
                # The audio has ended meanwhile: there is nothing left for a successor.
                self._give_up_successor()
                return
            for outgoing in self._protocol.succession.end_leg():
                current.connection.send(outgoing.payload)
            outbox.connection = None
            if successor is not None:
                for outgoing in self._protocol.succession.enter(successor.leg):
                    successor.connection.send(outgoing.payload)
                outbox.connection = successor.connection
                current.successor = successor
            self._outages.begin(_REASON)
        current.connection.flush()
        outbox.flush()

    def _finish(self, current: Pump) -> None:
        """Close a connection that has sent its last message, and go on with its successor."""
        with contextlib.suppress(SpeechmaticsError):
            current.connection.start_closing()
        current.connection.close()
        if self._successor is None:
            self.ended = True
        else:
            self.current, self._successor = self._successor, None
            self.lost = self.current.lost


def _sooner(one: Optional[float], other: Optional[float]) -> Optional[float]:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
