"""A source that can be read again gives the same audio of any place; others say they cannot be."""

from __future__ import annotations

import gzip
import io
import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.audio.counted_files import COUNTED, FILE, KINDS, S16
from support.audio.sources import (
    NO_SOUND,
    InTurn,
    ShortReads,
    Slow,
    fmt_chunk,
    rereadable_sources_of,
    wav,
)

from speechmatics_sync import AudioEncoding, AudioFormat, split_channels
from speechmatics_sync._audio.sources import open_source
from speechmatics_sync._audio.split_channels import WavChannel
from speechmatics_sync._audio.wav import read_wav_header

needs_to_see_open_files = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="this system does not tell which files are open"
)


# A read, or a place to go to, as a part of the whole: both ends are drawn often.
STEPS = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=30)


def follow(opened: Any, audio: bytes, steps: list[Optional[float]]) -> None:
    """Read and seek, and compare every chunk with the audio of its place."""
    position = 0
    for step in steps:
        if step is None:
            chunk = opened.read()
            assert chunk == audio[position : position + len(chunk)]
            assert bool(chunk) == (position < len(audio))
            position += len(chunk)
        else:
            position = round(step * len(audio))
            opened.seek(position)
    assert b"".join(opened) == audio[position:]
    assert (opened.read(), opened.read()) == (b"", b"")


# --- what can be read again -------------------------------------------------------------------


@given(
    kind=st.sampled_from(KINDS),
    length=st.integers(0, 3000),
    encoding=st.sampled_from([None, *AudioEncoding]),
    chunk_size=st.integers(1, 1000),
    steps=STEPS,
)
def test_bytes_are_those_of_their_place_whatever_was_read_before(
    kind: str,
    length: int,
    encoding: Optional[AudioEncoding],
    chunk_size: int,
    steps: list[Optional[float]],
) -> None:
    audio = COUNTED[:length]
    with ExitStack() as stack:
        source = rereadable_sources_of[kind](audio, stack)
        opened = open_source(source, AudioFormat(encoding, 16000, chunk_size))
        stack.callback(opened.close)
        assert opened.rereadable
        follow(opened, audio, steps)


@given(
    kind=st.sampled_from(KINDS),
    length=st.integers(1, 9000),
    certain=st.booleans(),
    steps=STEPS,
)
def test_a_place_in_a_wav_is_one_in_its_audio(
    kind: str, length: int, certain: bool, steps: list[Optional[float]]
) -> None:
    audio = COUNTED[:length]
    content = wav(audio, before=NO_SOUND, after=NO_SOUND)
    if not certain:
        content = wav(audio, data_size=0xFFFFFFFF)[: len(content) - length % 2]
        audio = content[content.index(b"data") + 8 :]
    with ExitStack() as stack:
        opened = open_source(rereadable_sources_of[kind](content, stack))
        stack.callback(opened.close)
        assert opened.rereadable
        assert opened.audio_format == S16
        follow(opened, audio, steps)


@given(
    frames=st.integers(0, 13000),
    channels=st.integers(1, 3),
    form=st.sampled_from([(7, 8), (1, 16), (3, 32)]),
    as_file=st.booleans(),
    steps=STEPS,
)
def test_a_channel_of_a_recording_is_read_again_from_any_place(
    frames: int, channels: int, form: tuple[int, int], as_file: bool, steps: list[Optional[float]]
) -> None:
    size = form[1] // 8
    sound = (COUNTED * 7)[: frames * channels * size]
    # Of a file without samples the size may be a placeholder, and what follows may be samples.
    after = NO_SOUND if frames else b""
    content = wav(sound, fmt=fmt_chunk(*form, channels=channels), after=after)
    for index, channel in enumerate(split_channels(content).values()):
        places = range(index * size, len(sound), channels * size)
        audio = b"".join(sound[place : place + size] for place in places)
        assert b"".join(channel)[44:] == audio
        if as_file:
            audio = b"".join(channel)
        with closing(open_source(channel, FILE if as_file else None)) as opened:
            assert opened.rereadable
            assert opened.at_hand
            follow(opened, audio, steps)


