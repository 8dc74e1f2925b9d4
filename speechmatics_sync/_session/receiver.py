"""The connections of a session, one after another: each is opened, pumped and taken leave of."""

from __future__ import annotations

import contextlib
from typing import Optional

from .._auth.endpoint import Endpoint
from .._concurrency.deadlines import Deadline
from .._concurrency.shared_thread import pump_to_end
from .._protocol.events import Lost
from .._transport.connection import Closed, Connection
from ..errors import ConnectionError, SpeechmaticsError, TransportError
from .connecting import ConnectAttempt
from .outbox import Outbox
from .pump import Pump
from .reconnecting import given_up
from .rollover import Rollover
from .state import SessionState

__all__ = ["Receiver"]

_CONNECTING_GRACE = 2.0
"""Seconds for the opener to come back once given up; only what cannot be ended takes more."""

_STILL_WANTED = 0.25
"""How often to check whether the pending connection is still wanted, in seconds."""

_END_GRACE = 1.0
"""Seconds for the closing handshake after EndOfTranscript, on which nothing depends any more."""


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
                self._connect_and_pump()
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

    def _connect_and_pump(self) -> None:
        """Connect, and pump until the session is over or it is time for another connection."""
        try:
            connection = self._connect()
        except SpeechmaticsError as error:
            self._recover(Lost(error), opened=False)
            return
        pump = None if connection is None else self._begin(connection)
        if pump is not None:
            lost = self._pump(pump)
            if lost is not None:
                self._recover(lost, opened=True)

    def _connect(self) -> Optional[Connection]:
        """Return an open connection, or None if the session ended before there was one."""
        state = self._state
        attempt = self._start_attempt()
        if attempt is None:
            return None
        try:
            while not attempt.wait(_STILL_WANTED):
                if state.abandoned:
                    state.request_close()
            return attempt.result()
        except OSError as error:
            if not state.started or isinstance(error, SpeechmaticsError):
                raise
            # The network failed in a user's `AuthBase`. The error's text may hold a key.
            raise ConnectionError(
                f"get_auth_headers() failed with {type(error).__name__}."
            ) from error
        finally:
            with state.lock:
                state.attempt = None

    def _pump(self, pump: Pump) -> Optional[Lost]:
        """Pump until the session is over, or return why it needs another connection."""
        state = self._state
        rollover = Rollover(state, self._outbox, pump, self._start_attempt, self._begin)
        try:
            pump_to_end(rollover)
            if state.over:
                self._closing_handshake(rollover.current.connection)
                return None
            return rollover.lost
        finally:
            with state.lock:
                state.connection = None
            rollover.close()

    def _start_attempt(self) -> Optional[ConnectAttempt]:
        """Begin to open a connection, unless the session is over."""
        state = self._state
        attempt = ConnectAttempt(self._endpoint, state.options.ws_headers, state.config, state.log)
        with state.lock:
            if state.over:
                return None
            state.attempt = attempt
        state.threads.start("opener", self._open, attempt)
        return attempt

    def _begin(self, connection: Connection) -> Optional[Pump]:
        """Start recognition over a connection, unless the session is over."""
        state = self._state
        with state.lock:
            if not state.over:
                leg = state.protocol.succession.new_leg()
                if not state.started:
                    state.protocol.succession.enter(leg)
                connection.send(leg.connected())
                if state.connection is None:
                    state.connection = connection
                pump = Pump(connection, leg, state, self._outbox)
        if state.over:
            connection.close()
            return None
        connection.flush()
        state.log.debug("Connected; the session starts")
        return pump

    def _open(self, attempt: ConnectAttempt) -> None:
        # An `AuthBase` of the user's, and a name look-up that nothing can interrupt.
        with self._state.threads.in_user_code(_CONNECTING_GRACE):
            attempt.run()

    def _closing_handshake(self, connection: Connection) -> None:
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

    def _recover(self, lost: Lost, *, opened: bool) -> None:
        """Wait until it is time for the next attempt, or end the session if there is none."""
        state = self._state
        with state.lock:
            if state.over:
                return
            backoff = state.backoff
            error = state.protocol.succession.irrecoverable(lost.error)
            delay = None
            if error is None:
                delay = backoff.delay(
                    lost.error, opened=opened, begun=state.started, busy=lost.busy
                )
            if delay is None:
                if lost.last_message is not None:
                    state.deliver(lost.last_message)
                state.fail(error or given_up(lost.error, backoff.attempts))
                return
            state.connection_lost(lost.error.message)
        why = lost.error.message
        state.log.warning("%s Attempt %d to reconnect in %.1f s.", why, backoff.attempts, delay)
        state.wait_until_over(Deadline(delay))
