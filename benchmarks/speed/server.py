"""A bare server of the Realtime API, compiled, that costs next to nothing beside its clients.

It answers every chunk of audio with its acknowledgement, every fourth with a partial and every
eighth with a final of three words: 10,500 words an hour. It recognises nothing and checks nothing.

The last thing it does before it sends a transcript is to read `time.monotonic`, which all processes
of a machine share, and write it into the message: a handler can tell how long it took to come.
A client that asks for `/v2?every=0.05` gets a partial every so many seconds, audio or not.

    python server.py [PEM]

prints its port, serves until its input ends, and prints what it saw. With a file that holds a
certificate and its key it speaks TLS.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import resource
import ssl
import sys
import time
from typing import Any, Optional

try:
    from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server
except ImportError as error:
    sys.exit(
        f"The benchmarks' server is picows, which cannot be used here ({error}): make bench "
        "installs it where PyPI has a wheel for this machine. Without it nothing is measured."
    )

__all__ = ["CHUNKS_PER_FINAL", "CHUNKS_PER_PARTIAL", "CHUNK_SECONDS", "WORDS"]

CHUNK_SECONDS = 4096 / 2 / 16000
CHUNKS_PER_PARTIAL = 4
CHUNKS_PER_FINAL = 8
WORDS = 3
FINALS_PER_TURN = 12

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


def _speech(count: int) -> list[tuple[str, str]]:
    """Return words with their confidence: a few are frequent, most are rare.

    As in speech: a client that keeps equal words once must gain no more by it than it would there.
    """
    chance = random.Random(5)
    syllables = [first + second for first in "bdfgklmnprst" for second in ("a", "ai", "e", "o")]
    vocabulary = ["".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(3000)]
    weights = [1 / rank for rank in range(1, len(vocabulary) + 1)]
    return [
        (word, f"{chance.uniform(0.5, 1):.2f}")
        for word in chance.choices(vocabulary, weights, k=count)
    ]


_SPEECH = _speech(9000)


def transcript(name: str, number: int, channel: Optional[str]) -> str:
    """Return a final or a partial that ends with a chunk, but for the time when it is sent.

    Written by hand: `json.dumps` would be most of what this server does.
    """
    end = number * CHUNK_SECONDS
    start = max(0.0, end - CHUNKS_PER_FINAL * CHUNK_SECONDS)
    step = (end - start) / WORDS
    first = number // CHUNKS_PER_FINAL * WORDS
    spoken = [_SPEECH[(first + index) % len(_SPEECH)] for index in range(WORDS)]
    speaker = "S1" if number // CHUNKS_PER_FINAL // FINALS_PER_TURN % 2 else "S2"
    results = ", ".join(
        f'{{"type": "word", "start_time": {start + index * step:.2f}, '
        f'"end_time": {start + (index + 0.8) * step:.2f}, "alternatives": [{{"content": "{word}", '
        f'"confidence": {confidence}, "language": "en", "speaker": "{speaker}"}}]}}'
        for index, (word, confidence) in enumerate(spoken)
    )
    where = "" if channel is None else f'"channel": "{channel}", '
    return (
        f'{{"message": "{name}", "format": "2.9", {where}"results": [{results}], '
        f'"metadata": {{"start_time": {start:.2f}, "end_time": {end:.2f}, '
        f'"transcript": "{" ".join(word for word, _ in spoken)} ", "sent_at": '
    )


class Lateness:
    """How late the audio of live sessions came, measured from each session's earliest chunk."""

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

    def __init__(self, lateness: Lateness, every: Optional[float]) -> None:
        self._lateness = lateness
        self._every = every
        self._ticks: Optional[asyncio.Task[None]] = None
        self._transport: Any = None
        self._numbers: dict[Optional[str], int] = {}
        self._open_channels: set[str] = set()
        self._earliest: Optional[float] = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_disconnected(self, _: WSTransport) -> None:
        if self._ticks is not None:
            self._ticks.cancel()

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

    def _send_transcript(self, name: str, number: int, label: Optional[str]) -> None:
        message = transcript(name, number, label)
        self._send(f"{message}{time.monotonic():.6f}}}}}".encode())

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
            self._send_transcript("AddTranscript", number, label)
        elif number % CHUNKS_PER_PARTIAL == 0:
            self._send_transcript("AddPartialTranscript", number, label)

    def _message(self, message: dict[str, Any]) -> None:
        name = message["message"]
        if name == "StartRecognition":
            config = message["transcription_config"]
            self._open_channels = set(config.get("channel_diarization_labels") or ())
            self._send(_STARTED)
            if self._every is not None:
                self._ticks = asyncio.get_running_loop().create_task(self._tick(self._every))
        elif name == "EndOfChannel":
            self._open_channels.discard(message["channel"])
            if not self._open_channels:
                self._send(b'{"message": "EndOfTranscript"}')
        elif name == "EndOfStream":
            if self._ticks is not None:
                self._ticks.cancel()
            self._send(b'{"message": "EndOfTranscript"}')

    async def _tick(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            self._send_transcript("AddPartialTranscript", CHUNKS_PER_FINAL, None)


async def serve(certificate: Optional[str]) -> None:
    lateness = Lateness()
    secure = None
    if certificate is not None:
        secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        secure.load_cert_chain(certificate)

    def session(request: Any) -> Session:
        every = re.search(rb"[?&]every=([\d.]+)", request.path)
        return Session(lateness, float(every[1]) if every else None)

    server = await ws_create_server(
        session,
        "127.0.0.1",
        0,
        ssl=secure,
        backlog=4096,
        websocket_handshake_timeout=None,
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "chunks": lateness.chunks,
                "worst_lateness": lateness.worst,
                "chunks_half_a_second_late": lateness.beyond_half_a_second,
                "server_cpu_seconds": used.ru_utime + used.ru_stime,
            }
        )
    )
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1] if len(sys.argv) > 1 else None))
