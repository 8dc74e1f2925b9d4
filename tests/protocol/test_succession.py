"""What one leg leaves to the next, and what it must not."""

from __future__ import annotations

from typing import Any

import pytest
from support.protocol.session_legs import (
    MULAW,
    added,
    begin,
    delivered,
    hear,
    leg_of,
    push,
    read,
    replaced,
    second,
    sent,
    session,
    start_message,
)
from support.serving import final
from support.sessions import END_OF_TRANSCRIPT

from speechmatics_sync import (
    AudioFormat,
    ConnectionError,
    TranscriptionConfig,
    TranscriptionError,
)
from speechmatics_sync._protocol.leg import State
from speechmatics_sync._protocol.session import Protocol

SPEAKERS = TranscriptionConfig(diarization="speaker")


def said_by(speaker: str, text: str, start: float) -> dict[str, Any]:
    message = final(text, start, start + 0.4)
    message["results"][0]["alternatives"][0]["speaker"] = speaker
    return message


def speakers_heard(protocol: Protocol) -> list[str]:
    """Who is said to speak by two connections that each know an S1."""
    heard = []
    push(protocol, 0)
    read(protocol)
    heard += delivered(hear(protocol, said_by("S1", "one", 0.0)))
    replaced(protocol)
    push(protocol, 1)
    read(protocol)
    heard += delivered(hear(protocol, said_by("S1", "two", 1.0)))
    return [message["results"][0]["alternatives"][0]["speaker"] for message in heard]


def test_a_label_of_the_next_connection_is_another_speakers_unless_it_is_known() -> None:
    assert speakers_heard(session(config=SPEAKERS)) == ["S1", "S2"]
    # Without speaker diarization a label is whatever the server makes of it.
    assert speakers_heard(session()) == ["S1", "S1"]


def test_the_next_connection_is_told_the_speakers_that_are_known() -> None:
    protocol = session(config=SPEAKERS)
    push(protocol, 0)
    read(protocol)
    hear(protocol, said_by("S1", "one", 0.0))
    protocol.ask_speakers()
    sent(protocol)
    identifiers = [{"label": "S1", "speaker_identifiers": ["x1"]}]
    hear(protocol, {"message": "SpeakersResult", "speakers": identifiers})
    replaced(protocol)
    config = start_message(protocol)["transcription_config"]["speaker_diarization_config"]
    assert [each["speaker_identifiers"] for each in config["speakers"]] == [["x1"]]
    assert SPEAKERS.speaker_diarization_config is None


def test_speakers_are_not_followed_where_no_connection_comes_after_or_channels_tell_them() -> None:
    assert session(config=SPEAKERS, replay_seconds=None).succession.speaker_labels is None
    both = TranscriptionConfig(
        diarization="channel_and_speaker", channel_diarization_labels=["a", "b"]
    )
    protocol = session("a", "b", config=both)
    assert protocol.succession.speaker_labels is None
    replaced(protocol)
    assert protocol.succession.replay.labels_restart


def test_the_next_connection_has_the_channels_that_are_left_and_the_settings_stay() -> None:
    protocol = session("a", "b")
    push(protocol, 0, label="a")
    push(protocol, 0, label="b")
    protocol.end_audio("a")
    read(protocol)
    for label in ("a", "b"):
        hear(protocol, {**final("word", 0.0, 1.0), "channel": label})
    replaced(protocol)
    labels = start_message(protocol)["transcription_config"]["channel_diarization_labels"]
    assert labels == ["b"]
    assert protocol.recognition.transcription_config.channel_diarization_labels == ["a", "b"]


FILE = AudioFormat()
LOST = ConnectionError("It broke.", status=502, close_code=1006)


def test_a_lost_file_that_cannot_be_read_again_is_an_error_that_says_what_to_do() -> None:
    protocol = session(audio_format=FILE)
    assert protocol.succession.irrecoverable(LOST) is None  # nothing was sent yet
    protocol.add_audio(b"a file")
    sent(protocol)
    error = protocol.succession.irrecoverable(LOST)
    assert isinstance(error, ConnectionError)
    assert error.message.startswith("It broke. It could not be recovered: a file is transcribed")
    assert (error.status, error.close_code) == (502, 1006)
    busy = TranscriptionError("No room.", type="quota_exceeded")
    assert protocol.succession.irrecoverable(busy) is busy


