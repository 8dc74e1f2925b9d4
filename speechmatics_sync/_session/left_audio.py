"""Audio that the main thread leaves to any other thread, in a single step."""

from __future__ import annotations

from .._model.typing import Label
from .._protocol.session import Protocol

__all__ = ["LeftAudio"]


class LeftAudio(list[tuple[bytes, Label]]):
    """Chunks and their channels. The main thread appends without a lock; all else needs the lock.

    A list, so that to append is one step, which no signal cuts in two.
    """

    def __init__(self) -> None:
        super().__init__()
        self._late: list[tuple[bytes, Label]] = []
        """What came after the end of its channel."""

    def pass_to(self, protocol: Protocol) -> None:
        """Have the protocol take all of it, save what came after the end of its channel."""
        while self:
            left = self.pop(0)
            if protocol.channels[left[1]].ended:
                self._late.append(left)
            else:
                protocol.refill(*left)

    def forget_late(self, left: tuple[bytes, Label]) -> bool:
        """Return whether this came after the end of its channel, and forget that it did."""
        late = left in self._late
        if late:
            self._late.remove(left)
        return late