@needs_to_see_open_files
def test_a_channel_of_a_file_is_read_again_and_the_file_closed(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(wav(COUNTED, fmt=fmt_chunk(channels=2)))
    expected = memoryview(COUNTED).cast("H")[1::2].tobytes()
    opened = open_source(split_channels(path)["2"])
    with closing(opened):
        assert b"".join(opened) == expected
        opened.seek(9001)
        assert opened.read() == expected[9001:12288]
        assert str(path) in open_paths()
    assert str(path) not in open_paths()


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"short reads"}))
def test_chunks_end_where_they_ended_before(kind: str) -> None:
    audio_format = AudioFormat(AudioEncoding.PCM_S16LE, 16000, 1000)
    with ExitStack() as stack:
        opened = open_source(rereadable_sources_of[kind](COUNTED, stack), audio_format)
        stack.callback(opened.close)
        assert {len(chunk) for chunk in list(opened)[:-1]} == {1000}
        for position, first in [(7000, 1000), (7001, 999), (7999, 1), (0, 1000)]:
            opened.seek(position)
            assert [len(opened.read()) for _ in range(3)] == [first, 1000, 1000]


def test_small_pieces_are_gathered_up_to_the_ends_of_chunks_after_a_seek_too() -> None:
    with closing(open_source(ShortReads(COUNTED, 3000), S16)) as opened:
        opened.seek(4000)
        assert [len(opened.read()) for _ in range(3)] == [96, 4096, 4096]


def test_going_somewhere_before_the_first_read_is_the_same_as_after_it(tmp_path: Path) -> None:
    path = tmp_path / "sound.raw"
    path.write_bytes(COUNTED)
    with closing(open_source(path, S16)) as opened:
        opened.seek(5000)
        assert b"".join(opened) == COUNTED[5000:]


def test_reading_goes_on_in_a_loop_that_runs() -> None:
    with closing(open_source(COUNTED, S16)) as opened:
        chunks = iter(opened)
        next(chunks)
        next(chunks)
        opened.seek(4096)
        assert next(chunks) == COUNTED[4096:8192]


def open_paths() -> list[str]:
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:  # the directory itself
            continue
    return found


