"""What the embedded server hears in the samples makes captions that can be watched."""

from __future__ import annotations

import pytest
from support.places import SAMPLES

from speechmatics_sync import Client, MultiChannelClient, Transcript, split_channels
from speechmatics_sync.local import LocalServer

pytestmark = [pytest.mark.speech, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def demo() -> Transcript:
    with LocalServer(strict=True) as server, Client(url=server.url) as client:
        return client.transcribe(SAMPLES / "demo.wav")


@pytest.fixture(scope="module")
def call() -> Transcript:
    with LocalServer(strict=True) as server, MultiChannelClient(url=server.url) as client:
        return client.transcribe(split_channels(SAMPLES / "call.wav", labels=["agent", "customer"]))


@pytest.mark.parametrize("sample", ["demo", "call"])
def test_they_break_no_rule(sample: str, request: pytest.FixtureRequest) -> None:
    captions = request.getfixturevalue(sample).captions()
    assert len(captions) >= 3
    assert captions.report().faults == ()


def test_a_call_shows_who_speaks(call: Transcript) -> None:
    captions = call.captions(speaker_labels={"agent": "Ada", "customer": "Bob"})
    lines = " ".join(caption.text for caption in captions).split("\n")
    assert lines[0].startswith("Ada: can you tell me")
    assert [caption.channel for caption in captions][:2] == ["agent", "customer"]
