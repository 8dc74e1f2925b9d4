"""A client that is not ours: ``speechmatics-rt``, against the embedded server."""

from __future__ import annotations

import asyncio
import io
import re
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from local_wire import word_errors
from speechmatics.rt import (
    AsyncClient,
    AudioEncoding,
    AudioFormat,
    ServerMessageType,
    TranscriptionConfig,
)

from speechmatics_sync.local import LocalServer

if sys.version_info >= (3, 10):
    import pocketsphinx  # noqa: F401
else:
    pytest.importorskip("pocketsphinx", reason="has no wheel for Python 3.9")

pytestmark = pytest.mark.timeout(120)

SAMPLES = Path(__file__).resolve().parent.parent / "examples" / "audio"


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
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
    return re.findall(r"[a-z']+", (SAMPLES / "demo.txt").read_text(encoding="utf-8").lower())


def test_it_gets_the_words_of_raw_audio(server: LocalServer, spoken: list[str]) -> None:
    with wave.open(str(SAMPLES / "demo.wav")) as sample:
        audio = sample.readframes(sample.getnframes())
    audio_format = AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=16000)
    words = asyncio.run(heard(server.url, audio, audio_format))
    assert word_errors(spoken, words) <= 0.05 * len(spoken), words


def test_it_gets_the_words_of_a_file(server: LocalServer, spoken: list[str]) -> None:
    words = asyncio.run(heard(server.url, (SAMPLES / "demo.wav").read_bytes(), AudioFormat()))
    assert word_errors(spoken, words) <= 0.05 * len(spoken), words
