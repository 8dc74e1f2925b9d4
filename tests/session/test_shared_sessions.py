"""Sessions that share their threads get in nobody's way.

Here every session shares, also the first.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Optional
from urllib.parse import urlsplit

import pytest
import trustme
from support.channel_server import ChannelServer
from support.fault_proxying import Counted, Witness
from support.forking import in_child
from support.reconnecting import POLICY, given, noise, pieces
from support.serving import PATIENCE, Peer, final, serving
from support.sessions import (
    END_OF_TRANSCRIPT,
    RAW,
    Blocking,
    InThread,
    client_of,
    let_sources_go,
    speech,
    wait_for,
)

from speechmatics_sync import (
    AudioError,
    AuthBase,
    Client,
    ConnectionConfig,
    MultiChannelClient,
    ReconnectPolicy,
    SessionError,
    TranscriptionConfig,
    TransportError,
)
from speechmatics_sync._session.outbox import Outbox
from speechmatics_sync.local import CountedRecognizer, Drop, Faults, LocalServer

__all__ = ["let_sources_go"]

SHARED = "speechmatics-shared"
CHUNK = RAW.chunk_size
SECOND = 32_000
"""Bytes of a second of audio."""


@pytest.fixture(autouse=True)
def everybody_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speechmatics_sync._concurrency.leases.OWN_THREADS", 0)


class Speaking:
    """A server that says a word at the end of each session, and remembers what it was sent."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []

    def __call__(self, peer: Peer) -> None:
        self.peers.append(peer)
        peer.start()
        assert peer.take_audio() == {"message": "EndOfStream", "last_seq_no": len(peer.audio)}
        peer.send(final("word"), END_OF_TRANSCRIPT)
        peer.wait_closed()

    def heard(self, audio: bytes) -> list[int]:
        """The sizes of the chunks of the session that was sent this audio, whole and in order."""
        (found,) = [peer for peer in self.peers if b"".join(peer.audio) == audio]
        return [len(chunk) for chunk in found.audio]


class Stuck(io.BytesIO):
    """Audio in memory, one of whose reads does not come back before the test lets it go.

    Attributes:
        read_by: The threads that read it, in order.
        stuck: That a read does not come back.
        fails: What that read raises when it is let go.
    """

    def __init__(self, audio: bytes, *, at: int = 2, fails: Optional[BaseException] = None) -> None:
        super().__init__(audio)
        self.read_by: list[str] = []
        self.stuck = threading.Event()
        self.released = threading.Event()
        self._at = at
        self._fails = fails

    def read(self, size: Optional[int] = -1) -> bytes:
        self.read_by.append(threading.current_thread().name)
        if len(self.read_by) == self._at:
            self.stuck.set()
            assert self.released.wait(PATIENCE)
            if self._fails is not None:
                raise self._fails
        return super().read(size)


def shared_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == SHARED]


def transcribe(url: str, source: Any, *, realtime: bool = False, **limits: Any) -> str:
    """One session from start to end; its text."""
    with client_of(url, **limits) as client:
        transcript = client.transcribe(
            source, audio_format=RAW, realtime=realtime, timeout=2 * PATIENCE
        )
    return transcript.text


def others_go_on(url: str, number: int = 3) -> None:
    """Sessions of several kinds begin and end, those that are paced as well."""
    calls = [InThread(transcribe, url, speech(0.3), realtime=True) for _ in range(number)]
    calls += [InThread(transcribe, url, given(pieces(speech(0.3)))) for _ in range(number)]
    assert [call.result() for call in calls] == ["word"] * len(calls)


@contextlib.contextmanager
def pushed_beside(url: str) -> Iterator[Client]:
    """A session that began before something happens to another, and goes on after it."""
    with client_of(url) as client:
        client.start_session(audio_format=RAW)
        client.send_audio(speech(0.1))
        yield client
        client.send_audio(speech(0.1))
        assert client.stop_session(timeout=PATIENCE).text == "word"


# -- what a session's user does delays nobody else ----------------------------------------------


