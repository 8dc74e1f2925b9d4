"""Which proxy leads to a server, and connecting through it: HTTP CONNECT or SOCKS."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import re
import socket
from typing import Optional, cast

from .._concurrency.deadlines import Deadline
from .._model.proxy import ALLOWED_PROXIES, Proxy, parsed_proxy
from .._model.secret import Secret
from ..errors import ConfigurationError, ConnectionError, ProxyError, missing_extra
from .addresses import HTTP_HEAD_LIMIT, is_loopback, proxy_variables
from .names import addresses_of
from .tcp import OnSocket, closed_on_error, connect, is_time_limit, socket_timeout

__all__ = ["connect_through", "proxy_for"]

_CHECK = "Check HTTPS_PROXY, or what ConnectionConfig(proxy=…) names."


# -- which proxy --------------------------------------------------------------------------------


def proxy_for(
    secure: bool, host: str, port: int, configured: Secret[Optional[str]]
) -> Optional[Proxy]:
    """Return the proxy that leads to a server, or None.

    A configured proxy is always used. One from the environment is not used for this machine, nor
    for what ``NO_PROXY`` names.

    Raises:
        ConfigurationError: The proxy's URL cannot be used.
    """
    if configured.reveal() is not None:
        return _parsed(Secret(str(configured.reveal())), "proxy")
    # Loading urllib.request takes 12 ms of the first connection: only where a proxy is set.
    if not proxy_variables():
        return None
    from urllib.request import getproxies_environment

    proxies = Secret(getproxies_environment())
    name = "https" if secure else "http"
    if not proxies.reveal().get(name):
        name = "all"
    found = Secret(proxies.reveal().get(name, "").strip())
    if not found.reveal() or is_loopback(host):
        return None
    if _bypassed(host, port, proxies.reveal().get("no", "")):
        return None
    if "://" not in found.reveal():
        found = Secret(f"http://{found.reveal()}")
    return _parsed(found, f"{name}_proxy")


def _bypassed(host: str, port: int, no_proxy: str) -> bool:
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

    for name in (host, f"{host}:{port}"):
        if proxy_bypass_environment(name, {"no": no_proxy}):
            return True
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        for entry in no_proxy.split(","):
            with contextlib.suppress(ValueError):
                if address in ipaddress.ip_network(entry.strip(), strict=False):
                    return True
    return False


def _parsed(url: Secret[str], name: str) -> Proxy:
    found = parsed_proxy(url)
    if isinstance(found, str):
        raise ConfigurationError(f"{name} is {found}; allowed: {ALLOWED_PROXIES}")
    return found


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
        if proxy.scheme in ("socks4", "socks5"):  # the others have the proxy look the name up
            host = _address_of(host, port, proxy, deadline, on_socket)
    try:
        opened = connect(proxy.host, proxy.port, deadline, on_socket)
    except ConnectionError:
        raise
    except OSError as error:
        if is_time_limit(error):
            raise
        reason = error.strerror or error
        raise ConnectionError(f"Cannot connect to the {proxy}: {reason}. {_CHECK}") from None
    with closed_on_error(opened):
        through(opened, proxy, host, port, deadline)
    return opened


def _address_of(host: str, port: int, proxy: Proxy, deadline: Deadline, on_socket: OnSocket) -> str:
    """Return the one address of a host that the proxy is asked for: of IPv4 if there is one."""
    found = addresses_of(host, port, deadline, lambda: on_socket(None))
    found.sort(key=lambda address: address[0] != socket.AF_INET)
    if proxy.scheme == "socks4" and found[0][0] != socket.AF_INET:
        raise ConnectionError(
            f"The {proxy} speaks SOCKS 4, and {host} has no address of IPv4: use socks4a or socks5."
        )
    return str(found[0][4][0])


def _tunnel(opened: socket.socket, proxy: Proxy, host: str, port: int, deadline: Deadline) -> None:
    """Have an HTTP proxy open a tunnel to the server (CONNECT: RFC 9110, 9.3.6)."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    opened.settimeout(socket_timeout(deadline))
    opened.sendall(_connect_request(target, proxy))
    head = b""
    # Byte by byte: what follows the empty line comes from the server.
    while not head.endswith((b"\r\n\r\n", b"\n\n")):
        opened.settimeout(socket_timeout(deadline))
        byte = opened.recv(1)
        head += byte
        if not byte or len(head) > HTTP_HEAD_LIMIT:
            raise ConnectionError(f"The {proxy} did not answer as an HTTP proxy does. {_CHECK}")
    answered = re.match(rb"HTTP/1\.\d (\d{3})\b", head)
    status = int(answered.group(1)) if answered else None
    if status is None or not 200 <= status < 300:
        said = f"answered HTTP {status}" if status else "did not answer as an HTTP proxy does"
        advice = "Check its user and password." if status == 407 else _CHECK
        raise ProxyError(f"The {proxy} on the way to {target} {said}. {advice}", status=status)


def _connect_request(target: str, proxy: Proxy) -> bytes:
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    login = proxy.login.reveal()
    if login is not None:
        credentials = base64.b64encode(":".join(login).encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {credentials}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


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
        (proxy.login.reveal() or (None, None))[0],
        (proxy.login.reveal() or (None, None))[1],
        rdns=True,
        forward=cast("SocksProxy", _Connected(opened)),
    )
    opened.settimeout(socket_timeout(deadline))
    try:
        socks.connect(host, port)
    except Exception as error:
        if is_time_limit(error):
            raise socket.timeout("timed out") from None
        reason = getattr(error, "strerror", None) or error
        raise ConnectionError(
            f"The {proxy} on the way to {host} failed: {reason}. {_CHECK}"
        ) from None
