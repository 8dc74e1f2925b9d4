"""The server: listens, admits connections, and ends them.

One thread per connection receives, recognises and sends (`websockets` adds one that reads the
socket). In a session by channel, each channel has a thread of its own. While a thread recognises,
`websockets` reads on until its small queue is full; then TCP slows the client down.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import selectors
import socket
import ssl
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Optional, Union

from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from speechmatics_sync import ConfigurationError, SessionError

from .._numbers import plain_number
from ._admission import Admission, ApiKeys, Refusal
from ._connection import BUSY, Connection, hung_up, posted_to, turn_away
from ._fault_injection import FaultyConnection, answer_handshake
from ._fault_schedule import Faults
from ._logs import logger, wait_until_logged, websockets_logger
from ._quota import Quota
from ._recognizer import Recognizer
from ._record import SessionRecord
from ._session import Session
from ._session_handler import SessionHandler
from ._time_limits import TimeLimits

__all__ = ["LocalServer"]

_PING_INTERVAL = 20.0
_PING_TIMEOUT = 180.0
"""The API's documentation: a session ends after three minutes without a pong."""
_OPEN_TIMEOUT = 10.0
_CLOSE_TIMEOUT = 5.0
_STOP_SECONDS = 2.0
"""How long `stop` waits for clients to answer its close frame."""
_LOG_SECONDS = 1.0
"""How long `stop` waits for handlers of log records."""
_KEPT_RECORDS = 1000
_SPARE_CONNECTIONS = 50
"""How many connections beyond `max_sessions` may be open without a session. Others get HTTP 503; as
many again may be about to get it, and then none is accepted."""
_PAUSE_SECONDS = 0.1
"""How long not to accept connections when there is no thread or descriptor for them."""
_USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def _number(
    name: str,
    value: object,
    *,
    whole: bool = False,
    low: Optional[int] = None,
    high: float = math.inf,
) -> float:
    """Return a number in its plain form: above 0 unless ``low`` says otherwise."""
    plain = plain_number(value, whole=whole)
    if plain is None or not (plain > 0 if low is None else low <= plain <= high):
        allowed = "above 0" if low is None else f"{low} to {high}"
        kind = "a whole number, " if whole else ""
        raise ConfigurationError(f"{name} is {value!r}; allowed: {kind}{allowed}")
    return plain


