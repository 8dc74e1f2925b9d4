"""One WebSocket connection: connect, send, receive, abort.

Once open, the socket never blocks. Whoever sends puts frames into a buffer and moves what the
network takes (`Connection.flush`); one thread, the receiver, waits outside the socket (for any
number of connections, with a `Poller`), moves the rest and reads (`Connection.receive`). Nobody
ever waits for the network inside a call, which is what makes it safe to share a TLS socket between
threads: one that blocks in TLS stops the other, or races with it (CPython issues 77271 and 137583).
And the receiver, which never waits for a write, goes on reading while the network takes nothing: a
pong that waits for a sender that waits for a peer that waits for us to read is a deadlock.
"""

from __future__ import annotations

import collections
import contextlib
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Hashable, Mapping
from typing import Callable, NamedTuple, Optional, Union

import websocket

from .._concurrency.deadlines import Deadline
from .._concurrency.poller import Poller
from .._model.connection_config import ConnectionConfig
from ..errors import ConnectionError, TransportError
from .connect_errors import map_error
from .dialing import dial
from .frames import BINARY, CLOSE, PING, PONG, TEXT, Control, FrameReader, FrameWriter
from .handshake import HandshakeSocket

__all__ = ["HIGH_WATER", "Closed", "Connection"]

HIGH_WATER = 64 * 1024
"""Bytes waiting for the network above which no more audio should be handed to `Connection.send`."""

_READ_SIZE = 64 * 1024
_READS_IN_A_ROW = 16
_TLS_RECORD = 16 * 1024
"""Bytes that a read over TLS gives at most."""
_ABNORMAL = 1006

_NOTHING = memoryview(b"")
_GIVEN_UP = "The connection was given up while it was being made."


class Closed(NamedTuple):
    """The connection has ended: by a close frame, or without one (code 1006)."""

    code: Optional[int]
    reason: str


