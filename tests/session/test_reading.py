"""What was read of a source is sent, whatever happens to the source afterwards."""

from __future__ import annotations

import io
import socket
from typing import Any, Optional

import pytest
from support.channel_server import ChannelServer
from support.fault_proxying import Counted
from support.reconnecting import noise
from support.serving import PATIENCE, Peer, listening, serving
from support.sessions import RAW, client_of, receive_frame, start_below

from speechmatics_sync import AudioError, MultiChannelClient
from speechmatics_sync.local import CountedRecognizer, LocalServer

CHUNK = RAW.chunk_size


class Failing(io.BytesIO):
    """Audio in memory, all at hand, one of whose reads fails."""

    def __init__(self, audio: bytes, *, at: int) -> None:
        super().__init__(audio)
        self._left = at
        self.reads_after = 0

    def read(self, size: Optional[int] = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            self.reads_after += 1
        if not self._left:
            raise OSError("the disk is gone")
        return super().read(size)


@pytest.fixture(params=[False, True], ids=["at full speed", "paced"])
def realtime(request: pytest.FixtureRequest) -> bool:
    paced: bool = request.param
    return paced


@pytest.mark.parametrize("at", [2, 5])
def test_all_that_was_read_before_a_source_failed_is_sent(at: int, realtime: bool) -> None:
    """Chunks are read together, and one that fails takes none of the others with it."""
    audio = noise(2.0)
    heard: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        """Take what comes as it comes: a library's server may drop it when the client closes."""
        start_below(connection)
        opcode, payload = receive_frame(connection)
        while opcode == 2:
            heard.append(payload)
            opcode, payload = receive_frame(connection)
        ended.append(opcode)

    source = Failing(audio, at=at)
    ended: list[int] = []
    with listening(listen) as port, client_of(f"ws://localhost:{port}/v2") as client:
        with pytest.raises(AudioError, match="the disk is gone"):
            client.transcribe(source, audio_format=RAW, realtime=realtime)
        assert client.audio_bytes_sent == (at - 1) * CHUNK
    assert heard == [audio[start : start + CHUNK] for start in range(0, (at - 1) * CHUNK, CHUNK)]
    assert ended == [8], "the client closes, and says nothing else before"
    assert source.reads_after == 0, "it was read again after it had failed"


class Once(io.BytesIO):
    """Audio in memory that cannot be read again."""

    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("kind", [io.BytesIO, Once])
def test_chunks_for_which_there_is_no_room_yet_are_sent_later_and_once(
    kind: type[io.BytesIO], window: int, realtime: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if there is room for some of those that were read together."""
    monkeypatch.setattr("speechmatics_sync._concurrency.shared_thread.LOAD_SECONDS", 0.0)
    monkeypatch.setattr("speechmatics_sync._concurrency.shared_thread.LIGHT_LOAD", -1.0)
    monkeypatch.setattr("speechmatics_sync._concurrency.shared_thread.BATCHES", ((-1.0, 0.6),))
    audio = noise(1.0)
    heard: list[bytes] = []

    def take_slowly(peer: Peer) -> None:
        """Acknowledge what fills the window only when nothing more can come."""
        peer.start()
        while True:
            message = peer.receive()
            if isinstance(message, dict):
                break
            peer.audio.append(message)
            heard.append(message)
            assert len(heard) <= len(audio) // CHUNK + 1, "more came than there is"
            if not len(heard) % window or sum(map(len, heard)) == len(audio):
                peer.acknowledge()
        assert message == {"message": "EndOfStream", "last_seq_no": len(heard)}
        peer.send({"message": "EndOfTranscript"})
        peer.wait_closed()

    with serving(take_slowly) as url, client_of(url, max_unacked_chunks=window) as client:
        client.transcribe(kind(audio), audio_format=RAW, realtime=realtime, timeout=PATIENCE)
    assert heard == [audio[start : start + CHUNK] for start in range(0, len(audio), CHUNK)]


@pytest.mark.parametrize("at", [1, 2, 5])
def test_a_channel_whose_source_fails_ends_after_all_that_was_read(at: int, realtime: bool) -> None:
    sources = {"a": Failing(noise(1.0, seed=1), at=at), "b": noise(0.5, seed=2)}
    server = ChannelServer()
    failures: list[dict[str, Any]] = []
    with serving(server) as url, MultiChannelClient(url=url, reconnect=None) as client:
        client.on("SourceError", failures.append)
        client.transcribe(
            sources, audio_format=RAW, realtime=realtime, on_source_error="end_channel"
        )
    assert bytes(server.audio["a"]) == noise(1.0, seed=1)[: (at - 1) * CHUNK]
    assert server.sizes["a"] == [CHUNK] * (at - 1)
    assert bytes(server.audio["b"]) == sources["b"]
    assert [failure["channel"] for failure in failures] == ["a"]


def test_words_before_a_source_failed_are_transcribed(realtime: bool) -> None:
    channels = {"a": Counted(first=1, count=4), "b": Counted(first=51, count=2)}
    # Eleven chunks are 1.41 s: three words and what comes after them.
    sources = {"a": Failing(channels["a"].audio(), at=12), "b": channels["b"].audio()}
    server = LocalServer(recognizer=CountedRecognizer(), strict=True)
    with server, MultiChannelClient(url=server.url, reconnect=None) as client:
        transcript = client.transcribe(
            sources, audio_format=RAW, realtime=realtime, on_source_error="end_channel"
        )
    for label, heard in (("a", 3), ("b", 2)):
        words = [word.content for word in transcript.channels[label].words]
        assert words == list(channels[label].words())[:heard]
