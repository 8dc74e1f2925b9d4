from __future__ import annotations

import json
from typing import Any, Callable, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import STARTED, final
from sessions import END_OF_TRANSCRIPT, RAW

from speechmatics_sync import (
    AudioEncoding,
    AudioFormat,
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    EndOfTranscriptError,
    SessionError,
    SpeakerIdentifier,
    TranscriptionConfig,
    TranscriptionError,
    TransportError,
)
from speechmatics_sync.config import MidSessionConfig
from speechmatics_sync.messages import CLOSE_CODES, ClientMessageType, ErrorType
from speechmatics_sync.leg import (
    TRANSITIONS,
    Acknowledged,
    Cause,
    Deliver,
    Ended,
    Event,
    Failed,
    Leg,
    Lost,
    SpeakersAnswered,
    Started,
    State,
)
from speechmatics_sync.protocol import Protocol, Recognition
from speechmatics_sync.wire import decode

SPEAKERS = {"message": "SpeakersResult", "speakers": [{"label": "A", "speaker_identifiers": ["x"]}]}


def leg_of(protocol: Protocol) -> Leg:
    """The leg that takes the audio."""
    assert protocol.leg is not None
    return protocol.leg


def connected(protocol: Protocol) -> str:
    """There is a connection: StartRecognition."""
    if protocol.leg is None:
        protocol.enter(protocol.new_leg())
    return leg_of(protocol).connected()


def hear(protocol: Protocol, message: dict[str, Any]) -> list[Event]:
    """What a message of the server's means."""
    return protocol.receive(leg_of(protocol), message)


def closed(protocol: Protocol, code: Optional[int], reason: str) -> Any:
    """The error that the end of the connection means."""
    event = protocol.closed(leg_of(protocol), code, reason)
    return None if event is None else event.error


def connecting(audio_format: AudioFormat = RAW, *, window: int = 512) -> Protocol:
    config = TranscriptionConfig(language="de")
    return Protocol(Recognition(config, audio_format), max_unacked_chunks=window)


def starting(audio_format: AudioFormat = RAW, *, window: int = 512) -> Protocol:
    protocol = connecting(audio_format, window=window)
    connected(protocol)
    return protocol


def running(audio_format: AudioFormat = RAW, *, window: int = 512) -> Protocol:
    protocol = starting(audio_format, window=window)
    hear(protocol, STARTED)
    return protocol


def ending() -> Protocol:
    protocol = running()
    protocol.end_audio()
    protocol.next_to_send()
    return protocol


def ended() -> Protocol:
    protocol = ending()
    hear(protocol, END_OF_TRANSCRIPT)
    return protocol


def failed() -> Protocol:
    protocol = running()
    closed(protocol, 1006, "")
    return protocol


def added(number: Any) -> dict[str, Any]:
    return {"message": "AudioAdded", "seq_no": number}


def sent(protocol: Protocol) -> list[Any]:
    """Everything that may be sent now: audio as bytes, messages decoded."""
    messages: list[Any] = []
    while True:
        outgoing = protocol.next_to_send()
        if outgoing is None:
            return messages
        payload = outgoing.payload
        messages.append(payload if isinstance(payload, bytes) else json.loads(payload))


def failure_of(protocol: Protocol, message: dict[str, Any]) -> Any:
    """The error that a message means."""
    *_, last = hear(protocol, message)
    assert isinstance(last, (Lost, Failed))
    return last.error


# -- the states ---------------------------------------------------------------------------------

IN_STATE: dict[State, Callable[[], Protocol]] = {
    State.CONNECTING: connecting,
    State.STARTING: starting,
    State.RUNNING: running,
    State.ENDING: ending,
    State.ENDED: ended,
    State.FAILED: failed,
}


def _end_audio(protocol: Protocol) -> None:
    try:
        protocol.end_audio()
    except SessionError:
        assert protocol.state in (State.ENDED, State.FAILED)
    protocol.next_to_send()


