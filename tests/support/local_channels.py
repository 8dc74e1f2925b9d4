"""The embedded server for sessions by channel."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from typing import Any

import pytest

from speechmatics_sync.local import (
    CountedRecognizer,
    LocalServer,
)
from support.local_wire import (
    Message,
    start_message,
)


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """A strict server that hears counted audio, with finals half a second late."""
    recognizer = CountedRecognizer(delay=0.5, voices=("ann", "bob"), turn=2)
    with LocalServer(recognizer=recognizer, strict=True) as server:
        yield server


def spoken(first: int, count: int) -> list[str]:
    return [f"w{number}" for number in range(first, first + count)]


def wav(audio: bytes) -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(audio)
    return written.getvalue()


def channels_start(labels: list[str], **config: Any) -> Message:
    return start_message(
        **{"diarization": "channel", "channel_diarization_labels": labels, **config}
    )
