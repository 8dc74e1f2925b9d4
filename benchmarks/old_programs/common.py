"""What programs share: the servers and the audio they are given, clients, sources."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from pathlib import Path
from typing import Any, Callable

import speechmatics
import speechmatics.client
from speechmatics.models import AudioSettings, ConnectionSettings, ServerMessageType

URLS: dict[str, str] = json.loads(sys.argv[1])
AUDIO = Path(URLS.pop("audio")).read_bytes()
RAW = AudioSettings(encoding="pcm_s16le", sample_rate=16000)

PATTERNS: dict[str, Callable[[], Any]] = {}


def pattern(function: Callable[[], Any]) -> Callable[[], Any]:
    PATTERNS[function.__name__] = function
    return function


def client_of(server: str = "plain", **options: Any) -> Any:
    client = speechmatics.client.WebsocketClient(
        ConnectionSettings(URLS[server], ssl_context=None, **options)
    )
    client.reconnect = None
    return client


def finals_of(client: Any) -> list[str]:
    texts: list[str] = []
    client.add_event_handler(
        ServerMessageType.AddTranscript, lambda msg: texts.append(msg["metadata"]["transcript"])
    )
    return texts


def order_of(client: Any) -> list[str]:
    """Collect the names of messages as they are sent and handled, each once in a row."""
    names: list[str] = []

    def note(name: str) -> None:
        if name not in names:
            names.append(name)

    client.add_event_handler("all", lambda msg: note(msg["message"]))
    client.add_middleware(
        "all", lambda msg, is_binary: note("AddAudio" if is_binary else msg["message"])
    )
    return names


def raised(call: Callable[[], Any]) -> str:
    try:
        call()
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


class AsyncSource:
    def __init__(self) -> None:
        self.file = io.BytesIO(AUDIO)

    async def read(self, size: int) -> bytes:
        await asyncio.sleep(0)
        return self.file.read(size)


class Endless:
    def read(self, size: int) -> bytes:
        return bytes(size)
