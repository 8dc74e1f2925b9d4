"""One attempt to get a key and a connection, which whoever waits for it can give up.

It runs in a thread of its own, the opener. Whoever gives it up ends what goes on in there, save a
name look-up and an `AuthBase` of the user's, which nothing can interrupt: when they come back, the
opener frees what it got and touches nothing more.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import NamedTuple, Optional

from .._auth.endpoint import Endpoint
from .._concurrency.cancellation import Cancellation
from .._concurrency.deadlines import Deadline
from .._logs import SessionLogger
from .._model.config import ConnectionConfig
from .._transport.connection import Connection
from ..errors import AuthenticationError, TimeoutError

__all__ = ["Opening"]

_KEY_LIMIT = 60.0
"""Seconds that getting a key may take: `JWTAuth` gives up sooner, another `AuthBase` may not."""


class _Step(NamedTuple):
    """What is going on, how long it may take, and what is said if it takes longer."""

    limit: Deadline
    late: str


def _getting_the_key() -> _Step:
    return _Step(Deadline(_KEY_LIMIT), f"Getting the key took longer than {_KEY_LIMIT} s.")


def _connecting(config: ConnectionConfig) -> _Step:
    return _Step(
        Deadline(config.open_timeout),
        f"Connecting took longer than open_timeout ({config.open_timeout} s). "
        "Is the address right and the network up?",
    )


class Opening:
    """An attempt to connect.

    Args:
        endpoint: Where to connect.
        ws_headers: The user's own headers.
        config: Limits of the connection.
        log: The session's, whose id goes along.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        ws_headers: Optional[Mapping[str, str]],
        config: ConnectionConfig,
        log: SessionLogger,
    ) -> None:
        self._endpoint = endpoint
        self._ws_headers = ws_headers
        self._config = config
        self._log = log
        self._errand = Cancellation(log)
        self._changed = threading.Condition()
        self._connection: Optional[Connection] = None
        self._error: Optional[BaseException] = None
        self._step = _getting_the_key()
        self._done = False
        self._cancelled = False

    def run(self) -> None:
        """Connect; the opener's whole life."""
        connection = None
        try:
            with self._errand.underway():
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
    def finished(self) -> bool:
        """Whether `result` would return or raise at once."""
        with self._changed:
            return self._done or self._cancelled or self._step.limit.passed()

    def wait(self, at_most: Optional[float] = None) -> bool:
        """Wait until `result` would return or raise at once, or some seconds; return whether so."""
        patience = Deadline(at_most)
        with self._changed:
            while not (self.finished or patience.passed()):
                self._changed.wait(self._step.limit.remaining(patience.remaining()))
            return self.finished

    def result(self) -> Optional[Connection]:
        """Wait for the open connection; None if `cancel` came first.

        Raises:
            TimeoutError: A limit passed; what is still going on is given up.
            BaseException: What `Connection.open` or the `AuthBase` raised.
        """
        with self._changed:
            self.wait()
            if self._cancelled:
                return None
            if self._done:
                if self._error is not None:
                    raise self._error
                return self._connection
            step = self._step
        self.cancel()
        raise TimeoutError(step.late)

    def cancel(self) -> None:
        """Give the attempt up, from any thread, unless its result was fetched."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()
            connection = self._connection
        self._errand.give_up()
        if connection is not None:
            connection.abort()
            if self._done:
                connection.close()

    def _open(self) -> Connection:
        """Return an open connection, with a fresh key if the first one was refused."""
        fresh_key = False
        while True:
            # No variable holds the headers, for tools that show those of a traceback.
            connection = Connection(
                self._endpoint.url,
                self._endpoint.headers(
                    self._log.request_id, self._ws_headers, proxy=self._config.proxy
                ),
                self._config,
            )
            with self._changed:
                if self._cancelled:
                    return connection
                self._connection = connection
                self._begin(_connecting(self._config))
            try:
                connection.open()
                return connection
            except AuthenticationError as error:
                again = error.status == 401 and not fresh_key and not self._cancelled
                if not again or not self._endpoint.forget_key():
                    raise
                fresh_key = True
            self._log.info("The key was refused; trying once more with a fresh one")
            with self._changed:
                self._begin(_getting_the_key())

    def _begin(self, step: _Step) -> None:
        """Count the time from now. Needs `_changed`."""
        self._step = step
        self._changed.notify_all()
