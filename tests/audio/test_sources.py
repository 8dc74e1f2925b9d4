"""Anything becomes chunks of audio: every byte, in order, and nothing that is not audio."""

from __future__ import annotations

import array
import ctypes
import gzip
import io
import itertools
import logging
import mmap
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.audio_sources import (
    SOUND,
    InTurn,
    Slow,
    chunks_of,
    fmt_chunk,
    read_all,
    sources_of,
    split,
    wav,
)

from speechmatics_sync import AudioEncoding, AudioFormat, split_channels
from speechmatics_sync._audio.sources import audio_view, check_source, open_source
from speechmatics_sync.errors import AudioError

S16 = AudioFormat(AudioEncoding.PCM_S16LE, 16000)
F32 = AudioFormat(AudioEncoding.PCM_F32LE, 16000)
MULAW = AudioFormat(AudioEncoding.MULAW, 8000)
FILE = AudioFormat()
WAIT_SECONDS = 20.0


@pytest.fixture
def sound_path(tmp_path: Path) -> Path:
    path = tmp_path / "sound.raw"
    path.write_bytes(SOUND)
    return path


# --- the four kinds of source -----------------------------------------------------------------


@pytest.mark.parametrize("audio_format", [S16, FILE, None])
def test_every_byte_of_every_kind_of_source_comes_out_in_order(
    audio_format: Optional[AudioFormat], sound_path: Path
) -> None:
    with open(sound_path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        sources: dict[str, object] = {
            "str path": str(sound_path),
            "path": sound_path,
            "file": file,
            "mmap": mapped,
            "BytesIO": io.BytesIO(SOUND),
            "object with read": Slow(SOUND, 1000),
            "bytes": SOUND,
            "bytearray": bytearray(SOUND),
            "memoryview": memoryview(b"x" + SOUND)[1:],
            "array": array.array("B", SOUND),
            "ctypes array": (ctypes.c_uint8 * len(SOUND)).from_buffer_copy(SOUND),
            "list": [SOUND[:9], bytearray(SOUND[9:99]), memoryview(SOUND)[99:]],
            "tuple": (SOUND,),
            "generator": split(SOUND, [1, 2000]),
            "iterator": iter([SOUND]),
        }
        for kind, source in sources.items():
            check_source(source)
            assert read_all(source, audio_format) == SOUND, kind


def test_the_path_of_another_library_is_a_path(sound_path: Path) -> None:
    class TheirPath:
        def __fspath__(self) -> bytes:
            return os.fsencode(sound_path)

    assert read_all(TheirPath(), S16) == SOUND


def test_arrays_of_samples_are_audio() -> None:
    numpy = pytest.importorskip("numpy")
    samples = numpy.frombuffer(SOUND, dtype="<i2")
    assert read_all(samples, S16) == SOUND
    assert read_all(samples.reshape(-1, 1), S16) == SOUND
    assert read_all(iter(samples.reshape(-1, 100)), S16) == SOUND
    assert read_all(numpy.zeros((0, 1), dtype="<i2"), S16) == b""
    assert read_all(numpy.frombuffer(SOUND, dtype="<f4"), F32) == SOUND
    assert read_all(numpy.frombuffer(SOUND, dtype="u1"), MULAW) == SOUND
    assert read_all(numpy.frombuffer(SOUND, dtype="u1"), S16) == SOUND
    assert read_all(array.array("h", SOUND), S16) == SOUND
    assert read_all((ctypes.c_int16 * (len(SOUND) // 2)).from_buffer_copy(SOUND), S16) == SOUND


INTO: dict[str, Callable[[Any], Any]] = {
    "itself": lambda samples: samples,
    "an iterable": lambda samples: [samples],
    "a read": lambda samples: InTurn(samples),
}


@pytest.mark.parametrize("way", INTO)
@pytest.mark.parametrize(
    ("samples", "audio_format", "reason"),
    [
        ("zeros(9)", S16, r"float64.*pcm_s16le.*32767\)\.astype\('int16'\)"),
        ("zeros(9, dtype='f2')", S16, r"float16.*pcm_s16le.*astype\('int16'\)"),
        ("zeros(9, dtype='f4')", S16, r"float32.*PCM_F32LE"),
        ("zeros(9, dtype='i4')", S16, r"int32.*samples >> 16"),
        ("zeros(9, dtype='u2')", S16, "uint16"),
        ("zeros(9, dtype='i1')", S16, "int8"),
        ("zeros(9, dtype='c8')", S16, "format 'Zf'"),
        ("zeros(9)", F32, r"float64.*astype\('float32'\)"),
        ("zeros(9, dtype='i4')", F32, r"int32.*pcm_f32le.*/ 2\*\*31"),
        ("zeros(9, dtype='i2')", F32, "int16.*PCM_S16LE"),
        ("zeros(9, dtype='?')", MULAW, "bool.*mulaw"),
        ("zeros(9, dtype='i2')", MULAW, "int16.*PCM_S16LE"),
        ("zeros(9, dtype='i2')", FILE, "int16.*AudioFormat"),
        ("zeros(9)", None, "float64.*AudioFormat"),
        ("zeros((9, 2), dtype='i2')", S16, r"9 × 2.*samples\[:, 0\].*MultiChannelClient"),
        ("zeros((2, 9), dtype='i2')", S16, r"2 × 9.*samples\[0\]"),
        ("zeros((9, 2), dtype='u1')", MULAW, "9 × 2"),
        ("zeros((2, 9), dtype='u1')", FILE, "2 × 9"),
        ("zeros(9, dtype='>i2')", S16, "big-endian"),
        ("zeros(9, dtype='<i2')[::2]", S16, "not contiguous"),
        ("zeros((9, 2), dtype='<i2').T", S16, "not contiguous"),
        ("array([b'', None], dtype=object)", S16, "Python objects"),
        ("zeros(9, dtype='M8[s]')", S16, "without bytes"),
    ],
)
def test_arrays_of_samples_that_would_be_noise_are_refused(
    samples: str, audio_format: Optional[AudioFormat], reason: str, way: str
) -> None:
    numpy = pytest.importorskip("numpy")
    made = eval(f"numpy.{samples}", {"numpy": numpy})
    with pytest.raises(AudioError, match=reason):
        read_all(INTO[way](made), audio_format)


def test_the_way_out_of_a_refused_array_leads_to_audio() -> None:
    numpy = pytest.importorskip("numpy")
    for samples, audio_format, peak in [
        (numpy.array([0.5, 2.0]), S16, b"\xff\x3f\xff\x7f"),
        (numpy.array([1 << 30, 1 << 16], dtype="i4"), S16, b"\x00\x40\x01\x00"),
        (numpy.array([-(1 << 30)], dtype="i4"), F32, struct.pack("<f", -0.5)),
        (numpy.array([[258, 3]] * 3, dtype="i2"), S16, b"\2\1" * 3),
        (numpy.array([[258] * 3] * 2, dtype="i2"), S16, b"\2\1" * 3),
    ]:
        with pytest.raises(AudioError) as raised:
            audio_view(samples, audio_format)
        cure = (
            str(raised.value).partition("in numpy with ")[2]
            or (str(raised.value).partition("in numpy ")[2].partition(", or each")[0])
        )
        cured = eval(cure, {"samples": samples})
        assert bytes(audio_view(cured, audio_format)) == peak


def test_bytes_that_are_not_contiguous_are_refused_at_once() -> None:
    with pytest.raises(AudioError, match="not contiguous"):
        check_source(memoryview(SOUND)[::2])


@pytest.mark.parametrize("empty", [b"", bytearray(), [], [b"", b""], io.BytesIO(), InTurn(b"")])
@pytest.mark.parametrize("audio_format", [S16, FILE, None])
def test_an_empty_source_gives_no_chunk(empty: object, audio_format: Optional[AudioFormat]) -> None:
    assert chunks_of(empty, audio_format) == []


# --- chunks -----------------------------------------------------------------------------------


# Nothing that looks like text or another container begins with a zero.
SAMPLES = st.binary(max_size=3000).map(lambda content: content and b"\0" + content)


@given(
    content=SAMPLES,
    sizes=st.lists(st.integers(0, 700), max_size=5),
    chunk_size=st.integers(1, 1000),
    encoding=st.sampled_from([None, *AudioEncoding]),
    kind=st.sampled_from(sorted(sources_of)),
)
def test_chunks_put_together_are_the_source(
    content: bytes,
    sizes: list[int],
    chunk_size: int,
    encoding: Optional[AudioEncoding],
    kind: str,
) -> None:
    audio_format = AudioFormat(encoding, 16000, chunk_size)
    chunks = chunks_of(sources_of[kind](content, sizes), audio_format)
    assert b"".join(chunks) == content
    assert all(type(chunk) is bytes and 0 < len(chunk) <= chunk_size for chunk in chunks)


@pytest.mark.parametrize(
    ("encoding", "chunk_size", "read_size"),
    [
        (AudioEncoding.PCM_S16LE, 4096, 4096),
        (AudioEncoding.PCM_S16LE, 999, 998),
        (AudioEncoding.PCM_F32LE, 999, 996),
        (AudioEncoding.PCM_F32LE, 4, 4),
        (AudioEncoding.PCM_F32LE, 3, 3),
        (AudioEncoding.MULAW, 999, 999),
        (None, 999, 999),
    ],
)
def test_chunks_read_from_a_file_hold_whole_samples_where_they_can(
    encoding: Optional[AudioEncoding], chunk_size: int, read_size: int, sound_path: Path
) -> None:
    for source in (sound_path, SOUND, io.BytesIO(SOUND)):
        chunks = chunks_of(source, AudioFormat(encoding, 16000, chunk_size))
        assert {len(chunk) for chunk in chunks[:-1]} == {read_size}
        assert len(chunks[-1]) <= read_size


def test_the_chunks_of_a_file_are_full_though_its_beginning_was_looked_at(sound_path: Path) -> None:
    assert [len(chunk) for chunk in chunks_of(sound_path)] == [4096] * 6 + [1024]


def test_the_chunks_of_a_wav_hold_whole_samples_behind_any_header() -> None:
    fmt = fmt_chunk(3, 32, extra=b"\0\0")  # samples begin at byte 46
    chunks = chunks_of(io.BytesIO(wav(fmt=fmt)))
    assert [len(chunk) for chunk in chunks] == [4096] * 6 + [1024]


def test_smaller_chunks_are_passed_on_as_they_come_and_empty_ones_are_not() -> None:
    pieces = [b"ab", b"", b"c" * 5000, b"", b"d"]
    assert [len(chunk) for chunk in chunks_of(iter(pieces), S16)] == [2, 4096, 904, 1]
    assert [len(chunk) for chunk in chunks_of(InTurn(b"ab", b"c", b"", b"d"), S16)] == [2, 1]


def test_live_chunks_of_a_wav_stream_are_passed_on_as_they_come() -> None:
    content = wav(data_size=0xFFFFFFFF)
    pieces = [content[:20], content[20:300], content[300:310], content[310:999]]
    assert [len(chunk) for chunk in chunks_of(iter(pieces))] == [256, 10, 689]


@pytest.mark.parametrize("audio_format", [S16, None])
def test_nothing_is_read_after_the_end(audio_format: Optional[AudioFormat]) -> None:
    file = InTurn(b"ab", b"", b"of another stream")
    assert read_all(file, audio_format) == b"ab"
    assert next(file.answers) == b"of another stream"


def test_a_chunk_is_handed_on_before_the_next_one_is_asked_for() -> None:
    asked = []

    def microphone() -> Iterator[bytes]:
        for number in range(3):
            asked.append(number)
            yield b"ab"

    with closing(open_source(microphone(), S16)) as source:
        for number, _ in enumerate(source):
            assert asked == list(range(number + 1))


@pytest.mark.parametrize("chunk_size", [4096, 3])
def test_a_buffer_that_is_filled_anew_is_copied_first(chunk_size: int) -> None:
    def one_buffer() -> Iterator[bytearray]:
        buffer = bytearray(10)
        for number in range(5):
            buffer[:] = bytes([number]) * 10
            yield buffer

    chunks = chunks_of(one_buffer(), AudioFormat(AudioEncoding.MULAW, 8000, chunk_size))
    assert b"".join(chunks) == bytes(number for number in range(5) for _ in range(10))


def test_a_generator_may_resize_its_buffer_between_two_chunks() -> None:
    def growing() -> Iterator[bytearray]:
        buffer = bytearray()
        for _ in range(5):
            buffer += b"ab"
            yield buffer

    assert read_all(growing(), AudioFormat(AudioEncoding.MULAW, 8000, 3)) == b"ab" * 15


def test_a_buffer_belongs_to_its_owner_again_after_the_end_and_after_a_close() -> None:
    buffer = bytearray(SOUND)
    assert read_all(buffer, S16) == SOUND
    buffer += b"more"
    source = open_source(buffer, S16)
    next(iter(source))
    source.close()
    buffer += b"more"


def test_memory_does_not_grow_with_the_length_of_the_audio(tmp_path: Path) -> None:
    path = tmp_path / "long.raw"
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    with open(path, "rb") as file:
        sources = [
            path,
            file,
            (bytearray(1 << 16) for _ in range(1 << 10)),
            itertools.repeat(bytes(1 << 16), 1 << 10),
        ]
        large = bytearray(64 << 20)
        for source in [*sources, large, [large], iter([memoryview(large)])]:
            tracemalloc.start()
            try:
                with closing(open_source(source, AudioFormat(None, chunk_size=1 << 16))) as opened:
                    assert sum(map(len, opened)) == 64 << 20
                assert tracemalloc.get_traced_memory()[1] < 2 << 20
            finally:
                tracemalloc.stop()


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


# --- bad sources ------------------------------------------------------------------------------


async def a_coroutine() -> bytes:
    return b""


async def an_asynchronous_generator() -> Any:
    yield b""


def a_generator_function() -> Iterator[bytes]:
    yield b""


class AsynchronousFile:
    async def read(self, size: int) -> bytes:
        return b""


class ReadIsNoMethod:
    read = 5


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, "NoneType is not audio"),
        (5, "int is not audio"),
        (2.5, "float is not audio"),
        (object(), "object is not audio"),
        ({}, "MultiChannelClient"),
        ({"agent": b"ab"}, "MultiChannelClient"),
        ({b"ab"}, "set is not one stream"),
        (a_generator_function, "call it"),
        (bytes, "'bytes' is a class"),
        (io.BytesIO, "'BytesIO' is a class"),
        (an_asynchronous_generator(), "asynchronous"),
        (AsynchronousFile(), "asynchronous"),
        (ReadIsNoMethod(), "cannot be called"),
        (io.StringIO("ab"), "text mode.*rb"),
        ("", "No such file"),
        ("no such file.wav", "'no such file.wav'.*No such file"),
        (Path("no such file.wav"), "'no such file.wav'.*No such file"),
        ("a\0b", "null"),
        ("x" * 5000, "too long"),
        (os.curdir, "directory"),
    ],
)
def test_what_can_never_be_a_source_is_refused_at_once(source: object, reason: str) -> None:
    for audio_format in (S16, None):
        with pytest.raises(AudioError, match=f"(?s){reason}"):
            open_source(source, audio_format)
    with pytest.raises(AudioError, match=f"(?s){reason}"):
        check_source(source)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("~/call.wav", r"os\.path\.expanduser"),
        (Path("~/call.wav"), r"os\.path\.expanduser"),
        ("https://example.com/call.wav", r"urlopen\(url\).*requests\.get"),
        (Path("https://example.com/call.wav"), r"urlopen\(url\)"),
    ],
)
@pytest.mark.parametrize("take", [check_source, split_channels])
def test_a_path_that_is_none_says_what_to_pass_instead(
    path: Any, hint: str, take: Callable[[Any], object]
) -> None:
    with pytest.raises(AudioError, match=f"No such file or directory.*{hint}") as raised:
        take(path)
    assert str(raised.value).count("call.wav") == 1


