"""What is said over one connection: what the server's words mean, and when they break the rules."""

from __future__ import annotations

import base64
import json
from typing import Any, Callable

import pytest
from support.protocol.legs import (
    START,
    added,
    channel_added,
    connecting,
    ending,
    error_message,
    failed,
    failure_of,
    last_of,
    running,
    sent,
    starting,
)
from support.serving import STARTED, final
from support.sessions import END_OF_TRANSCRIPT

from speechmatics_sync import (
    SessionError,
    TimeoutError,
    TranscriptionError,
    TransportError,
)
from speechmatics_sync._protocol.channel import LegChannel
from speechmatics_sync._protocol.events import (
    Acknowledged,
    Deliver,
    Ended,
    Lost,
    Outgoing,
    Started,
)
from speechmatics_sync._protocol.leg import TRANSITIONS, Cause, Leg, State


def ended() -> Leg:
    leg = ending()
    leg.receive(END_OF_TRANSCRIPT)
    return leg


def lost() -> Leg:
    leg = running()
    leg.lose()
    return leg


# -- the states ---------------------------------------------------------------------------------

IN_STATE: dict[State, Callable[[], Leg]] = {
    State.CONNECTING: connecting,
    State.STARTING: starting,
    State.RUNNING: running,
    State.ENDING: ending,
    State.ENDED: ended,
    State.LOST: lost,
    State.FAILED: failed,
}


BRINGS_ABOUT: dict[Cause, Callable[[Leg], object]] = {
    Cause.STARTED: lambda leg: leg.receive(STARTED),
    Cause.TRANSCRIBED: lambda leg: leg.receive(END_OF_TRANSCRIPT),
    Cause.LOSS: lambda leg: leg.lose(),
    Cause.FAILURE: lambda leg: leg.fail(SessionError("closed")),
}


# What the peer says at the wrong time.
OUT_OF_TURN = {
    (State.CONNECTING, Cause.STARTED): State.FAILED,
    (State.RUNNING, Cause.STARTED): State.FAILED,
    (State.ENDING, Cause.STARTED): State.FAILED,
    (State.CONNECTING, Cause.TRANSCRIBED): State.LOST,
    (State.STARTING, Cause.TRANSCRIBED): State.LOST,
    (State.RUNNING, Cause.TRANSCRIBED): State.LOST,
}


@pytest.mark.parametrize("cause", BRINGS_ABOUT)
@pytest.mark.parametrize("state", IN_STATE)
def test_the_table_says_all_that_can_happen(state: State, cause: Cause) -> None:
    leg = IN_STATE[state]()
    assert leg.state is state
    BRINGS_ABOUT[cause](leg)
    allowed = TRANSITIONS[state].get(cause, OUT_OF_TURN.get((state, cause), state))
    assert leg.state is allowed


@pytest.mark.parametrize("state", [*IN_STATE])
def test_what_we_say_at_the_wrong_time_is_a_mistake_of_ours(state: State) -> None:
    says = {
        Cause.CONNECTED: lambda leg: leg.connected(),
        Cause.AUDIO_ENDED: lambda leg: leg.end(None),
    }
    for cause, say in says.items():
        leg = IN_STATE[state]()
        if cause in TRANSITIONS[state]:
            say(leg)
            assert leg.state is TRANSITIONS[state][cause]
        else:
            with pytest.raises(KeyError):
                say(leg)


@pytest.mark.parametrize("state", IN_STATE)
def test_a_leg_is_over_when_nothing_more_can_happen(state: State) -> None:
    assert IN_STATE[state]().over == (not TRANSITIONS[state])


@pytest.mark.parametrize("make", [ended, lost, failed])
def test_what_comes_after_its_end_means_nothing(make: Callable[[], Leg]) -> None:
    leg = make()
    state = leg.state
    for message in (final("late"), added(1), error_message("job_error"), STARTED):
        assert leg.receive(message) == []
    leg.lose()
    leg.fail(SessionError("closed"))
    assert leg.state is state


def test_a_connection_is_followed_by_start_recognition() -> None:
    assert json.loads(connecting().connected()) == START


def test_recognition_started_tells_the_session_and_goes_to_handlers() -> None:
    started, delivered = starting().receive(STARTED)
    assert isinstance(started, Started)
    assert started.session_id == "session-1"
    assert started.language_pack_info is not None
    assert started.language_pack_info.word_delimiter == " "
    assert delivered == Deliver(STARTED)


