"""One WebSocket connection: what a peer may send, a full network, and ending from any thread."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any, Callable, Optional, Union

import pytest
from support.proxying import full_port
from support.serving import PATIENCE, final, listening
from support.sessions import (
    END_OF_TRANSCRIPT,
    RAW,
    Blocking,
    InThread,
    client_of,
    receive_frame,
    send_frame,
    shake_hands,
    speech,
    start_below,
    wait_for,
)

from speechmatics_sync import (
    ConnectionConfig,
    ConnectionError,
    SpeechmaticsError,
    TranscriptionError,
    TransportError,
)
from speechmatics_sync._model.secret import Secret
from speechmatics_sync._transport.connection import HIGH_WATER, Closed, Connection

TEXT, BINARY, CONTINUES, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
MEGABYTE = 1024 * 1024
INFO = json.dumps({"message": "Info", "type": "x"}).encode()


def frame(
    payload: bytes = b"",
    opcode: int = TEXT,
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: Optional[bytes] = None,
    length: Optional[int] = None,
) -> bytes:
    """A server's frame, valid or not; ``length`` may be wrong."""
    size = len(payload) if length is None else length
    masked = 0x80 if mask else 0
    head = bytes([fin << 7 | rsv << 4 | opcode])
    if size < 126:
        head += bytes([masked | size])
    elif size < 65536:
        head += struct.pack("!BH", masked | 126, size)
    else:
        head += struct.pack("!BQ", masked | 127, size)
    return head + (mask or b"") + payload


def closing(code: int, reason: bytes = b"") -> bytes:
    return frame(struct.pack("!H", code) + reason, CLOSE)


def drain(connection: socket.socket) -> None:
    """Read until the client has gone."""
    while connection.recv(65536):
        pass


