"""A session of several channels, or with translations, whose connection is lost."""

from __future__ import annotations

import base64
import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Callable, Optional

import pytest
from support.reconnecting import (
    POLICY,
    RECONNECTED,
    RECONNECTING,
    Heard,
    Legs,
    cut,
    given,
    noise,
    pieces,
)
from support.reconnecting import served as serving_legs
from support.serving import PATIENCE, Peer, final
from support.sessions import END_OF_TRANSCRIPT, RAW, client_of, wait_for

from speechmatics_sync import MultiChannelClient, Transcript, TranslationConfig

SECOND = 32000
"""Bytes in a second of audio."""


class Channels:
    """The server's side of one connection of a session by channel; hears each channel apart."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.audio: dict[str, list[bytes]] = defaultdict(list)
        self.ended: dict[str, int] = {}
        self.others: list[dict[str, Any]] = []
        peer.start()
        assert peer.start_message is not None
        self.config: dict[str, Any] = peer.start_message["transcription_config"]
        self.labels: list[str] = self.config["channel_diarization_labels"]

    def seconds(self, label: str) -> float:
        return sum(map(len, self.audio[label])) / SECOND

    def heard(self, label: str) -> bytes:
        return b"".join(self.audio[label])

    def listen_until(self, enough: Callable[[], bool]) -> None:
        """Take what comes until there is enough."""
        while not enough():
            message = self.peer.receive()
            assert isinstance(message, dict), "binary audio in a session of several channels"
            label = message.get("channel", "")
            if message["message"] == "AddChannelAudio":
                assert label in self.labels
                assert label not in self.ended
                self.audio[label].append(base64.b64decode(message["data"]))
                number = len(self.audio[label])
                self.peer.send({"message": "ChannelAudioAdded", "channel": label, "seq_no": number})
            elif message["message"] == "EndOfChannel":
                assert label not in self.ended
                assert message["last_seq_no"] == len(self.audio[label])
                self.ended[label] = message["last_seq_no"]
            else:
                self.others.append(message)

    def say(self, label: str, text: str, start: float, end: float) -> None:
        """Send a final word of a channel."""
        self.peer.send({**final(text, start, end), "channel": label})

    def finish(self) -> None:
        """Take every channel to its end, and end the transcript."""
        self.listen_until(lambda: set(self.ended) == set(self.labels))

    def end(self) -> None:
        self.peer.send(END_OF_TRANSCRIPT)
        self.peer.wait_closed()


@contextlib.contextmanager
def served(*behaviours: Callable[[Channels], None]) -> Iterator[tuple[str, list[Channels]]]:
    """Serve one connection with each behaviour; give the URL and what came."""
    came: list[Channels] = []

    def with_channels(behave: Callable[[Channels], None]) -> Callable[[Peer], None]:
        def run(peer: Peer) -> None:
            came.append(Channels(peer))
            behave(came[-1])

        return run

    with serving_legs(Legs(*map(with_channels, behaviours))) as url:
        yield url, came


def words(transcript: Optional[Transcript], label: str) -> list[tuple[str, float, float]]:
    assert transcript is not None
    return [
        (word.content, word.start_time, word.end_time) for word in transcript.channels[label].words
    ]


def test_each_channel_goes_on_where_it_was_and_in_its_own_time() -> None:
    agent, customer = noise(6, seed=1), noise(4, seed=2)

    def first(leg: Channels) -> None:
        leg.listen_until(lambda: leg.seconds("agent") >= 4 and leg.seconds("customer") >= 2)
        leg.say("agent", "hello", 3.0, 3.5)
        leg.say("customer", "hi", 1.0, 1.5)
        cut(leg.peer)

    def second(leg: Channels) -> None:
        leg.finish()
        leg.say("agent", "hello", 0.6, 1.1)  # again
        leg.say("agent", "there", 1.2, 1.6)
        leg.say("customer", "you", 2.0, 2.4)
        leg.end()

    with (
        served(first, second) as (url, legs),
        MultiChannelClient(url=url, reconnect=POLICY) as client,
    ):
        heard = Heard(client, RECONNECTING, RECONNECTED)
        transcript = client.transcribe(
            {"agent": agent, "customer": given(pieces(customer))}, audio_format=RAW
        )
    assert legs[1].heard("agent") == agent[int(2.4 * SECOND) :]
    assert legs[1].heard("customer") == customer[int(0.4 * SECOND) :]
    assert words(transcript, "agent") == [("hello", 3.0, 3.5), ("there", 3.6, 4.0)]
    assert words(transcript, "customer") == [("hi", 1.0, 1.5), ("you", 2.4, 2.8)]
    assert heard.names == [RECONNECTING, RECONNECTED]
    assert heard.one(RECONNECTED)["audio_time"] == 1.5  # up to where every channel is settled
    assert transcript.gaps == []


def test_only_channels_that_are_open_or_unsettled_are_in_the_next_session() -> None:
    audio = {label: noise(1.5, seed=seed) for seed, label in enumerate("abcd")}
    lost = threading.Event()

    def first(leg: Channels) -> None:
        assert leg.labels == ["a", "b", "c", "d", "e"]
        leg.listen_until(lambda: {*"abe"} <= {*leg.ended} and {*"cd"} <= {*leg.audio})
        leg.say("a", "settled", 0.5, 1.5)
        leg.say("b", "unsettled", 0.5, 1.0)
        cut(leg.peer)

    def second(leg: Channels) -> None:
        assert leg.labels == ["b", "c", "d"]
        leg.finish()
        leg.end()

    with (
        served(first, second) as (url, legs),
        MultiChannelClient(url=url, reconnect=POLICY) as client,
    ):
        client.on(RECONNECTED, lambda message: lost.set())
        client.start_session(channels=["a", "b", "c", "d", "e"], audio_format=RAW)
        for label in audio:
            client.send_audio(label, audio[label])
        for label in ("a", "b", "e"):  # the last of them is empty
            client.end_of_channel(label)
        wait_for(lost)
        client.send_audio("c", audio["a"])
        client.stop_session(timeout=PATIENCE)
    assert legs[0].ended == {"a": 1, "b": 1, "e": 0}
    assert {label: legs[1].heard(label) for label in legs[1].labels} == {
        "b": audio["b"],
        "c": audio["c"] + audio["a"],
        "d": audio["d"],
    }


@pytest.mark.parametrize("again", [True, False], ids=["read again", "kept"])
def test_channels_that_have_ended_are_sent_again_to_their_ends(again: bool) -> None:
    audio = {"a": noise(3, seed=1), "b": noise(2, seed=2)}

    def first(leg: Channels) -> None:
        leg.finish()
        leg.say("a", "one", 0.5, 1.5)
        cut(leg.peer)

    def second(leg: Channels) -> None:
        leg.finish()
        leg.say("a", "two", 1.6, 2.0)
        leg.say("b", "three", 0.5, 1.0)
        leg.end()

    with (
        served(first, second) as (url, legs),
        MultiChannelClient(url=url, reconnect=POLICY) as client,
    ):
        heard = Heard(client, "ChannelAudioAdded")
        transcript = client.transcribe(
            {
                label: sound if again else given(pieces(sound, 4096))
                for label, sound in audio.items()
            },
            audio_format=RAW,
            timeout=PATIENCE,
        )
    assert legs[1].heard("a") == audio["a"][int(0.2 * SECOND) :]
    assert legs[1].heard("b") == audio["b"]
    assert words(transcript, "a") == [("one", 0.5, 1.5), ("two", 1.8, 2.2)]
    assert words(transcript, "b") == [("three", 0.5, 1.0)]
    for label, sound in audio.items():
        numbers = [each["seq_no"] for each in heard.messages if each["channel"] == label]
        assert numbers == list(range(1, len(pieces(sound, 4096)) + 1))


def test_nobody_is_asked_about_a_channel_that_is_over() -> None:
    lost = threading.Event()

    def first(leg: Channels) -> None:
        leg.listen_until(lambda: "a" in leg.ended and bool(leg.audio["b"]) and bool(leg.others))
        leg.say("a", "settled", 0.0, 1.0)
        cut(leg.peer)

    def second(leg: Channels) -> None:
        assert leg.labels == ["b"]
        leg.finish()
        assert leg.others == []
        leg.end()

    with served(first, second) as (url, _), MultiChannelClient(url=url, reconnect=POLICY) as client:
        client.on(RECONNECTED, lambda message: lost.set())
        client.start_session(channels=["a", "b"], audio_format=RAW)
        client.send_audio("a", noise(1))
        client.send_audio("b", noise(1))
        client.force_end_of_utterance(channel="a")
        client.end_of_channel("a")
        wait_for(lost)
        client.stop_session(timeout=PATIENCE)


def test_a_forced_end_of_utterance_moves_to_the_time_of_its_channel() -> None:
    lost = threading.Event()

    def first(leg: Channels) -> None:
        leg.listen_until(lambda: len(leg.others) == 2)
        leg.say("a", "one", 1.0, 1.5)
        leg.say("b", "two", 2.0, 2.5)
        cut(leg.peer)

    def second(leg: Channels) -> None:
        leg.finish()
        assert [(each["channel"], each["timestamp"]) for each in leg.others] == [
            ("a", pytest.approx(2.9 - 0.4)),
            ("b", pytest.approx(2.8 - 1.4)),
        ]
        leg.end()

    with served(first, second) as (url, _), MultiChannelClient(url=url, reconnect=POLICY) as client:
        client.on(RECONNECTED, lambda message: lost.set())
        client.start_session(channels=["a", "b"], audio_format=RAW)
        client.send_audio("a", noise(3))
        client.send_audio("b", noise(3))
        client.force_end_of_utterance(channel="a", timestamp=2.9)
        client.force_end_of_utterance(channel="b", timestamp=2.8)
        wait_for(lost)
        client.stop_session(timeout=PATIENCE)


def test_a_channel_without_a_byte_does_not_hold_up_the_others() -> None:
    audio = noise(2)

    def first(leg: Channels) -> None:
        leg.listen_until(lambda: leg.seconds("a") >= 1)
        cut(leg.peer)

    def second(leg: Channels) -> None:
        leg.finish()
        leg.end()

    with (
        served(first, second) as (url, legs),
        MultiChannelClient(url=url, reconnect=POLICY) as client,
    ):
        client.transcribe(
            {"a": audio, "b": b"", "c": given([])}, audio_format=RAW, timeout=PATIENCE
        )
    assert legs[1].heard("a") == audio
    assert not legs[1].heard("b") + legs[1].heard("c")


# -- translation --------------------------------------------------------------------------------


def translation(language: str, text: str, start: float, end: float) -> dict[str, Any]:
    return {
        "message": "AddTranslation",
        "language": language,
        "results": [{"content": text, "start_time": start, "end_time": end}],
    }


def test_what_is_not_translated_into_every_language_is_sent_again() -> None:
    audio = noise(8)
    config = TranslationConfig(target_languages=["de", "fr"])

    def first(peer: Peer) -> None:
        peer.start()
        while sum(map(len, peer.audio)) < 6 * SECOND:
            chunk = peer.receive()
            assert isinstance(chunk, bytes)
            peer.audio.append(chunk)
            peer.acknowledge()
        peer.send(final("one", 1.0, 2.5), final("two", 4.0, 5.0))
        peer.send(translation("de", "eins", 1.0, 2.5), translation("de", "zwei", 4.0, 5.0))
        peer.send(translation("fr", "un", 1.0, 2.5))
        cut(peer)

    def second(peer: Peer) -> None:
        peer.start()
        assert peer.take_audio() == {"message": "EndOfStream", "last_seq_no": len(peer.audio)}
        # It begins at 1.4 s, a second before the last sentence of which every language knows.
        peer.send(final("one", 0.0, 1.1), final("two", 2.6, 3.6), final("three", 5.0, 6.0))
        for language, texts in (("de", "eins zwei drei"), ("fr", "un deux trois")):
            for text, start, end in zip(texts.split(), (0.0, 2.6, 5.0), (1.1, 3.6, 6.0)):
                peer.send(translation(language, text, start, end))
        peer.send(END_OF_TRANSCRIPT)
        peer.wait_closed()

    legs = Legs(first, second)
    with serving_legs(legs) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client, RECONNECTED)
        transcript = client.transcribe(
            given(pieces(audio)), audio_format=RAW, translation_config=config, timeout=PATIENCE
        )
    assert b"".join(legs.peers[1].audio) == audio[int(1.4 * SECOND) :]
    assert heard.one(RECONNECTED)["audio_time"] == 2.5
    assert transcript.text == "one two three"
    told = {
        language: [(each.content, each.start_time) for each in sentences]
        for language, sentences in transcript.translations.items()
    }
    assert told == {
        "de": [("eins", 1.0), ("zwei", 4.0), ("drei", 6.4)],
        "fr": [("un", 1.0), ("deux", 4.0), ("trois", 6.4)],
    }


def test_with_translation_all_channels_go_on_at_one_common_time() -> None:
    audio = {"a": noise(6, seed=1), "b": noise(6, seed=2)}
    config = TranslationConfig(target_languages=["de"])

    def first(leg: Channels) -> None:
        leg.listen_until(lambda: min(leg.seconds("a"), leg.seconds("b")) >= 5)
        leg.say("a", "one", 3.0, 4.5)
        leg.say("b", "two", 1.8, 2.5)
        leg.peer.send(translation("de", "zwei", 1.8, 2.5), translation("de", "eins", 3.0, 4.5))
        cut(leg.peer)

    def second(leg: Channels) -> None:
        leg.finish()
        leg.end()

    with (
        served(first, second) as (url, legs),
        MultiChannelClient(url=url, reconnect=POLICY) as client,
    ):
        client.transcribe(
            {"a": audio["a"], "b": given(pieces(audio["b"]))},
            audio_format=RAW,
            translation_config=config,
            timeout=PATIENCE,
        )
    for label, sound in audio.items():
        assert legs[1].heard(label) == sound[int(1.4 * SECOND) :]
