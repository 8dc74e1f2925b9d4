"""Connecting to the server of a URL: directly or through a proxy, with TLS for ``wss://``."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from .._concurrency.deadlines import Deadline
from .._model.connection_config import ConnectionConfig
from .._model.secret import Secret
from .names import noting_failure
from .proxies import connect_through, proxy_for
from .tcp import OnSocket, closed_on_error, connect, socket_timeout
from .tls import tls_context

__all__ = ["dial"]


def dial(
    url: str, config: ConnectionConfig, deadline: Deadline, on_socket: OnSocket
) -> socket.socket:
    """Return a socket that is connected to the server of a URL, TLS included.

    Args:
        url: ``ws://`` or ``wss://``.
        config: Proxy and TLS settings.
        deadline: When to give up.
        on_socket: Called with every socket; what it raises is raised, and the socket closed.

    Raises:
        ConfigurationError: The proxy cannot be used.
        ConnectionError: The proxy cannot be reached, or refuses; the host is not known.
        OSError: As the system or ``ssl`` raises it: the server cannot be reached, or TLS failed.
    """
    target = urlsplit(url)
    secure = target.scheme == "wss"
    host, port = target.hostname or "", target.port or (443 if secure else 80)
    proxy = proxy_for(secure, host, port, Secret(config.proxy))
    if proxy is None:
        opened = connect(host, port, deadline, on_socket)
    else:
        opened = connect_through(proxy, host, port, deadline, on_socket)
    if not secure:
        return opened
    with closed_on_error(opened), noting_failure(opened):
        context = tls_context(config.ssl_context)
        opened.settimeout(socket_timeout(deadline))
        # wrap_socket shakes hands itself, for truststore verifies the certificate right after it.
        # Meanwhile ``opened`` is detached: what can be shut down is a duplicate.
        with opened.dup() as duplicate:
            on_socket(duplicate)
            secured = context.wrap_socket(opened, server_hostname=host)
            with closed_on_error(secured):
                on_socket(secured)
    return secured
