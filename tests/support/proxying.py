"""Proxies that connect every name to one server, and a port to which connecting hangs."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Optional

from support.serving import read_request


class Proxy:
    """What a proxy was asked for, and where it connects to.

    Args:
        leads_to: The port of the server behind it, whatever name was asked for.
        answer: Sent instead of connecting.
    """

    def __init__(self, leads_to: int = 0, answer: Optional[bytes] = None) -> None:
        self.leads_to = leads_to
        self.answer = answer
        self.requests: list[str] = []
        self.logins: list[tuple[str, str]] = []
        self.port = 0
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def serve(self, client: socket.socket) -> None:
        first = client.recv(1, socket.MSG_PEEK)
        if first == b"\x05":
            self._socks(client)
        elif first:
            request = read_request(client)
            self.requests.append(request.decode())
            if self.answer is not None:
                client.sendall(self.answer)
            else:
                self._connect(client, b"HTTP/1.1 200 Connected\r\nVia: test\r\n\r\n")

    def _socks(self, client: socket.socket) -> None:
        """RFC 1928 and 1929, as far as it is asked for."""
        methods = client.recv(2 + 255)[2:]
        if b"\x02" in methods:
            client.sendall(b"\x05\x02")
            login = client.recv(1 + 2 * 256)
            user, rest = login[2 : 2 + login[1]], login[2 + login[1] :]
            self.logins.append((user.decode(), rest[1 : 1 + rest[0]].decode()))
            if self.answer is not None:
                client.sendall(self.answer)
                return
            client.sendall(b"\x01\x00")
        else:
            client.sendall(b"\x05\x00")
        request = client.recv(512)
        if request[3] == 3:
            host = request[5 : 5 + request[4]].decode()
        else:
            host = socket.inet_ntoa(request[4:8])
        (port,) = struct.unpack("!H", request[-2:])
        self.requests.append(f"{host}:{port}")
        self._connect(client, b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")

    def _connect(self, client: socket.socket, welcome: bytes) -> None:
        with socket.create_connection(("127.0.0.1", self.leads_to)) as server:
            self._sockets.append(server)
            client.sendall(welcome)
            back = threading.Thread(target=_pump, args=(server, client))
            back.start()
            _pump(client, server)
            back.join()

    def run(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            thread = threading.Thread(target=self._take, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _take(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            self.serve(client)

    def stop(self) -> None:
        for held in self._sockets:
            with contextlib.suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            carried = source.recv(65536)
            if not carried:
                break
            sink.sendall(carried)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def proxying(leads_to: str = "", answer: Optional[bytes] = None) -> Iterator[Proxy]:
    """Run a proxy that connects to the server of a URL, or gives every client the same answer."""
    port = re.search(r":(\d+)/", leads_to)
    proxy = Proxy(int(port[1]) if port else 0, answer)
    listener = socket.create_server(("127.0.0.1", 0))
    proxy.port = listener.getsockname()[1]
    thread = threading.Thread(target=proxy.run, args=(listener,))
    thread.start()
    try:
        yield proxy
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        proxy.stop()


@contextlib.contextmanager
def full_port() -> Iterator[int]:
    """A port whose queue is full: connecting to it hangs."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        while True:
            waiting = held.enter_context(socket.socket())
            waiting.settimeout(0.3)
            try:
                waiting.connect(listener.getsockname())
            except socket.timeout:
                break
        yield listener.getsockname()[1]
