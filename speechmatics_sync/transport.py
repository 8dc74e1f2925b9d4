"""One WebSocket connection: connect, send, receive, abort.

Only this module imports ``websocket``, and only here do the errors of ``websocket-client``,
``ssl`` and ``socket`` become ours.

Once open, the socket never blocks. Whoever sends puts frames into a buffer and moves what the
network takes (`Connection.flush`); one thread, the receiver, waits outside the socket
(`Connection.wait`), moves the rest and reads (`Connection.receive`). Nobody ever waits for the
network inside a call, which is what makes it safe to share a TLS socket between threads: one that
blocks in TLS stops the other, or races with it (CPython issues 77271 and 137583). And the
receiver, which never waits for a write, goes on reading while the network takes nothing: a pong
that waits for a sender that waits for a peer that waits for us to read is a deadlock.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import json
import re
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Optional, Union
from urllib.parse import unquote, urlsplit

import websocket

from .config import ConnectionConfig
from .endpoint import is_loopback
from .errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    SpeechmaticsError,
    TimeoutError,
    TransportError,
)

__all__ = ["HIGH_WATER", "Closed", "Connection"]

HIGH_WATER = 64 * 1024
"""Bytes waiting for the network above which no more audio should be handed to `Connection.send`."""

_READ_SIZE = 64 * 1024
_READS_IN_A_ROW = 16
_ABNORMAL = 1006

_Selector = getattr(selectors, "PollSelector", selectors.DefaultSelector)


class Closed(NamedTuple):
    """The connection has ended: by a close frame, or without one (code 1006)."""

    code: Optional[int]
    reason: str


class _Exhausted(Exception):
    """The bytes received so far end inside a frame."""


class Connection:
    """One WebSocket connection, from connecting to the end.

    `open` may block and belongs to one thread; `send`, `flush`, `ping`, `wake` and `abort` may be
    called from any; `wait`, `receive` and `close` belong to the thread that receives.

    Args:
        url: Where to connect, with its whole query.
        headers: What the handshake says beside the protocol's own headers.
        config: Limits, proxy and TLS settings.
    """

    def __init__(self, url: str, headers: Mapping[str, str], config: ConnectionConfig) -> None:
        self._url = url
        self._headers = headers
        self._config = config
        self._websocket = websocket.WebSocket(
            sslopt=_tls_options(url, config),
            enable_multithread=False,
            skip_utf8_validation=True,  # it validates in pure Python; decoding does it in C
        )
        self._socket: Optional[socket.socket] = None
        # Guards every call on the socket once it is open, and `_outgoing`.
        self._io = threading.Lock()
        self._outgoing: collections.deque[bytes] = collections.deque()
        self._backlog = 0
        self._pong: Optional[bytes] = None
        self._aborted = False
        self._send_failed = False
        self._closing = False
        self._more_to_read = False
        self._reading_wants_write = False
        self._frames = websocket.frame_buffer(self._take, True)
        self._fragments = websocket.continuous_frame(False, True)
        self._incoming = b""
        self._taken = 0
        self._selector: selectors.BaseSelector = _Selector()
        self._waiting_to_write = False
        self._wake_receive, self._wake_send = socket.socketpair()
        self._wake_receive.setblocking(False)
        self._wake_send.setblocking(False)
        self._woken = False
        self.last_heard = time.monotonic()
        """When the peer was last heard: any byte counts."""

    # -- opening --------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect and shake hands. Blocks; `abort` from another thread ends it.

        Raises:
            AuthenticationError: The server answered 401 or 403.
            ConnectionError: There is no way to the server, or no WebSocket there.
            TimeoutError: A step of it took longer than ``open_timeout``.
        """
        try:
            with _map_opening_errors(self._url, self._headers, self._config):
                try:
                    self._websocket.connect(  # type: ignore[no-untyped-call]
                        self._url,
                        header=[f"{name}: {value}" for name, value in self._headers.items()],
                        suppress_origin=True,  # the service's own clients send none
                        redirect_limit=0,  # or the key would follow to any host that is named
                        timeout=self._config.open_timeout,
                        **_proxy_options(self._url, self._config.proxy),
                    )
                finally:
                    answer = self._websocket.handshake_response
                    if answer is not None and answer.status != 101:
                        # Up to 1.9.0 websocket-client takes a redirect for a connection.
                        raise _refused(answer.status, answer.headers, b"", self._url)
        except BaseException:
            self.close()
            raise
        opened = self._websocket.sock
        if opened is None:
            raise ConnectionError("The connection was given up while it was being made.")
        opened.setblocking(False)
        with self._io:
            self._socket = opened
        self.last_heard = time.monotonic()
        self._selector.register(self._wake_receive, selectors.EVENT_READ)
        self._selector.register(opened, selectors.EVENT_READ)
        if self._aborted:
            self.close()
            raise ConnectionError("The connection was given up while it was being made.")

    # -- any thread -----------------------------------------------------------------------------

    @property
    def backlog(self) -> int:
        """Bytes that wait for the network."""
        return self._backlog

    @property
    def broken(self) -> bool:
        """Whether the network refused what was sent: only what has come can still be read."""
        return self._send_failed

    def send(self, payload: Union[str, bytes]) -> None:
        """Put a message behind those that wait: text if it is ``str``, else binary.

        Nothing is on its way before `flush`.
        """
        opcode = websocket.ABNF.OPCODE_TEXT
        if not isinstance(payload, str):
            opcode = websocket.ABNF.OPCODE_BINARY
        self._put(payload, opcode)

    def ping(self) -> None:
        """Ask the peer for a sign of life."""
        self._put(b"", websocket.ABNF.OPCODE_PING)
        self.flush()

    def start_closing(self, code: int = 1000) -> None:
        """Send a close frame, once; what the peer answers comes out of `receive`."""
        if not self._closing:
            self._closing = True
            self._put(struct.pack("!H", code), websocket.ABNF.OPCODE_CLOSE)
            self.flush()

    def flush(self) -> None:
        """Move what the network takes at once; the receiver moves the rest."""
        with self._io:
            left = self._write()
        if left and not self._waiting_to_write:
            self.wake()

    def wake(self) -> None:
        """Make `wait` return."""
        if not self._woken:
            self._woken = True
            with contextlib.suppress(OSError):  # full is as good as woken; closed needs no waking
                self._wake_send.send(b"\0")

    def abort(self) -> None:
        """End the connection at once, whatever waits for it. Idempotent."""
        self._aborted = True
        opened = self._socket or self._websocket.sock
        if opened is not None:
            with contextlib.suppress(OSError):
                # Not the method of SSLSocket, which forgets that there was TLS.
                socket.socket.shutdown(opened, socket.SHUT_RDWR)
        self.wake()

    # -- the receiver ---------------------------------------------------------------------------

    def wait(self, timeout: Optional[float], *, read: bool = True) -> None:
        """Wait until there is something to do, or ``timeout`` seconds.

        Args:
            timeout: In seconds; None for no limit.
            read: Whether bytes that arrive end the wait. Without it, only `wake` and the network
                taking what is left to send do.
        """
        if read and self._more_to_read:
            return
        events = selectors.EVENT_READ if read else 0
        if self._backlog or self._reading_wants_write:
            self._waiting_to_write = True
            events |= selectors.EVENT_WRITE
        try:
            self._register(events)
            self._selector.select(timeout)
        finally:
            self._waiting_to_write = False
        if self._woken:
            self._woken = False
            with contextlib.suppress(OSError):
                self._wake_receive.recv(64)

    def receive(self) -> list[Union[bytes, Closed]]:
        """Move what is left to send and return the messages that have come, without waiting.

        A `Closed` is always the last.

        Raises:
            TransportError: The peer broke the WebSocket protocol, or sent more than ``max_size``.
        """
        received: list[Union[bytes, Closed]] = []
        self._more_to_read = False
        for _ in range(_READS_IN_A_ROW):
            fresh = self._read()
            if fresh is None:
                break
            if isinstance(fresh, Closed):
                received.append(fresh)
                break
            self.last_heard = time.monotonic()
            if self._parse(fresh, received):
                break
        else:
            self._more_to_read = True
        self.flush()
        return received

    def close(self) -> None:
        """Free the socket, without a word to the peer. Idempotent."""
        opened = self._socket
        if opened is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(opened, socket.SHUT_RDWR)
        self.forget()

    def forget(self) -> None:
        """Free this process's hold on the socket, which another process goes on using."""
        with self._io:
            opened, self._socket = self._socket, None
            self._outgoing.clear()
            self._backlog = 0
        self._selector.close()
        self._wake_receive.close()
        self._wake_send.close()
        if opened is not None:
            opened.close()
        self._websocket.shutdown()  # type: ignore[no-untyped-call]

    # -- inside ---------------------------------------------------------------------------------

    def _put(self, payload: Union[str, bytes], opcode: int) -> None:
        frame = websocket.ABNF.create_frame(payload, opcode).format()
        with self._io:
            self._outgoing.append(frame)
            self._backlog += len(frame)

    def _write(self) -> bool:
        """Send what can be sent now; return whether anything is left. Needs `_io`."""
        if self._pong is not None and not self._backlog:
            self._outgoing.append(self._pong)
            self._backlog += len(self._pong)
            self._pong = None
        outgoing = self._outgoing
        if self._socket is None or self._send_failed:
            return False
        while outgoing:
            waiting = outgoing[0] if len(outgoing) == 1 else b"".join(outgoing)
            try:
                sent = self._socket.send(waiting)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                sent = 0
            except OSError:
                # What the peer had to say before it went is still to be read: the receiver
                # reports the end when it has come to it.
                self._send_failed = True
                outgoing.clear()
                self._backlog = 0
                return True
            outgoing.clear()
            self._backlog = len(waiting) - sent
            if self._backlog:
                outgoing.append(waiting[sent:])
                return True
        return False

    def _read(self) -> Union[bytes, Closed, None]:
        """Return fresh bytes, the end of the connection, or None if there is nothing now."""
        self._reading_wants_write = False
        with self._io:
            if self._socket is None:
                return Closed(_ABNORMAL, "")
            try:
                fresh = self._socket.recv(_READ_SIZE)
            except (BlockingIOError, ssl.SSLWantReadError):
                return Closed(_ABNORMAL, "") if self._send_failed or self._aborted else None
            except ssl.SSLWantWriteError:
                self._reading_wants_write = True
                return None
            except OSError as error:
                return Closed(_ABNORMAL, error.strerror or str(error))
        return fresh if fresh else Closed(_ABNORMAL, "")

    def _parse(self, fresh: bytes, received: list[Union[bytes, Closed]]) -> bool:
        """Append the messages that ``fresh`` completes; return whether the peer has closed."""
        self._incoming = self._incoming[self._taken :] + fresh
        self._taken = 0
        try:
            while True:
                frame = self._frames.recv_frame()
                if frame.opcode in (websocket.ABNF.OPCODE_PING, websocket.ABNF.OPCODE_PONG):
                    if len(frame.data) > 125 or not frame.fin:
                        raise TransportError("The server sent a control frame that is too long.")
                    if frame.opcode == websocket.ABNF.OPCODE_PING:
                        self._answer(_as_bytes(frame.data))
                elif frame.opcode == websocket.ABNF.OPCODE_CLOSE:
                    closed = _closed(_as_bytes(frame.data))
                    self.start_closing()
                    received.append(closed)
                    return True
                else:
                    self._fragments.validate(frame)
                    self._fragments.add(frame)
                    if frame.fin:
                        _, whole = self._fragments.extract(frame)
                        received.append(whole.data)
        except _Exhausted:
            return False
        except websocket.WebSocketException as error:
            raise TransportError(f"The server broke the WebSocket protocol: {error}") from None

    def _take(self, size: int) -> bytes:
        """Give ``websocket.frame_buffer`` its next bytes; it resumes where it was cut off."""
        length = self._frames.length
        limit = self._config.max_size
        if length is not None and limit is not None:
            # It would believe any length, up to 2**63.
            fragments = self._fragments.cont_data
            length += len(fragments[1]) if fragments else 0
            if length > limit:
                raise TransportError(
                    f"The server sent a message of {length} bytes or more; "
                    f"max_size allows {limit}. Raise ConnectionConfig.max_size if that is right."
                )
        taken = self._incoming[self._taken : self._taken + size]
        if not taken:
            raise _Exhausted
        self._taken += len(taken)
        return taken

    def _answer(self, ping: bytes) -> None:
        # Only the latest ping needs an answer, so that pings cannot fill memory.
        pong = websocket.ABNF.create_frame(ping, websocket.ABNF.OPCODE_PONG).format()
        with self._io:
            self._pong = pong
            if self._backlog < HIGH_WATER:
                self._outgoing.append(pong)
                self._backlog += len(pong)
                self._pong = None

    def _register(self, events: int) -> None:
        if self._socket is None:
            return
        watched = self._selector.get_map().get(self._socket.fileno())
        if watched is None:
            if events:
                self._selector.register(self._socket, events)
        elif not events:
            # Without this a connection that is not read but was reset would end every wait.
            self._selector.unregister(self._socket)
        elif watched.events != events:
            self._selector.modify(self._socket, events)


