from __future__ import annotations

import socket
import threading
import time
from typing import Any, Optional

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
)

from speechmatics_sync import ConnectionConfig, ConnectionError, TimeoutError
from speechmatics_sync._protocol import time_limits
from speechmatics_sync._protocol.leg import Due, State
from speechmatics_sync._protocol.time_limits import Limits


def limits(now: float = 0.0, **limits: Any) -> Limits:
    return Limits(ConnectionConfig(**limits), now)


def message_of(error: object) -> str:
    assert error is not None
    return str(error)


# -- told what happens and when -----------------------------------------------------------------


def test_without_any_limit_nothing_ever_passes() -> None:
    unlimited = limits(start_timeout=None, ack_timeout=None, ping_interval=None, ping_timeout=None)
    for state in State:
        assert unlimited.passed(1e9, state) is None
        assert unlimited.patience(1e9, state) is None
    assert not unlimited.ping_is_due(1e9)


def test_a_session_must_start_within_start_timeout() -> None:
    watched = limits(100.0, start_timeout=20)
    assert watched.passed(119.9, State.STARTING) is None
    error = watched.passed(120.0, State.STARTING)
    assert isinstance(error, TimeoutError)
    assert "start_timeout (20" in str(error)
    assert watched.passed(120.0, State.RUNNING) is None


def test_only_start_timeout_limits_the_start() -> None:
    watched = limits(start_timeout=100, ack_timeout=1, ping_interval=None)
    watched.note(0.0, heard=0.0, owed={AUDIO: 0})
    assert watched.passed(50.0, State.STARTING) is None
    # A limit that does not count must not keep the receiver awake either.
    assert watched.patience(50.0, State.STARTING) == 50.0


def test_a_ping_is_due_once_in_ping_interval() -> None:
    watched = limits(ping_interval=10)
    assert not watched.ping_is_due(9.9)
    assert watched.ping_is_due(10.0)
    assert not watched.ping_is_due(10.0)
    assert watched.ping_is_due(20.0)
    assert not limits(ping_interval=None).ping_is_due(1e9)


def test_a_ping_wants_a_sign_of_life_within_ping_timeout() -> None:
    watched = limits(ping_interval=10, ping_timeout=15)
    assert watched.ping_is_due(10.0)
    assert watched.ping_is_due(20.0)  # the first one counts
    assert watched.passed(24.9, State.RUNNING) is None
    error = watched.passed(25.0, State.RUNNING)
    assert isinstance(error, ConnectionError)
    assert "ping_timeout (15" in str(error)


def test_any_byte_after_a_ping_is_a_sign_of_life() -> None:
    watched = limits(ping_interval=10, ping_timeout=15)
    watched.ping_is_due(10.0)
    watched.note(11.0, heard=9.0, owed={})
    assert watched.passed(25.0, State.RUNNING) is not None
    watched.note(11.0, heard=10.5, owed={})
    assert watched.passed(25.0, State.RUNNING) is None


AUDIO = (Due.ACKNOWLEDGEMENT, None)
END = (Due.END, None)


@pytest.mark.parametrize("due", Due)
def test_the_server_has_ack_timeout_for_what_it_owes(due: Due) -> None:
    watched = limits(ack_timeout=30, ping_interval=None)
    watched.note(100.0, heard=0.0, owed={(due, None): 1})
    watched.note(120.0, heard=120.0, owed={(due, None): 1})  # whatever it says beside that
    assert watched.passed(129.9, State.RUNNING) is None
    error = watched.passed(130.0, State.ENDING)
    assert isinstance(error, ConnectionError)
    assert "ack_timeout (30" in str(error)
    assert due.value in str(error)


def test_a_server_that_gets_on_is_left_alone_and_so_is_one_that_owes_nothing() -> None:
    watched = limits(ack_timeout=30, ping_interval=None)
    watched.note(100.0, heard=0.0, owed={AUDIO: 1})
    watched.note(120.0, heard=120.0, owed={AUDIO: 2})
    assert watched.passed(149.9, State.RUNNING) is None
    watched.note(149.0, heard=0.0, owed={})
    assert watched.passed(1e9, State.RUNNING) is None


def test_what_a_server_gets_on_with_excuses_nothing_else_that_it_owes() -> None:
    watched = limits(ack_timeout=30, ping_interval=None)
    for now in range(100, 131, 10):
        watched.note(float(now), heard=float(now), owed={AUDIO: 1, END: now})
    error = watched.passed(130.0, State.ENDING)
    assert Due.ACKNOWLEDGEMENT.value in message_of(error)


