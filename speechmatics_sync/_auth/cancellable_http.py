"""An HTTP request that another thread can cancel while it connects, does TLS or reads.

``requests`` cannot be interrupted. But a connection of ``urllib3`` makes its socket in a method,
``_new_conn``, which ``urllib3`` itself overrides for SOCKS. Overriding it here gives the sockets.

A pool of ``urllib3`` logs each connection and each request at DEBUG. A filter or a record factory
of the program that raises would fail the request there, so the pools here make it themselves.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import socket
import ssl
import threading
from typing import Any, Optional

import requests.adapters
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from .._concurrency.deadlines import Deadline
from .._transport.tcp import OnSocket, connect
from ..errors import ConnectionError

__all__ = ["CancellableSession"]


class CancellableSession(requests.Session):
    """A session of ``requests`` for one request, which `cancel` ends.

    A request through a SOCKS proxy cannot be cancelled: it ends with its time limit.

    Args:
        tls: For ``https``; the only authorities.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__()
        self._lock = threading.RLock()
        self._cancelled = False
        # A duplicate: wrapping a socket in TLS detaches the original.
        self._opened: Optional[socket.socket] = None
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(self._on_socket, tls))

    def cancel(self) -> None:
        """End the request at once. May be called from any thread."""
        with self._lock:
            self._cancelled = True
            if self._opened is not None:
                with contextlib.suppress(OSError):
                    self._opened.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Free every socket."""
        super().close()
        self._hold(None)

    def _on_socket(self, opened: Optional[socket.socket]) -> None:
        self._hold(opened)
        if self._cancelled:
            raise ConnectionError("The request was cancelled.")

    def _hold(self, opened: Optional[socket.socket]) -> None:
        with self._lock:
            if self._opened is not None:
                self._opened.close()
            self._opened = None if opened is None else opened.dup()


class _Adapter(requests.adapters.HTTPAdapter):
    def __init__(self, on_socket: OnSocket, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._pools = {
            "http": _pool(urllib3.HTTPConnectionPool, _Connection, on_socket),
            "https": _pool(urllib3.HTTPSConnectionPool, _SecureConnection, on_socket, tls),
        }
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        found = super().proxy_manager_for(proxy, **kwargs)
        pools = self._pools
        if proxy.lower().startswith("socks"):
            pools = dict(found.pool_classes_by_scheme)
            made = type("SOCKSConnection", (_OwnTLS, pools["https"].ConnectionCls), {})
            pools["https"] = _pool(pools["https"], made, self._tls)
        found.pool_classes_by_scheme = pools
        return found

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Do nothing: `_OwnTLS` says what to verify."""


def _pool(kind: Any, connection: Any, *first: object) -> Any:
    # staticmethod: Python 3.13 warns that a partial in a class will become a method.
    made = staticmethod(functools.partial(connection, *first))
    return type(kind.__name__, (_OneRequest, kind), {"ConnectionCls": made})


class _OneRequest:
    """Makes one request over a connection of its own, and logs nothing."""

    ConnectionCls: Any
    conn_kw: dict[str, Any]
    host: str
    port: int
    proxy: Any
    _prepare_proxy: Any

    def urlopen(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Any = None,
        *,
        timeout: urllib3.Timeout,
        **_: Any,
    ) -> urllib3.HTTPResponse:
        address = self if self.proxy is None else self.proxy
        connection = self.ConnectionCls(
            host=address.host, port=address.port, timeout=timeout.connect_timeout, **self.conn_kw
        )
        try:
            if self.proxy is not None:
                self._prepare_proxy(connection)
            # Not the methods of urllib3: they log a header that cannot be parsed.
            http.client.HTTPConnection.request(connection, method, url, body, headers)
            answer = http.client.HTTPConnection.getresponse(connection)
            pairs: Any = answer.getheaders()
            return urllib3.HTTPResponse(
                body=answer,
                headers=pairs,
                status=answer.status,
                reason=answer.reason,
                preload_content=False,
                decode_content=False,
                original_response=answer,
                connection=connection,  # closed with the answer
                request_method=method,
            )
        except BaseException as error:
            connection.close()
            # As requests expects them.
            pool: Any = self
            if isinstance(error, (ConnectTimeoutError, NewConnectionError)):
                raise MaxRetryError(pool, url, error) from error
            if isinstance(error, socket.timeout):
                raise ReadTimeoutError(pool, url, "timed out") from error
            if isinstance(error, ssl.SSLError):
                raise SSLError(error) from error
            if isinstance(error, http.client.HTTPException):
                raise ProtocolError("Connection aborted.", error) from error
            raise


class _Connection(HTTPConnection):
    # A program that sets http.client.HTTPConnection.debuglevel would print our requests, keys and
    # all.
    debuglevel = 0

    def __init__(self, on_socket: OnSocket, *args: Any, **kwargs: Any) -> None:
        self._on_socket = on_socket
        super().__init__(*args, **kwargs)

    def _new_conn(self) -> socket.socket:
        try:
            opened = connect(self.host, self.port, Deadline(self.timeout), self._on_socket)
        except socket.timeout as error:
            raise ConnectTimeoutError(self, "timed out") from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error
        opened.settimeout(self.timeout)
        return opened


class _OwnTLS(HTTPSConnection):
    debuglevel = 0

    def __init__(self, tls: ssl.SSLContext, *args: Any, **kwargs: Any) -> None:
        self._tls = tls
        super().__init__(*args, **kwargs)

    def connect(self) -> None:
        # In place of what requests chose: urllib3 would load certifi's authorities, or those of
        # REQUESTS_CA_BUNDLE, into the context, which is the session's, and change its mode.
        self.ssl_context = self._tls
        self.cert_reqs = self._tls.verify_mode
        self.assert_hostname = None if self._tls.check_hostname else False
        self.ca_certs = self.ca_cert_dir = self.ca_cert_data = None
        super().connect()


class _SecureConnection(_Connection, _OwnTLS):
    pass
