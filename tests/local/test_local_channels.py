"""Sessions by channel of the embedded server, as a client sees them on the wire."""

from __future__ import annotations

import itertools
import random
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.described import complaints
from support.local_channels import channels_start, server, spoken, wav
from support.local_wire import (
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
    words,
)
from support.sessions import with_longer_limits

from speechmatics_sync.local import (
    CountedRecognizer,
    LocalServer,
    ScriptedRecognizer,
    counted_audio,
)

__all__ = ["server"]


def silence(seconds: float) -> bytes:
    return bytes(2 * round(16000 * seconds))


@pytest.fixture(scope="module")
def schemas(shared: Path) -> dict[str, Any]:
    text = (shared / "spec" / "realtime.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)["components"]["schemas"]
    return found


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
    def attempt(times: float) -> None:
        recognizer = CountedRecognizer()
        with LocalServer(recognizer=recognizer, strict=True, idle_timeout=times) as server:
            with Wire(server.url) as wire:
                wire.start_channels("a")
                pause = threading.Event()
                for _ in range(8):  # at the pace of a live source, for twice the limit
                    wire.send(channel_audio("a", bytes(8000)))
                    wire.until("ChannelAudioAdded")
                    pause.wait(0.25 * times)
                wire.send(end_of_channel("a", 8))
                assert wire.rest()[-1]["message"] == "EndOfTranscript"
            with Wire(server.url) as wire:
                wire.start_channels("a")
                wire.send(channel_audio("a", bytes(8000)))
                wire.rest()
        assert (wire.received[-1]["type"], wire.close_code) == ("idle_timeout", 1008)

    with_longer_limits(attempt)


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
    by_name: dict[str, list[Message]] = {}
    for message in received:
        name = message["message"]
        by_name.setdefault(name, []).append(message)
        # The documentation calls "channels" what the specification calls "channel_ids".
        # That of EndOfUtterance lacks a format.
        assert set(message) - {"channels", "format"} <= set(schemas[name]["properties"]), message
    for name, messages in by_name.items():
        assert complaints(schemas, name, messages) == [], name


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