@pytest.mark.parametrize("audio_format", [FILE, MULAW])
def test_without_reconnecting_the_loss_is_the_error(audio_format: AudioFormat) -> None:
    protocol = session(audio_format=audio_format, replay_seconds=None)
    assert protocol.succession.irrecoverable(LOST) is LOST


def rolled_over(protocol: Protocol) -> tuple[Any, Any]:
    old, new = leg_of(protocol), protocol.succession.new_leg()
    new.connected()
    protocol.receive(new, {"message": "RecognitionStarted", "id": "2"})
    protocol.succession.end_leg()
    protocol.succession.enter(new)
    return old, new


def test_what_was_held_when_both_connections_were_lost_is_heard_once_and_from_the_next() -> None:
    protocol = session()
    push(protocol, 0)
    read(protocol)
    old, new = rolled_over(protocol)
    push(protocol, 1)
    read(protocol)
    assert hear(protocol, final("held", 0.1, 0.5), new) == []
    assert protocol.succession.held(new) == 1
    protocol.closed(old, 1006, "")
    protocol.succession.lose()
    assert [leg.state for leg in (old, new)] == [State.LOST, State.LOST]
    begin(protocol)
    assert sent(protocol) == [second(0), second(1)]
    hear(protocol, added(2))
    old, new = rolled_over(protocol)
    assert protocol.succession.held(new) == 0
    heard = delivered(hear(protocol, {**END_OF_TRANSCRIPT}, old))
    assert heard == []


def test_a_cut_that_was_sought_when_the_connection_was_lost_holds_up_nothing() -> None:
    protocol = session()
    push(protocol, 0)
    protocol.succession.seek_cut()
    sent(protocol)
    replaced(protocol)
    assert sent(protocol) == [second(0)]
    assert protocol.room_for([b"x"] * 3) == 3


def test_an_error_of_the_callers_ends_every_leg() -> None:
    protocol = session()
    push(protocol, 0)
    sent(protocol)
    legs = rolled_over(protocol)
    error = KeyboardInterrupt()
    assert protocol.fail(error) is error
    assert [leg.state for leg in legs] == [State.FAILED, State.FAILED]
    assert protocol.state is State.FAILED


def test_only_a_connection_that_is_to_take_over_can_be_spared() -> None:
    protocol = session()
    new = protocol.succession.new_leg()
    assert protocol.succession.can_spare(new)
    assert not protocol.succession.can_spare(leg_of(protocol))
    old, new = rolled_over(protocol)
    assert not protocol.succession.can_spare(old)
    assert not protocol.succession.can_spare(new)
    protocol.succession.lose()
    assert not protocol.succession.can_spare(protocol.succession.new_leg())


LOUD, QUIET = b"\x00", b"\xff"
"""Of mu-law: the loudest level, and none."""


@pytest.mark.parametrize("after", [0, 30, 400])
def test_what_follows_the_pause_of_a_cut_goes_to_the_next_connection_and_nothing_is_lost(
    after: int,
) -> None:
    protocol = session()
    chunk = LOUD * 500 + QUIET * 50 + LOUD * after
    protocol.succession.seek_cut()
    assert not protocol.succession.cut_found
    protocol.add_audio(chunk)
    before = b"".join(sent(protocol))
    assert 500 < len(before) <= 550
    assert protocol.succession.cut_found
    protocol.add_audio(LOUD * 7)
    assert sent(protocol) == []
    _, new = rolled_over(protocol)
    assert new.channels[None].start == len(before)
    assert before + b"".join(sent(protocol)) == chunk + LOUD * 7


