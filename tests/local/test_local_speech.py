"""Recognised speech: the words, their times, and when they come."""

from __future__ import annotations

import concurrent.futures
import io
import re
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from support.local_wire import (
    Message,
    Wire,
    named,
    run,
    start_message,
    word_errors,
    words,
)
from support.places import SAMPLES

from speechmatics_sync.local import LocalServer

pytestmark = [pytest.mark.speech, pytest.mark.timeout(300)]

CHUNK = 640
SECOND = 32_000
"""Bytes of a second of audio."""
SENTENCE = ["hello", "and", "welcome", "to", "the", "customer", "service", "department"]
Hear = Callable[..., list[Message]]


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(strict=True) as server:
        yield server


def pcm(path: Path) -> bytes:
    with wave.open(str(path)) as audio:
        assert (audio.getframerate(), audio.getnchannels(), audio.getsampwidth()) == (16000, 1, 2)
        return audio.readframes(audio.getnframes())


@pytest.fixture(scope="module")
def demo() -> bytes:
    return pcm(SAMPLES / "demo.wav")


@pytest.fixture(scope="module")
def spoken() -> list[str]:
    return re.findall(r"[a-z']+", (SAMPLES / "demo.txt").read_text(encoding="utf-8").lower())


@pytest.fixture(scope="module")
def sentence(demo: bytes) -> bytes:
    """The first sentence of the demo, up to the middle of the pause after it."""
    return demo[: 4 * SECOND]


@pytest.fixture(scope="module")
def hear(server: LocalServer, sentence: bytes) -> Hear:
    """Transcribe the sentence with a configuration, once for all tests that use the same."""
    heard: dict[str, list[Message]] = {}

    def hear(**config: Any) -> list[Message]:
        if repr(config) not in heard:
            heard[repr(config)] = run(server.url, sentence, size=CHUNK, **config).received
        return heard[repr(config)]

    return hear


def results(messages: list[Message], name: str = "AddTranscript") -> list[Message]:
    return [
        result
        for message in named(messages, name)
        for result in message["results"]
        if result["type"] == "word"
    ]


def test_the_words_of_the_demo_are_heard(
    server: LocalServer, demo: bytes, spoken: list[str]
) -> None:
    heard = words(run(server.url, demo).received)
    assert word_errors(spoken, heard) <= 0.05 * len(spoken), heard


@pytest.mark.parametrize("max_delay", [0.7, 1.0, 2.0])
def test_shorter_delays_lose_and_repeat_no_words(hear: Hear, max_delay: float) -> None:
    assert words(hear(max_delay=max_delay, enable_partials=True)) == SENTENCE


def test_human_speech_is_heard(server: LocalServer, shared: Path) -> None:
    lines = (shared / "audio" / "transcripts.tsv").read_text(encoding="utf-8").splitlines()
    errors = count = 0
    for name, text in (line.split("\t") for line in lines):
        heard = words(run(server.url, pcm(shared / "audio" / name)).received)
        errors += word_errors(text.split(), heard)
        count += len(text.split())
    assert errors <= 0.35 * count


def test_words_are_plain_their_times_in_order_and_their_confidences_real(
    hear: Hear, sentence: bytes
) -> None:
    heard = results(hear(max_delay=1.0, enable_partials=True))
    for result in heard:
        assert re.fullmatch(r"[a-z'.-]+", result["alternatives"][0]["content"])
        assert 0 <= result["start_time"] < result["end_time"] <= len(sentence) / SECOND
        assert 0 <= result["alternatives"][0]["confidence"] <= 1
    for before, after in zip(heard, heard[1:]):
        assert after["start_time"] >= before["end_time"] - 0.02
    assert len({result["alternatives"][0]["confidence"] for result in heard}) > 3


def test_times_are_those_of_the_whole_session(
    server: LocalServer, hear: Hear, sentence: bytes
) -> None:
    plain = results(hear())
    shifted = results(run(server.url, bytes(2 * SECOND) + sentence).received)
    assert [result["alternatives"][0]["content"] for result in shifted] == [
        result["alternatives"][0]["content"] for result in plain
    ]
    for one, other in zip(plain, shifted):
        assert other["start_time"] == pytest.approx(one["start_time"] + 2, abs=0.1)


