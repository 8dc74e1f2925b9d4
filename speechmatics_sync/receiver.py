"""The connection's side of a session: it is opened, pumped, taken leave of, and made anew.

What a session does with its connection is kept apart from who waits for the bytes: `Line.pump`
never waits, and `Line.wait` is all that a thread does between two of them.
"""

from __future__ import annotations

import contextlib
import time
from typing import NamedTuple, Optional

from .deadlines import Deadline
from .endpoint import Endpoint
from .errors import ConnectionError, SpeechmaticsError, TransportError
from .leg import (
    Acknowledged,
    Deliver,
    Ended,
    Event,
    Failed,
    Leg,
    Lost,
    Settled,
    Started,
)
from .limits import Limits
from .messages import ServerMessageType
from .opening import Opening
from .outbox import Outbox
from .recovery import given_up
from .state import SessionState
from .transport import Closed, Connection
from .wire import decode

__all__ = ["Line", "Receiver"]

_ERROR_GRACE = 0.25
"""Seconds for the close frame to follow an Error, whose code it adds."""

_OPENING_GRACE = 2.0
"""Seconds for the opener to come back once given up; only what cannot be ended takes more."""

_END_GRACE = 1.0
"""Seconds for the closing handshake after EndOfTranscript, on which nothing depends any more."""


class Loss(NamedTuple):
    """What a connection was lost to, and whether there was one."""

    lost: Lost
    opened: bool


class Receiver:
    """Gives a session its connections, one after another, and waits for what comes.

    Args:
        state: The session's.
        outbox: Is flushed whenever the connection takes more.
        endpoint: Where to connect.
    """

    def __init__(self, state: SessionState, outbox: Outbox, endpoint: Endpoint) -> None:
        self._state = state
        self._outbox = outbox
        self._endpoint = endpoint
        self._closing: Optional[Deadline] = None

    def run(self) -> None:
        """Stay connected until the session is over; the receiver thread's whole life."""
        state = self._state
        try:
            if not state.wait_until_prepared():
                return
            while not state.over:
                lost = self._connect_and_pump()
                if lost is None or not self._recover(lost):
                    return
        except SpeechmaticsError as error:
            state.fail(error)
        except BaseException as error:
            state.log.exception("The session's receiver failed")
            state.fail(error)

    def hurry(self, limit: Deadline) -> None:
        """Set when the closing handshake must be over."""
        self._closing = limit

    def abort(self) -> None:
        """End the connection at once."""
        connection = self._state.connection
        if connection is not None:
            connection.abort()

    # -- one connection -------------------------------------------------------------------------

    def _connect_and_pump(self) -> Optional[Loss]:
        """Connect, and pump until the session is over, or return what the connection is lost to."""
        state = self._state
        try:
            connection = self._connect()
        except SpeechmaticsError as error:
            return Loss(Lost(error), opened=False)
        if connection is None:
            return None
        try:
            with state.lock:
                if state.over:
                    return None
                leg = state.protocol.new_leg()
                if not state.started:
                    state.protocol.enter(leg)
                connection.send(leg.connected())
                state.connection = connection
            connection.flush()
            state.log.debug("Connected; the session starts")
            line = Line(connection, leg, state, self._outbox)
            while not state.over and line.lost is None:
                line.wait()
                line.pump()
            if line.lost is not None:
                return Loss(line.lost, opened=True)
            self._say_goodbye(connection)
            return None
        finally:
            with state.lock:
                state.connection = None
            connection.close()

    def _connect(self) -> Optional[Connection]:
        """Return an open connection, or None if the session ended before there was one."""
        state = self._state
        opening = Opening(self._endpoint, state.options.ws_headers, state.config, state.log)
        with state.lock:
            if state.over:
                return None
            state.opening = opening
        try:
            state.threads.start("opener", self._open, opening)
            return opening.result()
        finally:
            with state.lock:
                state.opening = None

    def _open(self, opening: Opening) -> None:
        # An `AuthBase` of the user's, and a name look-up that nothing can interrupt.
        with self._state.threads.in_users_hands(_OPENING_GRACE):
            opening.run()

    def _say_goodbye(self, connection: Connection) -> None:
        """Shake hands at the end, for as long as it is worth."""
        failure = self._state.failure
        if failure is None:
            limit = Deadline(_END_GRACE)
        elif isinstance(failure, (ConnectionError, TransportError)) or self._closing is None:
            limit = Deadline(0)  # there is nobody to shake hands with, or nobody who waits for it
        else:
            limit = self._closing
        connection.start_closing()
        with contextlib.suppress(SpeechmaticsError):
            while True:
                if any(isinstance(received, Closed) for received in connection.receive()):
                    return
                if limit.passed() or (self._closing is not None and self._closing.passed()):
                    return
                connection.wait(limit.remaining(at_most=0.1))

    # -- from one connection to the next --------------------------------------------------------

    def _recover(self, loss: Loss) -> bool:
        """Wait until it is time for the next attempt; return whether there is to be one."""
        state = self._state
        lost = loss.lost
        with state.lock:
            if state.over:
                return False
            recovery = state.recovery
            error = state.protocol.irrecoverable(lost.error)
            delay = None
            if error is None:
                delay = recovery.delay(
                    lost.error, opened=loss.opened, begun=state.started, busy=lost.busy
                )
            if delay is None:
                if lost.last_message is not None:
                    state.deliver(lost.last_message)
                state.fail(error or given_up(lost.error, recovery.attempts))
                return False
            state.connection_lost(lost.error.message)
        state.log.warning(
            "%s Attempt %d to reconnect in %.1f s.", lost.error.message, recovery.attempts, delay
        )
        return not state.wait_until_over(Deadline(delay))