# -- settings of websocket-client ---------------------------------------------------------------


@functools.cache
def _default_tls() -> ssl.SSLContext:
    """Return the context that all connections of the process share: one costs 20 ms and 0.8 MB."""
    return ssl.create_default_context()


def _tls_options(url: str, config: ConnectionConfig) -> dict[str, object]:
    if not url.startswith("wss:"):
        return {}
    return {
        "context": config.ssl_context or _default_tls(),
        # The handshake then happens with the first bytes sent, when `abort` can reach the socket.
        "do_handshake_on_connect": False,
    }


def _proxy_options(url: str, proxy: Optional[str]) -> dict[str, object]:
    """Return the proxy for a URL in the words of websocket-client.

    A proxy that is configured is used as it is; one from the environment never for this machine
    and never for a host that ``no_proxy`` names.
    """
    direct: dict[str, object] = {"http_no_proxy": ["*"]}
    if proxy is None:
        from urllib.request import (  # type: ignore[attr-defined]
            getproxies_environment,
            proxy_bypass_environment,
        )

        target = urlsplit(url)
        host = target.hostname or ""
        proxies = getproxies_environment()
        found = proxies.get("https" if target.scheme == "wss" else "http") or proxies.get("all")
        if not found or is_loopback(host) or proxy_bypass_environment(host, proxies):
            return direct
        proxy = found if "://" in found else f"http://{found}"
    parts = urlsplit(proxy)
    scheme = "http" if parts.scheme == "https" else parts.scheme
    if scheme != "http" and not _have_socks():
        raise ConfigurationError(
            f'A {parts.scheme} proxy needs python-socks: pip install "speechmatics-sync[socks]".'
        )
    options: dict[str, object] = {
        "proxy_type": scheme,
        "http_proxy_host": parts.hostname,
        "http_proxy_port": parts.port or (80 if scheme == "http" else 1080),
        "http_no_proxy": [" "],  # or websocket-client would read no_proxy once more
    }
    if parts.username:
        options["http_proxy_auth"] = (unquote(parts.username), unquote(parts.password or ""))
    return options


