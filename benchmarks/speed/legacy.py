"""The workloads with the official client before the present one, `speechmatics-python`."""

from __future__ import annotations

import asyncio
import io
import time
from typing import Any

from speechmatics import (
    AudioSettings,
    ConnectionSettings,
    ServerMessageType,
    TranscriptionConfig,
    WebsocketClient,
)
from workload import (
    CHUNK,
    CHUNK_SECONDS,
    RATE,
    Idle,
    Live,
    Message,
    audio,
    durations,
    main,
    per_chunk,
)

AUDIO = AudioSettings(encoding="pcm_s16le", sample_rate=RATE, chunk_size=CHUNK)
CONFIG = TranscriptionConfig(language="en", enable_partials=True)


def client_of(url: str) -> WebsocketClient:
    """Return a client. Without TLS it refuses the TLS context that it makes by default."""
    if url.startswith("wss:"):
        return WebsocketClient(ConnectionSettings(url))
    return WebsocketClient(ConnectionSettings(url, ssl_context=None))


def throughput(url: str, count: int) -> dict[str, Any]:
    source = io.BytesIO(audio(count))
    finals: list[Message] = []

    def run() -> None:
        client = client_of(url)
        client.add_event_handler(ServerMessageType.AddTranscript, finals.append)
        client.run_synchronously(source, CONFIG, AUDIO)

    return {**per_chunk(run, count), "finals": len(finals)}


def multichannel(url: str, count: int, channels: int) -> dict[str, Any]:
    sources = {f"channel{i}": io.BytesIO(audio(count // channels)) for i in range(channels)}
    config = TranscriptionConfig(
        language="en",
        enable_partials=True,
        diarization="channel",
        channel_diarization_labels=list(sources),
    )
    finals: list[Message] = []

    def run() -> None:
        client = client_of(url)
        client.add_event_handler(ServerMessageType.AddTranscript, finals.append)
        client.run_synchronously(sources, config, AUDIO)

    return {**per_chunk(run, count), "finals": len(finals)}


class Spoken:
    """A source that gives audio when it is spoken; one that is not async would cost a thread."""

    def __init__(self, run: Live) -> None:
        self._run = run
        self._chunk = audio(1)
        self._begun = time.monotonic()
        self._number = 0

    async def read(self, _: int) -> bytes:
        self._number += 1
        spoken = self._begun + self._number * CHUNK_SECONDS
        await asyncio.sleep(max(0.0, spoken - time.monotonic()))
        return b"" if self._run.over.is_set() else self._chunk


def live(url: str, sessions: int, seconds: float, ramp: float) -> dict[str, Any]:
    """Sessions in a task each, with a source that gives audio when it is spoken."""
    run = Live(sessions, seconds, ramp)
    clients: list[WebsocketClient] = []

    async def one(index: int) -> None:
        await asyncio.sleep(run.until_start_of(index))
        client = clients[index]
        client.add_event_handler(ServerMessageType.RecognitionStarted, run.started)
        client.add_event_handler(ServerMessageType.AddTranscript, run.latencies.note)
        client.add_event_handler(ServerMessageType.AddPartialTranscript, run.latencies.note)
        await client.run(Spoken(run), CONFIG, AUDIO)

    async def every() -> None:
        run.weigh()
        clients.extend(client_of(url) for _ in range(sessions))
        run.begin()
        await asyncio.gather(*[one(index) for index in range(sessions)])

    asyncio.run(every())
    return run.result()


class Silent:
    """A source that gives nothing until all is measured."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def read(self, _: int) -> bytes:
        await asyncio.sleep(self._seconds)
        return b""


def idle(url: str, seconds: float, every: float) -> dict[str, Any]:
    run = Idle(seconds)
    client = client_of(f"{url}?every={every}")
    client.add_event_handler(ServerMessageType.AddPartialTranscript, run.latencies.note)
    client.run_synchronously(Silent(run.begin()), CONFIG, AUDIO)
    return run.result()


def starting(url: str, count: int) -> dict[str, Any]:
    """A client each, as in a call each; making it, with a TLS context each, is not counted."""
    clock = time.perf_counter

    async def one() -> float:
        begun: list[float] = []
        client = client_of(url)
        client.add_event_handler(
            ServerMessageType.RecognitionStarted, lambda _: begun.append(clock())
        )
        since = clock()
        await client.run(Silent(0), CONFIG, AUDIO)
        return begun[0] - since

    loop = asyncio.new_event_loop()
    try:
        return durations(lambda: loop.run_until_complete(one()), count)
    finally:
        loop.close()


if __name__ == "__main__":
    main(
        {
            "throughput": throughput,
            "multichannel": multichannel,
            "live": live,
            "idle": idle,
            "starting": starting,
        }
    )