class Line:
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
        self.lost: Optional[Lost] = None
        """What ended the connection before the session was over."""
        self._connection = connection
        self._leg = leg
        self._state = state
        self._outbox = outbox
        self._limits = Limits(state.config, time.monotonic())
        self._error_grace: Optional[Deadline] = None
        self._paused = False

    def wait(self) -> None:
        """Wait until there may be something to pump."""
        with self._state.lock:
            # Before the start, nobody may have begun to handle what comes.
            started = self._state.started
            pauses = self._state.inbox.reading_pauses() and started
        self._paused = pauses and not self._connection.broken
        if self._error_grace is not None:
            patience = self._error_grace.remaining()
        else:
            patience = self._limits.patience(time.monotonic(), self._leg.state)
        self._connection.wait(patience, read=not self._paused)

    def pump(self) -> None:
        """Take in what has come, hand on what may be sent, look at the limits. Never waits.

        Raises:
            TransportError: The server broke the protocol.
        """
        if self._state.abandoned:
            self._state.request_close()
            return
        spoke = False
        if self._paused:
            self._connection.flush()
        else:
            for received in self._connection.receive():
                spoke = True
                if isinstance(received, Closed):
                    self._closed(received)
                    return
                self._take_in(received)
                if self.lost is not None:
                    return
        self._outbox.flush()
        if self._error_grace is None:
            self._check_limits(time.monotonic(), spoke)
        elif self._error_grace.passed():
            self._closed(Closed(None, ""))

    def _check_limits(self, now: float, spoke: bool) -> None:
        state = self._state
        with state.lock:
            owes = self._leg.owes_answer
        if self._paused:
            self._limits.restart(now)
        self._limits.note(now, heard=self._connection.last_heard, spoke=spoke, owes=owes)
        passed = self._limits.passed(now, self._leg.state)
        if passed is not None:
            with state.lock:
                self.lost = self._leg.limit_passed(passed)
        elif self._limits.ping_is_due(now):
            self._connection.ping()

    def _take_in(self, payload: bytes) -> None:
        state = self._state
        message = decode(payload)
        with state.lock:
            if state.over:
                return
            state.meter.received()
            if message.get("message") == ServerMessageType.ERROR.value:
                self._error_grace = self._error_grace or Deadline(_ERROR_GRACE)
            for event in state.protocol.receive(self._leg, message):
                self._settle(event)

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
            state.connection_made(event)
        elif isinstance(event, Settled):
            state.recovery.progress()
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
            event = self._state.protocol.closed(self._leg, closed.code, closed.reason)
            if isinstance(event, Lost):
                self.lost = event
            else:
                self._state.finish(None if event is None else event.error)
