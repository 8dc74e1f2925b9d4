"""The way to a server: name look-up, TCP, a proxy, TLS.

Each socket is shown to the caller (``adopt``) before anything waits for it, so that another thread
can end what goes on by shutting it down. Only the look-up of a name cannot be ended so; it has a
limit of its own, the system's.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import functools
import ipaddress
import os
import re
import selectors
import socket
import ssl
from typing import Any, Callable, NamedTuple, Optional, cast
from urllib.parse import unquote, urlsplit

from .._concurrency.deadlines import Deadline
from .._model.config import ConnectionConfig
from ..errors import ConfigurationError, ConnectionError, ProxyError, missing_extra
from .addresses import is_loopback

__all__ = ["HTTP_HEAD_LIMIT", "Adopt", "connect", "dial", "patience"]

HTTP_HEAD_LIMIT = 32 * 1024
"""Bytes that the head of an HTTP answer may have."""

Adopt = Callable[[socket.socket], None]
"""Told of every socket, some twice; raises if the connection is no longer wanted."""


# Without a limit on the numbers of descriptors, and without one of its own.
_Selector = getattr(selectors, "PollSelector", selectors.DefaultSelector)


class Proxy(NamedTuple):
    """A proxy, and how it knows us."""

    scheme: str
    host: str
    port: int
    user: str
    password: str

    def __str__(self) -> str:
        return f"the proxy {self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Proxy({self.scheme}://{self.host}:{self.port})"


def dial(url: str, config: ConnectionConfig, deadline: Deadline, adopt: Adopt) -> socket.socket:
    """Return a socket that is connected to the server of a URL, TLS and all.

    Args:
        url: ``ws://`` or ``wss://``.
        config: Proxy and TLS settings.
        deadline: By when each step must be done.
        adopt: Told of every socket; one that is left over when it raises is closed.

    Raises:
        ConfigurationError: The proxy cannot be used.
        ConnectionError: The proxy cannot be reached, or refuses; the host is not known.
        OSError: As the system or ``ssl`` raise it: the server cannot be reached, or no TLS with it.
    """
    target = urlsplit(url)
    secure = target.scheme == "wss"
    host, port = target.hostname or "", target.port or (443 if secure else 80)
    proxy = _proxy_for(secure, host, port, config.proxy)
    if proxy is None:
        opened = connect(host, port, deadline, adopt)
    elif proxy.scheme == "http":
        opened = _connect_to_proxy(proxy, deadline, adopt)
        with _closed_on_error(opened):
            _tunnel(opened, proxy, host, port, deadline)
    else:
        opened = _connect_by_socks(proxy, host, port, deadline, adopt)
    if not secure:
        return opened
    with _closed_on_error(opened):
        context = config.ssl_context or _default_tls()
        secured = context.wrap_socket(opened, server_hostname=host, do_handshake_on_connect=False)
    with _closed_on_error(secured):
        adopt(secured)
        secured.settimeout(patience(deadline))
        secured.do_handshake()
    return secured


def patience(deadline: Deadline) -> Optional[float]:
    """Return how long a step may take, for ``settimeout``.

    Raises:
        socket.timeout: The deadline has passed. (Zero seconds would make the socket non-blocking.)
    """
    left = deadline.remaining()
    if left == 0:
        raise socket.timeout("timed out")
    return left


@functools.cache
def _default_tls() -> ssl.SSLContext:
    """Return the context that all connections of the process share: one costs 20 ms and 0.8 MB."""
    return ssl.create_default_context()


# -- TCP ----------------------------------------------------------------------------------------


def connect(host: str, port: int, deadline: Deadline, adopt: Adopt) -> socket.socket:
    """Return a socket that is connected to a host; for the arguments see `dial`.

    Raises:
        ConnectionError: The host is not known.
        OSError: As the system raises it.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no name of a host"
        raise ConnectionError(
            f"The host {host} is not known: {reason}. Check the address and the network."
        ) from None
    failure: OSError = OSError("it has no address")
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        opened = socket.socket(family, kind, protocol)
        try:
            # A part for each: an address that swallows everything leaves time for the next.
            left = patience(deadline)
            opened.settimeout(None if left is None else left / (len(addresses) - tried))
            _connect_to(address, opened, adopt)
            _tune(opened)
            return opened
        except OSError as error:
            opened.close()
            failure = error
        except BaseException:
            opened.close()
            raise
    raise failure


def _connect_to(address: Any, opened: socket.socket, adopt: Adopt) -> None:
    limit = opened.gettimeout()
    opened.setblocking(False)
    adopt(opened)
    failed = opened.connect_ex(address)
    adopt(opened)  # again: who shut it down before it began to connect did not end anything
    if failed in (errno.EINPROGRESS, errno.EWOULDBLOCK):
        with _Selector() as selector:
            selector.register(opened, selectors.EVENT_WRITE)
            if not selector.select(limit):
                raise socket.timeout("timed out")
        failed = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if failed:
        raise OSError(failed, os.strerror(failed))
    opened.settimeout(limit)


def _tune(opened: socket.socket) -> None:
    # Small frames leave at once; and a connection without pings is still found dead one day.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


@contextlib.contextmanager
def _closed_on_error(opened: socket.socket):  # type: ignore[no-untyped-def]
    try:
        yield
    except BaseException:
        opened.close()
        raise