BRINGS_ABOUT: dict[Cause, Callable[[Protocol], object]] = {
    Cause.STARTED: lambda protocol: hear(protocol, STARTED),
    Cause.AUDIO_ENDED: _end_audio,
    Cause.TRANSCRIBED: lambda protocol: hear(protocol, END_OF_TRANSCRIPT),
    Cause.FAILURE: lambda protocol: closed(protocol, 1006, ""),
}


@pytest.mark.parametrize("cause", BRINGS_ABOUT)
@pytest.mark.parametrize("state", IN_STATE)
def test_the_table_says_all_that_can_happen(state: State, cause: Cause) -> None:
    protocol = IN_STATE[state]()
    assert protocol.state is state
    BRINGS_ABOUT[cause](protocol)
    expected = TRANSITIONS[state].get(cause, state)
    if expected is state and cause in (Cause.STARTED, Cause.TRANSCRIBED) and TRANSITIONS[state]:
        expected = State.FAILED  # the peer said it at the wrong time
    assert protocol.state is expected


def test_a_connection_is_followed_by_start_recognition() -> None:
    protocol = connecting(AudioFormat("mulaw", 8000))
    assert json.loads(connected(protocol)) == {
        "message": "StartRecognition",
        "audio_format": {"type": "raw", "encoding": "mulaw", "sample_rate": 8000},
        "transcription_config": {"language": "de", "model": "enhanced"},
    }


def test_nothing_is_sent_before_recognition_has_started() -> None:
    protocol = starting()
    protocol.add_audio(b"ab")
    protocol.add_message({"message": "Anything"})
    assert sent(protocol) == []
    hear(protocol, STARTED)
    assert sent(protocol) == [b"ab", {"message": "Anything"}]


def test_recognition_started_tells_the_session_and_goes_to_handlers() -> None:
    started, delivered = starting().receive(STARTED)
    assert isinstance(started, Started)
    assert started.session_id == "session-1"
    assert started.language_pack_info is not None
    assert started.language_pack_info.word_delimiter == " "
    assert delivered == Deliver(STARTED)


# -- audio --------------------------------------------------------------------------------------


def test_audio_waits_while_the_window_is_full() -> None:
    protocol = running(window=2)
    for chunk in (b"aa", b"bb"):
        assert protocol.has_room()
        protocol.add_audio(chunk)
        assert sent(protocol) == [chunk]
    assert not protocol.has_room()
    protocol.add_audio(b"cc")
    assert sent(protocol) == []
    hear(protocol, added(1))
    assert not protocol.has_room()  # what waits goes first
    assert sent(protocol) == [b"cc"]
    hear(protocol, added(3))
    assert protocol.has_room()


def test_messages_stay_in_order_with_audio_that_waits() -> None:
    protocol = running(window=1)
    protocol.add_audio(b"aa")
    protocol.add_audio(b"bb")
    protocol.add_message({"message": "ForceEndOfUtterance"})
    protocol.end_audio()
    assert sent(protocol) == [b"aa"]
    hear(protocol, added(1))
    assert sent(protocol) == [
        b"bb",
        {"message": "ForceEndOfUtterance"},
        {"message": "EndOfStream", "last_seq_no": 2},
    ]


@pytest.mark.parametrize("acknowledged", [0, 1, 2, 3])
def test_last_seq_no_is_what_was_sent_however_little_is_acknowledged(acknowledged: int) -> None:
    protocol = running()
    for chunk in (b"aa", b"bb", b"cc"):
        protocol.add_audio(chunk)
    assert len(sent(protocol)) == 3
    if acknowledged:
        hear(protocol, added(acknowledged))
    protocol.end_audio()
    assert sent(protocol) == [{"message": "EndOfStream", "last_seq_no": 3}]


@pytest.mark.parametrize(("encoding", "size"), [("pcm_s16le", 2), ("pcm_f32le", 4), ("mulaw", 1)])
@given(pieces=st.lists(st.binary(max_size=9), max_size=12))
def test_chunks_are_whole_samples_and_only_the_last_part_of_one_is_lost(
    encoding: str, size: int, pieces: list[bytes]
) -> None:
    protocol = running(AudioFormat(encoding, 8000))
    for piece in pieces:
        protocol.add_audio(piece)
    dropped = protocol.end_audio()
    *chunks, end = sent(protocol)
    whole = b"".join(pieces)
    assert all(chunk and len(chunk) % size == 0 for chunk in chunks)
    assert b"".join(chunks) == whole[: len(whole) - dropped]
    assert dropped == len(whole) % size
    assert end["last_seq_no"] == len(chunks)


