"""What a pump says of its next wait stays true when an event changes nothing else."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import Any, Optional

import pytest
from support.reconnecting import Legs, listen
from support.serving import PATIENCE, Peer, serving
from support.sessions import RAW, InThread, client_of, wait_for
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from speechmatics_sync import Client, ReconnectPolicy, TranscriptionError, TransportError
from speechmatics_sync._session.pump import Pump

CHUNK = bytes(256 * 1024)
CHUNKS = 40
"""Together more than the buffers of two sockets."""


def test_a_network_that_has_taken_all_is_not_reported_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A socket that can be written to is one always: it is not to be waited for."""
    stalled = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        wait_for(stalled)
        for _ in range(CHUNKS):
            received = peer.receive()
            assert isinstance(received, bytes)
            peer.audio.append(received)
        peer.acknowledge()
        for _ in range(10):
            peer.send({"message": "Info", "type": "other"})
            time.sleep(0.02)  # the pace of the server, in which a client that spins would be busy
        peer.finish()

    pumped: list[float] = []
    pump = Pump.pump

    def counted(self: Pump, **options: Any) -> bool:
        pumped.append(time.monotonic())
        return pump(self, **options)

    monkeypatch.setattr(Pump, "pump", counted)
    with serving(behave) as url, client_of(url) as client:
        infos: list[int] = []
        all_said = threading.Event()

        def note(message: dict[str, Any]) -> None:
            infos.append(len(pumped))
            if len(infos) == 10:
                all_said.set()

        client.on("Info", note)
        client.start_session(audio_format=RAW)
        for _ in range(CHUNKS):
            client.send_audio(CHUNK)
        given_up = time.monotonic() + PATIENCE
        while not client.stats.bytes_waiting:
            assert time.monotonic() < given_up
            time.sleep(0.01)  # the pace of the poll; what ends it is the state itself
        stalled.set()
        wait_for(all_said)
        client.stop_session(timeout=PATIENCE)
    assert infos[-1] - infos[0] < 100


# -- what comes alone, while no limit has the pump look again -----------------------------------

NO_LIMITS: dict[str, Any] = {"ack_timeout": None, "ping_interval": None, "ping_timeout": None}


def in_peace(client: Client) -> None:
    """Send a chunk, and wait until it is acknowledged: from here on nothing is due."""
    client.send_audio(bytes(3200))
    given_up = time.monotonic() + PATIENCE
    while client.stats.chunks_acknowledged < 1:
        assert time.monotonic() < given_up
        time.sleep(0.001)  # the pace of the poll; what ends it is the state itself


NEAR = {"type": "session_timeout", "reason": "Session will timeout in 0.0m due to max duration"}
BEFORE_ITS_END: dict[str, tuple[ReconnectPolicy, list[dict[str, Any]]]] = {
    "a Warning": (ReconnectPolicy(rollover_margin=1.2), [{"message": "Warning", **NEAR}]),
    "a limit of the user's": (ReconnectPolicy(rollover_margin=1.2, session_limit=1.4), []),
}


@pytest.mark.parametrize(("policy", "said"), BEFORE_ITS_END.values(), ids=BEFORE_ITS_END)
def test_a_session_that_nears_its_end_has_its_next_connection_though_nothing_else_happens(
    policy: ReconnectPolicy, said: list[dict[str, Any]]
) -> None:
    ready, connected = threading.Event(), threading.Event()

    def first(peer: Peer) -> None:
        peer.start()
        listen(peer, 1)
        wait_for(ready)
        peer.send(*said)
        peer.wait_closed()

    def second(peer: Peer) -> None:
        connected.set()
        peer.start()
        peer.wait_closed()

    with serving(Legs(first, second), ping_interval=None) as url:  # noqa: SIM117
        with client_of(url, reconnect=policy, **NO_LIMITS) as client:
            client.start_session(audio_format=RAW)
            in_peace(client)
            ready.set()
            wait_for(connected)
            client.close()


def info_frame(number: int) -> bytes:
    """A message as it lies on the wire."""
    info = {"message": "Info", "type": "other", "number": number}
    return Frame(Opcode.TEXT, json.dumps(info).encode()).serialize(mask=False)


