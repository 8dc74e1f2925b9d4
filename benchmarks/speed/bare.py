"""The workloads with a bare loop on a WebSocket library: a thread that sends, a thread that reads.

It does the same JSON as a client, and nothing else: no window, no limits, no transcript.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import Any, Callable, Protocol, Union

from workload import (
    CHUNK,
    RATE,
    Idle,
    Live,
    Message,
    Workload,
    audio,
    durations,
    paced,
    per_chunk,
)

__all__ = ["Connection", "workloads"]

TRANSCRIPTION = {"language": "en", "enable_partials": True}
START = {
    "message": "StartRecognition",
    "audio_format": {"type": "raw", "encoding": "pcm_s16le", "sample_rate": RATE},
    "transcription_config": TRANSCRIPTION,
}


class Connection(Protocol):
    """What a library's WebSocket is asked for."""

    def send(self, payload: Union[str, bytes]) -> None: ...

    def receive(self) -> Union[str, bytes]: ...

    def close(self) -> None: ...


class Loop:
    """One session: `read` in one thread, `send` and `end` in another."""

    def __init__(self, connection: Connection) -> None:
        self.handlers: dict[str, Callable[[Message], object]] = {}
        self._connection = connection
        self._sent = 0

    def start(self, config: Message = TRANSCRIPTION) -> None:
        self.send_message({**START, "transcription_config": config})

    def read(self) -> None:
        while self.read_one() != "EndOfTranscript":
            pass
        self._connection.close()

    def read_one(self) -> str:
        message = json.loads(self._connection.receive())
        name: str = message["message"]
        handler = self.handlers.get(name)
        if handler is not None:
            handler(message)
        return name

    def send(self, chunk: bytes) -> None:
        self._connection.send(chunk)
        self._sent += 1

    def send_message(self, message: Message) -> None:
        self._connection.send(json.dumps(message))

    def end(self) -> None:
        self.send_message({"message": "EndOfStream", "last_seq_no": self._sent})


def workloads(connect: Callable[[str], Connection]) -> dict[str, Workload]:
    """Return the workloads of a bare loop over connections that are made so."""

    def throughput(url: str, count: int) -> dict[str, Any]:
        recording = memoryview(audio(count))
        finals: list[object] = []

        def run() -> None:
            loop = Loop(connect(url))
            loop.handlers["AddTranscript"] = finals.append
            loop.start()
            reader = threading.Thread(target=loop.read)
            reader.start()
            for start in range(0, len(recording), CHUNK):
                loop.send(bytes(recording[start : start + CHUNK]))
            loop.end()
            reader.join()

        return {**per_chunk(run, count), "finals": len(finals)}

    def multichannel(url: str, count: int, channels: int) -> dict[str, Any]:
        recording = memoryview(audio(count // channels))
        labels = [f"channel{index}" for index in range(channels)]
        config = {
            **TRANSCRIPTION,
            "diarization": "channel",
            "channel_diarization_labels": labels,
        }
        finals: list[object] = []

        def run() -> None:
            loop = Loop(connect(url))
            loop.handlers["AddTranscript"] = finals.append
            loop.start(config)
            reader = threading.Thread(target=loop.read)
            reader.start()
            for start in range(0, len(recording), CHUNK):
                for label in labels:
                    spoken = base64.b64encode(recording[start : start + CHUNK]).decode()
                    loop.send_message(
                        {"message": "AddChannelAudio", "channel": label, "data": spoken}
                    )
            for label in labels:
                last = count // channels
                loop.send_message(
                    {"message": "EndOfChannel", "channel": label, "last_seq_no": last}
                )
            reader.join()

        return {**per_chunk(run, count), "finals": len(finals)}

    def live(url: str, sessions: int, seconds: float, ramp: float) -> dict[str, Any]:
        """Sessions in two threads each: the naive way to do it."""
        run = Live(sessions, seconds, ramp)

        def one(index: int) -> None:
            time.sleep(run.until_start_of(index))
            loop = Loop(connect(url))
            loop.handlers["RecognitionStarted"] = run.started
            loop.handlers["AddTranscript"] = run.latencies.note
            loop.handlers["AddPartialTranscript"] = run.latencies.note
            loop.start()
            reader = threading.Thread(target=loop.read)
            reader.start()
            for chunk in paced(run):
                loop.send(chunk)
            loop.end()
            reader.join()

        run.weigh()
        run.begin()
        threads = [threading.Thread(target=one, args=(index,)) for index in range(sessions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return run.result()

    def idle(url: str, seconds: float, every: float) -> dict[str, Any]:
        run = Idle(seconds)
        loop = Loop(connect(f"{url}?every={every}"))
        loop.handlers["AddPartialTranscript"] = run.latencies.note
        loop.start()
        reader = threading.Thread(target=loop.read)
        reader.start()
        run.wait()
        loop.end()
        reader.join()
        return run.result()

    def starting(url: str, count: int) -> dict[str, Any]:
        def one() -> float:
            since = time.perf_counter()
            loop = Loop(connect(url))
            loop.start()
            while loop.read_one() != "RecognitionStarted":
                pass
            elapsed = time.perf_counter() - since
            loop.end()
            loop.read()
            return elapsed

        return durations(one, count)

    return {
        "throughput": throughput,
        "multichannel": multichannel,
        "live": live,
        "idle": idle,
        "starting": starting,
    }
