"""A leg takes over from another that still speaks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from support.protocol.session_legs import (
    SECOND,
    SPEAKERS,
    added,
    begin,
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
    MidSessionConfig,
)
from speechmatics_sync._protocol.events import (
    Deliver,
    Ended,
    LegEnded,
    Lost,
    Started,
)
from speechmatics_sync._protocol.leg import Leg, State
from speechmatics_sync._protocol.session import Protocol


def plain(outgoings: Sequence[Any]) -> list[Any]:
    return [json.loads(outgoing.payload) for outgoing in outgoings]


def rolling_over(protocol: Protocol) -> tuple[Leg, Leg]:
    """A leg that has been ended, and the one that took over."""
    old = leg_of(protocol)
    new = protocol.succession.new_leg()
    new.connected()
    protocol.receive(new, STARTED)
    protocol.succession.end_leg()
    protocol.succession.enter(new)
    return old, new


def test_the_audio_is_cut_at_one_sample() -> None:
    protocol = session()
    push(protocol, 0, 1)
    sent(protocol)
    old = leg_of(protocol)
    new = protocol.succession.new_leg()
    new.connected()
    assert protocol.receive(new, final("early", 0.0, 1.0)) == []
    (started,) = protocol.receive(new, {**STARTED, "id": "session-2"})
    assert isinstance(started, Started)
    assert (started.session_id, started.first) == ("session-2", False)
    push(protocol, 2)
    assert sent(protocol) == [second(2)]  # the old one has the audio until it is ended
    assert plain(protocol.succession.end_leg()) == [{"message": "EndOfStream", "last_seq_no": 3}]
    assert protocol.succession.enter(new) == []
    assert protocol.succession.replay == replay(0.0, 0.0)
    push(protocol, 3)
    outgoing = protocol.next_to_send()
    assert outgoing is not None
    assert (outgoing.payload, outgoing.number) == (second(3), 4)
    assert new.channels[None].start == 3 * SECOND
    assert old.state is State.ENDING


def torn(protocol: Protocol) -> tuple[Leg, Leg]:
    """A rollover for which no pause was found."""
    protocol.succession.seek_cut()
    assert not protocol.succession.cut_found
    return rolling_over(protocol)


def test_where_no_quiet_place_is_found_the_last_audio_goes_to_both() -> None:
    protocol = session()
    push(protocol, *range(8))
    read(protocol)
    hear(protocol, final("one", 3.0, 3.5))
    old, new = torn(protocol)
    assert new.channels[None].start == 6 * SECOND
    assert protocol.succession.replay.seconds_replayed == 2.0
    assert sent(protocol) == [second(6), second(7)]
    # The cut may have torn the last word; the old one is believed about those before it.
    (message,) = delivered(hear(protocol, final("two", 7.0, 7.4), old))
    assert message["results"][0]["start_time"] == 7.0
    assert hear(protocol, final("th", 7.8, 8.0), old) == []
    assert hear(protocol, {"message": "EndOfUtterance", "metadata": {"end_time": 8.0}}, old) == []
    hear(protocol, final("two", 1.05, 1.45), new)
    hear(protocol, final("three", 1.8, 2.6), new)
    (message,) = delivered(hear(protocol, END_OF_TRANSCRIPT, old))
    (word,) = message["results"]
    assert (word["alternatives"][0]["content"], word["start_time"]) == ("three", 7.8)


def test_a_message_with_a_torn_word_loses_that_and_its_mark() -> None:
    protocol = session()
    push(protocol, *range(8))
    read(protocol)
    old, _ = torn(protocol)
    one, two = final("one", 6.8, 7.3), final("two", 7.6, 8.0)
    mark = {**two["results"][0], "type": "punctuation", "start_time": 8.0}
    mark["alternatives"] = [{"content": ".", "confidence": 1.0}]
    both = {
        **one,
        "metadata": {"transcript": "one two. ", "start_time": 6.8, "end_time": 8.0},
        "results": [*one["results"], *two["results"], mark],
    }
    (message,) = delivered(hear(protocol, both, old))
    assert message["results"] == one["results"]
    assert message["metadata"] == {"transcript": "one ", "start_time": 6.8, "end_time": 7.3}


def test_a_word_that_the_next_connection_does_not_hear_whole_is_believed() -> None:
    protocol = session()
    push(protocol, *range(8))
    read(protocol)
    old, _ = torn(protocol)
    long = final("long", 5.5, 8.0)
    assert delivered(hear(protocol, long, old)) == [long]


def translated(*sentences: tuple[str, float, float], partial: bool = False) -> dict[str, Any]:
    return {
        "message": "AddPartialTranslation" if partial else "AddTranslation",
        "language": "de",
        "results": [
            {"content": content, "start_time": start, "end_time": end}
            for content, start, end in sentences
        ],
    }


def test_a_sentence_that_the_cut_may_have_torn_is_translated_once_and_whole() -> None:
    protocol = session(languages=["de"])
    push(protocol, *range(8))
    read(protocol)
    old, new = torn(protocol)
    assert new.channels[None].start == 6 * SECOND
    both = translated(("eins", 5.0, 6.5), ("zw", 6.6, 8.0))
    eins = translated(("eins", 5.0, 6.5))
    assert delivered(hear(protocol, both, old)) == [eins]
    assert hear(protocol, translated(("zw", 6.6, 8.0), partial=True), old) == []
    push(protocol, 8)
    assert sent(protocol) == [second(6), second(7), second(8)]
    hear(protocol, translated(("ns", 0.0, 0.5), ("zwei", 0.4, 2.5)), new)
    (message,) = delivered(hear(protocol, END_OF_TRANSCRIPT, old))
    assert message == translated(("zwei", 6.5, 8.5))


def test_a_translation_that_names_no_channel_is_left_where_every_channel_is_torn() -> None:
    protocol = session("a", "b", languages=["de"])
    for label in ("a", "b"):
        push(protocol, *range(8), label=label)
    read(protocol)
    old, _ = torn(protocol)
    assert hear(protocol, translated(("zw", 7.0, 8.0)), old) == []
    protocol = session("a", "b", languages=["de"])
    push(protocol, *range(8), label="a")
    protocol.end_audio("b")
    read(protocol)
    old, _ = torn(protocol)
    only = translated(("zw", 7.0, 8.0))
    assert delivered(hear(protocol, only, old)) == [only]


def test_a_loss_after_an_overlap_takes_back_all_that_is_not_settled() -> None:
    protocol = session()
    push(protocol, *range(8))
    read(protocol)
    hear(protocol, final("one", 2.5, 3.0))
    old, _ = torn(protocol)
    assert sent(protocol) == [second(6), second(7)]
    assert isinstance(protocol.closed(old, 1006, ""), Lost)
    protocol.succession.lose()
    begin(protocol)
    assert sent(protocol) == [second(number) for number in range(2, 8)]
    assert protocol.channels[None].next_number == 9


def test_with_too_little_audio_left_to_send_again_the_cut_is_where_it_is() -> None:
    protocol = session(replay_seconds=0.5)
    push(protocol, *range(8))
    read(protocol)
    protocol.add_audio(second(8)[:500])
    read(protocol)
    protocol.channels[None].release(8 * SECOND)
    old, new = torn(protocol)
    assert new.channels[None].start == 8.5 * SECOND
    last = final("th", 8.2, 8.5)
    assert delivered(hear(protocol, last, old)) == [last]


def test_a_source_that_can_be_read_again_is_read_again_from_before_the_cut() -> None:
    protocol = session(pushed=False)
    channel = protocol.channels[None]
    channel.rereadable = True
    for number in range(8):
        protocol.refill(second(number))
    read(protocol)
    old, new = torn(protocol)
    assert channel.wanted == new.channels[None].start == 6 * SECOND
    protocol.refill(second(6))
    assert sent(protocol) == [second(6)]
    protocol.closed(old, 1006, "")
    protocol.succession.lose()
    begin(protocol)
    assert channel.wanted == 0  # nothing is settled


def test_the_session_ends_with_its_last_leg() -> None:
    protocol = session()
    push(protocol, 0)
    sent(protocol)
    old, new = rolling_over(protocol)
    protocol.end_audio()
    assert sent(protocol) == [{"message": "EndOfStream", "last_seq_no": 0}]
    assert hear(protocol, END_OF_TRANSCRIPT, new) == []
    assert not protocol.over
    hear(protocol, added(1), old)
    events = hear(protocol, END_OF_TRANSCRIPT, old)
    assert events[-2:] == [Deliver(END_OF_TRANSCRIPT), Ended()]
    assert protocol.over


def test_where_there_is_no_room_for_two_the_old_one_is_ended_first() -> None:
    protocol = session()
    push(protocol, 0)
    sent(protocol)
    old = leg_of(protocol)
    protocol.succession.end_leg()
    assert protocol.has_room()  # audio is taken meanwhile
    push(protocol, 1)
    assert sent(protocol) == []
    hear(protocol, added(1), old)
    assert LegEnded() in hear(protocol, END_OF_TRANSCRIPT, old)
    begin(protocol)
    assert sent(protocol) == [second(1)]
    (message,) = delivered(hear(protocol, final("two", 0.5, 1.0)))
    assert message["results"][0]["start_time"] == 1.5


@pytest.mark.parametrize("which", ["old", "new"])
def test_a_loss_while_two_speak_takes_back_what_both_leave(which: str) -> None:
    protocol = session()
    push(protocol, *range(4))
    read(protocol)
    hear(protocol, final("one", 1.5, 2.0))
    old, new = rolling_over(protocol)
    push(protocol, 4)
    read(protocol)
    hear(protocol, final("held", 0.2, 0.8), new)
    event = protocol.closed(old if which == "old" else new, 1006, "")
    assert isinstance(event, Lost)
    protocol.succession.lose()
    begin(protocol)
    assert protocol.succession.replay == replay(2.0, 4.0)
    assert sent(protocol) == [second(number) for number in range(1, 5)]
    outgoing = protocol.channels[None].next_number
    assert outgoing == 6


def test_while_the_old_one_speaks_the_new_one_is_asked_in_its_own_time() -> None:
    protocol = session()
    push(protocol, 0, 1)
    sent(protocol)
    rolling_over(protocol)
    push(protocol, 2)
    protocol.force_end_of_utterance(3.0)
    assert sent(protocol) == [second(2), {"message": "ForceEndOfUtterance", "timestamp": 1.0}]


def test_questions_that_the_old_one_left_unanswered_go_to_the_new_one() -> None:
    protocol = session()
    push(protocol, 0, 1)
    protocol.force_end_of_utterance(2.0)
    question = protocol.ask_speakers()
    sent(protocol)
    old, new = rolling_over(protocol)
    hear(protocol, added(2), old)
    hear(protocol, END_OF_TRANSCRIPT, old)
    assert sent(protocol) == [
        {"message": "ForceEndOfUtterance", "timestamp": 0.0},
        {"message": "GetSpeakers"},
    ]
    hear(protocol, SPEAKERS, new)
    assert question.answer == []


def test_an_answer_that_waited_and_was_lost_is_asked_for_again() -> None:
    protocol = session()
    push(protocol, 0, 1)
    sent(protocol)
    old, new = rolling_over(protocol)
    push(protocol, 2)
    question = protocol.ask_speakers()
    protocol.force_end_of_utterance(3.0)
    sent(protocol)
    assert hear(protocol, SPEAKERS, new) == []
    answer = {"message": "EndOfUtterance", "forced": True, "metadata": {"end_time": 1.0}}
    assert hear(protocol, answer, new) == []
    protocol.closed(old, 1006, "")
    replaced(protocol)
    assert sent(protocol)[-2:] == [
        {"message": "GetSpeakers"},
        {"message": "ForceEndOfUtterance", "timestamp": 3.0},
    ]
    hear(protocol, SPEAKERS)
    assert question.answer == []


def test_channels_that_ended_before_are_no_longer_the_new_ones() -> None:
    protocol = session("a", "b")
    push(protocol, 0, label="a")
    protocol.end_audio("a")
    push(protocol, 0, label="b")
    sent(protocol)
    old, new = rolling_over(protocol)
    assert list(new.channels) == ["b"]
    assert old.state is State.ENDING


def test_a_channel_that_ends_between_the_two_is_ended_on_both() -> None:
    protocol = session("a", "b")
    push(protocol, 0, label="a")
    push(protocol, 0, label="b")
    sent(protocol)
    old = leg_of(protocol)
    new = protocol.succession.new_leg()
    new.connected()
    protocol.receive(new, {**STARTED, "channels": ["a", "b"]})
    protocol.end_audio("a")
    assert sent(protocol) == [{"message": "EndOfChannel", "channel": "a", "last_seq_no": 1}]
    assert plain(protocol.succession.end_leg()) == [
        {"message": "EndOfChannel", "channel": "b", "last_seq_no": 1}
    ]
    assert plain(protocol.succession.enter(new)) == [
        {"message": "EndOfChannel", "channel": "a", "last_seq_no": 0}
    ]
    assert old.state is State.ENDING
    assert new.state is State.RUNNING


def test_a_change_of_the_configuration_while_the_new_one_began_is_told_it() -> None:
    protocol = session()
    new = protocol.succession.new_leg()
    new.connected()
    protocol.receive(new, STARTED)
    protocol.configure(MidSessionConfig(max_delay=2))
    sent(protocol)
    protocol.succession.end_leg()
    (change,) = plain(protocol.succession.enter(new))
    assert change["message"] == "SetRecognitionConfig"
    assert change["transcription_config"]["max_delay"] == 2


def test_only_a_running_leg_can_be_ended() -> None:
    protocol = session()
    protocol.end_audio()
    sent(protocol)
    with pytest.raises(RuntimeError):
        protocol.succession.end_leg()
    protocol.succession.lose()
    with pytest.raises(RuntimeError):
        protocol.succession.end_leg()