def test_a_slow_handler_delays_nobody_elses_messages() -> None:
    with serving(Speaking()) as url, client_of(url) as client:
        busy, go_on = threading.Event(), threading.Event()

        @client.on("AudioAdded")
        def wait(message: dict[str, Any]) -> None:
            busy.set()
            wait_for(go_on)

        slow = InThread(client.transcribe, speech(0.5), audio_format=RAW)
        wait_for(busy)
        others_go_on(url)
        assert slow.running
        go_on.set()
        assert slow.result().text == "word"


def test_a_handler_so_slow_that_reading_pauses_delays_nobody_and_misses_nothing() -> None:
    said, go_on = threading.Event(), threading.Event()

    def talk(peer: Peer) -> None:
        peer.start()
        for number in range(400):
            peer.send({"message": "Novelty", "number": number, "padding": "x" * 20_000})
        said.set()
        peer.take_audio()
        peer.send(final("word"), END_OF_TRANSCRIPT)

    seen: list[int] = []
    busy = threading.Event()
    with serving(talk) as url, serving(Speaking()) as others, client_of(url, max_queue=4) as client:

        @client.on("Novelty")
        def wait(message: dict[str, Any]) -> None:
            seen.append(message["number"])
            busy.set()
            wait_for(go_on)

        slow = InThread(client.transcribe, speech(0.1), audio_format=RAW)
        wait_for(busy)
        others_go_on(others)
        # Eight megabytes are more than the network holds: nothing reads them meanwhile.
        assert not said.is_set()
        assert client.stats.messages_received < 400
        go_on.set()
        assert slow.result().text == "word"
    assert seen == list(range(400))


@pytest.mark.parametrize("realtime", [False, True], ids=["as it comes", "paced"])
def test_a_source_that_waits_for_audio_delays_nobody(realtime: bool) -> None:
    """Its own sender thread reads it, for it may wait at any time."""
    source = Blocking()
    read_by: list[str] = []

    def waiting() -> Iterator[bytes]:
        for _ in range(3):
            read_by.append(threading.current_thread().name)
            yield speech(0.1)
        source.read(1)
        yield speech(0.1)

    with serving(Speaking()) as url:
        slow = InThread(transcribe, url, waiting(), realtime=realtime)
        wait_for(source.blocked)
        others_go_on(url)
        assert slow.running
        source.released.set()
        assert slow.result() == "word"
    assert [name.endswith("-sender") for name in read_by] == [True] * 3


def test_get_auth_headers_that_takes_its_time_delays_nobody() -> None:
    asked, go_on = threading.Event(), threading.Event()

    class Slow(AuthBase):
        def get_auth_headers(self) -> dict[str, str]:
            asked.set()
            wait_for(go_on)
            return {}

    with serving(Speaking()) as url, Client(Slow(), url=url, reconnect=None) as client:
        slow = InThread(client.transcribe, speech(0.1), audio_format=RAW)
        wait_for(asked)
        others_go_on(url)
        assert slow.running
        go_on.set()
        assert slow.result().text == "word"


# -- a source that has all its audio at hand and is slow nevertheless ---------------------------


