"""Servers that lose connections, and audio in which every piece can be found again."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from typing import Any, Callable, Optional, Union

from speechmatics_sync import (
    Client,
    MultiChannelClient,
    ReconnectPolicy,
    Transcript,
)
from support.serving import PATIENCE, Peer, final, serving
from support.sessions import RAW, wait_for

POLICY = ReconnectPolicy(initial_delay=0.01, max_delay=0.05, busy_delay=0.05)


RATE = RAW.bytes_per_sample * RAW.sample_rate


RECONNECTING, RECONNECTED = "SessionReconnecting", "SessionReconnected"


def noise(seconds: float, *, seed: int = 1, bytes_per_second: int = RATE) -> bytes:
    """Audio in which no two pieces are alike, so that a piece tells its place."""
    return random.Random(seed).randbytes(int(seconds * bytes_per_second))


def pieces(audio: bytes, size: int = 3200) -> list[bytes]:
    """The audio in chunks of a tenth of a second, or of so many bytes."""
    return [audio[at : at + size] for at in range(0, len(audio), size)]


def given(chunks: list[bytes]) -> Any:
    """A source that can be read once."""
    yield from chunks


def cut(peer: Peer) -> None:
    """Lose a connection, without a close frame, once the client has all that was said on it."""
    assert peer.connection.ping().wait(PATIENCE), "the client answers no ping"
    refuses(peer)


def refuses(peer: Peer) -> None:
    """Lose a connection at once, unless the client has gone first."""
    with contextlib.suppress(OSError):
        peer.connection.socket.shutdown(socket.SHUT_RDWR)


def begins(peer: Peer, audio: bytes) -> int:
    """Return at which byte the audio of a connection began; fail if there is a hole in it."""
    heard = b"".join(peer.audio)
    at = audio.find(heard)
    assert at >= 0, "what the server heard is no piece of the audio"
    return at


class Legs:
    """A server whose first connection goes as the first behaviour says, and so on.

    Attributes:
        peers: The connections that came.
    """

    def __init__(self, *behaviours: Callable[[Peer], None]) -> None:
        self.peers: list[Peer] = []
        self._behaviours = behaviours
        self._lock = threading.Lock()

    def __call__(self, peer: Peer) -> None:
        with self._lock:
            number = len(self.peers)
            self.peers.append(peer)
        assert number < len(self._behaviours), "one connection too many"
        self._behaviours[number](peer)


def served(behave: Callable[[Peer], None], **options: Any) -> Any:
    """Serve every connection, as `serving` does; pongs are read before audio that waits."""
    return serving(behave, max_queue=None, **options)


def hears(
    peer: Peer, chunks: int, *words: tuple[str, float, float], acknowledge: bool = True
) -> None:
    """Start, take so many chunks of audio, then say these words with their times."""
    peer.start()
    listen(peer, chunks, acknowledge=acknowledge)
    for word in words:
        peer.send(final(*word))


def listen(peer: Peer, chunks: int, *, acknowledge: bool = True) -> None:
    """Take so many chunks of audio."""
    for _ in range(chunks):
        chunk = peer.receive()
        assert isinstance(chunk, bytes), f"{chunk} in place of audio"
        peer.audio.append(chunk)
        if acknowledge:
            peer.acknowledge()


def loses(
    chunks: int, *words: tuple[str, float, float], acknowledge: bool = True
) -> Callable[[Peer], None]:
    """A connection that is cut after this much audio and these words."""

    def behave(peer: Peer) -> None:
        hears(peer, chunks, *words, acknowledge=acknowledge)
        cut(peer)

    return behave


def after(event: threading.Event, behave: Callable[[Peer], None]) -> Callable[[Peer], None]:
    """A connection that does not start before the test allows it: until then the outage lasts."""

    def wait(peer: Peer) -> None:
        wait_for(event)
        behave(peer)

    return wait


def finishes(*words: tuple[str, float, float], id: str = "session-2") -> Callable[[Peer], None]:
    """A connection that lasts to the end of the audio and then sends these words."""

    def behave(peer: Peer) -> None:
        peer.start(id=id)
        message = peer.take_audio()
        assert message == {"message": "EndOfStream", "last_seq_no": len(peer.audio)}
        peer.send(*(final(*word) for word in words), {"message": "EndOfTranscript"})
        peer.wait_closed()

    return behave


class Heard:
    """All messages that handlers are given, in order."""

    def __init__(self, client: Union[Client, MultiChannelClient], *names: str) -> None:
        self.messages: list[dict[str, Any]] = []
        for name in names or EVERYTHING:
            client.on(name, self.messages.append)

    @property
    def names(self) -> list[str]:
        return [message["message"] for message in self.messages]

    def of(self, name: str) -> list[dict[str, Any]]:
        """The messages of one name."""
        return [message for message in self.messages if message["message"] == name]

    def one(self, name: str) -> dict[str, Any]:
        """The only message of a name."""
        found = self.of(name)
        assert len(found) == 1, f"{len(found)} of {name}"
        return found[0]


EVERYTHING = (
    "RecognitionStarted",
    "Info",
    "Warning",
    "Error",
    "AudioAdded",
    "ChannelAudioAdded",
    "AddPartialTranscript",
    "AddTranscript",
    "AddTranslation",
    "EndOfUtterance",
    "SpeakersResult",
    "EndOfTranscript",
    RECONNECTING,
    RECONNECTED,
)


def spoken(transcript: Optional[Transcript]) -> list[tuple[str, float, float]]:
    """The words of a transcript and their times."""
    assert transcript is not None
    return [(word.content, word.start_time, word.end_time) for word in transcript.words]


WORD = ("settled", 0.6, 1.3)
"""After it, audio is sent again from 0.2 s on."""


def transcribed(client: Client, seconds: float = 3) -> Any:
    return client.transcribe(noise(seconds), audio_format=RAW, timeout=PATIENCE)
