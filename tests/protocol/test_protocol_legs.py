"""From leg to leg: what is sent again, asked again and told anew when a connection is replaced."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Optional

import pytest
from support.serving import STARTED, final
from support.sessions import END_OF_TRANSCRIPT

from speechmatics_sync import (
    AudioFormat,
    ConnectionError,
    MidSessionConfig,
    TranscriptionConfig,
    TranslationConfig,
)
from speechmatics_sync._model.typing import Label
from speechmatics_sync._protocol.events import (
    Acknowledged,
    Deliver,
    Ended,
    Event,
    LegEnded,
    Lost,
    SpeakersAnswered,
    Started,
)
from speechmatics_sync._protocol.leg import Leg, State
from speechmatics_sync._protocol.requests import Recognition
from speechmatics_sync._protocol.session import Protocol
from speechmatics_sync._protocol.timeline import Replay

RATE = 1000
SECOND = RATE  # a byte for each sample
MULAW = AudioFormat("mulaw", RATE)
LOST = ConnectionError("The connection was lost.")
SPEAKERS = {"message": "SpeakersResult", "speakers": []}


def second(number: int) -> bytes:
    """The audio of one second, unlike that of any other."""
    return bytes([number]) * SECOND


def session(
    *labels: str,
    audio_format: AudioFormat = MULAW,
    replay_seconds: Optional[float] = 300.0,
    window: int = 600,
    languages: Sequence[str] = (),
    config: Optional[TranscriptionConfig] = None,
    pushed: bool = True,
) -> Protocol:
    """A session that runs."""
    if config is None:
        config = TranscriptionConfig(
            diarization="channel" if labels else None,
            channel_diarization_labels=list(labels) or None,
        )
    translation = TranslationConfig(list(languages)) if languages else None
    protocol = Protocol(
        Recognition(config, audio_format, translation),
        max_unacked_chunks=window,
        labels=labels,
        pushed=pushed,
        replay_seconds=replay_seconds,
    )
    leg = protocol.succession.new_leg()
    protocol.succession.enter(leg)
    leg.connected()
    hear(protocol, STARTED)
    return protocol


def leg_of(protocol: Protocol) -> Leg:
    assert protocol.leg is not None
    return protocol.leg


def hear(protocol: Protocol, message: dict[str, Any], leg: Optional[Leg] = None) -> list[Event]:
    return protocol.receive(leg or leg_of(protocol), message)


def delivered(events: Sequence[Event]) -> list[dict[str, Any]]:
    return [event.message for event in events if isinstance(event, Deliver)]


def begin(protocol: Protocol, **changes: Any) -> Leg:
    """Another connection: recognition starts, and nothing of that is delivered."""
    leg = protocol.succession.new_leg()
    leg.connected()
    (event,) = protocol.receive(leg, {**STARTED, **changes})
    assert isinstance(event, Started)
    assert not event.first
    return leg


def replaced(protocol: Protocol) -> Leg:
    """The connection is lost, and there is another."""
    event = protocol.closed(leg_of(protocol), 1006, "")
    assert isinstance(event, Lost)
    assert protocol.succession.irrecoverable(event.error) is None
    protocol.succession.lose()
    leg = begin(protocol)
    assert leg is protocol.leg
    return leg


def replay(audio_time: float, seconds: float, *gaps: tuple[float, float]) -> Replay:
    return Replay(audio_time, seconds, list(gaps))


def start_message(protocol: Protocol) -> dict[str, Any]:
    """What a new connection would be asked for."""
    message: dict[str, Any] = json.loads(protocol.succession.new_leg().connected())
    return message


def sent(protocol: Protocol) -> list[Any]:
    """Everything that may be sent now: audio as bytes, messages decoded."""
    messages: list[Any] = []
    while True:
        outgoing = protocol.next_to_send()
        if outgoing is None:
            return messages
        payload = outgoing.payload
        messages.append(payload if isinstance(payload, bytes) else json.loads(payload))


def read(protocol: Protocol) -> list[Any]:
    """Everything that may be sent now; the server acknowledges its audio."""
    messages = sent(protocol)
    for label, channel in leg_of(protocol).channels.items():
        if channel.unacknowledged:
            hear(protocol, added(channel.sent, label))
    return messages


def plain(outgoings: Sequence[Any]) -> list[Any]:
    return [json.loads(outgoing.payload) for outgoing in outgoings]


def push(protocol: Protocol, *seconds: int, label: Label = None) -> None:
    for number in seconds:
        protocol.add_audio(second(number), label)


def added(number: int, label: Label = None) -> dict[str, Any]:
    if label is None:
        return {"message": "AudioAdded", "seq_no": number}
    return {"message": "ChannelAudioAdded", "channel": label, "seq_no": number}


def channel_final(label: str, text: str, start: float, end: float) -> dict[str, Any]:
    return {**final(text, start, end), "channel": label}


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


# -- sources that are read again ----------------------------------------------------------------


def test_a_source_is_read_again_from_where_it_is_needed() -> None:
    protocol = session(replay_seconds=1.0)
    channel = protocol.channels[None]
    channel.rereadable = True
    for number in range(8):
        protocol.refill(second(number))
        sent(protocol)
        hear(protocol, added(number + 1))
    hear(protocol, final("one", 1.5, 2.0))
    protocol.succession.lose()
    assert not protocol.has_room()  # what can be read again is read when it can be sent
    assert channel.wanted == 1 * SECOND
    begin(protocol)
    assert protocol.succession.replay == replay(2.0, 7.0)
    for number in range(1, 9):
        assert channel.wanted == number * SECOND
        assert protocol.has_room()
        protocol.refill(second(number))
        assert sent(protocol) == [second(number)]
    assert protocol.bytes_taken == 9 * SECOND
    assert protocol.end_audio() == 0
    assert sent(protocol) == [{"message": "EndOfStream", "last_seq_no": 8}]


def test_a_source_that_had_ended_ends_where_it_did() -> None:
    protocol = session()
    channel = protocol.channels[None]
    channel.rereadable = True
    protocol.refill(second(0))
    protocol.refill(second(1))
    protocol.end_audio()
    sent(protocol)
    replaced(protocol)
    assert sent(protocol) == []
    protocol.refill(second(0))
    assert sent(protocol) == [second(0)]
    protocol.refill(second(1))
    assert sent(protocol) == [second(1), {"message": "EndOfStream", "last_seq_no": 2}]


def test_a_source_that_ends_while_it_is_read_again_ends_once() -> None:
    protocol = session()
    protocol.channels[None].rereadable = True
    protocol.refill(second(0))
    sent(protocol)
    replaced(protocol)
    protocol.end_audio()
    assert sent(protocol) == []
    protocol.refill(second(0))
    assert sent(protocol) == [second(0), {"message": "EndOfStream", "last_seq_no": 1}]


def test_a_source_that_cannot_be_read_again_holds_up_no_message() -> None:
    protocol = session("a", "b")
    protocol.channels["a"].rereadable = True
    protocol.refill(second(0), "a")
    protocol.end_audio("a")
    push(protocol, 1, label="b")
    sent(protocol)
    question = protocol.ask_speakers()
    replaced(protocol)
    protocol.give_up_refill("a")
    push(protocol, 2, label="b")
    names = [message["message"] for message in sent(protocol)]
    assert names == ["EndOfChannel", "AddChannelAudio", "GetSpeakers", "AddChannelAudio"]
    hear(protocol, SPEAKERS)
    assert question.answer == []


def test_a_source_is_read_again_for_a_message_however_far_it_is_ahead() -> None:
    protocol = session("a", "b", pushed=False)
    protocol.channels["a"].rereadable = True
    protocol.refill(second(0), "a")
    protocol.refill(bytes(3 * SECOND), "a")
    protocol.configure(MidSessionConfig(max_delay=2))
    replaced(protocol)
    protocol.refill(second(0), "b")  # waits behind the message
    for _ in range(4):
        assert sent(protocol) == []
        assert protocol.has_room("a")
        protocol.refill(bytes(SECOND), "a")
        assert len(sent(protocol)) >= 1
    assert not protocol.has_room("a")


def test_a_file_that_cannot_be_read_again_says_so() -> None:
    protocol = session(audio_format=AudioFormat())
    assert protocol.succession.irrecoverable(LOST) is None  # nothing has left yet
    protocol.add_audio(b"OggS")
    sent(protocol)
    error = protocol.succession.irrecoverable(ConnectionError("Gone.", status=503, close_code=1006))
    assert isinstance(error, ConnectionError)
    assert "cannot be read again" in str(error)
    assert (error.status, error.close_code) == (503, 1006)


def test_every_channel_of_a_file_is_sent_again() -> None:
    protocol = session("a", "b", audio_format=AudioFormat())
    for label in ("a", "b"):
        protocol.channels[label].rereadable = True
        protocol.refill(b"OggS", label)
    protocol.end_audio("a")
    sent(protocol)
    replaced(protocol)
    assert list(leg_of(protocol).channels) == ["a", "b"]


# -- channels -----------------------------------------------------------------------------------


def test_a_channel_that_is_settled_and_ended_is_left_out() -> None:
    protocol = session("a", "b", "c")
    push(protocol, 0, 1, label="a")
    push(protocol, 0, 1, label="b")
    protocol.end_audio("a")
    protocol.end_audio("b")
    push(protocol, 0, label="c")
    read(protocol)
    hear(protocol, channel_final("a", "one", 1.5, 2.0))
    hear(protocol, channel_final("b", "one", 1.0, 1.5))  # some of it may still be to come
    protocol.succession.lose()
    assert start_message(protocol)["transcription_config"]["channel_diarization_labels"] == [
        "b",
        "c",
    ]
    begin(protocol, channels=["b", "c"])
    assert [message["channel"] for message in sent(protocol)] == ["c", "b", "b", "b"]


def test_channels_begin_again_each_where_it_is_needed() -> None:
    protocol = session("a", "b")
    push(protocol, *range(6), label="a")
    push(protocol, *range(6), label="b")
    read(protocol)
    hear(protocol, channel_final("a", "one", 4.5, 5.0))
    hear(protocol, channel_final("b", "one", 1.5, 2.0))
    leg = replaced(protocol)
    assert {label: channel.start for label, channel in leg.channels.items()} == {
        "a": 4 * SECOND,
        "b": 1 * SECOND,
    }
    assert protocol.succession.replay == replay(2.0, 5.0)
    (message,) = delivered(hear(protocol, channel_final("a", "two", 1.2, 1.8)))
    assert message["results"][0]["start_time"] == 5.2
    (message,) = delivered(hear(protocol, channel_final("b", "two", 1.2, 1.8)))
    assert message["results"][0]["start_time"] == 2.2


# -- what was asked -----------------------------------------------------------------------------


def test_questions_that_were_not_answered_are_asked_again_where_they_were_asked() -> None:
    protocol = session()
    push(protocol, 0, 1)
    first = protocol.ask_speakers()
    push(protocol, 2)
    other = protocol.ask_speakers()
    push(protocol, 3)
    sent(protocol)
    hear(protocol, SPEAKERS)
    assert first.answer == []
    replaced(protocol)
    assert sent(protocol) == [
        second(0),
        second(1),
        second(2),
        {"message": "GetSpeakers"},
        second(3),
    ]
    assert hear(protocol, SPEAKERS) == [Deliver(SPEAKERS), SpeakersAnswered(other, SPEAKERS)]


def test_a_question_before_any_audio_is_asked_again() -> None:
    protocol = session()
    protocol.ask_speakers()
    sent(protocol)
    replaced(protocol)
    assert sent(protocol) == [{"message": "GetSpeakers"}]


def test_a_question_that_had_not_left_is_asked_once() -> None:
    protocol = session(window=1)
    push(protocol, 0, 1)
    protocol.ask_speakers()
    sent(protocol)
    replaced(protocol)
    sent(protocol)
    hear(protocol, added(1))
    assert sent(protocol) == [second(1), {"message": "GetSpeakers"}]


def test_a_question_is_asked_before_the_last_end_whichever_channel_is_left() -> None:
    protocol = session("a", "b")
    push(protocol, 0, label="b")
    protocol.end_audio("b")
    sent(protocol)
    question = protocol.ask_speakers()
    protocol.end_audio("a")
    sent(protocol)
    protocol.succession.lose()
    begin(protocol, channels=["b"])  # nothing was said in the other
    names = [message["message"] for message in sent(protocol)]
    assert names == ["AddChannelAudio", "GetSpeakers", "EndOfChannel"]
    hear(protocol, SPEAKERS)
    assert question.answer == []


FORCED = {"message": "EndOfUtterance", "forced": True, "metadata": {}}


def forced_for_all() -> Protocol:
    """Two channels, of which one is final further than the other, and an end asked for in both."""
    protocol = session("a", "b")
    push(protocol, 1, 2, 3, 4, label="a")
    push(protocol, 1, 2, 3, 4, label="b")
    protocol.force_end_of_utterance(3.5)
    asked = read(protocol)[-1]
    assert asked == {"message": "ForceEndOfUtterance", "timestamp": 3.5}  # one is enough at first
    hear(protocol, channel_final("a", "one", 2.0, 2.8))
    return protocol


def test_an_end_forced_in_all_channels_is_asked_of_each_in_its_own_time() -> None:
    protocol = forced_for_all()
    replaced(protocol)
    begins = protocol.succession.replay
    asked = [message for message in sent(protocol) if message.get("timestamp") is not None]
    assert [message["channel"] for message in asked] == ["a", "b"]
    assert asked[0]["timestamp"] < asked[1]["timestamp"] == 3.5
    assert begins.seconds_lost == 0


def test_an_end_forced_in_all_channels_is_not_asked_again_of_those_that_answered() -> None:
    protocol = forced_for_all()
    hear(protocol, {**FORCED, "channel": "b"})
    replaced(protocol)
    asked = [message for message in sent(protocol) if message.get("timestamp") is not None]
    assert [message["channel"] for message in asked] == ["a"]


def test_an_end_forced_in_all_channels_is_answered_when_each_has() -> None:
    protocol = forced_for_all()
    for label in ("b", "a"):
        hear(protocol, {**FORCED, "channel": label})
    replaced(protocol)
    assert not [message for message in sent(protocol) if message.get("timestamp") is not None]


def test_a_channel_at_its_pause_takes_audio_until_the_others_are_at_theirs() -> None:
    protocol = session("a", "b", audio_format=AudioFormat("pcm_s16le", 16000))
    loud, quiet = b"\0\x40" * 1600, b"\0\0" * 1600
    protocol.succession.seek_cut()
    protocol.add_audio(loud + quiet, "a")
    protocol.add_audio(loud, "b")
    sent(protocol)
    assert not protocol.succession.cut_found
    assert protocol.has_room("a")  # whoever pushes for both comes to b
    protocol.add_audio(loud, "a")
    protocol.add_audio(quiet, "b")
    sent(protocol)
    assert protocol.succession.cut_found


def test_a_forced_end_of_utterance_is_asked_for_again_in_the_legs_own_time() -> None:
    protocol = session()
    push(protocol, *range(6))
    protocol.force_end_of_utterance(6.0)
    read(protocol)
    hear(protocol, final("one", 3.5, 4.0))
    replaced(protocol)
    assert sent(protocol)[-1] == {"message": "ForceEndOfUtterance", "timestamp": 3.0}
    answer = {"message": "EndOfUtterance", "forced": True, "metadata": {"end_time": 3.0}}
    assert delivered(hear(protocol, answer)) == [{**answer, "metadata": {"end_time": 6.0}}]
    replaced(protocol)
    assert sent(protocol)[-1] == second(5)  # it was answered


def test_of_an_object_in_the_configuration_its_members_change() -> None:
    protocol = session(
        config=TranscriptionConfig(conversation_config={"end_of_utterance_silence_trigger": 0.5})
    )
    protocol.add_message(
        {
            "message": "SetRecognitionConfig",
            "transcription_config": {"language": "en", "conversation_config": {"new": 1}},
        }
    )
    sent(protocol)
    protocol.succession.lose()
    config = start_message(protocol)["transcription_config"]
    assert config["conversation_config"] == {"end_of_utterance_silence_trigger": 0.5, "new": 1}


# -- another leg takes over ---------------------------------------------------------------------


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
    """A rollover for which no quiet place was found."""
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
