from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest
from support.reconnecting import given, pieces
from support.serving import PATIENCE, Peer, final, listening, serving
from support.sessions import (
    RAW,
    InThread,
    client_of,
    receive_frame,
    send_frame,
    speech,
    start_below,
    wait_for,
    with_longer_limits,
)

from speechmatics_sync import ConnectionError, TimeoutError
from speechmatics_sync._protocol import time_limits


def test_a_server_that_does_not_start_the_session_is_given_start_timeout() -> None:
    with serving(Peer.wait_closed) as url:
        client = client_of(url, start_timeout=0.2)
        with pytest.raises(TimeoutError, match="start_timeout") as caught:
            client.start_session(audio_format=RAW)
    assert caught.value.request_id == client.request_id


def test_a_start_slower_than_ack_timeout_costs_no_processor_time() -> None:
    release = threading.Event()

    def behave(peer: Peer) -> None:
        wait_for(release)
        peer.start()
        peer.finish()

    with serving(behave) as url, client_of(url, ack_timeout=0.01) as client:
        starting = InThread(client.start_session, audio_format=RAW)
        before = time.process_time()
        threading.Event().wait(0.4)  # the time in which nothing may happen
        assert time.process_time() - before < 0.2
        release.set()
        starting.result()
        client.close()


def _silent_after(frames: int) -> tuple[Any, threading.Event]:
    """A server that starts the session, reads so many frames, and then neither reads nor says
    anything: the network is there, and nobody behind it."""
    gone = threading.Event()

    def behave(connection: socket.socket) -> None:
        start_below(connection)
        for _ in range(frames):
            receive_frame(connection)
        gone.wait(PATIENCE)

    return behave, gone


def test_silence_after_a_ping_is_a_lost_connection() -> None:
    behave, gone = _silent_after(0)
    with listening(behave) as port:
        client = client_of(f"ws://localhost:{port}", ping_interval=0.05, ping_timeout=0.2)
        client.start_session(audio_format=RAW)
        with pytest.raises(ConnectionError, match="ping_timeout"):
            client.stop_session()
        gone.set()


def test_silence_about_audio_is_a_lost_connection() -> None:
    behave, gone = _silent_after(1)
    with listening(behave) as port:
        # Nobody is there to shake hands with: close_timeout is not waited for.
        client = client_of(f"ws://localhost:{port}", ack_timeout=0.2, close_timeout=60)
        with pytest.raises(ConnectionError, match="ack_timeout") as caught:
            InThread(client.transcribe, speech(0.1), audio_format=RAW).result()
        assert caught.value.transcript is client.transcript
        gone.set()


@pytest.mark.parametrize("says", ["Info", "AddPartialTranscript"])
@pytest.mark.parametrize("reads", [True, False])
def test_messages_that_only_inform_do_not_hold_a_session(says: str, reads: bool) -> None:
    """Half dead: it says something now and then, and neither acknowledges nor comes to an end."""
    chatter: dict[str, Any] = {**final("word"), "message": says}

    def behave(peer: Peer) -> None:
        peer.start()
        if reads:
            peer.take_audio()
        while True:  # until the client has gone
            peer.send(chatter)
            threading.Event().wait(0.02)  # the pace of somebody who talks

    with serving(behave) as url:
        client = client_of(url, ack_timeout=0.3, close_timeout=1)
        with pytest.raises(ConnectionError, match="ack_timeout"):
            client.transcribe(speech(0.5), audio_format=RAW, timeout=PATIENCE)


@pytest.mark.parametrize("what", ["acknowledgements", "finals"])
def test_a_server_that_gets_on_slowly_is_left_alone(what: str) -> None:
    """It takes longer than ack_timeout for all it owes, and less for each part."""
    with_longer_limits(lambda times: _gets_on_slowly(what, times))


