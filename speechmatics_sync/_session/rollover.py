"""The line of a session that is pumped, and how another takes over before the server ends it.

A server ends a session at a certain age, and says so some minutes before. Shortly before that
another connection is opened beside the first. Once recognition has started on it the audio is cut:
the first line is ended and says its last, the other takes what follows, and what that one says
waits. Where the account allows no second session, the first is ended before another is opened.
"""

from __future__ import annotations

import contextlib
import time
from typing import Callable, Optional

from .._concurrency.poller import Poller
from .._protocol.events import Lost
from .._protocol.leg import State
from .._transport.connection import Connection
from ..errors import SpeechmaticsError, TranscriptionError, TransportError
from .connecting import Opening
from .outbox import Outbox
from .pump import Pump
from .state import SessionState

__all__ = ["Rollover"]

_LOOK_AGAIN = 0.05
"""Seconds after which it is looked how far a connection in the making is, or a cut."""

_TRIES = 10
"""How often another connection is tried for while there is time."""

_REASON = "The session is near the longest time that the server keeps one."


class Rollover:
    """Pumps a session's line, and replaces it in time.

    Args:
        state: The session's.
        outbox: Is flushed when another line takes the audio.
        line: The first.
        start_opening: Begins to open another connection; None if the session is over.
        begin: Starts recognition over a connection that is open; None if the session is over.
    """

    def __init__(
        self,
        state: SessionState,
        outbox: Outbox,
        line: Pump,
        start_opening: Callable[[], Optional[Opening]],
        begin: Callable[[Connection], Optional[Pump]],
    ) -> None:
        self.line = line
        self.lost: Optional[Lost] = None
        """What a line was lost to that the session needs."""
        self.ended = False
        """Whether the line has said its last, and another is still to be made."""
        self._state = state
        self._outbox = outbox
        self._start_opening = start_opening
        self._begin = begin
        self._opening: Optional[Opening] = None
        self._successor: Optional[Pump] = None
        self._not_before = 0.0
        self._alone = False
        self._cut_by: Optional[float] = None

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to pump."""
        return self._state.over or self.lost is not None or self.ended

    def rest(self, waiter: Poller) -> Optional[float]:
        """Have a waiter name this when there may be something to pump.

        Returns:
            The seconds after which there is something to pump in any case; None if there need not
            be.
        """
        rest = _sooner(self._patience(), self.line.rest(waiter, self))
        if self._successor is not None:
            rest = _sooner(rest, self._successor.rest(waiter, self))
        return rest

    def pump(self, *, read: bool = True) -> None:
        """Take in what has come, and look whether it is time for another line. Never waits.

        Args:
            read: Whether something may have come.

        Raises:
            TransportError: The server broke the protocol.
        """
        line, successor = self.line, self._successor
        line.pump(read=read)
        if successor is not None and not line.lost:
            try:
                successor.pump(read=read)
            except TransportError as error:
                if line.successor is not None:
                    raise
                self._without(error)
        self._look()

    def leave(self) -> None:
        """Have no waiter name this any more."""
        for line in (self.line, self._successor):
            if line is not None:
                line.connection.leave()

    def close(self) -> None:
        """Free the connections."""
        if self._opening is not None:
            self._opening.cancel()
        for line in (self.line, self._successor):
            if line is not None:
                line.connection.close()

    # -- inside ---------------------------------------------------------------------------------

    def _patience(self) -> Optional[float]:
        if self._successor is not None or self._opening is not None or self._alone:
            return _LOOK_AGAIN
        due = self._due()
        return None if due is None else max(0.0, due - time.monotonic())

    def _due(self) -> Optional[float]:
        """Return when another line is to be made."""
        policy, ends_at = self._state.policy, self.line.ends_at
        if policy is None or ends_at is None or self.line.leg.state is not State.RUNNING:
            return None
        if not self._state.protocol.cuttable:
            return None
        return max(ends_at - policy.rollover_margin, self._not_before)

    def _look(self) -> None:
        line, successor = self.line, self._successor
        if line.lost is not None:
            self.lost = line.lost
        elif line.ended:
            self._leave(line)
        elif successor is not None:
            if successor.lost is not None and line.successor is not None:
                self.lost = successor.lost
            elif successor.lost is not None:
                self._without(successor.lost.error)
            elif successor.started is not None and line.successor is None:
                self._cut_when_quiet()
        elif self._alone and line.leg.state is State.RUNNING:
            self._cut_when_quiet()
        elif self._opening is not None:
            if self._opening.finished:
                self._opened(self._opening)
        else:
            due = self._due()
            if due is not None and time.monotonic() >= due:
                self._state.log.info("The session nears its end; another connection is made")
                self._opening = self._start_opening()

    def _opened(self, opening: Opening) -> None:
        self._opening = None
        try:
            connection = opening.result()
        except SpeechmaticsError as error:
            self._without(error)
            return
        finally:
            self._state.opening = None
        if connection is not None:
            self._successor = self._begin(connection)

    def _without(self, error: SpeechmaticsError) -> None:
        """Go on without the line that could not be had."""
        self._give_up_successor()
        full = isinstance(error, TranscriptionError) and error.type == "quota_exceeded"
        if full or getattr(error, "status", None) == 429:
            self._alone = True
            return
        policy = self._state.policy
        assert policy is not None  # noqa: S101  (nothing was opened without one)
        wait = max(policy.initial_delay, policy.rollover_margin / _TRIES)
        self._not_before = time.monotonic() + wait
        self._state.log.warning("No other connection could be made yet: %s", error.message)

    def _give_up_successor(self) -> None:
        with self._state.lock:
            self._state.protocol.give_up_cut()
        self._cut_by = None
        if self._successor is not None:
            self._successor.connection.close()
            self._successor = None
        self._outbox.flush()

    def _cut_when_quiet(self) -> None:
        """Cut the audio where it is quiet, or at last wherever it is."""
        state = self._state
        now = time.monotonic()
        with state.lock:
            if self._cut_by is None:
                margin = 0.0 if state.policy is None else state.policy.rollover_margin
                self._cut_by = min(now + margin / 2, (self.line.ends_at or now) - margin / 4)
                state.protocol.seek_cut()
            found = state.protocol.cut_found
        if found or now >= self._cut_by:
            self._cut_by = None
            self._cut()

    def _cut(self) -> None:
        """End the line's audio here; the successor takes what follows, if there is one."""
        state, line, successor = self._state, self.line, self._successor
        with state.lock:
            if state.over or line.leg.state is not State.RUNNING:
                # The audio has ended meanwhile: there is nothing to take over.
                self._give_up_successor()
                return
            for outgoing in state.protocol.end_leg():
                line.connection.send(outgoing.payload)
            state.connection = None
            if successor is not None:
                for outgoing in state.protocol.enter(successor.leg):
                    successor.connection.send(outgoing.payload)
                state.connection = successor.connection
                line.successor = successor
            state.replace_connection(_REASON)
        line.connection.flush()
        self._outbox.flush()

    def _leave(self, line: Pump) -> None:
        """Take leave of a line that has said its last."""
        with contextlib.suppress(SpeechmaticsError):
            line.connection.start_closing()
        line.connection.close()
        if self._successor is None:
            self.ended = True
        else:
            self.line, self._successor = self._successor, None
            self.lost = self.line.lost


def _sooner(one: Optional[float], other: Optional[float]) -> Optional[float]:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
