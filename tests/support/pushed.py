"""Servers for sessions whose audio is pushed."""

from __future__ import annotations

from typing import Any, Callable

from speechmatics_sync import (
    Client,
)
from support.serving import Peer, final
from support.sessions import END_OF_TRANSCRIPT

SPEAKERS = {"message": "SpeakersResult", "speakers": [{"label": "A", "speaker_identifiers": ["x"]}]}


class Recorder:
    """A server that acknowledges audio, answers GetSpeakers, and keeps all it was sent."""

    def __init__(self, *words: str) -> None:
        self.received: list[Any] = []
        self._words = words

    def __call__(self, peer: Peer) -> None:
        peer.start()
        self.received.append(peer.start_message)
        while True:
            message = peer.receive()
            self.received.append(message)
            if isinstance(message, bytes):
                peer.audio.append(message)
                peer.acknowledge()
            elif message["message"] == "GetSpeakers" and not message.get("final"):
                peer.send(SPEAKERS)
            elif message["message"] == "EndOfStream":
                break
        for word in self._words:
            peer.send(final(word))
        peer.send(END_OF_TRANSCRIPT)


SENDING: list[Callable[[Client], Any]] = [
    lambda client: client.send_audio(b"ab"),
    lambda client: client.send_message({"message": "Mine"}),
    lambda client: client.update_transcription_config(max_delay=1),
    lambda client: client.force_end_of_utterance(),
    lambda client: client.get_speakers(),
    lambda client: client.get_speakers(final=True),
]
