"""What is said over one connection: what the server's words mean, and when they break the rules."""

from __future__ import annotations

import base64
import json
from typing import Any, Callable, Optional

import pytest
from support.serving import STARTED, final
from support.sessions import END_OF_TRANSCRIPT

from speechmatics_sync import (
    AuthenticationError,
    ConnectionError,
    ErrorType,
    SessionError,
    TimeoutError,
    TranscriptionError,
    TransportError,
)
from speechmatics_sync._model.typing import Label
from speechmatics_sync._protocol.channel import LegChannel
from speechmatics_sync._protocol.codec import encode
from speechmatics_sync._protocol.events import (
    Acknowledged,
    Deliver,
    Ended,
    Event,
    Failed,
    Lost,
    Outgoing,
    Queued,
    SpeakersAnswered,
    SpeakersQuestion,
    Started,
)
from speechmatics_sync._protocol.leg import TRANSITIONS, Cause, Due, Leg, State
from speechmatics_sync._protocol.multiplexer import Placed
from speechmatics_sync._protocol.server_errors import CLOSE_CODES

START = {"message": "StartRecognition", "transcription_config": {"language": "de"}}
SPEAKERS = {"message": "SpeakersResult", "speakers": [{"label": "A", "speaker_identifiers": ["x"]}]}
FORCED = {"message": "EndOfUtterance", "forced": True, "metadata": {}}
BUSY = ["internal_error", "job_error", "quota_exceeded"]


def connecting(*labels: str) -> Leg:
    return Leg(START, {label: LegChannel() for label in labels or (None,)})


def starting(*labels: str) -> Leg:
    leg = connecting(*labels)
    leg.connected()
    return leg


def running(*labels: str) -> Leg:
    leg = starting(*labels)
    leg.receive(STARTED)
    return leg


def ending() -> Leg:
    leg = running()
    leg.end(None)
    return leg


def ended() -> Leg:
    leg = ending()
    leg.receive(END_OF_TRANSCRIPT)
    return leg


def lost() -> Leg:
    leg = running()
    leg.lose()
    return leg


def failed() -> Leg:
    leg = running()
    leg.fail(SessionError("closed"))
    return leg


def added(number: Any) -> dict[str, Any]:
    return {"message": "AudioAdded", "seq_no": number}


def channel_added(label: Any, number: Any) -> dict[str, Any]:
    return {"message": "ChannelAudioAdded", "channel": label, "seq_no": number}


def error_message(type: str) -> dict[str, Any]:
    return {"message": "Error", "type": type, "reason": "because", "code": 7}


def sent(leg: Leg, *chunks: bytes, label: Label = None) -> None:
    for chunk in chunks:
        leg.audio(label, chunk)


def ask(leg: Leg, message: dict[str, Any], question: Optional[SpeakersQuestion] = None) -> None:
    leg.request(Placed(Queued(message, encode(message), question), {}), message)


def ask_speakers(leg: Leg, *, own: bool = False) -> SpeakersQuestion:
    question = SpeakersQuestion(own=own)
    ask(leg, {"message": "GetSpeakers"}, question)
    return question


def last_of(events: list[Event]) -> Any:
    return events[-1]


def failure_of(leg: Leg, message: dict[str, Any]) -> Any:
    """The error of a mistake that no other connection makes good."""
    event = last_of(leg.receive(message))
    assert isinstance(event, Failed)
    assert leg.state is State.FAILED
    return event.error


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
    assert "never due" in str(error)


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
    assert "does not have" in str(failure_of(leg, added(1)))
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


def test_a_time_limit_that_passes_is_a_loss() -> None:
    leg = running()
    error = TimeoutError("too long")
    assert leg.limit_passed(error) == Lost(error)
    assert leg.state is State.LOST


# -- Errors and close codes ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "type"),
    [
        (make, type)
        for make in (starting, running, ending)
        for type in (*ErrorType, "some_new_error")
        if type != "session_timeout" and not (make is starting and type in BUSY)
    ],
)
def test_every_error_of_the_server_is_raised_as_what_it_is(
    make: Callable[[], Leg], type: str
) -> None:
    leg = make()
    message = json.loads(json.dumps({**error_message(type), "seq_no": 1}))
    delivered, failure = leg.receive(message)
    assert delivered == Deliver(message)
    assert isinstance(failure, Failed)
    error = failure.error
    kind = AuthenticationError if type == "not_authorised" else TranscriptionError
    assert isinstance(error, kind)
    assert (error.type, error.reason) == (type, "because")
    if isinstance(error, TranscriptionError):
        assert error.code == 7
    assert type in str(error)
    assert "because" in str(error)
    closed = leg.closed(4321, "bye")
    assert isinstance(closed, Failed)
    assert closed.error is error
    assert error.close_code == 4321


