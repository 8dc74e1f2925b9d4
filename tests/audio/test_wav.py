"""A WAV whose samples the API takes goes raw; any other goes as it is."""

from __future__ import annotations

import io
import itertools
import logging
import os
import re
import struct
import wave
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Callable, Optional

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from support.audio.sources import (
    NO_SOUND,
    SOUND,
    ShortReads,
    Slow,
    extensible,
    fmt_chunk,
    read_all,
    riff_chunk,
    sources_of,
    split,
    wav,
)
from support.fuzzing import examples

from speechmatics_sync import AudioEncoding, AudioFormat, split_channels
from speechmatics_sync._audio.content import content_of, is_taken
from speechmatics_sync._audio.samples import stored_samples
from speechmatics_sync._audio.sources import open_source
from speechmatics_sync._audio.wav import FORMS, HEADER_LIMIT, WavHeader, read_wav_header


@pytest.mark.parametrize(
    ("fmt", "encoding"),
    [
        (fmt_chunk(1, 16), AudioEncoding.PCM_S16LE),
        (fmt_chunk(3, 32), AudioEncoding.PCM_F32LE),
        (fmt_chunk(3, 32, extra=b"\0\0"), AudioEncoding.PCM_F32LE),
        (fmt_chunk(7, 8), AudioEncoding.MULAW),
        (extensible(1, 16), AudioEncoding.PCM_S16LE),
        (extensible(3, 32), AudioEncoding.PCM_F32LE),
        (extensible(7, 8), AudioEncoding.MULAW),
    ],
)
def test_a_mono_wav_whose_samples_the_api_takes_goes_raw_without_its_header(
    fmt: bytes, encoding: AudioEncoding
) -> None:
    content = wav(fmt=fmt, before=riff_chunk(b"odd ", b"abc"), after=NO_SOUND)
    for source in (content, io.BytesIO(content), iter([content]), Slow(content, 1)):
        with closing(open_source(source)) as opened:
            assert opened.audio_format == AudioFormat(encoding, 16000)
            assert b"".join(opened) == SOUND


@pytest.mark.parametrize(
    "content",
    [
        wav(fmt=fmt_chunk(channels=0)),
        wav(fmt=fmt_chunk(rate=0)),
        wav(fmt=fmt_chunk(frame_size=4)),
        wav(fmt=fmt_chunk(0xFFFE, 16)),
        wav(fmt=extensible(1, 16, tail=bytes(14))),
        wav(fmt=riff_chunk(b"fmt ", b"short")),
        wav(fmt=b""),
        wav(form=b"RIFX"),
        b"RIFF",
        wav()[:43],
        wav()[:30],
        wav(before=struct.pack("<4sI", b"bomb", 0xFFFFFFF0)),
        wav(before=riff_chunk(b"LIST", bytes(HEADER_LIMIT))),
        wav(fmt=riff_chunk(b"fmt ", b"", 0xFFFFFFF0)),
        b"ID3\x04 an mp3",
        b"fLaC",
    ],
)
def test_everything_else_goes_as_a_file_byte_for_byte(content: bytes) -> None:
    for source in (content, io.BytesIO(content), iter([content]), Slow(content, 1000)):
        with closing(open_source(source)) as opened:
            assert opened.audio_format == AudioFormat()
            assert opened.total_seconds is None
            assert b"".join(opened) == content


def test_a_wav_with_an_explicit_file_format_keeps_its_header() -> None:
    assert read_all(wav(), AudioFormat()) == wav()


@pytest.mark.parametrize("name", [b"LIST", b"fmt "])
def test_a_header_with_absurd_sizes_makes_nobody_read_without_end(name: bytes) -> None:
    beginning = b"RIFF\xff\xff\xff\xffWAVE" + name + b"\xf0\xff\xff\xff"
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        yield beginning
        while True:
            read += 1000
            yield bytes(1000)

    with closing(open_source(endless())) as source:
        assert source.audio_format == AudioFormat()
        assert read <= HEADER_LIMIT + 1000
        assert next(iter(source))[:20] == beginning


def test_what_follows_the_samples_of_a_wav_is_not_waited_for() -> None:
    def endless() -> Iterator[bytes]:
        yield wav(b"abcd")
        pytest.fail("asked for what is not audio any more")

    assert read_all(endless()) == b"abcd"


def test_a_header_without_a_rate_names_no_encoding() -> None:
    header = WavHeader(1, 1, 16000, 16, 2, 44, 100, True, stored_samples(1, 2))
    assert header.encoding is AudioEncoding.PCM_S16LE
    assert header._replace(sample_rate=0).encoding is None


def test_no_more_of_a_format_is_read_than_is_needed() -> None:
    asked: list[int] = []
    content = wav(fmt=fmt_chunk(extra=bytes(1000)))

    def peek(offset: int, size: int) -> bytes:
        asked.append(size)
        return content[offset : offset + size]

    assert read_wav_header(peek) is not None
    assert max(asked) <= 40


