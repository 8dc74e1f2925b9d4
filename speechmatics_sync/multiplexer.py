"""What waits to be sent: the audio of every channel, and messages between it, as one stream.

The rules:

- The audio of a channel keeps its order, and the channel's end comes after it.
- Of the channels that may send, the one that has sent the least goes first.
- A message waits for all audio that was added before it; audio that was added after it waits for
  the message.

With one channel, this is a queue.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable
from typing import Callable, Generic, NamedTuple, Optional, TypeVar, Union

__all__ = ["END_OF_CHANNEL", "EndOfChannel", "Label", "Multiplexer"]

Label = Optional[str]
"""A channel's label; None for the only channel of a session that has one."""

_Message = TypeVar("_Message")


class EndOfChannel:
    """Comes out of the multiplexer after the last audio of a channel."""


END_OF_CHANNEL = EndOfChannel()


class _Waiting(NamedTuple):
    ticket: int
    audio: Union[bytes, EndOfChannel]


class Multiplexer(Generic[_Message]):
    """Joins channels into one stream.

    Args:
        labels: The channels.
    """

    def __init__(self, labels: Iterable[Label]) -> None:
        self._lanes: dict[Label, collections.deque[_Waiting]] = {
            label: collections.deque() for label in labels
        }
        self._sent = dict.fromkeys(self._lanes, 0)
        self._messages: collections.deque[tuple[int, _Message]] = collections.deque()
        self._tickets = itertools.count()

    def add_audio(self, label: Label, chunk: bytes) -> None:
        """Put audio behind what waits in its channel."""
        self._lanes[label].append(_Waiting(next(self._tickets), chunk))

    def end_channel(self, label: Label) -> None:
        """Put the end of a channel behind its audio."""
        self._lanes[label].append(_Waiting(next(self._tickets), END_OF_CHANNEL))

    def add_message(self, message: _Message) -> None:
        """Put a message behind all that waits."""
        self._messages.append((next(self._tickets), message))

    def audio_waits(self, label: Label) -> bool:
        """Return whether audio of a channel, or its end, has not come out yet."""
        return bool(self._lanes[label])

    def next(
        self, may_send: Callable[[Label], bool]
    ) -> Union[tuple[Label, Union[bytes, EndOfChannel]], tuple[None, _Message], None]:
        """Take out what comes next: a channel's audio or end with its label, or a message.

        Args:
            may_send: Whether audio of a channel may leave now. Its end always may.

        Returns:
            None if nothing may leave now.
        """
        barrier = self._messages[0][0] if self._messages else None
        chosen: Optional[collections.deque[_Waiting]] = None
        label: Label = None
        held_back = False
        for candidate, lane in self._lanes.items():
            if not lane or (barrier is not None and lane[0].ticket > barrier):
                continue
            if lane[0].audio is not END_OF_CHANNEL and not may_send(candidate):
                held_back = True
            elif chosen is None or self._sent[candidate] < self._sent[label]:
                chosen, label = lane, candidate
        if chosen is not None:
            audio = chosen.popleft().audio
            if isinstance(audio, bytes):
                self._sent[label] += len(audio)
            return label, audio
        if self._messages and not held_back:
            return None, self._messages.popleft()[1]
        return None
