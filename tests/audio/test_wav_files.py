"""Nothing that is not a sample is sent, and no sample is left out, however a WAV file was made."""

from __future__ import annotations

import contextlib
import io
import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import closing
from typing import Callable, Optional

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.audio.sources import Slow, read_all, split
from support.fuzzing import examples
from support.wav_files import (
    BROKEN_HEADERS,
    CONVERTED,
    FILES,
    KINDS,
    RATE,
    VALUES,
    WavFile,
    from_alaw,
    wav_file,
)

from speechmatics_sync import AudioError, AudioFormat, WavReader, split_channels
from speechmatics_sync._audio.byte_streams import byte_stream_of
from speechmatics_sync._audio.content import content_of
from speechmatics_sync._audio.headers import look_at
from speechmatics_sync._audio.samples import stored_samples
from speechmatics_sync._audio.sources import open_source


def given_in_pieces(reader: WavReader, content: bytes) -> None:
    for piece in split(content, [10]):
        assert reader.feed(piece) == b""
    reader.end()


SOURCES: dict[str, Callable[[bytes], object]] = {
    "bytes": lambda content: content,
    "file": io.BytesIO,
    "live": lambda content: iter([content]),
    "live, in small pieces": lambda content: split(content, [3, 1, 7]),
    "short reads": lambda content: Slow(content, 100),
}


def whole_samples(sent: bytes, file: WavFile) -> bytes:
    """Without half a sample at the end: the session drops that."""
    size = AudioFormat(file.encoding).bytes_per_sample
    return sent[: len(sent) - len(sent) % size]


@pytest.mark.parametrize("kind", SOURCES)
def test_the_samples_of_a_file_are_sent_and_nothing_else(kind: str) -> None:
    for name, file in FILES.items():
        with closing(open_source(SOURCES[kind](file.content))) as opened:
            assert opened.audio_format == AudioFormat(file.encoding, RATE), name
            assert whole_samples(b"".join(opened), file) == file.sent, name


@pytest.mark.parametrize("sizes", [[1 << 20], [1], [5, 0, 4096]])
def test_so_it_is_for_a_reader_that_is_given_pieces(sizes: list[int]) -> None:
    for name, file in FILES.items():
        reader = WavReader()
        sent = b"".join(reader.feed(piece) for piece in split(file.content, sizes)) + reader.end()
        assert sent == file.sent, name
        assert reader.audio_format == AudioFormat(file.encoding, RATE), name
        assert reader.channels == 1, name


@pytest.mark.parametrize("kind", SOURCES)
def test_without_a_whole_header_nothing_is_taken_for_samples(kind: str) -> None:
    for name, content in BROKEN_HEADERS.items():
        with closing(open_source(SOURCES[kind](content))) as opened:
            assert opened.audio_format == AudioFormat(), name
            assert b"".join(opened) == content, name


def test_without_a_whole_header_a_reader_knows_nothing() -> None:
    for name, content in BROKEN_HEADERS.items():
        reader = WavReader()
        try:
            given_in_pieces(reader, content)
        except AudioError:
            assert reader.audio_format is None, name
            assert reader.channels is None, name
        else:
            pytest.fail(f"{name} is taken for a WAV file")


@pytest.mark.parametrize("kind", CONVERTED)
def test_what_is_converted_has_its_length_and_can_be_read_from_anywhere(kind: str) -> None:
    file = wav_file(kind, after=b"LIST\4\0\0\0text")
    size = AudioFormat(file.encoding).bytes_per_sample
    with closing(open_source(file.content)) as opened:
        assert opened.total_seconds == len(VALUES) / RATE
        for position in (0, 1, size, len(file.sent) - 1, len(file.sent), 333):
            opened.seek(position)
            assert b"".join(opened) == file.sent[position:]
        with pytest.raises(AudioError, match="ends before byte"):
            opened.seek(len(file.sent) + 1)


@given(
    kind=st.sampled_from(CONVERTED),
    chunk_size=st.integers(1, 50),
    steps=st.lists(st.tuples(st.integers(0, 820), st.integers(0, 20)), max_size=5),
    data_size=st.sampled_from([None, 0, 0xFFFFFFFF]),
)
@examples(100)
def test_chunks_and_places_are_those_of_what_is_sent(
    kind: str, chunk_size: int, steps: list[tuple[int, int]], data_size: Optional[int]
) -> None:
    file = wav_file(kind, data_size=data_size, padded=False)
    with closing(open_source(file.content)) as opened:
        opened._chunk_size = chunk_size
        for position, reads in steps:
            position = min(position, len(file.sent))
            opened.seek(position)
            for _ in range(reads):
                chunk = opened.read()
                assert len(chunk) <= chunk_size
                assert chunk == file.sent[position : position + len(chunk)]
                assert chunk or position == len(file.sent)
                position += len(chunk)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [2, 3])
