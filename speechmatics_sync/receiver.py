"""The connection's side of a session: it is opened, pumped, and taken leave of.

What a session does with its connection is kept apart from who waits for the bytes: `Line.pump`
never waits, and `Line.wait` is all that a thread does between two of them.
"""

from __future__ import annotations

import contextlib
import time
from typing import Optional

from .deadlines import Deadline
from .endpoint import Endpoint
from .errors import ConnectionError, SpeechmaticsError, TransportError
from .limits import Limits
from .messages import ServerMessageType
from .opening import Opening
from .outbox import Outbox
from .protocol import Acknowledged, Deliver, Ended, Failed, Started
from .state import SessionState
from .transport import Closed, Connection
from .wire import Message, decode

__all__ = ["Line", "Receiver"]

_ERROR_GRACE = 0.25
"""Seconds for the close frame to follow an Error, whose code it adds."""

_OPENING_GRACE = 2.0
"""Seconds for the opener to come back once given up; only what cannot be ended takes more."""

_END_GRACE = 1.0
"""Seconds for the closing handshake after EndOfTranscript, on which nothing depends any more."""


class Receiver:
    """Gives a session its connection, and waits for what comes.

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
        """Connect, pump until the session is over, take leave; the receiver thread's whole life."""
        state = self._state
        connection = None
        try:
            connection = self._connect() if state.wait_until_prepared() else None
            if connection is not None:
                line = Line(connection, state, self._outbox)
                while not state.over:
                    line.wait()
                    line.pump()
                self._say_goodbye(connection)
        except SpeechmaticsError as error:
            state.fail(error)
        except BaseException as error:
            state.log.exception("The session's receiver failed")
            state.fail(error)
        finally:
            if connection is not None:
                with state.lock:
                    state.connection = None
                connection.close()

    def hurry(self, limit: Deadline) -> None:
        """Set when the closing handshake must be over."""
        self._closing = limit

    def abort(self) -> None:
        """End the connection at once."""
        connection = self._state.connection
        if connection is not None:
            connection.abort()

    def _connect(self) -> Optional[Connection]:
        """Return an open connection, or None if the session ended before there was one."""
        state = self._state
        opening = Opening(self._endpoint, state.options.ws_headers, state.config, state.log)
        with state.lock:
            if state.over:
                return None
            state.opening = opening
        state.threads.start("opener", self._open, opening)
        connection = opening.result()
        if connection is None:
            return None
        with state.lock:
            state.opening = None
            if not state.over:
                connection.send(state.protocol.connected())
                state.connection = connection
        if state.connection is None:
            connection.close()
            return None
        connection.flush()
        state.log.debug("Connected; the session starts")
        return connection

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


class Line:
    """One open connection of a session: takes in what comes and watches the time limits.

    Args:
        connection: Open, StartRecognition sent.
        state: The session's.
        outbox: Is flushed whenever the connection takes more.
    """

    def __init__(self, connection: Connection, state: SessionState, outbox: Outbox) -> None:
        self._connection = connection
        self._state = state
        self._outbox = outbox
        self._limits = Limits(state.config, time.monotonic())
        self._error_grace: Optional[Deadline] = None
        self._paused = False

    def wait(self) -> None:
        """Wait until there may be something to pump."""
        with self._state.lock:
            # Before the start, nobody may have begun to handle what comes.
            started = self._state.started_at is not None
            pauses = self._state.inbox.reading_pauses() and started
        self._paused = pauses and not self._connection.broken
        if self._error_grace is not None:
            patience = self._error_grace.remaining()
        else:
            patience = self._limits.patience(time.monotonic(), self._state.stage)
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
        self._outbox.flush()
        if self._error_grace is None:
            self._check_limits(time.monotonic(), spoke)
        elif self._error_grace.passed():
            self._closed(Closed(None, ""))

    def _check_limits(self, now: float, spoke: bool) -> None:
        state = self._state
        with state.lock:
            owes = state.protocol.owes_answer
        if self._paused:
            self._limits.restart(now)
        self._limits.note(now, heard=self._connection.last_heard, spoke=spoke, owes=owes)
        passed = self._limits.passed(now, state.stage)
        if passed is not None:
            state.fail(passed)
        elif self._limits.ping_is_due(now):
            self._connection.ping()

    def _take_in(self, payload: bytes) -> None:
        state = self._state
        message = decode(payload)
        with state.lock:
            if state.over:
                return
            state.meter.received()
            for event in state.protocol.receive(message):
                if isinstance(event, Acknowledged):
                    state.meter.acknowledged(event.label, event.number)
                    if state.listens(event.message["message"]):
                        state.inbox.put(event.message)
                elif isinstance(event, Deliver):
                    self._deliver(event.message)
                elif isinstance(event, Started):
                    state.session_id = state.log.session_id = event.session_id
                    state.language_pack_info = event.language_pack_info
                    state.started_at = time.monotonic()
                    state.log.info("Recognition started")
                    state.progressed.notify_all()
                elif isinstance(event, Ended):
                    state.finish(None)
                elif isinstance(event, Failed):
                    if message.get("message") == ServerMessageType.ERROR.value:
                        self._error_grace = Deadline(_ERROR_GRACE)
                    else:
                        state.finish(event.error)
                else:
                    state.progressed.notify_all()

    def _deliver(self, message: Message) -> None:
        state = self._state
        if state.options.collect:
            state.transcript.add(message)
        state.meter.delivered(message)
        name = message.get("message")
        if name == ServerMessageType.WARNING.value:
            reason = message.get("reason")
            state.log.warning("The server warns: %s: %s", message.get("type"), reason)
        elif name == ServerMessageType.ERROR.value:
            state.log.error("The server sent an Error: %s", message.get("type"))
        state.inbox.put(message)

    def _closed(self, closed: Closed) -> None:
        with self._state.lock:
            self._state.finish(self._state.protocol.closed(closed.code, closed.reason))
