"""The thread that connects a session, and receives: one connection after another."""

from __future__ import annotations

import contextlib
from typing import Callable, Optional, Protocol

from .._concurrency.deadlines import Deadline
from .._concurrency.exhaustion import exhausted
from .._concurrency.shared_thread import pump_to_end
from .._logs import SessionLogger
from .._model.connection_config import ConnectionConfig
from .._protocol.events import Lost
from .._transport.connection import Closed, Connection
from ..errors import ConnectionError, SpeechmaticsError, TransportError
from .connecting import Connector
from .delivery import Delivery
from .outages import Outages
from .outbox import Outbox
from .pump import Pump
from .reconnecting import given_up
from .rollover import Rollover
from .state import Lifecycle

__all__ = ["Fail", "Receiver"]

_STILL_WANTED = 0.25
"""How often to check whether a session that waits to connect was abandoned, in seconds."""

_END_GRACE = 1.0
"""Seconds for the closing handshake after EndOfTranscript, on which nothing depends any more."""


class Fail(Protocol):
    """Ends the session with an error, as `Session.fail` does."""

    def __call__(self, error: BaseException, *, discard: bool = False) -> None: ...


class Receiver:
    """Connects, pumps the connection, and connects again, until the session is over.

    Args:
        config: Limits of the connection.
        life: The session's state.
        log: The session's logger.
        connector: Makes the connections.
        outbox: Sends over the connection.
        delivery: Gets what the server says.
        outages: Learns when the connection is lost and when recognition starts again.
        fail: Ends the session with an error.
        request_close: Ends the session because nobody wants it any more.
    """

    def __init__(
        self,
        config: ConnectionConfig,
        *,
        life: Lifecycle,
        log: SessionLogger,
        connector: Connector,
        outbox: Outbox,
        delivery: Delivery,
        outages: Outages,
        fail: Fail,
        request_close: Callable[[], None],
    ) -> None:
        self._config = config
        self._life = life
        self._log = log
        self._connector = connector
        self._outbox = outbox
        self._delivery = delivery
        self._outages = outages
        self._fail = fail
        self._request_close = request_close

        self._opening = Deadline(None)
        """For the first connection."""

        # Guarded by the session's lock: when the closing handshake must be over.
        self.closing_limit: Optional[Deadline] = None

    def run(self) -> None:
        """Stay connected until the session is over; runs in the receiver thread.

        Raises:
            BaseException: What ends the session and does not come from the server.
        """
        if self._life.wait_until_prepared():
            self._opening = Deadline(self._config.open_timeout)
            while not self._life.state.over:
                self._connect_and_pump()

    # -- one connection -------------------------------------------------------------------------

    def _connect_and_pump(self) -> None:
        """Connect, and pump until the session is over or it is time for another connection."""
        try:
            connection = self._connect()
        except SpeechmaticsError as error:
            self._recover(Lost(error.with_traceback(None)), opened=False)
            return
        pump = None if connection is None else self._begin(connection)
        if pump is not None:
            lost = self._pump(pump)
            if lost is not None:
                self._recover(lost, opened=True)

    def _connect(self) -> Optional[Connection]:
        """Return an open connection, or None if the session ended before there was one."""
        attempt = self._connector.start()
        if attempt is None:
            return None
        try:
            while not attempt.wait(_STILL_WANTED):
                if self._life.abandoned:
                    self._request_close()
            return attempt.result()
        except (OSError, RuntimeError, MemoryError) as error:
            if isinstance(error, SpeechmaticsError):
                raise
            limit_met = exhausted(error)
            if limit_met is not None:
                raise limit_met from limit_met.__cause__
            if self._life.started_at is None or not isinstance(error, OSError):
                raise
            # The network failed in a user's `AuthBase`. The error's text may hold a key.
            raise ConnectionError(
                f"get_auth_headers() failed with {type(error).__name__}: see its cause, and the "
                "network."
            ) from error

    def _begin(self, connection: Connection) -> Optional[Pump]:
        """Start recognition over an open connection; return None if the session is over."""
        life, outbox = self._life, self._outbox
        pump = None
        with contextlib.ExitStack() as unused:
            unused.callback(connection.close)
            with life.lock:
                if not life.state.over:
                    succession = outbox.protocol.succession
                    leg = succession.new_leg()
                    if life.started_at is None:
                        succession.enter(leg)
                    connection.send(leg.connected())
                    if outbox.connection is None:
                        outbox.connection = connection
                    pump = Pump(
                        connection,
                        leg,
                        config=self._config,
                        life=life,
                        outbox=outbox,
                        delivery=self._delivery,
                        outages=self._outages,
                        request_close=self._request_close,
                    )
            if pump is None or life.state.over:
                return None
            connection.flush()
            unused.pop_all()
        self._log.debug("Connected; the session starts")
        return pump

    def _pump(self, pump: Pump) -> Optional[Lost]:
        """Pump until the session is over, or return why it needs another connection."""
        rollover = Rollover(
            pump,
            life=self._life,
            outbox=self._outbox,
            outages=self._outages,
            connector=self._connector,
            begin=self._begin,
            log=self._log,
        )
        try:
            try:
                pump_to_end(rollover)
            except ConnectionError as error:
                return Lost(error)  # nothing can wait for it: no descriptor is left
            if self._life.state.over:
                self._closing_handshake(rollover.current.connection)
                return None
            return rollover.lost
        finally:
            with self._life.lock:
                self._outbox.connection = None
            rollover.close()

    def _closing_handshake(self, connection: Connection) -> None:
        """Send a close frame, and wait for the server's if there is reason to expect one."""
        failure = self._life.failure
        if failure is None:
            limit = Deadline(_END_GRACE)
        elif isinstance(failure, (ConnectionError, TransportError)) or self.closing_limit is None:
            limit = Deadline(0)  # the server does not answer, or nobody waits for the end
        else:
            limit = self.closing_limit
        connection.start_closing()
        with contextlib.suppress(SpeechmaticsError):
            while True:
                if any(isinstance(received, Closed) for received in connection.receive()):
                    return
                # close() may set a limit meanwhile.
                if limit.passed() or (self.closing_limit and self.closing_limit.passed()):
                    return
                connection.wait(limit.remaining(at_most=0.1))

    # -- from one connection to the next --------------------------------------------------------

    def _recover(self, lost: Lost, *, opened: bool) -> None:
        """Wait until it is time for the next attempt, or end the session if there is none."""
        life, backoff = self._life, self._outages.backoff
        with life.lock:
            if life.state.over:
                return
            error = self._outbox.protocol.succession.irrecoverable(lost.error)
            delay = None
            if error is None:
                begun = life.started_at is not None
                delay = backoff.delay(
                    lost.error,
                    opened=opened,
                    begun=begun,
                    busy=lost.busy,
                    time_left=self._opening.remaining(),
                )
            if delay is None:
                if lost.last_message is not None:
                    self._delivery.deliver(lost.last_message)
                if error is None or error is lost.error:
                    error = given_up(lost.error, backoff.attempts, lost=opened)
                self._fail(error)
                return
            self._outages.lost(lost.error.message)
        why = lost.error.message
        self._log.warning("%s Attempt %d to reconnect in %.1f s.", why, backoff.attempts, delay)
        self._log.flush()  # there may be no thread for it until the connection is back
        deadline = Deadline(delay)
        with life.lock:
            while not (life.state.over or life.abandoned or deadline.passed()):
                life.progressed.wait(deadline.remaining(at_most=_STILL_WANTED))
        if life.abandoned:
            self._request_close()
