"""Clients as programs of the old package make them, and sources as they write them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from typing import Any

import pytest

from speechmatics_sync.legacy.client import WebsocketClient
from speechmatics_sync.legacy.models import AudioSettings, ConnectionSettings, TranscriptionConfig
from speechmatics_sync.local import CountedRecognizer, LocalServer, counted_audio

RAW = AudioSettings(encoding="pcm_s16le", sample_rate=16000)
CONFIG = TranscriptionConfig("en")
SECONDS = 2
AUDIO = counted_audio(SECONDS)
WORDS = ["w1", "w2"]
CHUNKS = -(-len(AUDIO) // RAW.chunk_size)


@pytest.fixture(scope="module")
def old_server() -> Iterator[LocalServer]:
    """A strict server that hears counted audio."""
    with LocalServer(recognizer=CountedRecognizer(), strict=True) as server:
        yield server


def settings_of(url: str, **options: Any) -> ConnectionSettings:
    return ConnectionSettings(url, ssl_context=None, **options)


def client_of(url: str, **options: Any) -> WebsocketClient:
    return WebsocketClient(settings_of(url, **options))


def audio() -> io.BytesIO:
    return io.BytesIO(AUDIO)


class AsyncAudio:
    """The commonest source of old programs: its `read` is asynchronous."""

    def __init__(self, data: bytes = AUDIO) -> None:
        self._file = io.BytesIO(data)
        self.loops: set[asyncio.AbstractEventLoop] = set()

    async def read(self, size: int) -> bytes:
        await asyncio.sleep(0)
        self.loops.add(asyncio.get_running_loop())
        return self._file.read(size)


def texts_of(client: WebsocketClient) -> list[str]:
    """Collect the text of every final."""
    texts: list[str] = []
    client.add_event_handler(
        "AddTranscript", lambda message: texts.append(message["metadata"]["transcript"])
    )
    return texts


def words_of(texts: list[str]) -> list[str]:
    return [text for text in " ".join(texts).split() if text != "."]


def sent_by(client: WebsocketClient) -> list[str]:
    """Collect the names of the messages that are sent."""
    names: list[str] = []

    def note(message: Any, is_binary: bool) -> None:
        names.append("AddAudio" if is_binary else message["message"])

    client.add_middleware("all", note)
    return names