def test_recognition_started_twice_breaks_the_protocol() -> None:
    assert isinstance(failure_of(running(), STARTED), TransportError)


@pytest.mark.parametrize("field", ["channels", "channel_ids"])
def test_the_channels_that_start_are_those_asked_for(field: str) -> None:
    for names in (["b", "a"], [], None):
        leg = starting("a", "b")
        leg.receive({**STARTED, field: names})
        assert leg.state is State.RUNNING
    for names in (["a"], ["a", "b", "c"], ["1", "2"]):
        error = failure_of(starting("a", "b"), {**STARTED, field: names})
        assert isinstance(error, TransportError)
        assert "'b'" in str(error)
    leg = starting()
    leg.receive({**STARTED, field: ["1"]})  # of one stream none was asked for
    assert leg.state is State.RUNNING


# -- what is sent -------------------------------------------------------------------------------


def test_audio_of_one_stream_goes_as_it_is_and_is_counted() -> None:
    leg = running()
    assert leg.audio(None, b"aa") == Outgoing(b"aa", None, 1)
    assert leg.audio(None, b"bb") == Outgoing(b"bb", None, 2)
    assert json.loads(leg.end(None).payload) == {"message": "EndOfStream", "last_seq_no": 2}


def test_audio_of_channels_says_whose_it_is_and_each_is_ended_once() -> None:
    leg = running("a", "b")
    first = leg.audio("a", b"\0\1")
    assert (first.label, first.number) == ("a", 1)
    assert json.loads(first.payload) == {
        "message": "AddChannelAudio",
        "channel": "a",
        "data": base64.b64encode(b"\0\1").decode(),
    }
    assert leg.audio("b", b"\2\3").number == 1
    ends = [json.loads(leg.end(label).payload) for label in ("a", "b")]
    assert ends == [
        {"message": "EndOfChannel", "channel": "a", "last_seq_no": 1},
        {"message": "EndOfChannel", "channel": "b", "last_seq_no": 1},
    ]
    assert leg.state is State.ENDING


def test_the_audio_has_ended_with_its_last_channel() -> None:
    leg = running("a", "b")
    leg.end("a")
    assert leg.state is State.RUNNING
    leg.end("b")
    assert leg.state is State.ENDING


def test_chunks_have_the_numbers_of_the_session_and_the_end_those_of_the_leg() -> None:
    leg = Leg(START, {None: LegChannel(start=100, before=7)})
    leg.connected()
    leg.receive(STARTED)
    assert [leg.audio(None, b"aa").number for _ in range(2)] == [8, 9]
    leg.receive(added(1))
    assert leg.channels[None].acknowledged_until == 102
    assert json.loads(leg.end(None).payload)["last_seq_no"] == 2


@pytest.mark.parametrize("acknowledged", [0, 1, 2, 3])
def test_last_seq_no_is_what_was_sent_however_little_is_acknowledged(acknowledged: int) -> None:
    leg = running()
    sent(leg, b"aa", b"bb", b"cc")
    if acknowledged:
        leg.receive(added(acknowledged))
    assert json.loads(leg.end(None).payload)["last_seq_no"] == 3


# -- acknowledgements ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number", [0, -1, 4, 10**30, None, "3", "", 3.0, True, False, [3], {"3": 3}, 2]
)
def test_an_acknowledgement_that_is_not_due_breaks_the_protocol(number: Any) -> None:
    leg = running()
    sent(leg, b"aa", b"aa", b"aa")
    leg.receive(added(2))
    error = failure_of(leg, added(number))
    assert isinstance(error, TransportError)
    assert f"acknowledged chunk {number!r}, which was never due" in str(error)
    leg = running("a")
    sent(leg, b"aa", label="a")
    error = failure_of(leg, channel_added("a", 7))
    assert "acknowledged chunk 7 of the channel 'a', which was never due" in str(error)


def test_an_acknowledgement_without_a_number_breaks_the_protocol() -> None:
    leg = running()
    sent(leg, b"aa")
    assert isinstance(failure_of(leg, {"message": "AudioAdded"}), TransportError)


@pytest.mark.parametrize("label", ["c", None, 5, ["a"], ""])
def test_an_acknowledgement_of_a_channel_that_is_none_breaks_the_protocol(label: Any) -> None:
    leg = running("a", "b")
    sent(leg, b"aa", label="a")
    assert "does not have" in str(failure_of(leg, channel_added(label, 1)))


