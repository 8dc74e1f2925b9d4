"""What comes bit by bit is sent as it comes; what is there already goes out in whole chunks."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import itertools
import os
import queue
import socket
import subprocess
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from support.audio.sources import SOUND, InTurn, ShortReads, chunks_of, split
from support.serving import PATIENCE, Peer, listening, read_request, serving
from support.sessions import RAW, client_of, let_sources_go
from support.wav_files import wav_file

from speechmatics_sync import AudioError

__all__ = ["let_sources_go"]

FRAME = b"\1\2" * 320
"""20 ms."""
FRAMES = 4
Write = Callable[[bytes], Any]
Source = Callable[[Callable[[Write], None]], "contextlib.AbstractContextManager[Any]"]
"""Makes a source of what a function writes, in a thread."""


@contextlib.contextmanager
def in_thread(work: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join(PATIENCE)
        assert not thread.is_alive()


@contextlib.contextmanager
def of_a_socket(give: Callable[[Write], None], buffering: int = -1) -> Iterator[Any]:
    theirs, ours = socket.socketpair()

    def send() -> None:
        with theirs:
            give(theirs.sendall)

    with in_thread(send), ours, ours.makefile("rb", buffering) as file:
        yield file


@contextlib.contextmanager
def of_a_pipe(give: Callable[[Write], None]) -> Iterator[Any]:
    reading, writing = os.pipe()

    def send() -> None:
        with os.fdopen(writing, "wb", buffering=0) as out:
            give(out.write)

    with in_thread(send), os.fdopen(reading, "rb") as file:
        yield file


@contextlib.contextmanager
def of_a_fifo(give: Callable[[Write], None]) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "live.raw")
        os.mkfifo(path)

        def send() -> None:
            with open(path, "wb", buffering=0) as out:
                give(out.write)

        with in_thread(send):
            yield path


@contextlib.contextmanager
def of_a_process(give: Callable[[Write], None]) -> Iterator[Any]:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        stdin = process.stdin
        assert stdin is not None

        def write(frame: bytes) -> None:
            stdin.write(frame)
            stdin.flush()

        def send() -> None:
            with stdin:
                give(write)

        with in_thread(send):
            yield process.stdout


def of_a_generator(*sizes: int) -> Source:
    """In pieces of these sizes, which may be a part of a sample or more than a frame."""

    @contextlib.contextmanager
    def source(give: Callable[[Write], None]) -> Iterator[Iterator[bytes]]:
        pieces: queue.Queue[bytes] = queue.Queue()

        def write(frame: bytes) -> None:
            for piece in split(frame, list(sizes)):
                pieces.put(piece)

        def send() -> None:
            give(write)
            pieces.put(b"")

        with in_thread(send):
            yield iter(pieces.get, b"")

    return source


def http(chunked: bool) -> Callable[[Callable[[Write], None]], Any]:
    @contextlib.contextmanager
    def served(give: Callable[[Write], None]) -> Iterator[str]:
        def behave(connection: socket.socket) -> None:
            read_request(connection)
            head = "Transfer-Encoding: chunked" if chunked else "Connection: close"
            connection.sendall(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode())

            def write(frame: bytes) -> None:
                connection.sendall(b"%x\r\n%s\r\n" % (len(frame), frame) if chunked else frame)

            give(write)
            if chunked:
                connection.sendall(b"0\r\n\r\n")

        with listening(behave) as port:
            yield f"http://127.0.0.1:{port}/"

    return served


def of_urlopen(chunked: bool) -> Source:
    @contextlib.contextmanager
    def source(give: Callable[[Write], None]) -> Iterator[Any]:
        with http(chunked)(give) as url, urllib.request.urlopen(url) as response:
            yield response

    return source


def of_requests(chunked: bool, part: Callable[[Any], Any]) -> Source:
    @contextlib.contextmanager
    def source(give: Callable[[Write], None]) -> Iterator[Any]:
        requests = pytest.importorskip("requests")
        with http(chunked)(give) as url, requests.get(url, stream=True) as response:
            yield part(response)

    return source


def itself(response: Any) -> Any:
    return response


def raw(response: Any) -> Any:
    return response.raw


SOURCES: dict[str, Source] = {
    "socket": of_a_socket,
    "socket without a buffer": functools.partial(of_a_socket, buffering=0),
    "pipe": of_a_pipe,
    "FIFO": of_a_fifo,
    "Popen's stdout": of_a_process,
    "generator": of_a_generator(640),
    "generator of small pieces": of_a_generator(1, 7, 2),
    "generator of large pieces": of_a_generator(100_000),
    "urlopen": of_urlopen(chunked=False),
    "urlopen, chunked": of_urlopen(chunked=True),
    "requests": of_requests(False, itself),
    "requests, chunked": of_requests(True, itself),
    "requests' raw": of_requests(False, raw),
    "requests' raw, chunked": of_requests(True, raw),
}


def sent_at_once(
    source: Source, before: list[bytes], frames: list[bytes], sent: list[bytes], **options: Any
) -> int:
    """Return how many frames of a source were sent before another one was there, or the end.

    Args:
        source: Makes it.
        before: What is written before the first frame, and of which nothing is sent.
        frames: What is written, one after another, each when that before it has arrived.
        sent: What is to be sent of each.
    """
    arrived = threading.Semaphore(0)
    came = 0

    def give(write: Write) -> None:
        for piece in before:
            write(piece)
        nonlocal came
        for frame in frames:
            write(frame)
            if not arrived.acquire(timeout=PATIENCE):
                return
            came += 1

    def behave(peer: Peer) -> None:
        peer.start()
        ends = list(itertools.accumulate(map(len, sent)))
        size = 0
        while isinstance(message := peer.receive(), bytes):
            peer.audio.append(message)
            peer.acknowledge()
            size += len(message)
            while ends and size >= ends[0]:
                del ends[0]
                arrived.release()
        assert ends or b"".join(peer.audio) == b"".join(sent)
        peer.send({"message": "EndOfTranscript"})

    with serving(behave) as url, client_of(url) as client, source(give) as opened:
        client.transcribe(opened, timeout=5 * PATIENCE, **options)
    return came


@pytest.mark.parametrize("size", [640, 10_000])
@pytest.mark.parametrize("kind", SOURCES)
def test_each_frame_is_sent_before_the_next_one_is_there(kind: str, size: int) -> None:
    frames = [bytes([number, 1]) * (size // 2) for number in range(FRAMES)]
    assert sent_at_once(SOURCES[kind], [], frames, frames, audio_format=RAW) == FRAMES


@pytest.mark.parametrize("samples", ["16 bits", "24 bits", "A-law", "double"])
@pytest.mark.parametrize("kind", ["pipe", "FIFO", "socket", "generator of small pieces"])
def test_so_is_each_frame_of_a_live_wav_whose_header_came_in_parts(kind: str, samples: str) -> None:
    head = wav_file(samples, (), data_size=0xFFFFFFFF)
    parts = [wav_file(samples, (number, 257) * 160) for number in range(FRAMES)]
    frames = [part.content[part.data_offset :] for part in parts]
    before = [head.content[:5], head.content[5:30], head.content[30:]]
    sent = [part.sent for part in parts]
    assert sent_at_once(SOURCES[kind], before, frames, sent) == FRAMES


# -- what is there already ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        [SOUND[position : position + 100] for position in range(0, len(SOUND), 100)],
        tuple(SOUND[position : position + 5000] for position in range(0, len(SOUND), 5000)),
        ShortReads(SOUND, 100),
        gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(SOUND))),
    ],
)
def test_small_pieces_of_what_is_there_are_gathered_into_chunks(source: object) -> None:
    chunks = chunks_of(source, RAW)
    assert b"".join(chunks) == SOUND
    assert {len(chunk) for chunk in chunks[:-1]} == {RAW.chunk_size}


def test_a_response_whose_body_was_read_goes_out_in_chunks() -> None:
    requests = pytest.importorskip("requests")
    with http(chunked=False)(lambda write: write(SOUND)) as url:
        response = requests.get(url)
    chunks = chunks_of(response, RAW)
    assert b"".join(chunks) == SOUND
    assert {len(chunk) for chunk in chunks[:-1]} == {RAW.chunk_size}


def test_a_compressed_body_is_unpacked() -> None:
    requests = pytest.importorskip("requests")
    packed = gzip.compress(SOUND)

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        head = f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}"
        connection.sendall(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + packed)

    get = requests.get
    with listening(behave) as port, get(f"http://127.0.0.1:{port}/", stream=True) as response:
        assert b"".join(chunks_of(response, RAW)) == SOUND


def test_a_response_of_httpx_is_read_as_it_comes() -> None:
    class Response:
        def read(self) -> bytes:
            raise AssertionError("all of it at once")

        def iter_bytes(self) -> Iterator[bytes]:
            yield from (FRAME, FRAME)

    assert chunks_of(Response(), RAW) == [FRAME, FRAME]


def test_what_came_before_a_fault_is_handed_on_though_it_was_gathered() -> None:
    chunks: list[bytes] = []
    with pytest.raises(AudioError, match="not bytes"):
        chunks.extend(iter_chunks([b"ab", b"cd", None]))
    assert chunks == [b"abcd"]


def iter_chunks(source: object) -> Iterator[bytes]:
    from speechmatics_sync._audio.sources import open_source

    with contextlib.closing(open_source(source, RAW)) as opened:
        yield from opened


def test_a_read1_that_is_not_there_is_done_without() -> None:
    class Reader(io.BufferedIOBase):
        def readable(self) -> bool:
            return True

        def read(self, size: Any = -1) -> bytes:
            return next(pieces, b"")

    pieces = iter([FRAME, FRAME])
    assert chunks_of(Reader(), RAW) == [FRAME, FRAME]


def test_a_socket_in_non_blocking_mode_is_an_error_and_no_end() -> None:
    theirs, ours = socket.socketpair()
    with theirs, ours, ours.makefile("rb") as file:
        ours.setblocking(False)
        theirs.sendall(FRAME)
        read = iter_chunks(file)
        assert next(read) == FRAME
        with pytest.raises(AudioError, match="non-blocking"):
            next(read)


def test_a_reader_without_read1_is_read_as_before() -> None:
    assert chunks_of(InTurn(FRAME, FRAME), RAW) == [FRAME, FRAME]
