"""The lines of a stream: text as a person reads it, pulled from a session."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from support.live import Watcher, partial
from support.reconnecting import POLICY
from support.serving import Peer, final, serving
from support.sessions import (
    END_OF_TRANSCRIPT,
    RAW,
    Blocking,
    client_of,
    let_sources_go,
    speech,
)
from support.transcripts import result

from speechmatics_sync import (
    ConversationConfig,
    Line,
    MultiChannelClient,
    TranscriptionConfig,
    TranscriptionError,
    TransportError,
)
from speechmatics_sync.local import (
    CountedRecognizer,
    Drop,
    Faults,
    LocalServer,
    ScriptedRecognizer,
    counted_audio,
)

__all__ = ["let_sources_go"]

LIVE = TranscriptionConfig(
    enable_partials=True,
    conversation_config=ConversationConfig(end_of_utterance_silence_trigger=0.5),
)
SCRIPT = [("so", 0.2, 0.4), ("it", 0.5, 0.7), ("goes", 0.8, 1.0), ("on", 2.0, 2.2)]


def two_words(peer: Peer) -> None:
    peer.start()
    peer.take_audio()
    peer.send(partial(result("won", 0, 1)), final("one"), final("two", 1, 2), END_OF_TRANSCRIPT)


def texts(lines: list[Line]) -> list[tuple[str, bool]]:
    return [(line.text, line.is_final) for line in lines]


def test_lines_are_given_whenever_they_grow_until_they_are_final() -> None:
    with serving(two_words) as url, client_of(url) as client:
        stream = client.stream(speech(0.1), audio_format=RAW)
        lines = list(stream.lines())
        assert texts(lines) == [
            ("won", False),
            ("one", False),
            ("one two", False),
            ("one two", True),
        ]
        assert {line.id for line in lines} == {1}
        assert stream.transcript.text == "one two"
        assert list(stream.lines()) == list(stream) == []


def test_handlers_run_in_the_pulling_thread_before_the_lines_are_given() -> None:
    order: list[Any] = []
    with serving(two_words) as url, client_of(url) as client:
        client.on("AddTranscript", lambda message: order.append(threading.get_ident()))
        for line in client.stream(speech(0.1), audio_format=RAW).lines():
            order.append(line.text)
    here = threading.get_ident()
    assert order == ["won", here, "one", here, "one two", "one two"]


def test_errors_come_out_after_the_lines_before_them() -> None:
    quota = {"message": "Error", "type": "quota_exceeded", "reason": "too many", "code": 4005}

    def behave(peer: Peer) -> None:
        peer.start()
        peer.send(final("one"), quota)
        peer.connection.close(4005)

    given: list[Line] = []
    with serving(behave) as url, client_of(url) as client:
        stream = client.stream(Blocking(speech(0.1)), audio_format=RAW)
        with pytest.raises(TranscriptionError) as caught:  # noqa: PT012
            for line in stream.lines():
                given.append(line)
    assert texts(given) == [("one", False)]
    assert caught.value.transcript is stream.transcript
    assert stream.transcript.text == "one"


def test_a_partial_that_is_malformed_ends_the_session() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.send(final("one"), {"message": "AddPartialTranscript", "results": {}})
        peer.wait_closed()

    with serving(behave) as url, client_of(url) as client:
        stream = client.stream(Blocking(speech(0.1)), audio_format=RAW)
        with pytest.raises(TransportError, match="AddPartialTranscript") as caught:
            list(stream.lines())
        assert caught.value.session_id == "session-1"
        with pytest.raises(TransportError):
            next(stream)


def test_breaking_out_leaves_the_stream_as_it_is_and_lines_go_on() -> None:
    with serving(two_words) as url, client_of(url) as client:
        stream = client.stream(speech(0.1), audio_format=RAW)
        first = next(stream.lines())
        rest = list(stream.lines())
        assert texts([first, *rest])[0] == ("won", False)
        assert {line.id for line in [first, *rest]} == {1}
        assert rest[-1].is_final


def test_lines_pulled_after_messages_are_joined_by_the_delimiter_of_the_session() -> None:
    def behave(peer: Peer) -> None:
        peer.start(language_pack_info={"word_delimiter": ""})
        peer.take_audio()
        peer.send(final("今日"), final("は", 1, 2), END_OF_TRANSCRIPT)

    with serving(behave) as url, client_of(url) as client:
        stream = client.stream(speech(0.1), audio_format=RAW, collect=False)
        assert next(stream)["message"] == "RecognitionStarted"
        assert list(stream.lines())[-1].text == "今日は"


def test_a_call_is_watched_utterance_by_utterance() -> None:
    with (
        LocalServer(recognizer=ScriptedRecognizer(SCRIPT, delay=0.3)) as server,
        client_of(server.url) as client,
    ):
        watcher = Watcher()
        stream = client.stream(speech(3), audio_format=RAW, transcription_config=LIVE)
        grown = watcher.see(stream.lines())
    assert [line.text for line in watcher.final] == ["so it goes.", "on."]
    shown = [line.text for line in grown if line.id == 1]
    assert list(dict.fromkeys(shown)) == ["so", "so it", "so it goes", "so it goes."]
    assert watcher.open == {}


def test_channels_are_watched_side_by_side() -> None:
    script = {"agent": [("hello", 0.2, 0.6)], "customer": [("hi", 0.4, 0.8), ("there", 0.9, 1.2)]}
    with (
        LocalServer(recognizer=ScriptedRecognizer(script)) as server,
        MultiChannelClient(url=server.url) as client,
    ):
        watcher = Watcher()
        stream = client.stream(
            {"agent": speech(2), "customer": speech(2)},
            audio_format=RAW,
            transcription_config=LIVE,
        )
        watcher.see(stream.lines())
    assert {(line.channel, line.text) for line in watcher.final} == {
        ("agent", "hello."),
        ("customer", "hi there."),
    }


@pytest.mark.parametrize("seconds", [1.0, 2.3, 3.1])
def test_a_connection_that_drops_leaves_no_line_open_and_no_word_twice(seconds: float) -> None:
    faults = Faults()
    faults.add(Drop(), after_seconds=seconds)
    server = LocalServer(
        recognizer=CountedRecognizer(delay=0.3, voices=["ada", "bob"], turn=3),
        strict=True,
        faults=faults,
    )
    config = TranscriptionConfig(
        enable_partials=True,
        diarization="speaker",
        conversation_config=ConversationConfig(end_of_utterance_silence_trigger=0.5),
    )
    with server, client_of(server.url, reconnect=POLICY) as client:
        watcher = Watcher()
        stream = client.stream(counted_audio(10), audio_format=RAW, transcription_config=config)
        watcher.see(stream.lines())
        assert client.stats.reconnects == 1
    said = " ".join(line.text.rstrip(".") for line in watcher.final)
    assert said.split() == [f"w{number}" for number in range(1, 11)]
    assert watcher.open == {}
