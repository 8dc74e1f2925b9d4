"""Serves one session over one connection."""

from __future__ import annotations

import threading
import time
from typing import Optional

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from ._channel_threads import ChannelThreads
from ._connection import refused_by
from ._fault_injection import POLL_SECONDS, FaultInjector, FaultyConnection
from ._fault_schedule import Faults
from ._faults import Moment
from ._logs import logger
from ._record import SessionRecord
from ._sender import Sender, SessionOver
from ._session import CLOSED, ENDING, STARTED, WAITING, Session, Work
from ._time_limits import TimeLimits

__all__ = ["SessionHandler"]

_LATE_AUDIO_SECONDS = 0.02
"""How long to listen, after the last final, for audio sent after EndOfStream."""


class SessionHandler:
    """Receives and answers the messages of one session, in the thread that creates it.

    Args:
        connection: The connection, after its handshake.
        session: The state of the session.
        record: Where to write how the session ended.
        faults: The faults to inject, or None.

    Attributes:
        connection: As given.
        thread: The thread that serves the connection.
    """

    def __init__(
        self,
        connection: ServerConnection,
        session: Session,
        record: SessionRecord,
        faults: Optional[Faults],
    ) -> None:
        self.connection = connection
        self.thread = threading.current_thread()
        self._session = session
        self._record = record
        self._sender = Sender(connection, session)
        self._channel_threads = ChannelThreads(self._sender)
        self._injector: Optional[FaultInjector] = None
        if faults is not None and isinstance(connection, FaultyConnection):
            self._injector = FaultInjector(
                faults, connection, record, session, self._sender, self._channel_threads
            )

    def abandon(self) -> None:
        """Have recognition stop at the next frame and a lasting fault end; from any thread."""
        self._session.abandon()
        if isinstance(self.connection, FaultyConnection):
            self.connection.faulty_socket.release()

    def runs_in(self, thread: threading.Thread) -> bool:
        """Whether a thread is one of this session's."""
        return thread is self.thread or self._channel_threads.runs_in(thread)

    def run(self, time_limits: TimeLimits) -> None:
        """Serve the session until it and its connection are closed, within these limits."""
        connection, session, record = self.connection, self._session, self._record
        logger.info("session begins [session_id=%s]", record.id)
        try:
            self._converse(time_limits)
            self._close(session.close_code or 1000)
        except ConnectionClosed:
            refused = refused_by(connection)
            if refused is not None and session.state != CLOSED:
                session.fail(refused.type, refused.reason)
        finally:
            session.abandon()
            self._channel_threads.close()
            session.close()
            record.close_code = connection.protocol.close_code
            if refused_by(connection) is not None:  # then the client's close frame was not read
                record.close_code = session.close_code
            record.ended = True
            logger.info("session ends, code %s [session_id=%s]", record.close_code, record.id)

    def _converse(self, time_limits: TimeLimits) -> None:
        """Receive and answer until the session is closed."""
        session, sender, channel_threads = self._session, self._sender, self._channel_threads
        try:
            self._inject(Moment.CONNECTED)
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            sender.send(session.greet(now))
            while session.state != CLOSED:
                wait = time_limits.wait(time.monotonic())
                if session.state == ENDING:
                    wait = _LATE_AUDIO_SECONDS
                elif self._injector is not None:
                    wait = min(wait, POLL_SECONDS)
                try:
                    message = self.connection.recv(timeout=wait)
                except TimeoutError:
                    if session.state == ENDING:
                        channel_threads.wait()
                        self._inject(Moment.ENDED)
                        if not sender.acknowledge(ending=True):
                            sender.send(session.complete())
                        continue
                else:
                    self._receive(message, time_limits)
                self._inject(Moment.AUDIO)
                sender.acknowledge()
                sender.send(time_limits.due(time.monotonic()))
        except SessionOver:
            pass
        except ConnectionClosed:
            raise
        except Exception as error:
            sender.fail(error)

    def _receive(self, message: str | bytes, time_limits: TimeLimits) -> None:
        chunks, waiting = self._record.audio_chunks, self._session.state == WAITING
        for step in self._session.receive(message):
            if isinstance(step, Moment):
                self._inject(step)
            elif isinstance(step, Work):
                self._channel_threads.add(step)
            else:
                self._sender.send([step])
        if waiting and self._session.state == STARTED:
            time_limits.started()
        if self._record.audio_chunks != chunks:
            time_limits.audio_came(time.monotonic())

    def _inject(self, moment: Moment) -> None:
        if self._injector is not None:
            self._injector.inject(moment)

    def _close(self, code: int) -> None:
        """Close a connection whose client may still be sending.

        Everything the client sends is read until it has answered: closing a socket with unread
        bytes resets the connection, and the client may lose the Error it has not read yet.
        """
        closer = threading.Thread(
            target=self.connection.close, args=(code,), name="speechmatics-local-close", daemon=True
        )
        try:
            closer.start()
        except RuntimeError:  # no thread is left: better the Error may be lost than this one waits
            self.connection.close(code)
            return
        try:
            while True:
                self.connection.recv()
        except ConnectionClosed:
            pass
        finally:
            closer.join()
