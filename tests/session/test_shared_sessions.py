"""Sessions that share their threads do not delay or end each other.

In these tests every session shares, the first one too.
"""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Iterator
from typing import Any, Optional

import pytest
from support.fault_proxying import Counted, Witness
from support.forking import in_child
from support.reconnecting import noise
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
from support.sharing import (
    Speaking,
    others_go_on,
    problems_with_a_loss,
    pushed_beside,
    shared_threads,
    transcribe,
)

from speechmatics_sync import (
    AudioError,
    AuthBase,
    Client,
    ReconnectPolicy,
    SessionError,
    TranscriptionConfig,
    TransportError,
)
from speechmatics_sync.local import CountedRecognizer, LocalServer

__all__ = ["let_sources_go"]

CHUNK = RAW.chunk_size


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


# -- what a session's user does delays no other session -----------------------------------------


def test_a_slow_handler_delays_no_other_sessions_messages() -> None:
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


def test_a_handler_so_slow_that_reading_pauses_delays_no_other_and_misses_nothing() -> None:
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
def test_a_source_that_waits_for_audio_delays_no_other(realtime: bool) -> None:
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


def test_get_auth_headers_that_takes_its_time_delays_no_other() -> None:
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


def test_a_paced_source_that_may_have_to_wait_is_read_by_its_own_thread() -> None:
    audio = noise(1.0)
    source = Stuck(audio)
    server = Speaking()
    with serving(server) as url:
        slow = InThread(transcribe, url, source, realtime=True)
        wait_for(source.stuck)
        others_go_on(url)
        assert slow.running
        source.released.set()
        assert slow.result() == "word"
    assert server.heard(audio)[:-1] == [CHUNK] * (len(audio) // CHUNK)
    assert all(name.endswith("-sender") for name in source.read_by)


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
        # Longer than the test waits: for a thread in a user's code close() waits less.
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
            # The source is closed when no thread is inside it any more.
            source.released.set()
            sender.join(PATIENCE)
            assert not sender.is_alive()
            assert len(source.read_by) == reads
            assert client.audio_bytes_sent == sent
        assert not source.closed, "a file of the user's"
    assert len(b"".join(heard)) <= CHUNK


def test_a_source_that_fails_when_its_session_has_long_ended_harms_no_other() -> None:
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
        paced = InThread(transcribe, url, speech(0.5), realtime=True)
        with pytest.raises(AudioError, match="the disk is gone"):
            transcribe(url, Failing(noise(1.0), at=at), realtime=True)
        assert paced.result() == "word"


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
        paced = InThread(transcribe, url, speech(0.5), realtime=True)
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
                assert len(threads) == 1
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


# -- connections that are lost, or replaced -------------------------------------------------------


def test_a_session_that_loses_its_connections_heals_while_others_go_on() -> None:
    assert problems_with_a_loss() == []


@pytest.mark.timeout(90)
def test_a_session_moves_to_another_connection_while_others_go_on() -> None:
    counted = Counted(first=1, count=6)
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
        paced = InThread(transcribe, url, speech(0.5), realtime=True)
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