def reset(connection: socket.socket) -> None:
    """End the connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


# -- what a client makes of what the server sends ------------------------------------------------


def saying(*sent: bytes) -> Callable[[socket.socket], None]:
    """Start the session, send these bytes, and wait for the client to disconnect."""

    def behave(connection: socket.socket) -> None:
        start_below(connection)
        for some in sent:
            connection.sendall(some)
        drain(connection)

    return behave


def ending(behave: Callable[[socket.socket], None], **limits: Any) -> SpeechmaticsError:
    """Return the error that ends a session whose source blocks, after its final arrived."""
    source = Blocking()
    with listening(behave) as port:
        client = client_of(f"ws://localhost:{port}/v2", close_timeout=0.05, **limits)
        with client, pytest.raises(SpeechmaticsError) as raised:
            client.transcribe(source, audio_format=RAW)
        source.released.set()
    return raised.value


@pytest.mark.parametrize(
    "broken",
    [
        frame(INFO, mask=b"\0\0\0\0"),
        frame(INFO, rsv=4),
        frame(INFO, rsv=2),
        frame(INFO, rsv=1),
        frame(INFO, 3),
        frame(INFO, 11),
        frame(INFO, CONTINUES),
        frame(INFO, fin=False) + frame(INFO),
        frame(b"", PING, fin=False),
        frame(b"", PONG, fin=False),
        frame(b"\x03\xe8", CLOSE, fin=False),
        frame(b"x" * 126, PING),
        frame(b"x" * 126, PONG),
        frame(b"", PING, length=2**62),
        frame(b"", 11, length=2**62),
        frame(b"x", CLOSE),
        closing(999),
        closing(1005),
        closing(5000),
        frame(b"\xff\xfe{}"),
        frame(b'{"message": "Info", "x": "\xed\xa0\x80"}'),
        frame(b'{"message": "Info", "x": "\xc3', fin=False) + frame(b'"}', CONTINUES),
    ],
)
def test_broken_frame_is_a_transport_error_and_loses_nothing_before_it(broken: bytes) -> None:
    kept = frame(json.dumps(final("hello")).encode())
    error = ending(saying(kept + broken))
    assert isinstance(error, TransportError)
    assert error.transcript is not None
    assert error.transcript.text == "hello"


@pytest.mark.parametrize(
    "sent",
    [
        (frame(b"{", length=2**63),),
        (frame(b"{", length=2**64 - 1),),
        (frame(b"{", length=1001),),
        (frame(b"x" * 600, fin=False), frame(b"x" * 600, CONTINUES, fin=False)),
        (frame(b"x" * 600, fin=False), frame(b"", CONTINUES, length=401)),
        tuple(frame(b"x", TEXT if at == 0 else CONTINUES, fin=False) for at in range(1002)),
    ],
)
def test_message_over_max_size_is_refused_by_its_length(sent: tuple[bytes, ...]) -> None:
    error = ending(saying(*sent), max_size=1000)
    assert isinstance(error, TransportError)
    assert "max_size" in str(error)


def test_default_max_size_refuses_what_is_only_announced() -> None:
    error = ending(saying(frame(b"{", length=2**63)))
    assert isinstance(error, TransportError)
    assert str(2**63) in str(error)


def test_message_of_max_size_is_taken() -> None:
    padding = 1000 - len(json.dumps({"message": "Info", "x": ""}))
    message = json.dumps({"message": "Info", "x": "y" * padding}).encode()
    assert len(message) == 1000
    whole = frame(message)
    parts = [message[:400], message[400:800], message[800:]]
    # A ping between fragments is no part of the message.
    pieces = frame(parts[0], fin=False) + frame(b"z" * 125, PING) + frame(b"", PONG)
    pieces += frame(parts[1], CONTINUES, fin=False) + frame(b"", CONTINUES, fin=False)
    pieces += frame(parts[2], CONTINUES)
    assert heard_from(whole + pieces, max_size=1000) == [message, message]


def heard_from(sent: bytes, **limits: Any) -> list[bytes]:
    """Return what `Connection.receive` returns for these bytes and a close frame."""
    with connected(lambda peer: peer.sendall(sent + closing(1000)), **limits) as connection:
        received = until_closed(connection)
    assert isinstance(received[-1], Closed)
    return [message for message in received[:-1] if isinstance(message, bytes)]


@pytest.mark.parametrize("code", [1001, 1006, 1011, 1012, 1013, 1014])
def test_close_codes_of_a_lost_connection(code: int) -> None:
    behave = saying(closing(code, b"bye")) if code != 1006 else cut
    error = ending(behave)
    assert isinstance(error, ConnectionError)
    assert error.close_code == code


def cut(connection: socket.socket) -> None:
    start_below(connection)
    connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("code", "type"), [(4005, "quota_exceeded"), (4013, "job_error"), (1003, "protocol_error")]
)
def test_close_code_without_an_error_counts_as_that_error(code: int, type: str) -> None:
    error = ending(saying(closing(code, "weil voll é".encode())))
    assert isinstance(error, TranscriptionError)
    assert (error.type, error.close_code) == (type, code)
    assert "weil voll é" in error.reason


def test_reason_that_is_not_utf8_does_not_hide_the_code() -> None:
    error = ending(saying(closing(4005, b"\xff\xfe")))
    assert isinstance(error, TranscriptionError)
    assert error.close_code == 4005


def test_close_frame_is_answered_with_its_code() -> None:
    answered: list[tuple[int, bytes]] = []

    def behave(connection: socket.socket) -> None:
        start_below(connection)
        connection.sendall(closing(4005))
        answered.append(receive_frame(connection))
        drain(connection)

    ending(behave)
    assert answered == [(CLOSE, struct.pack("!H", 4005))]


def test_reset_is_a_lost_connection() -> None:
    def behave(connection: socket.socket) -> None:
        start_below(connection)
        reset(connection)

    error = ending(behave)
    assert isinstance(error, ConnectionError)
    assert "lost" in str(error)


def test_error_before_a_reset_is_still_heard_while_we_send() -> None:
    def behave(connection: socket.socket) -> None:
        start_below(connection)
        receive_frame(connection)
        send_frame(connection, {"message": "Error", "type": "quota_exceeded", "reason": "full"})
        # Closing a socket with unread audio resets the connection.
        connection.close()

    with listening(behave) as port:
        client = client_of(f"ws://localhost:{port}/v2")
        with client, pytest.raises(TranscriptionError) as raised:
            client.transcribe(b"\1\2" * (16 * MEGABYTE), audio_format=RAW)
    assert raised.value.type == "quota_exceeded"


# -- pings ---------------------------------------------------------------------------------------


def test_pings_are_answered_in_kind_while_the_source_gives_nothing() -> None:
    answered: list[tuple[int, bytes]] = []
    source = Blocking()

    def behave(connection: socket.socket) -> None:
        start_below(connection)
        wait_for(source.blocked)
        for payload in (b"", b"one", b"\x00" * 125):
            connection.sendall(frame(payload, PING))
            answered.append(receive_frame(connection))
        source.released.set()

    with listening(behave) as port, pytest.raises(SpeechmaticsError):
        client_of(f"ws://localhost:{port}/v2").transcribe(source, audio_format=RAW)
    assert answered == [(PONG, b""), (PONG, b"one"), (PONG, b"\x00" * 125)]


def test_ping_is_answered_amid_audio_that_the_network_does_not_take() -> None:
    """The backlog never empties: the answer must not wait for that."""
    total, bound = 64 * MEGABYTE, 32 * MEGABYTE
    read_before_pong = [0]
    full = threading.Event()

    def behave(connection: socket.socket) -> None:
        start_below(connection)
        wait_for(full)
        connection.sendall(frame(b"now", PING))
        while True:
            opcode, payload = fast_frame(connection)
            if opcode == PONG:
                assert payload == b"now"
                break
            read_before_pong[0] += len(payload)
        drain(connection)

    limits = {"max_unacked_chunks": 10**6, "close_timeout": 0.2}
    with listening(behave) as port, client_of(f"ws://localhost:{port}/v2", **limits) as client:
        client.start_session(audio_format=RAW)
        sending = InThread(send_all, client, total)
        while client.stats.bytes_waiting < HIGH_WATER and sending.running:
            time.sleep(0.01)  # polls: no event tells of this state
        full.set()
        sending.result()
    assert 0 < read_before_pong[0] < bound


def send_all(client: Any, total: int) -> None:
    for _ in range(total // 32768):
        client.send_audio(b"\1\2" * 16384)


def fast_frame(connection: socket.socket) -> tuple[int, bytes]:
    """The client's next frame; its payload unmasked if it is short."""
    with connection.makefile("rb", buffering=0) as plain:
        head = exactly(plain, 2)
        size = head[1] & 0x7F
        if size >= 126:
            kind = "!H" if size == 126 else "!Q"
            (size,) = struct.unpack(kind, exactly(plain, struct.calcsize(kind)))
        mask, payload = exactly(plain, 4), exactly(plain, size)
    if size < 126:
        payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return head[0] & 0x0F, payload


