"""The connections of a session, one after another: each is opened, pumped and taken leave of."""

from __future__ import annotations

import contextlib
from typing import NamedTuple, Optional

from .._auth.endpoint import Endpoint
from .._concurrency.deadlines import Deadline
from .._concurrency.shared_thread import pump_to_end
from .._protocol.events import Lost
from .._transport.connection import Closed, Connection
from ..errors import ConnectionError, SpeechmaticsError, TransportError
from .connecting import Opening
from .outbox import Outbox
from .pump import Pump
from .reconnecting import given_up
from .rollover import Rollover
from .state import SessionState

__all__ = ["Receiver"]

_OPENING_GRACE = 2.0
"""Seconds for the opener to come back once given up; only what cannot be ended takes more."""

_LOOK_AGAIN = 0.25
"""Seconds after which it is looked whether anybody still wants the connection in the making."""

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
                loss = self._connect_and_pump()
                if loss is not None and not self._recover(loss):
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
        except OSError as error:
            if not state.started:
                raise
            # An `AuthBase` of the user's wants the network as well. Its words may hold a key.
            lost = ConnectionError(f"get_auth_headers() failed with {type(error).__name__}.")
            lost.__cause__ = error
            return Loss(Lost(lost), opened=False)
        line = None if connection is None else self._begin(connection)
        if line is None:
            return None
        rollover = Rollover(state, self._outbox, line, self._start_opening, self._begin)
        try:
            pump_to_end(rollover)
            if state.over:
                self._say_goodbye(rollover.line.connection)
                return None
            return None if rollover.lost is None else Loss(rollover.lost, opened=True)
        finally:
            with state.lock:
                state.connection = None
            rollover.close()

    def _connect(self) -> Optional[Connection]:
        """Return an open connection, or None if the session ended before there was one."""
        opening = self._start_opening()
        if opening is None:
            return None
        try:
            while not opening.wait(_LOOK_AGAIN):
                if self._state.abandoned:
                    self._state.request_close()
            return opening.result()
        finally:
            with self._state.lock:
                self._state.opening = None

    def _start_opening(self) -> Optional[Opening]:
        """Begin to open a connection, unless the session is over."""
        state = self._state
        opening = Opening(self._endpoint, state.options.ws_headers, state.config, state.log)
        with state.lock:
            if state.over:
                return None
            state.opening = opening
        state.threads.start("opener", self._open, opening)
        return opening

    def _begin(self, connection: Connection) -> Optional[Pump]:
        """Start recognition over a connection, unless the session is over."""
        state = self._state
        with state.lock:
            if not state.over:
                leg = state.protocol.new_leg()
                if not state.started:
                    state.protocol.enter(leg)
                connection.send(leg.connected())
                if state.connection is None:
                    state.connection = connection
                line = Pump(connection, leg, state, self._outbox)
        if state.over:
            connection.close()
            return None
        connection.flush()
        state.log.debug("Connected; the session starts")
        return line

    def _open(self, opening: Opening) -> None:
        # An `AuthBase` of the user's, and a name look-up that nothing can interrupt.
        with self._state.threads.in_user_code(_OPENING_GRACE):
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
        why = lost.error.message
        state.log.warning("%s Attempt %d to reconnect in %.1f s.", why, recovery.attempts, delay)
        return not state.wait_until_over(Deadline(delay))
