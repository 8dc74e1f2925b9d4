"""One source on its way to be sent: what was read of it last, and what is wanted next."""

from __future__ import annotations

import time
from typing import Callable, Optional

from .._audio.sources import AudioSource
from .._concurrency.shared_thread import Later
from .._model.typing import Label
from ..errors import AudioError
from .outbox import Outbox
from .state import SessionState

__all__ = ["Reading"]

_AT_ONCE = 32 * 1024
"""Bytes that are read at once of a source that has them at hand."""


class Reading:
    """Reads a source, step by step, and has each chunk taken when there is room and it is due.

    Args:
        state: The session's; recognition has started.
        outbox: Takes the audio.
        opened: The source.
        label: The channel that it is the audio of.
        realtime: Whether raw audio leaves at the speed it is spoken.
        end: Is called when the source has come to its end, each time.
    """

    def __init__(
        self,
        state: SessionState,
        outbox: Outbox,
        opened: AudioSource,
        *,
        label: Label,
        realtime: bool,
        end: Callable[[], None],
    ) -> None:
        self.finished = False
        """Whether nothing more of it is wanted."""
        self.batch_seconds = 0.0
        """Seconds of audio that may leave together, if it is paced: what is spoken first waits."""
        self.paced = realtime and opened.at_hand
        """Whether it leaves at the speed it is spoken, and all of it is at hand."""
        self.when_over = state.when_over
        self.in_user_code = state.threads.in_user_code
        self._state = state
        self._outbox = outbox
        self._opened = opened
        self._label = label
        self._realtime = realtime
        self._end = end
        self._channel = state.protocol.channels[label]
        self._channel.rereadable = opened.rereadable
        self._begun = state.started_at or time.monotonic()
        self._position = 0
        self._chunks: Optional[list[bytes]] = None
        """What was read and is still to be taken; empty at the end."""
        self._failed: Optional[AudioError] = None

    def run(self) -> None:
        """Read all that is wanted. Blocks for as long as that takes."""
        while not self.finished:
            self.step(wait=True)

    def step(self, *, wait: bool) -> Optional[Later]:
        """Read what comes next, unless some is still to be taken, and have it taken.

        Args:
            wait: Whether to wait until it is due and there is room.

        Returns:
            When to try again if it could not be taken; else None.

        Raises:
            AudioError: The source cannot be read; what could be read of it was taken.
        """
        state = self._state
        if state.over:
            self.finished = True
            return None
        if self._chunks is None:
            early = 0.0 if wait else self._due(self._size_of_next()) - time.monotonic()
            if early > 0:
                return Later(early)  # what was read would only lie there until then
            self._chunks = self._read()
            if not self._chunks:
                self._end()
        size = sum(map(len, self._chunks))
        due = self._due(size) if self._realtime else None
        wanted = self._outbox.take_from_source(
            self._chunks, self._position, due, self._label, wait=wait
        )
        if isinstance(wanted, Later):
            return wanted
        if wanted is None:
            self.finished = True
            return None
        read_until = self._position + size
        if self._position < wanted < read_until:
            self._chunks = _without(self._chunks, wanted - self._position)
        else:
            self._chunks = None
            if wanted != read_until:
                self._failed = None
                with self.in_user_code():
                    self._opened.seek(wanted)
        self._position = wanted
        return None

    def _read(self) -> list[bytes]:
        """Read a chunk, or some if they are all at hand and leave at once; none at the end."""
        if self._failed is not None:
            raise self._failed
        opened = self._opened
        chunks: list[bytes] = []
        left = _AT_ONCE if opened.at_hand else 1
        if self._realtime:
            left = self._size_of_gathered()
        self._channel.read_since = None if opened.at_hand else time.monotonic()
        with self.in_user_code():
            while left > 0:
                try:
                    chunk = opened.read()
                except AudioError as error:
                    if not chunks:
                        raise
                    self._failed = error
                    break
                if not chunk:
                    break
                chunks.append(chunk)
                left -= len(chunk)
        self._channel.read_since = None
        self._state.source_seconds[self._label] = opened.total_seconds
        return chunks

    def _due(self, size: int) -> float:
        """Return the moment when so many bytes from here on have been spoken."""
        return self._begun + (self._channel.seconds(self._position + size) or 0.0)

    def _size_of_gathered(self) -> int:
        """Return how many bytes of paced audio leave together at least."""
        return int(self.batch_seconds / (self._channel.seconds(1) or 1.0)) or 1

    def _size_of_next(self) -> int:
        """Return how many bytes are read next, unless the source ends before."""
        chunk = self._opened.audio_format.chunk_size
        size = -(-self._size_of_gathered() // chunk) * chunk
        total = self._opened.total_seconds
        if total is not None:
            size = min(
                size, max(0, round(total / (self._channel.seconds(1) or 1.0)) - self._position)
            )
        return size


def _without(chunks: list[bytes], size: int) -> list[bytes]:
    """Return chunks without their first bytes."""
    left = []
    for chunk in chunks:
        if size < len(chunk):
            left.append(chunk[size:] if size else chunk)
        size = max(0, size - len(chunk))
    return left