# -- proxies ------------------------------------------------------------------------------------


def _proxy_for(secure: bool, host: str, port: int, configured: Optional[str]) -> Optional[Proxy]:
    """Return the proxy to a server.

    One that is configured is used as it is; one from the environment never for this machine and
    never for what ``NO_PROXY`` names.
    """
    if configured is not None:
        return _parsed(configured, "proxy")
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None  # as most do; what reads them takes a fifth of the first connection to load
    from urllib.request import getproxies_environment

    proxies = getproxies_environment()
    name = "https" if secure else "http"
    if not proxies.get(name):
        name = "all"
    found = proxies.get(name)
    if not found or is_loopback(host) or _bypassed(host, port, proxies):
        return None
    return _parsed(found if "://" in found else f"http://{found}", f"{name}_proxy")


def _bypassed(host: str, port: int, proxies: dict[str, str]) -> bool:
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

    for name in (host, f"{host}:{port}"):
        if proxy_bypass_environment(name, proxies):
            return True
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        for entry in proxies.get("no", "").split(","):
            with contextlib.suppress(ValueError):
                if address in ipaddress.ip_network(entry.strip(), strict=False):
                    return True
    return False


def _parsed(url: str, name: str) -> Proxy:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    # The URL is not shown: it may hold a password.
    if not host or port == 0:
        raise ConfigurationError(f"{name} names no proxy; allowed: http://user:password@host:port")
    if parts.scheme not in ("http", "socks4", "socks4a", "socks5", "socks5h"):
        raise ConfigurationError(
            f"{name} names a proxy behind {parts.scheme}://, which is not supported; allowed: "
            "http (TLS to the server goes through it), socks4, socks4a, socks5, socks5h"
        )
    return Proxy(
        parts.scheme,
        host,
        port or (80 if parts.scheme == "http" else 1080),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


def _connect_to_proxy(proxy: Proxy, deadline: Deadline, adopt: Adopt) -> socket.socket:
    try:
        return connect(proxy.host, proxy.port, deadline, adopt)
    except ConnectionError:
        raise
    except OSError as error:
        if _is_limit(error):
            raise
        reason = error.strerror or error
        raise ConnectionError(f"Cannot connect to {proxy}: {reason}.") from None


def _tunnel(opened: socket.socket, proxy: Proxy, host: str, port: int, deadline: Deadline) -> None:
    """Have a proxy connect us to the server (RFC 9110, 9.3.6)."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.user:
        credentials = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {credentials}")
    opened.settimeout(patience(deadline))
    opened.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
    head = b""
    # Byte by byte: what follows the empty line is the server's.
    while not head.endswith((b"\r\n\r\n", b"\n\n")):
        opened.settimeout(patience(deadline))
        byte = opened.recv(1)
        head += byte
        if not byte or len(head) > HTTP_HEAD_LIMIT:
            raise ConnectionError(f"T{str(proxy)[1:]} did not answer as an HTTP proxy does.")
    answered = re.match(rb"HTTP/1\.\d (\d{3})\b", head)
    status = int(answered.group(1)) if answered else None
    if status is None or not 200 <= status < 300:
        said = f"answered HTTP {status}" if status else "did not answer as an HTTP proxy does"
        advice = " Check its user and password." if status == 407 else ""
        raise ProxyError(f"T{str(proxy)[1:]} on the way to {target} {said}.{advice}", status=status)


def _is_limit(error: OSError) -> bool:
    """Return whether a time limit of ours has passed, and not one of the system's."""
    return isinstance(error, (socket.timeout, TimeoutError)) and error.errno is None


class _Reached:
    """The way to a proxy as ``python-socks`` takes one for the next: it is reached already."""

    def __init__(self, opened: socket.socket) -> None:
        self._opened = opened

    def connect(self, **destination: object) -> socket.socket:
        return self._opened


def _connect_by_socks(
    proxy: Proxy, host: str, port: int, deadline: Deadline, adopt: Adopt
) -> socket.socket:
    try:
        from python_socks import ProxyType
        from python_socks.sync import Proxy as SocksProxy
    except ImportError:
        raise missing_extra(f"A {proxy.scheme} proxy", "python-socks", "socks") from None
    kinds = {"4": ProxyType.SOCKS4, "5": ProxyType.SOCKS5}
    opened = _connect_to_proxy(proxy, deadline, adopt)
    with _closed_on_error(opened):
        way = SocksProxy(
            kinds[proxy.scheme[5]],
            proxy.host,
            proxy.port,
            proxy.user or None,
            proxy.password or None,
            rdns=proxy.scheme in ("socks4a", "socks5h"),  # the proxy looks the name up
            forward=cast("SocksProxy", _Reached(opened)),
        )
        opened.settimeout(patience(deadline))
        try:
            way.connect(host, port)
        except OSError as error:
            if _is_limit(error):
                raise socket.timeout("timed out") from None
            reason = error.strerror or error
            raise ConnectionError(
                f"T{str(proxy)[1:]} on the way to {host} failed: {reason}."
            ) from None
        except Exception as error:
            raise ConnectionError(
                f"T{str(proxy)[1:]} on the way to {host} refused: {error}"
            ) from None
    return opened
