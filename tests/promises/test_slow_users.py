"""Handlers that are slower than the server: what waits is bounded, and nothing final is dropped."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any, Callable, Optional

import pytest
from support.channel_server import ChannelServer
from support.fault_proxying import Counted, Witness
from support.serving import PATIENCE, Peer, final, listening, serving
from support.sessions import (
    END_OF_TRANSCRIPT,
    RAW,
    Blocking,
    InThread,
    client_of,
    let_sources_go,
    receive_frame,
    send_frame,
    speech,
    start_below,
    wait_for,
)

from speechmatics_sync import (
    AudioFormat,
    Client,
    ConnectionConfig,
    MultiChannelClient,
    ReconnectPolicy,
    SessionStats,
    TranscriptionConfig,
)
from speechmatics_sync.local import CountedRecognizer, Drop, Faults, LocalServer

__all__ = ["let_sources_go"]

SOON = ReconnectPolicy(initial_delay=0.01, max_delay=0.05, busy_delay=0.05)
Message = dict[str, Any]


def guess(
    number: int, channel: Optional[str] = None, language: Optional[str] = None, **changes: Any
) -> Message:
    """A partial that can be told from others."""
    name = "AddPartialTranscript" if language is None else "AddPartialTranslation"
    message: Message = {"message": name, "number": number, "results": [], **changes}
    if channel is not None:
        message["channel"] = channel
    if language is not None:
        message["language"] = language
    return message


def news(number: int) -> Message:
    return {"message": "Novelty", "number": number}


def received(messages: list[Message], *, max_queue: Optional[int]) -> list[Message]:
    """What handlers are given that begin only when all these messages have come.

    So many must not be left waiting that reading pauses.
    """
    busy, go_on = threading.Event(), threading.Event()
    seen: list[Message] = []

    def behave(peer: Peer) -> None:
        peer.start()
        wait_for(busy)
        peer.send(*messages)
        peer.finish()

    def wait(message: Message) -> None:
        busy.set()
        wait_for(go_on)

    with serving(behave) as url, client_of(url, max_queue=max_queue) as client:
        client.on("RecognitionStarted", wait)
        for name in {message["message"] for message in messages}:
            client.on(name, seen.append)
        client.start_session(audio_format=RAW)
        wait_until(lambda: client.stats.messages_received == 1 + len(messages))
        go_on.set()
        client.stop_session(timeout=PATIENCE)
    return seen


def wait_until(true: Callable[[], Any]) -> None:
    """Look until it is so: of figures, nothing tells when they change."""
    given_up = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < given_up, "what the test waits for does not happen"


def numbers(messages: list[Message]) -> list[int]:
    return [message["number"] for message in messages]


# -- partials that are superseded ---------------------------------------------------------------


def test_a_partial_takes_the_place_of_one_that_waits_once_half_of_the_queue_is_full() -> None:
    seen = received([guess(number) for number in range(20)], max_queue=8)
    # The first five fill half of the queue and one more; then each supersedes the one before.
    assert numbers(seen) == [0, 1, 2, 3, 19]


def test_a_partial_keeps_its_place_behind_what_came_before_it() -> None:
    seen = received(
        [*map(news, range(5)), guess(5), news(6), guess(7), news(8), guess(9), news(10)],
        max_queue=9,
    )
    assert numbers(seen) == [0, 1, 2, 3, 4, 6, 8, 9, 10]


def test_no_partial_is_dropped_while_less_than_half_of_the_queue_is_full() -> None:
    seen = received([guess(number) for number in range(20)], max_queue=50)
    assert numbers(seen) == list(range(20))


def test_no_partial_is_dropped_from_a_queue_without_a_limit() -> None:
    seen = received([guess(number) for number in range(500)], max_queue=None)
    assert numbers(seen) == list(range(500))


def test_only_a_partial_of_the_same_name_channel_and_language_is_superseded() -> None:
    kinds = [
        {},
        {"channel": "agent"},
        {"channel": "customer"},
        {"language": "de"},
        {"language": "fr"},
        {"language": "de", "channel": "agent"},
    ]
    first = [guess(number, **kind) for number, kind in enumerate(kinds)]
    second = [guess(number, **kind) for number, kind in enumerate(kinds, len(kinds))]
    filling = [news(100 + number) for number in range(12)]
    assert received([*filling, *first], max_queue=20) == [*filling, *first]
    assert received([*filling, *first, *second], max_queue=20) == [*filling, *second]


@pytest.mark.parametrize("changes", [{"channel": ["agent"]}, {"language": {"of": "it"}}])
def test_a_partial_that_is_not_what_it_should_be_supersedes_nothing(changes: Message) -> None:
    messages = [guess(number, **changes) for number in range(8)]
    assert received(messages, max_queue=8) == messages


@pytest.mark.parametrize(
    "message",
    [
        final("word"),
        {"message": "AddTranslation", "language": "de", "results": []},
        {"message": "EndOfUtterance", "metadata": {"end_time": 1.0}},
        {
            "message": "AudioEventStarted",
            "event": {"type": "music", "start_time": 1.0, "confidence": 1},
        },
        {"message": "LanguageInfo", "language": "en", "partial": True},
        {"message": "Info", "type": "recognition_quality"},
        {"message": "Novelty"},
    ],
    ids=lambda message: message["message"],
)
def test_nothing_but_partials_is_dropped_however_full_the_queue_is(message: Message) -> None:
    messages = [{**message, "number": number} for number in range(30)]
    assert numbers(received(messages, max_queue=30)) == list(range(30))


def test_a_stream_that_is_pulled_slowly_gives_the_last_partial_and_every_final() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        for number in range(3):
            peer.send(final(f"word{number}", number, number + 1))
        for number in range(50):
            peer.send(guess(number))
        peer.finish()

    with serving(behave) as url, client_of(url, max_queue=6) as client:
        with client.stream(speech(0.1), audio_format=RAW) as stream:
            wait_until(lambda: client.stats.messages_received >= 1 + 3 + 50)
            pulled = [message for message in stream if message["message"] != "AudioAdded"]
        partials = [message for message in pulled if message["message"] == "AddPartialTranscript"]
        assert numbers(partials) == [49]
        assert client.stats.partials_superseded == 49
        assert stream.transcript.text == "word0 word1 word2"


# -- a loss meanwhile ---------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["reset", "fin"])
def test_handlers_behind_the_server_are_given_every_final_also_of_a_connection_that_is_lost(
    how: str,
) -> None:
    counted = Counted(first=1, count=40)
    faults = Faults()
    faults.add(Drop(how), after_seconds=8)
    dropped = threading.Event()
    with LocalServer(recognizer=CountedRecognizer(), strict=True, faults=faults) as server:
        limits = ConnectionConfig(max_queue=4, max_unacked_chunks=200)
        with Client(url=server.url, conn_config=limits, reconnect=SOON) as client:
            witness = Witness(client, {None: counted})
            client.once("AddTranscript", lambda message: wait_for(dropped))
            config = TranscriptionConfig(max_delay=1, enable_partials=True)
            call = InThread(
                client.transcribe,
                counted.audio(),
                audio_format=RAW,
                transcription_config=config,
                timeout=PATIENCE,
            )
            wait_until(lambda: faults.happened)
            dropped.set()
            transcript = call.result()
            assert witness.problems(transcript, client.stats) == []
        assert witness.outages == 1


def test_pings_go_on_while_reading_pauses_over_the_second_connection_too() -> None:
    """Told by a server below the WebSocket, which sees each ping. The limits do not count."""
    go_on = threading.Event()
    connections: list[int] = []
    pings: list[int] = []

    def behave(connection: socket.socket) -> None:
        start_below(connection)
        connections.append(1)
        if len(connections) == 1:
            return
        for number in range(200):
            send_frame(connection, news(number))
        while len(pings) < 5:
            opcode, _ = receive_frame(connection)
            if opcode == 9:
                pings.append(opcode)
            if opcode == 2:
                send_frame(connection, {"message": "AudioAdded", "seq_no": 1})
        go_on.set()
        while True:
            opcode, payload = receive_frame(connection)
            if opcode == 9:
                send_frame(connection, payload, opcode=10)
            elif opcode == 2:
                send_frame(connection, {"message": "AudioAdded", "seq_no": 1})
            elif b"EndOfStream" in payload:
                send_frame(connection, END_OF_TRANSCRIPT)

    limits = {"ping_interval": 0.05, "ping_timeout": 0.1, "max_queue": 4, "close_timeout": 0.2}
    source = Blocking()
    seen: list[int] = []
    with listening(behave) as port, _client(port, **limits) as client:
        client.on("SessionReconnected", lambda message: wait_for(go_on))
        client.on("Novelty", lambda message: seen.append(message["number"]))
        call = InThread(client.transcribe, _then_nothing(source), audio_format=RAW)
        wait_for(go_on)
        source.released.set()
        call.result()
    assert seen == list(range(200))
    assert len(connections) == 2


def _client(port: int, **limits: Any) -> Client:
    return client_of(f"ws://localhost:{port}", reconnect=SOON, **limits)


def _then_nothing(source: Blocking) -> Any:
    yield speech(0.1)
    source.read(1)


# -- what stats tell ----------------------------------------------------------------------------


def test_stats_tell_how_far_the_server_and_the_handlers_are_behind() -> None:
    acknowledge, told, go_on = threading.Event(), threading.Event(), threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        for _ in range(3):
            audio = peer.receive()
            assert isinstance(audio, bytes)
            peer.audio.append(audio)
        wait_for(acknowledge)
        peer.send({"message": "AudioAdded", "seq_no": 2})
        peer.send(*[final(f"word{number}", 0.1 * number, 0.1 + 0.1 * number) for number in (0, 1)])
        peer.send(news(0))
        told.set()
        assert peer.take_audio() == {"message": "EndOfStream", "last_seq_no": 3}
        peer.send({"message": "AudioAdded", "seq_no": 3}, END_OF_TRANSCRIPT)

    with serving(behave) as url, client_of(url, max_unacked_chunks=3) as client:
        assert client.stats == SessionStats()
        client.on("AddTranscript", lambda message: wait_for(go_on))
        client.start_session(audio_format=RAW)
        for _ in range(3):
            client.send_audio(speech(0.5))
        stats = client.stats
        assert (stats.window, stats.chunks_sent, stats.chunks_acknowledged) == (3, 3, 0)
        assert (stats.seconds_sent, stats.seconds_acknowledged) == (1.5, 0.0)
        assert stats.seconds_unacknowledged == 1.5
        assert (stats.round_trip, stats.final_delay) == (None, None)
        acknowledge.set()
        wait_for(told)
        wait_until(lambda: client.stats.messages_received == 1 + 1 + 2 + 1)
        stats = client.stats
        assert stats.messages_waiting >= 2, "a final and what came after it"
        assert (stats.chunks_acknowledged, stats.seconds_acknowledged) == (2, 1.0)
        assert stats.seconds_unacknowledged == 0.5
        assert stats.round_trip is not None
        assert stats.final_delay == pytest.approx(1.3)
        assert stats.reconnects == 0
        go_on.set()
        client.stop_session()
        assert client.stats.messages_waiting == 0
        assert client.stats.seconds_unacknowledged == 0.0


def test_stats_count_reconnects() -> None:
    faults = Faults()
    faults.add(Drop(), after_chunks=3, times=2)
    with LocalServer(recognizer=CountedRecognizer(), faults=faults) as server:
        client = Client(url=server.url, reconnect=SOON)
        client.transcribe(Counted(first=1, count=20).audio(), audio_format=RAW)
        stats = client.stats
    assert stats.reconnects == 2
    assert stats.chunks_acknowledged == stats.chunks_sent
    assert (stats.seconds_sent, stats.seconds_unacknowledged) == (10.0, 0.0)


def test_stats_of_several_channels_tell_of_the_one_that_is_furthest_behind() -> None:
    server = ChannelServer(slow=("customer",))
    with serving(server) as url:
        limits = ConnectionConfig(max_unacked_chunks=9)
        with MultiChannelClient(url=url, conn_config=limits, reconnect=None) as client:
            client.start_session(channels=["agent", "customer"], audio_format=RAW)
            assert client.stats.window == 8, "the same for each channel"
            client.send_audio("agent", speech(1.0))
            client.send_audio("customer", speech(0.25))
            wait_until(lambda: client.stats.chunks_acknowledged == 1)
            stats = client.stats
            assert (stats.seconds_sent, stats.seconds_acknowledged) == (1.0, 1.0)
            assert stats.seconds_unacknowledged == 0.25
            server.let_go.set()
            client.send_audio("customer", speech(0.25))
            client.stop_session()
            assert client.stats.seconds_unacknowledged == 0.0


def test_stats_of_a_file_know_no_seconds() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.finish()

    with serving(behave) as url, client_of(url, max_unacked_chunks=7) as client:
        client.transcribe(b"RIFF, in a manner of speaking", audio_format=AudioFormat())
        stats = client.stats
    assert (stats.seconds_sent, stats.seconds_unacknowledged) == (None, None)
    assert stats.window == 7