def test_a_url_is_named_without_what_may_be_secret_in_it() -> None:
    with pytest.raises(AudioError, match=r"'https://example\.com/call\.wav'") as raised:
        check_source("https://user:word@example.com/call.wav?signature=s3cret")
    assert "word" not in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_a_file_is_named_once_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "nofile.wav"
    for take in (check_source, split_channels):
        with pytest.raises(AudioError) as raised:
            take(path)
        assert str(raised.value).count("nofile.wav") == 1
    os.mkfifo(path)
    source = open_source(path, S16)
    path.unlink()
    with closing(source), pytest.raises(AudioError) as raised:
        source.read()
    assert str(raised.value).count("nofile.wav") == 1


def test_a_coroutine_is_refused_at_once() -> None:
    coroutine = a_coroutine()
    with pytest.raises(AudioError, match="asynchronous"):
        check_source(coroutine)
    coroutine.close()


def test_files_that_cannot_be_read_as_bytes_are_refused_at_once(sound_path: Path) -> None:
    with open(sound_path) as file, pytest.raises(AudioError, match=r"text mode.*rb"):
        check_source(file)
    with open(sound_path, "ab") as out, pytest.raises(AudioError, match="not open for reading"):
        check_source(out)
    with open(sound_path, "rb") as binary:
        pass
    with pytest.raises(AudioError, match="is closed"):
        check_source(binary)


