"""Paced audio that a shared thread reads is never early, and loses nothing when it is gathered."""

from __future__ import annotations

import time
from typing import Any

import pytest
from support.channel_server import ChannelServer
from support.reconnecting import noise
from support.serving import Peer, final, serving
from support.sessions import END_OF_TRANSCRIPT, RAW, InThread, let_sources_go, speech
from support.sharing import Speaking, problems_with_a_loss, transcribe

from speechmatics_sync import MultiChannelClient
from speechmatics_sync._session.outbox import Outbox

__all__ = ["let_sources_go"]

CHUNK = RAW.chunk_size
SECOND = 32_000
"""Bytes of a second of audio."""


class Clock:
    """A server that notes when each chunk came, in seconds from the start of recognition."""

    def __init__(self) -> None:
        self.came: list[tuple[float, bytes]] = []

    def __call__(self, peer: Peer) -> None:
        begun = time.monotonic()
        peer.start()
        while True:
            message = peer.receive()
            if isinstance(message, dict):
                break
            self.came.append((time.monotonic() - begun, message))
            peer.audio.append(message)
            peer.acknowledge()
        assert message == {"message": "EndOfStream", "last_seq_no": len(self.came)}
        peer.send(final("word"), END_OF_TRANSCRIPT)
        peer.wait_closed()


@pytest.fixture
def much_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the thread were busy for half of its time, from its first turn on."""
    monkeypatch.setattr("speechmatics_sync._concurrency.shared_thread.LOAD_SECONDS", 0.0)
    monkeypatch.setattr("speechmatics_sync._concurrency.shared_thread.LIGHT_LOAD", -1.0)
    monkeypatch.setattr("speechmatics_sync._concurrency.shared_thread.BATCHES", ((-1.0, 0.375),))


def spoken_early(came: list[tuple[float, bytes]]) -> list[int]:
    """The chunks that came before their last sample was spoken."""
    position, early = 0, []
    for number, (at, chunk) in enumerate(came):
        position += len(chunk)
        if at < position / SECOND:
            early.append(number)
    return early


def test_paced_audio_is_never_sent_before_it_is_spoken() -> None:
    audio, clock = noise(1.2), Clock()
    with serving(clock) as url, serving(Speaking()) as others:
        beside = [InThread(transcribe, others, speech(1), realtime=True) for _ in range(4)]
        assert transcribe(url, audio, realtime=True) == "word"
        assert [call.result() for call in beside] == ["word"] * 4
    assert b"".join(chunk for _, chunk in clock.came) == audio
    assert spoken_early(clock.came) == []


@pytest.mark.usefixtures("much_to_do")
def test_gathered_audio_keeps_its_chunks_loses_nothing_and_is_never_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And waits no longer than it is gathered, and a chunk.

    That is told by how much leaves together, and by the moment for which that was planned: what a
    busy machine makes of it is another matter.
    """
    planned: list[tuple[int, int, float]] = []
    take = Outbox.take_from_source

    def note(self: Outbox, chunks: Any, position: int, due: Any, *rest: Any, **more: Any) -> Any:
        wanted = take(self, chunks, position, due, *rest, **more)
        if isinstance(wanted, int) and chunks:
            planned.append((position, position + sum(map(len, chunks)), due))
        return wanted

    audio, clock = noise(2.0), Clock()
    monkeypatch.setattr(Outbox, "take_from_source", note)
    with serving(clock) as url:
        assert transcribe(url, audio, realtime=True) == "word"
    sizes = [len(chunk) for _, chunk in clock.came]
    assert b"".join(chunk for _, chunk in clock.came) == audio
    assert sizes[:-1] == [CHUNK] * (len(audio) // CHUNK)
    assert spoken_early(clock.came) == []
    together = [end - start for start, end, _ in planned]
    assert together == [3 * CHUNK] * (len(together) - 1) + [len(audio) % (3 * CHUNK)]
    begun = [due - end / SECOND for _, end, due in planned]
    assert max(begun) - min(begun) < 0.001, "it is not due when the last of it is spoken"


@pytest.mark.usefixtures("much_to_do")
def test_gathered_audio_of_several_channels_stays_whole_and_in_chunks() -> None:
    server = ChannelServer()
    sources = {"a": noise(1.0, seed=1), "b": noise(0.7, seed=2)}
    with serving(server) as url, MultiChannelClient(url=url, reconnect=None) as client:
        client.transcribe(sources, audio_format=RAW, realtime=True)
    for label, audio in sources.items():
        assert bytes(server.audio[label]) == audio
        assert server.sizes[label][:-1] == [CHUNK] * (len(audio) // CHUNK)


@pytest.mark.usefixtures("much_to_do")
def test_gathered_audio_is_sent_again_over_the_next_connection() -> None:
    assert problems_with_a_loss() == []