def exactly(plain: Any, size: int) -> bytes:
    read = bytearray()
    while len(read) < size:
        more = plain.read(size - len(read))
        if not more:
            raise ConnectionResetError
        read += more
    return bytes(read)


def test_server_that_talks_without_listening_is_heard() -> None:
    """The server reads only after the client read everything: waiting to send would deadlock."""
    count = 64
    text = json.dumps({"message": "Info", "text": "x" * MEGABYTE}).encode()

    def behave(connection: socket.socket) -> None:
        start_below(connection)
        for _ in range(count):
            connection.sendall(frame(b"?", PING) + frame(text))
        chunks = 0
        while True:
            opcode, _ = fast_frame(connection)
            if opcode == BINARY:
                chunks += 1
            elif opcode == TEXT:
                break
        send_frame(connection, {"message": "AudioAdded", "seq_no": chunks})
        send_frame(connection, END_OF_TRANSCRIPT)
        drain(connection)

    heard: list[int] = []
    with listening(behave) as port:
        url = f"ws://localhost:{port}/v2"
        with client_of(url, max_unacked_chunks=10**6, close_timeout=0.2) as client:
            client.on("Info", lambda message: heard.append(len(message["text"])))
            client.transcribe(b"\1\2" * (8 * MEGABYTE), audio_format=RAW)
    assert heard == [MEGABYTE] * count


# -- the connection itself -----------------------------------------------------------------------


@contextlib.contextmanager
def connected(
    behave: Optional[Callable[[socket.socket], None]] = None, **limits: Any
) -> Iterator[Connection]:
    """An open connection, to a server that reads nothing unless `behave` does."""
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        shake_hands(connection)
        if behave is None:
            wait_for(over)
        else:
            behave(connection)
            drain(connection)

    with listening(serve) as port:
        config = ConnectionConfig(**limits)
        connection = Connection(Secret(f"ws://localhost:{port}/v2"), Secret({}), config)
        try:
            connection.open()
            yield connection
        finally:
            over.set()
            connection.close()


def until_closed(connection: Connection) -> list[Union[bytes, Closed]]:
    received: list[Union[bytes, Closed]] = []
    while not received or not isinstance(received[-1], Closed):
        connection.wait(PATIENCE)
        received += connection.receive()
    return received


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


# -- ending --------------------------------------------------------------------------------------


def test_abort_ends_a_wait_and_is_told_as_a_lost_connection() -> None:
    with connected() as connection:
        waiting = InThread(connection.wait, None)
        connection.abort()
        connection.abort()
        waiting.result()
        assert connection.receive()[-1] == Closed(1006, "")


def test_abort_ends_connecting() -> None:
    with full_port() as port:
        url = f"ws://127.0.0.1:{port}/v2"
        connection = Connection(
            Secret(url), Secret({}), ConnectionConfig(open_timeout=10 * PATIENCE)
        )
        opening = InThread(connection.open)
        while connection._opening is None and opening.running:
            time.sleep(0.001)  # polls: no event tells of this state
        connection.abort()
        with pytest.raises(ConnectionError, match="aborted"):
            opening.result()