def test_a_check_reads_nothing_and_begins_nothing(sound_path: Path) -> None:
    began = []

    def generator() -> Iterator[bytes]:
        began.append(True)
        yield b"ab"

    chunks = generator()
    file = InTurn(b"ab")
    check_source(chunks)
    check_source(file)
    check_source(iter([b"ab"]))
    assert (began, file.sizes) == ([], [])
    open_source(chunks, S16)
    open_source(file, S16)
    assert (began, file.sizes) == ([], [])
    assert list(chunks) == [b"ab"]


@pytest.mark.parametrize(
    ("chunk", "reason"),
    [
        ("ab", 'gave str.*"rb"'),
        (5, "gave int, not bytes; samples"),
        (0.5, "gave float"),
        (None, "gave NoneType"),
        ([1, 2], "gave list"),
        ((b"ab", False), "gave tuple"),
    ],
)
@pytest.mark.parametrize("audio_format", [S16, None])
def test_chunks_that_are_not_bytes_are_an_error_that_says_what_came(
    chunk: object, reason: str, audio_format: Optional[AudioFormat]
) -> None:
    with pytest.raises(AudioError, match=reason):
        read_all([b"ab", chunk], audio_format)
    if chunk is not None:
        with pytest.raises(AudioError, match=reason):
            read_all(InTurn(b"ab", chunk), audio_format)


