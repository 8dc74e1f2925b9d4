"""Read a source and send it: what was read last, and what is wanted next."""

from __future__ import annotations

import time
from typing import Callable, Optional

from .._audio.sources import AudioSource
from .._concurrency.deadlines import Later
from .._concurrency.poller import Poller
from .._concurrency.shared_thread import pump_to_end
from .._concurrency.threads import Threads
from .._model.typing import Label
from ..errors import AudioError
from .outbox import Outbox
from .state import Lifecycle

__all__ = ["Reading"]

_RETRY = 0.05
"""Seconds until a source tries again that could not tell for how long it has to wait."""

_STEPS_IN_A_ROW = 32
"""Steps that a source which is behind may take while others wait."""

_AT_ONCE = 32 * 1024
"""Bytes to read in one go from a source that never blocks."""


class Reading:
    """Reads a source step by step, and sends each chunk when it is due and there is room.

    Belongs to the thread that calls `step` or `run`: the sender, or the shared thread meanwhile.
    Recognition must have started.

    Args:
        outbox: Takes the audio.
        opened: The source.
        life: The session's state.
        threads: The session's threads.
        label: The channel of the source.
        realtime: Whether to send raw audio no faster than it is spoken.
        end: Called at the end of the source; again if audio is replayed after that.
    """

    def __init__(
        self,
        outbox: Outbox,
        opened: AudioSource,
        *,
        life: Lifecycle,
        threads: Threads,
        label: Label,
        realtime: bool,
        end: Callable[[], None],
    ) -> None:
        self.finished = False
        """Whether nothing more is wanted of the source."""
        self._in_user_code = threads.in_user_code
        self._batch_seconds = 0.0
        """How many seconds of paced audio to send together: the first of it is late by as much."""
        self._rest: Optional[float] = None
        """After how many seconds to be pumped again; None before the first time."""
        self._life = life
        self._outbox = outbox
        self._opened = opened
        self._label = label
        self._realtime = realtime
        self._end = end
        self._channel = outbox.protocol.channels[label]
        self._channel.rereadable = opened.rereadable
        self._begun = life.started_at or time.monotonic()
        self._position = 0
        self._chunks: Optional[list[bytes]] = None
        """What was read and not yet taken; empty at the end of the source."""
        self._failed: Optional[AudioError] = None
        """What a read raised after chunks that are still to be sent."""

    def run(self) -> None:
        """Read and send until nothing more is wanted. Blocks.

        Paced audio that is in memory needs no thread of its own: the shared one sends it.
        """
        if self._realtime and self._opened.in_memory:
            pump_to_end(self)
        while not self.finished:
            self.step(wait=True)

    def rest(self, poller: Poller) -> float:
        """Return after how many seconds to `pump`; batch as much as the poller says."""
        self._batch_seconds = poller.batch_seconds
        if self._rest is None:
            self._rest = 0.0
            self._life.when_over(lambda: poller.wake(self))
        return self._rest

    def pump(self, *, read: bool, event: bool) -> bool:
        """Send what is due."""
        self._rest = 0.0
        for _ in range(_STEPS_IN_A_ROW):
            later = None if self.finished else self.step(wait=False)
            if later is not None:
                self._rest = _RETRY if later.seconds is None else later.seconds
                break
        return True

    def leave(self) -> None:
        """Nothing is watched for this."""

    def step(self, *, wait: bool) -> Optional[Later]:
        """Read on, unless there is audio left from the last step, and send it.

        Args:
            wait: Whether to wait until it is due and there is room.

        Returns:
            When to try again if not all could be sent; else None.

        Raises:
            AudioError: The source cannot be read; all before that was sent.
        """
        if self._life.state.over:
            self.finished = True
            return None
        if self._chunks is None:
            early = 0.0 if wait else self._due(self._next_size()) - time.monotonic()
            if early > 0:
                return Later(early)  # do not hold audio in memory until then
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
                with self._in_user_code():
                    self._opened.seek(wanted)
        self._position = wanted
        return None

    def _read(self) -> list[bytes]:
        """Read a chunk, or several if the source never blocks; none at the end."""
        if self._failed is not None:
            raise self._failed
        opened = self._opened
        chunks: list[bytes] = []
        left = _AT_ONCE if opened.at_hand else 1
        if self._realtime:
            left = self._batch_size()
        self._channel.read_since = None if opened.at_hand else time.monotonic()
        with self._in_user_code():
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
        self._outbox.source_seconds[self._label] = opened.total_seconds
        return chunks

    def _due(self, size: int) -> float:
        """Return when the next ``size`` bytes have been spoken, by the monotonic clock."""
        return self._begun + (self._channel.seconds(self._position + size) or 0.0)

    def _batch_size(self) -> int:
        """Return how many bytes of paced audio to send together."""
        return int(self._batch_seconds / (self._channel.seconds(1) or 1.0)) or 1

    def _next_size(self) -> int:
        """Return how many bytes to read next, if the source has as many."""
        chunk = self._opened.audio_format.chunk_size
        size = -(-self._batch_size() // chunk) * chunk
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