ERROR = {"message": "Error", "type": "job_error", "reason": "broke"}
ENDS: dict[str, tuple[bytes, type[Exception]]] = {
    "an Error": (
        Frame(Opcode.TEXT, json.dumps(ERROR).encode()).serialize(mask=False),
        TranscriptionError,
    ),
    "a broken frame behind a message": (info_frame(1) + b"\xf1\0", TransportError),
}


@pytest.mark.parametrize(("sent", "error"), ENDS.values(), ids=ENDS)
def test_what_comes_alone_and_ends_the_session_does_so_though_nothing_follows(
    sent: bytes, error: type[Exception]
) -> None:
    ready, gone = threading.Event(), threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        listen(peer, 1)
        wait_for(ready)
        peer.connection.socket.sendall(sent)
        peer.wait_closed()
        gone.set()

    with serving(behave, ping_interval=None) as url, client_of(url, **NO_LIMITS) as client:
        client.start_session(audio_format=RAW)
        in_peace(client)
        ready.set()
        wait_for(gone)
        with pytest.raises(error):
            client.stop_session(timeout=PATIENCE)


def test_messages_that_come_together_are_all_handled_though_nothing_follows_them() -> None:
    """More than others are made to wait for: they are processed in several turns."""
    ready, handled = threading.Event(), threading.Event()
    many = 3000

    def behave(peer: Peer) -> None:
        peer.start()
        listen(peer, 1)
        wait_for(ready)
        peer.connection.socket.sendall(b"".join(map(info_frame, range(many))))
        wait_for(handled)
        peer.finish()

    with serving(behave, ping_interval=None) as url:  # noqa: SIM117
        with client_of(url, max_queue=None, **NO_LIMITS) as client:
            numbers: list[int] = []

            def note(message: dict[str, Any]) -> None:
                numbers.append(message["number"])
                if len(numbers) == many:
                    handled.set()

            client.on("Info", note)
            client.start_session(audio_format=RAW)
            in_peace(client)
            ready.set()
            wait_for(handled)
            client.stop_session(timeout=PATIENCE)
    assert numbers == list(range(many))


def test_a_queue_that_is_filled_by_single_events_stops_the_reading() -> None:
    let_go = threading.Event()
    limit, many = 5, 60
    read: list[int] = []

    def behave(peer: Peer) -> None:
        peer.start()
        listen(peer, 1)
        for number in range(many):
            peer.send({"message": "Info", "type": "other", "number": number})
            if len(read) == number and peer.connection.ping().wait(0.5):  # or it is not read now
                read.append(number)
        let_go.set()
        peer.finish()

    with serving(behave, ping_interval=None) as url:  # noqa: SIM117
        with client_of(url, max_queue=limit, **NO_LIMITS) as client:
            handled: list[int] = []

            def note(message: dict[str, Any]) -> None:
                wait_for(let_go)
                handled.append(message["number"])

            client.on("Info", note)
            client.start_session(audio_format=RAW)
            client.send_audio(bytes(3200))
            client.stop_session(timeout=PATIENCE)
    assert len(read) < limit + 5
    assert handled == list(range(many))


@pytest.mark.parametrize("pause", [None, 0.01], ids=["silent", "talks"])
def test_an_acknowledgement_that_never_comes_is_missed_in_time(pause: Optional[float]) -> None:
    """No event tells the pump of a chunk that its caller sends, and events that come change nothing
    of when to look at the limit."""
    gone = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        listen(peer, 1)
        listen(peer, 1, acknowledge=False)
        with contextlib.suppress(ConnectionClosed):
            while pause is not None:
                peer.send({"message": "Info", "type": "other"})
                time.sleep(pause)  # the pace of the server
        peer.wait_closed()
        gone.set()

    limits = {**NO_LIMITS, "ack_timeout": 0.4}
    with serving(behave, ping_interval=None) as url, client_of(url, **limits) as client:
        client.start_session(audio_format=RAW)
        in_peace(client)
        time.sleep(0.5)  # longer than the limit, while nothing is owed
        sending = InThread(client.send_audio, bytes(3200))
        sending.result()
        wait_for(gone)
        with pytest.raises(ConnectionError, match="ack_timeout"):
            client.stop_session(timeout=PATIENCE)
