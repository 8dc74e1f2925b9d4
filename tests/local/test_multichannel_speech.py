"""A call of two channels through the embedded server comes back as it was spoken."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.places import SAMPLES

from speechmatics_sync import (
    AudioEncoding,
    AudioFormat,
    MultiChannelClient,
    ServerMessageType,
    TranscriptionConfig,
    split_channels,
)
from speechmatics_sync.local import CountedRecognizer, LocalServer, counted_audio

AUDIO = SAMPLES


def spoken() -> list[tuple[str, str]]:
    """Who says what in the sample, in order."""
    lines = (AUDIO / "call.txt").read_text(encoding="utf-8").splitlines()
    return [(label, text.strip()) for label, _, text in (line.partition(":") for line in lines)]


def words(text: str) -> list[str]:
    return "".join(letter for letter in text.lower() if letter.isalnum() or letter == " ").split()


@pytest.fixture
def two_files(tmp_path: Path) -> dict[str, Path]:
    """The sample as two mono files."""
    paths = {}
    for label, source in split_channels(AUDIO / "call.wav", labels=["agent", "customer"]).items():
        paths[label] = tmp_path / f"{label}.wav"
        paths[label].write_bytes(b"".join(source))
    return paths


@pytest.mark.speech
def test_two_files_become_a_conversation(two_files: dict[str, Path]) -> None:
    # The code of a user of the official SDK, without `async` and `await`.
    said: list[tuple[str, str]] = []
    with LocalServer(strict=True) as server, MultiChannelClient(url=server.url) as client:

        @client.on(ServerMessageType.ADD_TRANSCRIPT)
        def handle_transcript(msg: dict) -> None:  # type: ignore[type-arg]
            if msg["results"]:
                assert msg["results"][0]["channel"] == msg["channel"]
            said.append((msg["channel"], msg["metadata"]["transcript"]))

        with open(two_files["agent"], "rb") as agent, open(two_files["customer"], "rb") as customer:
            sources = {"agent": agent, "customer": customer}
            transcript = client.transcribe(
                sources,
                transcription_config=TranscriptionConfig(
                    language="en",
                    diarization="channel",
                    channel_diarization_labels=list(sources.keys()),
                ),
            )

    for label in ("agent", "customer"):
        expected = [word for name, text in spoken() if name == label for word in words(text)]
        heard = words(transcript.channels[label].text)
        wrong = sum(a != b for a, b in zip(heard, expected)) + abs(len(heard) - len(expected))
        assert wrong <= 0.05 * len(expected), (heard, expected)
        assert words(" ".join(text for name, text in said if name == label)) == heard
    assert [turn.channel for turn in transcript.turns] == [label for label, _ in spoken()]


@pytest.mark.parametrize("count", [1, 2, 16])
def test_counted_words_of_every_channel_come_out_once_and_in_order(count: int) -> None:
    lengths = {f"channel-{index}": 3 * index for index in range(count)}
    lengths[f"channel-{count - 1}"] = 40
    sources = {
        label: counted_audio(length, first=1 + 100 * index)
        for index, (label, length) in enumerate(lengths.items())
    }
    server = LocalServer(recognizer=CountedRecognizer(), strict=True, max_channels=16)
    with server, MultiChannelClient(url=server.url) as client:
        transcript = client.transcribe(
            sources, audio_format=AudioFormat(AudioEncoding.PCM_S16LE, 16000)
        )
    for index, (label, length) in enumerate(lengths.items()):
        heard = [word.content for word in transcript.channels[label].words] if length else []
        assert heard == [f"w{1 + 100 * index + place}" for place in range(length)]
