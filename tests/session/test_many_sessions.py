"""Forty sessions of all kinds share their threads, and each hears every word once."""

from __future__ import annotations

import asyncio
import contextlib
import io
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable
from urllib.parse import urlsplit

import pytest
import trustme
from support.fault_proxying import Counted, Witness
from support.reconnecting import POLICY, pieces
from support.serving import PATIENCE
from support.sessions import RAW, let_sources_go, wait_for
from support.sharing import shared_threads

from speechmatics_sync import Client, ConnectionConfig, MultiChannelClient, TranscriptionConfig
from speechmatics_sync.local import CountedRecognizer, LocalServer

__all__ = ["let_sources_go"]


class Kind:
    """One session of counted audio, by itself judged."""

    def __init__(self, url: str, number: int, limits: ConnectionConfig) -> None:
        self.first = Counted(first=100 * number + 1, count=4)
        self.second = Counted(first=100 * number + 51, count=3)
        self.url = url
        self.limits = limits
        self.options = {
            "audio_format": RAW,
            "transcription_config": TranscriptionConfig(max_delay=2, enable_partials=True),
        }

    def problems(self, run: Callable[[Kind, Any], Any], *, several: bool = False) -> list[str]:
        channels: Any = {"a": self.first, "b": self.second} if several else {None: self.first}
        kind: Any = MultiChannelClient if several else Client
        with kind(url=self.url, conn_config=self.limits, reconnect=POLICY) as client:
            witness = Witness(client, channels)
            return witness.problems(run(self, client), client.stats)

    def paced(self, client: Any) -> Any:
        return client.transcribe(self.first.audio(), realtime=True, **self.options)

    def all_at_once(self, client: Any) -> Any:
        return client.transcribe(io.BytesIO(self.first.audio()), **self.options)

    def waiting(self, client: Any) -> Any:
        return client.transcribe(_now_and_then(self.first.audio()), **self.options)

    def pushed(self, client: Any) -> Any:
        client.start_session(**self.options)
        for chunk in pieces(self.first.audio()):
            client.send_audio(chunk, timeout=PATIENCE)
        return client.stop_session()

    def pulled(self, client: Any) -> Any:
        with client.stream(self.first.audio(), realtime=True, **self.options) as stream:
            assert [message["message"] for message in stream][-1] == "EndOfTranscript"
            return stream.transcript

    def by_channel(self, client: Any) -> Any:
        sources = {"a": self.first.audio(), "b": _now_and_then(self.second.audio())}
        return client.transcribe(sources, **self.options)

    def by_channel_paced(self, client: Any) -> Any:
        sources = {"a": self.first.audio(), "b": io.BytesIO(self.second.audio())}
        return client.transcribe(sources, realtime=True, **self.options)


def _now_and_then(audio: bytes) -> Iterator[bytes]:
    """Audio that is waited for before each piece."""
    for piece in pieces(audio, 6000):
        threading.Event().wait(0.02)
        yield piece


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextlib.contextmanager
def behind_tls(url: str, authority: trustme.CA) -> Iterator[str]:
    """Lead to a server of this machine by TLS; give the URL that does.

    In one thread, for a server of threads would read and write one TLS socket in two of them.
    """
    address = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    ready, found = threading.Event(), [0]
    ending: list[Callable[[], object]] = []

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                carried = await source.read(65536)
                if not carried:
                    break
                sink.write(carried)
                await sink.drain()
        with contextlib.suppress(OSError):
            sink.close()
            await sink.wait_closed()

    async def lead(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(address.hostname, address.port)
        await asyncio.gather(carry(source, back), carry(there, sink))

    async def main() -> None:
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        ending.append(lambda: loop.call_soon_threadsafe(end.set))
        server = await asyncio.start_server(lead, "127.0.0.1", 0, ssl=context)
        found[0] = server.sockets[0].getsockname()[1]
        ready.set()
        await end.wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    wait_for(ready)
    try:
        yield f"wss://localhost:{found[0]}{address.path}"
    finally:
        ending[0]()
        thread.join()


def problems_of_forty(url: str, **limits: Any) -> list[list[str]]:
    config = ConnectionConfig(open_timeout=PATIENCE, start_timeout=PATIENCE, **limits)
    kinds: list[tuple[Callable[[Kind, Any], Any], bool]] = [
        (Kind.paced, False),
        (Kind.all_at_once, False),
        (Kind.waiting, False),
        (Kind.pushed, False),
        (Kind.pulled, False),
        (Kind.by_channel, True),
        (Kind.by_channel_paced, True),
        (Kind.paced, False),
    ]
    with ThreadPoolExecutor(40) as pool:
        judged = [
            pool.submit(Kind(url, number, config).problems, run, several=several)
            for number, (run, several) in enumerate(kinds * 5)
        ]
        return [each.result() for each in judged]


@pytest.mark.timeout(120)
def test_forty_sessions_of_all_kinds_at_once_hear_every_word_once() -> None:
    with LocalServer(recognizer=CountedRecognizer(delay=0.1), strict=True) as server:
        assert problems_of_forty(server.url) == [[]] * 40
    assert shared_threads() == []


@pytest.mark.timeout(120)
def test_forty_sessions_over_tls_hear_every_word_once(authority: trustme.CA) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    recognizer = CountedRecognizer(delay=0.1)
    with contextlib.ExitStack() as running:
        server = running.enter_context(LocalServer(recognizer=recognizer, strict=True))
        url = running.enter_context(behind_tls(server.url, authority))
        assert problems_of_forty(url, ssl_context=trusting) == [[]] * 40
    assert shared_threads() == []
