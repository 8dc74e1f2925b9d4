"""Audio of which every sample says where it lies, and the server's side of a connection for it.

A server that is handed some of this audio knows which words it holds, whole or cut, and whether
anything is missing between two chunks. Silence is quiet, and words are loud.
"""

from __future__ import annotations

import base64
import collections
import json
import struct
from typing import Any, NamedTuple, Optional

from speechmatics_sync._protocol.events import Outgoing
from speechmatics_sync._protocol.leg import Leg, State

RATE = 1000
SAMPLE = 4
PERIOD = 500
WORDS = 60
_LOUD = 1024.0
_SOFT = 2.0**-20


class Piece(NamedTuple):
    """A word, or the part of it before a cut, as samples of its channel."""

    word: int
    start: int
    end: int


def piece_at(word: int) -> Optional[Piece]:
    """The samples of a word; some words are left out, and the silence goes on."""
    if word * 7 % 11 in (0, 3, 4):
        return None
    start, end = 50 + word % 4 * 10, 250 + word * 5 % 18 * 10
    return Piece(word, word * PERIOD + start, word * PERIOD + end)


PIECES = [piece for piece in map(piece_at, range(WORDS)) if piece is not None]


def _audio() -> bytes:
    samples = [position * _SOFT for position in range(WORDS * PERIOD)]
    for piece in PIECES:
        samples[piece.start : piece.end] = (
            _LOUD + position for position in range(piece.start, piece.end)
        )
    return struct.pack(f"<{len(samples)}f", *samples)


AUDIO = _audio()


def position_of(chunk: bytes) -> int:
    """The byte of `AUDIO` at which a chunk begins."""
    (sample,) = struct.unpack_from("<f", chunk)
    return SAMPLE * int(sample - _LOUD if sample >= _LOUD else sample / _SOFT)


def pieces_between(start: int, end: int) -> list[Piece]:
    """The words between two samples."""
    return [
        Piece(piece.word, max(piece.start, start), min(piece.end, end))
        for piece in PIECES
        if piece.start < end and piece.end > start
    ]


class Heard:
    """What a server has received of one channel, in bytes of `AUDIO`."""

    def __init__(self) -> None:
        self.begin: Optional[int] = None
        self.until = 0
        self.chunks = 0
        self.acknowledged = 0
        self.ended = False
        self.final_until = 0
        self.translated_until = 0

    def hear(self, chunk: bytes, *, raw: bool) -> None:
        assert not self.ended, "audio after the end of its channel"
        if self.begin is None:
            self.begin = position_of(chunk) if raw else 0
            self.until = self.begin
            self.final_until = self.translated_until = self.begin // SAMPLE
        after = self.until + len(chunk)
        assert chunk, "an empty chunk"
        assert AUDIO[self.until : after] == chunk, "audio that does not follow what came before"
        self.until = after
        self.chunks += 1

    def times(self, piece: Piece) -> dict[str, float]:
        """Start and end of a word, in seconds of the audio of this connection."""
        origin = (self.begin or 0) // SAMPLE
        return {
            "start_time": round((piece.start - origin) / RATE, 3),
            "end_time": round((piece.end - origin) / RATE, 3),
        }

    def finals(self, most: Optional[int] = None) -> list[Piece]:
        """The next words: no more than `most`, and no cut one unless the audio has ended."""
        pieces = pieces_between(self.final_until, self.until // SAMPLE)
        if most is None:
            return pieces
        whole = {piece.word: piece.end for piece in PIECES}
        return [piece for piece in pieces if piece.end == whole[piece.word]][:most]


class Connection:
    """A server's side of one connection."""

    def __init__(self, leg: Leg, *, raw: bool) -> None:
        self.leg = leg
        self.raw = raw
        start = json.loads(leg.connected())
        assert start["message"] == "StartRecognition"
        self.config = dict(start["transcription_config"])
        labels = self.config.get("channel_diarization_labels") or [None]
        assert labels == list(leg.channels)
        self.channels = {label: Heard() for label in labels}
        self.asked: collections.deque[dict[str, Any]] = collections.deque()
        self.entered = False

    @property
    def started(self) -> bool:
        return self.leg.state in (State.RUNNING, State.ENDING)

    @property
    def all_ended(self) -> bool:
        return all(heard.ended for heard in self.channels.values())

    def take(self, outgoing: Outgoing) -> None:
        """Take what the client sends."""
        assert self.leg.state in (State.RUNNING, State.ENDING), "it was sent before the start"
        if isinstance(outgoing.payload, bytes):
            assert None in self.channels
            self.channels[None].hear(outgoing.payload, raw=self.raw)
            return
        message = json.loads(outgoing.payload)
        name = message["message"]
        if name == "AddChannelAudio":
            data = base64.b64decode(message["data"])
            self.channels[message["channel"]].hear(data, raw=self.raw)
        elif name in ("EndOfStream", "EndOfChannel"):
            heard = self.channels[message.get("channel")]
            assert not heard.ended, "a channel that ends twice"
            assert message["last_seq_no"] == heard.chunks
            heard.ended = True
        elif name == "SetRecognitionConfig":
            assert not self.all_ended
            self.config.update(message["transcription_config"])
        else:
            assert not self.all_ended
            assert message.get("channel") in (None, *self.channels)
            self.asked.append(message)
