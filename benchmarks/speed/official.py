"""The workloads with the official client, `speechmatics-rt`."""

from __future__ import annotations

import asyncio
import io
import itertools
import time
from typing import Any

from speechmatics.rt import (
    AsyncClient,
    AsyncMultiChannelClient,
    AudioEncoding,
    AudioFormat,
    ConnectionConfig,
    ServerMessageType,
    TranscriptionConfig,
)
from workload import (
    CHUNK,
    CHUNK_SECONDS,
    RATE,
    Idle,
    Live,
    audio,
    durations,
    main,
    per_chunk,
)

FORMAT = AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=RATE, chunk_size=CHUNK)
CONFIG = TranscriptionConfig(language="en", enable_partials=True)
KEY = "none"


async def warm_up(url: str) -> None:
    """Run a session first: its one-time costs are measured separately."""
    async with AsyncClient(api_key=KEY, url=url) as client:
        await client.transcribe(
            io.BytesIO(audio(2)), audio_format=FORMAT, transcription_config=CONFIG
        )


def throughput(url: str, count: int) -> dict[str, Any]:
    asyncio.run(warm_up(url))
    source = io.BytesIO(audio(count))
    finals = []

    async def run() -> None:
        async with AsyncClient(api_key=KEY, url=url) as client:
            client.on(ServerMessageType.ADD_TRANSCRIPT, finals.append)
            await client.transcribe(source, audio_format=FORMAT, transcription_config=CONFIG)

    return {**per_chunk(lambda: asyncio.run(run()), count), "finals": len(finals)}


def multichannel(url: str, count: int, channels: int) -> dict[str, Any]:
    asyncio.run(warm_up(url))
    sources = {f"channel{i}": io.BytesIO(audio(count // channels)) for i in range(channels)}
    config = TranscriptionConfig(
        language="en",
        enable_partials=True,
        diarization="channel",
        channel_diarization_labels=list(sources),
    )
    finals = []

    async def run() -> None:
        async with AsyncMultiChannelClient(api_key=KEY, url=url) as client:
            client.on(ServerMessageType.ADD_TRANSCRIPT, finals.append)
            await client.transcribe(sources, audio_format=FORMAT, transcription_config=config)

    return {**per_chunk(lambda: asyncio.run(run()), count), "finals": len(finals)}


def live(
    url: str, sessions: int, seconds: float, ramp: float, shared_tls: bool = False
) -> dict[str, Any]:
    """Sessions in a task each, which pushes their audio when it is spoken.

    Args:
        url: The server.
        sessions: How many.
        seconds: For how long it is measured.
        ramp: Seconds over which they start.
        shared_tls: Whether all share one TLS context, which saves most of their memory and 17 ms
            a client, and no CPU while they run. By default each has its own, made before the ramp.
    """
    run = Live(sessions, seconds, ramp)
    chunk = audio(1)
    clients: list[AsyncClient] = []

    async def one(index: int) -> None:
        await asyncio.sleep(run.until_start_of(index))
        async with clients[index] as client:
            client.on(ServerMessageType.ADD_TRANSCRIPT, run.latencies.note)
            client.on(ServerMessageType.ADD_PARTIAL_TRANSCRIPT, run.latencies.note)
            await client.start_session(audio_format=FORMAT, transcription_config=CONFIG)
            run.started()
            begun = time.monotonic()
            for number in itertools.count(1):
                due = begun + number * CHUNK_SECONDS
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if run.over.is_set():
                    break
                run.note_read(due)
                await client.send_audio(chunk)
            await client.stop_session()

    async def every() -> None:
        await warm_up(url)
        run.weigh()
        shared = ConnectionConfig() if shared_tls else None
        clients.extend(
            AsyncClient(api_key=KEY, url=url, conn_config=shared) for _ in range(sessions)
        )
        run.begin()
        await asyncio.gather(*[one(index) for index in range(sessions)])

    asyncio.run(every())
    return run.result()


def idle(url: str, seconds: float, every: float) -> dict[str, Any]:
    run = Idle(seconds)

    async def one() -> None:
        async with AsyncClient(api_key=KEY, url=f"{url}?every={every}") as client:
            client.on(ServerMessageType.ADD_PARTIAL_TRANSCRIPT, run.latencies.note)
            await client.start_session(audio_format=FORMAT, transcription_config=CONFIG)
            await asyncio.sleep(run.begin())
            await client.stop_session()

    asyncio.run(one())
    return run.result()


def starting(url: str, count: int) -> dict[str, Any]:
    """A client each, as in a call each; making it, with a TLS context each, is not counted."""

    async def one() -> float:
        async with AsyncClient(api_key=KEY, url=url) as client:
            since = time.perf_counter()
            await client.start_session(audio_format=FORMAT, transcription_config=CONFIG)
            elapsed = time.perf_counter() - since
            await client.stop_session()
        return elapsed

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
