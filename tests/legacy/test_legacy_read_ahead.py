"""An asynchronous source is read ahead of the thread that sends it: boundedly, and in order."""

from __future__ import annotations

import asyncio
from typing import Any, Union

import pytest
from support.legacy.sessions import CHUNKS, CONFIG, RAW, AsyncAudio, client_of
from support.legacy.sessions import old_server as old_server
from support.serving import Peer, serving

from speechmatics_sync.legacy.client import WebsocketClient
from speechmatics_sync.legacy.models import TranscriptionConfig
from speechmatics_sync.local import LocalServer

READS = 60


class Numbered:
    """Gives its chunks at once; each holds its number."""

    number = 0

    async def read(self, size: int) -> bytes:
        self.number += 1
        return bytes([self.number]) * size if self.number <= READS else b""


class Server:
    """Acknowledges a chunk when it has come, and notes what came."""

    def __init__(self) -> None:
        self.came: list[Union[str, int]] = []

    def __call__(self, peer: Peer) -> None:
        peer.start()
        while True:
            message = peer.receive()
            if isinstance(message, bytes):
                self.came.append(message[0])
                peer.send({"message": "AudioAdded", "seq_no": message[0]})
                continue
            self.came.append(message["message"])
            if message["message"] == "EndOfStream":
                assert message["last_seq_no"] == READS
                peer.send({"message": "EndOfTranscript"})
                return


def client_with_a_window_of_one(url: str) -> WebsocketClient:
    return client_of(url, message_buffer_size=1)


def test_few_chunks_are_read_before_they_can_be_sent() -> None:
    server, ahead = Server(), []

    class Watched(Numbered):
        async def read(self, size: int) -> bytes:
            ahead.append(self.number - len(server.came))
            return await super().read(size)

    with serving(server) as url:
        client_with_a_window_of_one(url).run_synchronously(Watched(), CONFIG, RAW)
    assert server.came == [*range(1, READS + 1), "EndOfStream"]
    assert max(ahead) <= 20


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_source_may_use_its_buffer_again(kind: type) -> None:
    server = Server()

    class Reusing(Numbered):
        buffer = bytearray(RAW.chunk_size)
        view: Any = memoryview(buffer) if kind is memoryview else buffer

        async def read(self, size: int) -> Any:
            chunk = await super().read(size)
            self.buffer[: len(chunk)] = chunk
            return self.view if chunk else b""

    with serving(server) as url:
        client_with_a_window_of_one(url).run_synchronously(Reusing(), CONFIG, RAW)
    assert server.came == [*range(1, READS + 1), "EndOfStream"]


def test_new_settings_are_sent_between_the_chunks_before_and_after_them() -> None:
    server = Server()

    class Updating(Numbered):
        async def read(self, size: int) -> bytes:
            if self.number == 40:
                client.update_transcription_config(TranscriptionConfig("en", max_delay=2.0))
            return await super().read(size)

    with serving(server) as url:
        client = client_with_a_window_of_one(url)
        client.run_synchronously(Updating(), CONFIG, RAW)
    at = server.came.index("SetRecognitionConfig")
    assert server.came[at - 1 : at + 2] == [40, "SetRecognitionConfig", 41]


def test_stop_sends_what_was_read_and_nothing_after_it() -> None:
    server = Server()
    sent: list[Any] = []

    class Stopping(Numbered):
        async def read(self, size: int) -> bytes:
            if self.number == READS:
                client.stop()
            return await super().read(size)

    with serving(server) as url:
        client = client_with_a_window_of_one(url)
        client.add_middleware("EndOfStream", lambda message, _: sent.append(message["last_seq_no"]))
        client.run_synchronously(Stopping(), CONFIG, RAW)
    assert server.came == [*range(1, READS + 1), "EndOfStream"]
    assert sent == [READS]


def test_stop_does_not_wait_for_a_read_that_gives_nothing(old_server: LocalServer) -> None:
    class Hanging(Numbered):
        async def read(self, size: int) -> bytes:
            if self.number == 3:
                await asyncio.get_running_loop().create_future()
            return await super().read(size)

    client = client_of(old_server.url)
    client.add_event_handler("AudioAdded", lambda msg: msg["seq_no"] == 3 and client.stop())
    client.run_synchronously(Hanging(), CONFIG, RAW)
    assert old_server.sessions[-1].last_seq_no == 3


def test_handlers_of_acknowledgements_that_come_late_are_called(old_server: LocalServer) -> None:
    client = client_of(old_server.url)
    acknowledged: list[int] = []

    def add(_: dict[str, Any]) -> None:
        client.event_handlers["AudioAdded"].append(lambda msg: acknowledged.append(msg["seq_no"]))

    client.add_event_handler("RecognitionStarted", add)
    client.run_synchronously(AsyncAudio(), CONFIG, RAW)
    assert acknowledged == list(range(1, CHUNKS + 1))
