"""The figures of a session."""

from __future__ import annotations

import sys
import time
from typing import Any, Optional

from .._model.messages import ServerMessageType
from .._model.stats import SessionStats
from .._model.typing import Label
from .._protocol.session import Protocol
from .inbox import Inbox
from .latency import AudioTimes, Latest

__all__ = ["Meter"]

_FINAL = ServerMessageType.ADD_TRANSCRIPT.value
_PARTIAL = ServerMessageType.ADD_PARTIAL_TRANSCRIPT.value

_NOTE_INTERVAL = 0.25
"""Seconds between two moments for which it is noted how much audio was sent, and between two chunks
whose acknowledgement is timed."""

_FINALS_TIMED = 200
"""How many finals the figures of their latency are of."""


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
        self._protocol: Optional[Protocol] = None
        self._audio_times: dict[Label, AudioTimes] = {}
        self._note_at = 0.0
        self._last_sent: dict[Label, float] = {}
        self._first_partial_delay: Optional[float] = None
        self._final_latencies = Latest(_FINALS_TIMED)

    def sent(self, protocol: Protocol, label: Label, number: int) -> None:
        """A chunk of a channel is sent; some are timed, one at a time."""
        self._last_sent[label] = now = time.monotonic()
        if now < self._note_at:
            return
        self._protocol, self._note_at = protocol, now + _NOTE_INTERVAL
        self._note_audio(protocol)
        if not self.times_a_chunk:
            self._timed_chunk, self.times_a_chunk = (label, number, now), True

    def _note_audio(self, protocol: Protocol) -> None:
        for label, moment in self._last_sent.items():
            channel = protocol.channels[label]
            taken = channel.seconds(channel.bytes_taken)
            if taken:
                self._audio_times.setdefault(label, AudioTimes()).note(taken, moment)

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
        """A message goes to handlers: note where a final ends, and how long it took."""
        name = message.get("message")
        if name == _FINAL:
            metadata = message.get("metadata")
            end = _seconds(metadata, "end_time")
            if end is not None:
                self.final_end = max(end, self.final_end or 0.0)
            latency = self._since_sent(message, -1, "end_time")
            if latency is not None:
                self._final_latencies.add(latency)
        elif name == _PARTIAL and self._first_partial_delay is None:
            self._first_partial_delay = self._since_sent(message, 0, "start_time")

    def _since_sent(self, message: dict[str, Any], index: int, key: str) -> Optional[float]:
        """Return how long ago the audio up to a time of one of the message's results was sent."""
        results = message.get("results")
        if self._protocol is None or not isinstance(results, list) or not results:
            return None
        position = _seconds(results[index], key)
        if position is None:
            return None
        label = message.get("channel") or results[index].get("channel")
        times = self._audio_times.get(label) if label is None or isinstance(label, str) else None
        if times is None:
            return None
        channel = self._protocol.channels[label]
        taken = channel.seconds(channel.bytes_taken) or 0.0
        sent = times.when(position, taken, self._last_sent[label])
        return None if sent is None else time.monotonic() - sent

    def untranscribed(self, seconds: Optional[float], size: int) -> str:
        """Return how much of so much audio has no final, for a log record."""
        if seconds is not None:
            return f"{max(0.0, seconds - (self.final_end or 0.0)):.1f} s of audio"
        if self.final_end is None:
            return f"{size} bytes of a file"
        return f"of {size} bytes of a file, those after {self.final_end:.1f} s"

    def snapshot(self, protocol: Protocol, inbox: Inbox, *, backlog: int) -> SessionStats:
        """Return the figures as they are now."""
        taken = protocol.seconds_taken
        final_delay = None
        if taken is not None and self.final_end is not None:
            final_delay = max(0.0, taken - self.final_end)
        median, p95 = self._final_latencies.quantiles(0.5, 0.95)
        return SessionStats(
            chunks_sent=protocol.sent,
            chunks_acknowledged=protocol.acknowledged,
            seconds_sent=taken,
            seconds_acknowledged=protocol.seconds_acknowledged,
            seconds_unacknowledged=_seconds_unacknowledged(protocol),
            window=protocol.window,
            messages_received=self.received,
            messages_waiting=len(inbox),
            bytes_waiting=backlog,
            round_trip=self._round_trip,
            final_delay=final_delay,
            reconnects=self.reconnects,
            first_partial_delay=self._first_partial_delay,
            final_latency_median=median,
            final_latency_p95=p95,
            partials_superseded=inbox.superseded,
        )


def _seconds(part: object, key: str) -> Optional[float]:
    # The message has not been validated: the server may have sent any JSON value.
    value = part.get(key) if isinstance(part, dict) else None
    if isinstance(value, (int, float)) and 0 <= value <= sys.float_info.max:
        return float(value)
    return None


def _seconds_unacknowledged(protocol: Protocol) -> Optional[float]:
    """Seconds of audio that the server has not acknowledged, in the channel with the most."""
    behind = [
        channel.seconds(channel.bytes_taken - channel.bytes_acknowledged)
        for channel in protocol.channels.values()
    ]
    return max((seconds for seconds in behind if seconds is not None), default=None)
