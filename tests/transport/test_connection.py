"""One WebSocket connection: what a peer may send, a full network, and ending from any thread."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
import tracemalloc
from typing import Any, Union

import pytest
from support.serving import PATIENCE
from support.sessions import (
    InThread,
    receive_frame,
    wait_for,
)
from support.transport.connections import (
    BINARY,
    CLOSE,
    CONTINUES,
    INFO,
    MEGABYTE,
    PING,
    PONG,
    closing,
    connected,
    exactly,
    fast_frame,
    frame,
    until_closed,
)

from speechmatics_sync._transport.connection import HIGH_WATER, Closed, Connection


def fill(connection: Connection) -> None:
    """Send until the network takes no more."""
    while connection.backlog < HIGH_WATER:
        connection.send(b"x" * 65536)
        connection.flush()


def test_whatever_the_network_takes_at_a_time_every_byte_arrives_in_order() -> None:
    sent = [os.urandom(size) for size in (0, 1, 125, 126, 65535, 65536, 32 * MEGABYTE, 1, 70000)]
    arrived: list[bytes] = []

    def behave(peer: socket.socket) -> None:
        while len(arrived) < len(sent):
            arrived.append(whole_frame(peer))
        peer.sendall(closing(1000))

    with connected(behave) as connection:
        for payload in sent:
            connection.send(payload)
        connection.flush()
        assert connection.backlog > 0
        until_closed(connection)
        assert arrived == sent


def whole_frame(peer: socket.socket) -> bytes:
    with peer.makefile("rb", buffering=0) as plain:
        head = exactly(plain, 2)
        size = head[1] & 0x7F
        if size >= 126:
            kind = "!H" if size == 126 else "!Q"
            (size,) = struct.unpack(kind, exactly(plain, struct.calcsize(kind)))
        mask, payload = exactly(plain, 4), exactly(plain, size)
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")


def test_sending_never_blocks_and_what_waits_is_known() -> None:
    with connected() as connection:
        InThread(fill, connection).result()
        before = connection.backlog
        connection.send(b"y" * 1000)
        assert connection.backlog > before + 1000
        connection.flush()
        connection.ping()


def test_full_network_does_not_keep_the_receiver_awake() -> None:
    with connected() as connection:
        fill(connection)
        begun, rounds = time.monotonic(), 0
        while time.monotonic() - begun < 0.5:
            connection.wait(0.1)
            assert connection.receive() == []
            rounds += 1
        # Growing buffers cause a few more than five; a receiver that spins causes thousands.
        assert rounds < 100


def test_network_that_takes_more_ends_the_wait() -> None:
    read = threading.Event()

    def behave(peer: socket.socket) -> None:
        wait_for(read)
        while peer.recv(65536):
            pass

    with connected(behave) as connection:
        fill(connection)
        read.set()
        while connection.backlog:
            connection.wait(PATIENCE)
            connection.receive()


@pytest.mark.parametrize("read", [True, False])
def test_what_cannot_be_sent_at_once_wakes_the_receiver(read: bool) -> None:
    """The receiver waits for reads only, and must start to wait for the network."""
    with connected() as connection:
        woken = InThread(connection.wait, None, read=read)
        while not connection._write_unwatched:
            time.sleep(0.001)  # polls: no event tells of this state
        connection.send(b"x" * (32 * MEGABYTE))
        connection.flush()
        woken.result()


def test_room_that_is_made_wakes_the_receiver() -> None:
    """Audio that was held back above HIGH_WATER may wait for nothing else."""
    with connected() as connection:
        connection.send(b"x" * HIGH_WATER)
        connection.flush()
        assert connection.backlog == 0
        InThread(connection.wait, None).result()


def test_each_wake_ends_one_wait() -> None:
    with connected() as connection:
        for _ in range(3):
            connection.wake()
            connection.wake()
            connection.wait(None)
            begun = time.monotonic()
            connection.wait(0.05)
            assert time.monotonic() - begun > 0.04, "a wake was left over"


def test_bytes_that_arrive_do_not_end_a_wait_that_does_not_read() -> None:
    arrived = threading.Event()

    def behave(peer: socket.socket) -> None:
        peer.sendall(frame(INFO))
        arrived.set()

    with connected(behave) as connection:
        wait_for(arrived)
        begun = time.monotonic()
        connection.wait(0.1, read=False)
        assert time.monotonic() - begun > 0.09
        connection.wait(PATIENCE)
        assert connection.receive() == [INFO]


def test_more_than_is_read_in_a_row_is_not_forgotten() -> None:
    count = 60
    big = frame(b"x" * MEGABYTE, BINARY)
    with connected(lambda peer: peer.sendall(big * count + closing(1000))) as connection:
        received = until_closed(connection)
    assert len(received) == count + 1
    assert received[-1] == Closed(1000, "")


def test_many_frames_cost_few_reads() -> None:
    """Each read releases the GIL."""
    count = 1000

    class Counting:
        def __init__(self, counted: socket.socket) -> None:
            self.counted = counted
            self.reads = 0

        def recv(self, size: int) -> bytes:
            self.reads += 1
            return self.counted.recv(size)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.counted, name)

    go = threading.Event()

    def behave(peer: socket.socket) -> None:
        wait_for(go)
        peer.sendall(frame(INFO) * count + closing(1000))

    with connected(behave) as connection:
        plain = connection._socket
        assert plain is not None
        counting = Counting(plain)
        connection._socket = counting  # type: ignore[assignment]
        go.set()
        assert len(until_closed(connection)) == count + 1
        connection._socket = plain
    assert counting.reads < count / 10


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_frames_that_come_in_pieces_are_put_together(size: int) -> None:
    plain = frame(b"a" * 200) + frame(b"b", fin=False) + frame(b"", PING) + frame(b"c", CONTINUES)
    plain += frame(b"", BINARY) + closing(4000, b"done")

    def behave(peer: socket.socket) -> None:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(plain), size):
            peer.sendall(plain[at : at + size])

    with connected(behave) as connection:
        assert until_closed(connection) == [b"a" * 200, b"bc", b"", Closed(4000, "done")]


def test_fragments_cost_no_more_than_what_they_hold() -> None:
    """Each byte a fragment of its own, and as many with nothing in them."""
    count = 60_000
    plain = frame(b"x", fin=False) + frame(b"x", CONTINUES, fin=False) * count
    plain += frame(b"", CONTINUES, fin=False) * count + frame(b"x", CONTINUES) + closing(1000)
    with connected(lambda peer: peer.sendall(plain)) as connection:
        tracemalloc.start()
        try:
            received = until_closed(connection)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert received == [b"x" * (count + 2), Closed(1000, "")]
    assert peak < 2 * MEGABYTE


def test_flood_of_pings_does_not_grow_memory() -> None:
    flood = frame(b"p" * 125, PING) * 200_000

    def behave(peer: socket.socket) -> None:
        peer.sendall(flood + frame(b"last", PING) + closing(1000))

    with connected(behave) as connection:
        fill(connection)
        received: list[Union[bytes, Closed]] = []
        while not received:
            connection.wait(PATIENCE)
            received = connection.receive()
            assert connection.backlog < 4 * HIGH_WATER


def test_latest_ping_is_answered_once_there_is_room() -> None:
    answered: list[bytes] = []
    pinged = threading.Event()

    def behave(peer: socket.socket) -> None:
        wait_for(pinged)
        peer.sendall(frame(b"a", PING) + frame(b"b", PING) + frame(INFO))
        with contextlib.suppress(ConnectionResetError):
            while b"b" not in answered:
                opcode, payload = fast_frame(peer)
                if opcode == PONG:
                    answered.append(payload)
        peer.sendall(closing(1000))

    with connected(behave) as connection:
        fill(connection)
        connection.send(bytes(16 * MEGABYTE))  # more than a network finds room for by itself
        pinged.set()
        until_closed(connection)
    assert answered[-1] == b"b"


def test_latest_ping_is_answered_though_more_is_always_waiting() -> None:
    count, size = 12, 4 * MEGABYTE
    opcodes: list[int] = []
    pinged = threading.Event()

    def behave(peer: socket.socket) -> None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        small.set()
        wait_for(pinged)
        peer.sendall(frame(b"a", PING) + frame(INFO))
        wait_for(answering)
        while opcodes.count(BINARY) < count:
            opcodes.append(fast_frame(peer)[0])
        peer.sendall(closing(1000))

    answering, small = threading.Event(), threading.Event()
    with connected(behave) as connection:
        wait_for(small)
        assert connection._socket is not None
        # The network takes little at a time, so that the backlog is never seen empty.
        connection._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        connection.send(b"x" * size)
        connection.flush()
        pinged.set()
        while connection.receive() != [INFO]:
            connection.wait(PATIENCE)
        assert connection.backlog > HIGH_WATER
        answering.set()
        sent = 1
        while connection.backlog or sent < count:
            if connection.backlog < 2 * size and sent < count:
                connection.send(b"x" * size)
                sent += 1
            connection.flush()
            connection.wait(PATIENCE)
            connection.receive()
    assert opcodes.index(PONG) <= 4


def test_any_byte_counts_as_a_sign_of_life() -> None:
    go = threading.Event()

    def behave(peer: socket.socket) -> None:
        wait_for(go)
        peer.sendall(frame(INFO)[:1])

    with connected(behave) as connection:
        before = connection.last_heard
        go.set()
        while connection.last_heard == before:
            connection.wait(PATIENCE)
            assert connection.receive() == []


def test_close_frame_is_sent_once_and_nothing_after_it() -> None:
    frames: list[tuple[int, bytes]] = []

    def behave(peer: socket.socket) -> None:
        with contextlib.suppress(ConnectionResetError):
            while True:
                frames.append(receive_frame(peer))
                if frames[-1][0] == CLOSE:
                    peer.sendall(closing(1000))

    with connected(behave) as connection:
        connection.start_closing()
        connection.start_closing()
        connection.send("too late")
        connection.ping()
        until_closed(connection)
        connection.abort()
    assert frames == [(CLOSE, struct.pack("!H", 1000))]
