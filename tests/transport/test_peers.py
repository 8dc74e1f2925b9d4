"""What a client makes of what the server sends, and its pings."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from typing import Any, Callable

import pytest
from support.serving import final, listening
from support.sessions import (
    END_OF_TRANSCRIPT,
    RAW,
    Blocking,
    InThread,
    client_of,
    receive_frame,
    send_frame,
    start_below,
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
    TEXT,
    closing,
    connected,
    drain,
    fast_frame,
    frame,
    reset,
    until_closed,
)

from speechmatics_sync import (
    ConnectionError,
    SpeechmaticsError,
    TranscriptionError,
    TransportError,
)
from speechmatics_sync._transport.connection import HIGH_WATER, Closed

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