def test_while_we_do_not_read_silence_does_not_count() -> None:
    watched = limits(ping_interval=10, ping_timeout=12, ack_timeout=30)
    watched.ping_is_due(10.0)
    watched.note(10.0, heard=0.0, owed={AUDIO: 0})
    watched.restart(1000.0)
    assert watched.passed(1011.9, State.RUNNING) is None
    assert watched.passed(1012.0, State.RUNNING) is not None


def test_no_limit_passes_and_no_ping_is_due_during_patience() -> None:
    watched = limits(ping_interval=10, ping_timeout=12, ack_timeout=8, start_timeout=3)
    assert watched.patience(1.0, State.STARTING) == 2.0
    watched.note(4.0, heard=0.0, owed={AUDIO: 0})
    assert watched.patience(5.0, State.RUNNING) == 2.0  # looks often enough for what comes later
    assert watched.patience(11.5, State.RUNNING) == 0.0
    assert limits(ping_interval=10).patience(1.0, State.RUNNING) == 1.0  # and for what is owed
    none = limits(ping_interval=None, ack_timeout=None, start_timeout=None)
    assert none.patience(1.0, State.STARTING) is None


def runs(
    watched: Limits, *, silent_from: float, pong_after: Optional[float] = None
) -> tuple[str, float]:
    """Look at the limits as the receiver does: audio is acknowledged until the silence.

    Returns:
        The error of the limit that passes, and when it does.
    """
    now, pongs = 0.0, [0.0]
    while now < 1000.0:
        pong = max(at for at in pongs if at <= now)
        watched.note(
            now,
            heard=max(pong, min(now, silent_from)),
            owed={AUDIO: int(10 * min(now, silent_from))},
        )
        error = watched.passed(now, State.RUNNING)
        if error is not None:
            assert isinstance(error, ConnectionError)
            return str(error), now
        if watched.ping_is_due(now) and pong_after is not None:
            pongs.append(now + pong_after)
        patience = watched.patience(now, State.RUNNING)
        assert patience is not None
        now += max(patience, watched.accuracy)
    raise AssertionError("no limit passes")


@pytest.mark.parametrize("silent_from", [0.1, 50.0, 50.1, 52.5, 54.9])
def test_a_path_that_carries_nothing_is_found_out_within_20_seconds(silent_from: float) -> None:
    error, at = runs(limits(), silent_from=silent_from)
    assert "not even the answer to a ping" in error
    assert 15.0 <= at - silent_from <= 20.0


@pytest.mark.parametrize("pong_after", [0.2, 10.0])
def test_a_server_that_answers_pings_is_given_ack_timeout(pong_after: float) -> None:
    error, at = runs(limits(ack_timeout=120), silent_from=50.0, pong_after=pong_after)
    assert "ack_timeout" in error
    assert 169.0 <= at <= 172.0


@pytest.mark.parametrize("off", [{"ping_interval": None}, {"ping_timeout": None}])
def test_without_pings_silence_is_no_sign(off: dict[str, Any]) -> None:
    error, _ = runs(limits(ack_timeout=120, **off), silent_from=50.0)
    assert "ack_timeout" in error


def test_while_nothing_is_owed_silence_lasts_as_long_as_the_pings_say() -> None:
    watched = limits(ping_interval=20, ping_timeout=60)
    for now in range(80):
        watched.note(float(now), heard=0.0, owed={})
        assert watched.passed(float(now), State.RUNNING) is None
        assert watched.ping_is_due(float(now)) == (now in (20, 40, 60))
    assert "ping_timeout" in message_of(watched.passed(80.0, State.RUNNING))


def test_a_line_that_is_slow_with_what_we_send_carries_something() -> None:
    watched = limits()
    for now in range(60):
        watched.note(float(now), heard=0.0, owed={AUDIO: 0}, unblocked=float(now))
        assert watched.passed(float(now), State.RUNNING) is None
        watched.ping_is_due(float(now))


# -- on real connections ------------------------------------------------------------------------


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

    def behave(peer: Peer) -> None:
        peer.start()
        chunks = 0
        while isinstance(message := peer.receive(), bytes):
            chunks += 1
            if what == "finals":
                peer.send({"message": "AudioAdded", "seq_no": chunks})
        assert message["message"] == "EndOfStream"
        for number in range(1, 9):
            threading.Event().wait(0.15)  # the pace of a slow server
            if what == "finals":
                peer.send(final(str(number), number / 10, number / 10 + 0.1))
            else:
                peer.send({"message": "AudioAdded", "seq_no": number})
        peer.send({"message": "EndOfTranscript"})
        peer.wait_closed()

    with serving(behave) as url:
        client = client_of(url, ack_timeout=0.6)
        client.transcribe(given(pieces(speech(0.8))), audio_format=RAW, timeout=PATIENCE)
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
