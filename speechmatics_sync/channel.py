"""One channel of a session: its audio, counted."""

from __future__ import annotations

import collections
from typing import Optional

__all__ = ["LEAD_SECONDS", "Channel"]

LEAD_SECONDS = 1.0
"""How far the audio taken from one source may be ahead of another that has audio as well."""

_LEAD_BYTES = 64 * 1024
"""The same for ``file`` audio."""

_PROMPT_SECONDS = 0.05
"""A source that takes longer to read gives nothing for now, and nobody waits for it."""


class Channel:
    """One channel's audio: what was taken from the user, sent, and acknowledged.

    Args:
        sample_size: Bytes of a sample, or None for ``file`` audio, which has none.
        bytes_per_second: Of the audio, or None for ``file`` audio.
    """

    def __init__(self, sample_size: Optional[int], bytes_per_second: Optional[int]) -> None:
        self.ended = False
        """Whether the user has said that there is no more audio."""
        self.end_sent = False
        self.read_since: Optional[float] = None
        """The moment since which its source is asked for audio; None while it has some at hand."""
        self._sample_size = sample_size or 1
        self._bytes_per_second = bytes_per_second
        self._half_sample = b""
        self._unacknowledged: collections.deque[int] = collections.deque()
        self.bytes_taken = 0
        self.bytes_acknowledged = 0
        self.sent = 0
        self.acknowledged = 0

    def take(self, payload: bytes) -> bytes:
        """Return the whole samples there are with ``payload``; what is left waits for the next."""
        if self._half_sample:
            payload = self._half_sample + payload
            self._half_sample = b""
        left = len(payload) % self._sample_size
        if left:
            self._half_sample = payload[-left:]
            payload = payload[:-left]
        self.bytes_taken += len(payload)
        return payload

    def drop_half_sample(self) -> int:
        """Forget the half sample at the end of the audio; return its bytes."""
        dropped, self._half_sample = len(self._half_sample), b""
        return dropped

    def send(self, chunk: bytes) -> None:
        """Give the chunk its number."""
        self.sent += 1
        self._unacknowledged.append(len(chunk))

    def acknowledge(self, chunks: int) -> None:
        """Take every chunk up to number ``chunks`` for read."""
        while self.acknowledged < chunks:
            self.acknowledged += 1
            self.bytes_acknowledged += self._unacknowledged.popleft()

    def lead(self, other: Channel, now: float) -> int:
        """Return the bytes by which this is ahead of a channel that has audio too, if it is."""
        read_since = other.read_since
        if other.ended:
            return 0
        if read_since is not None and now - read_since > _PROMPT_SECONDS:
            return 0
        return self.bytes_taken - other.bytes_taken

    @property
    def most_lead(self) -> int:
        """Bytes that it may be ahead of another."""
        rate = self._bytes_per_second
        return _LEAD_BYTES if rate is None else int(rate * LEAD_SECONDS)

    @property
    def unacknowledged(self) -> int:
        """Chunks that were sent and not yet acknowledged."""
        return self.sent - self.acknowledged

    def seconds(self, size: int) -> Optional[float]:
        """Return how long ``size`` bytes of audio last; None for ``file`` audio."""
        return None if self._bytes_per_second is None else size / self._bytes_per_second
