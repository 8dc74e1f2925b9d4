"""From leg to leg: what is sent again, asked again and told anew when a connection is replaced."""

from __future__ import annotations

import pytest
from support.protocol.session_legs import (
    MULAW,
    added,
    begin,
    channel_final,
    delivered,
    hear,
    leg_of,
    push,
    read,
    replaced,
    replay,
    second,
    sent,
    session,
)
from support.serving import STARTED, final
from support.sessions import END_OF_TRANSCRIPT

from speechmatics_sync import (
    TranscriptionConfig,
)
from speechmatics_sync._protocol.events import (
    Acknowledged,
    Deliver,
    Ended,
    Lost,
    Started,
)
from speechmatics_sync._protocol.requests import Recognition
from speechmatics_sync._protocol.session import Protocol

# -- what is lost is sent again -----------------------------------------------------------------


def test_audio_that_is_not_settled_is_sent_again_from_a_little_before() -> None:
    protocol = session()
    push(protocol, *range(8))
    sent(protocol)
    for number in range(1, 7):
        hear(protocol, added(number))
    hear(protocol, final("word", 4.5, 5.0))
    replaced(protocol)
    # Settled until 5.0 s, and a second before that.
    assert protocol.succession.replay == replay(5.0, 4.0)
    assert sent(protocol) == [second(number) for number in range(4, 8)]


def test_audio_is_sent_again_from_within_a_chunk() -> None:
    protocol = session()
    push(protocol, *range(8))
    read(protocol)
    hear(protocol, final("word", 4.9, 5.3))
    replaced(protocol)
    assert sent(protocol) == [second(4)[:800], *map(second, range(5, 8))]


def test_the_word_before_is_heard_whole_again() -> None:
    protocol = session()
    push(protocol, *range(8))
    read(protocol)
    hear(protocol, final("endless", 2.3, 6.0))
    replaced(protocol)
    assert sent(protocol)[0] == second(2)[:1000]  # from 2.0 s: before the word, not 5.0 s
    assert protocol.succession.replay.audio_time == 6.0


def test_without_finals_everything_is_sent_again() -> None:
    protocol = session()
    push(protocol, 0, 1, 2)
    sent(protocol)
    hear(protocol, added(3))
    replaced(protocol)
    assert protocol.succession.replay == replay(0.0, 3.0)
    assert sent(protocol) == [second(0), second(1), second(2)]


def test_what_waits_comes_after_what_is_sent_again() -> None:
    protocol = session(window=2)
    push(protocol, 0, 1, 2)
    assert sent(protocol) == [second(0), second(1)]
    replaced(protocol)
    assert sent(protocol) == [second(0), second(1)]
    hear(protocol, added(1))
    assert sent(protocol) == [second(2)]


def test_times_go_on_where_they_were() -> None:
    protocol = session()
    push(protocol, *range(8))
    read(protocol)
    hear(protocol, final("one", 4.5, 5.0))
    replaced(protocol)
    read(protocol)
    assert hear(protocol, final("one", 0.5, 1.0)) == []  # it was delivered
    (message,) = delivered(hear(protocol, final("two", 1.5, 2.0)))
    assert (message["metadata"]["start_time"], message["metadata"]["end_time"]) == (5.5, 6.0)
    assert message["results"][0]["start_time"] == 5.5


def test_a_second_loss_goes_on_from_the_first() -> None:
    protocol = session()
    push(protocol, *range(8))
    read(protocol)
    hear(protocol, final("one", 4.5, 5.0))
    replaced(protocol)
    read(protocol)
    hear(protocol, final("two", 2.5, 3.0))  # at 7.0 s of the session
    replaced(protocol)
    assert protocol.succession.replay == replay(7.0, 2.0)
    assert sent(protocol) == [second(6), second(7)]


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_attempts_that_fail_change_nothing(attempts: int) -> None:
    protocol = session()
    push(protocol, *range(4))
    read(protocol)
    hear(protocol, final("one", 1.5, 2.0))
    protocol.succession.lose()
    for _ in range(attempts):
        protocol.succession.new_leg().connected()
        protocol.succession.lose()
    begin(protocol)
    assert protocol.succession.replay == replay(2.0, 3.0)
    outgoing = protocol.next_to_send()
    assert outgoing is not None
    assert (outgoing.payload, outgoing.number) == (second(1), 2)


