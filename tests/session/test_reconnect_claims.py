"""What a server says of audio that it was not sent costs nothing when its connection is lost."""

from __future__ import annotations

from typing import Callable

from support.reconnecting import (
    POLICY,
    RATE,
    Legs,
    begins,
    given,
    loses,
    noise,
    pieces,
    served,
    spoken,
)
from support.serving import PATIENCE, Peer, final
from support.sessions import RAW, client_of

WORDS = [("one", 1.0, 1.5), ("two", 2.0, 2.4), ("three", 2.6, 3.1), ("four", 3.3, 3.8)]
AUDIO = noise(5)


def says(*words: tuple[str, float, float]) -> Callable[[Peer], None]:
    """A connection that says at the end which of the words are in its audio, in its own time."""

    def behave(peer: Peer) -> None:
        peer.start()
        peer.take_audio()
        begun = begins(peer, AUDIO) / RATE
        for content, start, end in words:
            if start >= begun:
                peer.send(final(content, round(start - begun, 3), round(end - begun, 3)))
        peer.send({"message": "EndOfTranscript"})
        peer.wait_closed()

    return behave


def test_no_word_is_missing_after_one_that_ends_beyond_the_audio() -> None:
    one, (content, start, _) = WORDS[:2]
    # The server has 2.5 s of the audio, and the client has sent more, which it has not read.
    beyond = (content, start, 3.5)
    legs = Legs(loses(25, one, beyond), says(*WORDS))
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        transcript = client.transcribe(given(pieces(AUDIO)), audio_format=RAW, timeout=PATIENCE)
    assert spoken(transcript) == [one, beyond, *WORDS[2:]]
    assert transcript.gaps == []
