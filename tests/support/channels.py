"""Audio of several channels in which every byte tells its channel and place."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from speechmatics_sync import (
    AudioEncoding,
    AudioFormat,
    ConnectionConfig,
    MultiChannelClient,
)
from support.sessions import RAW, Blocking, InThread, let_sources_go, wait_for  # noqa: F401  (a fixture)

SECOND = 32000


def client_of(url: str, **limits: Any) -> MultiChannelClient:
    config = ConnectionConfig(**limits)
    return MultiChannelClient(url=url, conn_config=config, reconnect=None)


def counted(seed: str, size: int) -> bytes:
    """Audio in which every place is told from every other, and from those of other channels."""
    return random.Random(seed).randbytes(size)


def raw(chunk_size: int = 4096) -> AudioFormat:
    return AudioFormat(AudioEncoding.PCM_S16LE, 16000, chunk_size)


def in_pieces(audio: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(audio), size):
        yield audio[start : start + size]
