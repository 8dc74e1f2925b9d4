"""One open connection of a session: what comes over it takes effect, its time limits are watched.

What a session does with a connection is kept apart from who waits for the bytes: `Pump.pump` never
waits, and `Pump.rest` says for what to wait until the next.
"""

from __future__ import annotations

import re
import time
from collections.abc import Hashable, Sequence
from typing import Optional, Union

from .._concurrency.deadlines import Deadline
from .._concurrency.poller import Poller
from .._model.messages import ServerMessageType, WarningType
from .._model.typing import Message
from .._protocol.codec import decode
from .._protocol.events import (
    Acknowledged,
    Deliver,
    Ended,
    Event,
    Failed,
    LegEnded,
    Lost,
    Settled,
    Started,
)
from .._protocol.leg import Leg
from .._protocol.time_limits import Limits
from .._transport.connection import HIGH_WATER, Closed, Connection
from .outbox import Outbox
from .state import SessionState

__all__ = ["Pump"]

_ERROR = ServerMessageType.ERROR.value
_WARNING = ServerMessageType.WARNING.value
_NEARS_ITS_END = WarningType.SESSION_TIMEOUT.value
_MINUTES_LEFT = re.compile(r"\bin ([0-9]+(?:\.[0-9]+)?) ?m")

_ERROR_GRACE = 0.25
"""Seconds for the close frame to follow an Error, whose code it adds."""


class Pump:
    """One open connection of a session: takes in what comes and watches the time limits.

    Args:
        connection: Open, StartRecognition sent.
        leg: What is said over it.
        state: The session's.
        outbox: Is flushed whenever the connection takes more.
    """

    def __init__(
        self, connection: Connection, leg: Leg, state: SessionState, outbox: Outbox
    ) -> None:
        self.connection = connection
        self.leg = leg
        self.lost: Optional[Lost] = None
        """What ended the connection before the session was over."""
        self.started: Optional[Started] = None
        """How recognition started on it, once it did."""
        self.ends_at: Optional[float] = None
        """When the server, or the user, wants the session to be at its end; None if not known."""
        self.ended = False
        """Whether it was ended for another to take over, and has said its last."""
        self.successor: Optional[Pump] = None
        """The line that takes over when this one has said its last."""
        self._state = state
        self._outbox = outbox
        self._limits = Limits(state.config, time.monotonic())
        self._spoke = False
        """Whether the peer has said something since it was looked at the limits."""
        self._look_at = 0.0
        self._due: Optional[float] = 0.0
        self._seen = leg.state
        self._error_grace: Optional[Deadline] = None
        self._paused = False

    def rest(self, waiter: Poller, owner: Hashable) -> Optional[float]:
        """Have a waiter say when there may be something to pump.

        Args:
            waiter: Who waits.
            owner: Whom it names.

        Returns:
            The seconds after which there is something to pump in any case; None if there need not
            be.
        """
        with self._state.lock:
            # Before the start, nobody may have begun to handle what comes.
            started = self._state.started
            pauses = self._state.inbox.reading_pauses() and started
        self._paused = pauses and not self.connection.broken
        if self.connection.rest(waiter, owner, read=not self._paused):
            return 0.0
        if self._error_grace is not None:
            return self._error_grace.remaining()
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def pump(self, *, read: bool = True) -> None:
        """Take in what has come, hand on what may be sent, look at the limits. Never waits.

        Args:
            read: Whether something may have come.

        Raises:
            TransportError: The server broke the protocol.
        """
        if self._state.abandoned:
            self._state.request_close()
            return
        if (read or self.connection.broken) and not self._paused:
            received = self.connection.receive()
            if received:
                self._spoke = True
                if not self._take_in(received):
                    return
        self._send()
        if self._error_grace is None:
            now = time.monotonic()
            if now >= self._look_at or self.leg.state is not self._seen:
                self._check_limits(now)
        elif self._error_grace.passed():
            self._closed(Closed(None, ""))

    def _send(self) -> None:
        """Hand on and move what the network takes; more, if it was only for want of room."""
        connection = self.connection
        full = True
        while full:
            self._outbox.hand_on()
            full = connection.backlog >= HIGH_WATER
            if connection.backlog:
                connection.move()
            full = full and connection.backlog < HIGH_WATER

    def _check_limits(self, now: float) -> None:
        state, leg_state = self._state, self.leg.state
        with state.lock:
            owes = self.leg.owes_answer
        if self._paused:
            self._limits.restart(now)
        self._limits.note(now, heard=self.connection.last_heard, spoke=self._spoke, owes=owes)
        self._spoke = False
        passed = self._limits.passed(now, leg_state)
        if passed is not None:
            with state.lock:
                self.lost = self.leg.limit_passed(passed)
        elif self._limits.ping_is_due(now):
            self.connection.ping()
        # Most often nothing of this changes before, and each look would cost as much as a chunk.
        patience = self._limits.patience(now, leg_state)
        self._due = None if patience is None else now + patience
        self._look_at = now + self._limits.accuracy
        if self._due is not None:
            self._look_at = min(self._look_at, self._due)
        self._seen = leg_state

    def _take_in(self, received: Sequence[Union[bytes, Closed]]) -> bool:
        """Have what has come take effect; return whether the connection goes on."""
        state = self._state
        protocol = state.protocol
        with state.lock:
            for each in received:
                if isinstance(each, Closed):
                    self._closed(each)
                    return False
                message = decode(each)
                if state.over:
                    continue
                state.meter.received()
                name = message.get("message")
                if name == _WARNING:
                    self._note_end(message)
                elif name == _ERROR:
                    self._error_grace = self._error_grace or Deadline(_ERROR_GRACE)
                for event in protocol.receive(self.leg, message):
                    self._settle(event)
                if self.lost is not None:
                    return False
        return True

    def _note_end(self, message: Message) -> None:
        """Take note of when the server will end the session, if a Warning says so."""
        if message.get("type") != _NEARS_ITS_END:
            return
        left = _MINUTES_LEFT.search(str(message.get("reason")))
        if left is not None:
            self.ends_at = time.monotonic() + 60.0 * float(left[1])

    def _settle(self, event: Event) -> None:
        """Have an event take effect. Needs the lock."""
        state = self._state
        if isinstance(event, Acknowledged):
            state.meter.acknowledged(event.label, event.number)
            if state.listens(event.message["message"]):
                state.inbox.put(event.message)
        elif isinstance(event, Deliver):
            state.deliver(event.message)
        elif isinstance(event, Started):
            self.started = event
            if state.policy is not None and state.policy.session_limit is not None:
                self.ends_at = time.monotonic() + state.policy.session_limit
            if self.leg is state.protocol.leg:
                state.connection_made(event)
        elif isinstance(event, Settled):
            state.backoff.progress()
        elif isinstance(event, LegEnded):
            self.ended = True
            if self.successor is not None and self.successor.started is not None:
                state.connection_made(self.successor.started)
        elif isinstance(event, Ended):
            state.finish(None)
        elif isinstance(event, Lost):
            self.lost = event
        elif isinstance(event, Failed):
            if self._error_grace is None:
                state.finish(event.error)
        else:
            state.progressed.notify_all()

    def _closed(self, closed: Closed) -> None:
        with self._state.lock:
            event = self._state.protocol.closed(self.leg, closed.code, closed.reason)
            if isinstance(event, Lost):
                self.lost = event
            elif event is not None:
                self._state.finish(event.error)
            elif self._state.protocol.over:  # not if only this leg is
                self._state.finish(None)
