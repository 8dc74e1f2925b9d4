"""The embedded server when threads, descriptors or its own limits are used up, or clients leave."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import socket
import termios
import threading
import time
from typing import Any, Optional

import pytest
from support.local_wire import PATIENCE, Wire, run, words
from support.raw_handshake import answer_to, status_of
from websockets.sync.server import ServerConnection

from speechmatics_sync import AudioEncoding, AudioFormat, Client, ReconnectPolicy
from speechmatics_sync.local import CountedRecognizer, Drop, Faults, LocalServer, counted_audio
from speechmatics_sync.local._recognizer import Hypothesis

AUDIO = counted_audio(2)
PCM = AudioFormat(AudioEncoding.PCM_S16LE, 16000)


def local_server(**options: Any) -> LocalServer:
    return LocalServer(**{"recognizer": CountedRecognizer(), **options})


def is_served(server: LocalServer) -> bool:
    return words(run(server.url, counted_audio(1)).received) == ["w1"]


class NoThreads:
    """Keeps the server's threads from starting, as a system without room for them does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        self.failed = 0
        start = threading.Thread.start

        def failing(thread: threading.Thread) -> None:
            target = getattr(thread, "_target", None)
            ours = isinstance(getattr(target, "__self__", None), ServerConnection)
            name = getattr(target, "__name__", "") if ours and "local" not in thread.name else ""
            if kind in (thread.name, name) and not self.failed:
                self.failed += 1
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", failing)


@pytest.mark.parametrize("kind", ["speechmatics-local-session", "recv_events"])
def test_a_connection_without_a_thread_gets_503_and_the_next_is_served(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    with local_server() as server:
        none = NoThreads(monkeypatch, kind)
        assert status_of(server.port, f"Host: 127.0.0.1:{server.port}") == 503
        assert none.failed == 1
        assert is_served(server)
    assert "can't start new thread" in caplog.text


def test_a_channel_without_a_thread_ends_its_session_with_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with local_server() as server:
        none = NoThreads(monkeypatch, "speechmatics-local-channel")
        with Wire(server.url) as wire:
            wire.start_channels("a")
            wire.send({"message": "AddChannelAudio", "channel": "a", "data": "AAAA"})
            wire.rest()
        assert (wire.received[-1]["type"], wire.close_code) == ("unknown_error", 1011)
        assert none.failed == 1
        assert is_served(server)


def test_a_session_ends_in_good_order_without_a_thread_to_close_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with local_server() as server:
        none = NoThreads(monkeypatch, "speechmatics-local-close")
        assert is_served(server)
        assert none.failed == 1


def test_the_server_stops_without_threads_to_close_its_sessions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with local_server() as server, Wire(server.url) as wire:
        wire.start()
        none = NoThreads(monkeypatch, "speechmatics-local-close")
        server.stop()
        assert none.failed == 1
        wire.rest()


def test_without_descriptors_it_waits_for_some_and_does_not_spin(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[float] = []
    accept = socket.socket.accept

    def failing(listening: socket.socket) -> Any:
        tried.append(time.monotonic())
        if len(tried) <= 5:
            raise OSError(errno.EMFILE, "Too many open files")
        return accept(listening)

    with local_server() as server:
        monkeypatch.setattr(socket.socket, "accept", failing)
        assert is_served(server)
    assert tried[4] - tried[0] > 0.3
    assert caplog.text.count("Too many open files") == 1


class Gated(CountedRecognizer):
    """Recognises nothing until it is told to, and counts the frames."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.released = threading.Event(), threading.Event()
        self.frames = 0

    def start(self, *, language: str, partials: bool, channel: Optional[str] = None) -> Any:
        recognition = super().start(language=language, partials=partials)

        def feed(frame: Any) -> Hypothesis:
            self.entered.set()
            assert self.released.wait(PATIENCE)
            self.frames += 1
            return Hypothesis()

        recognition.feed = feed  # type: ignore[method-assign]
        return recognition


def test_it_stops_working_for_a_client_that_is_gone() -> None:
    recognizer = Gated()
    minute = bytes(60 * 32000)
    with local_server(recognizer=recognizer) as server:
        with Wire(server.url) as wire:
            wire.start()
            wire.send(minute)
            assert recognizer.entered.wait(PATIENCE)
            wire.send(*[bytes(320)] * 40)  # so many wait that the server reads no further
            sock = wire.connection.socket
            while any(fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4))):  # not all has arrived yet
                time.sleep(0.01)
            sock.shutdown(socket.SHUT_RDWR)
        recognizer.released.set()
        for thread in [one for one in threading.enumerate() if "local-session" in one.name]:
            thread.join(PATIENCE)
        assert server.sessions[0].ended
        assert recognizer.frames < 200, "of 3,000"


def test_a_client_that_finds_no_room_hears_503_and_it_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with local_server(max_sessions=1) as server, contextlib.ExitStack() as stack:
        for _ in range(51):
            stack.enter_context(Wire(server.url))
        answer = answer_to(server.port, f"Host: 127.0.0.1:{server.port}")
        assert answer.startswith("HTTP/1.1 503 ")
        assert "busy" in answer
    assert "HTTP 503" in caplog.text


def test_a_hundred_threads_are_all_served_by_a_server_for_five(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    failures: list[BaseException] = []
    heard: list[list[str]] = []

    def transcribe(url: str) -> None:
        policy = ReconnectPolicy(max_attempts=1000, max_delay=0.5, busy_delay=0.1)
        try:
            with Client(url=url, reconnect=policy) as client:
                transcript = client.transcribe(AUDIO, audio_format=PCM)
                heard.append([word.content for word in transcript.words])
        except BaseException as error:
            failures.append(error)

    with local_server(max_sessions=5) as server:
        threads = [threading.Thread(target=transcribe, args=(server.url,)) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert failures == []
    assert heard == [["w1", "w2"]] * 100


@pytest.mark.parametrize("how", ["reset", "fin"])
def test_a_client_that_is_cut_off_before_its_first_connection_tries_again(how: str) -> None:
    faults = Faults()
    faults.add(Drop(how=how), at="handshake", times=2)
    policy = ReconnectPolicy(initial_delay=0.01)
    with local_server(faults=faults) as server, Client(url=server.url, reconnect=policy) as client:
        heard = client.transcribe(AUDIO, audio_format=PCM)
        assert [word.content for word in heard.words] == ["w1", "w2"]
        assert len(faults.happened) == 2


def test_a_client_that_is_always_cut_off_is_told_that_there_may_be_no_room() -> None:
    faults = Faults()
    faults.add(Drop(), at="handshake", times=10)
    policy = ReconnectPolicy(max_attempts=2, initial_delay=0.01)
    with local_server(faults=faults) as server, Client(url=server.url, reconnect=policy) as client:
        with pytest.raises(ConnectionError, match="no room") as raised:
            client.transcribe(AUDIO, audio_format=PCM)
        assert "address right" not in str(raised.value)
        assert "2 times" in str(raised.value)
