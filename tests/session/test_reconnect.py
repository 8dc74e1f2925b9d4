"""A connection that is lost, as the user of the session sees it: two events, and nothing else.

What is sent again is in `test_reconnect_sources`, what is tried again in `test_reconnect_retries`.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from typing import Any

import pytest
from support.reconnecting import (
    POLICY,
    RECONNECTED,
    RECONNECTING,
    WORD,
    Heard,
    Legs,
    after,
    cut,
    finishes,
    hears,
    loses,
    noise,
    pieces,
    refuses,
    served,
    spoken,
)
from support.serving import PATIENCE, STARTED, Peer, final
from support.sessions import RAW, InThread, client_of, wait_for

from speechmatics_sync import (
    AudioError,
    Client,
    ConnectionError,
    TimeoutError,
)

INFO = {"message": "Info", "type": "recognition_quality", "reason": "broadcast"}


KEY = "a-very-secret-key"


def gated(chunks: list[bytes], at: int, gate: threading.Event) -> Any:
    """A source that gives so many chunks, and the others when the test says so."""
    yield from chunks[:at]
    wait_for(gate)
    yield from chunks[at:]


# -- the two events -----------------------------------------------------------------------------


def test_an_outage_of_several_attempts_is_told_by_one_event_of_each_kind() -> None:
    chunks = pieces(noise(4))
    back = threading.Event()
    legs = Legs(loses(20, WORD), refuses, refuses, finishes(("new", 1.5, 2.0)))
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client)
        client.on(RECONNECTED, lambda message: back.set())
        client.transcribe(gated(chunks, 20, back), audio_format=RAW, timeout=PATIENCE)
    lost, found = heard.one(RECONNECTING), heard.one(RECONNECTED)
    reason = "The connection was lost in the middle of the session."
    assert lost == {
        "message": RECONNECTING,
        "attempt": 1,
        "reason": reason,
        "audio_time": 1.3,
        "seconds_replayed": pytest.approx(1.8),
        "seconds_lost": 0,
    }
    assert found == {
        **lost,
        "message": RECONNECTED,
        "attempt": 3,
        "session_id": "session-2",
    }
    names = [name for name in heard.names if name != "AudioAdded"]
    assert names == [
        "RecognitionStarted",
        "AddTranscript",
        RECONNECTING,
        RECONNECTED,
        "AddTranscript",
        "EndOfTranscript",
    ]


def test_the_events_come_in_their_place_in_a_stream() -> None:
    legs = Legs(loses(20, WORD), finishes(("new", 1.5, 2.0)))
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        stream = client.stream(noise(4), audio_format=RAW, timeout=PATIENCE)
        names = [message["message"] for message in stream]
    assert names == [
        "RecognitionStarted",
        "AddTranscript",
        RECONNECTING,
        RECONNECTED,
        "AddTranscript",
        "EndOfTranscript",
    ]


def test_each_outage_has_events_of_its_own() -> None:
    legs = Legs(loses(20, WORD), loses(20, ("second", 1.3, 1.9)), finishes(("third", 1.6, 2.0)))
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client, RECONNECTING, RECONNECTED)
        transcript = client.transcribe(noise(6), audio_format=RAW, timeout=PATIENCE)
    assert heard.names == [RECONNECTING, RECONNECTED] * 2
    # Settled audio is progress: the attempts are counted anew.
    assert [message["attempt"] for message in heard.messages] == [1, 1, 1, 1]
    # The second connection begins at 0.2 s, the third at 1.0 s.
    assert [message["audio_time"] for message in heard.messages] == [1.3, 1.3, 2.1, 2.1]
    assert spoken(transcript) == [WORD, ("second", 1.5, 2.1), ("third", 2.6, 3.0)]


# -- one session --------------------------------------------------------------------------------


def test_the_request_keeps_its_id_and_the_session_gets_another() -> None:
    legs = Legs(loses(20, WORD), finishes())
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        ids = []
        for name in (RECONNECTING, RECONNECTED):
            client.on(name, lambda message: ids.append((client.request_id, client.session_id)))
        client.transcribe(noise(3), audio_format=RAW, timeout=PATIENCE)
        requests = [peer.headers["X-Request-Id"] for peer in legs.peers]
        assert requests == [client.request_id] * 2
        assert {request for request, _ in ids} == {client.request_id}
        assert ids[-1][1] == client.session_id == "session-2"


def test_recognition_started_and_info_come_once() -> None:
    def again(peer: Peer) -> None:
        peer.send(INFO)
        peer.start(id="session-2")
        peer.send(INFO)
        peer.finish()

    def first(peer: Peer) -> None:
        peer.send(INFO)
        loses(20, WORD)(peer)

    with served(Legs(first, again)) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client)
        client.transcribe(noise(3), audio_format=RAW, timeout=PATIENCE)
    assert heard.one("RecognitionStarted") == STARTED
    assert heard.one("Info") == INFO
    assert heard.one(RECONNECTED)["session_id"] == "session-2"


def test_the_log_tells_which_session_of_the_server_it_is_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "speechmatics_sync")
    legs = Legs(loses(20, WORD), finishes())
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        client.transcribe(noise(3), audio_format=RAW, timeout=PATIENCE)
        request_id = client.request_id
    records: list[Any] = [record for record in caplog.records if hasattr(record, "session_id")]
    assert {record.request_id for record in records} == {request_id}
    ids = [record.session_id for record in records]
    assert list(dict.fromkeys(ids)) == [None, "session-1", "session-2"]
    assert all(f"session_id={record.session_id}" in record.getMessage() for record in records)


def test_every_loss_is_a_warning_with_its_attempt_and_delay_and_no_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    legs = Legs(loses(20, WORD), refuses, finishes())
    with served(legs) as url, Client(url=url, api_key=KEY, reconnect=POLICY) as client:
        heard = Heard(client)
        client.transcribe(noise(3), audio_format=RAW, timeout=PATIENCE)
        assert legs.peers[-1].headers["Authorization"] == f"Bearer {KEY}"
    ours = [record for record in caplog.records if record.name.startswith("speechmatics_sync")]
    warnings = [record.getMessage() for record in ours if record.levelname == "WARNING"]
    assert len(warnings) == 2
    assert "Attempt 1 to reconnect in 0.0 s" in warnings[0]
    assert "Attempt 2 to reconnect in 0.0 s" in warnings[1]
    assert not any(KEY in record.getMessage() for record in ours)
    assert KEY not in repr(heard.messages)


# -- without reconnecting -----------------------------------------------------------------------


def test_without_a_policy_a_loss_ends_the_session() -> None:
    with served(Legs(loses(20, WORD))) as url, client_of(url, reconnect=None) as client:
        heard = Heard(client)
        with pytest.raises(ConnectionError, match=r"was lost.*Check the network") as raised:
            client.transcribe(noise(3), audio_format=RAW, timeout=PATIENCE)
    assert spoken(raised.value.transcript) == [WORD]
    assert RECONNECTING not in heard.names
    assert RECONNECTED not in heard.names


def test_what_was_said_before_and_after_the_loss_is_one_transcript() -> None:
    # The second connection begins at 0.2 s and hears the settled word again.
    again = [("settled", 0.4, 1.1), ("and", 1.1, 1.5), ("on", 1.6, 1.9)]
    legs = Legs(loses(20, WORD), finishes(*again))
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client, "AddTranscript")
        transcript = client.transcribe(noise(3), audio_format=RAW, timeout=PATIENCE)
    assert spoken(transcript) == [WORD, ("and", 1.3, 1.7), ("on", 1.8, 2.1)]
    assert transcript.text == "settled and on"
    assert transcript.gaps == []
    assert [message["metadata"]["transcript"] for message in heard.messages] == [
        "settled ",
        "and ",
        "on ",
    ]


def test_a_partial_of_the_lost_connection_never_becomes_a_word() -> None:
    guess = {**final("guess", 1.3, 1.9), "message": "AddPartialTranscript"}

    def first(peer: Peer) -> None:
        hears(peer, 20, WORD)
        peer.send(guess)
        cut(peer)

    legs = Legs(first, finishes(("truth", 1.1, 1.7)))
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client)
        transcript = client.transcribe(noise(3), audio_format=RAW, timeout=PATIENCE)
    assert heard.one("AddPartialTranscript") == guess
    assert spoken(transcript) == [WORD, ("truth", 1.3, 1.9)]


# -- pushed sessions ----------------------------------------------------------------------------


def test_a_pushed_session_may_end_its_audio_during_an_outage() -> None:
    lost, back = threading.Event(), threading.Event()
    audio = noise(2)
    legs = Legs(loses(5), after(back, finishes(("late", 0.5, 1.0))))
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        client.on(RECONNECTING, lambda message: lost.set())
        client.start_session(audio_format=RAW)
        chunks = pieces(audio)
        for chunk in chunks[:5]:
            client.send_audio(chunk)
        wait_for(lost)
        for chunk in chunks[5:]:
            client.send_audio(chunk, timeout=PATIENCE)
        client.end_of_stream()
        stopping = InThread(client.stop_session, timeout=PATIENCE)
        back.set()
        transcript = stopping.result()
    assert b"".join(legs.peers[1].audio) == audio
    assert spoken(transcript) == [("late", 0.5, 1.0)]


def test_a_session_waiting_for_its_end_gets_it_from_another_connection() -> None:
    def first(peer: Peer) -> None:
        peer.start()
        peer.take_audio()
        peer.send(final("first", 0.2, 0.8))
        cut(peer)

    legs = Legs(first, finishes(("first", 0.2, 0.8), ("last", 1.0, 1.5)))
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        client.start_session(audio_format=RAW)
        client.send_audio(noise(2))
        transcript = client.stop_session(timeout=PATIENCE)
    assert spoken(transcript) == [("first", 0.2, 0.8), ("last", 1.0, 1.5)]


def test_stats_count_the_outages() -> None:
    policy = dataclasses.replace(POLICY, max_attempts=5)
    legs = Legs(loses(20, WORD), refuses, loses(20), finishes())
    with served(legs) as url, client_of(url, reconnect=policy) as client:
        heard = Heard(client, RECONNECTED)
        client.transcribe(noise(3), audio_format=RAW, timeout=PATIENCE)
        assert client.stats.reconnects == len(heard.messages) == 2


# -- limits and errors during an outage ---------------------------------------------------------


def test_the_limit_of_the_whole_call_holds_during_an_outage() -> None:
    policy = dataclasses.replace(POLICY, initial_delay=30, max_delay=30)
    legs = Legs(loses(20, WORD), refuses)
    with (
        served(legs) as url,
        client_of(url, reconnect=policy) as client,
        pytest.raises(TimeoutError, match="timeout") as raised,
    ):
        client.transcribe(noise(3), audio_format=RAW, timeout=0.5)
    assert spoken(raised.value.transcript) == [WORD]


def test_what_a_source_raises_during_an_outage_is_raised_at_once() -> None:
    policy = dataclasses.replace(POLICY, initial_delay=30, max_delay=30)
    lost = threading.Event()

    def failing() -> Any:
        yield from pieces(noise(2))
        wait_for(lost)
        raise OSError("the microphone is gone")

    legs = Legs(loses(20, WORD), refuses)
    with served(legs) as url, client_of(url, reconnect=policy) as client:
        client.on(RECONNECTING, lambda message: lost.set())
        with pytest.raises(AudioError, match="the microphone is gone") as raised:
            client.transcribe(failing(), audio_format=RAW, timeout=PATIENCE)
    assert spoken(raised.value.transcript) == [WORD]


def test_a_handler_that_raises_during_an_outage_ends_the_session() -> None:
    def refuse(message: object) -> None:
        raise KeyError("mine")

    policy = dataclasses.replace(POLICY, initial_delay=30, max_delay=30)
    legs = Legs(loses(20, WORD), refuses)
    with served(legs) as url, client_of(url, reconnect=policy) as client:
        client.on(RECONNECTING, refuse)
        with pytest.raises(KeyError, match="mine"):
            client.transcribe(noise(3), audio_format=RAW, timeout=PATIENCE)
