"""Sources that are read again, and channels, over several legs."""

from __future__ import annotations

from support.protocol.session_legs import (
    SECOND,
    SPEAKERS,
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
    start_message,
)
from support.serving import final

from speechmatics_sync import (
    AudioFormat,
    ConnectionError,
    MidSessionConfig,
)

LOST = ConnectionError("The connection was lost.")


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
    assert protocol.takes_audio("a")
    protocol.give_up_refill("a")
    assert not protocol.takes_audio("a")
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
