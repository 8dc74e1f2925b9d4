"""The proxy of the fault matrix and the soak does what it is told to a connection, and no more."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any, Callable, Optional
from urllib.parse import urlsplit

import pytest
from support.fault_proxying import (
    DOWN,
    HARMLESS,
    UP,
    Fault,
    FaultProxy,
    Frame,
    after_bytes,
    after_frames,
    at_message,
)
from support.serving import PATIENCE, Behaviour, Peer, listening, serving
from support.sessions import shake_hands
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    InvalidMessage,
    InvalidStatus,
)
from websockets.sync.client import ClientConnection, connect


def echo(peer: Peer) -> None:
    while True:
        peer.connection.send(peer.connection.recv())


@contextlib.contextmanager
def behind_proxy(
    behave: Behaviour, choose: Callable[[str], Optional[Fault]], **options: Any
) -> Iterator[FaultProxy]:
    """A proxy before a server of the test's own."""
    with serving(behave, **options) as url, FaultProxy(url, choose) as proxy:
        yield proxy


@contextlib.contextmanager
def proxied(fault: Optional[Fault] = None) -> Iterator[tuple[FaultProxy, Callable[[], Any]]]:
    """A proxy before a server that echoes, and a way to connect to it."""

    def client(**options: Any) -> ClientConnection:
        return connect(
            proxy.url, compression=None, proxy=None, close_timeout=1, max_size=None, **options
        )

    with behind_proxy(echo, lambda target: fault, max_size=None) as proxy:
        yield proxy, client


def echoed(connection: ClientConnection, message: Any) -> Any:
    connection.send(message)
    return connection.recv(timeout=PATIENCE)


@pytest.mark.parametrize("kind", [None, *sorted(HARMLESS)])
def test_what_passes_is_what_was_sent(kind: Optional[str]) -> None:
    messages = ["{}", bytes(range(256)) * 1000, "x" * 200, json.dumps({"message": "é" * 70000})]
    fault = None if kind is None else Fault(kind, after_frames(UP, 2), seconds=0.05)
    with proxied(fault) as (proxy, client), client() as connection:
        assert [echoed(connection, message) for message in messages] == messages
    assert proxy.happened == ({} if kind is None else {kind: 1})


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_many_connections_pass_through_one_thread() -> None:
    def talk() -> None:
        with client() as connection:
            for size in range(0, 200_000, 20_000):
                assert echoed(connection, b"a" * size) == b"a" * size
            done.append(True)

    done: list[bool] = []
    with proxied() as (proxy, client):
        assert names().count("fault-proxy") == 1
        threads = [threading.Thread(target=talk) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert len(done) == 30
        assert proxy.connections == 30
    assert "fault-proxy" not in names()


def test_a_slow_reader_holds_the_sender_back() -> None:
    """Nothing piles up in the proxy: TCP holds back the sender."""
    let_go = threading.Event()

    def behave(connection: socket.socket) -> None:
        shake_hands(connection)
        let_go.wait(PATIENCE)

    with listening(behave) as port, FaultProxy(f"ws://127.0.0.1:{port}/v2") as proxy:
        with shaken(proxy) as client:
            client.settimeout(0.3)
            with pytest.raises(socket.timeout):
                client.sendall(bytes(64 << 20))
        let_go.set()


FIRST_IS_LOST: list[tuple[Fault, int]] = [
    (Fault("fin", after_frames(UP, 2)), 1006),
    (Fault("reset", after_frames(UP, 2)), 1006),
    (Fault("cut", after_frames(UP, 2), passes=True), 1006),
    (Fault("close", after_frames(UP, 2), code=1013), 1013),
]


@pytest.mark.parametrize(("fault", "code"), FIRST_IS_LOST, ids=lambda value: str(value)[:20])
def test_a_connection_is_lost_at_the_frame_that_was_named(fault: Fault, code: int) -> None:
    with proxied(fault) as (proxy, client), client() as connection:
        assert echoed(connection, "one") == "one"
        connection.send("two")
        with pytest.raises(ConnectionClosedError) as lost:
            connection.recv(timeout=PATIENCE)
    assert (lost.value.rcvd.code if lost.value.rcvd else 1006) == code
    assert proxy.happened == {fault.kind: 1}


@pytest.mark.parametrize("kind", ["reset", "fin", "close", "cut"])
def test_the_server_loses_the_connection_too(kind: str) -> None:
    gone = threading.Event()

    def behave(peer: Peer) -> None:
        with contextlib.suppress(ConnectionClosed):
            echo(peer)
        gone.set()

    proxied_server = behind_proxy(behave, lambda target: Fault(kind))
    with proxied_server as proxy, connect(proxy.url, proxy=None) as connection:
        connection.send("one")
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=PATIENCE)
        assert gone.wait(PATIENCE)


