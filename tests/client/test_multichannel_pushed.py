"""Channels whose audio is pushed, and what a server may answer."""

from __future__ import annotations

from typing import Any

import pytest
from support.channel_server import ChannelServer
from support.channels import SECOND, client_of, counted, in_pieces, raw
from support.serving import Peer, final, serving
from support.sessions import RAW, Blocking, InThread, let_sources_go, wait_for  # noqa: F401  (a fixture)

from speechmatics_sync import (
    ConfigurationError,
    ServerMessageType,
    SessionError,
    TranscriptionError,
    TransportError,
)


def test_a_pushed_session_sends_each_channel_from_its_own_thread() -> None:
    server = ChannelServer()
    audio = {label: counted(label, 100_000) for label in "abcd"}
    with serving(server) as url, client_of(url) as client:
        info = client.start_session(channels=list(audio), audio_format=raw())
        assert info.channels == list(audio)

        def push(label: str) -> None:
            for chunk in in_pieces(audio[label], 777):
                client.send_audio(label, chunk)
            client.end_of_channel(label)

        for call in [InThread(push, label) for label in audio]:
            call.result()
        transcript = client.stop_session()
    assert {label: bytes(found) for label, found in server.audio.items()} == audio
    assert set(transcript.channels) == set(audio)


def test_stopping_ends_the_channels_that_are_open() -> None:
    server = ChannelServer()
    with serving(server) as url, client_of(url) as client:
        client.start_session(channels=["a", "b"], audio_format=raw())
        client.send_audio("a", b"1122")
        client.end_of_channel("a")
        client.end_of_channel("a")
        with pytest.raises(SessionError, match="'a' has ended"):
            client.send_audio("a", b"11")
        client.send_audio("b", b"11")
        client.stop_session()
    assert server.ended == {"a": 1, "b": 1}


def test_a_channel_that_is_not_there_is_refused_by_name() -> None:
    with serving(ChannelServer()) as url, client_of(url) as client:
        client.start_session(channels=["a"], audio_format=raw())
        for call in (
            lambda: client.send_audio("z", b"11"),
            lambda: client.end_of_channel("z"),
            lambda: client.force_end_of_utterance(channel="z"),
        ):
            with pytest.raises(ConfigurationError, match="'z'; allowed: 'a'"):
                call()
        client.stop_session()


@pytest.mark.parametrize("channels", ["ab", [], ["a", "a"], [1], None])
def test_channels_that_are_none_are_refused(channels: Any) -> None:
    with pytest.raises(ConfigurationError):
        client_of("ws://localhost:1/v2").start_session(channels=channels)


def test_messages_of_a_session_reach_the_server_in_order_with_its_audio() -> None:
    server = ChannelServer()
    with serving(server) as url, client_of(url) as client:
        client.start_session(channels=["a", "b"], audio_format=raw())
        client.send_audio("a", bytes(SECOND))
        client.send_audio("b", bytes(2 * SECOND))
        client.force_end_of_utterance(channel="a")
        client.force_end_of_utterance()
        client.force_end_of_utterance(channel="b", timestamp=None)
        client.update_transcription_config(max_delay=2)
        assert client.get_speakers() == []
        client.stop_session()
    assert server.messages == [
        {"message": "ForceEndOfUtterance", "timestamp": 1.0, "channel": "a"},
        {"message": "ForceEndOfUtterance", "timestamp": 2.0},
        {"message": "ForceEndOfUtterance", "channel": "b"},
        {
            "message": "SetRecognitionConfig",
            "transcription_config": {"max_delay": 2, "language": "en"},
        },
        {"message": "GetSpeakers"},
    ]


def test_acknowledgements_reach_handlers_that_listen() -> None:
    heard: list[tuple[str, int]] = []
    with serving(ChannelServer()) as url, client_of(url) as client:
        client.on(
            ServerMessageType.CHANNEL_AUDIO_ADDED,
            lambda message: heard.append((message["channel"], message["seq_no"])),
        )
        client.transcribe({"a": b"12" * 10, "b": b"34" * 10}, audio_format=raw(4))
    assert sorted(heard) == [(label, number) for label in "ab" for number in range(1, 6)]


@pytest.mark.parametrize(
    "acknowledgement",
    [
        {"message": "AudioAdded", "seq_no": 1},
        {"message": "ChannelAudioAdded", "seq_no": 1, "channel": "z"},
        {"message": "ChannelAudioAdded", "seq_no": 1, "channel": ["a"]},
        {"message": "ChannelAudioAdded", "seq_no": 1},
        {"message": "ChannelAudioAdded", "seq_no": 2, "channel": "a"},
    ],
)
def test_an_acknowledgement_that_was_never_due_breaks_the_protocol(
    acknowledgement: dict[str, Any],
) -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.receive()
        peer.send(acknowledgement)
        peer.wait_closed()

    with serving(behave) as url, client_of(url) as client:  # noqa: SIM117
        with pytest.raises(TransportError, match="acknowledged"):
            client.transcribe({"a": Blocking(b"11")}, audio_format=RAW)


def test_a_transcript_that_ends_before_a_channel_does_is_an_error() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.receive()
        peer.send(
            {"message": "ChannelAudioAdded", "seq_no": 1, "channel": "a"},
            {**final("one"), "channel": "a"},
            {"message": "EndOfTranscript"},
        )
        peer.wait_closed()

    with serving(behave) as url, client_of(url) as client:
        with pytest.raises(TranscriptionError) as caught:
            client.transcribe({"a": b"11", "b": Blocking()}, audio_format=RAW)
        assert caught.value.transcript is not None
        assert caught.value.transcript.channels["a"].text == "one"
