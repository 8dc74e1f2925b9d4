"""The workloads with this client."""

from __future__ import annotations

import collections
import contextlib
import heapq
import io
import itertools
import statistics
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from workload import (
    CHUNK,
    CHUNK_SECONDS,
    RATE,
    Idle,
    Live,
    audio,
    durations,
    main,
    paced,
    peak_bytes,
    per_chunk,
    resident_bytes,
    weight_of,
)

import speechmatics_sync
from speechmatics_sync import (
    AudioEncoding,
    AudioFormat,
    Client,
    MultiChannelClient,
    SessionError,
    TranscriptionConfig,
)

FORMAT = AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=RATE, chunk_size=CHUNK)
CONFIG = TranscriptionConfig(language="en", enable_partials=True)
PACKAGE = str(Path(speechmatics_sync.__file__).parent)
STARTERS = 8
"""Threads that start the sessions which one thread feeds."""


def warm_up(url: str) -> None:
    """Run a session first: its one-time costs are measured separately."""
    with Client(url=url) as client:
        client.transcribe(audio(2), audio_format=FORMAT, transcription_config=CONFIG)


def throughput(url: str, count: int) -> dict[str, Any]:
    warm_up(url)
    source = io.BytesIO(audio(count))
    finals = []

    def run() -> None:
        with Client(url=url) as client:
            client.on("AddTranscript", finals.append)
            client.transcribe(source, audio_format=FORMAT, transcription_config=CONFIG)

    return {**per_chunk(run, count), "finals": len(finals)}