def test_an_acknowledgement_of_one_stream_where_there_are_channels_breaks_the_protocol() -> None:
    leg = running("a")
    sent(leg, b"aa", label="a")
    assert "audio of one stream, which this session does not have" in str(failure_of(leg, added(1)))
    leg = running()
    sent(leg, b"aa")
    assert "does not have" in str(failure_of(leg, channel_added("a", 1)))


def test_an_acknowledgement_covers_all_before_it() -> None:
    leg = running()
    sent(leg, b"aa", b"bbbb", b"cc")
    assert leg.receive(added(2)) == [Acknowledged(None, 2, added(2))]
    assert leg.unacknowledged == 1
    assert leg.channels[None].acknowledged_until == 6


def test_channels_are_acknowledged_apart() -> None:
    leg = running("a", "b")
    sent(leg, b"aa", b"aa", label="a")
    sent(leg, b"bb", label="b")
    leg.receive(channel_added("a", 2))
    assert leg.channels["a"].unacknowledged == 0
    assert leg.channels["b"].unacknowledged == leg.unacknowledged == 1
    assert isinstance(failure_of(leg, channel_added("b", 2)), TransportError)


# -- the end ------------------------------------------------------------------------------------


def test_the_leg_has_ended_when_all_is_acknowledged_and_transcribed() -> None:
    leg = running()
    sent(leg, b"aa")
    leg.end(None)
    leg.receive(added(1))
    assert leg.receive(END_OF_TRANSCRIPT) == [Deliver(END_OF_TRANSCRIPT), Ended()]
    assert leg.closed(1000, "") is None


def test_end_of_transcript_with_audio_unacknowledged_is_an_error() -> None:
    leg = running()
    sent(leg, b"aa", b"aa")
    leg.end(None)
    leg.receive(added(1))
    error = failure_of(leg, END_OF_TRANSCRIPT)
    assert isinstance(error, TransportError)
    assert "1 of 2 chunks" in str(error)


@pytest.mark.parametrize("make", [starting, running])
def test_end_of_transcript_before_our_end_is_a_loss(make: Callable[[], Leg]) -> None:
    (event,) = make().receive(END_OF_TRANSCRIPT)
    assert isinstance(event, Lost)
    assert isinstance(event.error, TranscriptionError)
    assert "before our end of audio" in str(event.error)
    assert not event.busy
    assert event.last_message == END_OF_TRANSCRIPT


def test_end_of_transcript_before_every_channel_has_ended_is_a_loss() -> None:
    leg = running("a", "b")
    leg.end("a")
    assert isinstance(last_of(leg.receive(END_OF_TRANSCRIPT)), Lost)


@pytest.mark.parametrize("make", [running, ending])
def test_a_duration_limit_is_a_loss_in_the_end(make: Callable[[], Leg]) -> None:
    leg = make()
    warning = {"message": "Warning", "type": "duration_limit_exceeded", "reason": "2 hours"}
    assert leg.receive(warning) == [Deliver(warning)]
    (event,) = leg.receive(END_OF_TRANSCRIPT)
    assert isinstance(event, Lost)
    assert isinstance(event.error, TranscriptionError)
    assert (event.error.type, event.error.reason) == ("duration_limit_exceeded", "2 hours")
    assert event.last_message == END_OF_TRANSCRIPT


def test_after_any_other_warning_the_end_is_the_end() -> None:
    leg = ending()
    leg.receive({"message": "Warning", "type": "idle_timeout", "reason": "2 hours"})
    assert leg.receive(END_OF_TRANSCRIPT) == [Deliver(END_OF_TRANSCRIPT), Ended()]


def test_a_time_limit_that_passes_is_a_loss() -> None:
    leg = running()
    error = TimeoutError("too long")
    assert leg.limit_passed(error) == Lost(error)
    assert leg.state is State.LOST


# -- what this version does not know ------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        {"message": "Novelty", "deep": {"er": [1, None]}},
        {"message": None},
        {"message": ["AudioAdded"]},
        {"no": "name"},
        {},
        {**final("word"), "unknown": {"field": True}},
    ],
)
def test_unknown_messages_and_fields_are_handed_on_unchanged(message: dict[str, Any]) -> None:
    for make in (starting, running, ending):
        leg = make()
        (delivered,) = leg.receive(message)
        assert isinstance(delivered, Deliver)
        assert delivered.message is message
        assert leg.state is make().state
