"""A call of two channels is recognised as it was spoken."""

from __future__ import annotations

import copy
import re
import wave
from collections.abc import Iterator

import numpy as np
import pytest
from support.local_wire import (
    Message,
    Wire,
    channel_audio,
    end_of_channel,
    named,
    of_channel,
    run,
    run_channels,
    word_errors,
    words,
)
from support.places import SAMPLES

from speechmatics_sync.local import LocalServer

pytestmark = [pytest.mark.speech, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(strict=True) as server:
        yield server


@pytest.fixture(scope="module")
def call() -> dict[str, bytes]:
    """A question and its answer from the sample call, one channel each."""
    with wave.open(str(SAMPLES / "call.wav")) as audio:
        assert (audio.getframerate(), audio.getnchannels(), audio.getsampwidth()) == (16000, 2, 2)
        frames = np.frombuffer(audio.readframes(int(6.2 * 16000)), dtype="<i2").reshape(-1, 2)
    return {"agent": frames[:, 0].tobytes(), "customer": frames[:, 1].tobytes()}


def said() -> dict[str, list[str]]:
    """The question and the answer."""
    lines = (SAMPLES / "call.txt").read_text(encoding="utf-8").splitlines()[:2]
    turns = [line.lower().partition(":") for line in lines]
    return {label: re.findall(r"[a-z']+", text) for label, _, text in turns}


@pytest.fixture(scope="module")
def plain(server: LocalServer, call: dict[str, bytes]) -> list[Message]:
    """The result of the call with default settings."""
    return run_channels(server.url, call).received


@pytest.mark.parametrize("partials", [False, True])
def test_each_side_of_a_call_is_heard_in_its_channel(
    server: LocalServer, call: dict[str, bytes], plain: list[Message], partials: bool
) -> None:
    received = plain
    if partials:
        received = run_channels(server.url, call, enable_partials=True).received
    for label, spoken in said().items():
        heard = words(of_channel(received, label))
        assert word_errors(spoken, heard) <= 0.05 * len(spoken), heard
        guesses = named(of_channel(received, label), "AddPartialTranscript")
        assert bool(guesses) == partials


def test_a_side_of_a_call_is_heard_as_it_is_alone(
    server: LocalServer, call: dict[str, bytes], plain: list[Message]
) -> None:
    for label, audio in call.items():
        alone = named(run(server.url, audio).received, "AddTranscript")
        finals = copy.deepcopy(named(of_channel(plain, label), "AddTranscript"))
        for named_twice in [*finals, *(one for final in finals for one in final["results"])]:
            assert named_twice.pop("channel") == label
        assert finals == alone


def test_speech_in_one_channel_does_not_wait_for_a_flood_in_another(
    server: LocalServer, call: dict[str, bytes]
) -> None:
    flood = call["agent"] * 3
    with Wire(server.url) as wire:
        wire.start_channels("flood", "talk")
        wire.send(channel_audio("flood", flood))
        wire.send(channel_audio("talk", call["customer"]), end_of_channel("talk", 1))
        wire.send(end_of_channel("flood", 1))
        wire.rest()
    last = {
        label: max(
            at
            for at, message in enumerate(wire.received)
            if message["message"] == "AddTranscript" and message["channel"] == label
        )
        for label in ("flood", "talk")
    }
    assert last["talk"] < last["flood"]
    assert words(of_channel(wire.received, "talk")) == said()["customer"]
    assert words(of_channel(wire.received, "flood"))[: len(said()["agent"])] == said()["agent"]