class LocalServer:
    """A Realtime server on this machine, in threads of this process.

    It can be started again after `stop`, at the same port. Models are loaded when the first
    session starts.

    Args:
        host: The address to listen at. Any but a loopback address requires ``api_keys``.
        port: The TCP port; 0 takes a free one.
        recognizer: Recognises the audio; a `PocketsphinxRecognizer` by default.
        api_keys: The keys to accept, as ``Authorization: Bearer`` or ``?jwt=``; None accepts
            every client, with or without a key.
        ssl_context: A server-side TLS context; `url` is then ``wss://``.
        strict: Answer a wrong ``last_seq_no`` with ``protocol_error`` instead of logging it.
        max_sessions: The most sessions at a time; the next gets ``quota_exceeded``.
        max_channels: The most channels in a session; one with more gets ``invalid_config``.
        max_message_size: The largest message in bytes; a larger one gets ``protocol_error``.
        max_session_seconds: The longest session in seconds; it then gets ``session_timeout``.
        idle_timeout: Seconds a session may go without audio; it then gets ``idle_timeout``.
        start_timeout: Seconds a connection may go without StartRecognition; it then gets
            ``idle_timeout``. Until then it does not count as a session.
        allowed_origins: Origins of web pages that may use the server, such as
            ``"http://localhost:8000"``, and whose hosts clients may call it by; ``"*"`` for any.
            Browsers' requests of other pages, and those for other hosts, get HTTP 403.
        faults: The faults to inject; None for none.

    Raises:
        ConfigurationError: If an argument is not valid.

    Example:
        >>> from speechmatics_sync import Client
        >>> with LocalServer() as server, Client(url=server.url) as client:
        ...     print(client.transcribe("audio.wav").text)
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        recognizer: Optional[Recognizer] = None,
        api_keys: Optional[Union[str, Iterable[str]]] = None,
        ssl_context: Optional[ssl.SSLContext] = None,
        strict: bool = False,
        max_sessions: int = 50,
        max_channels: int = 16,
        max_message_size: int = 16 * 1024 * 1024,
        max_session_seconds: float = 48 * 3600.0,
        idle_timeout: float = 3600.0,
        start_timeout: float = 10.0,
        allowed_origins: Union[str, Iterable[str]] = (),
        faults: Optional[Faults] = None,
    ) -> None:
        keys = ApiKeys(api_keys)
        del api_keys  # tracebacks show arguments
        self._admission = Admission(host, keys, allowed_origins)
        self._port = int(_number("port", port, whole=True, low=0, high=65535))
        if faults is not None and not isinstance(faults, Faults):
            raise ConfigurationError(f"faults is {faults!r}; allowed: Faults(), or None")
        self._faults = faults
        self._host = host
        self._recognizer = _default_recognizer() if recognizer is None else recognizer
        self._ssl_context = ssl_context
        self._strict = strict
        self._quota = Quota(int(_number("max_sessions", max_sessions, whole=True)))
        self._max_channels = int(_number("max_channels", max_channels, whole=True))
        self._max_message_size = int(_number("max_message_size", max_message_size, whole=True))
        self._max_session_seconds = _number("max_session_seconds", max_session_seconds)
        self._idle_timeout = _number("idle_timeout", idle_timeout)
        self._start_timeout = _number("start_timeout", start_timeout)
        self._records: deque[SessionRecord] = deque(maxlen=_KEPT_RECORDS)
        self._server: Optional[Server] = None
        self._acceptor: Optional[threading.Thread] = None
        self._wake: socket.socket
        self._lifecycle = threading.Lock()  # held by start and stop
        self._lock = threading.Lock()  # guards the attributes below; never held while waiting
        self._threads: dict[threading.Thread, socket.socket] = {}
        self._handlers: list[SessionHandler] = []
        self._stuck: set[FaultyConnection] = set()  # by a fault at their handshake

    def __enter__(self) -> LocalServer:
        return self.start()

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self._server is not None else "stopped"
        return f"<LocalServer {self._host}:{self._port} {state}>"

    @property
    def url(self) -> str:
        """The endpoint for clients, such as ``ws://127.0.0.1:43210/v2``.

        Raises:
            SessionError: If the port is not known yet, because the server was never started.
        """
        if not self._port:
            raise SessionError("the server has no port yet: start() it first")
        scheme = "ws" if self._ssl_context is None else "wss"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self._port}/v2"

    @property
    def http_url(self) -> str:
        """Where temporary keys are handed out, such as ``http://127.0.0.1:43210``.

        ``JWTAuth(key, mp_url=server.http_url)`` fetches them from this server, which takes any key
        if it has no ``api_keys``.

        Raises:
            SessionError: As `url`.
        """
        return f"http{self.url[len('ws') : -len('/v2')]}"

    @property
    def port(self) -> int:
        """The TCP port; 0 before the first start if none was chosen."""
        return self._port

    @property
    def sessions(self) -> list[SessionRecord]:
        """Records of the sessions (the last 1,000), oldest first."""
        with self._lock:
            return list(self._records)

    def start(self) -> LocalServer:
        """Start to listen; return at once.

        Raises:
            SessionError: If the server is running already.
            OSError: If it cannot listen at the address and port.
        """
        with self._lifecycle:
            if self._server is not None:
                raise SessionError(f"the server is running already, at {self.url}: stop() it first")
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            self._server = serve(
                self._serve,
                self._host,
                self._port,
                family=family,
                ssl=self._ssl_context,
                compression=None,
                process_request=self._admit,
                server_header="speechmatics-sync-local",
                open_timeout=_OPEN_TIMEOUT,
                ping_interval=_PING_INTERVAL,
                ping_timeout=_PING_TIMEOUT,
                close_timeout=_CLOSE_TIMEOUT,
                max_size=self._max_message_size,
                create_connection=Connection if self._faults is None else FaultyConnection,
                logger=websockets_logger,
            )
            self._port = self._server.socket.getsockname()[1]
            self._wake, woken = socket.socketpair()
            selector = selectors.DefaultSelector()
            selector.register(woken, selectors.EVENT_READ)
            selector.register(self._server.socket, selectors.EVENT_READ)
            self._acceptor = threading.Thread(
                target=self._accept,
                args=(self._server, woken, selector),
                name="speechmatics-local-accept",
                daemon=True,
            )
            self._acceptor.start()
            logger.info("listening at %s", self.url)
            return self

    def stop(self) -> None:
        """Close every session with code 1001; leave no thread and no socket behind.

        Does nothing if the server is not running.
        """
        with self._lifecycle:
            server, acceptor = self._server, self._acceptor
            if server is None or acceptor is None:
                return
            self._wake.close()
            acceptor.join()
            self._end_connections(code=1001, reason="the server is stopping")
            server.socket.close()
            for name in ("shutdown_watcher", "shutdown_notifier"):
                end = getattr(server, name, None)
                if isinstance(end, int):  # a pipe, in websockets 15
                    os.close(end)
                elif end is not None:
                    end.close()
            self._recognizer.close()
            self._server = self._acceptor = None
            logger.info("stopped")
        wait_until_logged(_LOG_SECONDS)

    def drop_connections(self, close_code: Optional[int] = None) -> None:
        """End every connection now, as a failing network or server does.

        New connections are served.

        Args:
            close_code: The code of the close frame; None ends the connection without one.
        """
        self._end_connections(code=close_code, reason="")

    def _end_connections(self, *, code: Optional[int], reason: str) -> None:
        with self._lock:
            handlers = list(self._handlers)
            sockets = dict(self._threads)
            for connection in self._stuck:
                connection.faulty_socket.release()
        deadline = time.monotonic() + (0.0 if code is None else _STOP_SECONDS)
        closers = []
        for handler in handlers:
            handler.abandon()
            if code is not None:
                # In threads: closing waits for the client, and for a `send` that is blocked
                # because its client does not read.
                closer = threading.Thread(
                    target=handler.connection.close,
                    args=(code, reason),
                    name="speechmatics-local-close",
                    daemon=True,
                )
                with contextlib.suppress(RuntimeError):  # no thread: it ends without the frame
                    closer.start()
                    closers.append(closer)
        # A recogniser or a condition of a fault may call this: it cannot wait for its own thread.
        caller = threading.current_thread()
        own = {handler.thread for handler in handlers if handler.runs_in(caller)} | {caller}
        served = [thread for thread in sockets if thread not in own]
        if code is not None:
            for thread in closers:
                thread.join(max(0.0, deadline - time.monotonic()))
        for sock in sockets.values():
            with contextlib.suppress(OSError):
                # Not the TLS socket's own method, which would race with the thread that reads.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in [*closers, *served]:
            thread.join()

    def _accept(
        self, server: Server, woken: socket.socket, selector: selectors.BaseSelector
    ) -> None:
        """Give every connection a thread, until `stop`.

        Not the loop of `websockets`: that leaves its selector to the garbage collector, and
        `stop` could not find threads that are still shaking hands.
        """
        failing = False
        with woken, selector:
            while True:
                if any(key.fileobj is woken for key, _ in selector.select()):
                    return
                failure = self._accept_one(server)
                if failure and not failing:  # one record for an outage
                    logger.warning("no connection can be accepted for now: %s", failure)
                failing = failure is not None
                if failing:
                    # What cannot be accepted waits in the system's queue. Asking again at once
                    # would take all of the processor.
                    selector.unregister(server.socket)
                    if selector.select(_PAUSE_SECONDS):
                        return
                    selector.register(server.socket, selectors.EVENT_READ)

    def _accept_one(self, server: Server) -> Optional[str]:
        """Give a connection a thread; return why none can be accepted for now, or None."""
        with self._lock:
            if len(self._threads) >= 2 * (self._quota.limit + _SPARE_CONNECTIONS):
                return f"{len(self._threads)} are open"
        try:
            sock, address = server.socket.accept()
        except OSError as error:
            if error.errno in _USED_UP:
                return str(error)
            logger.info("a client was gone before it was accepted: %s", error)
            return None
        thread = threading.Thread(
            target=self._run,
            args=(server, sock, address),
            name="speechmatics-local-session",
            daemon=True,
        )
        with self._lock:
            self._threads[thread] = sock
            try:
                thread.start()  # under the lock: it is joined only once started
            except (RuntimeError, MemoryError) as error:
                del self._threads[thread]
                failure = str(error) or "no memory is left"
            else:
                return None
        if self._ssl_context is None:
            turn_away(sock)
        sock.close()
        return failure

    def _run(self, server: Server, sock: socket.socket, address: Any) -> None:
        """Serve one connection from its handshake on, in its thread."""
        try:
            server.handler(sock, address)
        finally:
            with self._lock:
                self._threads.pop(threading.current_thread(), None)

    def _admit(self, connection: ServerConnection, request: Request) -> Optional[Response]:
        """Check the handshake; return a response to refuse it, or None."""
        if self._faults is not None and isinstance(connection, FaultyConnection):
            refused = answer_handshake(self._faults, connection, request)
            if refused is not None:
                return refused
        with self._lock:
            waiting = len(self._threads) - self._quota.usage
        address, posted = connection.local_address[0], posted_to(connection)
        answer: Union[Refusal, str, None]
        if posted is None:
            answer = self._admission.refusal(request, address)
        else:
            answer = self._admission.temporary_key(request, address, posted)
        if waiting > self._quota.limit + _SPARE_CONNECTIONS:
            answer = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, BUSY)
        if isinstance(answer, Refusal):
            logger.warning("request refused: HTTP %d, %s", *answer)
            return connection.respond(answer.status, f"{answer.reason}\n")
        if answer is None:
            return None
        response = connection.respond(HTTPStatus.CREATED, answer)
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        return response

    def _serve(self, connection: ServerConnection) -> None:
        """Serve one connection whose handshake is done, in its thread."""
        if isinstance(connection, FaultyConnection) and connection.stopped:
            self._wait_until_gone(connection)
            return
        request = connection.request
        assert request is not None  # noqa: S101  # the handshake is done
        record = SessionRecord(str(uuid.uuid4()), request.path, dict(request.headers.raw_items()))
        session = Session(
            self._recognizer,
            record,
            strict=self._strict,
            max_channels=self._max_channels,
            quota=self._quota,
            gone=lambda: hung_up(connection),
        )
        handler = SessionHandler(connection, session, record, self._faults)
        with self._lock:
            self._records.append(record)
            self._handlers.append(handler)
        time_limits = TimeLimits(
            time.monotonic(), self._max_session_seconds, self._idle_timeout, self._start_timeout
        )
        try:
            handler.run(time_limits)
        finally:
            with self._lock:
                self._handlers.remove(handler)

    def _wait_until_gone(self, connection: FaultyConnection) -> None:
        """Wait for the end of a fault that began at the handshake."""
        with self._lock:
            self._stuck.add(connection)
        try:
            connection.wait_until_gone()
        finally:
            with self._lock:
                self._stuck.discard(connection)


def _default_recognizer() -> Recognizer:
    from speechmatics_sync.local import PocketsphinxRecognizer

    return PocketsphinxRecognizer()
