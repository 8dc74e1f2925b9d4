"""When `close` returns, whatever the session was doing, nothing of it is left."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable, NamedTuple, Optional

import pytest
from support.key_platform import busy, read_order
from support.proxying import full_port
from support.serving import PATIENCE, final, listening
from support.sessions import (
    END_OF_TRANSCRIPT,
    RAW,
    Blocking,
    InThread,
    client_of,
    let_sources_go,
    receive_frame,
    send_frame,
    shake_hands,
    speech,
    start_below,
)

from speechmatics_sync import AudioFormat, Client, JWTAuth, SpeechmaticsError

__all__ = ["let_sources_go"]

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux")

KEY = "sk-the-api-key-0123456789"
NOWHERE = "ws://localhost:1"


class Scene(NamedTuple):
    """A session in the middle of something."""

    client: Client
    call: Callable[[Client], Any]
    reached: Optional[Callable[[], bool]] = None
    """Whether the session has come to where it is to be closed; None: once it has a socket."""
    in_users_code: str = ""
    """The role of the thread that is in a read or a handler of the user's, and may stay there."""


def start(client: Client) -> Any:
    return client.start_session(audio_format=RAW)


def speaking(*messages: Any, acknowledge: bool = True) -> Callable[[socket.socket], None]:
    """A server that starts a session, sends messages, and ends it in good order.

    Below the WebSocket: a library's server opens sockets of its own for each connection.
    """

    def behave(connection: socket.socket) -> None:
        start_below(connection)
        for message in messages:
            send_frame(connection, message)
        chunks = 0
        while True:
            opcode, payload = receive_frame(connection)
            if opcode == 2 and acknowledge:
                chunks += 1
                send_frame(connection, {"message": "AudioAdded", "seq_no": chunks})
            elif opcode == 1:
                send_frame(connection, END_OF_TRANSCRIPT)
            elif opcode == 8:
                send_frame(connection, payload, opcode)
                return

    return behave


class Silent:
    """Reads, and says nothing."""

    def __init__(self) -> None:
        self.heard = threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        while connection.recv(4096):
            self.heard.set()


# -- scenes -------------------------------------------------------------------------------------


@contextlib.contextmanager
def connecting() -> Iterator[Scene]:
    with full_port() as port:
        yield Scene(limited(f"ws://127.0.0.1:{port}"), start)


@contextlib.contextmanager
def shaking_hands(scheme: str = "ws") -> Iterator[Scene]:
    server = Silent()
    with listening(server) as port:
        yield Scene(limited(f"{scheme}://localhost:{port}"), start, server.heard.is_set)


@contextlib.contextmanager
def at_a_proxy(scheme: str) -> Iterator[Scene]:
    pytest.importorskip("python_socks")
    proxy = Silent()
    with listening(proxy) as port:
        client = limited("wss://speech.example/v2", proxy=f"{scheme}://127.0.0.1:{port}")
        yield Scene(client, start, proxy.heard.is_set)


@contextlib.contextmanager
def connecting_to_a_socks_proxy() -> Iterator[Scene]:
    pytest.importorskip("python_socks")
    with full_port() as port:
        client = limited("wss://speech.example/v2", proxy=f"socks5h://127.0.0.1:{port}")
        yield Scene(client, start)


@contextlib.contextmanager
def fetching_a_key(scheme: str = "http") -> Iterator[Scene]:
    platform = Silent()
    with listening(platform) as port:
        client = Client(JWTAuth(KEY, mp_url=f"{scheme}://127.0.0.1:{port}"), url=NOWHERE)
        yield Scene(client, start, platform.heard.is_set)


@contextlib.contextmanager
def connecting_to_fetch_a_key() -> Iterator[Scene]:
    with full_port() as port:
        client = Client(JWTAuth(KEY, mp_url=f"http://127.0.0.1:{port}"), url=NOWHERE)
        yield Scene(client, start)


@contextlib.contextmanager
def out_of_time_for_a_key() -> Iterator[Scene]:
    def call(client: Client) -> None:
        try:
            client.transcribe(speech(0.1), audio_format=RAW, timeout=0.3)
        finally:
            raised.set()

    raised = threading.Event()
    with listening(Silent()) as port:
        client = Client(JWTAuth(KEY, mp_url=f"http://127.0.0.1:{port}"), url=NOWHERE)
        yield Scene(client, call, raised.is_set)