def _gets_on_slowly(what: str, times: float) -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        chunks = 0
        while isinstance(message := peer.receive(), bytes):
            chunks += 1
            if what == "finals":
                peer.send({"message": "AudioAdded", "seq_no": chunks})
        assert message["message"] == "EndOfStream"
        for number in range(1, 9):
            threading.Event().wait(0.15 * times)  # the pace of a slow server
            if what == "finals":
                peer.send(final(str(number), number / 10, number / 10 + 0.1))
            else:
                peer.send({"message": "AudioAdded", "seq_no": number})
        peer.send({"message": "EndOfTranscript"})
        peer.wait_closed()

    with serving(behave) as url:
        client = client_of(url, ack_timeout=0.6 * times)
        client.transcribe(given(pieces(speech(0.8))), audio_format=RAW, timeout=5 * PATIENCE)
    assert client.stats.chunks_acknowledged == 8


def test_a_path_that_carries_nothing_is_a_lost_connection_long_before_the_other_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time_limits, "_PING_AFTER", 0.1)
    monkeypatch.setattr(time_limits, "_ANSWER_WITHIN", 0.2)
    behave, gone = _silent_after(1)
    with listening(behave) as port:
        client = client_of(f"ws://localhost:{port}")
        with pytest.raises(ConnectionError, match="not even the answer to a ping"):
            client.transcribe(speech(0.5), audio_format=RAW, timeout=PATIENCE)
        gone.set()


def test_a_server_that_never_ends_the_transcript_is_given_ack_timeout() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.take_audio()
        peer.wait_closed()

    with serving(behave) as url:
        client = client_of(url, ack_timeout=0.2, close_timeout=1)
        with pytest.raises(ConnectionError, match="ack_timeout"):
            client.transcribe(speech(0.5), audio_format=RAW)


def test_bytes_of_an_unfinished_message_are_a_sign_of_life() -> None:
    """Half a message comes byte by byte, for longer than ping_timeout."""
    pinged = threading.Event()

    def behave(connection: socket.socket) -> None:
        start_below(connection)
        connection.sendall(b"\x81\x7e\x10\x00")  # a text frame of 4096 bytes
        connection.settimeout(0.02)
        pings, beats = 0, 0
        while beats < 40:  # 0.8 s, four times ping_timeout
            try:
                opcode, _ = receive_frame(connection)
                pings += opcode == 9
            except TimeoutError_:
                pass
            connection.sendall(b" ")
            beats += 1
        assert pings
        pinged.set()
        connection.settimeout(PATIENCE)
        while receive_frame(connection)[0] != 8:
            pass

    with listening(behave) as port:
        client = client_of(
            f"ws://localhost:{port}", ping_interval=0.05, ping_timeout=0.2, close_timeout=1
        )
        client.start_session(audio_format=RAW)
        wait_for(pinged)
        assert client.stats.messages_received == 1
        client.send_audio(speech(0.1))  # the session lives
        client.close()


TimeoutError_ = socket.timeout  # an alias of the built-in from Python 3.10 on


def test_a_peer_that_answers_pings_is_kept_for_as_long_as_it_owes_nothing() -> None:
    answered = threading.Event()

    def behave(connection: socket.socket) -> None:
        start_below(connection)
        for _ in range(8):
            opcode, payload = receive_frame(connection)
            assert opcode == 9
            send_frame(connection, payload, opcode=10)
        answered.set()
        while receive_frame(connection)[0] != 8:
            pass
        shake_off(connection)

    def shake_off(connection: socket.socket) -> None:
        send_frame(connection, b"\x03\xe8", opcode=8)

    with listening(behave) as port:
        client = client_of(
            f"ws://localhost:{port}", ping_interval=0.05, ping_timeout=0.2, ack_timeout=0.1
        )
        client.start_session(audio_format=RAW)
        wait_for(answered)
        client.close()


def test_a_server_that_does_not_shake_hands_is_given_open_timeout() -> None:
    held = threading.Event()
    with listening(lambda connection: held.wait(PATIENCE) and None) as port:
        client = client_of(f"ws://localhost:{port}", open_timeout=0.2)
        with pytest.raises(TimeoutError, match="open_timeout"):
            client.start_session(audio_format=RAW)
        held.set()
