from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any, Callable

import pytest
from support.audio.sources import wav
from support.scripts import run_script
from support.serving import PATIENCE, Peer, final, listening, serving
from support.sessions import (
    RAW,
    Blocking,
    InThread,
    client_of,
    let_sources_go,
    receive_frame,
    shake_hands,
    speech,
    start_below,
    wait_for,
)

from speechmatics_sync import AudioFormat, AuthBase, Client, ConnectionConfig, SessionError

__all__ = ["let_sources_go"]

pytestmark = pytest.mark.usefixtures("programs")


def runs(peer: Peer) -> None:
    peer.start()
    peer.take_audio()
    peer.wait_closed()


def test_close_is_idempotent_and_needs_no_session() -> None:
    with serving(runs) as url:
        client = client_of(url, close_timeout=2)
        client.close()
        client.close()
        client.start_session(audio_format=RAW)
        client.close()
        client.close()
        with client:
            pass
        with client:
            client.start_session(audio_format=RAW)


def test_close_shakes_hands_with_the_server() -> None:
    codes: list[Any] = []
    read = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        peer.wait_closed()
        codes.append((peer.connection.close_code, peer.connection.protocol.close_rcvd))
        read.set()

    with serving(behave) as url:
        client = client_of(url, close_timeout=5)
        client.start_session(audio_format=RAW)
        client.close()
        wait_for(read)
    assert codes[0][0] == 1000


@pytest.mark.parametrize("blocked", ["source", "window", "server", "handler"])
def test_close_from_another_thread_ends_transcribe_whatever_it_waits_for(blocked: str) -> None:
    reached = threading.Event()
    go_on = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        if blocked == "window":
            peer.receive()
            reached.set()
            peer.wait_closed()
        if blocked == "handler":
            peer.send(final("one"))
        peer.take_audio()
        reached.set()
        peer.wait_closed()

    def handle(message: Any) -> None:
        reached.set()
        wait_for(go_on)

    source = Blocking(speech(0.1)) if blocked == "source" else speech(1)
    if isinstance(source, Blocking):
        reached = source.blocked
    with serving(behave) as url:
        client = client_of(url, close_timeout=1, max_unacked_chunks=1)
        client.on("AddTranscript", handle)
        call = InThread(client.transcribe, source, audio_format=RAW)
        wait_for(reached)
        client.close()
        go_on.set()
        with pytest.raises(SessionError, match=r"close\(\) was called") as caught:
            call.result()
        assert caught.value.transcript is client.transcript


def test_close_ends_a_session_that_is_connecting() -> None:
    connected = threading.Event()

    def behave(connection: socket.socket) -> None:
        connected.set()
        connection.recv(1)
        while connection.recv(4096):
            pass

    with listening(behave) as port:
        client = client_of(f"ws://localhost:{port}", open_timeout=60, close_timeout=2)
        call = InThread(client.start_session, audio_format=RAW)
        wait_for(connected)
        client.close()
        assert [t for t in threading.enumerate() if t.name.startswith("speechmatics-")] == []
        with pytest.raises(SessionError, match=r"close\(\)"):
            call.result()


def test_close_ends_a_session_that_waits_for_its_key() -> None:
    class Slow(AuthBase):
        def get_auth_headers(self) -> dict[str, str]:
            asked.set()
            wait_for(go_on)
            return {}

    asked, go_on = threading.Event(), threading.Event()
    config = ConnectionConfig(close_timeout=PATIENCE)
    client = Client(Slow(), url="ws://localhost:1", conn_config=config)
    call = InThread(client.start_session, audio_format=RAW)
    wait_for(asked)
    begun = time.monotonic()
    client.close()
    assert time.monotonic() - begun < PATIENCE / 2
    with pytest.raises(SessionError, match=r"close\(\)"):
        call.result()
    go_on.set()


