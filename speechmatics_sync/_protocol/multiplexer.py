"""What waits to be sent: the audio of every channel, and messages between it, as one stream.

The rules:

- The audio of a channel keeps its order, and the channel's end comes after it.
- Of the channels that may send, the one that is least far on goes first.
- A message waits for all audio that was added before it; audio that was added after it waits for
  the message.
- What left may be put back, to be sent again: audio to its place in the channel, a message to its
  place among the audio. A place is a position in a channel's audio, in bytes from the start of the
  session; the end of the channel counts as one more byte.

With one channel, this is a queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Callable, Generic, Optional, TypeVar, Union

from .._model.typing import Label

__all__ = ["END_OF_CHANNEL", "EndOfChannel", "Multiplexer", "Placed"]

_Message = TypeVar("_Message")


class EndOfChannel:
    """Marks the end of a channel; follows its last audio, and counts as one byte."""

    def __len__(self) -> int:
        return 1


END_OF_CHANNEL = EndOfChannel()

_Audio = Union[bytes, EndOfChannel]


class Placed(Generic[_Message]):
    """A message, and how far each channel must have come before it leaves."""

    __slots__ = ("after", "message")

    def __init__(self, message: _Message, after: Mapping[Label, int]) -> None:
        self.message = message
        self.after = after


class _Lane:
    """One channel's audio that waits."""

    __slots__ = ("ended", "position", "size", "waiting")

    def __init__(self) -> None:
        self.waiting: list[_Audio] = []
        self.position = 0
        self.size = 0
        self.ended = False

    def put(self, audio: _Audio) -> None:
        self.waiting.append(audio)
        self.size += len(audio)
        self.ended = self.ended or isinstance(audio, EndOfChannel)

    def take(self) -> _Audio:
        audio = self.waiting.pop(0)
        size = len(audio)
        self.size -= size
        self.position += size
        return audio


class Multiplexer(Generic[_Message]):
    """Joins channels into one stream.

    Args:
        labels: The channels.
    """

    def __init__(self, labels: Iterable[Label]) -> None:
        self._lanes = {label: _Lane() for label in labels}
        self._messages: list[Placed[_Message]] = []

    def add_audio(self, label: Label, chunk: bytes) -> None:
        """Put audio behind what waits in its channel."""
        self._lanes[label].put(chunk)

    def end_channel(self, label: Label) -> None:
        """Put the end of a channel behind its audio."""
        self._lanes[label].put(END_OF_CHANNEL)

    def add_message(self, message: _Message) -> None:
        """Put a message behind all that waits."""
        after = {label: lane.position + lane.size for label, lane in self._lanes.items()}
        self._messages.append(Placed(message, after))

    def pass_by(self, label: Label, size: int) -> int:
        """Count audio that leaves at once, because nothing waits; return its position."""
        lane = self._lanes[label]
        position = lane.position
        lane.position += size
        return position

    def waits_before(self, label: Label) -> bool:
        """Return whether anything waits that is to leave before more audio of a channel."""
        return bool(self._messages or self._lanes[label].waiting)

    def audio_waits(self, label: Label) -> bool:
        """Return whether audio of a channel, or its end, has not come out yet."""
        return bool(self._lanes[label].waiting)

    def any_waits(self) -> bool:
        """Whether anything has not come out yet: audio, an end, a message."""
        if self._messages:
            return True
        for lane in self._lanes.values():  # noqa: SIM110  (a generator would cost four times this)
            if lane.waiting:
                return True
        return False

    def position(self, label: Label) -> int:
        """Return how many bytes of a channel's audio have come out."""
        lane = self._lanes[label]
        return lane.position - (lane.ended and not lane.waiting)

    def size(self, label: Label) -> int:
        """Return how many bytes of a channel's audio wait."""
        lane = self._lanes[label]
        return lane.size - (lane.ended and bool(lane.waiting))

    def finished(self, label: Label) -> bool:
        """Return whether a channel's end has come out."""
        lane = self._lanes[label]
        return lane.ended and not lane.waiting

    # -- sending again --------------------------------------------------------------------------

    def put_back_audio(self, label: Label, chunks: Sequence[bytes]) -> None:
        """Put the last audio that came out before what waits, and the end behind it all again."""
        lane = self._lanes[label]
        if self.finished(label):
            lane.waiting.append(END_OF_CHANNEL)
            lane.position -= 1
            lane.size += 1
        size = sum(len(chunk) for chunk in chunks)
        lane.waiting[:0] = chunks
        lane.position -= size
        lane.size += size

    def rewind(self, label: Label, position: int) -> None:
        """Begin a channel anew at an earlier position: its audio from there is added again."""
        lane = self._lanes[label] = _Lane()
        lane.position = position

    def put_back_messages(self, messages: Sequence[Placed[_Message]]) -> None:
        """Put messages that came out before those that wait."""
        self._messages[:0] = messages

    def is_awaited(self, label: Label) -> bool:
        """Return whether the next message waits for audio that is still to be added again."""
        lane = self._lanes[label]
        return bool(self._messages) and self._messages[0].after[label] > lane.position + lane.size

    # -- sending --------------------------------------------------------------------------------

    def next(
        self, may_send: Callable[[Label], bool]
    ) -> Union[tuple[Label, _Audio], tuple[None, Placed[_Message]], None]:
        """Take out what comes next: a channel's audio or end with its label, or a message.

        Args:
            may_send: Whether audio of a channel may leave now. Its end always may.

        Returns:
            None if nothing may leave now.
        """
        after = self._messages[0].after if self._messages else None
        chosen: Optional[_Lane] = None
        label: Label = None
        arrived = True
        for candidate, lane in self._lanes.items():
            if after is not None:
                # A source may be shorter when it is read again: then its end is far enough.
                if lane.position >= after[candidate] or (lane.ended and not lane.waiting):
                    continue
                arrived = False
            if not lane.waiting:
                continue
            if not isinstance(lane.waiting[0], EndOfChannel) and not may_send(candidate):
                continue
            if chosen is None or lane.position < chosen.position:
                chosen, label = lane, candidate
        if chosen is not None:
            return label, chosen.take()
        if after is not None and arrived:
            return None, self._messages.pop(0)
        return None
