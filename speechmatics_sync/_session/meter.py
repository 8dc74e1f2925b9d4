"""Measures a session."""

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
    """Takes a session's figures while it runs."""

    def __init__(self) -> None:
        self.final_end: Optional[float] = None
        self.reconnects = 0
        self._received = 0
        self._timed_chunk: Optional[tuple[Label, int, float]] = None
        self._round_trip: Optional[float] = None

    def sent(self, label: Label, number: int) -> None:
        """Note that a chunk of a channel was sent; one at a time is timed."""
        if self._timed_chunk is None:
            self._timed_chunk = (label, number, time.monotonic())

    def acknowledged(self, label: Label, number: int) -> None:
        """Note that every chunk of a channel up to this number was read."""
        if self._timed_chunk is not None:
            timed, due, since = self._timed_chunk
            if timed == label and number >= due:
                self._round_trip = time.monotonic() - since
                self._timed_chunk = None

    def lost(self) -> None:
        """Note that the connection is lost: what was sent over it is not acknowledged any more."""
        self._timed_chunk = None

    def received(self) -> None:
        """Note a message."""
        self._received += 1

    def delivered(self, message: dict[str, Any]) -> None:
        """Note where a final ends; a malformed one says nothing."""
        if message.get("message") != ServerMessageType.ADD_TRANSCRIPT.value:
            return
        metadata = message.get("metadata")
        end = metadata.get("end_time") if isinstance(metadata, dict) else None
        # No time is longer than a float holds, and a message is not checked before it is here.
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
            messages_received=self._received,
            messages_waiting=waiting,
            bytes_waiting=backlog,
            round_trip=self._round_trip,
            final_delay=final_delay,
            reconnects=self.reconnects,
        )


def _seconds_unacknowledged(protocol: Protocol) -> Optional[float]:
    """How far the server is behind, in the channel where that is most."""
    behind = [
        channel.seconds(channel.bytes_taken - channel.bytes_acknowledged)
        for channel in protocol.channels.values()
    ]
    return max((seconds for seconds in behind if seconds is not None), default=None)
