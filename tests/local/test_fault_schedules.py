"""When faults happen, to which connection, and how often."""

from __future__ import annotations

import contextlib
import json
import threading
from typing import Any

import pytest
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
    Wire,
    channel_audio,
    chunks,
    end_of_channel,
    named,
    run,
    start_message,
    words,
)
from websockets.exceptions import InvalidStatus

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

__all__ = ["faults", "server"]


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
