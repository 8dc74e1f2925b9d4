"""What can be no source, and sources that fail."""

from __future__ import annotations

import base64
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from support.audio.sources import (
    S16,
    InTurn,
    read_all,
    sound_path,
    wav,
)

from speechmatics_sync import AudioFormat, split_channels
from speechmatics_sync._audio.sources import check_source, open_source
from speechmatics_sync.errors import AudioError

__all__ = ["sound_path"]


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
        ("no such file.wav", "'no such file.wav'.*No such file.*looked for from '/"),
        (["a.wav", Path("b.wav")], "holds paths.*transcribe_many"),
        (("a.wav",), "holds paths.*transcribe_many"),
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


NO_PATHS = [
    ("~/call.wav", r"os\.path\.expanduser"),
    (Path("~/call.wav"), r"os\.path\.expanduser"),
    (Path("https://example.com/call.wav"), r"urlopen\(url\)"),
]
NO_PATH_FOR_ONE_CHANNEL = ("https://example.com/call.wav", r"urlopen\(url\).*requests\.get")
"""A URL that split_channels opens."""


@pytest.mark.parametrize(
    ("take", "path", "hint"),
    [
        *((take, *row) for take in (check_source, split_channels) for row in NO_PATHS),
        (check_source, *NO_PATH_FOR_ONE_CHANNEL),
    ],
)
def test_a_path_that_is_none_says_what_to_pass_instead(
    take: Callable[[Any], object], path: Any, hint: str
) -> None:
    with pytest.raises(AudioError, match=f"No such file or directory.*{hint}") as raised:
        take(path)
    assert str(raised.value).count("call.wav") == 1


@pytest.mark.parametrize("before", ["", "data:audio/wav;base64,"])
@pytest.mark.parametrize("take", [check_source, split_channels])
def test_audio_in_a_text_is_not_shown_whole_and_the_error_says_how_it_becomes_bytes(
    before: str, take: Callable[[Any], object]
) -> None:
    text = before + base64.b64encode(wav()).decode()
    with pytest.raises(AudioError, match=r"This is no path: .*base64\.b64decode") as raised:
        take(text)
    assert len(str(raised.value)) < 1000


def test_a_dash_is_a_path_and_what_reads_standard_input_is_named() -> None:
    with pytest.raises(AudioError, match=r"the file '-' cannot be read: .*open_audio\(\"-\"\)"):
        check_source("-")


def test_what_is_said_of_bytes_is_a_sentence() -> None:
    for audio in (wav(), bytearray(wav())):
        with pytest.raises(AudioError, match=r"^the audio is a WAV file of"):
            open_source(audio, AudioFormat("pcm_s16le", 8000))


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
