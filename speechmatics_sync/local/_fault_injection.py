"""Makes faults happen to one connection, down to its socket; `Faults` decides when."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Optional

from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from ._channel_threads import ChannelThreads
from ._connection import Connection, socket_hung_up
from ._fault_schedule import Faults, Progress
from ._faults import (
    Close,
    Drop,
    EndEarly,
    Fault,
    Garbage,
    HoldAcknowledgements,
    Moment,
    Refuse,
    Send,
    SendError,
    Silence,
    StopReading,
    Warn,
)
from ._record import SessionRecord
from ._sender import Sender, SessionOver
from ._session import STARTED, Session, Work
from ._validation import CLOSE_CODE

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["POLL_SECONDS", "FaultInjector", "FaultyConnection", "answer_handshake"]

POLL_SECONDS = 0.02
"""How often an idle connection checks for new faults, and whether its client is gone."""

_GARBAGE: Mapping[str, tuple[Opcode, bytes]] = {
    "not_json": (Opcode.TEXT, b"{'message': AddTranscript"),
    "not_object": (Opcode.TEXT, b'["AddTranscript"]'),
    "no_name": (Opcode.TEXT, b'{"results": []}'),
    "binary": (Opcode.BINARY, b"\x00\x01\x02\xff"),
    "invalid_utf8": (Opcode.TEXT, b'{"message": "\xff\xfe"}'),
    "unknown_message": (Opcode.TEXT, b'{"message": "SomethingNew", "value": 1}'),
}
_HALF_SENT = b'{"message":"AddTranscript","format":"2.1","metadata":{"transcript":"cut "}}'


def _frame(opcode: Opcode, content: bytes) -> bytes:
    return Frame(opcode, content).serialize(mask=False)


class _FaultySocket:
    """Wraps a connection's socket so that sending or reading can be stopped, or reset.

    `websockets` uses it like a socket; methods not defined here are those of the socket.
    """

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._sending = threading.Lock()  # held while sending; nothing goes out after `send_last`
        self._sends_nothing = False
        self._reads_nothing = False
        self._reset = False
        self._released = False
        self._over = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv(self, size: int) -> bytes:
        data: bytes = b"" if self._reads_nothing or self._reset else self._sock.recv(size)
        if self._reads_nothing:  # perhaps only since this thread began to wait
            self._over.wait()
        return b"" if self._reads_nothing or self._reset else data

    def sendall(self, data: bytes) -> None:
        with self._sending:
            if not self._sends_nothing:
                self._sock.sendall(data)

    def shutdown(self, how: int) -> None:
        if not self._reset:  # a FIN would come before the reset
            self._sock.shutdown(how)

    def close(self) -> None:
        self._sock.close()
        self._over.set()

    @property
    def stopped(self) -> bool:
        """Whether nothing is sent or nothing is read any more."""
        return self._sends_nothing or self._reads_nothing

    def send_last(self, data: bytes) -> None:
        """Send this, and nothing more."""
        with self._sending:
            self._sock.sendall(data)
            self._sends_nothing = True

    def stop_sending(self) -> None:
        """Send nothing more; `sendall` discards what it is given."""
        self._sends_nothing = True

    def stop_reading(self) -> None:
        """Read nothing more."""
        self._reads_nothing = True

    def half_close(self) -> None:
        """Send nothing more, and end the server's half of the TCP connection."""
        self._sends_nothing = True
        self._shut(socket.SHUT_WR)

    def prepare_reset(self) -> None:
        """Have `close` send a TCP reset, and wake the thread that reads."""
        self._sends_nothing = self._reset = True
        with contextlib.suppress(OSError):
            # With a linger time of 0, close() sends a reset and discards unsent data.
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The kernel keeps a socket open while a thread waits to read from it. Shutting down
        # reading wakes that thread, and the client does not notice.
        self._shut(socket.SHUT_RD)

    def release(self) -> None:
        """End `wait_until_gone`: the server ends the connection."""
        self._released = True
        if self._sends_nothing:
            self._shut(socket.SHUT_RDWR)

    def _shut(self, how: int) -> None:
        with contextlib.suppress(OSError):
            # Not the TLS socket's own method, which would also drop its TLS state.
            socket.socket.shutdown(self._sock, how)

    def wait_until_gone(self) -> None:
        """After `stop_reading`, wait until the client has hung up, or for `release`."""
        while self._reads_nothing and not (self._released or socket_hung_up(self._sock)):
            if self._over.wait(POLL_SECONDS):
                return
        if self._reads_nothing:
            self._over.set()
            self._shut(socket.SHUT_RDWR)


class FaultyConnection(Connection):
    """A connection that faults can be injected into.

    Attributes:
        number: The connection's number, from 1; 0 before its handshake.
        faulty_socket: Its socket.
    """

    def __init__(self, sock: Any, protocol: ServerProtocol, *args: Any, **options: Any) -> None:
        self.number = 0
        self.faulty_socket = _FaultySocket(sock)
        super().__init__(self.faulty_socket, protocol, *args, **options)

    @property
    def stopped(self) -> bool:
        """Whether a fault has ended the session, so that only `wait_until_gone` is left to do."""
        return self.faulty_socket.stopped

    def wait_until_gone(self) -> None:
        """Discard what comes until the client is gone or the server ends the connection."""
        self.faulty_socket.wait_until_gone()
        # The thread that reads closes the socket. If it were closed here, that thread could read
        # from another socket that got the same descriptor.
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.recv(decode=False)
        self.recv_events_thread.join()