def test_a_file_whose_read_must_be_awaited_is_an_error() -> None:
    class Disguised:
        def read(self, size: int) -> Any:
            return a_coroutine()

    with pytest.raises(AudioError, match="asynchronous"):
        read_all(Disguised(), S16)


@pytest.mark.parametrize("error", [OSError(5, "broke"), LookupError("broke"), StopIteration()])
@pytest.mark.parametrize("audio_format", [S16, None])
def test_a_read_that_raises_is_an_error_with_its_cause(
    error: Exception, audio_format: Optional[AudioFormat]
) -> None:
    file = InTurn(b"ab", error)
    with pytest.raises(AudioError) as raised:
        read_all(file, audio_format)
    assert raised.value.__cause__ is error
    assert "InTurn" in str(raised.value)
    assert type(error).__name__ in str(raised.value)
    assert str(error) in str(raised.value)


def test_the_chunks_before_an_error_have_been_handed_on() -> None:
    def microphone() -> Iterator[bytes]:
        yield b"ab"
        raise LookupError("unplugged")

    chunks: list[bytes] = []
    said = r"generator 'microphone'.*LookupError: unplugged"
    with closing(open_source(microphone(), S16)) as source, pytest.raises(AudioError, match=said):
        chunks.extend(source)
    assert chunks == [b"ab"]


