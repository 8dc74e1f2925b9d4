"""A TCP proxy that breaks connections on purpose, between WebSocket clients and their server.

One thread serves every connection, dozens at once. A connection without a fault is passed through
as it comes. One with a fault is taken apart into WebSocket frames, so that the fault happens at a
frame, counted or recognised by its message, and not at some moment: what was lost can be said.

What can happen to a connection (`Fault.kind`):

    refuse      closed before the handshake was answered
    busy        the handshake is answered with HTTP 503
    reset       TCP reset; what was still on its way is lost
    fin         the end of the TCP stream, without a close frame
    close       a close frame with `Fault.code`, then the end of the stream
    cut         half of the server's next frame, then the end of the stream
    silence     half-open: both sides are swallowed, the sockets stay
    mute        half-open: the server's messages are swallowed, its pongs still come
    stall       nothing passes for a while, then everything
    trickle     a few bytes at a time, with pauses, for a while
    split       one byte for each write, for a while

The last three lose nothing. ``wss://`` cannot be taken apart and is not supported.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import selectors
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Callable, Optional
from urllib.parse import urlsplit

from wire_frames import DOWN, END_OF_HEAD, UP, Frame, Taker, When

__all__ = ["AT_HANDSHAKE", "FATAL", "HARMLESS", "Fault", "FaultProxy"]

AT_HANDSHAKE = frozenset({"refuse", "busy"})
FATAL = frozenset({"reset", "fin", "close", "cut", "silence", "mute"})
HARMLESS = frozenset({"stall", "trickle", "split"})

_PIECE_BYTES = 1 << 16
_WAITING_BYTES = 1 << 18
"""Bytes that may wait for a slow reader; beyond that, reading from the other side pauses."""
_TRICKLE_BYTES, _TRICKLE_PAUSE = 64, 0.005
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 seconds: closing resets
_CLOSE = 8
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def _at_once(frame: Frame) -> bool:
    return True


@dataclass(frozen=True)
class Fault:
    """What happens to one connection.

    Args:
        kind: One of those in the module's description.
        when: Whether it happens at this frame; asked for every frame until then. Without meaning
            for ``refuse`` and ``busy``, which happen at the handshake.
        passes: Whether the frame at which it happens still gets through, before it.
        code: The close code of ``close``.
        seconds: How long ``stall``, ``trickle`` and ``split`` last.
        withheld: Names of messages that never get through, from the beginning on.
    """

    kind: str
    when: When = _at_once
    passes: bool = False
    code: int = 1011
    seconds: float = 0.2
    withheld: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.kind not in AT_HANDSHAKE | FATAL | HARMLESS:
            raise ValueError(f"no such kind of fault: {self.kind!r}")


class FaultProxy:
    """A proxy on this machine in front of a server; a context manager.

    Args:
        url: The server, ``ws://host:port/path``.
        choose: Told the target of each connection's handshake (path and query), it returns what
            shall happen to the connection, None for nothing. Called in the proxy's thread.

    Attributes:
        happened: How often each kind of fault happened.
        connections: Connections that were accepted.

    Example:
        >>> with LocalServer() as server:
        ...     fault = Fault("reset", after_frames(UP, 10))
        ...     with FaultProxy(server.url, lambda target: fault) as proxy:
        ...         Client(url=proxy.url).transcribe("audio.wav")
    """

    def __init__(
        self, url: str, choose: Callable[[str], Optional[Fault]] = lambda target: None
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "ws" or parts.hostname is None or parts.port is None:
            raise ValueError(f"url is {url!r}; allowed: ws://host:port/path")
        self._path = parts.path
        self.server = (parts.hostname, parts.port)
        self.choose = choose
        self.happened: Counter[str] = Counter()
        self.connections = 0
        self._links: set[_Link] = set()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._failure: Optional[BaseException] = None

    @property
    def url(self) -> str:
        """The endpoint for clients."""
        host, port = self._listener.getsockname()[:2]
        return f"ws://{host}:{port}{self._path}"

    def start(self) -> FaultProxy:
        """Listen, and return at once."""
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.setblocking(False)
        self._stop, self._stopped = socket.socketpair()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._stopped, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Reset every connection, and leave no thread and no socket.

        Raises:
            BaseException: Whatever `choose` or a fault's `when` raised.
        """
        self._stop.close()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> FaultProxy:
        return self.start()

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.stop()

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call something in the proxy's thread."""
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), call))

    def watch(self, sock: socket.socket, interest: int, call: Callable[[int], None]) -> None:
        """Call `call` when the socket is ready; an interest of 0 ends that."""
        watched = sock in self._selector.get_map()
        if not interest:
            if watched:
                self._selector.unregister(sock)
        elif watched:
            self._selector.modify(sock, interest, call)
        else:
            self._selector.register(sock, interest, call)

    def forget(self, link: _Link) -> None:
        """A connection is gone."""
        self._links.discard(link)

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        except BaseException as error:
            self._failure = error
        finally:
            for link in list(self._links):
                link.abort()
            self._due.clear()
            self._selector.close()
            for sock in (self._listener, self._stop, self._stopped):
                sock.close()

    def _turn(self) -> bool:
        wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
        for key, ready in self._selector.select(wait):
            if key.data is None:
                return False
            key.data(ready)
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()
        return True

    def _accept(self, ready: int) -> None:
        with contextlib.suppress(OSError):
            client, _ = self._listener.accept()
            self.connections += 1
            self._links.add(_Link(self, client))


