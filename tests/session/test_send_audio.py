"""Audio that is pushed: what is taken, in which pieces, and when it waits."""

from __future__ import annotations

import array
import threading
from typing import Any

import pytest
from support.pushed import Recorder
from support.serving import Peer, serving
from support.sessions import END_OF_TRANSCRIPT, RAW, InThread, client_of, wait_for

from speechmatics_sync import (
    AudioError,
    ConfigurationError,
    SessionError,
    TimeoutError,
)


class Window:
    """A server that acknowledges only when the test says so."""

    def __init__(self) -> None:
        self.audio: list[bytes] = []
        self.taken = threading.Semaphore(0)
        self.acknowledge = threading.Semaphore(0)

    def __call__(self, peer: Peer) -> None:
        peer.start()

        def acknowledge() -> None:
            number = 0
            while self.acknowledge.acquire() and not done.is_set():
                number += 1
                peer.send({"message": "AudioAdded", "seq_no": number})

        done = threading.Event()
        acknowledging = threading.Thread(target=acknowledge)
        acknowledging.start()
        try:
            while isinstance(message := peer.receive(), bytes):
                self.audio.append(message)
                self.taken.release()
            assert message["last_seq_no"] == len(self.audio)
        finally:
            done.set()
            self.acknowledge.release()
            acknowledging.join()
        peer.send({"message": "AudioAdded", "seq_no": len(self.audio)}, END_OF_TRANSCRIPT)

    def wait_taken(self, chunks: int) -> None:
        for _ in range(chunks):
            assert self.taken.acquire(timeout=20)


@pytest.mark.parametrize(
    "payload",
    [
        b"\1\0\2\0",
        bytearray(b"\1\0\2\0"),
        memoryview(b"\1\0\2\0"),
        memoryview(b"..\1\0\2\0")[2:],
        array.array("h", [1, 2]),
    ],
    ids=lambda payload: type(payload).__name__,
)
def test_send_audio_takes_what_is_bytes_like(payload: Any) -> None:
    server = Recorder()
    with serving(server) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        client.send_audio(payload)
        client.send_audio(b"")
        client.stop_session()
    assert server.received[1:-1] == [b"\1\0\2\0"]


@pytest.mark.parametrize(
    "payload",
    ["text", None, 5, [1, 2], {"a": 1}, array.array("d", [1.0]), memoryview(b"abcd")[::2]],
)
def test_what_is_not_audio_is_refused_and_the_session_goes_on(payload: Any) -> None:
    server = Recorder()
    with serving(server) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        with pytest.raises(AudioError) as caught:
            client.send_audio(payload)
        assert caught.value.request_id == client.request_id
        client.send_audio(b"ab")
        client.stop_session()
    assert server.received[1:-1] == [b"ab"]


def test_a_buffer_may_be_used_again_once_it_was_sent() -> None:
    server = Window()
    with serving(server) as url, client_of(url, max_unacked_chunks=1) as client:
        client.start_session(audio_format=RAW)
        buffer = bytearray(b"11")
        client.send_audio(buffer)
        buffer[:] = b"22"
        server.wait_taken(1)
        client.stop_session()
    assert server.audio == [b"11"]


def test_halves_of_samples_meet_across_calls_and_the_last_is_dropped_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Recorder()
    with serving(server) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        for payload in (b"abc", b"d", b"e", b"fg"):
            client.send_audio(payload)
        client.stop_session()
        assert client.audio_bytes_sent == 6
    assert server.received[1:-1] == [b"ab", b"cd", b"ef"]
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "half a sample" in record.getMessage()


def test_audio_waits_at_the_window_and_goes_on_with_the_acknowledgement() -> None:
    server = Window()
    with serving(server) as url, client_of(url, max_unacked_chunks=2) as client:
        client.start_session(audio_format=RAW)
        client.send_audio(b"11")
        client.send_audio(b"22")
        server.wait_taken(2)
        third = InThread(client.send_audio, b"33")
        with pytest.raises(TimeoutError, match="nothing of the payload was taken"):
            client.send_audio(b"no", timeout=0.1)
        with pytest.raises(TimeoutError):
            client.send_audio(b"no", timeout=0)
        assert third.running
        assert client.audio_bytes_sent == 4
        server.acknowledge.release()
        third.result()
        server.wait_taken(1)
        client.end_of_stream()
        client.stop_session()
    assert server.audio == [b"11", b"22", b"33"]


@pytest.mark.parametrize("timeout", [-1, True, "1", float("nan"), float("inf")])
def test_the_timeout_of_a_call_is_in_seconds(timeout: Any) -> None:
    with serving(Recorder()) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        for call in (
            lambda: client.send_audio(b"ab", timeout=timeout),
            lambda: client.get_speakers(timeout=timeout),
        ):
            with pytest.raises(ConfigurationError, match="timeout"):
                call()
        client.stop_session()


def test_many_threads_send_whole_chunks() -> None:
    server = Recorder()
    with serving(server) as url, client_of(url, max_unacked_chunks=3) as client:
        client.start_session(audio_format=RAW)

        def send(byte: int) -> None:
            for _ in range(20):
                client.send_audio(bytes([byte]) * 8)

        for call in [InThread(send, byte) for byte in range(20)]:
            call.result()
        client.stop_session()
    audio = server.received[1:-1]
    assert len(audio) == 400
    assert all(len(chunk) == 8 and len(set(chunk)) == 1 for chunk in audio)
    assert {chunk[0]: audio.count(chunk) for chunk in audio} == dict.fromkeys(range(20), 20)


def test_threads_that_wait_for_room_all_learn_of_the_end() -> None:
    server = Window()
    with serving(server) as url:
        client = client_of(url, max_unacked_chunks=1, close_timeout=1)
        client.start_session(audio_format=RAW)
        client.send_audio(b"ab")
        server.wait_taken(1)
        calls = [InThread(client.send_audio, b"ab") for _ in range(5)]
        client.close()
        for call in calls:
            with pytest.raises(SessionError, match=r"close\(\)"):
                call.result()


def test_the_network_is_not_waited_for_with_the_lock_held() -> None:
    """Large chunks fill the network; other calls still return."""
    reading = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        wait_for(reading)
        peer.wait_closed()

    with serving(behave, max_size=None, max_queue=1) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)

        def send() -> None:
            for _ in range(8):
                client.send_audio(bytes(4 << 20))

        call = InThread(send)
        while not client.stats.bytes_waiting:
            assert call.running
        assert client.audio_bytes_sent >= 4 << 20
        with pytest.raises(TimeoutError):
            client.get_speakers(timeout=0.1)
        assert call.running
        reading.set()
        client.close()
        with pytest.raises(SessionError):
            call.result()
