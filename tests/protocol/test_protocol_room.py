"""How much audio a session takes now: each channel has its share of the window, and none runs far
ahead of another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.protocol.session_legs import (
    added,
    hear,
    leg_of,
    push,
    read,
    replaced,
    second,
    sent,
    session,
)
from support.serving import final

from speechmatics_sync import SessionError, TranscriptionConfig
from speechmatics_sync._protocol.session import Protocol


def taken(protocol: Protocol, chunks: Sequence[bytes], label: Any, now: float) -> int:
    """How many of the chunks are taken one after another, each sent before the next is offered."""
    for count, chunk in enumerate(chunks):
        if not protocol.has_room(label, now):
            return count
        protocol.refill(chunk, label)
        sent(protocol)
    return len(chunks)


@given(
    labels=st.sampled_from([(), ("a",), ("a", "b"), ("a", "b", "c")]),
    window=st.integers(1, 12),
    before=st.tuples(*[st.lists(st.integers(1, 1200), max_size=3)] * 3),
    acknowledged=st.integers(0, 3),
    sizes=st.lists(st.integers(1, 700), min_size=1, max_size=12),
    slow=st.booleans(),
    ended=st.booleans(),
)
def test_there_is_room_for_no_more_chunks_than_are_taken_one_after_another(
    labels: tuple[str, ...],
    window: int,
    before: tuple[list[int], ...],
    acknowledged: int,
    sizes: list[int],
    slow: bool,
    ended: bool,
) -> None:
    names: Sequence[Optional[str]] = labels or (None,)
    chunks = [bytes(size) for size in sizes]

    def prepared() -> Protocol:
        protocol = session(*labels, window=window, pushed=False)
        for label, earlier in zip(names, before):
            protocol.channels[label].rereadable = True
            taken(protocol, [bytes(size) for size in earlier], label, 9.0)
        if 0 < acknowledged <= protocol.channels[names[0]].sent:
            hear(protocol, added(acknowledged, names[0]))
        last = protocol.channels[names[-1]]
        last.read_since = 0.0 if slow else None
        if ended and len(names) > 1:
            protocol.end_audio(names[-1])
            sent(protocol)
        return protocol

    room = prepared().room_for(chunks, names[0], 9.0)
    one_by_one = taken(prepared(), chunks, names[0], 9.0)
    # Of several channels, each chunk counts as a lead, though another may have been ahead.
    assert (min(1, one_by_one) if labels[1:] else one_by_one) <= room <= one_by_one


def test_the_window_is_shared_out_and_each_channel_has_one_chunk_at_least() -> None:
    for window, share in ((1, 1), (2, 1), (3, 1), (4, 2), (9, 4)):
        protocol = session("a", "b", window=window)
        for label in ("a", "b"):
            assert taken(protocol, [b"x"] * 10, label, 0.0) == share
            assert protocol.room_for([b"x"], label) == 0
        assert protocol.window == 2 * share


def test_a_channel_that_waits_for_the_window_holds_up_no_other() -> None:
    protocol = session("a", "b", window=2)
    push(protocol, 0, 1, label="a")
    assert len(sent(protocol)) == 1
    assert not protocol.has_room("a")
    assert protocol.has_room("b")
    push(protocol, 0, label="b")
    assert len(sent(protocol)) == 1
    hear(protocol, added(1, "a"))
    assert len(sent(protocol)) == 1
    assert not protocol.has_room("a")
    hear(protocol, added(2, "a"))
    assert protocol.has_room("a")


@pytest.mark.parametrize("pushed", [True, False])
def test_what_is_pushed_may_run_ahead_for_the_one_who_pushes_decides(pushed: bool) -> None:
    protocol = session("a", "b", pushed=pushed)
    for label in ("a", "b"):
        protocol.channels[label].rereadable = not pushed
    protocol.refill(second(0) + b"x", "a")
    sent(protocol)
    assert protocol.has_room("a") is pushed
    assert protocol.has_room("b")


def test_a_channel_takes_no_more_at_once_than_it_may_be_ahead_of_the_others() -> None:
    protocol = session("a", "b", pushed=False)
    for size, room in ((400, 3), (500, 3), (501, 2), (1200, 1)):
        assert protocol.room_for([bytes(size)] * 6, "a") == room


def test_audio_cannot_be_sent_in_a_channel_that_has_ended_and_can_in_others() -> None:
    protocol = session("a", "b")
    assert not protocol.waits()
    protocol.end_audio("a")
    assert protocol.waits()
    sent(protocol)
    with pytest.raises(SessionError, match="channel 'a' has ended"):
        protocol.check_open("a")
    protocol.check_open("b")


def test_a_channel_that_ends_while_a_cut_is_sought_ends_at_once() -> None:
    protocol = session()
    push(protocol, 0)
    sent(protocol)
    protocol.succession.seek_cut()
    protocol.end_audio()
    assert sent(protocol) == [{"message": "EndOfStream", "last_seq_no": 1}]
    assert protocol.succession.cut_found


def test_while_another_connection_is_made_a_few_chunks_are_taken_one_by_one() -> None:
    protocol = session()
    push(protocol, 0)
    sent(protocol)
    protocol.succession.seek_cut()
    assert protocol.room_for([b"x"] * 9) == 1
    protocol.succession.give_up_cut()
    assert protocol.room_for([b"x"] * 9) == 9
    protocol.succession.end_leg()
    assert protocol.room_for([b"x"] * 9) == 1


def test_while_lost_audio_is_sent_again_more_is_taken_until_the_channel_is_level() -> None:
    protocol = session(window=2)
    push(protocol, 0, 1)
    sent(protocol)
    replaced(protocol)
    push(protocol, 2)
    assert sent(protocol) == [second(0), second(1)]
    assert protocol.has_room()  # though audio waits
    hear(protocol, added(2))
    push(protocol, 3)
    assert sent(protocol) == [second(2), second(3)]
    push(protocol, 4)
    assert sent(protocol) == []
    assert not protocol.has_room()


@pytest.mark.parametrize("label", [None, "a"])
def test_what_is_sent_at_once_is_what_would_have_been_queued(label: Optional[str]) -> None:
    labels = () if label is None else (label, "b")
    at_once, queued = session(*labels), session(*labels)
    for number in (1, 2):
        assert at_once.sends_at_once(1000, label)
        message, count = at_once.send_at_once(second(number), label)
        push(queued, number, label=label)
        assert [message if isinstance(message, bytes) else json.loads(message)] == sent(queued)
        assert count == number
    assert (at_once.sent, at_once.bytes_taken) == (queued.sent, queued.bytes_taken) == (2, 2000)


def test_only_in_the_steady_state_is_audio_sent_at_once() -> None:
    protocol = session(window=3)
    assert [protocol.sends_at_once(10, None, before) for before in (0, 2, 3)] == [True, True, False]
    push(protocol, 0)
    assert not protocol.sends_at_once(10, None)  # what waits goes first
    sent(protocol)
    assert [protocol.sends_at_once(10, None, before) for before in (1, 2)] == [True, False]
    push(protocol, 1, 2)
    sent(protocol)
    assert not protocol.sends_at_once(10, None)  # the window is full
    hear(protocol, added(3))
    assert protocol.sends_at_once(10, None)
    protocol.succession.seek_cut()
    assert not protocol.sends_at_once(10, None)
    protocol.succession.give_up_cut()
    protocol.succession.end_leg()
    assert not protocol.sends_at_once(10, None)
    ended = session("a", "b")
    ended.end_audio("a")
    sent(ended)
    assert not ended.sends_at_once(10, "a")
    assert ended.sends_at_once(10, "b")


def test_audio_is_taken_until_it_ends_and_again_where_it_is_read_again() -> None:
    protocol = session(pushed=False)
    protocol.channels[None].rereadable = True
    assert protocol.takes_audio(None)
    protocol.refill(second(0))
    protocol.end_audio()
    assert not protocol.takes_audio(None)
    sent(protocol)
    replaced(protocol)
    assert protocol.takes_audio(None)
    protocol.refill(second(0))
    assert not protocol.takes_audio(None)


@pytest.mark.parametrize("number", [0, 1, 3, True, 2.0, "2", None])
def test_an_acknowledgement_that_is_not_the_next_is_left_to_the_longer_way(number: Any) -> None:
    protocol = session()
    push(protocol, 0, 1)
    sent(protocol)
    assert protocol.acknowledge_at_once(leg_of(protocol), None, 1) == 1
    assert protocol.acknowledge_at_once(leg_of(protocol), None, number) == 0
    assert protocol.acknowledge_at_once(leg_of(protocol), "a", 2) == 0
    assert protocol.acknowledged == 1
    assert protocol.acknowledge_at_once(leg_of(protocol), None, 2) == 2
    assert (protocol.acknowledged, protocol.seconds_acknowledged) == (2, 2.0)


def test_what_another_connection_acknowledges_is_left_to_the_longer_way_too() -> None:
    protocol = session()
    push(protocol, 0)
    sent(protocol)
    old = leg_of(protocol)
    protocol.succession.end_leg()
    assert protocol.acknowledge_at_once(old, None, 1) == 0
    protocol.succession.lose()
    new = protocol.succession.new_leg()
    assert protocol.acknowledge_at_once(new, None, 1) == 0


def test_audio_is_taken_before_the_start_by_nobody_and_later_no_more_than_can_be_kept() -> None:
    new = Protocol(session().recognition, max_unacked_chunks=9, replay_seconds=300.0)
    assert not new.has_room()
    protocol = session(replay_seconds=1.0)
    protocol.succession.lose()
    assert protocol.has_room()
    push(protocol, 0)
    assert not protocol.has_room()


def test_what_the_next_connection_acknowledges_is_counted_in_the_session() -> None:
    protocol = session()
    push(protocol, 0, 1, 2, 3)
    read(protocol)
    hear(protocol, final("word", 3.0, 4.0))
    replaced(protocol)
    sent(protocol)
    assert protocol.acknowledge_at_once(leg_of(protocol), None, 1) == 3


def test_a_source_that_is_not_read_to_its_end_goes_on_after_it_could_not_be_read_again() -> None:
    protocol = session(pushed=False)
    protocol.channels[None].rereadable = True
    protocol.refill(second(0))
    sent(protocol)
    replaced(protocol)
    protocol.give_up_refill(None)
    assert sent(protocol) == []
    push(protocol, 1)
    assert sent(protocol) == [second(1)]


@pytest.mark.parametrize("ended", [True, False])
def test_the_session_asks_who_speaks_only_while_there_is_audio_to_come(ended: bool) -> None:
    protocol = session(config=TranscriptionConfig(diarization="speaker"))
    push(protocol, *range(60))
    if ended:
        protocol.end_audio()
    read(protocol)
    for at in (1.0, 50.0):
        said = final("word", at, at + 0.4)
        said["results"][0]["alternatives"][0]["speaker"] = "S1"
        hear(protocol, said)
    assert sent(protocol) == ([] if ended else [{"message": "GetSpeakers"}])
    assert not protocol.waits()
