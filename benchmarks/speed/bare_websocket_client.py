"""The workloads with a bare loop on `websocket-client`: a thread that sends, a thread that reads.

It does the same JSON as a client, and nothing else: no window, no limits, no transcript.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import Any

import websocket
from workload import CHUNK, RATE, Live, audio, main, paced, per_chunk

START = {
    "message": "StartRecognition",
    "audio_format": {"type": "raw", "encoding": "pcm_s16le", "sample_rate": RATE},
    "transcription_config": {"language": "en", "enable_partials": True},
}


class Loop:
    """One session: `read` in one thread, `send` and `end` in another."""

    def __init__(self, url: str, start: dict[str, Any] = START) -> None:
        self._socket = websocket.create_connection(
            url, enable_multithread=True, skip_utf8_validation=True
        )
        self._sent = 0
        self._socket.send(json.dumps(start))
        self.handle: Any = {}

    def read(self) -> None:
        while True:
            message = json.loads(self._socket.recv())
            handler = self.handle.get(message["message"])
            if handler is not None:
                handler(message)
            if message["message"] == "EndOfTranscript":
                self._socket.close()
                return

    def send(self, chunk: bytes) -> None:
        self._socket.send_binary(chunk)
        self._sent += 1

    def send_message(self, message: dict[str, Any]) -> None:
        self._socket.send(json.dumps(message))

    def end(self) -> None:
        self.send_message({"message": "EndOfStream", "last_seq_no": self._sent})


def throughput(url: str, count: int) -> dict[str, Any]:
    recording = memoryview(audio(count))
    finals: list[object] = []

    def run() -> None:
        loop = Loop(url)
        loop.handle["AddTranscript"] = finals.append
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
        **START["transcription_config"],  # type: ignore[dict-item]
        "diarization": "channel",
        "channel_diarization_labels": labels,
    }
    finals: list[object] = []

    def run() -> None:
        loop = Loop(url, {**START, "transcription_config": config})
        loop.handle["AddTranscript"] = finals.append
        reader = threading.Thread(target=loop.read)
        reader.start()
        for start in range(0, len(recording), CHUNK):
            data = base64.b64encode(recording[start : start + CHUNK]).decode()
            for label in labels:
                loop.send_message({"message": "AddChannelAudio", "channel": label, "data": data})
        for label in labels:
            last = count // channels
            loop.send_message({"message": "EndOfChannel", "channel": label, "last_seq_no": last})
        reader.join()

    return {**per_chunk(run, count), "finals": len(finals)}


def live(url: str, sessions: int, seconds: float, ramp: float) -> dict[str, Any]:
    """Sessions in two threads each: the naive way to do it."""
    run = Live(sessions, seconds, ramp)

    def one(index: int) -> None:
        time.sleep(run.until_start_of(index))
        loop = Loop(url)
        loop.handle["RecognitionStarted"] = run.started
        loop.handle["AddTranscript"] = run.latencies.note
        loop.handle["AddPartialTranscript"] = run.latencies.note
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


if __name__ == "__main__":
    main({"throughput": throughput, "multichannel": multichannel, "live": live})