def test_a_header_of_a_hundred_thousand_chunks_is_read_in_one_pass() -> None:
    content = wav(before=riff_chunk(b"none", b"") * 100_000)
    asked = 0

    def peek(offset: int, size: int) -> bytes:
        nonlocal asked
        asked += size
        return content[offset : offset + size]

    header = read_wav_header(peek)
    assert header is not None
    assert asked <= header.data_offset
    assert read_all(io.BytesIO(content)) == SOUND


@pytest.mark.parametrize(
    "data_size", [0, 0x7FFF0000, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
)
def test_a_size_that_a_live_writer_could_not_know_means_to_the_end(
    data_size: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = wav(data_size=data_size)
    path = tmp_path / "live.wav"
    path.write_bytes(content)
    with caplog.at_level(logging.DEBUG, "speechmatics_sync"):
        for source in (content, path, iter([content]), Slow(content, 1000)):
            assert read_all(source) == SOUND
    assert caplog.records == []


def test_a_large_size_does_not_cut_off_a_stream_that_goes_on() -> None:
    piece = bytes(64 << 20)
    header = wav(b"", data_size=0x7FFFF000)
    source = open_source(itertools.chain([header], itertools.repeat(piece, 33)))
    source.audio_format.chunk_size = 64 << 20
    with closing(source):
        assert sum(map(len, source)) == 33 * len(piece) > 0x7FFFF000


def test_a_size_of_gigabytes_is_believed_when_the_file_is_as_long(tmp_path: Path) -> None:
    silence = bytes(1 << 20)

    class SparseFile(io.FileIO):
        def read(self, size: Optional[int] = -1, /) -> bytes:
            if size != len(silence):
                return super().read(size)
            self.seek(size, os.SEEK_CUR)  # a hole: nothing there is worth reading
            return silence

    path = tmp_path / "long.wav"
    size = 0x90000000 + 1000
    with open(path, "wb") as file:
        file.write(wav(b"", data_size=size))
        file.seek(size, os.SEEK_CUR)
        file.write(NO_SOUND)
    with SparseFile(path) as sparse, closing(open_source(sparse)) as source:
        assert source.total_seconds == size / 32000
        source._chunk_size = len(silence)  # 4 KB at a time takes ten seconds
        assert sum(map(len, source)) == size


def test_a_wav_shorter_than_its_header_says_gives_what_there_is_and_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "cut.wav"
    path.write_bytes(wav()[:-100])
    caplog.set_level(logging.DEBUG, "speechmatics_sync")
    with closing(open_source(path)) as source:
        assert source.total_seconds == (len(SOUND) - 100) / 32000
        assert b"".join(source) == SOUND[:-100]
    (record,) = caplog.records
    assert record.name == "speechmatics_sync"
    assert record.levelno == logging.WARNING
    for part in ("cut.wav", str(len(SOUND)), str(len(SOUND) - 100)):
        assert part in record.getMessage()


MORE = {
    "samples, as after a crash": wav(data_size=1000),
    "a second data chunk": wav(SOUND[:1000], after=riff_chunk(b"data", SOUND)),
    "a second data chunk behind another": wav(
        SOUND[:1000], after=NO_SOUND + riff_chunk(b"data", SOUND)
    ),
    "a few samples": wav(data_size=len(SOUND) - 4),
    "an odd number of bytes": wav(data_size=999, fmt=fmt_chunk(7, 8)),
}


def warnings_of(read: Callable[[], object], caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.DEBUG, "speechmatics_sync"):
        read()
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("what", MORE)
def test_audio_behind_what_the_header_names_is_a_warning(
    what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "crashed.wav"
    path.write_bytes(MORE[what])
    for source in (path, MORE[what], io.BytesIO(MORE[what]), ShortReads(MORE[what], 100)):
        (said,) = warnings_of(lambda source=source: read_all(source), caplog)  # type: ignore[misc]
        assert "goes on after the" in said
        assert "WAV header" in said


@pytest.mark.parametrize("what", ["samples, as after a crash", "a second data chunk"])
def test_so_it_is_for_split_channels_and_for_what_was_given_already(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    (said,) = warnings_of(lambda: split_channels(MORE[what]), caplog)
    assert "goes on after the 1000 bytes" in said
    (said,) = warnings_of(lambda: read_all(iter([MORE[what]])), caplog)
    assert "goes on after the 1000 bytes" in said


@pytest.mark.parametrize(
    "content",
    [
        wav(),
        wav(after=NO_SOUND),
        wav(after=NO_SOUND + riff_chunk(b"id3 ", b"odd")),
        wav(SOUND[:999], fmt=fmt_chunk(7, 8), after=NO_SOUND),
        wav(SOUND[:999], fmt=fmt_chunk(7, 8)),
        wav(SOUND[:999], fmt=fmt_chunk(7, 8))[:-1],
    ],
)
def test_chunks_that_are_no_audio_are_none(
    content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for source in (content, io.BytesIO(content), iter([content])):
        assert warnings_of(lambda source=source: read_all(source), caplog) == []  # type: ignore[misc]
    assert warnings_of(lambda: split_channels(content), caplog) == []


def test_the_audio_can_be_read_again_after_the_warning(caplog: pytest.LogCaptureFixture) -> None:
    with closing(open_source(MORE["a second data chunk"])) as source:
        assert warnings_of(lambda: list(source), caplog) != []
        source.seek(500)
        assert warnings_of(lambda: source.read(), caplog) == []
        assert source.read() == b""


def test_the_warning_goes_to_the_logger_that_was_given(caplog: pytest.LogCaptureFixture) -> None:
    adapter = logging.LoggerAdapter(logging.getLogger("speechmatics_sync"), {"request_id": "r-1"})
    with caplog.at_level(logging.DEBUG, "speechmatics_sync"):
        read_all(wav()[:-2], logger=adapter)
    (record,) = caplog.records
    assert record.request_id == "r-1"  # type: ignore[attr-defined]


def test_a_file_object_is_read_from_where_it_stands() -> None:
    file = io.BytesIO(b"before" + wav())
    file.seek(6)
    with closing(open_source(file)) as source:
        assert source.audio_format == AudioFormat(AudioEncoding.PCM_S16LE, 16000)
        assert source.total_seconds == len(SOUND) / 32000
        assert b"".join(source) == SOUND
    file.seek(8)
    assert read_all(file) == wav()[2:]


@given(
    sound=st.binary(max_size=2000),
    rate=st.sampled_from([8000, 16000, 44100, 48000]),
    channels=st.integers(1, 3),
    width=st.integers(1, 4),
    piece=st.integers(1, 100),
)
def test_what_the_standard_library_writes_is_understood(
    sound: bytes, rate: int, channels: int, width: int, piece: int
) -> None:
    sound = sound[: len(sound) - len(sound) % (channels * width)]
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate)
        writer.writeframes(sound)
    content = file.getvalue()
    header = read_wav_header(lambda offset, size: content[offset : offset + size])
    assert header is not None
    assert header[:7] == (
        *(1, channels, rate, 8 * width, channels * width),
        *(len(content) - len(sound), len(sound)),
    )
    if channels > 1:
        return  # it is decoded
    with closing(open_source(split(content, [piece]))) as source:
        assert source.audio_format == AudioFormat(AudioEncoding.PCM_S16LE, rate)
        sent = b"".join(source)
        if width == 2:
            assert sent == sound


riff_chunks = st.builds(
    riff_chunk,
    st.sampled_from([b"fmt ", b"data", b"LIST", b"JUNK", b"fact"]),
    st.one_of(st.binary(max_size=50), st.just(fmt_chunk()[8:]), st.just(extensible(3, 32)[8:])),
    st.one_of(st.none(), st.integers(0, 60), st.integers(0, 0xFFFFFFFF)),
)
anything = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda form, size, chunks: form + size + b"WAVE" + b"".join(chunks),
        st.sampled_from(FORMS),
        st.binary(min_size=4, max_size=4),
        st.lists(riff_chunks, max_size=5),
    ),
)


@given(
    content=anything,
    sizes=st.lists(st.integers(0, 40), max_size=4),
    kind=st.sampled_from(sorted(sources_of)),
)
@example(content=wav(b"abcd"), sizes=[1], kind="generator")
@example(content=wav(b"", fmt=fmt_chunk(rate=0xFFFFFFFF)), sizes=[1], kind="bytes")
@example(content=b"caff\x00\x01", sizes=[], kind="bytes")
@examples(300)
def test_any_bytes_come_out_whole_or_as_the_samples_of_a_wav(
    content: bytes, sizes: list[int], kind: str
) -> None:
    found = content_of(content)
    assume(found is None or (found.is_sound and is_taken(found.name)))  # or decoded
    header = read_wav_header(lambda offset, size: content[offset : offset + size])
    assume(header is None or (header.channels < 2 and not header.is_compressed))  # or decoded
    with closing(open_source(sources_of[kind](content, sizes))) as source:
        chunks = list(source)
    assert all(chunks)
    assert all(len(chunk) <= 4096 for chunk in chunks)
    sound = b"".join(chunks)
    if source.audio_format == AudioFormat():
        assert sound == content
        return
    assert content.startswith(FORMS)
    assert source.audio_format.encoding is not None
    assert header is not None
    assert header.samples is not None
    if header.samples.convert is not None or (header.data_size_is_certain and not header.data_size):
        return
    ends = []
    for match in re.finditer(rb"data(?=(.{4}))", content, re.DOTALL):
        (size,) = struct.unpack("<I", match[1])
        rest = content[match.end() + 4 :]
        ends.append(rest[:size] if size else rest)
    assert sound in ends
