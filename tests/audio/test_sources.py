"""Anything becomes chunks of audio: every byte, in order, and nothing that is not audio."""

from __future__ import annotations

import array
import ctypes
import gzip
import io
import itertools
import mmap
import os
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.audio.sources import (
    S16,
    SOUND,
    InTurn,
    Slow,
    chunks_of,
    fmt_chunk,
    read_all,
    sound_path,
    sources_of,
    split,
    wav,
)

from speechmatics_sync import AudioEncoding, AudioFormat
from speechmatics_sync._audio.sources import audio_view, check_source, open_source
from speechmatics_sync.errors import AudioError

__all__ = ["sound_path"]

F32 = AudioFormat(AudioEncoding.PCM_F32LE, 16000)


MULAW = AudioFormat(AudioEncoding.MULAW, 8000)


FILE = AudioFormat()


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
        ("zeros((9, 2), dtype='<i2').T", S16, r"2 × 9.*samples\[0\]"),
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
        (numpy.array([[258] * 2] * 3, dtype="i2").T, S16, b"\2\1" * 3),
        (numpy.array([258, 0, 258, 0], dtype="i2")[::2], S16, b"\2\1" * 2),
        (numpy.array([258, 258], dtype=">i2"), S16, b"\2\1" * 2),
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