@contextlib.contextmanager
def between_two_attempts_to_fetch_a_key() -> Iterator[Scene]:
    def refuse(connection: socket.socket) -> None:
        read_order(connection)
        connection.sendall(busy(retry_after=20))

    class Waits(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "Trying again" in record.getMessage():
                waits.set()

    waits, handler = threading.Event(), Waits()
    logging.getLogger("speechmatics_sync").addHandler(handler)
    try:
        with listening(refuse) as port:
            client = Client(JWTAuth(KEY, mp_url=f"http://127.0.0.1:{port}"), url=NOWHERE)
            yield Scene(client, start, waits.is_set)
    finally:
        logging.getLogger("speechmatics_sync").removeHandler(handler)


@contextlib.contextmanager
def waiting_for_anothers_key() -> Iterator[Scene]:
    class Watched(JWTAuth):
        def _wait_for(self, *args: Any) -> None:
            waits.set()
            super()._wait_for(*args)

    platform, waits = Silent(), threading.Event()
    with listening(platform) as port:
        auth = Watched(KEY, mp_url=f"http://127.0.0.1:{port}")
        other = Client(auth, url=NOWHERE)
        fetching = InThread(start, other)
        assert platform.heard.wait(PATIENCE)
        yield Scene(Client(auth, url=NOWHERE), start, waits.is_set)
        assert fetching.running
        other.close()
        with pytest.raises(SpeechmaticsError):
            fetching.result()


@contextlib.contextmanager
def starting() -> Iterator[Scene]:
    reached, gone = threading.Event(), threading.Event()

    def behave(connection: socket.socket) -> None:
        shake_hands(connection)
        reached.set()
        gone.wait(PATIENCE)

    with listening(behave) as port:
        yield Scene(limited(f"ws://localhost:{port}", close_timeout=0.3), start, reached.is_set)
        gone.set()


@contextlib.contextmanager
def running() -> Iterator[Scene]:
    with listening(speaking()) as port:
        client = limited(f"ws://localhost:{port}")
        yield Scene(client, start, lambda: client.stats.messages_received > 0)


@contextlib.contextmanager
def window_full() -> Iterator[Scene]:
    def call(client: Client) -> None:
        client.transcribe(speech(10), audio_format=RAW)

    with listening(speaking(acknowledge=False)) as port:
        client = limited(f"ws://localhost:{port}", max_unacked_chunks=1)
        yield Scene(client, call, lambda: client.stats.chunks_sent > 0)


@contextlib.contextmanager
def network_full() -> Iterator[Scene]:
    gone = threading.Event()

    def behave(connection: socket.socket) -> None:
        start_below(connection)
        gone.wait(PATIENCE)

    def call(client: Client) -> None:
        client.transcribe(bytes(64 << 20), audio_format=AudioFormat(chunk_size=1 << 20))

    with listening(behave) as port:
        client = limited(f"ws://localhost:{port}", close_timeout=0.3)
        yield Scene(client, call, lambda: client.stats.bytes_waiting >= 1 << 16)
        gone.set()


@contextlib.contextmanager
def handler_blocked() -> Iterator[Scene]:
    def handle(message: Any) -> None:
        handling.set()
        go_on.wait(PATIENCE)

    handling, go_on = threading.Event(), threading.Event()
    with listening(speaking(final("word"))) as port:
        client = limited(f"ws://localhost:{port}")
        client.on("AddTranscript", handle)
        yield Scene(client, start, handling.is_set, in_users_code="dispatcher")
        go_on.set()


@contextlib.contextmanager
def source_blocked() -> Iterator[Scene]:
    def call(client: Client) -> None:
        client.transcribe(source, audio_format=RAW)

    source = Blocking(speech(0.1))
    with listening(speaking()) as port:
        client = limited(f"ws://localhost:{port}")
        yield Scene(client, call, source.blocked.is_set, in_users_code="sender")
        source.released.set()


@contextlib.contextmanager
def ended() -> Iterator[Scene]:
    def call(client: Client) -> None:
        client.transcribe(speech(0.1), audio_format=RAW)
        done.set()

    done = threading.Event()
    with listening(speaking()) as port:
        yield Scene(limited(f"ws://localhost:{port}"), call, done.is_set)


SCENES: dict[str, Callable[[], Any]] = {
    "connecting": connecting,
    "shaking hands": shaking_hands,
    "shaking hands in TLS": lambda: shaking_hands("wss"),
    "at an HTTP proxy": lambda: at_a_proxy("http"),
    "at a SOCKS5 proxy": lambda: at_a_proxy("socks5h"),
    "at a SOCKS4 proxy": lambda: at_a_proxy("socks4a"),
    "connecting to a SOCKS proxy": connecting_to_a_socks_proxy,
    "fetching a key": fetching_a_key,
    "fetching a key, shaking hands in TLS": lambda: fetching_a_key("https"),
    "connecting to fetch a key": connecting_to_fetch_a_key,
    "out of time for a key": out_of_time_for_a_key,
    "between two attempts to fetch a key": between_two_attempts_to_fetch_a_key,
    "waiting for another's key": waiting_for_anothers_key,
    "starting": starting,
    "running": running,
    "window full": window_full,
    "network full": network_full,
    "handler blocked": handler_blocked,
    "source blocked": source_blocked,
    "ended": ended,
}


def limited(url: str, **limits: float) -> Client:
    """A client with limits that do not end anything before the test is given up."""
    return client_of(url, **{"open_timeout": 2 * PATIENCE, "close_timeout": PATIENCE, **limits})


@pytest.mark.parametrize("scene", SCENES)
def test_after_close_nothing_of_the_session_is_left_at_once(scene: str) -> None:
    """Without the patience of the fixture that looks for leaks: when close() returns."""
    with SCENES[scene]() as (client, call, reached, in_users_code):
        threads, sockets = threads_of_sessions(), sockets_of_clients()
        calling = InThread(call, client)
        deadline = time.monotonic() + PATIENCE
        while not (reached() if reached else sockets_of_clients() - sockets):
            assert time.monotonic() < deadline, "the session does not get there"
            time.sleep(0.001)  # the pace of the poll; what ends the wait is the state itself
        client.close()
        threads, sockets = threads_of_sessions() - threads, sockets_of_clients() - sockets
        with contextlib.suppress(SpeechmaticsError):
            calling.result()
    assert {name for name in threads if name.rpartition("-")[2] != in_users_code} == set()
    assert sockets == set()


def threads_of_sessions() -> set[str]:
    return {thread.name for thread in threading.enumerate() if "speechmatics-" in thread.name}


def sockets_of_clients() -> set[str]:
    """The sockets of this process, except those that listen and those that were accepted."""
    found: dict[str, int] = {}
    served = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            name = os.readlink(f"/proc/self/fd/{number}")
            if not name.startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(number))) as known:
                port = known.getsockname()[1] if known.family == socket.AF_INET else 0
                found[name] = port
                if port and known.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    served.add(port)
    return {name for name, port in found.items() if port not in served}
