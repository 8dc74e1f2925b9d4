"""A plain WebSocket client for tests of the embedded server: it sends what a test tells it."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from typing import Any, Optional, Union

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

PATIENCE = 100.0
"""Seconds after which a wait is given up: a guard against hanging, also on a busy machine."""
RAW = {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 16000}
Message = dict[str, Any]


def start_message(**config: Any) -> Message:
    """A StartRecognition for raw audio; keywords go to its transcription_config."""
    return {
        "message": "StartRecognition",
        "audio_format": RAW,
        "transcription_config": {"language": "en", **config},
    }


def _connect(url: str, **options: Any) -> Any:
    """Connect; over TLS again if need be.

    Between its own client and server, websockets loses a handshake over TLS now and then: both
    read and write one TLS socket in two threads (CPython issue 77271).
    """
    if not url.startswith("wss:"):
        return connect(url, **options)
    for _ in range(4):
        with contextlib.suppress(TimeoutError):
            return connect(url, open_timeout=5, **options)
    return connect(url, **options)


class Wire:
    """One connection.

    Attributes:
        received: Every JSON message that came, in order.
        close_code: The code of the server's close frame, once it has come.
    """

    def __init__(self, url: str, **options: Any) -> None:
        # websockets 17 wants its `connect` to be entered, before that it only could be. No pings:
        # answered only when what came before is read, they would end a session whose recognition
        # is behind on a busy machine.
        self._connecting = _connect(
            url,
            max_size=None,
            proxy=None,
            ping_interval=None,
            close_timeout=PATIENCE,
            **options,
        )
        self.connection: ClientConnection
        self.received: list[Message] = []
        self.close_code: Optional[int] = None

    def __enter__(self) -> Wire:
        self.connection = self._connecting.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._connecting.__exit__(None, None, None)

    def send(self, *messages: Union[Message, str, bytes]) -> None:
        for message in messages:
            self.connection.send(json.dumps(message) if isinstance(message, dict) else message)

    def next(self) -> Optional[Message]:
        """The next message, or None once the connection is closed."""
        try:
            self.received.append(json.loads(self.connection.recv(timeout=PATIENCE)))
        except ConnectionClosed as closed:
            self.close_code = closed.rcvd.code if closed.rcvd else None
            return None
        return self.received[-1]

    def until(self, name: str) -> Message:
        """The next message of that name; fails the test if the connection closes first."""
        while True:
            message = self.next()
            assert message is not None, f"closed before {name}; received {self.received}"
            if message["message"] == name:
                return message

    def rest(self) -> list[Message]:
        """Read until the connection is closed; return everything that ever came."""
        while self.next() is not None:
            pass
        return self.received

    def start(self, **config: Any) -> Message:
        self.send(start_message(**config))
        return self.until("RecognitionStarted")

    def start_channels(self, *labels: str, **config: Any) -> Message:
        return self.start(
            **{"diarization": "channel", "channel_diarization_labels": list(labels), **config}
        )

    def ending(self) -> list[Message]:
        """The same of a session that the server must end as one that went well."""
        self.rest()
        assert self.close_code == 1000, f"closed with {self.close_code}; received {self.received}"
        assert self.received[-1]["message"] == "EndOfTranscript"
        return self.received

    def end(self, last_seq_no: int) -> list[Message]:
        self.send({"message": "EndOfStream", "last_seq_no": last_seq_no})
        return self.ending()


def chunks(audio: bytes, size: int = 3200) -> Iterator[bytes]:
    for at in range(0, len(audio), size):
        yield audio[at : at + size]


def run(
    url: str, audio: bytes, *, size: int = 3200, start: Optional[Message] = None, **config: Any
) -> Wire:
    """One session from start to end; returns its wire, closed by the server."""
    with Wire(url) as wire:
        wire.send(start_message(**config) if start is None else start)
        wire.until("RecognitionStarted")
        wire.send(*chunks(audio, size))
        wire.end(-(-len(audio) // size))
        return wire


def channel_audio(channel: str, payload: bytes) -> Message:
    data = base64.b64encode(payload).decode("ascii")
    return {"message": "AddChannelAudio", "channel": channel, "data": data}


def end_of_channel(channel: str, last_seq_no: int) -> Message:
    return {"message": "EndOfChannel", "channel": channel, "last_seq_no": last_seq_no}


def run_channels(url: str, audio: dict[str, bytes], *, size: int = 3200, **config: Any) -> Wire:
    """One session by channel, chunks in turns, each channel ended after its last chunk."""
    with Wire(url) as wire:
        wire.start_channels(*audio, **config)
        left = {channel: list(chunks(payload, size)) for channel, payload in audio.items()}
        turn = 0
        while left:
            for channel in list(left):
                if turn < len(left[channel]):
                    wire.send(channel_audio(channel, left[channel][turn]))
                else:
                    wire.send(end_of_channel(channel, len(left.pop(channel))))
            turn += 1
        wire.ending()
        return wire


def of_channel(messages: list[Message], channel: str) -> list[Message]:
    return [message for message in messages if message.get("channel") == channel]


def named(messages: list[Message], name: str) -> list[Message]:
    return [message for message in messages if message["message"] == name]


def words(messages: list[Message]) -> list[str]:
    """The words of the finals, without punctuation."""
    return [
        result["alternatives"][0]["content"]
        for message in named(messages, "AddTranscript")
        for result in message["results"]
        if result["type"] == "word"
    ]


def word_errors(spoken: list[str], heard: list[str]) -> int:
    """The least number of words to insert, delete or replace."""
    row = list(range(len(heard) + 1))
    for count, word in enumerate(spoken, 1):
        previous, row = row, [count]
        for at, other in enumerate(heard, 1):
            row.append(min(previous[at] + 1, row[-1] + 1, previous[at - 1] + (word != other)))
    return row[-1]