@pytest.mark.parametrize("max_delay", [1.0, 2.0, 4.0])
def test_a_word_is_final_when_max_delay_of_audio_has_followed_it(
    hear: Hear, max_delay: float
) -> None:
    sent = 0.0
    for message in hear(max_delay=max_delay, enable_partials=True):
        if message["message"] == "AudioAdded":
            # A chunk is acknowledged before it is recognised, so the next finals belong to it.
            sent = message["seq_no"] * CHUNK / SECOND
        elif message["message"] == "AddTranscript":
            for result in message["results"]:
                assert sent - result["end_time"] <= max_delay + 0.05, message


def test_partials_come_while_speech_goes_on(hear: Hear) -> None:
    received = hear(max_delay=4.0, enable_partials=True)
    names = [message["message"] for message in received]
    assert names.index("AddPartialTranscript") < names.index("AddTranscript")
    assert len(named(received, "AddPartialTranscript")) >= 5
    settled = 0.0
    for message in received:
        if message["message"] == "AddTranscript":
            settled = message["metadata"]["end_time"]
        elif message["message"] == "AddPartialTranscript":
            assert message["metadata"]["end_time"] > settled


def test_silence_between_sentences_ends_utterances(server: LocalServer, demo: bytes) -> None:
    audio = demo[: 8 * SECOND] + bytes(SECOND)  # two sentences
    config = {"end_of_utterance_silence_trigger": 0.5}
    received = run(server.url, audio, conversation_config=config).received
    ends = [message["metadata"]["end_time"] for message in named(received, "EndOfUtterance")]
    assert len(ends) == 2
    heard = results(received)
    for end in ends:
        before = [result for result in heard if result["end_time"] <= end]
        assert 0.3 <= end - before[-1]["end_time"] <= 1.0


def test_a_forced_end_of_utterance_settles_the_speech_so_far(
    server: LocalServer, sentence: bytes
) -> None:
    with Wire(server.url) as wire:
        wire.start()
        half = 2 * SECOND
        wire.send(sentence[:half], {"message": "ForceEndOfUtterance", "timestamp": 2.0})
        final = wire.until("AddTranscript")
        assert final["forced"]
        assert final["metadata"]["transcript"].startswith("hello and welcome")
        assert wire.until("EndOfUtterance")["metadata"]["end_time"] == 2.0
        wire.send(sentence[half:])
        heard = words(wire.end(2))
    assert word_errors(SENTENCE, heard) <= 1, heard


def test_a_file_is_heard_as_its_samples_are(
    server: LocalServer, hear: Hear, sentence: bytes
) -> None:
    start = {**start_message(), "audio_format": {"type": "file"}}
    file = io.BytesIO()
    with wave.open(file, "wb") as audio:
        audio.setparams((1, 2, 16000, 0, "NONE", "not compressed"))
        audio.writeframes(sentence)
    heard = run(server.url, file.getvalue(), start=start, size=1000).received
    assert results(heard) == results(hear())


def test_what_is_no_audio_file_is_refused(server: LocalServer) -> None:
    with Wire(server.url) as wire:
        wire.send({**start_message(), "audio_format": {"type": "file"}})
        wire.until("RecognitionStarted")
        wire.send(b"<!doctype html><html><body>Sign in")
        wire.rest()
    assert wire.received[-1]["type"] == "invalid_audio_type"
    assert "no sound, but a web page" in wire.received[-1]["reason"]


def test_other_languages_have_no_model(server: LocalServer) -> None:
    with Wire(server.url) as wire:
        wire.send(start_message(language="de"))
        wire.rest()
    assert (wire.received[-1]["type"], wire.close_code) == ("invalid_model", 4004)


def test_one_speaker_is_s1(server: LocalServer, sentence: bytes) -> None:
    received = run(server.url, sentence, diarization="speaker").received
    speakers = {result["alternatives"][0]["speaker"] for result in results(received)}
    assert speakers == {"S1"}


def test_silence_and_noise_end_in_good_order(server: LocalServer) -> None:
    received = run(server.url, bytes(3 * SECOND)).received
    assert words(received) == []
    assert received[-1]["message"] == "EndOfTranscript"


def test_sessions_at_the_same_time_hear_what_they_hear_alone(
    server: LocalServer, hear: Hear, sentence: bytes
) -> None:
    config = {"max_delay": 4.0, "enable_partials": True}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        wires = [pool.submit(run, server.url, sentence, **config) for _ in range(2)]
    for wire in wires:
        assert results(wire.result().received) == results(hear(**config))
