"""A server for sessions of several channels that counts every byte of each."""

from __future__ import annotations

import base64
import threading
from collections import defaultdict
from typing import Any, Optional

from support.serving import Peer, final


class ChannelServer:
    """Takes every channel to its end; remembers what came, in order.

    Args:
        words: Whether each channel's end is answered with a final that names the channel.
        slow: Channels whose audio is never acknowledged before `let_go`.
    """

    def __init__(self, *, words: bool = True, slow: tuple[str, ...] = ()) -> None:
        self.audio: dict[str, bytearray] = defaultdict(bytearray)
        self.sizes: dict[str, list[int]] = defaultdict(list)
        self.log: list[tuple[str, int]] = []
        """Every chunk's channel and size, in the order in which they came."""
        self.ended: dict[str, int] = {}
        self.end_of: dict[str, threading.Event] = defaultdict(threading.Event)
        self.messages: list[dict[str, Any]] = []
        self.start_message: Optional[dict[str, Any]] = None
        self.let_go = threading.Event()
        self._words = words
        self._slow = slow

    @property
    def labels(self) -> list[str]:
        """What StartRecognition names."""
        assert self.start_message is not None
        labels: list[str] = self.start_message["transcription_config"]["channel_diarization_labels"]
        return labels

    def __call__(self, peer: Peer) -> None:
        peer.start()
        self.start_message = peer.start_message
        while len(self.ended) < len(self.labels):
            message = peer.receive()
            assert isinstance(message, dict), "binary audio in a session of several channels"
            self._take(peer, message)
        peer.send({"message": "EndOfTranscript"})
        peer.wait_closed()

    def _take(self, peer: Peer, message: dict[str, Any]) -> None:
        name = message["message"]
        if name == "AddChannelAudio":
            label = message["channel"]
            assert label not in self.ended, f"audio of {label} after its end"
            chunk = base64.b64decode(message["data"], validate=True)
            self.audio[label] += chunk
            self.sizes[label].append(len(chunk))
            self.log.append((label, len(chunk)))
            if label not in self._slow or self.let_go.is_set():
                self._acknowledge(peer, label)
        elif name == "EndOfChannel":
            label = message["channel"]
            assert label not in self.ended, f"{label} ended twice"
            assert message["last_seq_no"] == len(self.sizes[label])
            self.ended[label] = message["last_seq_no"]
            self.end_of[label].set()
            if self._words:
                peer.send({**final(f"end-of-{label}"), "channel": label})
        else:
            assert name != "EndOfStream", "one end too many"
            self.messages.append(message)
            if name == "GetSpeakers":
                peer.send({"message": "SpeakersResult", "speakers": []})

    def _acknowledge(self, peer: Peer, label: str) -> None:
        number = len(self.sizes[label])
        peer.send({"message": "ChannelAudioAdded", "channel": label, "seq_no": number})
