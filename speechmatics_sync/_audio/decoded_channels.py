"""The channels of decoded audio as sources of their own."""

from __future__ import annotations

import collections
import threading
from typing import Callable, Optional, Protocol

from .._model.audio_format import AudioFormat
from ..errors import AudioError
from .decoded_audio import DecodedAudio, Seekable

__all__ = ["DecodedChannel", "channels_of"]

_MOST_AHEAD = 600
"""Seconds that one channel of live audio may be read ahead of another; they are held in memory."""


class DecodedChannel(Seekable):
    """A source that gives one channel of a recording. Made by `split_channels`.

    Attributes:
        audio_format: What the samples are.
        total_seconds: The length by what the recording says of it, or None if it says nothing.
        name: The recording, without secrets.
    """

    def __init__(self, frames: _Frames, audio: DecodedAudio, index: int) -> None:
        self.audio_format: AudioFormat = audio.audio_format
        self.total_seconds: Optional[float] = audio.total_seconds
        self.name = audio.name
        self._frames = frames
        self._index = index
        self._count = audio.channels
        self._held = b""
        self._position = self._held_at = 0
        """Where the next byte is to come from, and where what is held begins."""

    def __repr__(self) -> str:
        return f"<DecodedChannel {self._index} of {self.name}>"

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes of the channel's samples, b"" at the end. May block."""
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 16), b""))
        cut = 0
        if self._position != self._held_at:
            sample, cut = divmod(self._position, 2)
            self._frames.seek(sample)
            self._held = b""
        # What is live may make a read wait: with something in hand, that is given alone.
        if len(self._held) < size and (self.seekable() or not self._held):
            more = (size - len(self._held)) // 2 + 1
            self._held += self._frames.read(self._index, more)[cut:]
        data, self._held = self._held[:size], self._held[size:]
        self._position += len(data)
        self._held_at = self._position
        return data

    def seekable(self) -> bool:
        """Return whether it can be read again."""
        return self._frames.seekable()

    def close(self) -> None:
        """Free everything."""
        self._frames.close()


class _Frames(Protocol):
    """Gives each channel its samples."""

    def read(self, index: int, count: int) -> bytes: ...

    def seek(self, sample: int) -> None: ...

    def seekable(self) -> bool: ...

    def close(self) -> None: ...


class _OwnFrames:
    """A recording that is decoded once for each channel."""

    def __init__(self, opened: Callable[[], DecodedAudio], channels: int) -> None:
        self._opened = opened
        self._channels = channels
        self._audio: Optional[DecodedAudio] = None

    def read(self, index: int, count: int) -> bytes:
        return _channel_of(self._get().read(count * 2 * self._channels), index, self._channels)

    def seek(self, sample: int) -> None:
        self._get().seek(sample * 2 * self._channels)

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if self._audio is not None:
            self._audio.close()

    def _get(self) -> DecodedAudio:
        if self._audio is None:
            self._audio = self._opened()
        return self._audio


class _SharedFrames:
    """Live audio, of which what one channel reads is kept for the others."""

    def __init__(self, audio: DecodedAudio) -> None:
        self._audio = audio
        self._lock = threading.Lock()
        """Held while decoding, so that channels get their samples in order."""
        self._waiting: list[collections.deque[bytes]] = [
            collections.deque() for _ in range(audio.channels)
        ]
        self._sizes = [0] * audio.channels
        self._most = _MOST_AHEAD * audio.audio_format.sample_rate * 2

    def read(self, index: int, count: int) -> bytes:
        with self._lock:
            waiting = self._waiting[index]
            if not waiting:
                self._decode(count)
            if not waiting:
                return b""
            piece = waiting.popleft()
            data, rest = piece[: 2 * count], piece[2 * count :]
            if rest:
                waiting.appendleft(rest)
            self._sizes[index] -= len(data)
            return data

    def _decode(self, count: int) -> None:
        channels = len(self._waiting)
        if max(self._sizes) > self._most:
            late = self._sizes.index(max(self._sizes)) + 1
            raise AudioError(
                f"{self._audio.name}: channel {late} is not read, while another is"
                f" {_MOST_AHEAD} seconds ahead: read all channels of live audio together"
            )
        frames = self._audio.read(count * 2 * channels)
        for index, waiting in enumerate(self._waiting):
            samples = _channel_of(frames, index, channels)
            if samples:
                waiting.append(samples)
                self._sizes[index] += len(samples)

    def seek(self, sample: int) -> None:
        """Never called, since it is not seekable."""

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self._audio.close()


def channels_of(opened: Callable[[], DecodedAudio], *, again: bool) -> list[DecodedChannel]:
    """Return a source for each channel of a recording.

    Args:
        opened: Opens the recording with all its channels.
        again: Whether that can be done again, once for each channel.
    """
    audio = opened()
    if not (again and audio.seekable()):
        shared = _SharedFrames(audio)
        return [DecodedChannel(shared, audio, index) for index in range(audio.channels)]
    with audio:
        return [
            DecodedChannel(_OwnFrames(opened, audio.channels), audio, index)
            for index in range(audio.channels)
        ]


def _channel_of(frames: bytes, index: int, channels: int) -> bytes:
    return memoryview(frames).cast("H")[index::channels].tobytes()