def test_a_file_is_sent_byte_for_byte() -> None:
    protocol = running(AudioFormat())
    protocol.add_audio(b"abc")
    assert protocol.end_audio() == 0
    assert sent(protocol)[0] == b"abc"
    assert protocol.seconds_taken is None


def test_seconds_are_those_of_the_audio() -> None:
    protocol = running(AudioFormat(AudioEncoding.PCM_F32LE, 8000))
    protocol.add_audio(bytes(8000 * 4))
    assert protocol.seconds_taken == 1.0


def test_audio_after_the_end_is_refused() -> None:
    protocol = running()
    protocol.end_audio()
    for call in (
        lambda: protocol.add_audio(b"aa"),
        lambda: protocol.add_message({"message": "Anything"}),
        lambda: protocol.force_end_of_utterance(None),
        lambda: protocol.configure(MidSessionConfig(max_delay=1)),
        protocol.ask_speakers,
    ):
        with pytest.raises(SessionError, match="audio of this session has ended"):
            call()
    assert protocol.end_audio() == 0  # once more is no mistake
    assert sent(protocol) == [{"message": "EndOfStream", "last_seq_no": 0}]


@pytest.mark.parametrize("make", [ended, failed])
def test_after_the_session_nothing_is_taken(make: Callable[[], Protocol]) -> None:
    protocol = make()
    with pytest.raises(EndOfTranscriptError):
        protocol.add_audio(b"aa")
    assert hear(protocol, final("late")) == []


# -- acknowledgements ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number", [0, -1, 4, 10**30, None, "3", "", 3.0, True, False, [3], {"3": 3}, 2]
)
def test_an_acknowledgement_that_is_not_due_breaks_the_protocol(number: Any) -> None:
    protocol = running()
    for _ in range(3):
        protocol.add_audio(b"aa")
    sent(protocol)
    hear(protocol, added(2))
    error = failure_of(protocol, added(number))
    assert isinstance(error, TransportError)
    assert "never due" in str(error)
    assert protocol.state is State.FAILED


def test_an_acknowledgement_without_a_number_breaks_the_protocol() -> None:
    protocol = running()
    protocol.add_audio(b"aa")
    sent(protocol)
    assert isinstance(failure_of(protocol, {"message": "AudioAdded"}), TransportError)


def test_an_acknowledgement_covers_all_before_it() -> None:
    protocol = running()
    for chunk in (b"aa", b"bbbb"):
        protocol.add_audio(chunk)
    sent(protocol)
    assert hear(protocol, added(2)) == [Acknowledged(None, 2, added(2))]
    assert leg_of(protocol).unacknowledged == 0
    assert protocol.channels[None].bytes_acknowledged == 6


# -- the end ------------------------------------------------------------------------------------


def test_the_session_has_ended_when_all_is_acknowledged_and_transcribed() -> None:
    protocol = running()
    protocol.add_audio(b"aa")
    protocol.end_audio()
    sent(protocol)
    hear(protocol, added(1))
    assert hear(protocol, END_OF_TRANSCRIPT) == [Deliver(END_OF_TRANSCRIPT), Ended()]
    assert closed(protocol, 1000, "") is None


def test_end_of_transcript_with_audio_unacknowledged_is_an_error() -> None:
    protocol = running()
    protocol.add_audio(b"aa")
    protocol.add_audio(b"aa")
    protocol.end_audio()
    sent(protocol)
    hear(protocol, added(1))
    error = failure_of(protocol, END_OF_TRANSCRIPT)
    assert isinstance(error, TransportError)
    assert "1 of 2 chunks" in str(error)


