from __future__ import annotations

import json
from typing import Any, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.serving import STARTED, final
from support.sessions import END_OF_TRANSCRIPT, RAW

from speechmatics_sync import (
    AudioEncoding,
    AudioFormat,
    ClientMessageType,
    ConfigurationError,
    EndOfTranscriptError,
    MidSessionConfig,
    SessionError,
    SpeakerIdentifier,
    TranscriptionConfig,
    TransportError,
)
from speechmatics_sync._protocol.events import (
    Deliver,
    Ended,
    Event,
    Failed,
    Lost,
    SpeakersAnswered,
    Started,
)
from speechmatics_sync._protocol.leg import Leg, State
from speechmatics_sync._protocol.requests import Recognition
from speechmatics_sync._protocol.session import Protocol

SPEAKERS = {"message": "SpeakersResult", "speakers": [{"label": "A", "speaker_identifiers": ["x"]}]}


def leg_of(protocol: Protocol) -> Leg:
    """The leg that takes the audio."""
    assert protocol.leg is not None
    return protocol.leg


def connected(protocol: Protocol) -> str:
    """There is a connection: StartRecognition."""
    if protocol.leg is None:
        protocol.succession.enter(protocol.succession.new_leg())
    return leg_of(protocol).connected()


def hear(protocol: Protocol, message: dict[str, Any]) -> list[Event]:
    """What a message of the server's means."""
    return protocol.receive(leg_of(protocol), message)


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
    protocol.closed(leg_of(protocol), 4003, "")
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


# -- the start -----------------------------------------------------------------------------------


def test_start_recognition_says_what_the_session_is_asked_for() -> None:
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


def test_the_first_start_of_a_session_says_what_stands_between_words() -> None:
    protocol = starting()
    started, delivered = hear(protocol, {**STARTED, "language_pack_info": {"word_delimiter": "_"}})
    assert isinstance(started, Started)
    assert (started.session_id, started.first) == ("session-1", True)
    assert isinstance(delivered, Deliver)
    assert protocol.succession.delimiter == "_"


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


def test_after_a_failure_the_audio_has_no_end() -> None:
    with pytest.raises(EndOfTranscriptError):
        failed().end_audio()


# -- how it ends --------------------------------------------------------------------------------


def test_the_session_has_ended_when_its_leg_has() -> None:
    protocol = running()
    protocol.add_audio(b"aa")
    protocol.end_audio()
    sent(protocol)
    hear(protocol, added(1))
    assert protocol.state is State.ENDING
    assert hear(protocol, END_OF_TRANSCRIPT) == [Deliver(END_OF_TRANSCRIPT), Ended()]
    assert protocol.over
    assert protocol.closed(leg_of(protocol), 1000, "") is None


def test_end_of_transcript_before_the_end_was_sent_is_a_loss() -> None:
    protocol = running(window=1)
    protocol.add_audio(b"aa")
    protocol.add_audio(b"bb")
    protocol.end_audio()
    sent(protocol)
    assert isinstance(hear(protocol, END_OF_TRANSCRIPT)[-1], Lost)
    assert not protocol.over


def test_a_loss_leaves_to_the_caller_whether_the_session_goes_on() -> None:
    protocol = running()
    event = protocol.closed(leg_of(protocol), 1006, "")
    assert isinstance(event, Lost)
    assert not protocol.over
    error = protocol.succession.irrecoverable(event.error)
    assert error is event.error  # without replay_seconds nothing is kept to go on with
    assert protocol.fail(error) is error
    assert protocol.state is State.FAILED


@pytest.mark.parametrize(
    "fail",
    [
        lambda protocol: hear(protocol, {"message": "Error", "type": "protocol_error"}),
        lambda protocol: hear(protocol, added(1)),
        lambda protocol: [protocol.closed(leg_of(protocol), 4003, "")],
    ],
    ids=["an Error", "a broken protocol", "a close code"],
)
def test_the_first_error_counts(fail: Callable[[Protocol], list[Event]]) -> None:
    protocol = running()
    event = fail(protocol)[-1]
    assert isinstance(event, Failed)
    assert protocol.over
    assert protocol.fail(SessionError("closed")) is event.error
    assert protocol.closed(leg_of(protocol), 1006, "") == event
    assert hear(protocol, final("late")) == []


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


def test_a_question_waits_for_audio_before_it_and_gets_the_answer_that_is_its_own() -> None:
    protocol = running(window=1)
    protocol.add_audio(b"aa")
    protocol.add_audio(b"bb")
    first, second = protocol.ask_speakers(), protocol.ask_speakers()
    sent(protocol)
    assert hear(protocol, SPEAKERS) == [Deliver(SPEAKERS)]  # not asked yet: behind audio
    hear(protocol, added(1))
    assert sent(protocol) == [b"bb", {"message": "GetSpeakers"}, {"message": "GetSpeakers"}]
    hear(protocol, added(2))
    assert hear(protocol, SPEAKERS) == [Deliver(SPEAKERS), SpeakersAnswered(first, SPEAKERS)]
    assert first.answer == [SpeakerIdentifier("A", ["x"])]
    assert second.answer is None
    hear(protocol, {"message": "SpeakersResult", "speakers": []})
    assert second.answer == []


def test_a_final_answer_is_nobodys() -> None:
    protocol = running()
    protocol.add_message({"message": "GetSpeakers", "final": True})
    question = protocol.ask_speakers()
    sent(protocol)
    hear(protocol, SPEAKERS)
    assert question.answer is not None
    assert hear(protocol, SPEAKERS) == [Deliver(SPEAKERS)]


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