class FaultInjector:
    """Injects the faults of one connection when they are due, in the session's thread."""

    def __init__(
        self,
        faults: Faults,
        connection: FaultyConnection,
        record: SessionRecord,
        session: Session,
        sender: Sender,
        channel_threads: ChannelThreads,
    ) -> None:
        self._faults = faults
        self._connection = connection
        self._record = record
        self._session = session
        self._sender = sender
        self._channel_threads = channel_threads
        self._ends_after: Optional[int] = None

    def inject(self, moment: Moment) -> None:
        """Inject the faults that are due at this moment.

        Raises:
            SessionOver: If one of them ended the session.
        """
        if moment is Moment.AUDIO:
            if self._session.state != STARTED:
                return
            self._end_if_due()
        if not self._faults.pending:
            return
        # A fault comes after everything that follows from the messages before it.
        self._channel_threads.wait()
        while True:
            progress = Progress(
                self._connection.number, moment, self._record, self._session.audio_seconds
            )
            fault = self._faults._take(progress)
            if fault is None:
                return
            self._inject(fault, partial(self._faults._note, fault, progress))

    def _inject(self, fault: Fault, note: Callable[[], None]) -> None:
        # Noted before the client can see it, so that a test that saw it finds it in `happened`.
        if isinstance(fault, (Drop, Silence)):
            _cut(self._connection, fault, note)
            self._connection.wait_until_gone()
            raise SessionOver
        if isinstance(fault, StopReading):
            self._connection.faulty_socket.stop_reading()
            note()
            self._connection.wait_until_gone()
            raise SessionOver
        if isinstance(fault, Close):
            note()
            self._close(fault.code, fault.reason)
        if isinstance(fault, SendError):
            close_code = fault.close_code or CLOSE_CODE.get(fault.type, 1011)
            error = self._session.fail(fault.type, fault.reason, fault.code, close_code)
            note()
            self._send(Opcode.TEXT, json.dumps(error).encode())
            self._close(close_code, "")
        if isinstance(fault, EndEarly):
            self._session.ignores_audio = True
            self._ends_after = self._record.audio_chunks + fault.ignored_chunks
            note()
            self._end_if_due()
        elif isinstance(fault, HoldAcknowledgements):
            self._sender.hold_acknowledgements(fault.chunks, fault.seconds)
            note()
        else:
            note()
            self._send(*_content(fault))

    def _send(self, opcode: Opcode, content: bytes) -> None:
        # Not through `websockets`, which refuses to send some of these frames.
        self._connection.faulty_socket.sendall(_frame(opcode, content))

    def _close(self, code: Optional[int], reason: str) -> None:
        content = b"" if code is None else struct.pack("!H", code) + reason.encode()
        self._connection.faulty_socket.send_last(_frame(Opcode.CLOSE, content))
        self._connection.wait_until_gone()
        raise SessionOver

    def _end_if_due(self) -> None:
        if self._ends_after is None or self._record.audio_chunks < self._ends_after:
            return
        for step in self._session.end_early():
            if isinstance(step, Work):
                self._channel_threads.add(step)
            elif isinstance(step, dict):
                self._sender.send([step])
        self._channel_threads.wait()
        self._sender.acknowledge(ending=True)
        self._sender.send(self._session.complete())
        raise SessionOver


def answer_handshake(
    faults: Faults, connection: FaultyConnection, request: Request
) -> Optional[Response]:
    """Inject the fault that is due at a handshake; return a response to refuse it, or None.

    A Drop or a Silence is only begun here: `websockets` (15) reads nothing until this returns.
    """
    connection.number = faults._connect()
    record = SessionRecord("", request.path, dict(request.headers.raw_items()))
    progress = Progress(connection.number, Moment.HANDSHAKE, record, {})
    fault = faults._take(progress)
    if isinstance(fault, Refuse):
        response = connection.respond(fault.status, "Refused on purpose.\n")
        if fault.retry_after is not None:
            response.headers["Retry-After"] = str(fault.retry_after)
        faults._note(fault, progress)
        return response
    if isinstance(fault, (Drop, Silence)):
        _cut(connection, fault, partial(faults._note, fault, progress))
    return None


def _cut(connection: FaultyConnection, fault: Fault, note: Callable[[], None]) -> None:
    """Begin a Drop or a Silence; `FaultyConnection.wait_until_gone` waits for its end."""
    sock = connection.faulty_socket
    if isinstance(fault, Drop):
        note()
        if fault.mid_frame:
            frame = _frame(Opcode.TEXT, _HALF_SENT)
            sock.send_last(frame[: len(frame) // 2])
        if fault.how == "reset":
            sock.prepare_reset()
        else:
            sock.half_close()
    elif isinstance(fault, Silence):
        sock.stop_sending()
        if not fault.reads:
            sock.stop_reading()
        note()


def _content(fault: Fault) -> tuple[Opcode, bytes]:
    """Return the opcode and the payload of a fault that sends a frame."""
    if isinstance(fault, Warn):
        warning = {"message": "Warning", "type": fault.type, "reason": fault.reason}
        return Opcode.TEXT, json.dumps({**warning, **(fault.fields or {})}).encode()
    if isinstance(fault, Garbage):
        return _GARBAGE[fault.kind]
    if isinstance(fault, Send):
        if isinstance(fault.content, bytes):
            return Opcode.BINARY, fault.content
        text = fault.content if isinstance(fault.content, str) else json.dumps(dict(fault.content))
        return Opcode.TEXT, text.encode()
    raise TypeError(f"unknown fault: {fault!r}")