@pytest.mark.parametrize("make", [starting, running])
def test_end_of_transcript_before_our_end_is_an_error(make: Callable[[], Protocol]) -> None:
    error = failure_of(make(), END_OF_TRANSCRIPT)
    assert isinstance(error, TranscriptionError)
    assert "before our end of audio" in str(error)


def test_end_of_transcript_before_the_end_was_sent_is_an_error() -> None:
    protocol = running(window=1)
    protocol.add_audio(b"aa")
    protocol.add_audio(b"bb")
    protocol.end_audio()
    sent(protocol)
    assert isinstance(failure_of(protocol, END_OF_TRANSCRIPT), TranscriptionError)


@pytest.mark.parametrize("make", [running, ending])
def test_a_duration_limit_is_an_error_in_the_end(make: Callable[[], Protocol]) -> None:
    protocol = make()
    warning = {"message": "Warning", "type": "duration_limit_exceeded", "reason": "2 hours"}
    assert hear(protocol, warning) == [Deliver(warning)]
    error = failure_of(protocol, END_OF_TRANSCRIPT)
    assert isinstance(error, TranscriptionError)
    assert (error.type, error.reason) == ("duration_limit_exceeded", "2 hours")


def test_recognition_started_twice_breaks_the_protocol() -> None:
    assert isinstance(failure_of(running(), STARTED), TransportError)


# -- Errors and close codes ---------------------------------------------------------------------


@pytest.mark.parametrize("type", [*ErrorType, "some_new_error"])
@pytest.mark.parametrize("make", [starting, running, ending])
def test_every_error_of_the_server_is_raised_as_what_it_is(
    make: Callable[[], Protocol], type: str
) -> None:
    protocol = make()
    message = {"message": "Error", "type": type, "reason": "because", "code": 7, "seq_no": 1}
    message = json.loads(json.dumps(message))
    delivered, failure = hear(protocol, message)
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
    assert closed(protocol, 4321, "bye") is error
    assert error.close_code == 4321  # type: ignore[attr-defined]


@pytest.mark.parametrize("message", [{}, {"type": None, "reason": 5, "code": "x"}])
def test_an_error_without_its_fields_is_an_error_all_the_same(message: dict[str, Any]) -> None:
    error = failure_of(running(), {"message": "Error", **message})
    assert isinstance(error, TranscriptionError)
    assert error.code is None


@pytest.mark.parametrize(
    ("code", "type"), sorted(set(CLOSE_CODES.items()) - {(1011, "internal_error")})
)
def test_a_documented_close_code_counts_as_its_error(code: int, type: str) -> None:
    error = running().closed(code, "why")
    kind = AuthenticationError if code == 4001 else TranscriptionError
    assert isinstance(error, kind)
    assert (error.type, error.reason, error.close_code) == (type, "why", code)


@pytest.mark.parametrize("code", [None, 1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014])
@pytest.mark.parametrize("make", [starting, running, ending])
def test_these_close_codes_are_a_lost_connection(
    make: Callable[[], Protocol], code: Optional[int]
) -> None:
    error = make().closed(code, "gone")
    assert isinstance(error, ConnectionError)
    assert error.close_code == code
    assert "gone" in str(error)


@pytest.mark.parametrize("code", [1002, 1007, 1009, 1010, 1015, 0, 2999])
def test_other_close_codes_of_the_protocol_are_the_peers_mistake(code: int) -> None:
    error = running().closed(code, "")
    assert isinstance(error, TransportError)
    assert error.close_code == code


@pytest.mark.parametrize("code", [3000, 4999])
def test_an_unknown_close_code_of_the_service_is_an_unknown_error(code: int) -> None:
    error = running().closed(code, "new")
    assert isinstance(error, TranscriptionError)
    assert (error.type, error.close_code) == ("unknown_error", code)


def test_the_first_error_counts() -> None:
    protocol = running()
    first = failure_of(protocol, {"message": "Error", "type": "job_error", "reason": ""})
    assert protocol.fail(SessionError("closed")) is first
    assert closed(protocol, 1000, "") is first


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
        protocol = make()
        (delivered,) = hear(protocol, message)
        assert isinstance(delivered, Deliver)
        assert delivered.message is message
        assert protocol.state is make().state


