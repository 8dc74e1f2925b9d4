"""Measurements of a session."""

from dataclasses import dataclass
from typing import Optional

__all__ = ["SessionStats"]


@dataclass(frozen=True)
class SessionStats:
    """Measurements of a session at one moment.

    Attributes:
        chunks_sent: Audio chunks sent, of all channels.
        chunks_acknowledged: Audio chunks that the server has acknowledged, of all channels.
        seconds_sent: Seconds of audio taken from the user; None for ``file`` audio. With several
            channels, the longest counts.
        seconds_acknowledged: Seconds of audio that the server has acknowledged, likewise.
        seconds_unacknowledged: Seconds of audio taken from the user and not yet acknowledged; None
            for ``file`` audio. With several channels, the one furthest behind counts.
        window: How many chunks may be unacknowledged before audio waits, of all channels.
        messages_received: Messages from the server, acknowledgements included.
        messages_waiting: Messages queued for a handler or a pull.
        bytes_waiting: Bytes that wait to be written to the network.
        round_trip: Recent time from sending a chunk to its acknowledgement, in seconds; None
            before the first acknowledgement.
        final_delay: Seconds of audio sent after the end of the last final; None without a final.
        reconnects: How many connections have replaced another, after a loss or by rollover.
        first_partial_delay: Seconds from when the audio up to the first word's start was sent until
            the first partial with words came; None before that, and for ``file`` audio.
        final_latency_median: Seconds from when the audio up to the end of a final's last word was
            sent until that final came: the median of the last 200 finals with words, of all
            channels. To within the length of a chunk, and with what a lost connection delayed. None
            without such a final, and for ``file`` audio.
        final_latency_p95: The same: what 95 % of these finals are not above.
        partials_superseded: Partials that no handler was given, because newer ones came while more
            than half of ``max_queue`` messages waited.

    Example:
        >>> transcript = client.transcribe("audio.wav")
        >>> client.stats.seconds_sent
        2.0
    """

    chunks_sent: int = 0
    chunks_acknowledged: int = 0
    seconds_sent: Optional[float] = None
    seconds_acknowledged: Optional[float] = None
    seconds_unacknowledged: Optional[float] = None
    window: int = 0
    messages_received: int = 0
    messages_waiting: int = 0
    bytes_waiting: int = 0
    round_trip: Optional[float] = None
    final_delay: Optional[float] = None
    reconnects: int = 0
    first_partial_delay: Optional[float] = None
    final_latency_median: Optional[float] = None
    final_latency_p95: Optional[float] = None
    partials_superseded: int = 0
