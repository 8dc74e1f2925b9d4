"""What a session by channel is refused."""

from __future__ import annotations

from typing import Any

import pytest
from support.local_channels import channels_start, server, wav
from support.local_wire import (
    Message,
    Wire,
    channel_audio,
    end_of_channel,
    of_channel,
    run,
    run_channels,
    start_message,
    words,
)

from speechmatics_sync import ConfigurationError
from speechmatics_sync.local import (
    CountedRecognizer,
    LocalServer,
    counted_audio,
)

__all__ = ["server"]


def test_a_channel_that_is_no_audio_ends_the_session_with_its_error(server: LocalServer) -> None:
    with Wire(server.url) as wire:
        wire.send({**channels_start(["a", "b"]), "audio_format": {"type": "file"}})
        wire.until("RecognitionStarted")
        # Nothing more is sent: the Error must come while the server waits for messages.
        wire.send(
            channel_audio("b", wav(counted_audio(2))), channel_audio("a", b"<!doctype html><html>")
        )
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
