"""Channels that are slow, that fail, and whose client leaves."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any, Optional

import pytest
from support.local_channels import channels_start, server, spoken
from support.local_wire import (
    PATIENCE,
    Wire,
    channel_audio,
    chunks,
    end_of_channel,
    named,
    of_channel,
    run,
    words,
)
from websockets.exceptions import ConnectionClosed

from speechmatics_sync.local import (
    CountedRecognizer,
    Hypothesis,
    LocalServer,
    Recognition,
    counted_audio,
)

__all__ = ["server"]


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
        wire.send(channel_audio("a", b"<!doctype html><html>"))
        with contextlib.suppress(ConnectionClosed):  # only what the server sent before matters
            wire.send(*[channel_audio("b", bytes(64000))] * 200)
        wire.rest()
    assert [message["message"] for message in wire.received].count("Error") == 1
    assert (wire.received[-1]["message"], wire.close_code) == ("Error", 1003)