def multichannel(url: str, count: int, channels: int) -> dict[str, Any]:
    warm_up(url)
    sources = {f"channel{i}": io.BytesIO(audio(count // channels)) for i in range(channels)}
    finals = []

    def run() -> None:
        with MultiChannelClient(url=url) as client:
            client.on("AddTranscript", finals.append)
            client.transcribe(sources, audio_format=FORMAT, transcription_config=CONFIG)

    return {**per_chunk(run, count), "finals": len(finals)}


def live(url: str, sessions: int, seconds: float, ramp: float, kind: str) -> dict[str, Any]:
    """Sessions whose audio is paced by the client, by the source, or pushed.

    In a thread each, but for those that one thread feeds.
    """
    run = Live(sessions, seconds, ramp)
    recording = audio(round(300 / CHUNK_SECONDS))
    warm_up(url)
    run.weigh()
    clients = [Client(url=url) for _ in range(sessions)]
    started: collections.deque[Client] = collections.deque()

    def some(first: int) -> None:
        for index in range(first, sessions, STARTERS):
            one(index)

    def one(index: int) -> None:
        client = clients[index]
        client.on("RecognitionStarted", run.started)
        client.on("AddTranscript", run.latencies.note)
        client.on("AddPartialTranscript", run.latencies.note)
        time.sleep(run.until_start_of(index))
        if kind == "fed":
            client.start_session(audio_format=FORMAT, transcription_config=CONFIG)
            started.append(client)
        elif kind == "recorded":
            with contextlib.suppress(SessionError):  # closed when all is measured
                client.transcribe(
                    recording, audio_format=FORMAT, transcription_config=CONFIG, realtime=True
                )
        elif kind == "blocking":
            client.transcribe(paced(run), audio_format=FORMAT, transcription_config=CONFIG)
        else:
            client.start_session(audio_format=FORMAT, transcription_config=CONFIG)
            for chunk in paced(run):
                client.send_audio(chunk)
            client.stop_session()

    run.begin()
    if kind == "fed":
        threads = [threading.Thread(target=some, args=(first,)) for first in range(STARTERS)]
        threads.append(threading.Thread(target=feed, args=(run, started)))
    else:
        threads = [threading.Thread(target=one, args=(index,)) for index in range(sessions)]
    for thread in threads:
        thread.start()
    run.over.wait()
    if kind == "fed":
        threads[-1].join()
    if kind in ("recorded", "fed"):
        for client in clients:
            client.close()
    for thread in threads:
        thread.join()
    return run.result()


def feed(run: Live, started: collections.deque[Client]) -> None:
    """Push each chunk of every session when it is due, all in this thread.

    Args:
        run: Says when all is measured.
        started: Sessions are taken from it as they start.
    """
    chunk = audio(1)
    order = itertools.count()
    waiting: list[tuple[float, int, Client]] = []
    while not run.over.is_set():
        while started:
            first = time.monotonic() + CHUNK_SECONDS
            heapq.heappush(waiting, (first, next(order), started.popleft()))
        rest = waiting[0][0] - time.monotonic() if waiting else CHUNK_SECONDS
        time.sleep(max(0.0, min(rest, CHUNK_SECONDS / 4)))
        while waiting and waiting[0][0] <= time.monotonic():
            due, number, client = waiting[0]
            run.note_read(due)
            client.send_audio(chunk)
            heapq.heapreplace(waiting, (due + CHUNK_SECONDS, number, client))


def calls(url: str, chunks: int) -> dict[str, Any]:
    """What a pushed chunk of a running session passes in the thread that pushes it.

    Functions of the package that are called, and the modules they are in. In another thread than
    the main one, and in that.
    """
    counted: dict[str, list[list[str]]] = {"": [], "main_": []}
    with Client(url=url) as client:
        client.start_session(audio_format=FORMAT, transcription_config=CONFIG)

        def push(thread: str) -> None:
            for _ in range(chunks):
                time.sleep(CHUNK_SECONDS / 4)
                counted[thread].append(called(client.send_audio, audio(1)))

        other = threading.Thread(target=push, args=("",))
        other.start()
        other.join()
        push("main_")
        client.stop_session()
    return {
        f"{thread}{name}": statistics.median(figures)
        for thread, each in counted.items()
        for name, figures in (
            ("calls", [len(files) for files in each]),
            ("modules", [len(set(files)) for files in each]),
        )
    }


def called(function: Any, *arguments: Any) -> list[str]:
    """The file of each function of the package that a call calls in this thread."""
    files: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            files.append(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    return files


def idle(url: str, seconds: float, every: float) -> dict[str, Any]:
    run = Idle(seconds)
    with Client(url=f"{url}?every={every}") as client:
        client.on("AddPartialTranscript", run.latencies.note)
        client.start_session(audio_format=FORMAT, transcription_config=CONFIG)
        run.wait()
        client.stop_session()
    return run.result()


def starting(url: str, count: int) -> dict[str, Any]:
    """A client for each session; what a process shares is shared."""

    def one() -> float:
        with Client(url=url) as client:
            since = time.perf_counter()
            client.start_session(audio_format=FORMAT, transcription_config=CONFIG)
            elapsed = time.perf_counter() - since
            client.stop_session()
        return elapsed

    return durations(one, count)


def length(url: str, hours: float, collect: bool) -> dict[str, Any]:
    """A long recording at full speed: by how much the process grows, and what the transcript takes.

    A final's three words last 1.024 s, so that an hour has 10,500: `kilobytes_per_hour` is what
    9,000 words take.
    """
    count = round(hours * 3600 / CHUNK_SECONDS)
    chunk = audio(1)
    client = Client(url=url)
    begun = resident_bytes()
    started = time.monotonic()
    transcript = client.transcribe(
        itertools.repeat(chunk, count),
        audio_format=FORMAT,
        transcription_config=CONFIG,
        collect=collect,
    )
    elapsed = time.monotonic() - started
    grown = peak_bytes() - begun
    weight = weight_of(transcript)
    words = len(transcript.words)
    return {
        "seconds": elapsed,
        "words": words,
        "grown_megabytes": grown / 1e6,
        "transcript_megabytes": weight / 1e6,
        "beyond_transcript_megabytes": (grown - weight) / 1e6,
        "megabytes_per_hour": weight / 1e6 / words * 9000 if words else 0.0,
    }


if __name__ == "__main__":
    main(
        {
            "throughput": throughput,
            "multichannel": multichannel,
            "live": live,
            "calls": calls,
            "idle": idle,
            "starting": starting,
            "length": length,
        }
    )