class Connection:
    """One WebSocket connection, from connecting to the end.

    `open` may block and belongs to one thread; `send`, `flush`, `move`, `ping`, `wake` and `abort`
    may be called from any; `rest`, `wait`, `receive` and `close` belong to the one that receives.

    Args:
        url: Where to connect, with its whole query.
        headers: What the handshake says beside the protocol's own headers.
        config: Limits, proxy and TLS settings.
    """

    def __init__(self, url: str, headers: Mapping[str, str], config: ConnectionConfig) -> None:
        self._url = url
        self._headers = headers
        self._config = config
        # Guards every call on the sockets, for a number that was closed is soon used again, and
        # what waits to be sent. Reentrant: the garbage collector may end a session at any line.
        self._io = threading.RLock()
        self._opening: Optional[socket.socket] = None
        self._socket: Optional[socket.socket] = None
        self._outgoing: collections.deque[bytes] = collections.deque()
        self._sending = _NOTHING
        self._backlog = 0
        self._pong: Optional[bytes] = None
        self._aborted = False
        self._send_failed = False
        self._closing = False
        self._reading_wants_write = False
        self._writing_wants_read = False
        self._violation: Optional[TransportError] = None
        self._unread = b""
        self._encrypted = False
        self._reader = FrameReader(config.max_size)
        self._writer = FrameWriter()
        self._waiter: Optional[Poller] = None
        self._own_waiter: Optional[Poller] = None
        self._owner: Hashable = self
        self._watched = 0
        self._heedless = False  # rests, and not until the network takes more
        self._woken = False
        self.last_heard = time.monotonic()
        """When the peer was last heard: any byte counts."""

    # -- opening --------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect and shake hands. Blocks; `abort` from another thread ends it.

        Raises:
            AuthenticationError: The server answered 401 or 403.
            ConfigurationError: The proxy cannot be used.
            ConnectionError: There is no way to the server, or no WebSocket there.
            TimeoutError: It took longer than ``open_timeout``.
        """
        try:
            self._open()
            return
        except BaseException as error:
            self.close()
            failure = (
                ConnectionError(_GIVEN_UP)
                if self._aborted
                else map_error(error, self._url, self._config.open_timeout)
            )
            if failure is None:
                raise
        # Raised outside the except block: the other error, whose frames hold the key, must not
        # become its context.
        raise failure

    def _open(self) -> None:
        deadline = Deadline(self._config.open_timeout)
        opened = dial(self._url, self._config, deadline, self._on_socket)
        self._opening = opened
        handshake = HandshakeSocket(opened, deadline, self._url, self._headers)
        websocket.WebSocket(enable_multithread=False).connect(  # type: ignore[no-untyped-call]
            self._url,
            socket=handshake,
            header=[f"{name}: {value}" for name, value in self._headers.items()],
            suppress_origin=True,  # the service's own clients send none
            redirect_limit=0,  # a second line: HandshakeSocket lets no redirect through
        )
        opened.setblocking(False)
        self._unread = handshake.rest
        self._encrypted = isinstance(opened, ssl.SSLSocket)
        with self._io:
            self._socket, self._opening = opened, None
        self.last_heard = time.monotonic()
        self._refuse_aborted()

    def _on_socket(self, opened: socket.socket) -> None:
        """Take note of a socket on which `open` may block, for `abort` to shut down."""
        with self._io:
            self._opening = opened
        self._refuse_aborted()

    def _refuse_aborted(self) -> None:
        if self._aborted:
            raise ConnectionError(_GIVEN_UP)

    # -- any thread -----------------------------------------------------------------------------

    @property
    def backlog(self) -> int:
        """Bytes that wait for the network."""
        return self._backlog

    @property
    def is_served_here(self) -> bool:
        """Whether it is the calling thread that waits for this connection, among others."""
        waiter = self._waiter
        return waiter is not None and waiter.many and waiter.is_here

    @property
    def broken(self) -> bool:
        """Whether the network refused what was sent: only what has come can still be read."""
        return self._send_failed

    def send(self, payload: Union[str, bytes]) -> None:
        """Put a message behind those that wait: text if it is ``str``, else binary.

        Nothing is on its way before `flush`.
        """
        if isinstance(payload, str):
            self._put(payload.encode(), TEXT)
        else:
            self._put(payload, BINARY)

    def ping(self) -> None:
        """Ask the peer for a sign of life."""
        self._put(b"", PING)
        self.flush()

    def start_closing(self, code: int = 1000) -> None:
        """Send a close frame, once; what the peer answers comes out of `receive`."""
        with self._io:
            self._put(struct.pack("!H", code), CLOSE)
            self._closing = True
        self.flush()

    def flush(self) -> None:
        """Move what the network takes at once; the receiver moves the rest.

        It is woken for that, and also when the backlog falls below `HIGH_WATER`: what was not
        handed to `send` because of it may wait for nothing else. One that waits for many moves all
        of it.
        """
        with self._io:
            if self._waiter is None or not self._waiter.many or self._waiter.is_here:
                self.move()
            elif self._backlog:
                self._waiter.call_soon(self.move)

    def wake(self) -> None:
        """End the rest of the thread that receives, or its next one.

        Takes no lock of the connection's: the garbage collector may call this in a thread that
        holds the waiter's.
        """
        self._woken = True
        waiter = self._waiter
        if waiter is not None:
            waiter.wake(self._owner)

    def at_rest(self, call: Callable[[], None]) -> bool:
        """Have something called when this thread rests, if it waits for many; return whether so."""
        waiter = self._waiter
        if waiter is None or not self.is_served_here:
            return False
        waiter.call_soon(call)
        return True

    def abort(self) -> None:
        """End the connection at once, whatever waits for it. Idempotent."""
        with self._io:
            self._aborted = True
            self._shut_down()
            self.wake()

    # -- the receiver ---------------------------------------------------------------------------

    def rest(self, waiter: Poller, owner: Hashable, *, read: bool = True) -> bool:
        """Have a waiter say when there is something to do: `receive` comes next then.

        Args:
            waiter: Who waits; the one before forgets this connection.
            owner: Whom the waiter names.
            read: Whether bytes that arrive are something to do. Without it, only `wake` and the
                network taking what is left to send are.

        Returns:
            Whether there is something to do at once.
        """
        events = selectors.EVENT_READ if read else 0
        with self._io:
            left = self._backlog and not self._writing_wants_read
            if left or (read and self._reading_wants_write):
                events |= selectors.EVENT_WRITE
            self._heedless = not events & selectors.EVENT_WRITE
            comes = waiter is not self._waiter
            if comes:
                self._leave_waiter()
                self._owner = owner
                self._waiter = waiter  # from here on, `wake` tells it
            if events != self._watched and self._socket is not None:
                waiter.watch(self._socket, events, owner)
                self._watched = events
            at_hand = read and (self._violation is not None or self._more_at_hand())
            woken, self._woken = self._woken and comes, False
        return woken or at_hand

    def leave(self) -> None:
        """Have the waiter watch this connection no more."""
        with self._io:
            self._leave_waiter()

    def wait(self, timeout: Optional[float], *, read: bool = True) -> None:
        """Rest by itself until there is something to do, or ``timeout`` seconds."""
        if self._own_waiter is None:
            self._own_waiter = Poller()
        if not self.rest(self._own_waiter, self, read=read):
            self._own_waiter.wait(timeout)
        self._heedless = False

    def move(self) -> None:
        """Move what is left to send, as far as the network takes it, as `flush` does."""
        with self._io:
            full = self._backlog >= HIGH_WATER
            left = self._write()
            if (left and self._heedless) or (full and self._backlog < HIGH_WATER):
                self.wake()

    def receive(self) -> list[Union[bytes, Closed]]:
        """Move what is left to send and return the messages that have come, without waiting.

        A `Closed` is always the last.

        Raises:
            TransportError: The peer broke the WebSocket protocol, or sent more than ``max_size``;
                what came before that has been returned.
        """
        if self._violation is not None:
            raise self._violation
        received: list[Union[bytes, Closed]] = []
        for _ in range(_READS_IN_A_ROW):
            fresh = self._read()
            if fresh is None:
                break
            if isinstance(fresh, Closed):
                received.append(fresh)
                break
            self.last_heard = time.monotonic()
            try:
                if self._parse(fresh, received):
                    break
            except TransportError as error:
                self._violation = error  # for good: what follows it means nothing
                if not received:
                    raise
                break
            if len(fresh) < (_TLS_RECORD if self._encrypted else _READ_SIZE):
                break  # most often there is no more, and asking costs as much as reading
        if self._backlog:
            with self._io:
                self._write()
        return received

    def close(self) -> None:
        """Free the socket, without a word to the peer. Idempotent."""
        with self._io:
            self._shut_down()
            self._leave_waiter()
            self.forget()

    def forget(self) -> None:
        """Free this process's hold on the socket, which another process goes on using.

        Takes no lock: in a forked process nobody is left to give it back.
        """
        # No waiter is told: what one watches may be the same in the process before the fork.
        own_waiter, self._own_waiter = self._own_waiter, None
        sockets = [self._socket, self._opening]
        self._socket = self._opening = None
        self._outgoing.clear()
        self._sending = _NOTHING
        self._backlog = 0
        for held in (own_waiter, *sockets):
            if held is not None:
                held.close()

    # -- inside ---------------------------------------------------------------------------------

    def _shut_down(self) -> None:
        opened = self._socket or self._opening
        if opened is not None:
            with contextlib.suppress(OSError):
                # Not the method of SSLSocket, which forgets that there was TLS.
                socket.socket.shutdown(opened, socket.SHUT_RDWR)

    def _put(self, payload: bytes, opcode: int) -> None:
        with self._io:
            if self._closing:
                return  # nothing may follow a close frame (RFC 6455, 5.5.1)
            frame = self._writer.frame(opcode, payload)
            self._outgoing.append(frame)
            self._backlog += len(frame)

    def _write(self) -> bool:
        """Send what can be sent now; return whether the receiver has to see to it. Needs `_io`."""
        if self._socket is None or self._send_failed:
            return False
        self._writing_wants_read = False
        while self._sending or self._outgoing:
            if not self._sending:
                # TLS wants the same bytes again after it took none: they stay as they are.
                self._sending = memoryview(b"".join(self._outgoing))
                self._outgoing.clear()
            try:
                sent = self._socket.send(self._sending)
            except ssl.SSLWantReadError:
                self._writing_wants_read = True
                return True
            except (BlockingIOError, ssl.SSLWantWriteError):
                return True
            except OSError:
                # What the peer had to say before it went is still to be read: the receiver
                # reports the end when it has come to it.
                self._send_failed = True
                self._outgoing.clear()
                self._sending = _NOTHING
                self._backlog = 0
                return True
            # An empty view would hold on to what was sent.
            self._sending = self._sending[sent:] if sent < len(self._sending) else _NOTHING
            self._backlog -= sent
            if self._pong is not None and not self._sending:
                # Behind what waits, which is little: above HIGH_WATER nothing more is handed in.
                self._put(self._pong, PONG)
                self._pong = None
        return False

    def _read(self) -> Union[bytes, Closed, None]:
        """Return fresh bytes, the end of the connection, or None if there is nothing now."""
        self._reading_wants_write = False
        if self._unread:
            fresh, self._unread = self._unread, b""
            return fresh
        with self._io:
            if self._socket is None:
                return Closed(_ABNORMAL, "")
            try:
                fresh = self._socket.recv(_READ_SIZE)
            except (BlockingIOError, ssl.SSLWantReadError):
                return Closed(_ABNORMAL, "") if self._send_failed or self._aborted else None
            except ssl.SSLWantWriteError:
                self._reading_wants_write = True
                return None
            except OSError as error:
                return Closed(_ABNORMAL, error.strerror or str(error))
        return fresh if fresh else Closed(_ABNORMAL, "")

    def _more_at_hand(self) -> bool:
        """Return whether something was read that no waiter can know of. Needs `_io`."""
        opened = self._socket
        return bool(self._unread) or (isinstance(opened, ssl.SSLSocket) and opened.pending() > 0)

    def _leave_waiter(self) -> None:
        waiter, self._waiter, self._watched = self._waiter, None, 0
        if waiter is not None and self._socket is not None:
            waiter.forget(self._socket)

    def _parse(self, fresh: bytes, received: list[Union[bytes, Closed]]) -> bool:
        """Append the messages that ``fresh`` completes; return whether the peer has closed."""
        completed: list[Union[bytes, Control]] = []
        try:
            self._reader.feed(fresh, completed)
        finally:
            for each in completed:
                if not isinstance(each, Control):
                    received.append(each)
                elif each.opcode == PING:
                    self._answer(each.payload)
                elif each.opcode == CLOSE:
                    closed = _closed(each.payload)
                    self.start_closing(closed.code or 1000)
                    received.append(closed)
        return bool(received) and isinstance(received[-1], Closed)

    def _answer(self, ping: bytes) -> None:
        with self._io:
            if self._backlog < HIGH_WATER:
                self._put(ping, PONG)
            else:
                # The latest stands for all (RFC 6455, 5.5.3): pings cannot fill memory.
                self._pong = ping


def _closed(payload: bytes) -> Closed:
    if len(payload) < 2:
        return Closed(None, "")
    (code,) = struct.unpack("!H", payload[:2])
    return Closed(code, payload[2:].decode("utf-8", "replace"))