def test_the_sessions_own_question_teaches_it_who_speaks_and_is_told_nobody() -> None:
    protocol = session(config=SPEAKERS)
    push(protocol, *range(60))
    read(protocol)
    hear(protocol, said_by("S1", "one", 1.0))
    hear(protocol, said_by("S1", "two", 50.0))
    assert {"message": "GetSpeakers"} in sent(protocol)
    known = [{"label": "S1", "speaker_identifiers": ["x1"]}]
    assert hear(protocol, {"message": "SpeakersResult", "speakers": known}) == []
    replaced(protocol)
    config = start_message(protocol)["transcription_config"]["speaker_diarization_config"]
    assert [each["speaker_identifiers"] for each in config["speakers"]] == [["x1"]]


def test_an_answer_of_the_next_connection_names_the_speakers_as_the_session_does() -> None:
    protocol = session(config=SPEAKERS)
    push(protocol, 0, 1)
    read(protocol)
    hear(protocol, said_by("S1", "one", 0.0))
    replaced(protocol)
    read(protocol)
    hear(protocol, said_by("S1", "two", 1.0))  # S2, to the user
    question = protocol.ask_speakers()
    sent(protocol)
    known = [{"label": "S1", "speaker_identifiers": ["x1"]}]
    (message,) = delivered(hear(protocol, {"message": "SpeakersResult", "speakers": known}))
    assert [each["label"] for each in message["speakers"]] == ["S2"]
    assert question.answer is not None
    assert [each.label for each in question.answer] == ["S2"]


@pytest.mark.parametrize("labels", [(), ("a", "b")])
def test_sources_that_were_read_to_their_end_and_hold_nothing_are_ended_again(
    labels: tuple[str, ...],
) -> None:
    protocol = session(*labels, pushed=False)
    for label, channel in protocol.channels.items():
        channel.rereadable = True
        protocol.end_audio(label)
    ends = sent(protocol)
    assert {end["last_seq_no"] for end in ends} == {0}
    replaced(protocol)
    assert sent(protocol) == ends


def test_a_question_whose_answer_was_held_and_then_given_is_not_asked_again() -> None:
    protocol = session()
    push(protocol, 0)
    sent(protocol)
    old, new = rolled_over(protocol)
    push(protocol, 1)
    question = protocol.ask_speakers()
    sent(protocol)
    assert hear(protocol, {"message": "SpeakersResult", "speakers": []}, new) == []
    hear(protocol, added(1), old)
    hear(protocol, END_OF_TRANSCRIPT, old)
    assert question.answer == []
    replaced(protocol)
    assert {"message": "GetSpeakers"} not in sent(protocol)


def test_who_spoke_is_told_at_the_end_of_the_session_and_not_of_each_connection() -> None:
    protocol = session()
    push(protocol, 0)
    protocol.add_message({"message": "GetSpeakers", "final": True})
    sent(protocol)
    old, _ = rolled_over(protocol)
    assert hear(protocol, {"message": "SpeakersResult", "speakers": []}, old) == []


def test_what_the_server_says_of_a_channel_that_it_was_not_given_settles_nothing() -> None:
    protocol = session("a", "b")
    push(protocol, 0, label="a")
    push(protocol, 0, 1, label="b")
    protocol.end_audio("a")
    read(protocol)
    hear(protocol, {**final("word", 0.0, 1.0), "channel": "a"})
    assert list(replaced(protocol).channels) == ["b"]
    read(protocol)
    strange = {**final("strange", 1.5, 2.5), "channel": "a"}
    assert [message["channel"] for message in delivered(hear(protocol, strange))] == ["a"]
    replaced(protocol)
    assert len(sent(protocol)) == 2


@pytest.mark.parametrize(
    ("started", "text"),
    [({}, "b c "), ({"language_pack_info": {"word_delimiter": ""}}, "bc")],
)
def test_words_are_joined_as_the_first_connection_said_or_else_by_a_space(
    started: dict[str, Any], text: str
) -> None:
    protocol = session(started={"message": "RecognitionStarted", "id": "1", **started})
    push(protocol, 0, 1, 2)
    read(protocol)
    hear(protocol, final("a", 0.0, 0.4))
    replaced(protocol)
    read(protocol)
    words = [final(word, at, at + 0.4)["results"][0] for at, word in enumerate("abc")]
    message = {**final("a b c ", 0.0, 2.4), "results": words}
    (told,) = delivered(hear(protocol, message))
    assert told["metadata"]["transcript"] == text


