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
    ServerMessageType,
    TranscriptionConfig,
)
from workload import CHUNK, CHUNK_SECONDS, RATE, Live, audio, main, per_chunk

FORMAT = AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=RATE, chunk_size=CHUNK)
CONFIG = TranscriptionConfig(language="en", enable_partials=True)
KEY = "none"


def throughput(url: str, count: int) -> dict[str, Any]:
    source = io.BytesIO(audio(count))
    finals = []

    async def run() -> None:
        async with AsyncClient(api_key=KEY, url=url) as client:
            client.on(ServerMessageType.ADD_TRANSCRIPT, finals.append)
            await client.transcribe(source, audio_format=FORMAT, transcription_config=CONFIG)

    return {**per_chunk(lambda: asyncio.run(run()), count), "finals": len(finals)}


def multichannel(url: str, count: int, channels: int) -> dict[str, Any]:
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


def live(url: str, sessions: int, seconds: float, ramp: float) -> dict[str, Any]:
    """Sessions in a task each, which pushes their audio when it is spoken."""
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
                await asyncio.sleep(max(0.0, begun + number * CHUNK_SECONDS - time.monotonic()))
                if run.over.is_set():
                    break
                await client.send_audio(chunk)
            await client.stop_session()

    async def every() -> None:
        run.weigh()
        clients.extend(AsyncClient(api_key=KEY, url=url) for _ in range(sessions))
        run.begin()
        await asyncio.gather(*[one(index) for index in range(sessions)])

    asyncio.run(every())
    return run.result()


if __name__ == "__main__":
    main({"throughput": throughput, "multichannel": multichannel, "live": live})