# -- messages of the user's ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        ClientMessageType.START_RECOGNITION,
        "AddAudio",
        ClientMessageType.ADD_CHANNEL_AUDIO,
        "EndOfStream",
        "EndOfChannel",
    ],
)
def test_messages_that_have_methods_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="not sent as a message"):
        running().add_message({"message": name})


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"message": None},
        {"message": 5},
        "GetSpeakers",
        None,
        [("message", "X")],
        {"message": "X", "number": float("nan")},
        {"message": "X", "set": {1}},
    ],
)
def test_what_is_no_message_is_refused_and_nothing_is_queued(message: Any) -> None:
    protocol = running()
    with pytest.raises(ConfigurationError):
        protocol.add_message(message)
    assert sent(protocol) == []


def test_the_language_of_a_session_stays() -> None:
    protocol = running()
    protocol.configure(MidSessionConfig(max_delay=2, enable_partials=True))
    assert sent(protocol) == [
        {
            "message": "SetRecognitionConfig",
            "transcription_config": {"language": "de", "max_delay": 2, "enable_partials": True},
        }
    ]


@pytest.mark.parametrize("timestamp", [-1, float("nan"), float("inf"), True, "1"])
def test_an_utterance_ends_at_a_time(timestamp: Any) -> None:
    with pytest.raises(ConfigurationError, match="timestamp"):
        running().force_end_of_utterance(timestamp)


def test_answers_of_get_speakers_come_in_the_order_of_the_questions() -> None:
    protocol = running(window=1)
    protocol.add_audio(b"aa")
    protocol.add_audio(b"bb")
    first, second = protocol.ask_speakers(), protocol.ask_speakers()
    sent(protocol)
    assert hear(protocol, SPEAKERS) == [Deliver(SPEAKERS)]  # not asked yet: behind audio
    hear(protocol, added(1))
    assert sent(protocol) == [b"bb", {"message": "GetSpeakers"}, {"message": "GetSpeakers"}]
    hear(protocol, added(2))
    assert leg_of(protocol).owes_answer
    assert hear(protocol, SPEAKERS) == [Deliver(SPEAKERS), SpeakersAnswered(first)]
    assert first.answer == [SpeakerIdentifier("A", ["x"])]
    assert second.answer is None
    hear(protocol, {"message": "SpeakersResult", "speakers": []})
    assert second.answer == []
    assert not leg_of(protocol).owes_answer


def test_a_final_answer_is_nobodys() -> None:
    protocol = running()
    protocol.add_message({"message": "GetSpeakers", "final": True})
    question = protocol.ask_speakers()
    sent(protocol)
    hear(protocol, SPEAKERS)
    assert question.answer is not None
    assert hear(protocol, SPEAKERS) == [Deliver(SPEAKERS)]


def test_the_server_owes_what_it_has_not_answered() -> None:
    protocol = connecting()
    assert not leg_of(protocol).owes_answer
    connected(protocol)
    assert leg_of(protocol).owes_answer
    hear(protocol, STARTED)
    assert not leg_of(protocol).owes_answer
    protocol.add_audio(b"aa")
    sent(protocol)
    assert leg_of(protocol).owes_answer
    hear(protocol, added(1))
    assert not leg_of(protocol).owes_answer
    protocol.end_audio()
    sent(protocol)
    assert leg_of(protocol).owes_answer


# -- JSON ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"not JSON",
        b'{"message": "Info"',
        b'{"message": "Info"} {}',
        b'{"confidence": NaN}',
        b'{"confidence": -Infinity}',
        b'{"message": "\xff"}',
        b"\xed\xa0\x80",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
    ids=lambda payload: repr(payload[:20]),
)
def test_what_is_not_json_breaks_the_protocol(payload: bytes) -> None:
    with pytest.raises(TransportError, match="not JSON"):
        decode(payload)


@pytest.mark.parametrize("payload", [b"[]", b'"text"', b"1", b"null", b"true"])
def test_json_that_is_no_object_breaks_the_protocol(payload: bytes) -> None:
    with pytest.raises(TransportError, match="not an object"):
        decode(payload)


