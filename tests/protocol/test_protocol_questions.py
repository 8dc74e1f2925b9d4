"""What was asked and not answered is asked again over the next leg."""

from __future__ import annotations

from support.protocol.session_legs import (
    SPEAKERS,
    added,
    begin,
    channel_final,
    delivered,
    hear,
    push,
    read,
    replaced,
    second,
    sent,
    session,
    start_message,
)
from support.serving import STARTED, final

from speechmatics_sync import (
    AudioFormat,
    TranscriptionConfig,
)
from speechmatics_sync._protocol.events import (
    Deliver,
    SpeakersAnswered,
)
from speechmatics_sync._protocol.session import Protocol


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
    assert protocol.has_room("a")  # a thread that pushes for both goes on to b
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


def test_an_end_forced_while_the_connection_before_still_speaks_is_in_the_new_ones_time() -> None:
    protocol = session()
    push(protocol, 0, 1)
    read(protocol)
    new = protocol.succession.new_leg()
    new.connected()
    protocol.receive(new, STARTED)
    protocol.succession.end_leg()
    protocol.succession.enter(new)
    push(protocol, 2)
    protocol.force_end_of_utterance(2.5)
    force = {"message": "ForceEndOfUtterance", "timestamp": 0.5}
    assert sent(protocol) == [second(2), force]


def test_a_change_of_the_configuration_that_names_none_changes_none() -> None:
    protocol = session()
    before = start_message(protocol)
    empty = {"message": "SetRecognitionConfig"}
    protocol.add_message(empty)
    assert sent(protocol) == [empty]
    replaced(protocol)
    assert start_message(protocol) == before


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
