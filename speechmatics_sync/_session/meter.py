"""The figures of a session."""

from __future__ import annotations

import sys
import time
from typing import Any, Optional

from .._model.messages import ServerMessageType
from .._model.stats import SessionStats
from .._model.typing import Label
from .._protocol.session import Protocol

__all__ = ["Meter"]


class Meter:
    """Counts and times what a session sends and receives. The session's lock guards it."""

    def __init__(self) -> None:
        self.final_end: Optional[float] = None
        self.reconnects = 0
        self.received = 0
        """How many messages have come."""
        self.times_a_chunk = False
        """Whether a chunk is on its way whose acknowledgement is timed: one at a time is."""
        self._timed_chunk: tuple[Label, int, float] = (None, 0, 0.0)
        self._round_trip: Optional[float] = None

    def sent(self, label: Label, number: int) -> None:
        """A chunk of a channel is sent, and timed."""
        self._timed_chunk, self.times_a_chunk = (label, number, time.monotonic()), True

    def acknowledged(self, label: Label, number: int) -> None:
        """The server acknowledged the chunks of a channel up to this number."""
        timed, due, since = self._timed_chunk
        if timed == label and number >= due:
            self._round_trip = time.monotonic() - since
            self.times_a_chunk = False

    def lost(self) -> None:
        """The connection is lost: the chunk that was timed will not be acknowledged."""
        self.times_a_chunk = False

    def delivered(self, message: dict[str, Any]) -> None:
        """A message goes to handlers: note where a final ends."""
        if message.get("message") != ServerMessageType.ADD_TRANSCRIPT.value:
            return
        metadata = message.get("metadata")
        end = metadata.get("end_time") if isinstance(metadata, dict) else None
        # The message has not been validated: the server may have sent any JSON value.
        if isinstance(end, (int, float)) and 0 <= end <= sys.float_info.max:
            self.final_end = max(float(end), self.final_end or 0.0)

    def snapshot(self, protocol: Protocol, *, waiting: int, backlog: int) -> SessionStats:
        """Return the figures as they are now."""
        taken = protocol.seconds_taken
        final_delay = None
        if taken is not None and self.final_end is not None:
            final_delay = max(0.0, taken - self.final_end)
        return SessionStats(
            chunks_sent=protocol.sent,
            chunks_acknowledged=protocol.acknowledged,
            seconds_sent=taken,
            seconds_acknowledged=protocol.seconds_acknowledged,
            seconds_unacknowledged=_seconds_unacknowledged(protocol),
            window=protocol.window,
            messages_received=self.received,
            messages_waiting=waiting,
            bytes_waiting=backlog,
            round_trip=self._round_trip,
            final_delay=final_delay,
            reconnects=self.reconnects,
        )


def _seconds_unacknowledged(protocol: Protocol) -> Optional[float]:
    """Seconds of audio that the server has not acknowledged, in the channel with the most."""
    behind = [
        channel.seconds(channel.bytes_taken - channel.bytes_acknowledged)
        for channel in protocol.channels.values()
    ]
    return max((seconds for seconds in behind if seconds is not None), default=None)