class _End:
    """One of the two sockets of a connection, and what waits to be written to it."""

    def __init__(self, link: _Link, sock: socket.socket) -> None:
        self.link = link
        self.sock = sock
        self.outgoing = bytearray()
        self.most = _PIECE_BYTES
        self.pause = 0.0
        self.pausing = False
        self.received_all = False
        self.closed = False
        self._ending: Optional[str] = None
        self._interest = 0
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def look(self, *, reads: bool) -> None:
        """Wait for what can be done next."""
        interest = selectors.EVENT_READ if reads and not self.received_all else 0
        if self.outgoing and not self.pausing and not self.link.stalled:
            interest |= selectors.EVENT_WRITE
        if interest != self._interest:
            self._interest = interest
            self.link.proxy.watch(self.sock, interest, self.ready)

    def ready(self, ready: int) -> None:
        if self.closed:  # by an event of the same turn
            return
        try:
            if ready & selectors.EVENT_WRITE:
                self._write()
            if ready & selectors.EVENT_READ:
                piece = self.sock.recv(_PIECE_BYTES)
                if piece:
                    self.link.received(self, piece)
                else:
                    self.received_all = True
                    self.link.received_all(self)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.link.abort()
        self.link.look()

    def _write(self) -> None:
        sent = self.sock.send(self.outgoing[: self.most])
        del self.outgoing[:sent]
        if self.pause and self.outgoing:
            self.pausing = True
            self.link.proxy.later(self.pause, self._go_on)

    def _go_on(self) -> None:
        self.pausing = False
        self.link.look()

    def end_when_written(self, *, reset: bool = False) -> None:
        """End the stream, or reset it, once everything that waits was written."""
        self._ending = "reset" if reset else "fin"

    def end_if_written(self) -> None:
        if self._ending is None or self.outgoing:
            return
        ending, self._ending = self._ending, None
        if ending == "reset":
            self.link.abort()
        else:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)

    def close(self, *, reset: bool = False) -> None:
        self.closed = True
        if self._interest:
            self._interest = 0
            self.link.proxy.watch(self.sock, 0, self.ready)
        if reset:
            with contextlib.suppress(OSError):
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.sock.close()


