"""A server that sends a lot at once, or before the session starts, holds up nobody for long."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any

import pytest
from support.serving import PATIENCE, STARTED, Peer, final, listening, serving
from support.sessions import (
    END_OF_TRANSCRIPT,
    RAW,
    client_of,
    receive_frame,
    send_frame,
    shake_hands,
    speech,
    start_below,
    wait_for,
)

from speechmatics_sync import TransportError

MANY = 100


class Kept:
    """A connection that keeps what is sent, for one write of all."""

    def __init__(self) -> None:
        self.sent = b""

    def sendall(self, frame: bytes) -> None:
        self.sent += frame


def at_once(*messages: Any) -> bytes:
    kept = Kept()
    for message in messages:
        send_frame(kept, message)  # type: ignore[arg-type]
    return kept.sent


def words(number: int) -> list[dict[str, Any]]:
    return [final(str(index), index / 100, (index + 1) / 100) for index in range(number)]


def sends_all_at_once(connection: socket.socket) -> None:
    """The acknowledgement, the finals and the end in one write."""
    start_below(connection)
    while receive_frame(connection)[0] != 1:
        pass  # the audio, up to EndOfStream
    acknowledged = {"message": "AudioAdded", "seq_no": 1}
    connection.sendall(at_once(acknowledged, *words(MANY), END_OF_TRANSCRIPT))
    while receive_frame(connection)[0] != 8:
        pass
    send_frame(connection, b"\x03\xe8", 8)


@pytest.mark.parametrize("max_queue", [1024, 1])
def test_messages_that_come_together_are_handled_whole_and_in_order(
    max_queue: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With turns so short that each is one message; also when handlers are behind."""
    monkeypatch.setattr("speechmatics_sync._session.pump._TURN", 0.0)
    heard: list[str] = []
    with listening(sends_all_at_once) as port:
        client = client_of(f"ws://localhost:{port}", max_queue=max_queue)
        client.on("AddTranscript", lambda message: heard.append(message["metadata"]))
        client.start_session(audio_format=RAW)
        client.send_audio(speech(1))
        transcript = client.stop_session(timeout=PATIENCE)
    assert heard == [word["metadata"] for word in words(MANY)]
    assert [word.content for word in transcript.words] == [str(index) for index in range(MANY)]


def test_stats_do_not_wait_for_all_that_came_together() -> None:
    with listening(sends_all_at_once) as port, client_of(f"ws://localhost:{port}") as client:
        client.start_session(audio_format=RAW)
        add, begun = client.transcript.add, threading.Event()

        def add_slowly(message: Any) -> None:
            begun.set()
            time.sleep(0.002)  # what a busy machine takes for it
            add(message)

        client.transcript.add = add_slowly  # type: ignore[method-assign]
        client.send_audio(speech(1))
        client.end_of_stream()
        wait_for(begun)
        seen = set()
        while client.stats.messages_received < MANY:
            seen.add(client.stats.messages_received)
        client.stop_session(timeout=PATIENCE)
    assert [number for number in seen if 5 < number < MANY - 5]


INFO = {"message": "Info", "type": "recognition_quality", "reason": ""}


@pytest.mark.parametrize(
    ("size", "number"), [(0, 2000), (1 << 20, 32)], ids=["many messages", "large messages"]
)
@pytest.mark.parametrize("call", ["stream", "start_session"])
def test_what_comes_before_the_start_has_a_limit(call: str, size: int, number: int) -> None:
    def behave(connection: socket.socket) -> None:
        shake_hands(connection)
        payload = json.dumps({**INFO, "reason": " " * size}).encode()
        frame = b"\x81\x7f" + len(payload).to_bytes(8, "big") + payload
        for _ in range(number):
            connection.sendall(frame)
        while connection.recv(1 << 16):
            pass

    with listening(behave) as port, client_of(f"ws://localhost:{port}") as client:
        calls = {
            "stream": lambda: client.stream(speech(1), audio_format=RAW),
            "start_session": lambda: client.start_session(audio_format=RAW),
        }
        with pytest.raises(TransportError, match="and no RecognitionStarted"):
            calls[call]()


def test_what_a_server_says_before_the_start_is_handled() -> None:
    def behave(peer: Peer) -> None:
        peer.receive()
        peer.send(*[INFO] * 500, STARTED)
        peer.finish()

    heard: list[Any] = []
    with serving(behave) as url, client_of(url) as client:
        client.on("Info", heard.append)
        client.transcribe(speech(0.1), audio_format=RAW, timeout=PATIENCE)
    assert len(heard) == 500
