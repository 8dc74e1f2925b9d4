"""A connection ends from any thread, at any time, and leaves nothing."""

from __future__ import annotations

import gc
import socket
import threading
import time

import pytest
from support.proxying import full_port
from support.serving import PATIENCE, final, listening
from support.sessions import (
    END_OF_TRANSCRIPT,
    RAW,
    InThread,
    client_of,
    receive_frame,
    send_frame,
    shake_hands,
    speech,
    start_below,
    wait_for,
)
from support.transport.connections import (
    BINARY,
    INFO,
    TEXT,
    connected,
    drain,
    frame,
    reset,
    until_closed,
)

from speechmatics_sync import (
    ConnectionConfig,
    ConnectionError,
)
from speechmatics_sync._model.secret import Secret
from speechmatics_sync._transport.connection import Closed, Connection


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
