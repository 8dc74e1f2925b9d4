"""Sources that make a reader wait, and what is closed at the end."""

from __future__ import annotations

import itertools
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Callable, Optional

import pytest
from support.audio.sources import (
    S16,
    SOUND,
    read_all,
    sound_path,
    split,
    wav,
)

from speechmatics_sync import AudioEncoding, AudioFormat
from speechmatics_sync._audio.sources import open_source
from speechmatics_sync.errors import AudioError

__all__ = ["sound_path"]

WAIT_SECONDS = 20.0


# --- live sources: FIFOs, pipes, sockets ------------------------------------------------------


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_with_a_format_a_fifo_is_not_opened_before_the_first_chunk_is_asked_for(
    tmp_path: Path,
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    source = open_source(fifo, S16)  # would block: nobody writes
    assert source.audio_format is S16
    assert source.total_seconds is None

    def write() -> None:
        with open(fifo, "wb") as file:
            file.write(SOUND)

    writer = in_thread(write)
    with closing(source):
        assert b"".join(source) == SOUND
    writer.join(WAIT_SECONDS)
    assert not writer.is_alive()


def test_what_a_fifo_gives_is_passed_on_before_a_chunk_is_full(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    received = threading.Event()
    answered = []

    def write() -> None:
        with open(fifo, "wb", buffering=0) as file:
            file.write(b"abc")
            answered.append(received.wait(WAIT_SECONDS))
            file.write(b"def")

    writer = in_thread(write)
    with closing(open_source(fifo, S16)) as source:
        chunks = []
        for chunk in source:
            chunks.append(chunk)
            received.set()
    writer.join(WAIT_SECONDS)
    assert answered == [True]
    assert chunks == [b"abc", b"def"]


def test_a_wav_that_a_program_writes_into_a_pipe_goes_raw() -> None:
    content = wav(data_size=0xFFFFFFFF)
    program = f"import sys; sys.stdout.buffer.write(bytes.fromhex('{content.hex()}'))"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        with closing(open_source(process.stdout)) as source:
            assert source.audio_format == AudioFormat(AudioEncoding.PCM_S16LE, 16000)
            assert source.total_seconds is None
            assert b"".join(source) == SOUND
        assert process.stdout is not None
        assert not process.stdout.closed


@pytest.mark.parametrize("buffering", [None, 0])
def test_a_socket_made_a_file_is_a_source(buffering: Optional[int]) -> None:
    theirs, ours = socket.socketpair()
    content = wav(SOUND)

    def send() -> None:
        with theirs:
            for piece in split(content, [1, 1, 30, 1000]):
                theirs.sendall(piece)

    sender = in_thread(send)
    with ours, ours.makefile("rb", buffering=buffering) as file:
        assert read_all(file) == SOUND
    sender.join(WAIT_SECONDS)
    assert not sender.is_alive()


def test_a_pipe_in_non_blocking_mode_is_refused_when_it_has_nothing_to_give() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(reading, "rb", buffering=0) as file, os.fdopen(writing, "wb") as out:
        out.write(b"ab")
        out.flush()
        with closing(open_source(file, S16)) as source:
            chunks = iter(source)
            assert next(chunks) == b"ab"
            with pytest.raises(AudioError, match="non-blocking"):
                next(chunks)


# --- what is closed ---------------------------------------------------------------------------


@pytest.mark.parametrize("audio_format", [S16, None])
def test_a_file_of_the_users_stays_open_and_one_of_the_librarys_does_not(
    audio_format: Optional[AudioFormat], sound_path: Path
) -> None:
    with open(sound_path, "rb") as file:
        source = open_source(file, audio_format)
        next(iter(source))
        source.close()
        assert not file.closed
    source = open_source(sound_path, audio_format)
    next(iter(source))
    held = open_paths()
    source.close()
    source.close()
    if held is not None:
        assert str(sound_path) in held
        assert str(sound_path) not in (open_paths() or ())


def open_paths() -> Optional[list[str]]:
    if not os.path.isdir("/proc/self/fd"):
        return None
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:  # the directory itself
            continue
    return found


@pytest.mark.parametrize("audio_format", [S16, None])
@pytest.mark.parametrize("chunks_taken", [0, 1])
def test_a_generator_is_closed_and_its_files_with_it(
    audio_format: Optional[AudioFormat], chunks_taken: int
) -> None:
    ended = []

    def generator() -> Iterator[bytes]:
        try:
            for _ in range(9):
                yield b"x" * 99
        finally:
            ended.append(True)

    class Chunks:
        def __iter__(self) -> Iterator[bytes]:
            return generator()

    for given_source in (generator(), Chunks()):
        ended.clear()
        source = open_source(given_source, audio_format)
        list(itertools.islice(source, chunks_taken))
        source.close()
        source.close()
        # One that has not begun has nothing to clean up; it is closed all the same.
        assert ended == ([True] if chunks_taken or audio_format is None else [])
        if not isinstance(given_source, Chunks):
            assert list(given_source) == []


def test_a_generator_that_fails_when_it_is_closed_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stubborn() -> Iterator[bytes]:
        try:
            yield b"ab"
            yield b"cd"
        finally:
            raise LookupError("mine")

    source = open_source(stubborn(), S16)
    next(iter(source))
    with caplog.at_level(logging.DEBUG, "speechmatics_sync"):
        source.close()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "stubborn" in record.getMessage()
    assert record.exc_info is not None


def test_what_was_opened_to_look_at_it_is_closed_when_that_fails() -> None:
    ended = []

    def broken() -> Iterator[bytes]:
        try:
            yield b"RIFF"
            yield "str"  # type: ignore[misc]
        finally:
            ended.append(True)

    chunks = broken()  # kept, so that nobody else closes it
    with pytest.raises(AudioError, match="str"):
        open_source(chunks)
    assert ended == [True]


def test_a_closed_source_does_not_pretend_to_have_ended() -> None:
    source = open_source(SOUND, S16)
    chunks = iter(source)
    next(chunks)
    source.close()
    with pytest.raises(AudioError, match="closed"):
        next(chunks)
