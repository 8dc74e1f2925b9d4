"""Makes faults happen to one connection, down to the socket; when is for `schedule` to say."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Optional

from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from ._channel_threads import Lanes, Outlet, SessionOver
from ._connection import Connection
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
from ._session import STARTED, Session, Work
from ._validation import CLOSE_CODE

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["POLL_SECONDS", "FaultyConnection", "Misbehaviour", "answer_handshake"]

POLL_SECONDS = 0.02
"""How often an idle connection looks for faults that were added, and for its client's end."""

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


class _Valve:
    """The socket of a connection, with taps: what passes through it can be stopped.

    `websockets` uses it as it uses a socket; of what is not here, the socket itself is asked.
    """

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._sending = threading.Lock()  # held while sending, and from a last frame to the muting
        self._muted = False
        self._deaf = False
        self._reset = False
        self._released = False
        self._over = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv(self, size: int) -> bytes:
        data: bytes = b"" if self._deaf or self._reset else self._sock.recv(size)
        if self._deaf:  # perhaps since the thread began to wait for data
            self._over.wait()
        return b"" if self._deaf or self._reset else data

    def sendall(self, data: bytes) -> None:
        with self._sending:
            if not self._muted:
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
        return self._muted or self._deaf

    def last(self, data: bytes) -> None:
        """Send this, and nothing more."""
        with self._sending:
            self._sock.sendall(data)
            self._muted = True

    def mute(self) -> None:
        """Send nothing more; those who send do not notice."""
        self._muted = True

    def deafen(self) -> None:
        """Read nothing more."""
        self._deaf = True

    def half_close(self) -> None:
        """Send nothing more, and tell the client's TCP so."""
        self._muted = True
        self._shut(socket.SHUT_WR)

    def prepare_reset(self) -> None:
        """Have `close` send a reset, and whoever is reading wake up."""
        self._muted = self._reset = True
        with contextlib.suppress(OSError):
            # Without lingering, close() sends a reset and drops what was not sent.
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The kernel keeps a socket open in which a thread still waits to read. To end reading is
        # nothing that the other side would see.
        self._shut(socket.SHUT_RD)

    def release(self) -> None:
        """End what lasts: the server is to end the connection."""
        self._released = True
        if self._muted:
            self._shut(socket.SHUT_RDWR)

    def _shut(self, how: int) -> None:
        with contextlib.suppress(OSError):
            # Of the base class: that of a TLS socket takes its TLS away as well.
            socket.socket.shutdown(self._sock, how)

    def await_end(self) -> None:
        """Wait until a client that is not read has hung up, or for `release`."""
        while self._deaf and not (self._released or self._hung_up()):
            if self._over.wait(POLL_SECONDS):
                return
        if self._deaf:
            self._over.set()
            self._shut(socket.SHUT_RDWR)

    def _hung_up(self) -> bool:
        number = self._sock.fileno()
        if number < 0:
            return True
        if not hasattr(select, "poll"):  # Windows: only the server can end it
            return False
        poll = select.poll()
        poll.register(number, getattr(select, "POLLRDHUP", 0))  # Linux; others see a reset only
        return bool(poll.poll(0))


class FaultyConnection(Connection):
    """A connection that can be made to misbehave.

    Attributes:
        number: Which connection it is, from 1; 0 before its handshake.
    """

    def __init__(self, sock: Any, protocol: ServerProtocol, *args: Any, **options: Any) -> None:
        self.number = 0
        self.valve = _Valve(sock)
        super().__init__(self.valve, protocol, *args, **options)

    @property
    def stopped(self) -> bool:
        """Whether there is nothing left but to `outlast` what was begun."""
        return self.valve.stopped

    def outlast(self) -> None:
        """Do nothing until the client is gone or the server ends it; what comes is thrown away."""
        self.valve.await_end()
        # The thread that reads closes the socket: were it closed here, that thread might read on
        # from whatever got its number.
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.recv(decode=False)
        self.recv_events_thread.join()