def test_abort_ends_shaking_hands() -> None:
    asked = threading.Event()

    def behave(peer: socket.socket) -> None:
        if peer.recv(65536):
            asked.set()
        drain(peer)

    with listening(behave) as port:
        url = f"ws://localhost:{port}/v2"
        connection = Connection(
            Secret(url), Secret({}), ConnectionConfig(open_timeout=10 * PATIENCE)
        )
        opening = InThread(connection.open)
        wait_for(asked)
        connection.abort()
        with pytest.raises(ConnectionError, match="aborted"):
            opening.result()


def test_abort_before_opening_leaves_nothing_to_open() -> None:
    with listening(shake_hands) as port:
        connection = Connection(Secret(f"ws://localhost:{port}/v2"), Secret({}), ConnectionConfig())
        connection.abort()
        with pytest.raises(ConnectionError, match="aborted"):
            connection.open()


def test_connection_that_was_never_opened_holds_nothing() -> None:
    for end in (Connection.close, Connection.abort, Connection.wake, Connection.flush):
        end(Connection(Secret("ws://localhost:1/v2"), Secret({}), ConnectionConfig()))


def test_closed_connection_takes_every_call() -> None:
    with connected() as connection:
        connection.close()
        connection.close()
        connection.abort()
        connection.wake()
        connection.send(b"x")
        connection.ping()
        assert connection.receive() == [Closed(1006, "")]


def test_sockets_that_come_after_are_not_touched() -> None:
    """Descriptor numbers are reused: a closed connection must not touch them."""
    with connected() as connection:
        stop = threading.Event()

        def meddle() -> None:
            while not stop.is_set():
                connection.wake()
                connection.send(b"x")
                connection.flush()
                connection.abort()

        meddlers = [InThread(meddle) for _ in range(2)]
        connection.close()
        for _ in range(300):
            near, far = socket.socketpair()
            with near, far:
                far.setblocking(False)
                near.sendall(b"whole")
                assert far.recv(64) == b"whole"
                with pytest.raises(BlockingIOError):
                    far.recv(64)
        stop.set()
        for meddler in meddlers:
            meddler.result()


def test_garbage_collector_may_end_a_session_at_any_line() -> None:
    """A finalizer may run in a thread that is inside a call and holds the lock."""

    class Abandoned:
        def __init__(self, connection: Connection) -> None:
            self.connection = connection
            self.cycle = self

        def __del__(self) -> None:
            self.connection.wake()
            self.connection.abort()

    def meet() -> None:
        Abandoned(connection)
        with connection._io:
            gc.collect()

    with connected() as connection:
        InThread(meet).result()
        assert connection.receive()[-1] == Closed(1006, "")


def test_waking_waits_for_nobody_who_uses_the_connection() -> None:
    """The garbage collector may call it in a thread that holds the poller's lock: no deadlock."""
    with connected() as connection:
        connection.wait(0)
        with connection._io:
            InThread(connection.wake).result()
        InThread(connection.wait, None).result()


def test_child_of_a_fork_lets_go_without_the_locks_of_its_parent() -> None:
    with connected() as connection, connection._io:
        child = InThread(connection.close_after_fork)
        child.result()


def test_failed_write_leaves_what_was_received_to_be_read() -> None:
    gone = threading.Event()

    def behave(connection: socket.socket) -> None:
        shake_hands(connection)
        connection.sendall(frame(INFO))
        reset(connection)
        gone.set()

    with listening(behave) as port:
        connection = Connection(Secret(f"ws://localhost:{port}/v2"), Secret({}), ConnectionConfig())
        connection.open()
        try:
            wait_for(gone)
            while not connection.send_failed:
                connection.send(b"x" * 1000)
                connection.flush()
            connection.wait(PATIENCE)
            received = until_closed(connection)
        finally:
            connection.close()
    assert received[0] == INFO
    assert isinstance(received[-1], Closed)
    assert received[-1].code == 1006


def test_speech_still_goes_through_after_all_this() -> None:
    def behave(connection: socket.socket) -> None:
        start_below(connection)
        opcode, audio = receive_frame(connection)
        assert (opcode, audio) == (BINARY, speech(0.1))
        send_frame(connection, {"message": "AudioAdded", "seq_no": 1})
        assert receive_frame(connection)[0] == TEXT
        send_frame(connection, final("hello"))
        send_frame(connection, END_OF_TRANSCRIPT)
        drain(connection)

    with listening(behave) as port:
        client = client_of(f"ws://localhost:{port}/v2")
        assert client.transcribe(speech(0.1), audio_format=RAW).text == "hello"
