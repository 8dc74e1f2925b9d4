"""Sessions by channel of the embedded server, as a client sees them on the wire."""

from __future__ import annotations

import contextlib
import io
import itertools
import random
import socket
import threading
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import jsonschema
import numpy as np
import pytest
import yaml
from support.local_wire import (
    PATIENCE,
    RAW,
    Message,
    Wire,
    channel_audio,
    chunks,
    end_of_channel,
    named,
    of_channel,
    run,
    run_channels,
    start_message,
    words,
)
from websockets.exceptions import ConnectionClosed

from speechmatics_sync import ConfigurationError
from speechmatics_sync.local import (
    CountedRecognizer,
    Hypothesis,
    LocalServer,
    Recognition,
    ScriptedRecognizer,
    counted_audio,
)


def silence(seconds: float) -> bytes:
    return bytes(2 * round(16000 * seconds))


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """A strict server that hears counted audio, with finals half a second late."""
    recognizer = CountedRecognizer(delay=0.5, voices=("ann", "bob"), turn=2)
    with LocalServer(recognizer=recognizer, strict=True) as server:
        yield server


@pytest.fixture(scope="module")
def schemas(shared: Path) -> dict[str, Any]:
    text = (shared / "spec" / "realtime.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)["components"]["schemas"]
    return found


def spoken(first: int, count: int) -> list[str]:
    return [f"w{number}" for number in range(first, first + count)]


@pytest.mark.parametrize("count", [1, 2, 16])
@pytest.mark.parametrize("size", [1001, 6400])
def test_every_channel_is_heard_whole_however_long_the_others_are(
    server: LocalServer, count: int, size: int
) -> None:
    # Of 1 word, 2 words and so on: the channels end one after another, and share no word.
    lengths = {f"channel {at}": at + 1 for at in range(count)}
    audio = {label: counted_audio(length, first=100 * length) for label, length in lengths.items()}
    wire = run_channels(server.url, audio, size=size)
    for label, length in lengths.items():
        of_it = of_channel(wire.received, label)
        assert words(of_it) == spoken(100 * length, length)
        assert [message["seq_no"] for message in named(of_it, "ChannelAudioAdded")] == list(
            range(1, -(-len(audio[label]) // size) + 1)
        )
    assert not named(wire.received, "AudioAdded")
    assert [message["message"] for message in wire.received[-1:]] == ["EndOfTranscript"]
    assert len(named(wire.received, "EndOfTranscript")) == 1
    assert wire.close_code == 1000


@pytest.mark.parametrize("order", list(itertools.permutations("abc")))
def test_channels_may_end_in_any_order_one_of_them_empty(
    server: LocalServer, order: tuple[str, ...]
) -> None:
    counts = {"a": 3, "b": 0, "c": 1}
    with Wire(server.url) as wire:
        wire.start_channels("a", "b", "c")
        for label in order:
            wire.send(*[channel_audio(label, counted_audio(1))] * counts[label])
            wire.send(end_of_channel(label, counts[label]))
        wire.rest()
    for label, count in counts.items():
        assert words(of_channel(wire.received, label)) == ["w1"] * count
    assert (wire.received[-1]["message"], wire.close_code) == ("EndOfTranscript", 1000)


def test_a_session_of_empty_channels_ends_like_any_other(server: LocalServer) -> None:
    wire = run_channels(server.url, {"a": b"", "b": b""})
    assert (wire.received[-1]["message"], wire.close_code) == ("EndOfTranscript", 1000)


def test_chunks_in_any_order_of_channels_are_heard_in_the_order_of_their_own(
    server: LocalServer,
) -> None:
    audio = {label: counted_audio(8, first=first) for label, first in (("a", 1), ("b", 101))}
    turns = [label for label in audio for _ in chunks(audio[label], 1000)]
    random.Random(3).shuffle(turns)
    left = {label: chunks(audio[label], 1000) for label in audio}
    with Wire(server.url) as wire:
        wire.start_channels("a", "b")
        wire.send(*(channel_audio(label, next(left[label])) for label in turns))
        wire.send(*(end_of_channel(label, turns.count(label)) for label in audio))
        wire.rest()
    assert words(of_channel(wire.received, "a")) == spoken(1, 8)
    assert words(of_channel(wire.received, "b")) == spoken(101, 8)


def test_a_session_lasts_until_its_last_channel_has_ended(server: LocalServer) -> None:
    with Wire(server.url) as wire:
        wire.start_channels("early", "late")
        wire.send(channel_audio("early", counted_audio(2)), end_of_channel("early", 1))
        while words(of_channel(wire.received, "early")) != ["w1", "w2"]:
            assert wire.next() is not None
        wire.send(channel_audio("late", counted_audio(2, first=3)), end_of_channel("late", 1))
        wire.rest()
    assert words(of_channel(wire.received, "late")) == ["w3", "w4"]
    assert wire.received[-1]["message"] == "EndOfTranscript"


@pytest.mark.parametrize("last_seq_no", [3, 0])
def test_end_of_stream_ends_every_channel_with_the_count_of_all_chunks_or_of_add_audio(
    server: LocalServer, last_seq_no: int
) -> None:
    with Wire(server.url) as wire:
        wire.start_channels("a", "b", "c")
        wire.send(*[channel_audio("a", counted_audio(1))] * 2)
        wire.send(channel_audio("b", counted_audio(1, first=7)), end_of_channel("b", 1))
        wire.end(last_seq_no)
    assert words(of_channel(wire.received, "a")) == ["w1", "w1"]
    assert words(of_channel(wire.received, "b")) == ["w7"]
    assert (wire.received[-1]["message"], wire.close_code) == ("EndOfTranscript", 1000)


def written_together(wire: Wire, *messages: bytes) -> None:
    """Send in one write, so that the server receives them together, before it answers."""
    with wire.connection.protocol_mutex:
        for message in messages:
            wire.connection.protocol.send_text(message)
        wire.connection.socket.sendall(b"".join(wire.connection.protocol.data_to_send()))


def test_end_of_stream_after_the_last_end_of_channel_changes_nothing(server: LocalServer) -> None:
    with Wire(server.url) as wire:
        wire.start_channels("a")
        written_together(
            wire,
            b'{"message":"EndOfChannel","channel":"a","last_seq_no":0}',
            b'{"message":"EndOfStream","last_seq_no":0}',
        )
        assert wire.rest()[-1]["message"] == "EndOfTranscript"
    assert wire.close_code == 1000


def test_audio_after_end_of_stream_is_ignored_with_a_warning(server: LocalServer) -> None:
    with Wire(server.url) as wire:
        wire.start_channels("a")
        written_together(
            wire,
            b'{"message":"EndOfStream","last_seq_no":0}',
            b'{"message":"AddChannelAudio","channel":"a","data":""}',
        )
        wire.rest()
    assert [message["type"] for message in named(wire.received, "Warning")] == [
        "add_audio_after_eos"
    ]
    assert (wire.received[-1]["message"], wire.close_code) == ("EndOfTranscript", 1000)


def test_wrong_counts_are_only_logged_when_not_strict(caplog: pytest.LogCaptureFixture) -> None:
    with LocalServer(recognizer=CountedRecognizer()) as server, Wire(server.url) as wire:
        wire.start_channels("a", "b")
        wire.send(channel_audio("a", counted_audio(1)), end_of_channel("a", 7))
        assert wire.end(9)[-1]["message"] == "EndOfTranscript"
    assert words(wire.received) == ["w1"]
    assert "last_seq_no of channel 'a' is 7, but 1 chunks" in caplog.text
    assert "last_seq_no is 9, but 1 chunks" in caplog.text


def test_the_channels_are_named_when_the_session_starts_under_both_names_in_use(
    server: LocalServer,
) -> None:
    with Wire(server.url) as wire:
        started = wire.start_channels("left", "right")
        assert started["channel_ids"] == started["channels"] == ["left", "right"]
        wire.end(0)
    with Wire(server.url) as wire:
        assert not {"channel_ids", "channels"} & set(wire.start())
        wire.end(0)


def test_words_partials_and_utterance_ends_name_their_channel_wherever_one_may_look(
    server: LocalServer,
) -> None:
    wire = run_channels(
        server.url,
        {"a": counted_audio(3) + silence(1.5), "b": counted_audio(2, first=7) + silence(1)},
        enable_partials=True,
        conversation_config={"end_of_utterance_silence_trigger": 0.5},
    )
    for label, own in (("a", {"w1", "w2", "w3"}), ("b", {"w7", "w8"})):
        of_it = of_channel(wire.received, label)
        for name in ("AddPartialTranscript", "AddTranscript", "EndOfUtterance"):
            assert named(of_it, name)
        results = [
            result for message in of_it if "results" in message for result in message["results"]
        ]
        assert {result["channel"] for result in results} == {label}
        assert {result["alternatives"][0]["content"] for result in results} - {"."} == own
    for message in wire.received:
        assert ("channel" in message) == (
            message["message"]
            in ("AddPartialTranscript", "AddTranscript", "EndOfUtterance", "ChannelAudioAdded")
        )


def test_messages_of_a_session_without_channels_name_none(server: LocalServer) -> None:
    wire = run(server.url, counted_audio(3), enable_partials=True)
    for message in wire.received:
        assert "channel" not in message
        assert all("channel" not in result for result in message.get("results", []))


def test_what_a_channel_hears_does_not_depend_on_the_others(server: LocalServer) -> None:
    audio = {"a": counted_audio(9) + silence(1), "b": silence(2) + counted_audio(4, first=31)}
    config: dict[str, Any] = {
        "enable_partials": True,
        "diarization": "channel_and_speaker",
        "conversation_config": {"end_of_utterance_silence_trigger": 0.5},
    }
    together = run_channels(server.url, audio, size=777, **config).received
    for label in audio:
        alone = run_channels(server.url, {label: audio[label]}, size=5000, **config).received
        heard = [
            [message for message in of_channel(messages, label) if "seq_no" not in message]
            for messages in (together, alone)
        ]
        assert heard[0] == heard[1]


def test_speakers_are_counted_in_each_channel_by_itself(server: LocalServer) -> None:
    wire = run_channels(
        server.url,
        {"a": counted_audio(4), "b": counted_audio(3, first=3)},
        diarization="channel_and_speaker",
    )

    def labels(channel: str) -> list[str]:
        return [
            result["alternatives"][0]["speaker"]
            for message in named(of_channel(wire.received, channel), "AddTranscript")
            for result in message["results"]
            if result["type"] == "word"
        ]

    assert labels("a") == ["S1", "S1", "S2", "S2"]
    assert labels("b") == ["S1", "S1", "S2"]


def test_diarization_by_channel_alone_names_no_speakers(server: LocalServer) -> None:
    with Wire(server.url) as wire:
        wire.start_channels("a", "b")
        wire.send(channel_audio("a", counted_audio(2)), {"message": "GetSpeakers"})
        assert wire.until("Warning")["type"] == "speaker_id"
        assert wire.until("SpeakersResult")["speakers"] == []
        wire.end(1)
    results = named(wire.received, "AddTranscript")[0]["results"]
    assert "speaker" not in results[0]["alternatives"][0]


def test_speakers_asked_for_come_once_and_with_all_that_every_channel_has_heard(
    server: LocalServer,
) -> None:
    with Wire(server.url) as wire:
        wire.start_channels(
            "a",
            "b",
            diarization="channel_and_speaker",
            speaker_diarization_config={"get_speakers": True},
        )
        wire.send(channel_audio("a", counted_audio(6) + silence(1)))
        wire.send(channel_audio("b", counted_audio(2, first=3) + silence(1)))
        wire.send({"message": "GetSpeakers"})
        speakers = wire.until("SpeakersResult")["speakers"]
        assert [(speaker["channel"], speaker["label"]) for speaker in speakers] == [
            ("a", "S1"),
            ("a", "S2"),
            ("b", "S1"),
        ]
        # The same voice, though labelled S2 in one channel and S1 in the other.
        assert speakers[1]["speaker_identifiers"] == speakers[2]["speaker_identifiers"]
        wire.send(channel_audio("b", counted_audio(2)))
        received = wire.end(3)
    assert len(named(received, "SpeakersResult")) == 2
    assert [message["message"] for message in received[-2:]] == [
        "SpeakersResult",
        "EndOfTranscript",
    ]
    assert len(received[-2]["speakers"]) == 4


def test_an_enrolled_speaker_is_known_in_every_channel(server: LocalServer) -> None:
    with Wire(server.url) as wire:
        wire.start(diarization="speaker")
        wire.send(counted_audio(3), {"message": "GetSpeakers"})
        known = wire.until("SpeakersResult")["speakers"][0]["speaker_identifiers"]
        wire.end(1)
    enrolled = [{"label": "Ann", "speaker_identifiers": known}]
    wire = run_channels(
        server.url,
        {"a": counted_audio(1), "b": counted_audio(1)},
        diarization="channel_and_speaker",
        speaker_diarization_config={"speakers": enrolled},
    )
    for message in named(wire.received, "AddTranscript"):
        assert message["results"][0]["alternatives"][0]["speaker"] == "Ann"


def test_a_forced_end_of_utterance_is_for_the_channel_it_names() -> None:
    recognizer = CountedRecognizer(delay=3.0)
    with LocalServer(recognizer=recognizer, strict=True) as server, Wire(server.url) as wire:
        wire.start_channels("a", "b")
        for label in ("a", "b"):
            wire.send(channel_audio(label, counted_audio(2)))
        wire.send({"message": "ForceEndOfUtterance", "channel": "b"})
        final = wire.until("AddTranscript")
        assert (final["channel"], final["forced"]) == ("b", True)
        end = wire.until("EndOfUtterance")
        assert (end["channel"], end["forced"], end["metadata"]["end_time"]) == ("b", True, 1.0)
        wire.end(2)
    assert len(named(wire.received, "EndOfUtterance")) == 1
    assert words(of_channel(wire.received, "a")) == ["w1", "w2"]
    assert "forced" not in named(of_channel(wire.received, "a"), "AddTranscript")[0]


def test_a_forced_end_of_utterance_without_a_channel_is_for_all_that_are_open() -> None:
    recognizer = CountedRecognizer(delay=3.0)
    with LocalServer(recognizer=recognizer, strict=True) as server, Wire(server.url) as wire:
        wire.start_channels("a", "b", "ended")
        wire.send(end_of_channel("ended", 0))
        for label in ("a", "b"):
            wire.send(channel_audio(label, counted_audio(2)))
        wire.send({"message": "ForceEndOfUtterance"})
        for _ in range(2):
            wire.until("EndOfUtterance")
        for label in ("a", "b"):
            final = named(of_channel(wire.received, label), "AddTranscript")[0]
            assert (final["metadata"]["transcript"], final["forced"]) == ("w1 w2. ", True)
        wire.end(2)
    assert len(named(wire.received, "EndOfUtterance")) == 2


def test_a_new_configuration_reaches_every_channel() -> None:
    recognizer = CountedRecognizer(delay=3.0)
    with LocalServer(recognizer=recognizer, strict=True) as server, Wire(server.url) as wire:
        wire.start_channels("a", "b", max_delay=4)
        conversation = {"end_of_utterance_silence_trigger": 1}
        config = {"enable_partials": True, "max_delay": 0.7, "conversation_config": conversation}
        wire.send({"message": "SetRecognitionConfig", "transcription_config": config})
        for label in ("a", "b"):
            wire.send(channel_audio(label, counted_audio(3) + silence(1.5)))
        for _ in range(2):
            wire.until("EndOfUtterance")
        for label in ("a", "b"):
            of_it = of_channel(wire.received, label)
            assert named(of_it, "AddPartialTranscript")
            assert words(named(of_it, "AddTranscript")[:1]) == ["w1"]
        wire.end(2)


def wav(audio: bytes) -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(audio)
    return written.getvalue()


def channels_start(labels: list[str], **config: Any) -> Message:
    return start_message(
        **{"diarization": "channel", "channel_diarization_labels": labels, **config}
    )


def test_each_channel_may_be_a_file_with_a_header_of_its_own(server: LocalServer) -> None:
    files = {"a": wav(counted_audio(3)), "b": wav(counted_audio(2, first=7)), "empty": b""}
    with Wire(server.url) as wire:
        wire.send({**channels_start(list(files)), "audio_format": {"type": "file"}})
        wire.until("RecognitionStarted")
        for label, content in files.items():
            pieces = list(chunks(content, 1001))
            wire.send(*(channel_audio(label, piece) for piece in pieces))
            wire.send(end_of_channel(label, len(pieces)))
        wire.rest()
    assert words(of_channel(wire.received, "a")) == ["w1", "w2", "w3"]
    assert words(of_channel(wire.received, "b")) == ["w7", "w8"]
    told = [info["type"] for info in named(wire.received, "Info")]
    assert told.count("recognition_quality") == 1


def test_a_channel_that_is_no_audio_ends_the_session_with_its_error(server: LocalServer) -> None:
    with Wire(server.url) as wire:
        wire.send({**channels_start(["a", "b"]), "audio_format": {"type": "file"}})
        wire.until("RecognitionStarted")
        # Nothing more is sent: the Error must come while the server waits for messages.
        wire.send(channel_audio("b", wav(counted_audio(2))), channel_audio("a", b"ID3 mp3"))
        wire.rest()
    assert wire.received[-1]["message"] == "Error"
    assert (wire.received[-1]["type"], wire.close_code) == ("invalid_audio_type", 1003)


def test_the_record_of_a_session_counts_by_channel(server: LocalServer) -> None:
    run_channels(server.url, {"a": counted_audio(4), "b": counted_audio(1), "c": b""}, size=6400)
    record = server.sessions[-1]
    assert {
        label: (channel.audio_chunks, channel.audio_bytes, channel.last_seq_no)
        for label, channel in record.channels.items()
    } == {"a": (10, 64000, 10), "b": (3, 16000, 3), "c": (0, 0, 0)}
    assert (record.audio_chunks, record.audio_bytes) == (13, 80000)
    assert [message["message"] for message in record.messages] == [
        "StartRecognition",
        *["EndOfChannel"] * 3,
    ]
    run(server.url, counted_audio(1))
    assert server.sessions[-1].channels == {}


REFUSED_STARTS: list[dict[str, Any]] = [
    {"diarization": "channel"},
    {"diarization": "channel_and_speaker"},
    {"diarization": "channel", "channel_diarization_labels": []},
    {"diarization": "channel", "channel_diarization_labels": None},
    {"diarization": "channel", "channel_diarization_labels": "ab"},
    {"diarization": "channel", "channel_diarization_labels": ["a", ""]},
    {"diarization": "channel", "channel_diarization_labels": ["a", 2]},
    {"diarization": "channel", "channel_diarization_labels": ["a", ["a"]]},
    {"diarization": "channel", "channel_diarization_labels": ["a", "b", "a"]},
    {"diarization": "channel", "channel_diarization_labels": [str(at) for at in range(17)]},
    {"diarization": "speaker", "channel_diarization_labels": ["a"]},
    {"channel_diarization_labels": ["a"]},
]


@pytest.mark.parametrize("config", REFUSED_STARTS)
def test_labels_that_do_not_fit_are_an_invalid_config(
    server: LocalServer, config: dict[str, Any]
) -> None:
    with Wire(server.url) as wire:
        wire.send(start_message(**config))
        wire.rest()
    assert wire.received[-1]["message"] == "Error"
    assert (wire.received[-1]["type"], wire.close_code) == ("invalid_config", 1003)


def test_a_server_may_take_fewer_channels_or_more() -> None:
    with LocalServer(recognizer=CountedRecognizer(), strict=True, max_channels=2) as server:
        run_channels(server.url, {"a": b"", "b": b""})
        with Wire(server.url) as wire:
            wire.send(channels_start(["a", "b", "c"]))
            wire.rest()
    assert wire.received[-1]["type"] == "invalid_config"
    assert "3 channels; a session may have 2" in wire.received[-1]["reason"]
    audio = {str(at): counted_audio(1, first=at + 1) for at in range(20)}
    with LocalServer(recognizer=CountedRecognizer(), strict=True, max_channels=20) as server:
        received = run_channels(server.url, audio).received
    assert {label: words(of_channel(received, label)) for label in audio} == {
        str(at): [f"w{at + 1}"] for at in range(20)
    }
    with pytest.raises(ConfigurationError, match="max_channels is 0"):
        LocalServer(max_channels=0)


FIRST = channel_audio("a", b"1234")
END = {"message": "EndOfStream", "last_seq_no": 0}


@pytest.mark.parametrize(
    ("messages", "type"),
    [
        ([b"binary"], "protocol_error"),
        ([channel_audio("c", b"")], "protocol_error"),
        ([end_of_channel("c", 0)], "protocol_error"),
        ([{"message": "ForceEndOfUtterance", "channel": "c"}], "protocol_error"),
        ([end_of_channel("a", 0), FIRST], "protocol_error"),
        ([end_of_channel("a", 0), end_of_channel("a", 0)], "protocol_error"),
        ([FIRST, end_of_channel("a", 0)], "protocol_error"),
        ([FIRST, end_of_channel("a", 2)], "protocol_error"),
        ([FIRST, channel_audio("b", b"12"), {**END, "last_seq_no": 1}], "protocol_error"),
        ([{**FIRST, "data": "1234="}], "invalid_message"),
        ([{**FIRST, "data": "12 34"}], "invalid_message"),
        ([{**FIRST, "data": "ünïcödé"}], "invalid_message"),
        ([{**FIRST, "data": 7}], "invalid_message"),
        ([{**FIRST, "channel": 7}], "invalid_message"),
        ([{**FIRST, "surprise": 7}], "invalid_message"),
        ([{"message": "AddChannelAudio", "channel": "a"}], "invalid_message"),
        ([{"message": "AddChannelAudio", "data": ""}], "invalid_message"),
        ([{"message": "EndOfChannel", "channel": "a"}], "invalid_message"),
        ([{**end_of_channel("a", 0), "last_seq_no": "0"}], "invalid_message"),
        ([{"message": "EndOfStream"}], "invalid_message"),
        ([channels_start(["a"])], "protocol_error"),
    ],
)
def test_what_the_protocol_does_not_allow_ends_the_session_with_its_error(
    server: LocalServer, messages: list[Any], type: str
) -> None:
    with Wire(server.url) as wire:
        wire.start_channels("a", "b")
        wire.send(*messages)
        wire.rest()
    assert wire.received[-1]["message"] == "Error"
    assert (wire.received[-1]["type"], wire.close_code) == (type, 1003)


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize("message", [FIRST, end_of_channel("a", 0)])
def test_messages_of_channels_belong_into_a_session_by_channel(
    server: LocalServer, started: bool, message: Message
) -> None:
    with Wire(server.url) as wire:
        if started:
            wire.start()
        wire.send(message)
        wire.rest()
    assert (wire.received[-1]["type"], wire.close_code) == ("protocol_error", 1003)


class Held(CountedRecognizer):
    """Recognises nothing in the channel "held" until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def start(self, *, language: str, partials: bool, channel: Optional[str] = None) -> Recognition:
        recognition = super().start(language=language, partials=partials, channel=channel)
        if channel == "held":
            feed = recognition.feed

            def wait_and_feed(frame: Any) -> Hypothesis:
                assert self.released.wait(PATIENCE)
                return feed(frame)

            recognition.feed = wait_and_feed  # type: ignore[method-assign]
        return recognition


def test_a_channel_that_is_slow_to_recognise_holds_up_no_other() -> None:
    recognizer = Held()
    with LocalServer(recognizer=recognizer, strict=True) as server, Wire(server.url) as wire:
        wire.start_channels("held", "free")
        wire.send(*(channel_audio("held", piece) for piece in chunks(counted_audio(3))))
        wire.send(*(channel_audio("free", piece) for piece in chunks(counted_audio(3))))
        wire.send(end_of_channel("free", 15))
        while words(of_channel(wire.received, "free")) != ["w1", "w2", "w3"]:
            assert wire.next() is not None
        assert len(named(of_channel(wire.received, "free"), "ChannelAudioAdded")) == 15
        assert not named(of_channel(wire.received, "held"), "AddTranscript")
        recognizer.released.set()
        wire.send(end_of_channel("held", 15))
        wire.rest()
    assert words(of_channel(wire.received, "held")) == ["w1", "w2", "w3"]
    assert wire.received[-1]["message"] == "EndOfTranscript"


@pytest.mark.parametrize(("count", "size", "held"), [(3000, 2, 1100), (8, 400000, 6)])
def test_what_is_more_than_a_channel_may_hold_is_not_taken_before_there_is_room(
    count: int, size: int, held: int
) -> None:
    recognizer = Held()
    with LocalServer(recognizer=recognizer, strict=True) as server, Wire(server.url) as wire:
        wire.start_channels("held", "free")
        wire.send(channel_audio("held", bytes(640)))
        wire.until("ChannelAudioAdded")

        def send() -> None:
            wire.send(*[channel_audio("held", bytes(size))] * count)
            wire.send(end_of_channel("held", count + 1), end_of_channel("free", 0))

        sender = threading.Thread(target=send)
        sender.start()
        # Another session meanwhile: without a limit, the server would have read everything by now.
        assert words(run(server.url, counted_audio(60), size=400).received) == spoken(1, 60)
        assert server.sessions[0].audio_chunks <= held
        recognizer.released.set()
        wire.rest()
        sender.join(PATIENCE)
    acknowledged = named(of_channel(wire.received, "held"), "ChannelAudioAdded")
    assert [message["seq_no"] for message in acknowledged] == list(range(1, count + 2))
    assert wire.received[-1]["message"] == "EndOfTranscript"


@pytest.mark.parametrize("code", [1001, 1011, None])
def test_a_server_that_drops_a_session_while_its_channels_work_leaves_nothing(
    code: Optional[int],
) -> None:
    recognizer = Held()
    with LocalServer(recognizer=recognizer, strict=True) as server, Wire(server.url) as wire:
        wire.start_channels("held", "free")
        wire.send(channel_audio("held", counted_audio(3)), channel_audio("free", counted_audio(3)))
        wire.until("AddTranscript")
        dropping = threading.Thread(target=server.drop_connections, args=(code,))
        dropping.start()
        wire.rest()
        recognizer.released.set()
        dropping.join(PATIENCE)
        assert not dropping.is_alive()
    assert wire.close_code == code


def test_a_recogniser_may_drop_the_connection_from_within_a_channel() -> None:
    class Dropping(Held):
        server: LocalServer

        def start(
            self, *, language: str, partials: bool, channel: Optional[str] = None
        ) -> Recognition:
            recognition = super().start(language=language, partials=partials, channel=channel)
            if channel == "last":
                feed = recognition.feed

                def drop(frame: Any) -> Hypothesis:
                    self.server.drop_connections()
                    return feed(frame)

                recognition.feed = drop  # type: ignore[method-assign]
            return recognition

    recognizer = Dropping()
    with LocalServer(recognizer=recognizer, strict=True) as server, Wire(server.url) as wire:
        recognizer.server = server
        wire.start_channels("first", "last")
        wire.send(channel_audio("last", counted_audio(1)))
        wire.rest()
        assert wire.close_code is None


def test_a_client_that_leaves_while_channels_are_heard_leaves_nothing_behind() -> None:
    with LocalServer(recognizer=CountedRecognizer(), strict=True) as server:
        with Wire(server.url) as wire:
            wire.start_channels(*"abcdefgh")
            for label in "abcdefgh":
                wire.send(channel_audio(label, counted_audio(20)))
            wire.until("ChannelAudioAdded")
            wire.connection.socket.shutdown(socket.SHUT_RDWR)
        assert words(run(server.url, counted_audio(1)).received) == ["w1"]


def test_a_recogniser_that_fails_in_one_channel_ends_the_session_with_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(CountedRecognizer):
        def start(
            self, *, language: str, partials: bool, channel: Optional[str] = None
        ) -> Recognition:
            recognition = super().start(language=language, partials=partials, channel=channel)
            if channel == "b":
                recognition.feed = lambda frame: 1 / 0  # type: ignore[assignment,method-assign,return-value]
            return recognition

    with LocalServer(recognizer=Broken(), strict=True) as server, Wire(server.url) as wire:
        wire.start_channels("a", "b")
        wire.send(channel_audio("a", counted_audio(1)), channel_audio("b", counted_audio(1)))
        wire.rest()
    assert wire.received[-1]["message"] == "Error"
    assert (wire.received[-1]["type"], wire.close_code) == ("unknown_error", 1011)
    assert "ZeroDivisionError" in caplog.text


def test_an_error_of_one_channel_reaches_a_client_that_is_still_sending_others(
    server: LocalServer,
) -> None:
    with Wire(server.url) as wire:
        wire.send({**channels_start(["a", "b"]), "audio_format": {"type": "file"}})
        wire.until("RecognitionStarted")
        wire.send(channel_audio("a", b"not a wav file"))
        with contextlib.suppress(ConnectionClosed):  # only what the server sent before matters
            wire.send(*[channel_audio("b", bytes(64000))] * 200)
        wire.rest()
    assert [message["message"] for message in wire.received].count("Error") == 1
    assert (wire.received[-1]["message"], wire.close_code) == ("Error", 1003)


def test_a_script_may_have_words_for_each_channel() -> None:
    script = {"agent": [("hello", 0.2, 0.6)], "customer": [("good", 0.5, 0.7), ("day", 0.8, 0.9)]}
    with LocalServer(recognizer=ScriptedRecognizer(script), strict=True) as server:
        audio = {"agent": silence(2), "customer": silence(1), "silent": silence(2)}
        received = run_channels(server.url, audio).received
        single = run(server.url, silence(2)).received
    assert words(of_channel(received, "agent")) == ["hello"]
    assert words(of_channel(received, "customer")) == ["good", "day"]
    assert words(of_channel(received, "silent")) == []
    assert words(single) == []


def test_one_script_is_heard_in_every_channel() -> None:
    with LocalServer(recognizer=ScriptedRecognizer([("hello", 0.2, 0.6)]), strict=True) as server:
        received = run_channels(server.url, {"a": silence(1), "b": silence(1)}).received
    for label in ("a", "b"):
        assert words(of_channel(received, label)) == ["hello"]


def test_audio_by_channel_keeps_an_idle_session_alive() -> None:
    recognizer = CountedRecognizer()
    with LocalServer(recognizer=recognizer, strict=True, idle_timeout=1.0) as server:
        with Wire(server.url) as wire:
            wire.start_channels("a")
            count = 0
            pause = threading.Event()
            for _ in range(8):  # at the pace of a live source, for twice the limit
                wire.send(channel_audio("a", bytes(8000)))
                count += 1
                pause.wait(0.25)
            wire.send(end_of_channel("a", count))
            assert wire.rest()[-1]["message"] == "EndOfTranscript"
        with Wire(server.url) as wire:
            wire.start_channels("a")
            wire.send(channel_audio("a", bytes(8000)))
            wire.rest()
    assert (wire.received[-1]["type"], wire.close_code) == ("idle_timeout", 1008)


def test_everything_the_server_sends_fits_the_description_of_the_api(
    schemas: dict[str, Any], server: LocalServer
) -> None:
    received: list[Message] = []
    for diarization in ("channel", "channel_and_speaker"):
        with Wire(server.url) as wire:
            wire.start_channels(
                "a",
                "b",
                diarization=diarization,
                enable_partials=True,
                speaker_diarization_config={"get_speakers": True},
                conversation_config={"end_of_utterance_silence_trigger": 0.5},
            )
            wire.send(channel_audio("a", counted_audio(6) + silence(2)))
            wire.send(channel_audio("b", silence(1) + counted_audio(6, first=3)))
            wire.send({"message": "GetSpeakers"})
            wire.send({"message": "ForceEndOfUtterance"})
            wire.send(end_of_channel("a", 1))
            received += wire.end(2)
    with Wire(server.url) as wire:
        wire.start_channels("a")
        wire.send(b"binary")
        received += wire.rest()
    assert {message["message"] for message in received} == {
        "AddPartialTranscript",
        "AddTranscript",
        "ChannelAudioAdded",
        "EndOfTranscript",
        "EndOfUtterance",
        "Error",
        "Info",
        "RecognitionStarted",
        "SpeakersResult",
        "Warning",
    }
    for message in received:
        name = message["message"]
        schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
        jsonschema.validate(message, schema)
        # The documentation calls "channels" what the specification calls "channel_ids".
        # That of EndOfUtterance lacks a format.
        assert set(message) - {"channels", "format"} <= set(schemas[name]["properties"]), message


def test_raw_audio_of_any_format_is_taken_by_channel(server: LocalServer) -> None:
    floats = (np.frombuffer(counted_audio(3), dtype="<i2") / 32768).astype("<f4").tobytes()
    with Wire(server.url) as wire:
        start = channels_start(["a", "b"])
        wire.send({**start, "audio_format": {**RAW, "encoding": "pcm_f32le"}})
        wire.until("RecognitionStarted")
        # In chunks that end within a sample.
        pieces = list(chunks(floats, 1001))
        wire.send(*(channel_audio("b", piece) for piece in pieces))
        wire.send(end_of_channel("b", len(pieces)), end_of_channel("a", 0))
        wire.rest()
    assert words(of_channel(wire.received, "b")) == ["w1", "w2", "w3"]