@needs_to_see_open_files
def test_a_channel_leaves_no_file_open_where_it_was_before(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    content = wav(COUNTED, fmt=fmt_chunk(channels=2))
    path.write_bytes(content)
    header = read_wav_header(lambda offset, size: content[offset : offset + size])
    assert header is not None
    assert header.samples is not None
    begun = []

    class Kept(WavChannel):
        def pieces(self, position: int = 0) -> Iterator[bytes]:
            begun.append(super().pieces(position))  # so that no garbage collection closes it
            return begun[-1]

    with closing(open_source(Kept(path, len(content), header, header.samples, 0))) as opened:
        for position in (0, 100, 9000):
            opened.seek(position)
            opened.read()
        assert open_paths().count(str(path)) == 1
    assert str(path) not in open_paths()


def test_a_file_of_the_users_stays_open_where_reading_ended() -> None:
    file = io.BytesIO(b"abc" + COUNTED)
    file.seek(3)
    opened = open_source(file, S16)
    assert file.tell() == 3
    list(opened)
    opened.seek(0)
    opened.read()
    opened.close()
    assert not file.closed
    assert file.tell() == 3 + 4096


@needs_to_see_open_files
def test_a_file_that_only_a_seek_opened_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "sound.raw"
    path.write_bytes(COUNTED)
    opened = open_source(path, S16)
    opened.seek(100)
    assert str(path) in open_paths()
    opened.close()
    assert str(path) not in open_paths()


def test_a_buffer_belongs_to_its_owner_after_every_end() -> None:
    buffer = bytearray(COUNTED)
    with closing(open_source(buffer, S16)) as opened:
        list(opened)
        buffer += b"more"
        opened.seek(100)
        assert b"".join(opened) == COUNTED[100:] + b"more"
        buffer += b"more"
        opened.seek(100)
        opened.read()
    buffer += b"more"


def test_the_end_is_told_again_without_another_read() -> None:
    file = InTurn(b"ab", b"", b"of another stream")
    with closing(open_source(file, S16)) as opened:
        assert [opened.read() for _ in range(4)] == [b"ab", b"", b"", b""]
    assert next(file.answers) == b"of another stream"


def test_a_wav_that_is_cut_short_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    content = wav(COUNTED)[:-600]
    caplog.set_level(logging.DEBUG, "speechmatics_sync")
    with closing(open_source(io.BytesIO(content))) as opened:
        assert b"".join(opened) == COUNTED[:-600]
        opened.seek(100)
        assert b"".join(opened) == COUNTED[100:-600]
        opened.read()
    (record,) = caplog.records
    assert (
        f"{len(COUNTED)} bytes of audio, and it holds {len(COUNTED) - 600}" in record.getMessage()
    )


# --- what cannot ------------------------------------------------------------------------------


class Liar(Slow):
    """A file object that calls itself seekable and is not."""

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.file.tell()

    def seek(self, position: int) -> int:
        raise OSError("not here")


class Honest(ShortReads):
    def seekable(self) -> bool:
        return False


class Nowhere(ShortReads):
    def tell(self) -> Any:
        return None

    def seek(self, position: Any) -> int:
        return 0


def pipe(stack: ExitStack, buffering: int = -1) -> Any:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as out:
        out.write(gzip.compress(b"ab"))
    return stack.enter_context(os.fdopen(reading, "rb", buffering))


def device(stack: ExitStack) -> Any:
    return stack.enter_context(open("/dev/zero", "rb"))


def fifo(stack: ExitStack) -> Path:
    path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "fifo"
    os.mkfifo(path)
    return path


def of_socket(stack: ExitStack) -> Any:
    theirs, ours = socket.socketpair()
    stack.enter_context(theirs)
    stack.enter_context(ours)
    return stack.enter_context(ours.makefile("rb"))


once_only: dict[str, Callable[[ExitStack], object]] = {
    "pipe": pipe,
    "pipe without a buffer": lambda stack: pipe(stack, 0),
    "gzip from a pipe": lambda stack: gzip.GzipFile(fileobj=pipe(stack)),
    "device": device,
    "path of a device": lambda stack: "/dev/zero",
    "fifo": fifo,
    "socket": of_socket,
    "generator": lambda stack: (b"ab" for _ in range(2)),
    "list": lambda stack: [b"ab"],
    "iterator": lambda stack: iter([b"ab"]),
    "object with read": lambda stack: InTurn(b"ab"),
    "seekable in name only": lambda stack: Liar(b"ab", 1),
    "not seekable": lambda stack: Honest(b"ab", 1),
    "without a place": lambda stack: Nowhere(b"ab", 1),
}


@pytest.mark.parametrize("kind", sorted(once_only))
def test_a_source_that_can_be_read_only_once_says_so_without_a_read(kind: str) -> None:
    with ExitStack() as stack:
        source = once_only[kind](stack)
        opened = open_source(source, S16)
        stack.callback(opened.close)
        assert not opened.rereadable
        with pytest.raises(RuntimeError, match="cannot be read again"):
            opened.seek(0)
        if kind in ("gzip from a pipe", "seekable in name only", "not seekable", "generator"):
            assert b"".join(opened).startswith(b"ab")


def test_a_file_is_looked_at_without_a_read(tmp_path: Path) -> None:
    reads = []

    class Counting(io.BytesIO):
        def read(self, size: Optional[int] = -1) -> bytes:
            reads.append(size)
            return super().read(size)

    path = tmp_path / "sound.raw"
    path.write_bytes(b"abc" + COUNTED)
    with open(path, "rb") as file, open(path, "rb", buffering=0) as unbuffered:
        for each in (Counting(b"abc" + COUNTED), file, unbuffered):
            each.seek(3)
            with closing(open_source(each, S16)) as opened:
                assert opened.rereadable
                assert each.tell() == 3
    assert reads == []