def _have_socks() -> bool:
    import importlib.util

    return importlib.util.find_spec("python_socks") is not None


# -- the errors of others become ours -----------------------------------------------------------


@contextlib.contextmanager
def _map_opening_errors(
    url: str, headers: Mapping[str, str], config: ConnectionConfig
) -> Iterator[None]:
    where = _without_query(url)
    try:
        yield
    except SpeechmaticsError:
        raise
    except websocket.WebSocketBadStatusException as error:
        raise _refused(
            error.status_code, error.resp_headers or {}, error.resp_body or b"", url, headers
        ) from None
    except (websocket.WebSocketTimeoutException, socket.timeout):
        raise TimeoutError(
            f"No WebSocket connection to {where} within open_timeout "
            f"({config.open_timeout} s). Is the address right and the network up?"
        ) from None
    except websocket.WebSocketAddressException as error:
        raise ConnectionError(
            f"The host of {where} is not known: {error}. Check the URL and the network."
        ) from None
    except websocket.WebSocketProxyException as error:
        raise ConnectionError(f"The proxy on the way to {where} refused: {error}") from None
    except ssl.SSLCertVerificationError as error:
        raise ConnectionError(
            f"The certificate of {where} cannot be verified: {error.verify_message}. "
            "A private authority is made known with ConnectionConfig(ssl_context=…)."
        ) from error
    except ssl.SSLError as error:
        raise ConnectionError(
            f"No TLS with {where}: {error.reason or error}. Does that port speak TLS (wss)?"
        ) from error
    except websocket.WebSocketException as error:
        raise ConnectionError(
            f"{where} did not answer as a WebSocket server does: {_line(str(error))}"
        ) from None
    except OSError as error:
        raise ConnectionError(
            f"Cannot connect to {where}: {error.strerror or error}. "
            "Is a server running there, and is the address right?"
        ) from error
    except ValueError as error:
        # An answer that websocket-client cannot take apart.
        raise ConnectionError(f"{where} answered in a way that is not HTTP: {error}") from None


