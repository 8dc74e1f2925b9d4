"""The figures of a session."""

from dataclasses import dataclass
from typing import Optional

__all__ = ["SessionStats"]


@dataclass(frozen=True)
class SessionStats:
    """What a session knows of itself at one moment.

    Attributes:
        chunks_sent: Chunks of audio handed to the network, of all channels.
        chunks_acknowledged: Those the server has read.
        seconds_sent: Audio taken from the user, in seconds; None for ``file`` audio. Of several
            channels, that of the longest.
        seconds_acknowledged: Audio the server has read, likewise.
        seconds_unacknowledged: Audio taken from the user that the server has not read yet,
            in seconds; None for ``file`` audio. Of several channels, that of the one furthest
            behind.
        window: Chunks that may be unacknowledged before audio waits, of all channels.
        messages_received: Messages of the server's, acknowledgements included.
        messages_waiting: Messages that wait for a handler or a pull: the depth of the queue.
        bytes_waiting: Bytes that wait for the network.
        round_trip: Seconds from sending a chunk to its acknowledgement, lately; None before one.
        final_delay: Seconds of audio sent beyond the end of the last final; None without one.
        reconnects: How often another connection has taken over, after a loss or in good time.
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
