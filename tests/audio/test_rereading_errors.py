"""Sources that cannot be read again as far as they went."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from support.audio.counted_files import COUNTED, FILE, KINDS, S16
from support.audio.sources import (
    NO_SOUND,
    ShortReads,
    fmt_chunk,
    rereadable_sources_of,
    wav,
)

from speechmatics_sync import split_channels
from speechmatics_sync._audio.sources import open_source
from speechmatics_sync.errors import AudioError


def shorten(source: Any) -> None:
    if isinstance(source, bytearray):
        del source[10000:]
    elif isinstance(source, str):
        os.truncate(source, 10000)
    else:
        source.truncate(10000)


@pytest.mark.parametrize("kind", ["bytearray", "path", "file without a buffer", "in memory"])
@pytest.mark.parametrize("position", [10001, 20000, len(COUNTED)])
def test_a_source_that_no_longer_goes_as_far_is_an_error_that_names_it(
    kind: str, position: int
) -> None:
    with ExitStack() as stack:
        source = rereadable_sources_of[kind](COUNTED, stack)
        opened = open_source(source, S16)
        stack.callback(opened.close)
        list(opened)
        shorten(source)
        with pytest.raises(AudioError, match=f"before byte {position}") as raised:
            opened.seek(position)
        assert opened.name in str(raised.value)


@pytest.mark.parametrize("kind", ["bytearray", "path", "file without a buffer", "in memory"])
def test_a_source_that_ends_sooner_than_before_does_not_pretend_to_have_ended(kind: str) -> None:
    with ExitStack() as stack:
        source = rereadable_sources_of[kind](COUNTED, stack)
        opened = open_source(source, S16)
        stack.callback(opened.close)
        list(opened)
        shorten(source)
        opened.seek(9000)
        chunks = []
        with pytest.raises(AudioError, match=r"shorter.*after 10000") as raised:
            chunks.extend(opened)
        assert opened.name in str(raised.value)
        opened.seek(10000)
        with pytest.raises(AudioError, match="shorter"):
            opened.read()


@pytest.mark.parametrize("kind", KINDS)
def test_no_source_can_be_read_from_beyond_its_end(kind: str) -> None:
    for content in (COUNTED, wav(COUNTED, after=NO_SOUND)):
        with ExitStack() as stack:
            opened = open_source(rereadable_sources_of[kind](content, stack))
            stack.callback(opened.close)
            opened.seek(len(COUNTED))
            assert opened.read() == b""
            with pytest.raises(AudioError, match="cannot be read again"):
                opened.seek(len(COUNTED) + 1)


@pytest.mark.parametrize("beyond", [1, 2, 3, 5, 1000])
def test_no_channel_can_be_read_from_beyond_its_end(beyond: int) -> None:
    for channels in (1, 2):
        content = wav(COUNTED, fmt=fmt_chunk(channels=channels), after=NO_SOUND)
        for channel in split_channels(content).values():
            for audio_format in (None, FILE):
                with closing(open_source(channel, audio_format)) as opened:
                    size = sum(map(len, opened))
                    opened.seek(size)
                    assert opened.read() == b""
                    with pytest.raises(AudioError, match="cannot be read again"):
                        opened.seek(size + beyond)


def test_a_channel_whose_recording_has_gone_or_shrunk_is_an_error_that_names_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(wav(COUNTED, fmt=fmt_chunk(channels=2)))
    channel = split_channels(path)["1"]
    for spoil in (lambda: os.truncate(path, 5000), path.unlink):
        with closing(open_source(channel)) as opened:
            list(opened)
            spoil()
            with pytest.raises(AudioError, match=r"call\.wav"):
                opened.seek(9000)


@pytest.mark.parametrize("error", [OSError(5, "broke"), LookupError("broke"), StopIteration()])
def test_a_seek_that_fails_is_an_error_with_its_cause_and_nothing_is_read_after_it(
    error: Exception,
) -> None:
    class Breaking(ShortReads):
        broken = False

        def seek(self, position: int) -> int:
            if self.broken:
                raise error
            return super().seek(position)

    file = Breaking(COUNTED, 1000)
    with closing(open_source(file, S16)) as opened:
        opened.read()
        file.broken = True
        with pytest.raises(AudioError, match=f"Breaking.*{type(error).__name__}") as raised:
            opened.seek(100)
        assert raised.value.__cause__ is error
        with pytest.raises(AudioError, match="closed"):
            opened.read()


def test_a_seek_that_goes_nowhere_is_an_error() -> None:
    class Unmoved(ShortReads):
        def seek(self, position: int) -> int:
            return position

    with closing(open_source(Unmoved(COUNTED, 1000), S16)) as opened:
        opened.read()
        with pytest.raises(AudioError, match="sent to byte 99, it is at 4096"):
            opened.seek(100)


def test_a_closed_source_goes_nowhere() -> None:
    opened = open_source(COUNTED, S16)
    opened.close()
    with pytest.raises(AudioError, match="closed"):
        opened.seek(0)


def test_a_place_before_the_beginning_is_none() -> None:
    with closing(open_source(COUNTED, S16)) as opened, pytest.raises(ValueError, match="-1"):
        opened.seek(-1)


def test_an_interrupt_in_a_seek_is_not_taken_for_a_fault_of_the_source() -> None:
    class Interrupted(ShortReads):
        armed = False

        def seek(self, position: int) -> int:
            if self.armed:
                raise KeyboardInterrupt
            return super().seek(position)

    file = Interrupted(COUNTED, 1000)
    with closing(open_source(file, S16)) as opened:
        file.armed = True
        with pytest.raises(KeyboardInterrupt):
            opened.seek(100)
