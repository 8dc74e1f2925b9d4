"""The server around the sessions: sockets, threads, keys and limits.

One thread per connection (of `websockets`, which adds one that reads the socket) receives,
recognises and sends; the channels of a session by channel have threads of their own for that
(`lanes`). While it recognises, `websockets` reads on until its small queue is full; then TCP holds
the client back.
"""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import logging
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
from urllib.parse import parse_qs, urlsplit

from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from speechmatics_sync.errors import ConfigurationError, SessionError

from ._connection import Connection
from ._fault_injection import FaultyConnection, answer_handshake
from ._fault_schedule import Faults
from ._recognizer import Recognizer
from ._record import SessionRecord
from ._session import Session
from ._session_handler import SessionHandler
from ._time_limits import TimeLimits

__all__ = ["LocalServer"]

_logger = logging.getLogger("speechmatics_sync.local")

_PING_INTERVAL = 20.0
_PING_TIMEOUT = 180.0
"""Three minutes without a pong end a session, says the API's documentation."""
_OPEN_TIMEOUT = 10.0
_CLOSE_TIMEOUT = 5.0
_STOP_SECONDS = 2.0
"""How long `stop` waits for clients to answer the close frame."""
_KEPT_RECORDS = 1000
_SPARE_CONNECTIONS = 50
"""Connections beyond `max_sessions` that get a thread, and the Error that there is no room."""


class _NoFrames(logging.LoggerAdapter):  # type: ignore[type-arg]  # not generic before 3.11
    """Keeps `websockets` from logging at DEBUG: it would log the handshake, keys and all."""

    def isEnabledFor(self, level: int) -> bool:
        return level > logging.DEBUG and super().isEnabledFor(level)