def test_a_paced_source_that_holds_up_the_others_is_read_by_its_own_thread_from_then_on() -> None:
    audio = noise(1.0)
    source = Stuck(audio)
    server = Speaking()
    with serving(server) as url:
        slow = InThread(transcribe, url, source, realtime=True)
        wait_for(source.stuck)
        others_go_on(url)
        assert slow.running
        assert source.read_by == [SHARED] * 2
        source.released.set()
        assert slow.result() == "word"
    assert server.heard(audio)[:-1] == [CHUNK] * (len(audio) // CHUNK)
    alone = [name for name in source.read_by if name != SHARED]
    assert alone, "the source was read in the shared thread to its end"
    assert source.read_by[-len(alone) :] == alone, "it came back to the shared thread"
    assert all(name.endswith("-sender") for name in alone)


def test_several_sources_that_hold_up_the_others_one_after_the_other_are_left_alone() -> None:
    audio = [noise(0.6, seed=seed) for seed in range(4)]
    sources = [Stuck(each, at=1 + seed) for seed, each in enumerate(audio)]
    server = Speaking()
    with serving(server) as url:
        slow = [InThread(transcribe, url, source, realtime=True) for source in sources]
        for source in sources:
            wait_for(source.stuck)
        others_go_on(url)
        assert all(call.running for call in slow)
        for source in reversed(sources):
            source.released.set()
        assert [call.result() for call in slow] == ["word"] * 4
    for each in audio:
        server.heard(each)


def test_close_returns_while_a_paced_source_is_stuck_and_nothing_is_touched_afterwards() -> None:
    source = Stuck(noise(1.0))
    heard: list[bytes] = []

    def listen(peer: Peer) -> None:
        peer.start()
        try:
            peer.take_audio()
        finally:
            heard.extend(peer.audio)

    with serving(listen) as url, serving(Speaking()) as others, pushed_beside(others):
        # Longer than the test waits: whoever is in the user's hands is not waited for so long.
        with client_of(url, close_timeout=5 * PATIENCE) as client:
            slow = InThread(client.transcribe, source, audio_format=RAW, realtime=True)
            wait_for(source.stuck)
            InThread(client.close).result()
            with pytest.raises(SessionError):
                slow.result()
            sent, reads = client.audio_bytes_sent, len(source.read_by)
            others_go_on(others)
            assert not source.released.is_set()
            (sender,) = [thread for thread in threading.enumerate() if "-sender" in thread.name]
            # Who closes the source waits until nobody is inside it.
            source.released.set()
            sender.join(PATIENCE)
            assert not sender.is_alive()
            assert len(source.read_by) == reads
            assert client.audio_bytes_sent == sent
        assert not source.closed, "a file of the user's"
    assert len(b"".join(heard)) <= CHUNK


def test_a_source_that_fails_when_its_session_has_long_ended_harms_nobody() -> None:
    source = Stuck(noise(1.0), fails=OSError("the disk is gone"))
    with serving(Speaking()) as url, pushed_beside(url):
        with client_of(url, close_timeout=2) as client:
            slow = InThread(client.transcribe, source, audio_format=RAW, realtime=True)
            wait_for(source.stuck)
            client.close()
            with pytest.raises(SessionError):
                slow.result()
        others_go_on(url)
        source.released.set()
        others_go_on(url)


# -- what fails -----------------------------------------------------------------------------------


class Failing(io.BytesIO):
    """Audio in memory that cannot be read any more after some reads."""

    def __init__(self, audio: bytes, *, at: int) -> None:
        super().__init__(audio)
        self._left = at

    def read(self, size: Optional[int] = -1) -> bytes:
        self._left -= 1
        if not self._left:
            raise OSError("the disk is gone")
        return super().read(size)


@pytest.mark.parametrize("at", [1, 3])
def test_a_paced_source_that_fails_ends_its_own_session_and_no_other(at: int) -> None:
    with serving(Speaking()) as url, pushed_beside(url):
        paced = InThread(transcribe, url, speech(1), realtime=True)
        with pytest.raises(AudioError, match="the disk is gone"):
            transcribe(url, Failing(noise(1.0), at=at), realtime=True)
        assert paced.result() == "word"


def test_a_source_that_fails_when_it_has_been_handed_over_ends_its_own_session_only() -> None:
    source = Stuck(noise(1.0), fails=OSError("the disk is gone"))
    with serving(Speaking()) as url, pushed_beside(url):
        failing = InThread(transcribe, url, source, realtime=True)
        wait_for(source.stuck)
        others_go_on(url)
        source.released.set()
        with pytest.raises(AudioError, match="the disk is gone"):
            failing.result()


@pytest.mark.parametrize(
    "garbage",
    [b"\xf1\x00", b"\x81\x85abcdhello", b"\x81\x04nope", b"\x81\x02[]"],
    ids=["reserved bits", "a masked frame", "not JSON", "not an object"],
)
def test_a_server_that_breaks_the_protocol_ends_that_session_and_no_other(garbage: bytes) -> None:
    def break_it(peer: Peer) -> None:
        peer.start()
        peer.receive()
        peer.connection.socket.sendall(garbage)
        peer.wait_closed()

    with serving(Speaking()) as url, serving(break_it) as broken, pushed_beside(url):
        paced = InThread(transcribe, url, speech(1), realtime=True)
        with pytest.raises(TransportError):
            transcribe(broken, speech(1), realtime=True)
        assert paced.result() == "word"


def test_a_handler_that_raises_ends_its_own_session_and_no_other() -> None:
    with serving(Speaking()) as url, pushed_beside(url), client_of(url) as client:

        @client.on("AudioAdded")
        def fail(message: dict[str, Any]) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            client.transcribe(speech(0.5), audio_format=RAW, realtime=True)


# -- how long the threads live --------------------------------------------------------------------


def test_the_threads_are_the_same_for_all_end_with_the_last_session_and_begin_again() -> None:
    with serving(Speaking()) as url:
        assert shared_threads() == []
        before: set[threading.Thread] = set()
        for _ in range(2):
            with client_of(url) as first:
                first.start_session(audio_format=RAW)
                threads = set(shared_threads())
                assert len(threads) == 2, "one serves, the other watches it"
                assert not threads & before
                with pushed_beside(url), pushed_beside(url):
                    assert set(shared_threads()) == threads
                assert set(shared_threads()) == threads
                assert first.stop_session(timeout=PATIENCE).text == "word"
            assert shared_threads() == []
            before = threads


def test_sessions_that_begin_while_the_last_one_ends_are_served() -> None:
    with serving(Speaking()) as url:

        def one_after_the_other() -> list[str]:
            return [transcribe(url, speech(0.05), realtime=True) for _ in range(12)]

        calls = [InThread(one_after_the_other) for _ in range(3)]
        assert [call.result() for call in calls] == [["word"] * 12] * 3
    assert shared_threads() == []


def test_a_thread_whose_place_was_taken_ends_when_its_read_comes_back() -> None:
    source = Stuck(noise(0.4))
    with serving(Speaking()) as url:
        slow = InThread(transcribe, url, source, realtime=True)
        wait_for(source.stuck)
        others_go_on(url)
        source.released.set()
        assert slow.result() == "word"
    # Whatever is left fails the test: see `conftest`.


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_sessions_of_a_child_process_have_a_thread_of_their_own_and_the_parents_go_on() -> None:
    with serving(Speaking()) as url, pushed_beside(url):
        paced = InThread(transcribe, url, speech(1.5), realtime=True)

        def child() -> None:
            for _ in range(2):
                assert transcribe(url, speech(0.3), realtime=True) == "word"
                others_go_on(url, 2)

        in_child(child)
        assert paced.running or paced.result() == "word"
        in_child(child)
        assert paced.result() == "word"
        others_go_on(url)


# -- many sessions of all kinds -------------------------------------------------------------------


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


# -- paced audio ----------------------------------------------------------------------------------


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


# -- connections that are lost, or replaced -------------------------------------------------------


def problems_with_a_loss() -> list[str]:
    """Of a session that loses its connection twice, while others go on."""
    counted = Counted(first=1, count=6)
    faults = Faults()
    faults.add(Drop("reset"), after_seconds=1)
    faults.add(Drop("fin"), after_seconds=1)
    recognizer = CountedRecognizer(delay=0.1)
    with LocalServer(recognizer=recognizer, strict=True, faults=faults) as server:
        with serving(Speaking()) as url, pushed_beside(url):
            others = [InThread(transcribe, url, speech(2), realtime=True) for _ in range(3)]
            with Client(url=server.url, reconnect=POLICY) as client:
                witness = Witness(client, {None: counted})
                transcript = client.transcribe(
                    counted.audio(),
                    audio_format=RAW,
                    realtime=True,
                    transcription_config=TranscriptionConfig(max_delay=1),
                    timeout=PATIENCE,
                )
                problems = witness.problems(transcript, client.stats)
            assert [other.result() for other in others] == ["word"] * 3
        assert len(faults.happened) == 2
        assert witness.outages == 2
    return problems


def test_a_session_that_loses_its_connections_heals_while_others_go_on() -> None:
    assert problems_with_a_loss() == []


@pytest.mark.timeout(90)
def test_a_session_moves_to_another_connection_while_others_go_on() -> None:
    counted = Counted(first=1, count=10)
    policy = ReconnectPolicy(initial_delay=0.01, session_limit=8.5, rollover_margin=8.0)
    with LocalServer(recognizer=CountedRecognizer(delay=0.3), strict=True) as server:
        with serving(Speaking()) as url, pushed_beside(url):
            others = [InThread(transcribe, url, speech(2), realtime=True) for _ in range(3)]
            with Client(url=server.url, reconnect=policy) as client:
                witness = Witness(client, {None: counted})
                transcript = client.transcribe(
                    counted.audio(),
                    audio_format=RAW,
                    realtime=True,
                    transcription_config=TranscriptionConfig(max_delay=2),
                    timeout=2 * PATIENCE,
                )
                assert witness.problems(transcript, client.stats) == []
            assert [other.result() for other in others] == ["word"] * 3
        assert witness.outages >= 1
        assert [connection.error for connection in server.sessions if connection.error] == []


def test_a_session_whose_server_vanishes_ends_and_no_other_does() -> None:
    def vanish(peer: Peer) -> None:
        peer.start()
        peer.receive()
        peer.connection.socket.shutdown(2)

    with serving(Speaking()) as url, serving(vanish) as vanishing, pushed_beside(url):
        paced = InThread(transcribe, url, speech(1), realtime=True)
        with pytest.raises(ConnectionError):
            transcribe(vanishing, speech(1), realtime=True)
        assert paced.result() == "word"


# -- what callers ask for -------------------------------------------------------------------------


def test_answers_come_to_a_caller_whose_handler_is_busy() -> None:
    """Settled in the shared thread, whatever waits for handlers."""

    def answer(peer: Peer) -> None:
        peer.start()
        peer.audio.append(bytes(peer.receive()))
        peer.acknowledge()
        peer.send(final("word"))
        assert peer.receive() == {"message": "GetSpeakers"}
        peer.send({"message": "SpeakersResult", "speakers": []})
        peer.take_audio()
        peer.send(END_OF_TRANSCRIPT)

    with serving(answer) as url, client_of(url) as client:
        busy, go_on = threading.Event(), threading.Event()

        @client.on("AddTranscript")
        def wait(message: dict[str, Any]) -> None:
            busy.set()
            wait_for(go_on)

        client.start_session(audio_format=RAW)
        client.send_audio(speech(0.1))
        wait_for(busy)
        assert client.get_speakers(timeout=PATIENCE) == []
        go_on.set()
        client.end_of_stream()
        client.stop_session(timeout=PATIENCE)


def test_audio_that_the_network_does_not_take_holds_up_its_own_session_only() -> None:
    """A server that stops reading, with megabytes on their way to it."""
    reads = threading.Event()
    heard: list[int] = []

    def stop_reading(peer: Peer) -> None:
        peer.start()
        wait_for(reads)
        message = peer.take_audio()
        heard.extend(map(len, peer.audio))
        assert json.dumps(message).count("EndOfStream") == 1
        peer.send(final("word"), END_OF_TRANSCRIPT)

    audio = noise(400)
    with serving(stop_reading) as slow_url, serving(Speaking()) as url, pushed_beside(url):
        slow = InThread(transcribe, slow_url, audio, max_unacked_chunks=100_000)
        others_go_on(url)
        assert slow.running
        reads.set()
        assert slow.result() == "word"
    assert sum(heard) == len(audio)