def _refused(
    status: int,
    answered: Mapping[str, str],
    body: bytes,
    url: str,
    headers: Optional[Mapping[str, str]] = None,
) -> SpeechmaticsError:
    """Return the error for a handshake that was answered with something else than 101."""
    where = _without_query(url)
    said = _said(body, headers or {})
    if status in (401, 403):
        advice = (
            "Check the API key (SPEECHMATICS_API_KEY), and that it is meant for this region."
            if status == 401
            else "This key may not use this service."
        )
        return AuthenticationError(
            f"{where} refused the key with HTTP {status}{said}. {advice}", status=status
        )
    if 300 <= status < 400:
        location = _without_query(_line(answered.get("location", "nowhere")))
        return ConnectionError(
            f"{where} redirects (HTTP {status}) to {location}. "
            "Redirects are not followed, for the key would go along: set the new URL instead.",
            status=status,
        )
    advice = {
        404: " Is the path of the URL right (…/v2)?",
        405: " Is the path of the URL right (…/v2)?",
        429: " Too many requests: try again later.",
    }.get(status, "")
    return ConnectionError(
        f"{where} answered HTTP {status} in place of a WebSocket handshake{said}.{advice}",
        status=status,
        retry_after=answered.get("retry-after"),
    )


def _said(body: bytes, headers: Mapping[str, str]) -> str:
    """Return what a refusing server said, made safe to print: short, one line, no key in it."""
    text = _line(body[:2000].decode("utf-8", "replace"))
    for value in headers.values():
        for secret in {value, value.rpartition(" ")[2]}:
            if len(secret) > 7:
                text = text.replace(secret, "***")
    if text.startswith("{"):
        with contextlib.suppress(ValueError):
            text = str(json.loads(text).get("error", text))
    return f" ({text[:200]})" if text and not text.startswith("<") else ""


def _line(text: str) -> str:
    return " ".join(re.sub(r"[^\x20-\x7e\xa0-\U0010ffff]", " ", text).split())[:500]


def _without_query(url: str) -> str:
    return url.partition("?")[0]


def _as_bytes(payload: Union[str, bytes]) -> bytes:
    # What was received is bytes; the annotations of websocket-client allow what is sent as well.
    return payload.encode() if isinstance(payload, str) else payload


def _closed(payload: bytes) -> Closed:
    if len(payload) < 2:
        return Closed(None, "")
    (code,) = struct.unpack("!H", payload[:2])
    return Closed(code, payload[2:].decode("utf-8", "replace"))