@pytest.mark.parametrize(
    ("make", "type", "busy"),
    [
        *((starting, type, True) for type in BUSY),
        (starting, "session_timeout", True),
        (running, "session_timeout", False),
        (ending, "session_timeout", False),
    ],
)
def test_an_error_that_passes_is_a_loss_once_its_connection_is_closed(
    make: Callable[[], Leg], type: str, busy: bool
) -> None:
    leg = make()
    message = error_message(type)
    assert leg.receive(message) == []  # no handler need know, if another connection goes on
    assert not leg.over
    event = leg.closed(4321, "bye")
    assert isinstance(event, Lost)
    assert isinstance(event.error, TranscriptionError)
    assert (event.error.type, event.error.close_code) == (type, 4321)
    assert (event.busy, event.last_message) == (busy, message)
    assert leg.state is State.LOST


@pytest.mark.parametrize("message", [{}, {"type": None, "reason": 5, "code": "x"}])
def test_an_error_without_its_fields_is_an_error_all_the_same(message: dict[str, Any]) -> None:
    error = failure_of(running(), {"message": "Error", **message})
    assert isinstance(error, TranscriptionError)
    assert error.code is None


@pytest.mark.parametrize("make", [starting, running, ending])
@pytest.mark.parametrize(
    ("code", "type"), [(code, row.type) for code, row in CLOSE_CODES.items() if not row.lost]
)
def test_a_documented_close_code_counts_as_its_error(
    make: Callable[[], Leg], code: int, type: str
) -> None:
    event = make().closed(code, "why")
    assert event is not None
    error: Any = event.error
    kind = AuthenticationError if code == 4001 else TranscriptionError
    assert isinstance(error, kind)
    assert (error.type, error.reason, error.close_code) == (type, "why", code)
    if make is starting and type in BUSY:
        assert isinstance(event, Lost)
        assert event.busy
    else:
        assert isinstance(event, Failed)


@pytest.mark.parametrize("code", [code for code, row in CLOSE_CODES.items() if row.lost])
@pytest.mark.parametrize("make", [starting, running, ending])
def test_these_close_codes_are_a_lost_connection(
    make: Callable[[], Leg], code: Optional[int]
) -> None:
    leg = make()
    event = leg.closed(code, "gone")
    assert isinstance(event, Lost)
    assert isinstance(event.error, ConnectionError)
    assert event.error.close_code == code
    assert "gone" in str(event.error)
    # Before the start, 1011 says that the server has no room.
    assert event.busy == (make is starting and code == 1011)
    assert leg.state is State.LOST


@pytest.mark.parametrize("code", [1002, 1007, 1009, 1010, 1015, 0, 2999])
def test_other_close_codes_of_the_protocol_are_the_peers_mistake(code: int) -> None:
    event = running().closed(code, "")
    assert isinstance(event, Failed)
    assert isinstance(event.error, TransportError)
    assert event.error.close_code == code


@pytest.mark.parametrize("code", [3000, 4999])
def test_an_unknown_close_code_of_the_service_is_an_unknown_error(code: int) -> None:
    event = running().closed(code, "new")
    assert isinstance(event, Failed)
    assert isinstance(event.error, TranscriptionError)
    assert (event.error.type, event.error.close_code) == ("unknown_error", code)


@pytest.mark.parametrize("code", [None, 1002, 4003])
def test_a_leg_that_failed_may_still_be_closed(code: Optional[int]) -> None:
    leg = failed()
    assert leg.closed(code, "") is not None
    assert leg.state is State.FAILED


def test_the_first_error_of_the_server_counts() -> None:
    leg = starting()
    leg.receive(error_message("job_error"))
    second = error_message("protocol_error")
    assert leg.receive(second) == [Deliver(second)]
    event = leg.closed(None, "")
    assert isinstance(event, Lost)
    assert isinstance(event.error, TranscriptionError)
    assert event.error.type == "job_error"


# -- questions and answers ----------------------------------------------------------------------


