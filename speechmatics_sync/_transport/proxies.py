"""Which proxy leads to a server, and connecting through it: HTTP CONNECT or SOCKS."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import os
import re
import socket
from typing import NamedTuple, Optional, cast
from urllib.parse import unquote, urlsplit

from .._concurrency.deadlines import Deadline
from ..errors import ConfigurationError, ConnectionError, ProxyError, missing_extra
from .addresses import HTTP_HEAD_LIMIT, is_loopback
from .tcp import OnSocket, closed_on_error, connect, is_time_limit, socket_timeout

__all__ = ["Proxy", "connect_through", "proxy_for"]


class Proxy(NamedTuple):
    """A proxy's address and the login for it."""

    scheme: str
    host: str
    port: int
    user: str
    password: str

    def __str__(self) -> str:
        return f"proxy {self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Proxy({self.scheme}://{self.host}:{self.port})"


# -- which proxy --------------------------------------------------------------------------------


def proxy_for(secure: bool, host: str, port: int, configured: Optional[str]) -> Optional[Proxy]:
    """Return the proxy that leads to a server, or None.

    A configured proxy is always used. One from the environment is not used for this machine, nor
    for what ``NO_PROXY`` names.

    Raises:
        ConfigurationError: The proxy's URL cannot be used.
    """
    if configured is not None:
        return _parsed(configured, "proxy")
    # Loading urllib.request takes 12 ms of the first connection: only where a proxy is set.
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
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


# -- connecting ---------------------------------------------------------------------------------


def connect_through(
    proxy: Proxy, host: str, port: int, deadline: Deadline, on_socket: OnSocket
) -> socket.socket:
    """Return a socket that is connected to a host through a proxy; see `tcp.connect`.

    Raises:
        ConfigurationError: The package for SOCKS is missing.
        ConnectionError: The proxy cannot be reached, or failed.
        ProxyError: The proxy refused.
        OSError: As the system raises it once the proxy is reached.
    """
    through = _tunnel
    if proxy.scheme != "http":
        try:
            import python_socks.sync  # noqa: F401
        except ImportError:
            raise missing_extra(f"A {proxy.scheme} proxy", "python-socks", "socks") from None
        through = _socks
    try:
        opened = connect(proxy.host, proxy.port, deadline, on_socket)
    except ConnectionError:
        raise
    except OSError as error:
        if is_time_limit(error):
            raise
        reason = error.strerror or error
        raise ConnectionError(f"Cannot connect to the {proxy}: {reason}.") from None
    with closed_on_error(opened):
        through(opened, proxy, host, port, deadline)
    return opened


def _tunnel(opened: socket.socket, proxy: Proxy, host: str, port: int, deadline: Deadline) -> None:
    """Have an HTTP proxy open a tunnel to the server (CONNECT: RFC 9110, 9.3.6)."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.user:
        credentials = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {credentials}")
    opened.settimeout(socket_timeout(deadline))
    opened.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
    head = b""
    # Byte by byte: what follows the empty line comes from the server.
    while not head.endswith((b"\r\n\r\n", b"\n\n")):
        opened.settimeout(socket_timeout(deadline))
        byte = opened.recv(1)
        head += byte
        if not byte or len(head) > HTTP_HEAD_LIMIT:
            raise ConnectionError(f"The {proxy} did not answer as an HTTP proxy does.")
    answered = re.match(rb"HTTP/1\.\d (\d{3})\b", head)
    status = int(answered.group(1)) if answered else None
    if status is None or not 200 <= status < 300:
        said = f"answered HTTP {status}" if status else "did not answer as an HTTP proxy does"
        advice = " Check its user and password." if status == 407 else ""
        raise ProxyError(f"The {proxy} on the way to {target} {said}.{advice}", status=status)


class _Connected:
    """The socket to the proxy, in the shape in which ``python-socks`` takes the hop before."""

    def __init__(self, opened: socket.socket) -> None:
        self._opened = opened

    def connect(self, **destination: object) -> socket.socket:
        return self._opened


def _socks(opened: socket.socket, proxy: Proxy, host: str, port: int, deadline: Deadline) -> None:
    """Have a SOCKS proxy connect to the server."""
    from python_socks import ProxyType
    from python_socks.sync import Proxy as SocksProxy

    kinds = {"4": ProxyType.SOCKS4, "5": ProxyType.SOCKS5}
    socks = SocksProxy(
        kinds[proxy.scheme[5]],
        proxy.host,
        proxy.port,
        proxy.user or None,
        proxy.password or None,
        rdns=proxy.scheme in ("socks4a", "socks5h"),  # the proxy looks the name up
        forward=cast("SocksProxy", _Connected(opened)),
    )
    opened.settimeout(socket_timeout(deadline))
    try:
        socks.connect(host, port)
    except Exception as error:
        if is_time_limit(error):
            raise socket.timeout("timed out") from None
        reason = getattr(error, "strerror", None) or error
        raise ConnectionError(f"The {proxy} on the way to {host} failed: {reason}.") from None
