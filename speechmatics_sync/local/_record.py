"""What the server records of each session, for tests and monitoring of clients."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Optional
from urllib.parse import parse_qsl, urlsplit

__all__ = ["ChannelRecord", "SessionRecord"]

_KEPT_MESSAGES = 1000
_SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie")
_HIDDEN = "***"


class ChannelRecord:
    """One channel of a session, as the server saw it. Written by the server only.

    Attributes:
        audio_chunks: How many chunks of audio were received.
        audio_bytes: How many bytes of audio were received, after decoding base64.
        last_seq_no: The ``last_seq_no`` of EndOfChannel, or None.

    Example:
        >>> with LocalServer(recognizer=CountedRecognizer()) as server:
        ...     with MultiChannelClient(url=server.url) as client:
        ...         transcript = client.transcribe({"agent": "agent.wav", "other": "audio.wav"})
        ...     session = server.sessions[0]
        >>> session.channels["agent"].audio_bytes
        64000
    """

    def __init__(self) -> None:
        self.audio_chunks = 0
        self.audio_bytes = 0
        self.last_seq_no: Optional[int] = None

    def __repr__(self) -> str:
        return (
            f"ChannelRecord(audio_chunks={self.audio_chunks}, audio_bytes={self.audio_bytes}, "
            f"last_seq_no={self.last_seq_no})"
        )


class SessionRecord:
    """One session, as the server saw it. Written by the server only.

    It holds no keys: of a header or a parameter that has one, only the scheme is kept.

    Attributes:
        id: The server's id of the session.
        headers: The handshake's headers, with names in lower case.
        path: The handshake's path, without the query.
        query: The handshake's query parameters.
        start: The StartRecognition message, or None.
        messages: The JSON messages received, in order (the last 1,000), StartRecognition first;
            without AddChannelAudio.
        channels: Records of the channels by label; empty in a session without channels.
        audio_chunks: How many chunks of audio were received, for all channels.
        audio_bytes: How many bytes of audio were received, for all channels.
        last_seq_no: The ``last_seq_no`` of EndOfStream, or None.
        error: The Error that was sent, or None.
        close_code: The code of the close frame; None before the end, or if there was no frame.
        ended: Whether the session is over.

    Example:
        >>> with LocalServer(recognizer=CountedRecognizer()) as server:
        ...     transcript = Client(url=server.url).transcribe("audio.wav")
        ...     session = server.sessions[0]
        >>> session.start["transcription_config"]["language"], session.audio_bytes
        ('en', 64000)
    """

    def __init__(self, id: str, target: str, headers: Mapping[str, str]) -> None:
        self.id = id
        parts = urlsplit(target)
        self.path = parts.path
        self.query = {
            name: _HIDDEN if name == "jwt" else value
            for name, value in parse_qsl(parts.query, keep_blank_values=True)
        }
        self.headers = {
            name: f"{value.partition(' ')[0]} {_HIDDEN}" if name in _SECRET_HEADERS else value
            for name, value in ((name.lower(), value) for name, value in headers.items())
        }
        self.start: Optional[dict[str, Any]] = None
        self.messages: deque[dict[str, Any]] = deque(maxlen=_KEPT_MESSAGES)
        self.channels: dict[str, ChannelRecord] = {}
        self.audio_chunks = 0
        self.audio_bytes = 0
        self.last_seq_no: Optional[int] = None
        self.error: Optional[dict[str, Any]] = None
        self.close_code: Optional[int] = None
        self.ended = False

    def __repr__(self) -> str:
        return (
            f"SessionRecord(id={self.id!r}, path={self.path!r}, audio_chunks={self.audio_chunks}, "
            f"error={self.error!r}, close_code={self.close_code!r}, ended={self.ended!r})"
        )