class LocalServer:
    """A Realtime server on this machine, in threads of this process.

    It can be started again after `stop`, at the same port. Models are loaded when the first
    session starts.

    Args:
        host: Where to listen. Any other than a loopback address needs `api_keys`.
        port: The TCP port; 0 takes a free one.
        recognizer: Who hears the audio; `PocketsphinxRecognizer` by default.
        api_keys: The keys that are let in, as ``Authorization: Bearer`` or ``?jwt=``; None lets
            everybody in.
        ssl_context: A server-side TLS context; `url` is then ``wss://``.
        strict: Answer a wrong ``last_seq_no`` with ``protocol_error`` instead of logging it.
        max_sessions: Sessions at a time; one more gets ``quota_exceeded``.
        max_channels: Channels of one session; more get ``invalid_config``.
        max_message_size: Bytes of one message; a larger one gets ``protocol_error``.
        max_session_seconds: The longest a session may last; then ``session_timeout``.
        idle_timeout: Seconds a session may go without audio; then ``idle_timeout``.
        faults: What goes wrong on purpose; None for a server that never misbehaves.

    Raises:
        ConfigurationError: If a setting is not possible.

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
        faults: Optional[Faults] = None,
    ) -> None:
        if isinstance(api_keys, str):
            api_keys = [api_keys]
        self._api_keys = None if api_keys is None else frozenset(api_keys)
        if self._api_keys is not None and (not self._api_keys or not all(self._api_keys)):
            raise ConfigurationError(
                "api_keys is empty or has an empty key in it; give a key, or None"
            )
        if self._api_keys is None and not _is_loopback(host):
            raise ConfigurationError(
                f"host is {host!r}, which other machines can reach; allowed without api_keys: "
                "a loopback address such as '127.0.0.1'"
            )
        if not 0 <= port <= 65535:
            raise ConfigurationError(f"port is {port}; allowed: 0 to 65535")
        for name, value in (
            ("max_sessions", max_sessions),
            ("max_channels", max_channels),
            ("max_message_size", max_message_size),
            ("max_session_seconds", max_session_seconds),
            ("idle_timeout", idle_timeout),
        ):
            if not value > 0:
                raise ConfigurationError(f"{name} is {value}; allowed: above 0")
        if faults is not None and not isinstance(faults, Faults):
            raise ConfigurationError(f"faults is {faults!r}; allowed: Faults(), or None")
        self._faults = faults
        self._host = host
        self._port = port
        self._recognizer = _default_recognizer() if recognizer is None else recognizer
        self._ssl_context = ssl_context
        self._strict = strict
        self._max_sessions = max_sessions
        self._max_channels = max_channels
        self._max_message_size = max_message_size
        self._max_session_seconds = max_session_seconds
        self._idle_timeout = idle_timeout
        self._records: deque[SessionRecord] = deque(maxlen=_KEPT_RECORDS)
        self._server: Optional[Server] = None
        self._acceptor: Optional[threading.Thread] = None
        self._wake: socket.socket
        self._lifecycle = threading.Lock()  # held by start and stop
        self._lock = threading.Lock()  # guards what follows, and never while waiting
        self._threads: dict[threading.Thread, socket.socket] = {}
        self._handlers: list[SessionHandler] = []
        self._stuck: set[FaultyConnection] = set()

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
            SessionError: If the port is not known, for the server was never started.
        """
        if not self._port:
            raise SessionError("the server has no port before start()")
        scheme = "ws" if self._ssl_context is None else "wss"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self._port}/v2"

    @property
    def port(self) -> int:
        """The TCP port; 0 before the first start if none was chosen."""
        return self._port

    @property
    def sessions(self) -> list[SessionRecord]:
        """What the server saw of its sessions (the last 1,000), oldest first."""
        with self._lock:
            return list(self._records)

    def start(self) -> LocalServer:
        """Listen, and return at once.

        Raises:
            SessionError: If it runs already.
            OSError: If the port cannot be had.
        """
        with self._lifecycle:
            if self._server is not None:
                raise SessionError(f"the server runs already, at {self.url}")
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
                logger=_NoFrames(logging.getLogger("speechmatics_sync.local.websockets"), {}),
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
            _logger.info("listening at %s", self.url)
            return self

    def stop(self) -> None:
        """End every session with close code 1001, and leave no thread and no socket.

        Does nothing if the server does not run.
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
            _logger.info("stopped")

    def drop_connections(self, close_code: Optional[int] = None) -> None:
        """End every connection now, as a failing network or server does; new ones are served.

        Args:
            close_code: The code of the close frame; None cuts the connection without one.
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
                # In threads: closing waits for the other side, and for the lock of a `send`
                # that waits for a client that does not read.
                closers.append(
                    threading.Thread(
                        target=handler.connection.close,
                        args=(code, reason),
                        name="speechmatics-local-close",
                        daemon=True,
                    )
                )
                closers[-1].start()
        # Whoever calls from within a session's recognition cannot wait for that session.
        caller = threading.current_thread()
        own = {handler.thread for handler in handlers if handler.runs_in(caller)} | {caller}
        served = [thread for thread in sockets if thread not in own]
        if code is not None:
            for thread in closers:
                thread.join(max(0.0, deadline - time.monotonic()))
        for sock in sockets.values():
            with contextlib.suppress(OSError):
                # Of the base class: that of a TLS socket would race with its other thread.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in [*closers, *served]:
            thread.join()

    def _accept(
        self, server: Server, woken: socket.socket, selector: selectors.BaseSelector
    ) -> None:
        """Give every connection a thread, until `stop`.

        The loop of `websockets` would leave its poller to the garbage collector, and its threads
        unknown to `stop` until their handshake is done.
        """
        with woken, selector:
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if woken in ready:
                    return
                try:
                    sock, address = server.socket.accept()
                except OSError:  # the client is gone already, or we are out of descriptors
                    _logger.warning("a connection could not be accepted", exc_info=True)
                    continue
                thread = threading.Thread(
                    target=self._run,
                    args=(server, sock, address),
                    name="speechmatics-local-session",
                    daemon=True,
                )
                with self._lock:
                    crowded = len(self._threads) >= self._max_sessions + _SPARE_CONNECTIONS
                    if not crowded:
                        self._threads[thread] = sock
                        thread.start()  # or whoever ends the connections could not join it
                if crowded:
                    sock.close()

    def _run(self, server: Server, sock: socket.socket, address: Any) -> None:
        """Serve one connection, handshake and all, in its thread."""
        try:
            server.handler(sock, address)
        finally:
            with self._lock:
                self._threads.pop(threading.current_thread(), None)

    def _admit(self, connection: ServerConnection, request: Request) -> Optional[Response]:
        """Check the handshake; a response refuses it."""
        if self._faults is not None and isinstance(connection, FaultyConnection):
            refused = answer_handshake(self._faults, connection, request)
            if refused is not None:
                return refused
        parts = urlsplit(request.path)
        if parts.path != "/v2" and not parts.path.startswith("/v2/"):
            return connection.respond(HTTPStatus.NOT_FOUND, "The endpoint is /v2.\n")
        if self._api_keys is not None and not _has_key(request, parts.query, self._api_keys):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "No key, or a key not valid.\n")
        return None

    def _serve(self, connection: ServerConnection) -> None:
        """Serve one connection whose handshake is done, in its thread."""
        if isinstance(connection, FaultyConnection) and connection.stopped:
            self._wait_until_gone(connection)
            return
        request = connection.request
        assert request is not None  # noqa: S101  # the handshake is done
        record = SessionRecord(str(uuid.uuid4()), request.path, dict(request.headers.raw_items()))
        session = Session(
            self._recognizer, record, strict=self._strict, max_channels=self._max_channels
        )
        handler = SessionHandler(connection, session, record, self._faults)
        with self._lock:
            self._records.append(record)
            self._handlers.append(handler)
            usage = len(self._handlers)
        time_limits = TimeLimits(time.monotonic(), self._max_session_seconds, self._idle_timeout)
        try:
            handler.run(usage, self._max_sessions, time_limits)
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


def _has_key(request: Request, query: str, keys: Iterable[str]) -> bool:
    """Whether a handshake bears one of the keys; compared in constant time."""
    given = parse_qs(query).get("jwt", [])
    for value in request.headers.get_all("Authorization"):
        scheme, _, key = value.partition(" ")
        if scheme.lower() == "bearer":
            given.append(key.strip())
    # What is not ASCII in a header comes as surrogates.
    encoded = [one.encode("utf-8", "surrogateescape") for one in given]
    return any(hmac.compare_digest(one, key.encode()) for one in encoded for key in keys)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _default_recognizer() -> Recognizer:
    from speechmatics_sync.local import PocketsphinxRecognizer

    return PocketsphinxRecognizer()
