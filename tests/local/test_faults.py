"""The embedded server injects faults when and as it is told to, and works again afterwards."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any, Optional

import pytest
import trustme
import websockets
from support.local_wire import (
    PATIENCE,
    Message,
    Wire,
    channel_audio,
    chunks,
    end_of_channel,
    named,
    run,
    run_channels,
    start_message,
    words,
)
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from speechmatics_sync import Client, ConfigurationError, TranscriptionError
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
    Moment,
    Refuse,
    Send,
    SendError,
    SessionRecord,
    Silence,
    StopReading,
    Warn,
    counted_audio,
)

CHUNK = 8000  # a quarter of a second
AUDIO = counted_audio(4)  # eight chunks of two words a second
ALL = ["w1", "w2", "w3", "w4"]
IN_SESSION = ["connected", "starting", "audio", "ending", "ended"]
GUARD = 0.2
"""Seconds of a wait for what must not come. Too short it could only miss a failure, never make
one."""


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def server(faults: Faults) -> Iterator[LocalServer]:
    with LocalServer(recognizer=CountedRecognizer(), strict=True, faults=faults) as server:
        yield server


class Talk(Wire):
    """Runs a session as far as the server lets it; returns how the connection ended."""

    def go(self, **config: Any) -> Talk:
        try:
            self.send(start_message(**config))
            while (message := self.next()) and message["message"] != "RecognitionStarted":
                pass
            if message:
                self.send(*chunks(AUDIO, CHUNK), {"message": "EndOfStream", "last_seq_no": 8})
                self.rest()
        except ConnectionClosed as closed:
            self.close_code = closed.rcvd.code if closed.rcvd else None
        return self

    @property
    def names(self) -> list[str]:
        return [message["message"] for message in self.received]


def talk(url: str, **options: Any) -> Talk:
    with Talk(url, **options) as wire:
        return wire.go()


def is_well(server: LocalServer) -> None:
    assert words(run(server.url, AUDIO, size=CHUNK).received) == ALL


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


def bare(server: LocalServer, **options: Any) -> socket.socket:
    """A TCP connection that has sent its handshake."""
    sock = socket.create_connection(("127.0.0.1", server.port), PATIENCE, **options)
    sock.sendall(
        b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    return sock


def everything(sock: socket.socket) -> bytes:
    """Return what comes until the end of the connection."""
    received = b""
    while data := sock.recv(65536):
        received += data
    return received


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


def of_the_server() -> list[str]:
    """The server's threads, without those of `websockets`."""
    names = (thread.name for thread in threading.enumerate())
    return [name for name in names if name.startswith("speechmatics-local")]


def lasting() -> list[Fault]:
    return [Silence(), Silence(reads=True), StopReading(), Drop("fin"), Close(1012)]


@pytest.mark.parametrize("moment", ["handshake", "connected", "audio"])
@pytest.mark.parametrize("fault", lasting(), ids=repr)
@pytest.mark.parametrize("end", ["stop", "drop_connections"])
def test_no_fault_outlives_its_server(fault: Fault, moment: str, end: str) -> None:
    if moment == "handshake" and moment not in fault.moments():
        pytest.skip("does not happen then")
    faults = Faults()
    faults.add(fault, at=moment)
    server = LocalServer(recognizer=CountedRecognizer(), faults=faults).start()
    try:
        with bare(server) as sock:
            if moment == "audio":
                text = json.dumps(start_message()).encode()
                size = bytes([0x81, 0xFE]) + len(text).to_bytes(2, "big")
                sock.sendall(size + bytes(4) + text)
            assert faults.wait(PATIENCE)
            if end == "drop_connections":
                server.drop_connections()
            else:
                server.stop()
                assert of_the_server() == []
            sock.settimeout(PATIENCE)
            with contextlib.suppress(ConnectionResetError):
                everything(sock)
        if end == "drop_connections":
            is_well(server)
    finally:
        server.stop()
    assert of_the_server() == []