def test_close_ends_a_session_whose_source_has_not_even_been_opened(tmp_path: Path) -> None:
    """A FIFO that nobody writes to: opening it blocks."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    opening = threading.Event()

    class Fifo:
        def __fspath__(self) -> str:
            if threading.current_thread() is not call_thread[0]:
                opening.set()
            return str(path)

    call_thread: list[threading.Thread] = []
    client = client_of("ws://localhost:1", close_timeout=2)

    def transcribe() -> None:
        call_thread.append(threading.current_thread())
        client.transcribe(Fifo())

    call = InThread(transcribe)
    wait_for(opening)
    client.close()
    with pytest.raises(SessionError, match=r"close\(\)"):
        call.result()
    with open(path, "wb"):
        pass  # lets go of the thread that opens it


def test_a_blocked_source_does_not_keep_close_waiting_and_is_left_alone() -> None:
    source = Blocking(speech(0.1))
    with serving(runs) as url:
        client = client_of(url, close_timeout=PATIENCE)
        call = InThread(client.transcribe, source, audio_format=RAW)
        wait_for(source.blocked)
        begun = time.monotonic()
        client.close()
        assert time.monotonic() - begun < PATIENCE / 2
        (left,) = [thread for thread in threading.enumerate() if "sender" in thread.name]
        sent = client.audio_bytes_sent
        with pytest.raises(SessionError):
            call.result()
        source.audio = speech(1)
        source.released.set()
        left.join(PATIENCE)
        assert not left.is_alive()
        assert client.audio_bytes_sent == sent


def test_handlers_of_a_closed_session_are_not_called_any_more() -> None:
    seen: list[str] = []
    busy, go_on = threading.Event(), threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        peer.send(*[final("word")] * 50)
        peer.finish()

    def handle(message: Any) -> None:
        seen.append("called")
        busy.set()
        wait_for(go_on)

    with serving(behave) as url:
        client = client_of(url, close_timeout=1)
        client.on("AddTranscript", handle)
        client.start_session(audio_format=RAW)
        stopping = InThread(client.stop_session)
        wait_for(busy)
        client.close()
        go_on.set()
        with pytest.raises(SessionError, match=r"close\(\)"):
            stopping.result()
    assert seen == ["called"]


def test_leaving_with_while_a_session_runs_says_what_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        while len(b"".join(peer.audio)) < len(speech(2.5)):
            message = peer.receive()
            assert isinstance(message, bytes)
            peer.audio.append(message)
        peer.send(final("word", 0.0, 1.0))
        peer.wait_closed()

    heard = threading.Event()
    with serving(behave) as url, client_of(url, close_timeout=2) as client:
        client.on("AddTranscript", lambda message: heard.set())
        client.start_session(audio_format=RAW)
        client.send_audio(speech(2.5))
        wait_for(heard)
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "1.5 s of audio stay untranscribed" in record.getMessage()
    assert record.request_id == client.request_id


def test_leaving_with_after_a_session_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with serving(finishes) as url, client_of(url) as client:
        client.transcribe(speech(0.1), audio_format=RAW)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def finishes(peer: Peer) -> None:
    peer.start()
    peer.finish()


def test_files_of_the_user_stay_open_and_ours_are_closed(tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    path.write_bytes(wav(speech(1)))
    generator_begun, generator_closed = threading.Event(), threading.Event()

    def chunks() -> Any:
        try:
            while True:
                generator_begun.set()
                yield speech(0.1)
        finally:
            generator_closed.set()

    with serving(runs) as url, open(path, "rb") as file:
        client = client_of(url, close_timeout=1, max_unacked_chunks=1)
        for source in (file, path, chunks()):
            stream = client.stream(source, audio_format=RAW)
            next(stream)
            if source not in (file, path):
                wait_for(generator_begun)
            client.close()
        assert not file.closed
        wait_for(generator_closed)
        assert not _open_files(path) - {file.fileno()}


def _open_files(path: Path) -> set[int]:
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{number}") == str(path):
                found.add(int(number))
        except FileNotFoundError:
            continue
    return found


# -- a network that takes nothing ---------------------------------------------------------------


def _stops_reading(gone: threading.Event) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        start_below(connection)
        gone.wait(PATIENCE)

    return behave


def test_close_does_not_wait_longer_than_close_timeout_for_a_full_network() -> None:
    gone = threading.Event()
    with listening(_stops_reading(gone)) as port:
        client = client_of(f"ws://localhost:{port}", close_timeout=0.5)
        call = InThread(
            client.transcribe, bytes(64 << 20), audio_format=AudioFormat(chunk_size=1 << 20)
        )
        while client.stats.bytes_waiting < 1 << 16:
            assert call.running
        InThread(client.close).result()
        with pytest.raises(SessionError, match=r"close\(\)"):
            call.result()
        gone.set()


def test_close_does_not_wait_longer_than_close_timeout_for_a_silent_server() -> None:
    gone = threading.Event()
    with listening(_stops_reading(gone)) as port:
        client = client_of(f"ws://localhost:{port}", close_timeout=0.3)
        client.start_session(audio_format=RAW)
        client.close()
        assert [t for t in threading.enumerate() if t.name.startswith("speechmatics-")] == []
        gone.set()


# -- an interrupt, and the end of the process ---------------------------------------------------


INTERRUPTED = {
    "transcribe": "with Client(url=url, conn_config=config) as c: c.transcribe(blocking())",
    "transcribe without with": "Client(url=url, conn_config=config).transcribe(blocking())",
    "the one-liner": "transcribe(blocking(), url=url, audio_format=RAW, conn_config=config)",
    "stream": """
        with Client(url=url, conn_config=config) as c:
            for message in c.stream(blocking(), audio_format=RAW):
                pass
    """,
    "send_audio": """
        with Client(url=url, conn_config=ConnectionConfig(max_unacked_chunks=1)) as c:
            c.start_session(audio_format=RAW)
            while True:
                c.send_audio(bytes(3200))
    """,
    "get_speakers": """
        with Client(url=url, conn_config=config) as c:
            c.start_session(audio_format=RAW)
            c.send_audio(bytes(3200))
            c.get_speakers()
    """,
    "stop_session": """
        with Client(url=url, conn_config=config) as c:
            c.start_session(audio_format=RAW)
            c.send_audio(bytes(3200))
            c.stop_session()
    """,
}


@pytest.mark.parametrize("call", INTERRUPTED)
def test_an_interrupt_ends_a_call_at_once(call: str) -> None:
    """Ctrl-C: a KeyboardInterrupt out of the call, and not a word from any thread. The server
    answers no close frame, and close_timeout would take a minute."""
    ready, gone = threading.Event(), threading.Event()

    def behave(connection: socket.socket) -> None:
        start_below(connection)
        receive_frame(connection)
        ready.set()
        with contextlib.suppress(OSError):
            while True:
                receive_frame(connection)
        gone.set()

    with listening(behave) as port:
        script = INTERRUPTED[call]
        ended = run_script(script, f"ws://localhost:{port}", ready, interrupt=True)
        wait_for(gone)
    assert ended.returncode in (-signal.SIGINT, 130)
    assert ended.stderr.rstrip().endswith("KeyboardInterrupt")
    assert "Exception in thread" not in ended.stderr
    assert ended.stderr.count("Traceback") == 1, ended.stderr


def test_an_interrupt_ends_start_session_at_once() -> None:
    ready = threading.Event()

    def behave(connection: socket.socket) -> None:
        shake_hands(connection)
        ready.set()
        while True:
            receive_frame(connection)

    with listening(behave) as port:
        script = """
            client = Client(url=url, conn_config=config)
            try:
                client.start_session()
            finally:
                print([t.name for t in threading.enumerate() if t.name.startswith("speechmatics")])
        """
        ended = run_script(script, f"ws://localhost:{port}", ready, interrupt=True)
    assert ended.stdout == "[]\n"
    assert ended.stderr.rstrip().endswith("KeyboardInterrupt")
    assert ended.stderr.count("Traceback") == 1, ended.stderr


@pytest.mark.parametrize(
    "script",
    [
        """
        c = Client(url=url, conn_config=config)
        c.start_session(audio_format=RAW)
        c.send_audio(bytes(3200))
        print("bye")
        """,
        """
        c = Client(url=url, conn_config=config)
        s = c.stream(blocking(), audio_format=RAW)
        next(s)
        print("bye")
        """,
        """
        c = Client(url=url, conn_config=config)
        thread = threading.Thread(target=c.transcribe, args=(blocking(),), daemon=True)
        thread.start()
        while not c.stats.chunks_sent: pass
        print("bye")
        """,
    ],
    ids=["pushed", "stream", "transcribe in a daemon thread"],
)
def test_a_session_that_runs_does_not_keep_the_process(script: str) -> None:
    ready = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        ready.set()
        peer.wait_closed()

    with serving(behave) as url:
        ended = run_script(script, url, ready, interrupt=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "bye\n", "")


def test_a_signal_handler_may_close() -> None:
    """In the thread that sends, at any line."""
    ready = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        for _ in range(200):
            assert isinstance(peer.receive(), bytes)
            peer.audio.append(b"")
            peer.acknowledge()
        ready.set()
        peer.wait_closed()

    script = """
        import signal
        c = Client(url=url, conn_config=ConnectionConfig(close_timeout=1))
        signal.signal(signal.SIGINT, lambda *args: c.close())
        c.start_session(audio_format=RAW)
        try:
            while True:
                c.send_audio(bytes(3200))
        except SessionError:
            print("closed")
    """
    with serving(behave) as url:
        ended = run_script(script, url, ready, interrupt=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "closed\n", "")