def test_the_channels_of_every_kind_can_be_told_apart(kind: str, channels: int) -> None:
    values = VALUES[: len(VALUES) // 6 * 6]
    content = wav_file(kind, values, channels=channels, form="RIFX").content
    for index, source in enumerate(split_channels(content).values()):
        with closing(open_source(source)) as opened:
            expected = wav_file(kind, values[index::channels])
            assert opened.audio_format == AudioFormat(expected.encoding, RATE)
            assert b"".join(opened) == expected.sent
            opened.seek(100)
            assert b"".join(opened) == expected.sent[100:]
    reader = WavReader()
    assert reader.feed(content) == wav_file(kind, values).sent
    assert reader.channels == channels


def test_alaw_is_what_others_make_of_it() -> None:
    stored = stored_samples(6, 1)
    assert stored is not None
    assert stored.convert is not None
    codes = bytes(range(256))
    assert stored.convert(codes) == b"".join(from_alaw(each, "<") for each in codes)
    with warnings.catch_warnings(), contextlib.suppress(ModuleNotFoundError):  # gone in 3.13
        warnings.simplefilter("ignore", DeprecationWarning)
        import audioop

        assert stored.convert(codes) == audioop.alaw2lin(codes, 2)


def test_floats_beyond_the_range_stay_what_they_are() -> None:
    stored = stored_samples(3, 8)
    assert stored is not None
    assert stored.convert is not None
    values = (1e300, -2.0, 0.5, float("-inf"))
    sent = stored.convert(struct.pack("<4d", *values))
    assert struct.unpack("<4f", sent) == (float("inf"), -2.0, 0.5, float("-inf"))


@pytest.mark.parametrize("values", [(0,) * 3000, (0,) * 3000 + (12345,) * 10, (1,) * 10])
@pytest.mark.parametrize("place", ["above", "below"])
def test_where_the_24_bits_in_4_bytes_are_is_seen_in_the_samples(
    values: tuple[int, ...], place: str
) -> None:
    file = wav_file(f"24 bits in 4 bytes, {place}", values)
    assert read_all(iter([file.content])) == file.sent
    silence = bytes(4 * 5000)
    size = len(file.content) - file.data_offset + len(silence)
    head = wav_file(f"24 bits in 4 bytes, {place}", (), data_size=size).content
    sent = bytes(2 * 5000) + file.sent
    assert read_all(head + silence + file.content[file.data_offset :]) == sent


def test_where_24_bits_in_4_bytes_are_neither_the_file_goes_as_it_is() -> None:
    # Cool Edit writes float samples under such a header.
    sound = struct.pack("<100f", *(number * 1.1 for number in range(100)))
    file = wav_file("24 bits in 4 bytes, above", ())
    content = file.content[:-4] + struct.pack("<I", len(sound)) + sound
    with closing(open_source(content)) as opened:
        assert opened.audio_format == AudioFormat()
        assert b"".join(opened) == content


def test_a_part_of_a_sample_that_is_dropped_is_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = wav_file("24 bits", VALUES[:10])
    cut = wav_file("24 bits", VALUES[:10], data_size=0xFFFFFFFF).content[:-1]
    named = whole.content.replace(struct.pack("<I", 30), struct.pack("<I", 29)) + b"LIST\0\0\0\0"
    for content in (cut, named):
        caplog.clear()
        with caplog.at_level(logging.DEBUG, "speechmatics_sync"):
            assert read_all(content) == whole.sent[:-2]
        (record,) = caplog.records
        assert "2 bytes of half a sample" in record.getMessage()


def test_a_live_file_is_converted_piece_by_piece_as_it_comes() -> None:
    file = wav_file("24 bits", data_size=0)
    at = file.data_offset
    taken: list[bytes] = []

    def live() -> Iterator[bytes]:
        yield file.content[: at + 300]
        assert b"".join(taken) == file.sent[:200]
        yield file.content[at + 300 : at + 601]
        assert b"".join(taken) == file.sent[:400]
        yield file.content[at + 601 :]

    with closing(open_source(live())) as opened:
        taken.extend(iter(opened.read, b""))
    assert b"".join(taken) == file.sent


def damaged(content: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """The content with parts of it cut out and others put in."""
    for position, size, other in changes:
        position %= len(content) + 1
        content = content[:position] + other + content[position + size :]
    return content


@given(
    content=st.builds(
        damaged,
        st.sampled_from([file.content for file in FILES.values()]),
        st.lists(
            st.tuples(
                st.integers(0, 130) | st.integers(0, 5000),
                st.integers(0, 9),
                st.binary(max_size=9) | st.sampled_from([b"data", b"LIST", b"\xff" * 4]),
            ),
            max_size=4,
        ),
    ),
    sizes=st.lists(st.integers(0, 500), max_size=4),
    live=st.booleans(),
)
@examples(500)
def test_however_a_file_is_damaged_the_client_sends_what_a_reader_makes_of_it(
    content: bytes, sizes: list[int], live: bool
) -> None:
    reader = WavReader()
    try:
        read = b"".join(reader.feed(piece) for piece in split(content, sizes)) + reader.end()
    except AudioError:
        assert reader.audio_format is None
    source = split(content, sizes) if live else content
    found = content_of(content)
    assume(found is None or found.is_sound)
    if reader.audio_format is None or reader.channels != 1:
        # It goes as it is, or is decoded.
        assert look_at(byte_stream_of(source, AudioFormat()), None, 4096).header is None
        return
    with closing(open_source(source)) as opened:
        sent = b"".join(opened)
        assert opened.audio_format == reader.audio_format
        assert sent[: len(sent) - len(sent) % opened.audio_format.bytes_per_sample] == read
        if not live:
            assert opened.total_seconds is not None
            samples = len(read) // opened.audio_format.bytes_per_sample
            assert int(opened.total_seconds * opened.audio_format.sample_rate) == samples
