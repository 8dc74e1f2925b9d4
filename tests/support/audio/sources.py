"""Audio sources of every kind, and WAV files built byte by byte."""

from __future__ import annotations

import array
import bz2
import gzip
import io
import itertools
import mmap
import struct
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from speechmatics_sync import AudioEncoding, AudioFormat
from speechmatics_sync._audio.sources import open_source

SOUND = bytes(range(256)) * 100


TAG_GUID = bytes.fromhex("000000001000800000aa00389b71")


def riff_chunk(name: bytes, body: bytes, size: Optional[int] = None) -> bytes:
    return (
        struct.pack("<4sI", name, len(body) if size is None else size)
        + body
        + b"\0" * (len(body) % 2)
    )


NO_SOUND = riff_chunk(b"LIST", b"no sound")


def fmt_chunk(
    tag: int = 1,
    bits: int = 16,
    channels: int = 1,
    rate: int = 16000,
    frame_size: Optional[int] = None,
    extra: bytes = b"",
) -> bytes:
    frame_size = channels * bits // 8 if frame_size is None else frame_size
    byte_rate = rate * frame_size & 0xFFFFFFFF
    return riff_chunk(
        b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, byte_rate, frame_size, bits) + extra
    )


def wav(
    sound: bytes = SOUND,
    *,
    fmt: Optional[bytes] = None,
    data_size: Optional[int] = None,
    before: bytes = b"",
    after: bytes = b"",
    form: bytes = b"RIFF",
) -> bytes:
    fmt = fmt_chunk() if fmt is None else fmt
    body = b"WAVE" + fmt + before + riff_chunk(b"data", sound, data_size) + after
    return riff_chunk(form, body)


def extensible(tag: int, bits: int, tail: bytes = TAG_GUID, channels: int = 1) -> bytes:
    extra = struct.pack("<HHIH", 22, bits, 4, tag) + tail
    return fmt_chunk(0xFFFE, bits, channels, extra=extra)


def read_all(source: object, audio_format: Optional[AudioFormat] = None, **options: Any) -> bytes:
    with closing(open_source(source, audio_format, **options)) as opened:
        return b"".join(opened)


def chunks_of(source: object, audio_format: Optional[AudioFormat] = None) -> list[bytes]:
    with closing(open_source(source, audio_format)) as opened:
        return list(opened)


class InTurn:
    """A file object whose reads return these values in order; exceptions are raised."""

    def __init__(self, *answers: object) -> None:
        self.answers = iter(answers)
        self.sizes: list[int] = []

    def read(self, size: int) -> Any:
        self.sizes.append(size)
        answer = next(self.answers, b"")
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Slow:
    """A file object that returns at most so many bytes per read."""

    def __init__(self, content: bytes, most: int) -> None:
        self.file = io.BytesIO(content)
        self.most = most

    def read(self, size: int) -> bytes:
        return self.file.read(min(size, self.most))


def split(content: bytes, sizes: list[int]) -> Iterator[bytes]:
    """Cut into pieces of these sizes, over and over; with a size of 0, empty ones in between."""
    position = 0
    for size in itertools.cycle([*sizes, 1]):
        if position >= len(content):
            return
        yield content[position : position + size]
        position += size


sources_of: dict[str, Callable[[bytes, list[int]], object]] = {
    "bytes": lambda content, sizes: content,
    "bytearray": lambda content, sizes: bytearray(content),
    "file": lambda content, sizes: io.BytesIO(content),
    "short reads": lambda content, sizes: Slow(content, max([*sizes[:1], 1])),
    "reads too long": lambda content, sizes: InTurn(*filter(None, split(content, sizes))),
    "generator": lambda content, sizes: split(content, sizes),
    "mutable chunks": lambda content, sizes: map(bytearray, split(content, sizes)),
    "views": lambda content, sizes: (memoryview(piece) for piece in split(content, sizes)),
}


class ShortReads(Slow):
    """A seekable file object that returns at most so many bytes per read."""

    def seek(self, position: int, whence: int = 0) -> int:
        return self.file.seek(position, whence)

    def tell(self) -> int:
        return self.file.tell()


def on_disk(content: bytes, stack: ExitStack, buffering: int = -1) -> Any:
    """A file with this content, which is removed when the stack unwinds."""
    file = stack.enter_context(
        tempfile.NamedTemporaryFile(buffering=buffering)  # noqa: SIM115
    )
    file.write(content)
    file.seek(0)
    return file


def spooled(content: bytes, stack: ExitStack) -> Any:
    file = stack.enter_context(tempfile.SpooledTemporaryFile())  # noqa: SIM115
    file.write(content)
    file.seek(0)
    return file


def read_before(file: Any) -> Any:
    """The file from its fourth byte on: the three before it are not the session's."""
    file.read(3)
    return file


def mapped(content: bytes, stack: ExitStack) -> mmap.mmap:
    memory = stack.enter_context(mmap.mmap(-1, max(1, len(content))))
    memory.write(content)
    memory.seek(0 if content else 1)
    return memory


rereadable_sources_of: dict[str, Callable[[bytes, ExitStack], Any]] = {
    "bytes": lambda content, stack: content,
    "bytearray": lambda content, stack: bytearray(content),
    "view": lambda content, stack: memoryview(b"abc" + content)[3:],
    "array": lambda content, stack: array.array("B", content),
    "path": lambda content, stack: on_disk(content, stack, buffering=0).name,
    "file": on_disk,
    "file without a buffer": lambda content, stack: on_disk(content, stack, buffering=0),
    "file read before": lambda content, stack: read_before(on_disk(b"abc" + content, stack)),
    "in memory": lambda content, stack: io.BytesIO(content),
    "in memory, read before": lambda content, stack: read_before(io.BytesIO(b"abc" + content)),
    "spooled": spooled,
    "mapped": mapped,
    "gzip": lambda content, stack: gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(content))),
    "bz2": lambda content, stack: bz2.BZ2File(io.BytesIO(bz2.compress(content))),
    "short reads": lambda content, stack: ShortReads(content, 700),
}
"""Sources that can be read again; their files are removed with the stack."""


S16 = AudioFormat(AudioEncoding.PCM_S16LE, 16000)


@pytest.fixture
def sound_path(tmp_path: Path) -> Path:
    path = tmp_path / "sound.raw"
    path.write_bytes(SOUND)
    return path
