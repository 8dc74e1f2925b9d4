"""Objects that only look like files are read, whatever they raise when they are looked at."""

from __future__ import annotations

import io
import tarfile
import zipfile
from contextlib import closing
from typing import Any

import pytest
from support.audio.sources import SOUND, read_all, wav
from support.sessions import RAW

from speechmatics_sync import AudioFormat
from speechmatics_sync._audio.sources import open_source


def member_of_a_tar(content: bytes, mode: str = "r:") -> Any:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("call.wav")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    packed.seek(0)
    archive = tarfile.open(fileobj=packed, mode=mode)  # noqa: SIM115
    return archive.extractfile(next(iter(archive)))


def member_of_a_zip(content: bytes) -> Any:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("call.wav", content)
    return zipfile.ZipFile(packed).open("call.wav")


class MinimalRaw:
    """All that `io.BufferedReader` wants of what it reads."""

    def flush(self) -> None:
        """Called, with `close`, by the destructor of the reader over it; errors are shown there."""

    def close(self) -> None:
        """Nothing is held."""

    closed = False

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer)


class Hostile:
    """A file that raises when anything but ``read`` is asked for."""

    def __init__(self, content: bytes) -> None:
        object.__setattr__(self, "held", io.BytesIO(content))

    def read(self, size: int) -> bytes:
        held: io.BytesIO = object.__getattribute__(self, "held")
        return held.read(size)

    def __getattribute__(self, name: str) -> Any:
        if name in ("read", "__class__"):
            return object.__getattribute__(self, name)
        raise LookupError(f"nobody may ask for {name}")


class HostileReader(io.BufferedReader):
    """A reader that cannot say anything of itself."""

    def _refuse(self, *args: Any) -> Any:
        raise NotImplementedError

    closed = property(_refuse)  # type: ignore[assignment]
    name = property(_refuse)
    raw = property(_refuse)  # type: ignore[assignment]
    fileno = tell = seek = seekable = readable = _refuse  # type: ignore[assignment]


KINDS: dict[str, Any] = {
    "tar": member_of_a_tar,
    "tar stream": lambda content: member_of_a_tar(content, "r|"),
    "zip": member_of_a_zip,
    "minimal raw": lambda content: io.BufferedReader(MinimalRaw(content)),  # type: ignore[type-var]
    "hostile": Hostile,
    "hostile reader": lambda content: HostileReader(io.BytesIO(content)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_only_looks_like_a_file_is_read(kind: str) -> None:
    assert read_all(KINDS[kind](SOUND), RAW) == SOUND
    assert read_all(KINDS[kind](wav())) == SOUND
    with closing(open_source(KINDS[kind](wav()))) as opened:
        assert opened.audio_format == AudioFormat("pcm_s16le", 16000)


def test_a_buffer_that_cannot_be_had_is_an_error_of_ours() -> None:
    view = memoryview(bytearray(SOUND))
    view.release()
    with pytest.raises(ValueError, match="released"):
        read_all(view, RAW)
