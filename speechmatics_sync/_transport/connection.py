"""One WebSocket connection: connect, send, receive, abort.

Once open, the socket never blocks. A thread that sends puts frames into a buffer and writes what
the network takes (`Connection.flush`). One thread, the receiver, waits outside the socket with a
`Poller` (for any number of connections), writes what is left and reads (`Connection.receive`).

No call waits for the network, so threads can share a TLS socket: a thread that blocks in TLS stops
the other, or races with it (CPython issues 77271 and 137583). And the receiver reads on while the
network takes nothing. If it waited for a write, a pong could wait for a sender that waits for a
peer that waits for us to read: a deadlock.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Hashable
from typing import Any, Callable, NamedTuple, Optional, Union

from .._concurrency.deadlines import Deadline
from .._concurrency.poller import Poller
from .._model.connection_config import ConnectionConfig
from .._model.secret import Secret
from .._words import Words
from ..errors import ConnectionError, TransportError
from .addresses import without_query
from .connect_errors import map_error
from .dialing import dial
from .frames import BINARY, CLOSE, PING, PONG, TEXT, Control, FrameReader, FrameWriter
from .handshake import HandshakeSocket
from .names import noting_failure
from .sent_secrets import sent_secrets
from .websocket_client import WebSocket

__all__ = ["HIGH_WATER", "Closed", "Connection"]

HIGH_WATER = 64 * 1024
"""Backlog in bytes from which on no more audio should be given to `Connection.send`."""

_READ_SIZE = 64 * 1024
_READS_IN_A_ROW = 16
_TLS_RECORD = 16 * 1024
"""Bytes that one read over TLS returns at most."""
_ABNORMAL = 1006
"""The close code of a connection that ended without a close frame (RFC 6455, 7.4.1)."""

_ABORTED = "The connection was aborted while it was being opened."


class Closed(NamedTuple):
    """The connection has ended: by a close frame, or without one (code 1006)."""

    code: Optional[int]
    reason: str


class Connection:
    """One WebSocket connection, from connecting to the end.

    `open` may block and belongs to one thread. `register`, `unregister`, `wait`, `receive` and
    `close` belong to the receiver. Every other method may be called from any thread.

    Args:
        url: Where to connect, with its query.
        headers: Headers of the handshake, beside those of WebSocket itself, checked.
        config: Limits, proxy and TLS settings.
        words: Clean what the server says, and from now on hide what is sent to it.
    """

    def __init__(
        self,
        url: Secret[str],
        headers: Secret[dict[str, str]],
        config: ConnectionConfig,
        words: Optional[Words] = None,
    ) -> None:
        self._words = words or Words()
        self._words.hide(sent_secrets(url, headers, Secret(config.proxy)))
        self._url = url
        self._headers = headers
        self._config = config
        # Guards everything below but the reader's part. Calls on the sockets need it because the
        # number of a closed descriptor is soon used again. Reentrant: the garbage collector may end
        # a session at any line.
        self._io = threading.RLock()
        self._opening: Optional[socket.socket] = None
        self._socket: Optional[socket.socket] = None
        self._outgoing: list[bytes] = []
        self._sending: Union[bytes, memoryview] = b""
        self.backlog = 0
        """Bytes that wait for the network."""
        self._pong: Optional[bytes] = None
        self._writer = FrameWriter()
        self._aborted = False
        self.send_failed = False
        """Whether a write failed. What the peer sent before it went can still be read."""
        self._closing = False  # a close frame was sent, or waits to be
        # TLS may have to write before it can read, and the other way round.
        self._reading_wants_write = False
        self._writing_wants_read = False
        # The reader's part: only the receiver uses it.
        self._violation: Optional[TransportError] = None
        self._unread = b""  # the first frames, if they came with the handshake
        self._reader = FrameReader(config.max_size)
        # What waits for this connection, and as what it is registered there.
        self._poller: Optional[Poller] = None
        self._own_poller: Optional[Poller] = None
        self._owner: Hashable = None
        self._watched = 0
        self._write_unwatched = False  # the receiver waits, and not for the network to take more
        self._wake_pending = False  # `wake` may have come while no poller was there to be told
        self.last_heard = time.monotonic()
        """When the last byte arrived, by the monotonic clock."""
        self.last_unblocked = 0.0
        """When the network last took bytes for which it had had no room before."""
        self._blocked = False  # the network had no room at the last write

    # -- opening --------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect and shake hands. Blocks until done; `abort` from another thread ends it.

        Raises:
            AuthenticationError: The server answered 401 or 403.
            ConfigurationError: The proxy cannot be used.
            ConnectionError: The server cannot be reached, or is no WebSocket server.
            TimeoutError: It took longer than ``open_timeout``.
        """
        try:
            self._open()
            return
        except BaseException as error:
            self.close()
            failure = (
                ConnectionError(_ABORTED)
                if self._aborted
                else map_error(error, self._where, self._config.open_timeout)
            )
            if failure is None:
                raise
        # Raised outside the except block: the other error, whose frames hold the key, must not
        # become its context.
        raise failure

    def _open(self) -> None:
        deadline = Deadline(self._config.open_timeout)
        opened = dial(self._where, self._config, deadline, self._on_socket)
        self._opening = opened
        handshake = HandshakeSocket(opened, deadline, self._url, self._headers, self._words)
        client = WebSocket(enable_multithread=False)
        with noting_failure(opened), contextlib.ExitStack() as connected:
            connected.callback(vars(client).clear)  # it holds itself, and so the socket
            client.connect(  # type: ignore[no-untyped-call]
                self._where,
                socket=handshake,
                suppress_origin=True,  # the service's own clients send none
                redirect_limit=0,  # to be safe: HandshakeSocket hides redirects already
            )
        opened.setblocking(False)
        self._unread = handshake.unread
        with self._io:
            self._socket, self._opening = opened, None
        self.last_heard = time.monotonic()
        self._refuse_aborted()

    @property
    def _where(self) -> str:
        return without_query(self._url.reveal())

    def _on_socket(self, opened: Optional[socket.socket]) -> None:
        """Take note of a socket on which `open` may block, for `abort` to shut down."""
        with self._io:
            self._opening = opened
        self._refuse_aborted()

    def _refuse_aborted(self) -> None:
        if self._aborted:
            raise ConnectionError(_ABORTED)

    # -- any thread -----------------------------------------------------------------------------

    @property
    def wants_registering(self) -> bool:
        """Whether `register` is to be called before the next wait.

        Bytes wait to be written, or did, or are at hand that no poller would report.
        """
        if self.backlog or not self._write_unwatched or self._reading_wants_write:
            return True
        return self._violation is not None or self._more_at_hand()

    @property
    def is_served_here(self) -> bool:
        """Whether the calling thread is a shared one that waits for this connection."""
        poller = self._poller
        return poller is not None and poller.many and poller.is_here

    def send(self, payload: Union[str, bytes]) -> None:
        """Append a message to the backlog, as text if it is ``str``; `flush` writes it."""
        if isinstance(payload, str):
            self._put(payload.encode(), TEXT)
        else:
            self._put(payload, BINARY)

    def ping(self) -> None:
        """Send a ping, which the peer has to answer."""
        self._put(b"", PING)
        self.flush()

    def start_closing(self, code: int = 1000) -> None:
        """Send a close frame, once; `receive` returns the peer's answer."""
        with self._io:
            self._put(struct.pack("!H", code), CLOSE)
            self._closing = True
        self.flush()

    def flush(self) -> None:
        """Write what the network takes now; the receiver is woken to write the rest.

        It is also woken when the backlog falls below `HIGH_WATER`, for audio that was held back may
        wait for nothing else.
        """
        with self._io:
            full = self.backlog >= HIGH_WATER
            left = self._write()
            if (left and self._write_unwatched) or (full and self.backlog < HIGH_WATER):
                self.wake()

    def wake(self) -> None:
        """End the receiver's wait, or its next one.

        Does not take the connection's lock: the garbage collector may call this in a thread that
        holds the poller's.
        """
        self._wake_pending = True
        poller = self._poller
        if poller is not None:
            poller.wake(self._owner)

    def call_soon(self, callback: Callable[[], None]) -> bool:
        """Have the calling thread run a callback before it waits again, if `is_served_here`.

        Returns:
            Whether it will.
        """
        poller = self._poller
        if poller is None or not self.is_served_here:
            return False
        poller.call_soon(callback, self._owner)
        return True

    def abort(self) -> None:
        """End the connection at once, and every wait for it. Idempotent."""
        with self._io:
            self._aborted = True
            self._shut_down()
            self.wake()

    # -- the receiver ---------------------------------------------------------------------------

    def register(self, poller: Poller, owner: Hashable, *, read: bool = True) -> bool:
        """Have a poller wait for this connection; call `receive` when it returns the owner.

        To be called before every wait.

        Args:
            poller: Replaces the one before.
            owner: What the poller returns.
            read: Whether to wait for bytes that arrive. If not, only `wake` ends the wait, and a
                network that takes more of the backlog.

        Returns:
            Whether there is something to do already, so that there is no need to wait.
        """
        events = selectors.EVENT_READ if read else 0
        with self._io:
            left = self.backlog and not self._writing_wants_read
            if left or (read and self._reading_wants_write):
                events |= selectors.EVENT_WRITE
            self._write_unwatched = not events & selectors.EVENT_WRITE
            is_new = poller is not self._poller
            if is_new:
                self.unregister()
                self._owner = owner
                self._poller = poller  # from here on, `wake` wakes it
            if events != self._watched and self._socket is not None:
                poller.watch(self._socket, events, owner)
                self._watched = events
            readable = read and (self._violation is not None or self._more_at_hand())
            woken, self._wake_pending = self._wake_pending and is_new, False
        return woken or readable

    def unregister(self) -> None:
        """Have no poller wait for this connection any more."""
        with self._io:
            poller, self._poller, self._watched, self._owner = self._poller, None, 0, None
            if poller is not None and self._socket is not None:
                poller.forget(self._socket)

    def wait(self, timeout: Optional[float], *, read: bool = True) -> None:
        """Wait for this connection alone, up to ``timeout`` seconds; ``read`` as for `register`."""
        if self._own_poller is None:
            self._own_poller = Poller()
        if not self.register(self._own_poller, self, read=read):
            self._own_poller.wait(timeout)
        self._write_unwatched = False

    def receive(self) -> list[Union[bytes, Closed]]:
        """Return the messages that have arrived, and write what the network takes. Does not wait.

        A `Closed` is always the last.

        Raises:
            TransportError: The peer broke the WebSocket protocol, or sent more than ``max_size``.
                All messages before that were returned.
        """
        if self._violation is not None:
            raise self._violation
        received: list[Any] = []
        for _ in range(_READS_IN_A_ROW):
            fresh = self._read()
            if fresh is None:
                break
            if isinstance(fresh, Closed):
                received.append(fresh)
                break
            self.last_heard = time.monotonic()
            complete = True
            try:
                self._reader.feed(fresh, received)
            except TransportError as error:
                self._violation = error  # what follows it cannot be understood
            except MemoryError:  # the rest cannot be understood without what was dropped
                complete = False
            if self._reader.has_controls and self._take_controls(received):
                break
            if not complete:
                received.append(_NO_MEMORY)
                break
            if self._violation is not None:
                if not received:
                    raise self._violation
                break
            if len(fresh) < _TLS_RECORD or len(fresh) < self._read_size:
                break  # there is most likely no more, and a read that finds nothing costs as much
        if self.backlog:
            with self._io:
                self._write()
        return received

    def close(self) -> None:
        """Free the socket, without a close frame. Idempotent."""
        with self._io:
            self._shut_down()
            self.unregister()
            self.close_after_fork()

    def close_after_fork(self) -> None:
        """Close this process's descriptors, and leave the connection to the parent process.

        Takes no lock: in a forked process, the thread that held it does not exist. Tells no poller:
        an epoll descriptor is shared with the parent, whose registration would go.
        """
        own_poller, self._own_poller = self._own_poller, None
        sockets = [self._socket, self._opening]
        self._socket = self._opening = None
        self._outgoing.clear()
        self._sending = b""
        self.backlog = 0
        for held in (own_poller, *sockets):
            if held is not None:
                held.close()

    # -- inside ---------------------------------------------------------------------------------

    def _shut_down(self) -> None:
        opened = self._socket or self._opening
        if opened is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket.shutdown: it drops TLS, and later calls would use plain TCP.
                socket.socket.shutdown(opened, socket.SHUT_RDWR)

    def _put(self, payload: bytes, opcode: int) -> None:
        with self._io:
            if self._closing:
                return  # nothing may follow a close frame (RFC 6455, 5.5.1)
            frame = self._writer.frame(opcode, payload)
            self._outgoing.append(frame)
            self.backlog += len(frame)

    def _write(self) -> bool:
        """Write what the network takes; return whether the receiver has to go on. Needs `_io`."""
        if self._socket is None or self.send_failed:
            return False
        self._writing_wants_read = False
        while self._sending or self._outgoing:
            try:
                if not self._sending:
                    # If TLS takes none of these bytes, it wants the same ones next time.
                    self._sending = b"".join(self._outgoing)
                    self._outgoing.clear()
                sent = self._socket.send(self._sending)
            except ssl.SSLWantReadError:
                self._writing_wants_read = True
                return True
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._blocked = True
                return True
            except (OSError, MemoryError):
                # The peer may have sent the reason before it went. The receiver reports the end
                # when it has read everything.
                self.send_failed = True
                self._outgoing.clear()
                self._sending = b""
                self.backlog = 0
                return True
            if self._blocked:
                self._blocked, self.last_unblocked = False, time.monotonic()
            # An empty slice would keep the bytes that were sent alive.
            left = sent < len(self._sending)
            self._sending = memoryview(self._sending)[sent:] if left else b""
            self.backlog -= sent
            if self._pong is not None and not self._sending:
                # Behind what waits, which is little: from HIGH_WATER on nothing is added.
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
                return Closed(_ABNORMAL, "") if self.send_failed or self._aborted else None
            except ssl.SSLWantWriteError:
                self._reading_wants_write = True
                return None
            except OSError as error:
                return Closed(_ABNORMAL, error.strerror or str(error))
            except MemoryError:
                return _NO_MEMORY
        return fresh if fresh else Closed(_ABNORMAL, "")

    @property
    def _read_size(self) -> int:
        """How many bytes one read may return."""
        return _TLS_RECORD if isinstance(self._socket, ssl.SSLSocket) else _READ_SIZE

    def _more_at_hand(self) -> bool:
        """Return whether there are bytes that were taken off the socket already."""
        if self._unread or not isinstance(self._socket, ssl.SSLSocket):
            return bool(self._unread)
        with self._io:
            opened = self._socket
            return isinstance(opened, ssl.SSLSocket) and opened.pending() > 0

    def _take_controls(self, received: list[Any]) -> bool:
        """Act on the control frames that were received; return whether the peer has closed."""
        self._reader.has_controls = False
        controls = [each for each in received if isinstance(each, Control)]
        received[:] = [each for each in received if not isinstance(each, Control)]
        for each in controls:
            if each.opcode == PING:
                self._answer(each.payload)
            elif each.opcode == CLOSE:
                closed = _closed(each.payload)
                self.start_closing(closed.code or 1000)
                received.append(closed)
        return bool(received) and isinstance(received[-1], Closed)

    def _answer(self, ping: bytes) -> None:
        with self._io:
            if self.backlog < HIGH_WATER:
                self._put(ping, PONG)
            else:
                # Answering the latest is enough (RFC 6455, 5.5.3), and pings cannot fill memory.
                self._pong = ping


_NO_MEMORY = Closed(_ABNORMAL, "no memory is left to read it")


def _closed(payload: bytes) -> Closed:
    if len(payload) < 2:
        return Closed(None, "")
    (code,) = struct.unpack("!H", payload[:2])
    return Closed(code, payload[2:].decode("utf-8", "replace"))
