"""What a microphone hears can be kept: in a WAV file that is whole whatever happens."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.audio.sound_server import (
    SPOKEN,
    SoundServer,
    _module_server,
    sound_server,
    write_wav,
)
from support.places import ROOT
from support.serving import PATIENCE
from support.sessions import InThread

from speechmatics_sync import AudioError, Microphone
from speechmatics_sync._audio.sources import open_source
from speechmatics_sync._audio.wav_recording import WavRecording

__all__ = ["_module_server", "sound_server"]

SAMPLES = bytes(range(256)) * 40


def content(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        return file.readframes(file.getnframes())


# -- the file -------------------------------------------------------------------------------------


def test_the_file_is_whole_after_each_write(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    recording = WavRecording(path, sample_rate=8000, channels=2)
    for count in range(4):
        with wave.open(str(path)) as file:
            assert file.getparams()[:4] == (2, 2, 8000, count * len(SAMPLES) // 4)
        assert content(path) == SAMPLES * count
        assert path.stat().st_size == 44 + count * len(SAMPLES)
        recording.write(SAMPLES)
    recording.close()


def test_a_file_beyond_4_gib_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "call.wav"
    monkeypatch.setattr("speechmatics_sync._audio.wav_recording._UNKNOWN", 10_000)
    recording = WavRecording(path, sample_rate=16000, channels=1)
    recording.write(SAMPLES[:9_000])
    assert content(path) == SAMPLES[:9_000]
    recording.write(SAMPLES[9_000:])
    recording.close()
    header = path.read_bytes()[:44]
    path.write_bytes(header.replace((10_000).to_bytes(4, "little"), b"\xff" * 4) + SAMPLES)
    opened = open_source(path)
    assert b"".join(opened) == SAMPLES
    opened.close()


@pytest.mark.parametrize(
    ("path", "reason"),
    [("no/such/directory/call.wav", "No such file"), ("/dev/full", "No space left")],
)
def test_a_file_that_cannot_be_written_is_an_error(path: str, reason: str) -> None:
    with pytest.raises(AudioError, match=f"{path!r} cannot be written: {reason}"):
        WavRecording(path, sample_rate=16000, channels=1)


def test_a_pipe_cannot_be_written_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "call.wav")
    reader = os.open(tmp_path / "call.wav", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(AudioError, match="it is a pipe"):
            WavRecording(tmp_path / "call.wav", sample_rate=16000, channels=1)
    finally:
        os.close(reader)


def test_a_disk_that_is_full_leaves_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    recording = WavRecording(path, sample_rate=16000, channels=1)
    recording.write(SAMPLES)
    too_large = pytest.raises(AudioError, match=r"cannot be written: File too large; it ends after")
    with small_files(44 + len(SAMPLES) + 1000), too_large:
        recording.write(SAMPLES)
    assert path.stat().st_size == 44 + len(SAMPLES)
    assert content(path) == SAMPLES


@contextlib.contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file of this process grows beyond a size."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


# -- with a microphone ----------------------------------------------------------------------------


def test_what_is_heard_is_kept(sound_server: SoundServer, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with Microphone(save=path) as microphone:
        heard = b"".join(microphone.read(1000) for _ in range(20))
        microphone.stop()
        heard += microphone.read()
    assert heard
    assert content(path) == heard


def test_what_was_not_read_is_kept_nevertheless(sound_server: SoundServer, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    write_wav(tmp_path / "spoken.wav", SPOKEN)
    with Microphone(save=path) as microphone:
        sound_server.play(tmp_path / "spoken.wav")
    assert SPOKEN in content(path)
    assert content(path) == microphone.read()


def test_all_channels_are_kept(sound_server: SoundServer, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with Microphone(channels=2, save=path, sample_rate=8000) as microphone:
        mean = microphone.read(1000)
    with wave.open(str(path)) as file:
        assert file.getparams()[:3] == (2, 2, 8000)
        assert file.getnframes() >= len(mean) // 2


RECORD = """
import sys
from speechmatics_sync import Microphone
with Microphone(save=sys.argv[1]) as microphone:
    while True:
        sys.stdout.buffer.write(microphone.read(1000))
"""


def test_a_process_that_is_killed_leaves_a_whole_file(
    sound_server: SoundServer, tmp_path: Path
) -> None:
    path = tmp_path / "call.wav"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", RECORD, path],
        env={**sound_server.environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    ) as recorder:
        assert recorder.stdout is not None
        heard = recorder.stdout.read(20_000)
        recorder.kill()
        heard += recorder.stdout.read()
    kept = content(path)
    assert path.stat().st_size == 44 + len(kept)
    assert kept[: len(heard)] == heard


def test_a_disk_that_is_full_does_not_end_the_session(
    sound_server: SoundServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Microphone(save=tmp_path / "call.wav") as microphone, small_files(5_000):
        assert sum(len(microphone.read(1000)) for _ in range(20)) > 5_000
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert "cannot be written" in record.getMessage()
    assert content(tmp_path / "call.wav")


def test_a_file_that_cannot_be_made_does_not_keep_the_device(sound_server: SoundServer) -> None:
    with pytest.raises(AudioError, match="cannot be written"):
        Microphone(save="/no/such/directory/call.wav").read(100)
    assert sound_server.recorders() == 0


def test_closing_it_in_another_thread_completes_the_file(
    sound_server: SoundServer, tmp_path: Path
) -> None:
    path = tmp_path / "call.wav"
    with Microphone(save=path) as microphone:
        reading = InThread(microphone.read)
        deadline = time.monotonic() + PATIENCE
        while path.stat().st_size < 10_000:
            assert time.monotonic() < deadline
            time.sleep(0.01)  # sound takes its time
        microphone.close()
        assert content(path) == reading.result()
