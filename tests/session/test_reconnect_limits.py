"""How often a connection is replaced, and transcripts that end too early."""

from __future__ import annotations

import dataclasses
from typing import Optional

import pytest
from support.reconnecting import (
    POLICY,
    RECONNECTED,
    RECONNECTING,
    WORD,
    Heard,
    Legs,
    finishes,
    given,
    hears,
    listen,
    loses,
    noise,
    pieces,
    refuses,
    served,
    spoken,
    transcribed,
)
from support.serving import PATIENCE, Peer
from support.sessions import END_OF_TRANSCRIPT, RAW, client_of

from speechmatics_sync import (
    AudioFormat,
    ConnectionError,
    ReconnectPolicy,
    TranscriptionError,
)

# -- how often ----------------------------------------------------------------------------------


def test_attempts_without_progress_are_bounded_and_the_transcript_is_kept() -> None:
    policy = dataclasses.replace(POLICY, max_attempts=3)
    legs = Legs(loses(15, WORD), refuses, loses(15), refuses)
    with served(legs) as url, client_of(url, reconnect=policy) as client:
        heard = Heard(client, RECONNECTING, RECONNECTED)
        with pytest.raises(ConnectionError, match="tried 3 times") as raised:
            transcribed(client)
        assert spoken(client.transcript) == [WORD]
        request_id, session_id = client.request_id, client.session_id
    assert spoken(raised.value.transcript) == [WORD]
    assert (raised.value.request_id, raised.value.session_id) == (request_id, session_id)
    assert len(legs.peers) == 4
    # The third connection lived, and brought nothing.
    assert heard.names == [RECONNECTING, RECONNECTED, RECONNECTING]


def test_settled_audio_is_progress_and_attempts_count_anew() -> None:
    policy = dataclasses.replace(POLICY, max_attempts=2)
    more = loses(15, ("more", 1.3, 1.4))
    legs = Legs(loses(15, WORD), refuses, more, refuses, more, refuses, finishes())
    with served(legs) as url, client_of(url, reconnect=policy) as client:
        transcript = transcribed(client, seconds=5)
    # On connections that begin at 0.2 s and at 0.6 s.
    assert spoken(transcript) == [WORD, ("more", 1.5, 1.6), ("more", 1.9, 2.0)]


def test_no_attempts_are_none() -> None:
    policy = dataclasses.replace(POLICY, max_attempts=1)
    legs = Legs(loses(15, WORD), refuses)
    with (
        served(legs) as url,
        client_of(url, reconnect=policy) as client,
        pytest.raises(ConnectionError, match="tried once"),
    ):
        transcribed(client)
    assert len(legs.peers) == 2


# -- a transcript that ends too early -----------------------------------------------------------


def ends_early(peer: Peer) -> None:
    hears(peer, 15, WORD)
    peer.send(END_OF_TRANSCRIPT)
    peer.wait_closed()


def ends_at_its_limit(peer: Peer) -> None:
    """Acknowledges audio past the limit and ignores it, as the API does."""
    hears(peer, 15, WORD)
    peer.send({"message": "Warning", "type": "duration_limit_exceeded", "reason": "too long"})
    listen(peer, 5)
    peer.send(END_OF_TRANSCRIPT)
    peer.wait_closed()


EARLY = {"EndOfTranscript": ends_early, "duration_limit_exceeded": ends_at_its_limit}


@pytest.mark.parametrize("kind", EARLY)
@pytest.mark.parametrize("again", [True, False], ids=["read again", "kept"])
def test_a_transcript_that_ends_before_our_audio_goes_on(kind: str, again: bool) -> None:
    audio = noise(4)
    legs = Legs(EARLY[kind], finishes(("more", 1.5, 2.0)))
    # So small a window that our end of audio cannot cross theirs.
    with (
        served(legs) as url,
        client_of(url, reconnect=POLICY, max_unacked_chunks=8) as client,
    ):
        heard = Heard(client)
        source = audio if again else given(pieces(audio))
        transcript = client.transcribe(source, audio_format=RAW, timeout=PATIENCE)
    assert spoken(transcript) == [WORD, ("more", 1.7, 2.2)]
    assert b"".join(legs.peers[1].audio) == audio[6400:]
    heard.one("EndOfTranscript")
    heard.one(RECONNECTED)


@pytest.mark.parametrize("policy", [None, POLICY])
@pytest.mark.parametrize("kind", EARLY)
def test_a_transcript_that_ends_early_for_good_is_an_error(
    kind: str, policy: Optional[ReconnectPolicy]
) -> None:
    legs = Legs(EARLY[kind])
    with (
        served(legs) as url,
        client_of(url, reconnect=policy, max_unacked_chunks=8) as client,
    ):
        source = given(pieces(noise(4)))
        audio_format = RAW if policy is None else AudioFormat()
        with pytest.raises(TranscriptionError) as raised:
            client.transcribe(source, audio_format=audio_format, timeout=PATIENCE)
    assert spoken(raised.value.transcript) == [WORD]
    if kind != "EndOfTranscript":
        assert raised.value.type == kind
