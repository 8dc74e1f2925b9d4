"""One attempt to get a key and a connection, which can be cancelled at any time.

It runs in a thread of its own, the opener. Cancelling ends whatever blocks there, except a user's
`AuthBase`, which cannot be interrupted: when it returns at last, the opener closes what it got and
touches nothing else.
"""

from __future__ import annotations

import threading
import weakref
from typing import NamedTuple, Optional

from .._auth.endpoint import Endpoint
from .._concurrency.cancellation import Cancellation
from .._concurrency.deadlines import Deadline
from .._concurrency.threads import Threads
from .._logs import SessionLogger
from .._model.connection_config import ConnectionConfig
from .._model.secret import Secret
from .._transport.connection import Connection
from ..errors import AuthenticationError, TimeoutError
from .observation import Observation
from .state import Lifecycle

__all__ = ["ConnectAttempt", "Connector"]

_KEY_LIMIT = 60.0
"""Seconds to get a key; `JWTAuth` gives up sooner, another `AuthBase` may never."""

_CANCELLED_GRACE = 2.0
"""Seconds to wait for the opener after it was cancelled; only what cannot be ended takes longer."""


class _Step(NamedTuple):
    """What the opener is doing: its time limit, and the error message if it takes longer."""

    limit: Deadline
    late: str


def _getting_the_key() -> _Step:
    return _Step(
        Deadline(_KEY_LIMIT), f"Getting the key took longer than {_KEY_LIMIT} s. Try again."
    )


def _connecting(config: ConnectionConfig) -> _Step:
    return _Step(
        Deadline(config.open_timeout),
        f"Connecting took longer than open_timeout ({config.open_timeout} s). "
        "Is the address right and the network up?",
    )


class ConnectAttempt:
    """One attempt to connect, with a second key if the first one is refused.

    Args:
        endpoint: The server, and where its key comes from.
        ws_headers: Extra headers for the handshake.
        config: Limits, proxy and TLS settings of the connection.
        log: The session's logger; its request id is sent with the handshake.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        ws_headers: Secret[dict[str, str]],
        config: ConnectionConfig,
        log: SessionLogger,
    ) -> None:
        self._endpoint = endpoint
        self._ws_headers = ws_headers
        self._config = config
        self._log = log
        self._cancellation = Cancellation(log, config.ssl_context, endpoint.sdk_identifier)
        # Guards everything below. Reentrant: the handler of a signal may cancel the attempt in the
        # thread that waits for it.
        self._changed = threading.Condition()
        self._connection: Optional[Connection] = None
        self._error: Optional[BaseException] = None
        self._step = _getting_the_key()
        self._done = False
        self._cancelled = False

    def run(self) -> None:
        """Connect; runs in the opener thread."""
        connection = None
        try:
            with self._cancellation.active():
                connection = self._open()
        except BaseException as error:
            self._error = error
        with self._changed:
            self._done = True
            self._changed.notify_all()
            if not self._cancelled:
                return
        if connection is not None:
            connection.close()

    @property
    def connected(self) -> bool:
        """Whether it has come to an open connection."""
        return self._done and self._error is None

    @property
    def finished(self) -> bool:
        """Whether `result` would return or raise without waiting."""
        with self._changed:
            return self._done or self._cancelled or self._step.limit.passed()

    def wait(self, at_most: Optional[float] = None) -> bool:
        """Wait until `finished`, at most so many seconds; return whether it is."""
        patience = Deadline(at_most)
        with self._changed:
            while not (self.finished or patience.passed()):
                self._changed.wait(self._step.limit.remaining(patience.remaining()))
            return self.finished

    def result(self) -> Optional[Connection]:
        """Wait for the open connection and return it; None if the attempt was cancelled.

        Raises:
            TimeoutError: Getting the key or connecting took too long; the attempt is cancelled.
            BaseException: Whatever `Connection.open` or the `AuthBase` raised.
        """
        with self._changed:
            self.wait()
            if self._cancelled:
                return None
            if self._done:
                if self._error is not None:
                    raise self._error
                # From here on it is the caller's: `cancel` leaves it alone.
                connection, self._connection = self._connection, None
                return connection
            step = self._step
        self.cancel()
        raise TimeoutError(step.late)

    def cancel(self) -> None:
        """Cancel the attempt, from any thread; has no effect once `result` has returned."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()
            connection = self._connection
        self._cancellation.cancel()
        if connection is not None:
            connection.abort()
            if self._done:
                connection.close()

    def _open(self) -> Connection:
        """Return an open connection; get a fresh key if a cached one was refused."""
        fresh_key = False
        while True:
            connection = Connection(
                self._endpoint.url,
                self._endpoint.headers(
                    self._log.request_id, self._ws_headers, proxy=Secret(self._config.proxy)
                ),
                self._config,
                self._log.words,
            )
            with self._changed:
                if self._cancelled:
                    return connection
                self._connection = connection
                self._start_step(_connecting(self._config))
            try:
                connection.open()
                return connection
            except AuthenticationError as error:
                again = error.status == 401 and not fresh_key and not self._cancelled
                if not again or not self._endpoint.drop_key():
                    raise
                fresh_key = True
            self._log.info("The key was refused; trying once more with a fresh one")
            with self._changed:
                self._start_step(_getting_the_key())

    def _start_step(self, step: _Step) -> None:
        """Start the time limit of the next step. Needs `_changed`."""
        self._step = step
        self._changed.notify_all()


class Connector:
    """Starts attempts to connect, one at a time, each in a thread of its own.

    Args:
        endpoint: The server, and where its key comes from.
        ws_headers: Extra headers for the handshake.
        config: Limits, proxy and TLS settings of the connection.
        life: The session's state.
        threads: The session's threads.
        log: The session's logger.
        observation: Tells that the session has begun, and has started.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        ws_headers: Secret[dict[str, str]],
        config: ConnectionConfig,
        *,
        life: Lifecycle,
        threads: Threads,
        log: SessionLogger,
        observation: Observation,
    ) -> None:
        self._endpoint = endpoint
        self._ws_headers = ws_headers
        self._config = config
        self._life = life
        self._threads = threads
        self._log = log
        self._observation = observation

        # Set by the receiver with the lock held; any thread may read it without.
        self._latest: Optional[weakref.ref[ConnectAttempt]] = None
        """Weak: what was needed to connect goes when the connection is there."""

    def start(self) -> Optional[ConnectAttempt]:
        """Start an attempt to connect, unless the session is over."""
        attempt = ConnectAttempt(self._endpoint, self._ws_headers, self._config, self._log)
        with self._life.lock:
            if self._life.state.over:
                return None
            self._latest = weakref.ref(attempt)
        self._threads.start("opener", self._run, attempt)
        return attempt

    def cancel(self) -> None:
        """Cancel the latest attempt, if its connection is still to come. From any thread."""
        attempt = None if self._latest is None else self._latest()
        if attempt is not None:
            attempt.cancel()

    def _run(self, attempt: ConnectAttempt) -> None:
        # A user's `AuthBase`, which nothing can interrupt.
        with self._threads.in_user_code(_CANCELLED_GRACE):
            attempt.run()
        self._observation.follow_start(self._threads, connected=attempt.connected)
