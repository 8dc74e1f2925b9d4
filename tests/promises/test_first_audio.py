"""What lies between a call and its first audio: one connection, one question and its answer."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Optional

import pytest
from support.key_platform import CREATED, read_order
from support.serving import STARTED, listening
from support.sessions import RAW, receive_frame, send_frame, shake_hands, speech

from speechmatics_sync import AuthBase, Client, JWTAuth

pytest.importorskip("requests")
pytest.importorskip("jwt")

TEXT, BINARY = 1, 2


class Sessions:
    """A server of raw sockets that notes what each connection says before and with its audio.

    Attributes:
        said: For each connection, what came over it: the names of messages, and ``b""`` for audio.
    """

    def __init__(self) -> None:
        self.said: list[list[object]] = []

    def __call__(self, connection: socket.socket) -> None:
        said: list[object] = []
        self.said.append(said)
        shake_hands(connection)
        while True:
            opcode, payload = receive_frame(connection)
            if opcode == BINARY:
                said.append(b"")
                send_frame(connection, {"message": "AudioAdded", "seq_no": said.count(b"")})
                continue
            if opcode != TEXT:
                return
            message = json.loads(payload)
            said.append(message["message"])
            if message["message"] == "StartRecognition":
                send_frame(connection, STARTED)
            elif message["message"] == "EndOfStream":
                send_frame(connection, {"message": "EndOfTranscript"})


@contextlib.contextmanager
def served(auth: Optional[AuthBase] = None) -> Iterator[tuple[Sessions, Client]]:
    sessions = Sessions()
    with listening(sessions) as port:
        url = f"ws://127.0.0.1:{port}/v2"
        with Client(auth, url=url) as client:
            yield sessions, client


def speak_once(client: Client) -> None:
    client.start_session(audio_format=RAW)
    client.send_audio(speech(0.1))
    client.stop_session()


WHOLE = ["StartRecognition", b"", "EndOfStream"]


def test_a_session_takes_one_connection_and_one_answer_before_its_audio() -> None:
    with served() as (sessions, client):
        speak_once(client)
    assert sessions.said == [WHOLE]


def test_a_fresh_temporary_key_costs_nothing_more() -> None:
    fetched: list[bytes] = []

    def sell(connection: socket.socket) -> None:
        fetched.append(read_order(connection))
        connection.sendall(CREATED)

    with listening(sell) as port:
        auth = JWTAuth("an-api-key", ttl=3600, mp_url=f"http://127.0.0.1:{port}")
        with served(auth) as (sessions, client):
            speak_once(client)
            assert len(fetched) == 1
            speak_once(client)
            with served(auth) as (others, another):
                speak_once(another)
    assert len(fetched) == 1
    assert sessions.said == [WHOLE, WHOLE]
    assert others.said == [WHOLE]
