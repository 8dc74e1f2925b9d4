"""What a server cannot know settles nothing, and what is no longer kept is a gap."""

from __future__ import annotations

from typing import Any

import pytest
from support.protocol.session_legs import (
    SECOND,
    added,
    channel_final,
    delivered,
    hear,
    push,
    read,
    replaced,
    replay,
    second,
    sent,
    session,
)
from support.serving import final

# -- what a server cannot know ------------------------------------------------------------------


def test_a_word_beyond_the_audio_settles_what_was_acknowledged_and_no_more() -> None:
    protocol = session()
    push(protocol, *range(8))
    sent(protocol)
    hear(protocol, added(5))
    hear(protocol, final("word", 4.5, 7.0))
    hear(protocol, added(8))  # a claim does not become true by audio that comes later
    replaced(protocol)
    assert protocol.succession.replay == replay(5.0, 4.0)
    assert sent(protocol) == [second(number) for number in range(4, 8)]
    (message,) = delivered(hear(protocol, final("next", 1.2, 1.8)))
    assert message["results"][0]["start_time"] == 5.2


def test_the_claims_of_a_connection_are_held_to_its_own_audio() -> None:
    protocol = session()
    push(protocol, *range(8))
    read(protocol)
    hear(protocol, final("word", 2.5, 3.0))
    replaced(protocol)  # audio from 2.0 on
    sent(protocol)
    hear(protocol, added(2))
    hear(protocol, final("other", 1.5, 5.0))
    replaced(protocol)
    assert protocol.succession.replay.audio_time == 4.0


def test_channels_are_held_each_to_its_own_audio() -> None:
    protocol = session("a", "b")
    push(protocol, *range(8), label="a")
    push(protocol, *range(8), label="b")
    sent(protocol)
    hear(protocol, added(3, "a"))
    hear(protocol, added(8, "b"))
    for label in ("a", "b"):
        hear(protocol, channel_final(label, "word", 2.5, 7.0))
    leg = replaced(protocol)
    assert {label: each.start for label, each in leg.channels.items()} == {
        "a": 2 * SECOND,
        "b": 2.2 * SECOND,  # from before its last word
    }


def test_words_that_are_acknowledged_late_are_not_said_again() -> None:
    protocol = session()
    push(protocol, *range(8))
    sent(protocol)
    hear(protocol, added(3))
    hear(protocol, final("late", 3.5, 4.0))
    replaced(protocol)  # audio from 2.0 on
    assert hear(protocol, final("late", 1.5, 2.0)) == []
    (message,) = delivered(hear(protocol, final("later", 1.5, 2.0)))
    assert message["results"][0]["start_time"] == 3.5  # at the same time, and not the same


def test_translations_beyond_the_audio_settle_no_more_than_was_acknowledged() -> None:
    protocol = session(languages=["fr"])
    push(protocol, *range(8))
    sent(protocol)
    hear(protocol, added(5))
    hear(protocol, final("one", 4.5, 5.0))
    sentence = {"content": "un", "start_time": 4.5, "end_time": 7.0}
    message = {"message": "AddTranslation", "language": "fr", "results": [sentence]}
    hear(protocol, message)
    hear(protocol, added(8))
    replaced(protocol)  # audio from 4.0 on
    assert protocol.succession.replay.audio_time == 5.0
    again = {**message, "results": [{"content": "deux", "start_time": 1.5, "end_time": 2.0}]}
    assert len(delivered(hear(protocol, again))) == 1


@pytest.mark.parametrize("kind", ["utterance", "event"])
def test_what_is_told_beyond_the_audio_does_not_silence_the_next_connection(kind: str) -> None:
    def at(time: float) -> dict[str, Any]:
        if kind == "utterance":
            return {"message": "EndOfUtterance", "metadata": {"end_time": time}}
        event = {"type": "music", "start_time": time, "confidence": 1.0}
        return {"message": "AudioEventStarted", "event": event}

    protocol = session()
    push(protocol, *range(8))
    sent(protocol)
    hear(protocol, added(3))
    hear(protocol, at(7.0))
    if kind == "event":
        hear(protocol, {"message": "AudioEventEnded", "event": {"type": "music", "end_time": 8.0}})
    hear(protocol, added(8))
    replaced(protocol)
    assert len(delivered(hear(protocol, at(5.0)))) == 1


# -- what can be replayed -----------------------------------------------------------------------


def test_what_is_no_longer_kept_is_named_as_a_gap() -> None:
    protocol = session(replay_seconds=2.0)
    for number in range(8):
        push(protocol, number)
        sent(protocol)
        hear(protocol, added(number + 1))
    hear(protocol, final("one", 0.5, 1.0))
    replaced(protocol)
    assert protocol.succession.replay == replay(1.0, 2.0, (1.0, 6.0))
    assert protocol.succession.replay.seconds_lost == 5.0
    assert sent(protocol) == [second(6), second(7)]
    (message,) = delivered(hear(protocol, final("eight", 1.5, 2.0)))
    assert message["results"][0]["end_time"] == 8.0


def test_a_gap_is_told_once() -> None:
    protocol = session(replay_seconds=2.0)
    for number in range(6):
        push(protocol, number)
        sent(protocol)
        hear(protocol, added(number + 1))
    replaced(protocol)
    assert protocol.succession.replay.gaps == [(0.0, 4.0)]
    sent(protocol)
    replaced(protocol)
    assert protocol.succession.replay == replay(4.0, 2.0)
    assert sent(protocol) == [second(4), second(5)]


def test_unacknowledged_audio_is_kept_whatever_replay_seconds_says() -> None:
    protocol = session(replay_seconds=1.0)
    push(protocol, *range(6))
    sent(protocol)
    replaced(protocol)
    assert protocol.succession.replay.gaps == []
    assert sent(protocol) == [second(number) for number in range(6)]