@contextlib.contextmanager
def shaken(proxy: FaultProxy) -> Iterator[socket.socket]:
    """A plain socket that has shaken hands through the proxy."""
    address = urlsplit(proxy.url)
    with socket.create_connection((address.hostname, address.port or 0)) as client:
        client.settimeout(PATIENCE)
        client.sendall(
            b"GET /v2 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += client.recv(1)
        yield client


def text_frame(text: bytes) -> bytes:
    """A client's frame, masked with zeros."""
    return b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text


@pytest.mark.parametrize(
    ("fault", "received"),
    [
        (Fault("cut", after_frames(DOWN, 2)), b"\x81\x05hello\x81\x05w"),
        (Fault("cut", after_frames(UP, 1)), b"\x81\x05h"),
        (Fault("fin", after_frames(DOWN, 2)), b"\x81\x05hello"),
        (Fault("fin", after_frames(DOWN, 2), passes=True), b"\x81\x05hello\x81\x05world"),
        (Fault("close", after_frames(DOWN, 2), code=1012), b"\x81\x05hello\x88\x02\x03\xf4"),
    ],
    ids=["cut", "cut, by the client's frame", "fin before a frame", "fin after it", "close"],
)
def test_exactly_what_passed_before_the_loss_is_received(fault: Fault, received: bytes) -> None:
    with proxied(fault) as (proxy, _), shaken(proxy) as client:
        client.sendall(text_frame(b"hello") + text_frame(b"world"))
        got = b""
        while piece := client.recv(4096):
            got += piece
    assert got == received


def test_in_silence_neither_side_hears_anything_and_the_socket_stays() -> None:
    heard: list[Any] = []

    def behave(peer: Peer) -> None:
        while True:
            heard.append(peer.connection.recv())
            peer.connection.send("heard")

    proxied_server = behind_proxy(behave, lambda target: Fault("silence", after_frames(UP, 2)))
    with proxied_server as proxy, connect(proxy.url, proxy=None, close_timeout=0.1) as connection:
        assert echoed(connection, "one") == "heard"
        connection.send("two")
        pong = connection.ping()
        with pytest.raises(TimeoutError):
            connection.recv(timeout=0.2)
        assert not pong.is_set()
    assert heard == ["one"]


def test_a_mute_connection_still_answers_pings() -> None:
    with proxied(Fault("mute", after_frames(UP, 2))) as (_, client), client() as connection:
        assert echoed(connection, "one") == "one"
        connection.send("two")
        assert connection.ping().wait(PATIENCE)
        with pytest.raises(TimeoutError):
            connection.recv(timeout=0.1)


def test_withheld_messages_do_not_get_through() -> None:
    fault = Fault("fin", after_frames(UP, 1000), withheld=frozenset({"Lost"}))
    with proxied(fault) as (_, client), client() as connection:
        connection.send('{"message": "Lost"}')
        assert echoed(connection, '{"message": "Found"}') == '{"message": "Found"}'


def test_a_handshake_is_refused() -> None:
    with proxied(Fault("busy")) as (proxy, client), pytest.raises(InvalidStatus, match="503"):
        client()
    assert proxy.happened == {"busy": 1}
    with proxied(Fault("refuse")) as (proxy, client), pytest.raises(InvalidMessage):
        client()
    assert proxy.happened == {"refuse": 1}


def test_the_target_of_the_handshake_chooses_the_fault() -> None:
    targets = []

    def choose(target: str) -> Optional[Fault]:
        targets.append(target)
        return Fault("busy") if "unlucky" in target else None

    with behind_proxy(echo, choose) as proxy:
        with connect(f"{proxy.url}?key=lucky", proxy=None) as connection:
            assert echoed(connection, "one") == "one"
        with pytest.raises(InvalidStatus):
            connect(f"{proxy.url}?key=unlucky", proxy=None)
    assert targets == ["/v2?key=lucky", "/v2?key=unlucky"]


def test_what_a_condition_raises_comes_out_of_the_proxy() -> None:
    def broken(frame: Frame) -> bool:
        raise RuntimeError("a condition of the test's")

    with serving(echo) as url:
        proxy = FaultProxy(url, lambda target: Fault("fin", broken))
        proxy.start()
        with connect(proxy.url, proxy=None) as connection:
            connection.send("one")
            with pytest.raises(ConnectionClosed):
                connection.recv(timeout=PATIENCE)
            with pytest.raises(RuntimeError, match="of the test's"):
                proxy.stop()


def test_conditions_count_what_they_name() -> None:
    """Of a client's frames and a server's, by number, by bytes and by message."""
    seen: dict[str, list[tuple[str, int]]] = {"frames": [], "bytes": [], "message": []}
    frames, size = after_frames(DOWN, 3), after_bytes(UP, 60)
    second = at_message("Two", nth=2)

    def look(frame: Frame) -> bool:
        if frame.opcode < 8:
            for name, condition in (("frames", frames), ("bytes", size), ("message", second)):
                if condition(frame):
                    seen[name].append((frame.direction, frame.number))
        return False

    with proxied(Fault("fin", look)) as (_, client), client() as connection:
        for name in ("One", "Two", "Three"):  # 22, 22 and 24 bytes, masks included 27, 27, 29
            echoed(connection, json.dumps({"message": name}))
    assert seen["frames"] == [(DOWN, 3)]
    assert seen["bytes"] == [(UP, 3)]
    assert seen["message"][0] == (DOWN, 2)


def test_a_kind_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="flood"):
        Fault("flood")