def test_a_loss_before_recognition_started_loses_nothing() -> None:
    protocol = Protocol(
        Recognition(TranscriptionConfig(), MULAW), max_unacked_chunks=9, replay_seconds=300.0
    )
    first = protocol.succession.new_leg()
    protocol.succession.enter(first)
    first.connected()
    protocol.succession.lose()
    second_leg = protocol.succession.new_leg()
    protocol.succession.enter(second_leg)
    second_leg.connected()
    started, recognition = protocol.receive(second_leg, STARTED)
    assert isinstance(started, Started)
    assert started.first  # handlers hear of the first that succeeds
    assert recognition == Deliver(STARTED)
    push(protocol, 0)
    assert sent(protocol) == [second(0)]
    hear(protocol, final("one", 0.5, 1.0))


def test_a_loss_after_our_end_sends_the_end_again() -> None:
    protocol = session()
    push(protocol, *range(4))
    protocol.end_audio()
    assert sent(protocol)[-1] == {"message": "EndOfStream", "last_seq_no": 4}
    hear(protocol, added(4))
    hear(protocol, final("one", 2.5, 3.0))
    replaced(protocol)
    assert sent(protocol) == [second(2), second(3), {"message": "EndOfStream", "last_seq_no": 2}]
    hear(protocol, added(2))
    assert hear(protocol, END_OF_TRANSCRIPT) == [Deliver(END_OF_TRANSCRIPT), Ended()]


def test_even_if_all_is_settled_the_end_is_asked_for_again() -> None:
    protocol = session()
    push(protocol, 0, 1)
    protocol.end_audio()
    read(protocol)
    hear(protocol, final("one", 1.5, 2.0))
    replaced(protocol)
    assert sent(protocol) == [second(1), {"message": "EndOfStream", "last_seq_no": 1}]


@pytest.mark.parametrize("how", ["early", "limit"])
def test_a_server_that_ends_before_us_is_a_loss_like_any_other(how: str) -> None:
    protocol = session()
    push(protocol, 0, 1)
    sent(protocol)
    warning = {"message": "Warning", "type": "duration_limit_exceeded", "reason": "2 hours"}
    if how == "limit":
        hear(protocol, warning)
    (event,) = hear(protocol, END_OF_TRANSCRIPT)
    assert isinstance(event, Lost)
    assert protocol.succession.irrecoverable(event.error) is None
    protocol.succession.lose()
    begin(protocol)
    assert sent(protocol) == [second(0), second(1)]


def test_a_lost_leg_says_nothing_more() -> None:
    protocol = session()
    push(protocol, 0)
    sent(protocol)
    old = leg_of(protocol)
    replaced(protocol)
    assert protocol.receive(old, final("late", 0.1, 0.4)) == []
    assert protocol.receive(old, added(1)) == []
    assert protocol.acknowledged == 0


# -- acknowledgements ---------------------------------------------------------------------------


def test_acknowledgements_are_numbered_through_and_each_is_told_once() -> None:
    protocol = session()
    push(protocol, *range(6))
    sent(protocol)
    for number in (1, 2, 3, 4):
        hear(protocol, added(number))
    hear(protocol, final("one", 2.5, 3.0))
    replaced(protocol)  # from the third chunk on
    push(protocol, 6)
    sent(protocol)
    told = [hear(protocol, added(number)) for number in range(1, 6)]
    assert told == [
        [],
        [],
        [Acknowledged(None, 5, added(5))],
        [Acknowledged(None, 6, added(6))],
        [Acknowledged(None, 7, added(7))],
    ]
    assert protocol.sent == protocol.acknowledged == 7
    protocol.end_audio()
    assert sent(protocol) == [{"message": "EndOfStream", "last_seq_no": 5}]


def test_channels_are_numbered_through_apart() -> None:
    protocol = session("a", "b")
    push(protocol, *range(4), label="a")
    push(protocol, *range(2), label="b")
    sent(protocol)
    hear(protocol, added(3, "a"))
    hear(protocol, channel_final("a", "one", 2.5, 3.0))
    replaced(protocol)
    sent(protocol)
    assert hear(protocol, added(1, "a")) == []  # which the first one acknowledged
    (acknowledged,) = hear(protocol, added(2, "a"))
    assert acknowledged == Acknowledged("a", 4, added(4, "a"))
    (acknowledged,) = hear(protocol, added(1, "b"))
    assert acknowledged == Acknowledged("b", 1, added(1, "b"))
