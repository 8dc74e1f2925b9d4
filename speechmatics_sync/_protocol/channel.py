"""One channel's audio: in the session, over all its connections, and on one leg.

Audio may be sent again over another connection, so positions count bytes from the start of the
session. Audio that was sent and is not settled is retained: its bytes, or only the positions of its
chunks if the source can be read again.
"""

from __future__ import annotations

import collections
import itertools
from typing import Optional, Union

__all__ = ["LEAD_SECONDS", "Channel", "LegChannel"]

LEAD_SECONDS = 1.0
"""How far the audio taken from one source may be ahead of another that has audio as well."""

_LEAD_BYTES = 64 * 1024
"""The same for ``file`` audio."""

_PROMPT_SECONDS = 0.05
"""A source that takes longer to read holds up no other channel."""

_GRID = 10
"""Audio is sent again from a multiple of a tenth of a second, so that times stay round."""


class _Counted:
    """Chunks of one size that were sent one after another, and whose source can be read again."""

    __slots__ = ("count", "number", "size", "start")

    def __init__(self, number: int, start: int, chunk: bytes) -> None:
        self.number = number
        self.start = start
        self.size = len(chunk)
        self.count = 1

    @property
    def end(self) -> int:
        return self.start + self.size * self.count

    def add(self, number: int, start: int, chunk: bytes) -> bool:
        """Add the next chunk; return False if it is of another size, or not the next."""
        if len(chunk) != self.size or start != self.end or number != self.number + self.count:
            return False
        self.count += 1
        return True

    def find(self, position: int) -> tuple[int, int]:
        """Return number and start of the chunk that has a position, or else of the first one."""
        before = max(0, position - self.start) // self.size
        return self.number + before, self.start + before * self.size

    def release(self, before: int) -> None:
        """Give up the chunks that end before a position; all of them where ``end`` does."""
        gone = min(self.count, max(0, before - self.start) // self.size)
        self.start += gone * self.size
        self.number += gone
        self.count -= gone

    def cut(self, position: int) -> None:
        """Forget the chunks from a position on, at which one begins."""
        self.count = min(self.count, (position - self.start) // self.size)

    def audio(self, position: int) -> list[bytes]:
        """Return what is kept of the audio from a position on."""
        return []


class _Kept:
    """Chunks that were sent one after another.

    One object, however many: what the garbage collector has to look at should not grow with the
    audio. With hundreds of sessions it would stop all of them every few seconds.
    """

    __slots__ = ("chunks", "end", "number", "start")

    def __init__(self, number: int, start: int, chunk: bytes) -> None:
        self.number = number
        self.start = start
        self.end = start + len(chunk)
        self.chunks = collections.deque((chunk,))

    def add(self, number: int, start: int, chunk: bytes) -> bool:
        if start != self.end or number != self.number + len(self.chunks):
            return False
        self.chunks.append(chunk)
        self.end += len(chunk)
        return True

    def find(self, position: int) -> tuple[int, int]:
        number, start = self.number + len(self.chunks), self.end
        for chunk in reversed(self.chunks):
            number -= 1
            start -= len(chunk)
            if start <= position:
                break
        return number, start

    def release(self, before: int) -> None:
        chunks, start = self.chunks, self.start
        while chunks:
            end = start + len(chunks[0])
            if end > before:
                break
            chunks.popleft()
            start = end
            self.number += 1
        self.start = start

    def cut(self, position: int) -> None:
        while self.end > position:
            self.end -= len(self.chunks.pop())

    def audio(self, position: int) -> list[bytes]:
        first, start = self.find(position)
        chunks = list(itertools.islice(self.chunks, first - self.number, None))
        chunks[0] = chunks[0][max(0, position - start) :]
        return chunks


class Channel:
    """One channel's audio: what was taken from the user, sent, acknowledged, and settled.

    Args:
        sample_size: Bytes of a sample, or None for ``file`` audio, which has none.
        sample_rate: Samples per second, or None for ``file`` audio.
        replay_seconds: How much audio is retained at most; None to retain none.
    """

    def __init__(
        self,
        sample_size: Optional[int],
        sample_rate: Optional[int],
        replay_seconds: Optional[float] = None,
    ) -> None:
        self.ended = False
        """Whether the user has said that there is no more audio."""
        self.read_since: Optional[float] = None
        """The moment since which its source is asked for audio; None while it has some at hand."""
        self.rereadable = False
        """Whether the source can be read again, from any position."""
        self.behind = False
        """Whether audio that was sent before, or waited long, is still to be sent."""
        self.bytes_taken = 0
        self.bytes_filled = 0
        """The position of the audio that is added next: less than ``bytes_taken`` while a source is
        read again."""
        self.bytes_acknowledged = 0
        self.sent = 0
        self.acknowledged = 0
        self.next_number = 1
        """The number, in the session, of the chunk that is sent next. Chunks that are sent again
        have their numbers again."""
        self._sample_size = sample_size or 1
        self._sample_rate = sample_rate
        self._bytes_per_second = sample_size * sample_rate if sample_size and sample_rate else None
        self._half_sample = b""
        self._retains = replay_seconds is not None
        self.most_retained: Optional[int] = None
        """Bytes of audio that are kept to be sent again; None for ``file`` audio."""
        if replay_seconds is not None and self._bytes_per_second is not None:
            self.most_retained = int(replay_seconds * self._bytes_per_second)
        self._retained: list[Union[_Counted, _Kept]] = []

    # -- taking ---------------------------------------------------------------------------------

    def take(self, payload: bytes) -> bytes:
        """Return the whole samples there are with ``payload``; what is left waits for the next."""
        if self._half_sample:
            payload = self._half_sample + payload
            self._half_sample = b""
        left = len(payload) % self._sample_size
        if left:
            self._half_sample = payload[-left:]
            payload = payload[:-left]
        if self.ended:
            # Audio that is read again ends where it ended the first time.
            payload = payload[: self.bytes_taken - self.bytes_filled]
        self.bytes_filled += len(payload)
        self.bytes_taken = max(self.bytes_taken, self.bytes_filled)
        return payload

    @property
    def wanted(self) -> int:
        """Which byte of its source comes next."""
        return self.bytes_filled + len(self._half_sample)

    def takes_at_once(self, size: int) -> bool:
        """Return whether audio can be taken and sent in one step, without `take`."""
        return size > 0 and not (
            self.ended
            or self.behind
            or self._half_sample
            or size % self._sample_size
            or self.bytes_filled != self.bytes_taken
        )

    @property
    def refilling(self) -> bool:
        """Whether a source is being read again, and has not come to where it was."""
        return self.bytes_filled < self.bytes_taken

    def drop_half_sample(self) -> int:
        """Forget the half sample at the end of the audio; return its bytes."""
        dropped, self._half_sample = len(self._half_sample), b""
        return dropped

    def takes_more(self) -> bool:
        """Return whether audio may still be taken while none can be sent."""
        if self.most_retained is None:
            return False
        return self.bytes_taken - self.bytes_acknowledged < self.most_retained

    # -- sending --------------------------------------------------------------------------------

    def send(self, number: int, start: int, chunk: bytes) -> None:
        """Note a chunk that is sent.

        Args:
            number: The chunk's number among those of this channel in the session.
            start: The position of its first byte.
            chunk: The audio.
        """
        if number > self.sent:
            self.sent = number
        self.next_number = number + 1
        if not self._retains:
            return
        kind: type[Union[_Counted, _Kept]] = _Counted if self.rereadable else _Kept
        if kind is _Kept and self.most_retained is None:
            return  # a file can only be sent again from its start
        last = self._retained[-1] if self._retained else None
        if last is None or type(last) is not kind or not last.add(number, start, chunk):
            self._retained.append(kind(number, start, chunk))
        if self.most_retained is not None and kind is _Kept:
            before = start + len(chunk) - self.most_retained
            if before > 0:
                self.release(before, acknowledged=True)

    def acknowledge(self, number: int, position: int) -> bool:
        """Note that audio was read up to a chunk and a position; return whether that is news."""
        if position > self.bytes_acknowledged:
            self.bytes_acknowledged = position
        if number <= self.acknowledged:
            return False
        self.acknowledged = number
        return True

    def release(self, before: int, *, acknowledged: bool = False) -> None:
        """Give up what is retained of audio before a position.

        Args:
            before: The position.
            acknowledged: Whether only audio that the server has read may go.
        """
        if acknowledged:
            before = min(before, self.bytes_acknowledged)
        while self._retained:
            first = self._retained[0]
            first.release(before)
            if first.end > before:
                return
            del self._retained[0]

    # -- sending again --------------------------------------------------------------------------

    def position_at(self, seconds: float) -> int:
        """Return a position at or just before a moment from which audio may be sent again."""
        if self._sample_rate is None:
            return 0
        return int(seconds * _GRID) * self._sample_rate // _GRID * self._sample_size

    def retained_from(self, position: int, sent: int) -> int:
        """Return from where audio can be sent again: ``position``, or as little later as can be.

        Args:
            position: From where it is wanted.
            sent: Up to where audio was sent.
        """
        if self.rereadable:
            return position
        return max(position, self._retained[0].start if self._retained else sent)

    def chunk_start(self, position: int, sent: int) -> int:
        """Return where the retained chunk begins that has a position, or else the oldest one.

        Args:
            position: The position.
            sent: Up to where audio was sent: what is returned if none is retained.
        """
        for each in self._retained:
            if each.end > position:
                return each.find(position)[1]
        return sent

    def take_back(self, position: int, *, settled: bool = True) -> list[bytes]:
        """Empty what is retained, to send it again.

        Args:
            position: From where. The chunk that has it is the next.
            settled: Whether what lies before that is settled, and need not be kept. If not, it is
                where a chunk begins.

        Returns:
            The audio from there on, if the source is not read again for it.
        """
        again = [each for each in self._retained if each.end > position]
        if again:
            self.next_number = again[0].find(position)[0]
        chunks = [chunk for each in again for chunk in each.audio(position)]
        self._retained = [each for each in self._retained if not settled and each.start < position]
        if self._retained:
            self._retained[-1].cut(position)
        self.behind = True
        if self.rereadable:
            self.bytes_filled = position
            self._half_sample = b""
        return chunks

    def give_up_refill(self) -> None:
        """End the channel where reading its source again has stopped."""
        self.bytes_taken = self.bytes_filled
        self.rereadable = False

    # -- beside other channels ------------------------------------------------------------------

    def lead(self, other: Channel, now: float) -> int:
        """Return by how many bytes this is ahead of a channel that has audio too."""
        read_since = other.read_since
        if other.ended and not other.refilling:
            return 0
        if read_since is not None and now - read_since > _PROMPT_SECONDS:
            return 0
        return self.bytes_filled - other.bytes_filled

    @property
    def most_lead(self) -> int:
        """Bytes that it may be ahead of another."""
        rate = self._bytes_per_second
        return _LEAD_BYTES if rate is None else int(rate * LEAD_SECONDS)

    def seconds(self, size: int) -> Optional[float]:
        """Return how long ``size`` bytes of audio last; None for ``file`` audio."""
        return None if self._bytes_per_second is None else size / self._bytes_per_second


class LegChannel:
    """A channel's audio on one leg, counted as the server counts it.

    Args:
        start: The position in the session's audio where the leg's begins.
        before: How many of the session's chunks came before.
    """

    def __init__(self, start: int = 0, before: int = 0) -> None:
        self.start = start
        self.before = before
        self.sent = 0
        self.acknowledged = 0
        self.end_sent = False
        self.acknowledged_until = start
        """The position up to which audio is acknowledged."""
        self._sizes: list[int] = []

    @property
    def unacknowledged(self) -> int:
        """Chunks that were sent and not yet acknowledged."""
        return self.sent - self.acknowledged

    @property
    def sent_until(self) -> int:
        """The position up to which audio was sent."""
        return self.acknowledged_until + sum(self._sizes)

    def send(self, chunk: bytes) -> int:
        """Give a chunk its number; return it in the session's counting."""
        self.sent += 1
        self._sizes.append(len(chunk))
        return self.before + self.sent

    def acknowledge(self, number: int) -> None:
        """Note that every chunk up to this one was read."""
        read = number - self.acknowledged
        self.acknowledged = number
        self.acknowledged_until += sum(self._sizes[:read])
        del self._sizes[:read]