class _Link:
    """One connection of a client, and that to the server behind it."""

    def __init__(self, proxy: FaultProxy, client: socket.socket) -> None:
        self.proxy = proxy
        self.stalled = False
        self.gone = False
        self._client = _End(self, client)
        self._server: Optional[_End] = None
        self._fault: Optional[Fault] = None
        self._over = False  # a fatal fault has happened: nothing passes any more
        self._happened = False
        self._muted = False
        self._cutting = False
        self._request = b""
        self._takers = {
            UP: Taker(UP, in_head=False),
            DOWN: Taker(DOWN, in_head=True),
        }
        self.look()

    # -- what the ends tell ---------------------------------------------------------------------

    def received(self, end: _End, piece: bytes) -> None:
        if self._over:
            return
        if self._server is None:
            self._take_request(piece)
        elif self._fault is None:
            self._other(end).outgoing += piece
        else:
            self._take(UP if end is self._client else DOWN, piece)

    def received_all(self, end: _End) -> None:
        other = self._server if end is self._client else self._client
        if other is None or (self._over and end is self._client):
            self.abort()
        elif not self._over:
            other.end_when_written()

    def look(self) -> None:
        if self.gone:
            return
        ends = [end for end in (self._client, self._server) if end is not None]
        for end in ends:
            end.end_if_written()
        if self.gone:
            return
        if len(ends) == 2 and all(end.received_all and not end.outgoing for end in ends):
            self._end()
            return
        for end in ends:
            other = self._other(end)
            behind = other is not None and len(other.outgoing) > _WAITING_BYTES
            end.look(reads=not behind and not self.stalled)

    def abort(self) -> None:
        """Reset both sides."""
        if not self.gone:
            self._end(reset=True)

    # -- inside ---------------------------------------------------------------------------------

    def _other(self, end: _End) -> _End:
        other = self._server if end is self._client else self._client
        return end if other is None else other

    def _end(self, *, reset: bool = False) -> None:
        self.gone = True
        for end in (self._client, self._server):
            if end is not None:
                end.close(reset=reset)
        self.proxy.forget(self)

    def _take_request(self, piece: bytes) -> None:
        self._request += piece
        if END_OF_HEAD not in self._request:
            return
        target = self._request.split(b" ", 2)[1].decode("latin-1")
        fault = self._fault = self.proxy.choose(target)
        if fault is not None and fault.kind in AT_HANDSHAKE:
            self.proxy.happened[fault.kind] += 1
            if fault.kind == "busy":
                self._client.outgoing += _BUSY
            self._client.end_when_written()
            self._over = True
            return
        server = self._server = _End(self, socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        # In progress; if the server cannot be reached, the first write fails.
        server.sock.connect_ex(self.proxy.server)
        server.outgoing += self._request
        self._request = b""

    def _take(self, direction: str, piece: bytes) -> None:
        taker = self._takers[direction]
        self._towards(direction).outgoing += taker.head(piece)
        while not self._over and not self.gone:
            frame = taker.next_frame()
            if frame is None:
                return
            self._pass(frame)

    def _towards(self, direction: str) -> _End:
        return self._client if direction == DOWN else self._other(self._client)

    def _pass(self, frame: Frame) -> None:
        fault = self._fault
        if self._cutting and frame.direction == DOWN:
            self._cut(frame)
            return
        if fault is None:  # cannot be: without one nothing is taken apart
            return
        happens = not self._happened and fault.when(frame)
        passes = not happens or fault.passes or fault.kind in HARMLESS
        if fault.kind in ("cut", "mute") and frame.direction == UP:
            passes = True  # only what comes from the server is lost
        if self._muted and frame.direction == DOWN and frame.opcode < _CLOSE:
            passes = False
        if fault.withheld and frame.name in fault.withheld:
            passes = False
        if passes:
            self._towards(frame.direction).outgoing += frame.raw
        if happens:
            self._happen(fault, frame)

    def _happen(self, fault: Fault, frame: Frame) -> None:
        self._happened = True
        kind = fault.kind
        if kind != "cut":
            self.proxy.happened[kind] += 1
        if kind in ("reset", "fin"):
            self._lose(reset=kind == "reset")
        elif kind == "close":
            self._client.outgoing += struct.pack("!BBH", 0x80 | _CLOSE, 2, fault.code)
            self._lose()
        elif kind == "silence":
            self._over = True
        elif kind == "mute":
            self._muted = True
        elif kind == "cut":
            self._cutting = True
            if frame.direction == DOWN and not fault.passes:
                self._cut(frame)
        else:
            self._slow(fault)

    def _lose(self, *, reset: bool = False) -> None:
        """End the client's stream when what waits for it was written, and reset the server's."""
        self._over = True
        self._client.end_when_written(reset=reset)
        if self._server is not None:
            self._server.close(reset=True)
            self._server = None

    def _cut(self, frame: Frame) -> None:
        self.proxy.happened["cut"] += 1
        self._client.outgoing += frame.raw[: max(1, len(frame.raw) // 2)]
        self._lose()

    def _slow(self, fault: Fault) -> None:
        ends = (self._client, self._other(self._client))
        if fault.kind == "stall":
            self.stalled = True
        for end in ends:
            if fault.kind == "trickle":
                end.most, end.pause = _TRICKLE_BYTES, _TRICKLE_PAUSE
            elif fault.kind == "split":
                end.most = 1

        def recover() -> None:
            self.stalled = False
            for end in ends:
                end.most, end.pause = _PIECE_BYTES, 0.0
            self.look()

        self._fault = None  # the rest passes as it comes, once what was taken apart is through
        for direction, taker in self._takers.items():
            self._towards(direction).outgoing += taker.rest()
        self.proxy.later(fault.seconds, recover)