def test_a_fault_happens_to_the_next_connection_only(server: LocalServer, faults: Faults) -> None:
    faults.add(Drop(), after_chunks=3)
    with Talk(server.url) as wire:
        wire.start()
        wire.send(*chunks(AUDIO[: 3 * CHUNK], CHUNK))
        assert len(named(wire.rest(), "AudioAdded")) == 3
    assert faults.happened[0].chunks == 3
    assert faults.pending == ()
    is_well(server)
    is_well(server)


def test_a_connection_that_does_not_come_so_far_leaves_the_fault_to_the_next(
    server: LocalServer, faults: Faults
) -> None:
    faults.add(Refuse(503), skip=2)
    faults.add(Close(1012), after_chunks=20)
    is_well(server)
    assert faults.pending == (Refuse(503), Close(1012))
    assert words(run(server.url, AUDIO, size=CHUNK // 2).received) == ALL
    with pytest.raises(InvalidStatus):
        talk(server.url)
    with Talk(server.url) as wire:
        wire.start()
        wire.send(*chunks(AUDIO[: 20 * 1000], 1000))
        wire.rest()
    assert wire.close_code == 1012
    assert [one.connection for one in faults.happened] == [3, 4]


def test_a_fault_happens_as_often_as_it_is_told_or_until_it_is_cleared(
    server: LocalServer, faults: Faults
) -> None:
    faults.add(Close(1001), at="starting", times=2)
    faults.add(Close(1012), at="starting", times=None)
    assert [talk(server.url).close_code for _ in range(5)] == [1001, 1001, 1012, 1012, 1012]
    faults.clear()
    is_well(server)
    assert len(faults.happened) == 5


def test_a_fault_happens_once_to_a_connection(server: LocalServer, faults: Faults) -> None:
    faults.add(Send({"message": "Once"}), after_chunks=2, times=2)
    for _ in range(2):
        assert len(named(run(server.url, AUDIO, size=CHUNK).received, "Once")) == 1
    is_well(server)


def test_faults_due_together_happen_in_their_order(server: LocalServer, faults: Faults) -> None:
    faults.add(Send({"message": "First"}), after_chunks=2)
    faults.add(Send({"message": "Second"}), after_chunks=2)
    faults.add(Close(1012), after_chunks=2)
    with Wire(server.url) as wire:
        wire.start()
        wire.send(*chunks(AUDIO[: 2 * CHUNK], CHUNK))
        wire.rest()
    assert [message["message"] for message in wire.received[-2:]] == ["First", "Second"]
    assert wire.close_code == 1012


def test_seconds_are_those_of_the_audio(server: LocalServer, faults: Faults) -> None:
    faults.add(Drop(), after_seconds=1.01)
    with Wire(server.url) as wire:
        wire.start()
        wire.send(*chunks(AUDIO[: 5 * CHUNK], CHUNK))
        assert len(named(wire.rest(), "AudioAdded")) == 5
    assert faults.happened[0].chunks == 5


@pytest.mark.parametrize(
    ("when", "chunks_then"),
    [({"after_chunks": 5}, 5), ({"after_chunks": 3, "channel": "b"}, 6), ({"after_seconds": 1}, 7)],
)
def test_in_a_session_by_channel_chunks_count_for_all_or_for_one(
    server: LocalServer, faults: Faults, when: dict[str, Any], chunks_then: int
) -> None:
    faults.add(Close(1012), **when)
    with Wire(server.url) as wire:
        wire.start_channels("a", "b")
        for number, chunk in enumerate(chunks(AUDIO, CHUNK)):
            wire.send(channel_audio("a", chunk))
            if number < 3:
                wire.send(channel_audio("b", chunk))
            if 2 * min(number + 1, 3) + max(number - 2, 0) >= chunks_then:
                break
        wire.rest()
    assert wire.close_code == 1012
    assert faults.happened[0].chunks == chunks_then
    assert len(named(wire.received, "ChannelAudioAdded")) == chunks_then


@pytest.mark.parametrize("moment", ["ending", "ended"])
@pytest.mark.parametrize("by", ["EndOfStream", "EndOfChannel"])
def test_the_end_of_a_session_by_channel_is_when_no_channel_is_open(
    server: LocalServer, faults: Faults, by: str, moment: str
) -> None:
    # The last word goes on to the end of the audio, so it is final at the end, all others before.
    audio = AUDIO + counted_audio(1, first=5)[: CHUNK + 16]
    faults.add(Drop(), at=moment)
    with Wire(server.url) as wire:
        wire.start_channels("a", "b")
        wire.send(channel_audio("a", audio), channel_audio("b", audio))
        if by == "EndOfStream":
            wire.send({"message": "EndOfStream", "last_seq_no": 2})
        else:
            wire.send(end_of_channel("a", 1), end_of_channel("b", 1))
        wire.rest()
    finals = [message["channel"] for message in named(wire.received, "AddTranscript")]
    last = [
        message["channel"]
        for message in named(wire.received, "AddTranscript")
        if "w5" in message["metadata"]["transcript"]
    ]
    assert set(finals) == {"a", "b"}
    if moment == "ended":
        assert sorted(last) == ["a", "b"]
    else:
        assert last == ([] if by == "EndOfStream" else ["a"])


def test_a_fault_can_wait_for_a_condition(server: LocalServer, faults: Faults) -> None:
    def spoken_twice(record: SessionRecord) -> bool:
        return any(message["message"] == "GetSpeakers" for message in record.messages)

    faults.add(Close(1012), when=spoken_twice)
    is_well(server)
    with Wire(server.url) as wire:
        wire.start()
        wire.send(AUDIO, {"message": "GetSpeakers"})
        wire.rest()
    assert wire.close_code == 1012


def test_a_fault_that_is_added_meets_a_session_that_runs(
    server: LocalServer, faults: Faults
) -> None:
    released = threading.Event()
    with Wire(server.url) as wire:
        wire.start()
        faults.add(Send({"message": "Now"}))
        wire.until("Now")
        faults.add(Close(1012), when=lambda record: released.is_set())
        assert not faults.wait(GUARD, count=2)
        released.set()
        wire.rest()
    assert wire.close_code == 1012


def test_one_schedule_serves_several_servers(faults: Faults) -> None:
    faults.add(Refuse(503), times=2)
    for _ in range(2):
        server = LocalServer(recognizer=CountedRecognizer(), faults=faults)
        with server, pytest.raises(InvalidStatus):
            talk(server.url)
    assert [one.connection for one in faults.happened] == [1, 2]


def test_nobody_waits_longer_than_asked_for_what_does_not_happen(faults: Faults) -> None:
    assert faults.wait(0) is False
    assert faults.wait(0, count=0) is True


def test_a_client_is_told_what_it_would_be_told_by_the_service(
    server: LocalServer, faults: Faults
) -> None:
    faults.add(SendError("timelimit_exceeded", "spent"), after_seconds=1.0)
    with Client(url=server.url, reconnect=None) as client:
        with pytest.raises(TranscriptionError) as failed:
            client.transcribe([AUDIO[:CHUNK]] * 20, audio_format=raw())
        assert (failed.value.type, failed.value.close_code) == ("timelimit_exceeded", 4006)


def raw() -> Any:
    from speechmatics_sync import AudioEncoding, AudioFormat

    return AudioFormat(AudioEncoding.PCM_S16LE, sample_rate=16000)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Drop("off"), ["Drop.how", "'off'", "'reset', 'fin'"]),
        (lambda: Drop(mid_frame=1), ["Drop.mid_frame", "1", "True or False"]),  # type: ignore[arg-type]
        (lambda: Refuse(101), ["Refuse.status", "101", "300 to 599"]),
        (lambda: Refuse([]), ["Refuse.status", "[]"]),  # type: ignore[arg-type]
        (lambda: Refuse(503, retry_after=-1), ["Refuse.retry_after", "-1", "at least 0"]),
        (lambda: Refuse(503, retry_after="1\r\nX: y"), ["Refuse.retry_after", "printable"]),
        (lambda: Close(1006), ["Close.code", "1006", "Drop()"]),
        (lambda: Close(999), ["Close.code", "999", "1000 to 4999"]),
        (lambda: Close(1012, "ü" * 62), ["Close.reason", "123 bytes"]),
        (lambda: Close(None, "why"), ["Close.reason", "'why'", "only with a code"]),
        (lambda: SendError(""), ["SendError.type", "''", "not empty"]),
        (lambda: SendError("x", close_code=5000), ["SendError.close_code", "5000"]),
        (lambda: SendError("x", code=True), ["SendError.code", "True", "integer"]),
        (lambda: Warn("x", fields={"a": object()}), ["Warn.fields", "JSON"]),
        (lambda: EndEarly(-1), ["EndEarly.ignored_chunks", "-1", "at least 0"]),
        (lambda: HoldAcknowledgements(0), ["HoldAcknowledgements.chunks", "0", "at least 1"]),
        (lambda: HoldAcknowledgements(seconds=float("nan")), ["seconds", "nan", "finite"]),
        (lambda: HoldAcknowledgements(1, 1), ["HoldAcknowledgements.seconds", "1", "None"]),
        (lambda: Silence("no"), ["Silence.reads", "'no'"]),  # type: ignore[arg-type]
        (lambda: Send(3), ["Send.content", "3", "bytes"]),  # type: ignore[arg-type]
        (lambda: Garbage("x"), ["Garbage.kind", "'x'", "'not_json'"]),
        (lambda: Faults().add(Drop), ["fault", "Drop()"]),  # type: ignore[arg-type]
        (lambda: Faults().add(Drop(), at="later"), ["Drop.at", "'later'", "'handshake'"]),
        (lambda: Faults().add(Refuse(503), at="audio"), ["Refuse.at", "audio", "'handshake'"]),
        (lambda: Faults().add(EndEarly(), at="ended"), ["EndEarly.at", "'ended'", "'audio'"]),
        (lambda: Faults().add(Drop(mid_frame=True), at="handshake"), ["Drop.at", "'connected'"]),
        (lambda: Faults().add(Drop(), at="ended", after_chunks=1), ["at", "ended", "'audio'"]),
        (lambda: Faults().add(Drop(), after_chunks=-1), ["after_chunks", "-1", "at least 0"]),
        (lambda: Faults().add(Drop(), after_seconds="1"), ["after_seconds", "'1'", "seconds"]),  # type: ignore[arg-type]
        (lambda: Faults().add(Drop(), channel=""), ["channel", "''"]),
        (lambda: Faults().add(Drop(), times=0), ["times", "0", "at least 1"]),
        (lambda: Faults().add(Drop(), skip=-1), ["skip", "-1", "at least 0"]),
        (lambda: Faults().add(Drop(), when=1), ["when", "1", "callable"]),  # type: ignore[arg-type]
        (lambda: LocalServer(recognizer=CountedRecognizer(), faults=[]), ["faults", "[]"]),  # type: ignore[arg-type]
    ],
)
def test_what_is_not_possible_is_refused_by_name_value_and_what_is_allowed(
    make: Any, told: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        make()
    assert all(part in str(refused.value) for part in told), str(refused.value)


def test_a_fault_cannot_be_changed_and_a_moment_is_its_name() -> None:
    with pytest.raises(AttributeError):
        Drop().how = "fin"  # type: ignore[misc]
    assert [Moment(name) for name in IN_SESSION] == [*Moment][1:]
