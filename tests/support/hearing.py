"""A server that hears a word."""

from __future__ import annotations

from typing import Any

from support.serving import Peer, final


def hears(*words: str) -> Any:
    """A server that takes all audio and then says these words."""

    def behave(peer: Peer) -> None:
        peer.start()
        end = peer.take_audio()
        assert end == {"message": "EndOfStream", "last_seq_no": len(peer.audio)}
        for at, word in enumerate(words):
            peer.send(final(word, at, at + 1))
        peer.send({"message": "EndOfTranscript"})

    return behave
