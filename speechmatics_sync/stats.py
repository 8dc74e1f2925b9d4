"""The figures of a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

__all__ = ["SessionStats"]


@dataclass(frozen=True)
class SessionStats:
    """What a session knows of itself at one moment.

    Attributes:
        chunks_sent: AddAudio messages handed to the network.
        chunks_acknowledged: Those the server has read.
        seconds_sent: Audio taken from the user, in seconds; None for ``file`` audio.
        seconds_acknowledged: Audio the server has read, in seconds; None for ``file`` audio.
        messages_received: Messages of the server's, acknowledgements included.
        messages_waiting: Messages that wait for a handler or a pull.
        bytes_waiting: Bytes that wait for the network.
        round_trip: Seconds from sending a chunk to its acknowledgement, lately; None before one.
        final_delay: Seconds of audio sent beyond the end of the last final; None without one.
    """

    chunks_sent: int = 0
    chunks_acknowledged: int = 0
    seconds_sent: Optional[float] = None
    seconds_acknowledged: Optional[float] = None
    messages_received: int = 0
    messages_waiting: int = 0
    bytes_waiting: int = 0
    round_trip: Optional[float] = None
    final_delay: Optional[float] = None
