"""The embedded server injects faults when and as it is told to, and works again afterwards."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from typing import Any, Optional

import pytest
import trustme
import websockets
from support.local_faults import (
    ALL,
    AUDIO,
    CHUNK,
    GUARD,
    IN_SESSION,
    Talk,
    bare,
    everything,
    faults,
    is_well,
    server,
    talk,
)
from support.local_wire import (
    PATIENCE,
    Message,
    Wire,
    chunks,
    named,
    run,
    run_channels,
    words,
)
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from speechmatics_sync.local import (
    Close,
    CountedRecognizer,
    Drop,
    EndEarly,
    Fault,
    Faults,
    Garbage,
    HoldAcknowledgements,
    LocalServer,
    Refuse,
    Send,
    SendError,
    Silence,
    StopReading,
    Warn,
)

__all__ = ["faults", "server"]


def went_so_far(wire: Talk, moment: str) -> None:
    """Fail unless everything before the moment was sent, and nothing after it."""
    assert ("Info" in wire.names) == (moment != "connected")
    assert ("RecognitionStarted" in wire.names) == (moment in ("audio", "ending", "ended"))
    heard = words(wire.received)
    acknowledged = len(named(wire.received, "AudioAdded"))
    assert acknowledged == (8 if moment in ("ending", "ended") else 0)
    # The last word ends with the audio, so it is final only at its end.
    assert heard == ALL[: {"ending": 4, "ended": 4}.get(moment, 0)]
    assert "EndOfTranscript" not in wire.names


@pytest.mark.parametrize("moment", IN_SESSION)
@pytest.mark.parametrize("mid_frame", [False, True])
@pytest.mark.parametrize("how", ["reset", "fin"])
def test_a_connection_is_dropped_at_any_moment(
    server: LocalServer, faults: Faults, how: str, mid_frame: bool, moment: str
) -> None:
    faults.add(Drop(how, mid_frame=mid_frame), at=moment)
    with Talk(server.url) as wire:
        wire.go()
        if moment != "audio":  # then the client may be interrupted while it sends
            went_so_far(wire, moment)
    assert wire.close_code is None
    assert [(one.fault, one.connection, one.moment) for one in faults.happened] == [
        (Drop(how, mid_frame=mid_frame), 1, moment)
    ]
    is_well(server)


@pytest.mark.parametrize("moment", ["handshake", "connected"])
def test_a_reset_is_a_reset_and_a_fin_is_not(
    server: LocalServer, faults: Faults, moment: str
) -> None:
    faults.add(Drop("reset"), at=moment)
    faults.add(Drop("fin"), at=moment)
    with bare(server) as sock, pytest.raises(ConnectionResetError):
        everything(sock)
    with bare(server) as sock:
        received = everything(sock)
        assert (b" 101 " in received) == (moment == "connected")
        if moment == "connected":
            assert takes(sock, 32 << 20, PATIENCE), "what is sent now is still read"


def test_a_cut_frame_is_half_a_frame(server: LocalServer, faults: Faults) -> None:
    faults.add(Drop("fin", mid_frame=True), at="connected")
    with bare(server) as sock:
        _, _, frames = everything(sock).partition(b"\r\n\r\n")
    assert frames[0] == 0x81  # a whole text message
    assert 2 < len(frames) < 2 + frames[1]


@pytest.mark.skipif(
    int(websockets.__version__.split(".")[0]) < 16,
    reason="websockets 15 loses a handshake over TLS now and then, without any fault",
)
def test_over_tls_a_reset_is_a_reset_and_a_fin_says_no_goodbye() -> None:
    authority, faults = trustme.CA(), Faults()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    faults.add(Drop("reset"), after_chunks=3)
    faults.add(Drop("fin"), after_chunks=3)
    with LocalServer(
        recognizer=CountedRecognizer(), strict=True, faults=faults, ssl_context=context
    ) as server:
        for _ in range(2):
            with Wire(server.url, ssl=trusting) as wire:
                wire.start()
                wire.send(*chunks(AUDIO[: 3 * CHUNK], CHUNK))
                assert len(named(wire.rest(), "AudioAdded")) == 3
                assert wire.close_code is None
        assert words(talk(server.url, ssl=trusting).received) == ALL


@pytest.mark.parametrize("retry_after", [None, 0, 7, "Wed, 21 Oct 2026 07:28:00 GMT"])
@pytest.mark.parametrize("status", [401, 429, 502, 503, 504])
def test_a_handshake_is_refused_with_any_status(
    server: LocalServer, faults: Faults, status: int, retry_after: Any
) -> None:
    faults.add(Refuse(status, retry_after=retry_after))
    with pytest.raises(InvalidStatus) as refused:
        talk(server.url)
    response = refused.value.response
    assert response.status_code == status
    sent = None if retry_after is None else str(retry_after)
    assert response.headers.get("Retry-After") == sent
    assert server.sessions == []
    is_well(server)


def test_a_handshake_is_cut_off(server: LocalServer, faults: Faults) -> None:
    for how in ("reset", "fin"):
        faults.add(Drop(how), at="handshake")
        with pytest.raises((InvalidMessage, ConnectionError)):
            talk(server.url)
    is_well(server)


@pytest.mark.parametrize("moment", IN_SESSION)
@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013, 1014, 4005, None])
def test_a_connection_is_closed_with_any_code_and_no_error(
    server: LocalServer, faults: Faults, code: Optional[int], moment: str
) -> None:
    faults.add(Close(code, "gone" if code else ""), at=moment)
    with Talk(server.url) as wire:
        wire.go()
        if moment != "audio":
            went_so_far(wire, moment)
        wire.rest()
        assert wire.close_code == (code or 1005)
        assert wire.connection.close_reason == ("gone" if code else "")
    is_well(server)


@pytest.mark.parametrize("moment", IN_SESSION)
@pytest.mark.parametrize(
    ("fault", "close_code"),
    [
        (SendError("job_error", "no worker"), 4013),
        (SendError("quota_exceeded", code=7), 4005),
        (SendError("new_error", close_code=4999), 4999),
        (SendError("new_error"), 1011),
    ],
)
def test_any_error_is_sent_with_its_close_code(
    server: LocalServer, faults: Faults, fault: SendError, close_code: int, moment: str
) -> None:
    faults.add(fault, at=moment)
    with Talk(server.url) as wire:
        wire.go()
        wire.rest()
    (error,) = named(wire.received, "Error")
    expected = {"message": "Error", "type": fault.type, "reason": fault.reason}
    assert error == (expected if fault.code is None else {**expected, "code": fault.code})
    assert wire.received[-1] == error == server.sessions[0].error
    assert wire.close_code == close_code
    is_well(server)


@pytest.mark.parametrize("moment", IN_SESSION)
@pytest.mark.parametrize(
    ("fault", "sent"),
    [
        (
            Warn("session_timeout", "in 15m", {"code": 3}),
            {"message": "Warning", "type": "session_timeout", "reason": "in 15m", "code": 3},
        ),
        (Send({"message": "Hello", "x": [1]}), {"message": "Hello", "x": [1]}),
        (Garbage("unknown_message"), {"message": "SomethingNew", "value": 1}),
    ],
)
def test_a_message_is_slipped_in_and_the_session_goes_on(
    server: LocalServer, faults: Faults, fault: Fault, sent: Message, moment: str
) -> None:
    faults.add(fault, at=moment)
    wire = talk(server.url)
    assert wire.close_code == 1000
    assert words(wire.received) == ALL
    at = wire.received.index(sent)
    before, after = wire.names[:at], wire.names[at + 1 :]
    assert ("Info" in before) == (moment != "connected")
    assert ("RecognitionStarted" in before) == (moment in ("audio", "ending", "ended"))
    assert ("AudioAdded" in before) == (moment in ("ending", "ended"))
    assert ("AudioAdded" in after) == (moment not in ("ending", "ended"))
    assert after[-1] == "EndOfTranscript"


@pytest.mark.parametrize(
    ("kind", "frame"),
    [
        ("not_json", "text"),
        ("not_object", "text"),
        ("no_name", "text"),
        ("binary", "binary"),
        ("invalid_utf8", "text"),
    ],
)
def test_garbage_is_what_it_says(
    server: LocalServer, faults: Faults, kind: str, frame: str
) -> None:
    faults.add(Garbage(kind))
    with Wire(server.url) as wire:
        wire.start()
        garbage = wire.connection.recv(timeout=PATIENCE, decode=False)
        assert isinstance(garbage, bytes)
        wire.send(*chunks(AUDIO, CHUNK))
        assert words(wire.end(8)) == ALL
    if kind in ("invalid_utf8", "binary"):
        with pytest.raises(UnicodeDecodeError):
            garbage.decode()
    elif kind == "not_json":
        with pytest.raises(json.JSONDecodeError):
            json.loads(garbage)
    else:
        parsed = json.loads(garbage)
        assert not isinstance(parsed, dict) or "message" not in parsed
    faults.add(Garbage(kind))
    with Wire(server.url) as wire:
        wire.start()
        if kind == "invalid_utf8":
            with pytest.raises((UnicodeDecodeError, ConnectionClosed)):
                wire.connection.recv(timeout=PATIENCE)
        else:
            kinds = {"text": str, "binary": bytes}
            assert type(wire.connection.recv(timeout=PATIENCE)) is kinds[frame]


def test_any_text_and_any_bytes_are_sent(server: LocalServer, faults: Faults) -> None:
    faults.add(Send("{"))
    faults.add(Send(b"\xff" * 70_000))
    with Wire(server.url) as wire:
        wire.start()
        assert wire.connection.recv(timeout=PATIENCE) == "{"
        assert wire.connection.recv(timeout=PATIENCE) == b"\xff" * 70_000


def test_a_session_ends_early_with_the_finals_of_what_it_heard(
    server: LocalServer, faults: Faults
) -> None:
    faults.add(EndEarly(), after_chunks=5)
    with Wire(server.url) as wire:
        wire.start()
        wire.send(*chunks(AUDIO[: 5 * CHUNK], CHUNK))
        wire.ending()
    assert words(wire.received) == ALL[:3]  # it heard half of the third
    assert len(named(wire.received, "AudioAdded")) == 5
    is_well(server)


def test_past_a_limit_of_duration_audio_is_acknowledged_and_not_heard(
    server: LocalServer, faults: Faults
) -> None:
    faults.add(Warn("duration_limit_exceeded", fields={"duration_limit": 1}), after_seconds=1.0)
    faults.add(EndEarly(ignored_chunks=3), after_seconds=1.0)
    with Wire(server.url) as wire:
        wire.start()
        wire.send(*chunks(AUDIO[: 7 * CHUNK], CHUNK))
        wire.ending()
    assert words(wire.received) == ["w1", "w2"]
    assert len(named(wire.received, "AudioAdded")) == 7
    (warning,) = named(wire.received, "Warning")
    after = wire.received[wire.received.index(warning) :]
    assert (warning["duration_limit"], len(named(after, "AudioAdded"))) == (1, 3)


def test_a_client_that_ends_before_the_limit_is_answered_as_ever(
    server: LocalServer, faults: Faults
) -> None:
    faults.add(EndEarly(ignored_chunks=100), after_chunks=8)
    assert words(run(server.url, AUDIO, size=CHUNK).received) == ALL


def test_acknowledgements_come_chunks_late(server: LocalServer, faults: Faults) -> None:
    faults.add(HoldAcknowledgements(chunks=3), after_chunks=2)
    with Wire(server.url) as wire:
        wire.start()
        wire.send(*chunks(AUDIO[: 5 * CHUNK], CHUNK))
        while len(named(wire.received, "AudioAdded")) < 2:
            wire.next()
        assert faults.wait(PATIENCE)
        wire.send(AUDIO[5 * CHUNK : 6 * CHUNK])
        while len(named(wire.received, "AudioAdded")) < 3:
            wire.next()
        assert not named(what_still_comes(wire), "AudioAdded"), "4, 5 and 6 are not due"
        wire.send(*chunks(AUDIO[6 * CHUNK :], CHUNK))
        wire.end(8)
    numbers = [message["seq_no"] for message in named(wire.received, "AudioAdded")]
    assert numbers == [1, 2, 3, 4, 5, 6, 7, 8]


def test_acknowledgements_come_seconds_late_and_before_the_end(
    server: LocalServer, faults: Faults
) -> None:
    faults.add(HoldAcknowledgements(seconds=0.3))
    began = time.monotonic()
    wire = run(server.url, AUDIO, size=CHUNK)
    assert time.monotonic() - began >= 0.3
    assert [message["seq_no"] for message in named(wire.received, "AudioAdded")] == [*range(1, 9)]


def test_acknowledgements_never_come(server: LocalServer, faults: Faults) -> None:
    faults.add(HoldAcknowledgements(), after_chunks=3)
    wire = run(server.url, AUDIO, size=CHUNK)
    assert [message["seq_no"] for message in named(wire.received, "AudioAdded")] == [1, 2, 3]
    assert words(wire.received) == ALL


def test_each_channel_has_acknowledgements_of_its_own(server: LocalServer, faults: Faults) -> None:
    faults.add(HoldAcknowledgements(chunks=2))
    wire = run_channels(server.url, {"a": AUDIO, "b": AUDIO[:CHUNK]}, size=CHUNK)
    for label, count in (("a", 8), ("b", 1)):
        acknowledged = [
            message["seq_no"]
            for message in named(wire.received, "ChannelAudioAdded")
            if message["channel"] == label
        ]
        assert acknowledged == [*range(1, count + 1)]


def what_still_comes(wire: Wire) -> list[Message]:
    """Return what comes until nothing has come for a while."""
    found = []
    with contextlib.suppress(TimeoutError):
        while True:
            found.append(json.loads(wire.connection.recv(timeout=GUARD)))
    return found


def hang_up(wire: Wire) -> None:
    """Close the socket without a close frame, which nobody would answer."""
    wire.connection.socket.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("moment", IN_SESSION)
@pytest.mark.parametrize("reads", [False, True])
def test_a_silent_server_answers_nothing_not_even_a_ping(
    server: LocalServer, faults: Faults, reads: bool, moment: str
) -> None:
    faults.add(Silence(reads=reads), at=moment)
    with Talk(server.url) as wire:
        session = threading.Thread(target=wire.go)
        session.start()
        assert faults.wait(PATIENCE)
        pong = wire.connection.ping()
        assert not pong.wait(GUARD)
        hang_up(wire)
        session.join()
        if moment != "audio":
            went_so_far(wire, moment)
    is_well(server)


def test_a_silent_server_does_not_answer_the_handshake(server: LocalServer, faults: Faults) -> None:
    for reads in (False, True):
        faults.add(Silence(reads=reads), at="handshake")
        with bare(server) as sock:
            assert faults.wait(PATIENCE, count=1 + reads)
            sock.settimeout(GUARD)
            with pytest.raises(socket.timeout):
                sock.recv(1)
    is_well(server)


def takes(sock: socket.socket, count: int, patience: float) -> bool:
    """Whether this many bytes can be sent, which is more than the network buffers."""
    sock.settimeout(patience)
    frame = b"\x82\xff" + (65536).to_bytes(8, "big") + bytes(4 + 65536)
    try:
        for _ in range(count // len(frame)):
            sock.sendall(frame)
    except socket.timeout:  # not a TimeoutError before 3.10
        return False
    return True


def test_audio_piles_up_where_nothing_is_read_and_vanishes_where_it_is(
    server: LocalServer, faults: Faults
) -> None:
    for fault, patience in (
        (StopReading(), GUARD),
        (Silence(), GUARD),
        (Silence(reads=True), PATIENCE),
    ):
        count = len(faults.happened) + 1
        faults.add(fault, at="connected")
        with bare(server) as sock:
            assert faults.wait(PATIENCE, count=count)
            assert takes(sock, 32 << 20, patience) == (patience == PATIENCE), fault


def test_a_server_that_stops_reading_has_answered_what_came_before(
    server: LocalServer, faults: Faults
) -> None:
    faults.add(StopReading(), after_chunks=3)
    with Wire(server.url) as wire:
        wire.start()
        wire.send(*chunks(AUDIO, CHUNK))
        assert faults.wait(PATIENCE)
        assert not wire.connection.ping().wait(GUARD)
        wire.received += what_still_comes(wire)
        assert len(named(wire.received, "AudioAdded")) == 3
        hang_up(wire)
    is_well(server)