def test_of_a_file_nobody_knows_how_far_it_was_acknowledged_and_every_time_is_believed() -> None:
    protocol = session(audio_format=FILE, pushed=False)
    protocol.channels[None].rereadable = True
    protocol.refill(b"a file")
    read(protocol)
    hear(protocol, final("word", 1000.0, 1001.0))
    replaced(protocol)
    assert delivered(hear(protocol, final("word", 1000.0, 1001.0))) == []
    assert len(delivered(hear(protocol, final("more", 1001.0, 1002.0)))) == 1


def test_a_question_whose_answer_was_held_and_lost_is_asked_again_once() -> None:
    protocol = session()
    push(protocol, 0)
    sent(protocol)
    old, new = rolled_over(protocol)
    push(protocol, 1)
    question = protocol.ask_speakers()
    sent(protocol)
    answer = {"message": "SpeakersResult", "speakers": []}
    assert hear(protocol, answer, new) == []
    protocol.closed(old, 1006, "")
    protocol.succession.lose()
    begin(protocol)
    assert sent(protocol).count({"message": "GetSpeakers"}) == 1
    hear(protocol, answer)
    assert question.answer == []
    replaced(protocol)
    assert {"message": "GetSpeakers"} not in sent(protocol)


def test_speakers_of_the_end_are_asked_for_once_on_each_connection() -> None:
    protocol = session()
    protocol.add_message({"message": "GetSpeakers", "final": True})
    for _ in range(3):
        asked = [message for message in sent(protocol) if message["message"] == "GetSpeakers"]
        assert asked == [{"message": "GetSpeakers", "final": True}]
        replaced(protocol)


def test_the_next_connection_is_started_with_what_was_changed_and_not_told_again() -> None:
    protocol = session()
    protocol.add_message({"message": "SetRecognitionConfig", "transcription_config": {"x": 1}})
    assert len(sent(protocol)) == 1
    assert start_message(protocol)["transcription_config"]["x"] == 1
    replaced(protocol)
    assert sent(protocol) == []
    new = protocol.succession.new_leg()
    protocol.succession.end_leg()
    assert protocol.succession.enter(new) == []


@pytest.mark.parametrize("lost", [True, False])
def test_the_end_of_an_utterance_is_asked_again_where_there_is_its_channel(lost: bool) -> None:
    protocol = session("a", "b")
    for label in ("a", "b"):
        push(protocol, 0, label=label)
        protocol.add_message({"message": "ForceEndOfUtterance", "channel": label})
    protocol.end_audio("a")
    read(protocol)
    hear(protocol, {**final("word", 0.0, 1.0), "channel": "a"})
    if lost:
        leg = replaced(protocol)
    else:
        old, leg = rolled_over(protocol)
        hear(protocol, {**END_OF_TRANSCRIPT}, old)
    assert list(leg.channels) == ["b"]
    asked = [each for each in sent(protocol) if each["message"] == "ForceEndOfUtterance"]
    assert [message["channel"] for message in asked] == ["b"]


def test_an_end_of_an_utterance_before_any_audio_is_not_asked_again() -> None:
    protocol = session()
    protocol.add_message({"message": "ForceEndOfUtterance"})
    assert len(sent(protocol)) == 1
    replaced(protocol)
    assert sent(protocol) == []


def test_a_file_is_not_cut() -> None:
    protocol = session(audio_format=FILE)
    protocol.succession.seek_cut()
    assert protocol.succession.cuts == {}


def test_of_a_connection_that_begins_an_error_is_told_where_no_other_can_go_on() -> None:
    protocol = session()
    error = {"message": "Error", "type": "invalid_config", "reason": "because"}
    info = {"message": "Info", "type": "novelty", "reason": "because"}
    new = protocol.succession.new_leg()
    new.connected()
    assert delivered(hear(protocol, error, new)) == []
    protocol.succession.lose()
    new = protocol.succession.new_leg()
    new.connected()
    assert delivered(hear(protocol, info, new)) == []
    assert delivered(hear(protocol, error, new)) == [error]