class Misbehaviour:
    """Does the faults of one connection when they are due, in the session's thread."""

    def __init__(
        self,
        faults: Faults,
        connection: FaultyConnection,
        record: SessionRecord,
        session: Session,
        outlet: Outlet,
        lanes: Lanes,
    ) -> None:
        self._faults = faults
        self._connection = connection
        self._record = record
        self._session = session
        self._outlet = outlet
        self._lanes = lanes
        self._ends_after: Optional[int] = None

    def at(self, moment: Moment) -> None:
        """Do what is due at this moment.

        Raises:
            SessionOver: If that was the end of the session.
        """
        if moment is Moment.AUDIO:
            if self._session.state != STARTED:
                return
            self._end_if_due()
        if not self._faults.pending:
            return
        # So that each fault finds all sent that follows from the messages before it.
        self._lanes.wait()
        while True:
            progress = Progress(
                self._connection.number, moment, self._record, self._session.audio_seconds
            )
            fault = self._faults.take(progress)
            if fault is None:
                return
            self._do(fault, partial(self._faults.note, fault, progress))

    def _do(self, fault: Fault, note: Callable[[], None]) -> None:
        # Noted before the client can see it: a test that saw it finds it in `happened`.
        if isinstance(fault, (Drop, Silence)):
            _cut(self._connection, fault, note)
            self._connection.outlast()
            raise SessionOver
        if isinstance(fault, StopReading):
            self._connection.valve.deafen()
            note()
            self._connection.outlast()
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
            self._outlet.hold_acknowledgements(fault.chunks, fault.seconds)
            note()
        else:
            note()
            self._send(*_content(fault))

    def _send(self, opcode: Opcode, content: bytes) -> None:
        # Not through `websockets`, which would not send all that a fault may hold.
        self._connection.valve.sendall(_frame(opcode, content))

    def _close(self, code: Optional[int], reason: str) -> None:
        content = b"" if code is None else struct.pack("!H", code) + reason.encode()
        self._connection.valve.last(_frame(Opcode.CLOSE, content))
        self._connection.outlast()
        raise SessionOver

    def _end_if_due(self) -> None:
        if self._ends_after is None or self._record.audio_chunks < self._ends_after:
            return
        for step in self._session.end_early():
            if isinstance(step, Work):
                self._lanes.add(step)
            elif isinstance(step, dict):
                self._outlet.send([step])
        self._lanes.wait()
        self._outlet.acknowledge(ending=True)
        self._outlet.send(self._session.complete())
        raise SessionOver


def answer_handshake(
    faults: Faults, connection: FaultyConnection, request: Request
) -> Optional[Response]:
    """Do what is due at a handshake; a response refuses it, None goes on.

    What lasts is only begun here: `websockets` (15) reads nothing until this returns.
    """
    connection.number = faults.connect()
    record = SessionRecord("", request.path, dict(request.headers.raw_items()))
    progress = Progress(connection.number, Moment.HANDSHAKE, record, {})
    fault = faults.take(progress)
    if isinstance(fault, Refuse):
        response = connection.respond(fault.status, "Refused on purpose.\n")
        if fault.retry_after is not None:
            response.headers["Retry-After"] = str(fault.retry_after)
        faults.note(fault, progress)
        return response
    if isinstance(fault, (Drop, Silence)):
        _cut(connection, fault, partial(faults.note, fault, progress))
    return None


def _cut(connection: FaultyConnection, fault: Fault, note: Callable[[], None]) -> None:
    """Begin a Drop or a Silence; `FaultyConnection.outlast` waits for its end."""
    valve = connection.valve
    if isinstance(fault, Drop):
        note()
        if fault.mid_frame:
            frame = _frame(Opcode.TEXT, _HALF_SENT)
            valve.last(frame[: len(frame) // 2])
        if fault.how == "reset":
            valve.prepare_reset()
        else:
            valve.half_close()
    elif isinstance(fault, Silence):
        valve.mute()
        if not fault.reads:
            valve.deafen()
        note()


def _content(fault: Fault) -> tuple[Opcode, bytes]:
    """The frame of a fault that sends one."""
    if isinstance(fault, Warn):
        warning = {"message": "Warning", "type": fault.type, "reason": fault.reason}
        return Opcode.TEXT, json.dumps({**warning, **fault.fields}).encode()
    if isinstance(fault, Garbage):
        return _GARBAGE[fault.kind]
    if isinstance(fault, Send):
        if isinstance(fault.content, bytes):
            return Opcode.BINARY, fault.content
        text = fault.content if isinstance(fault.content, str) else json.dumps(dict(fault.content))
        return Opcode.TEXT, text.encode()
    raise TypeError(f"no such fault: {fault!r}")
