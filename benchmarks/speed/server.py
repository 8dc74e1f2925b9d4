"""A bare server of the Realtime API, compiled, that costs next to nothing beside its clients.

It answers every chunk of audio with its acknowledgement, every fourth with a partial and every
eighth with a final of `WORDS` words: what a person says in a second. It recognises nothing and
checks nothing. The clock of its messages is `time.monotonic`, which all processes of a machine
share, so that a client can tell how long a message took.

Run by itself it prints its port, serves until its input ends, and then prints what it saw.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any, Optional

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

__all__ = ["CHUNKS_PER_FINAL", "CHUNKS_PER_PARTIAL", "CHUNK_SECONDS", "WORDS"]

CHUNK_SECONDS = 4096 / 2 / 16000
CHUNKS_PER_PARTIAL = 4
CHUNKS_PER_FINAL = 8
WORDS = 3

_STARTED = json.dumps(
    {
        "message": "RecognitionStarted",
        "id": "11111111-2222-3333-4444-555555555555",
        "orchestrator_version": "1.0",
        "language_pack_info": {
            "adapted": False,
            "itn": True,
            "language_description": "English",
            "word_delimiter": " ",
            "writing_direction": "left-to-right",
        },
    }
).encode()


def transcript(name: str, number: int, channel: Optional[str]) -> bytes:
    """Return a final or a partial that ends with a chunk."""
    end = number * CHUNK_SECONDS
    start = max(0.0, end - CHUNKS_PER_FINAL * CHUNK_SECONDS)
    step = (end - start) / WORDS
    results = [
        {
            "type": "word",
            "start_time": round(start + word * step, 2),
            "end_time": round(start + (word + 0.8) * step, 2),
            "alternatives": [
                {"content": "benchmark", "confidence": 0.97, "language": "en", "speaker": "S1"}
            ],
        }
        for word in range(WORDS)
    ]
    message: dict[str, Any] = {
        "message": name,
        "format": "2.9",
        "metadata": {
            "start_time": round(start, 2),
            "end_time": round(end, 2),
            "transcript": "benchmark " * WORDS,
            "sent_at": time.monotonic(),
        },
        "results": results,
    }
    if channel is not None:
        message["channel"] = channel
    return json.dumps(message).encode()


class Lateness:
    """How late the audio of live sessions came, beside a schedule that began with its first."""

    def __init__(self) -> None:
        self.worst = 0.0
        self.beyond_half_a_second = 0
        self.chunks = 0

    def note(self, late: float) -> None:
        self.chunks += 1
        self.worst = max(self.worst, late)
        self.beyond_half_a_second += late > 0.5


class Session(WSListener):  # type: ignore[misc]
    """One session, of one stream or of several channels."""

    def __init__(self, lateness: Lateness) -> None:
        self._lateness = lateness
        self._transport: Any = None
        self._numbers: dict[Optional[str], int] = {}
        self._open_channels: set[str] = set()
        self._earliest: Optional[float] = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            self._audio(None)
        elif frame.msg_type == WSMsgType.TEXT:
            payload = frame.get_payload_as_bytes()
            # The audio of a channel is not decoded: its label stands in the first hundred bytes.
            if b'"AddChannelAudio"' in payload[:100]:
                head = payload[:100] if len(payload) > 200 else payload
                label = head.partition(b'"channel"')[2].split(b'"')[1].decode()
                self._audio(label)
            else:
                self._message(json.loads(payload))
        elif frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()

    def _send(self, payload: bytes) -> None:
        self._transport.send(WSMsgType.TEXT, payload)

    def _audio(self, label: Optional[str]) -> None:
        number = self._numbers[label] = self._numbers.get(label, 0) + 1
        now = time.monotonic()
        begun = now - number * CHUNK_SECONDS
        if self._earliest is None or begun < self._earliest:
            self._earliest = begun
        if label is None:
            self._lateness.note(begun - self._earliest)
            self._send(b'{"message": "AudioAdded", "seq_no": %d}' % number)
        else:
            self._send(
                b'{"message": "ChannelAudioAdded", "seq_no": %d, "channel": "%s"}'
                % (number, label.encode())
            )
        if number % CHUNKS_PER_FINAL == 0:
            self._send(transcript("AddTranscript", number, label))
        elif number % CHUNKS_PER_PARTIAL == 0:
            self._send(transcript("AddPartialTranscript", number, label))

    def _message(self, message: dict[str, Any]) -> None:
        name = message["message"]
        if name == "StartRecognition":
            config = message["transcription_config"]
            self._open_channels = set(config.get("channel_diarization_labels") or ())
            self._send(_STARTED)
        elif name == "EndOfChannel":
            self._open_channels.discard(message["channel"])
            if not self._open_channels:
                self._send(b'{"message": "EndOfTranscript"}')
        elif name == "EndOfStream":
            self._send(b'{"message": "EndOfTranscript"}')


async def serve() -> None:
    lateness = Lateness()
    server = await ws_create_server(
        lambda request: Session(lateness),
        "127.0.0.1",
        0,
        backlog=4096,
        websocket_handshake_timeout=None,
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(
        json.dumps(
            {
                "chunks": lateness.chunks,
                "worst_lateness": lateness.worst,
                "chunks_half_a_second_late": lateness.beyond_half_a_second,
            }
        )
    )
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