def test_a_number_of_5000_digits_breaks_the_protocol() -> None:
    with pytest.raises(TransportError):
        decode(b'{"message": "AudioAdded", "seq_no": ' + b"9" * 5000 + b"}")


def test_an_error_about_json_shows_little_of_it() -> None:
    with pytest.raises(TransportError) as caught:
        decode(b"x" * 100_000)
    assert len(str(caught.value)) < 300


# -- in any order -------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
names = st.sampled_from(
    ["RecognitionStarted", "AudioAdded", "AddTranscript", "SpeakersResult", "EndOfTranscript",
     "Warning", "Error", "Info", "ChannelAudioAdded"]
)  # fmt: skip
fields = st.sampled_from(
    ["id", "seq_no", "type", "reason", "code", "speakers", "metadata", "results",
     "language_pack_info", "label"]
)  # fmt: skip


@given(
    messages=st.lists(
        st.builds(
            lambda name, rest: {**rest, "message": name},
            names,
            st.dictionaries(fields, json_values),
        ),
        max_size=6,
    ),
    start=st.sampled_from([starting, running, ending]),
)
def test_whatever_a_server_says_is_an_event_or_the_peers_mistake(
    messages: list[dict[str, Any]], start: Callable[[], Protocol]
) -> None:
    protocol = start()
    for message in messages:
        try:
            hear(protocol, message)
        except TransportError:
            return


actions = st.lists(
    st.one_of(
        st.tuples(st.just("audio"), st.binary(max_size=5)),
        st.tuples(st.just("message"), st.just(b"")),
        st.tuples(st.just("speakers"), st.just(b"")),
        st.tuples(st.just("send"), st.just(b"")),
        st.tuples(st.just("acknowledge"), st.integers(0, 255).map(lambda byte: bytes([byte]))),
        st.tuples(st.just("end"), st.just(b"")),
    ),
    max_size=60,
)


@given(actions=actions, window=st.integers(1, 4))
def test_in_every_order_nothing_is_lost_and_the_window_holds(
    actions: list[tuple[str, bytes]], window: int
) -> None:
    protocol = running(window=window)
    given_audio, given_order, wire = b"", [], []

    def collect() -> None:
        for outgoing in sent(protocol):
            wire.append(outgoing)
        assert leg_of(protocol).unacknowledged <= window
        assert protocol.sent == sum(isinstance(each, bytes) for each in wire)

    for action, argument in actions:
        if action == "send":
            collect()
        elif action == "acknowledge":
            due = leg_of(protocol).unacknowledged
            if due:
                number = protocol.acknowledged + 1 + argument[0] % due
                hear(protocol, added(number))
                assert protocol.acknowledged == number
        elif action == "end":
            protocol.end_audio()
        elif protocol.audio_ended:
            with pytest.raises(SessionError):
                protocol.add_audio(argument)
        elif action == "audio":
            protocol.add_audio(argument)
            given_audio += argument
        elif action == "speakers":
            protocol.ask_speakers()
            given_order.append(("GetSpeakers", len(given_audio) // 2 * 2))
        else:
            protocol.add_message({"message": "Mine"})
            given_order.append(("Mine", len(given_audio) // 2 * 2))
    protocol.end_audio()
    while protocol.state is State.RUNNING:
        collect()
        if leg_of(protocol).unacknowledged:
            hear(protocol, added(protocol.sent))
    if leg_of(protocol).unacknowledged:
        hear(protocol, added(protocol.sent))

    assert wire[-1] == {"message": "EndOfStream", "last_seq_no": protocol.sent}
    heard, order = b"", []
    for outgoing in wire[:-1]:
        if isinstance(outgoing, bytes):
            heard += outgoing
        else:
            order.append((outgoing["message"], len(heard)))
    assert heard == given_audio[: len(given_audio) // 2 * 2]
    assert order == given_order  # each message behind exactly the audio it was given after
    assert protocol.channels[None].bytes_acknowledged == len(heard)
    assert hear(protocol, END_OF_TRANSCRIPT)[-1] == Ended()