def test_answers_of_get_speakers_come_in_the_order_of_the_questions() -> None:
    leg = running()
    first, second = ask_speakers(leg), ask_speakers(leg)
    assert leg.receive(SPEAKERS) == [SpeakersAnswered(first, SPEAKERS)]
    assert leg.receive(SPEAKERS) == [SpeakersAnswered(second, SPEAKERS)]
    assert leg.receive(SPEAKERS) == [Deliver(SPEAKERS)]  # the one of the end is nobody's


def test_a_forced_end_of_utterance_answers_a_force_and_no_other_does() -> None:
    leg = running()
    ask(leg, {"message": "ForceEndOfUtterance"})
    question = ask_speakers(leg)
    plain = {**FORCED, "forced": False}
    assert leg.receive(plain) == [Deliver(plain)]
    assert len(leg.asked) == 2
    assert leg.receive(FORCED) == [Deliver(FORCED)]
    assert [placed.message.question for placed in leg.asked] == [question]


def test_a_forced_end_of_utterance_answers_the_force_of_its_channel() -> None:
    leg = running("a", "b")
    for label in ("a", "b"):
        ask(leg, {"message": "ForceEndOfUtterance", "channel": label})
    leg.receive({**FORCED, "channel": "b"})
    assert [placed.message.message["channel"] for placed in leg.asked] == ["a"]


def test_other_messages_await_no_answer() -> None:
    leg = running()
    ask(leg, {"message": "SetRecognitionConfig"})
    ask(leg, {"message": "GetSpeakers", "final": True})
    assert not leg.asked


def test_the_server_owes_what_it_has_not_answered() -> None:
    leg = starting()
    assert leg.owed() == {}  # the start has a limit of its own
    leg.receive(STARTED)
    assert leg.owed() == {}
    sent(leg, b"aa", b"aa")
    before = leg.owed()
    assert list(before) == [(Due.ACKNOWLEDGEMENT, None)]
    leg.receive(added(1))
    assert list(leg.owed()) == list(before)
    assert leg.owed() != before  # it got on
    leg.receive(added(2))
    assert leg.owed() == {}
    ask_speakers(leg, own=True)  # what the session asks for itself, it does not insist on
    assert leg.owed() == {}
    leg.receive(SPEAKERS)
    first, second = ask_speakers(leg), ask_speakers(leg)
    assert list(leg.owed()) == [(Due.ANSWER, first)]
    leg.receive(SPEAKERS)
    assert list(leg.owed()) == [(Due.ANSWER, second)]
    leg.receive(SPEAKERS)
    assert leg.owed() == {}
    leg.end(None)
    assert list(leg.owed()) == [(Due.END, None)]


def test_an_answer_is_owed_once_the_audio_before_its_question_is_acknowledged() -> None:
    leg = running()
    sent(leg, b"aa")
    question = SpeakersQuestion()
    message = {"message": "GetSpeakers"}
    leg.request(Placed(Queued(message, encode(message), question), {None: 2}), message)
    sent(leg, b"aa")
    assert list(leg.owed()) == [(Due.ACKNOWLEDGEMENT, None)]
    leg.receive(added(1))
    assert list(leg.owed()) == [(Due.ACKNOWLEDGEMENT, None), (Due.ANSWER, question)]


def test_channels_owe_their_acknowledgements_apart() -> None:
    leg = running("a", "b")
    for label in ("a", "b"):
        sent(leg, b"aa", b"aa", label=label)
    before = leg.owed()
    leg.receive(channel_added("a", 1))
    assert {what for what, progress in leg.owed().items() if progress == before[what]} == {
        (Due.ACKNOWLEDGEMENT, "b")
    }


@pytest.mark.parametrize(
    ("message", "nearer"),
    [
        (final("word"), True),
        ({**final("word"), "message": "AddTranslation"}, True),
        (added(1), True),
        (FORCED, True),
        ({**final("word"), "message": "AddPartialTranscript"}, False),
        ({"message": "Info", "type": "recognition_quality"}, False),
        ({"message": "Warning", "type": "duration_limit_exceeded"}, False),
        ({"message": "Novelty"}, False),
    ],
)
def test_what_settles_something_brings_the_end_nearer(
    message: dict[str, Any], nearer: bool
) -> None:
    leg = running()
    sent(leg, b"aa")
    leg.end(None)
    before = leg.owed()[Due.END, None]
    leg.receive(message)
    assert (leg.owed()[Due.END, None] != before) == nearer


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
