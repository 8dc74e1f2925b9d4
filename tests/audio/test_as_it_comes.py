"""What comes bit by bit is sent as it comes; what is there already goes out in whole chunks."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import socket
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from support.audio.sources import SOUND, InTurn, ShortReads, chunks_of
from support.serving import PATIENCE, Peer, listening, read_request, serving
from support.sessions import RAW, client_of, let_sources_go

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
def of_a_socket(give: Callable[[Write], None]) -> Iterator[Any]:
    theirs, ours = socket.socketpair()

    def send() -> None:
        with theirs:
            give(theirs.sendall)

    with in_thread(send), ours, ours.makefile("rb") as file:
        yield file


@contextlib.contextmanager
def of_a_pipe(give: Callable[[Write], None]) -> Iterator[Any]:
    reading, writing = os.pipe()

    def send() -> None:
        with os.fdopen(writing, "wb", buffering=0) as out:
            give(out.write)

    with in_thread(send), os.fdopen(reading, "rb") as file:
        yield file


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
    "pipe": of_a_pipe,
    "urlopen": of_urlopen(chunked=False),
    "urlopen, chunked": of_urlopen(chunked=True),
    "requests": of_requests(False, itself),
    "requests, chunked": of_requests(True, itself),
    "requests' raw": of_requests(False, raw),
    "requests' raw, chunked": of_requests(True, raw),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_each_frame_is_sent_before_the_next_one_is_there(kind: str) -> None:
    arrived = threading.Semaphore(0)
    before: list[bool] = []

    def give(write: Write) -> None:
        for _ in range(FRAMES):
            write(FRAME)
            before.append(arrived.acquire(timeout=5))

    def behave(peer: Peer) -> None:
        peer.start()
        while isinstance(message := peer.receive(), bytes):
            peer.audio.append(message)
            peer.acknowledge()
            arrived.release()
        assert b"".join(peer.audio) == FRAME * FRAMES
        peer.send({"message": "EndOfTranscript"})

    with serving(behave) as url, client_of(url) as client, SOURCES[kind](give) as source:
        client.transcribe(source, audio_format=RAW, timeout=40)
    assert before == [True] * FRAMES


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
