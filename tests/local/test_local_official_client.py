"""The official clients, of ``speechmatics-rt``, work with the embedded server."""

from __future__ import annotations

import asyncio
import io
import re
import wave
from collections.abc import Iterator
from typing import Any

import pytest
from speechmatics.rt import (
    AsyncClient,
    AsyncMultiChannelClient,
    AudioEncoding,
    AudioFormat,
    ServerMessageType,
    TranscriptionConfig,
)
from support.local_wire import word_errors
from support.places import SAMPLES

from speechmatics_sync.local import LocalServer

pytestmark = [pytest.mark.speech, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    # Not strict: this client's last_seq_no is not the number of its chunks.
    with LocalServer(api_keys=["a-key"]) as server:
        yield server


async def heard(url: str, audio: bytes, audio_format: AudioFormat) -> list[str]:
    finals: list[str] = []
    async with AsyncClient(api_key="a-key", url=url) as client:

        @client.on(ServerMessageType.ADD_TRANSCRIPT)
        def final(message: dict[str, Any]) -> None:
            finals.append(message["metadata"]["transcript"])

        await client.transcribe(
            io.BytesIO(audio),
            transcription_config=TranscriptionConfig(language="en"),
            audio_format=audio_format,
            timeout=90,
        )
    return re.findall(r"[a-z0-9']+", "".join(finals))


@pytest.fixture(scope="module")
def spoken() -> list[str]:
    """The first sentence of the sample."""
    lines = (SAMPLES / "demo.txt").read_text(encoding="utf-8").splitlines()
    return re.findall(r"[a-z']+", lines[0].lower())


@pytest.fixture(scope="module")
def sentence() -> bytes:
    with wave.open(str(SAMPLES / "demo.wav")) as sample:
        return sample.readframes(4 * sample.getframerate())  # up to the pause after it


def test_it_gets_the_words_of_raw_audio(
    server: LocalServer, sentence: bytes, spoken: list[str]
) -> None:
    audio_format = AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=16000)
    words = asyncio.run(heard(server.url, sentence, audio_format))
    assert word_errors(spoken, words) <= 0.05 * len(spoken), words


def test_it_gets_the_words_of_a_file(
    server: LocalServer, sentence: bytes, spoken: list[str]
) -> None:
    file = io.BytesIO()
    with wave.open(file, "wb") as audio:
        audio.setparams((1, 2, 16000, 0, "NONE", "not compressed"))
        audio.writeframes(sentence)
    words = asyncio.run(heard(server.url, file.getvalue(), AudioFormat()))
    assert word_errors(spoken, words) <= 0.05 * len(spoken), words


async def call_heard(
    url: str, config: TranscriptionConfig
) -> tuple[dict[str, list[str]], list[dict[str, Any]]]:
    """The words of each channel of the sample call, and every message but acknowledgements."""
    with wave.open(str(SAMPLES / "call.wav")) as sample:
        frames = sample.readframes(int(6.2 * sample.getframerate()))  # a question, its answer
    sources = {
        "agent": io.BytesIO(b"".join(frames[at : at + 2] for at in range(0, len(frames), 4))),
        "customer": io.BytesIO(b"".join(frames[at : at + 2] for at in range(2, len(frames), 4))),
    }
    finals: dict[str, list[str]] = {}
    messages: list[dict[str, Any]] = []
    ended = asyncio.Event()
    async with AsyncMultiChannelClient(api_key="a-key", url=url) as client:

        @client.on(ServerMessageType.ADD_TRANSCRIPT)
        def final(message: dict[str, Any]) -> None:
            # Where the official examples look for it.
            words = finals.setdefault(message["results"][0]["channel"], [])
            words.append(message["metadata"]["transcript"])
            assert message["channel"] == message["results"][0]["channel"]

        for kind in ServerMessageType:
            if kind != ServerMessageType.CHANNEL_AUDIO_ADDED:
                client.on(kind, messages.append)
        client.on(ServerMessageType.END_OF_TRANSCRIPT, lambda message: ended.set())
        client.on(ServerMessageType.ERROR, lambda message: ended.set())
        await client.transcribe(
            sources,
            transcription_config=config,
            audio_format=AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=16000),
            timeout=90,
        )
        # The client returns once its last message is sent, before the last transcripts have come.
        await asyncio.wait_for(ended.wait(), 90)
    return {
        label: re.findall(r"[a-z0-9']+", "".join(texts)) for label, texts in finals.items()
    }, messages


@pytest.mark.parametrize("diarization", [None, "channel_and_speaker"])
def test_its_client_of_several_channels_gets_the_words_of_each(diarization: Any) -> None:
    config = TranscriptionConfig(language="en", diarization=diarization)
    # A server of its own, so that its record is complete when it has stopped.
    with LocalServer(api_keys=["a-key"]) as server:
        heard, messages = asyncio.run(call_heard(server.url, config))
    (session,) = server.sessions
    for line in (SAMPLES / "call.txt").read_text(encoding="utf-8").splitlines()[:2]:
        label, _, text = line.partition(":")
        spoken = re.findall(r"[a-z']+", text.lower())
        assert word_errors(spoken, heard[label][: len(spoken)]) <= 0.05 * len(spoken), heard
        del heard[label][: len(spoken)]
    assert heard == {"agent": [], "customer": []}
    assert [message["message"] for message in messages if message["message"] == "Error"] == []
    assert messages[-1]["message"] == "EndOfTranscript"
    assert (session.error, session.close_code) == (None, 1000)