def test_an_audio_error_of_the_sources_own_comes_out_as_it_is() -> None:
    error = AudioError("mine")
    with pytest.raises(AudioError) as raised:
        read_all(InTurn(error), S16)
    assert raised.value is error


def test_an_interrupt_is_not_taken_for_a_fault_of_the_source() -> None:
    with pytest.raises(KeyboardInterrupt):
        read_all(InTurn(KeyboardInterrupt()), S16)


def test_a_file_that_goes_away_before_it_is_opened_is_an_error_that_names_it(
    tmp_path: Path,
) -> None:
    fifo = tmp_path / "sound.fifo"
    os.mkfifo(fifo)
    source = open_source(fifo, S16)  # is not opened before its first read
    fifo.unlink()
    with closing(source), pytest.raises(AudioError, match=r"sound\.fifo.*No such file") as raised:
        list(source)
    assert isinstance(raised.value.__cause__, FileNotFoundError)


@pytest.fixture
def without_privileges() -> Iterator[Path]:
    """A directory for a user whom the permissions of files bind; the superuser is not one."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        (Path(directory) / "secret.wav").write_bytes(wav())
        (Path(directory) / "secret.wav").chmod(0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield Path(directory)
        finally:
            os.seteuid(user)


@pytest.mark.parametrize("audio_format", [S16, None])
def test_a_file_that_may_not_be_read_is_an_error_that_names_it(
    audio_format: Optional[AudioFormat], without_privileges: Path
) -> None:
    with pytest.raises(AudioError, match=r"secret\.wav.*Permission denied") as raised:
        read_all(without_privileges / "secret.wav", audio_format)
    assert isinstance(raised.value.__cause__, PermissionError)


# --- how long it is ---------------------------------------------------------------------------


def test_the_length_is_known_where_it_costs_nothing(sound_path: Path) -> None:
    seconds = len(SOUND) / 32000
    with open(sound_path, "rb") as file, open(sound_path, "rb", buffering=0) as unbuffered:
        for source in (sound_path, SOUND, bytearray(SOUND), file, unbuffered, io.BytesIO(SOUND)):
            with closing(open_source(source, S16)) as opened:
                assert opened.total_seconds == seconds
                assert b"".join(opened) == SOUND  # the position is where it was
        file.seek(3200)
        assert open_source(file, S16).total_seconds == (len(SOUND) - 3200) / 32000
        assert file.tell() == 3200
        assert open_source(file, F32).total_seconds == (len(SOUND) - 3200) / 64000
        in_memory = io.BytesIO(SOUND)
        in_memory.seek(3200)
        assert open_source(in_memory, S16).total_seconds == (len(SOUND) - 3200) / 32000
        assert in_memory.tell() == 3200
        file.seek(10 * len(SOUND))
        assert open_source(file, S16).total_seconds == 0
    for content in (wav(), wav(data_size=0), wav(data_size=0xFFFFFFFF)):
        assert open_source(content).total_seconds == seconds
    assert open_source(Slow(wav(), 10)).total_seconds == seconds


def test_the_length_is_unknown_where_it_would_cost_a_reading(tmp_path: Path) -> None:
    path = tmp_path / "sound.gz"
    with gzip.open(path, "wb") as file:
        file.write(SOUND)
    with gzip.open(path, "rb") as zipped:
        assert open_source(zipped, S16).total_seconds is None
        assert read_all(zipped, S16) == SOUND
    assert open_source(iter([SOUND]), S16).total_seconds is None
    assert open_source([SOUND], S16).total_seconds is None
    assert open_source(Slow(SOUND, 10), S16).total_seconds is None
    assert open_source(SOUND, FILE).total_seconds is None
    assert open_source(Slow(wav(data_size=0), 10)).total_seconds is None


# --- payloads of a pushed session -------------------------------------------------------------


def test_a_payload_is_viewed_as_bytes_without_a_copy() -> None:
    samples = array.array("h", [1, 2, 3])
    view = audio_view(samples, S16)
    samples[0] = 7
    assert bytes(view) == struct.pack("<hhh", 7, 2, 3)
    assert (view.nbytes, view.format, view.ndim) == (6, "B", 1)


@pytest.mark.parametrize("payload", [None, "ab", 5, [1, 2], object()])
def test_a_payload_that_is_not_bytes_is_an_error_that_says_so(payload: object) -> None:
    with pytest.raises(AudioError, match=r"the audio is .* not bytes"):
        audio_view(payload)
