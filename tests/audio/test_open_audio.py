"""Any file or stream is a source whose sound is decoded while it is read."""

from __future__ import annotations

import gzip
import io
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.audio.encoded import FILES, RATE, ROUGH, encode, in_pieces, likeness, said, stereo
from support.audio.sources import fmt_chunk, read_all, wav
from support.places import ROOT, SAMPLES
from support.sessions import PATIENCE

from speechmatics_sync import (
    AudioEncoding,
    AudioError,
    AudioFormat,
    ConfigurationError,
    DecodedAudio,
    open_audio,
)

NEEDS_TO_GO_BACK = {"m4a", "m4a of Apple Lossless", "mp4 with video"}
"""Their index lies at the end."""


def made(name: str) -> bytes:
    return FILES[name]()


def sounds_right(audio: DecodedAudio, heard: bytes, name: str = "") -> bool:
    rate = audio.audio_format.sample_rate
    lasts = len(heard) / 2 / rate
    return likeness(heard, said(), rate) > ROUGH.get(name, 0.95) and 3.95 < lasts < 4.2


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_sounds_as_it_was_recorded(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(made(name))
    with open_audio(path) as audio:
        heard = audio.read()
        assert sounds_right(audio, heard, name)
        assert audio.read(100) == b""
        assert audio.audio_format.encoding is AudioEncoding.PCM_S16LE
        assert audio.audio_format.sample_rate == (8000 if name == "amr" else RATE)
        audio.seek(30_001)
        assert audio.tell() == 30_001
        assert audio.read(5000) == heard[30_001:35_001]
        audio.seek(0)
        assert audio.read(None) == heard


def test_a_file_whose_tags_are_in_another_code_is_heard() -> None:
    title = b"TIT2\0\0\0\7\0\0\3" + "Müller".encode("latin-1")  # 3 promises UTF-8
    tags = b"ID3\3\0\0\0\0\0" + bytes([len(title)]) + title
    with open_audio(tags + made("mp3")) as audio:
        assert sounds_right(audio, audio.read())


@pytest.mark.parametrize("name", sorted({*FILES} - NEEDS_TO_GO_BACK))
def test_every_kind_of_stream_sounds_as_it_was_recorded(name: str) -> None:
    with open_audio(in_pieces(made(name))) as audio:
        assert sounds_right(audio, audio.read(), name)
        assert not audio.seekable()
        with pytest.raises(OSError, match="cannot be read again"):
            audio.seek(0)


@pytest.mark.parametrize("name", ["mp3", "m4a", "wav of 24 bits", "mkv with video"])
def test_it_is_a_source_of_known_length_that_is_read_again(name: str) -> None:
    with open_audio(made(name)) as audio:
        total = audio.total_seconds
        assert total is not None
        assert total == pytest.approx(4, abs=0.15)
        heard = audio.read()
        for _ in range(2):
            audio.seek(0)
            assert read_all(audio) == heard


@given(places=st.lists(st.tuples(st.integers(0, 130_000), st.integers(1, 9000)), max_size=6))
def test_every_place_has_its_bytes_whatever_was_read_before(places: list[tuple[int, int]]) -> None:
    with open_audio(made("mp3")) as audio:
        heard = audio.read()
        for place, size in places:
            assert audio.seek(place) == place
            assert audio.read(size) == heard[place : place + size]


@pytest.mark.parametrize(
    ("rate", "wanted", "given"),
    [(8000, None, 8000), (16000, None, 16000), (44100, None, 16000), (44100, 44100, 44100)],
)
def test_the_rate_is_that_of_the_file_up_to_16_khz_or_what_is_asked_for(
    rate: int, wanted: Optional[int], given: int
) -> None:
    content = encode(said(), "flac", "flac", rate=rate)
    with open_audio(content, sample_rate=wanted) as audio:
        heard = audio.read()
        assert audio.audio_format.sample_rate == given
        assert (audio.input_sample_rate, audio.input_channels) == (rate, 1)
        assert (audio.container, audio.codec) == ("flac", "flac")
    assert likeness(heard, said(), given) > 0.95


def test_channels_are_mixed_to_one_or_kept() -> None:
    left, right = said()[:64_000], said()[64_000:]
    content = encode(stereo(left, right), "flac", "flac", channels=2)
    with open_audio(content) as audio:
        mixed = memoryview(audio.read()).cast("h")
    halves = memoryview(left).cast("h"), memoryview(right).cast("h")
    assert all(abs(2 * mix - a - b) <= 2 for mix, a, b in zip(mixed, *halves))
    with open_audio(content, channels=2) as audio:
        assert audio.channels == 2
        assert audio.read() == stereo(left, right)


@pytest.mark.parametrize("channels", [3, 6, 9])
def test_of_channels_that_are_nowhere_none_is_left_out(channels: int) -> None:
    """As of a recorder's six microphones, of which FFmpeg takes one for a subwoofer."""
    for speaking in range(channels):
        frames = bytearray(len(said(1)) * channels)
        for byte in range(2):
            frames[2 * speaking + byte :: 2 * channels] = said(1)[byte::2]
        content = wav(bytes(frames), fmt=fmt_chunk(channels=channels))
        with open_audio(content) as audio:
            assert likeness(audio.read(), said(1)) > 0.95


def test_a_mix_that_ffmpeg_cannot_make_is_an_error_that_says_what_can_be_made() -> None:
    mono, nine = wav(bytes(1600)), wav(bytes(1800), fmt=fmt_chunk(channels=9))
    for content, channels, own in [(mono, 9, 1), (nine, 2, 9)]:
        said_of_it = f"cannot make {channels} channels of .* has {own}: ask for channels=1"
        with (
            open_audio(content, channels=channels) as audio,
            pytest.raises(AudioError, match=said_of_it),
        ):
            audio.read()
    with open_audio(nine, channels=9) as audio:
        assert audio.read() == bytes(1800)


@pytest.mark.parametrize("extra", ["without PyAV", "with it"])
def test_what_was_found_is_shown_in_words(extra: str) -> None:
    options = {} if extra == "without PyAV" else {"sample_rate": 8000}
    codec = "16-bit PCM" if extra == "without PyAV" else "pcm_s16le"
    with open_audio(wav(bytes(1600)), **options) as audio:
        assert audio.codec == codec
        assert repr(audio) == f"<DecodedAudio of the audio: {codec}, 1 channel at 16000 Hz>"


def test_several_channels_are_no_source_for_a_client() -> None:
    content = encode(stereo(said(1), said(1)), "flac", "flac", channels=2)
    with open_audio(content, channels=2) as audio, pytest.raises(AudioError, match="2 channels"):
        read_all(audio)


def test_a_file_of_the_caller_is_read_from_where_it_stands_and_stays_open() -> None:
    file = io.BytesIO(b"something else" + made("flac"))
    file.seek(14)
    with open_audio(file) as audio:
        heard = audio.read()
        audio.seek(1000)
        assert audio.read() == heard[1000:]
    assert sounds_right(audio, heard)
    assert not file.closed


def test_what_can_be_read_again_but_not_measured_is_decoded_again() -> None:
    with gzip.open(io.BytesIO(gzip.compress(made("mp3")))) as file, open_audio(file) as audio:
        heard = audio.read()
        assert sounds_right(audio, heard)
        assert audio.seek(50_000) == 50_000
        assert audio.read() == heard[50_000:]


def test_standard_input_is_a_dash() -> None:
    program = (
        "from speechmatics_sync import open_audio\n"
        "audio = open_audio('-')\n"
        "print(audio.codec, len(audio.read()) // 32000, audio.seekable())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], input=made("ogg opus"), capture_output=True, cwd=ROOT
    )
    assert (ran.stdout.decode().strip(), ran.stderr) == ("opus 4 False", b"")


def test_a_live_source_is_read_no_further_than_it_has_to_be() -> None:
    """What was spoken comes out while the next words are still to be said."""
    content = made("mp3 of a stream")
    asked = 0

    def live() -> Any:
        nonlocal asked
        for piece in in_pieces(content, 500):
            asked += len(piece)
            yield piece

    with open_audio(live()) as audio:
        assert asked <= 4500  # 1.5 of 4 seconds, of which FFmpeg has to see some
        heard = b""
        while len(heard) < 64_000:
            heard += audio.read(3200)
        assert asked < len(content) * 0.7
        assert likeness(heard, said(2)) > 0.9


def test_nothing_is_open_after_the_end_and_it_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "file.mp3"
    path.write_bytes(made("mp3"))
    audio = open_audio(path)
    heard = audio.read()
    path.rename(tmp_path / "elsewhere")
    audio.seek(0)
    with pytest.raises(AudioError, match="No such file"):
        audio.read(10)
    (tmp_path / "elsewhere").rename(path)
    assert audio.read() == heard
    audio.close()
    audio.close()
    assert audio.closed
    with pytest.raises(AudioError, match="closed"):
        audio.read(10)


def test_it_is_closed_while_another_thread_waits_for_live_audio() -> None:
    asked, go_on = threading.Event(), threading.Event()

    def live() -> Any:
        yield made("mp3")[:6000]
        asked.set()
        go_on.wait(PATIENCE)
        yield made("mp3")[6000:]

    audio = open_audio(live())
    raised: list[BaseException] = []

    def read_on() -> None:
        try:
            while audio.read(3200):
                pass
        except AudioError as error:
            raised.append(error)

    thread = threading.Thread(target=read_on)
    thread.start()
    assert asked.wait(PATIENCE)
    audio.close()
    go_on.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert "closed" in str(raised[0])


def test_a_source_that_fails_gives_what_came_before_and_then_its_error() -> None:
    def failing() -> Any:
        yield made("mp3")[:8000]
        raise OSError("the cable is out")

    with open_audio(failing()) as audio:
        heard = audio.read()
        with pytest.raises(AudioError, match="the cable is out"):
            audio.read()
    assert likeness(heard, said(len(heard) / 32_000)) > 0.9


def test_an_interrupt_within_a_read_comes_out() -> None:
    def interrupted() -> Any:
        yield made("mp3")[:8000]
        raise KeyboardInterrupt

    with open_audio(interrupted()) as audio, pytest.raises(KeyboardInterrupt):
        audio.read()


@pytest.mark.parametrize("options", [{"sample_rate": 999}, {"channels": 0}, {"channels": "two"}])
def test_a_setting_that_is_not_allowed_is_named(options: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{next(iter(options))} is "):
        open_audio(SAMPLES / "demo.wav", **options)


def test_what_says_itself_what_it_is_needs_no_audio_format(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with open_audio(made("mp3")) as audio, caplog.at_level(logging.INFO):
        assert read_all(audio, AudioFormat(AudioEncoding.PCM_S16LE, RATE))
        found = "is pcm_s16le at 16000 Hz, and .* is pcm_s16le at 8000 Hz: leave audio_format out"
        with pytest.raises(AudioError, match=found):
            read_all(audio, AudioFormat(AudioEncoding.PCM_S16LE, 8000))
    assert not caplog.records


MEMORY = """
import sys
from speechmatics_sync import open_audio

class Endless:
    # So many seconds of MP3, at 128 kbit/s.
    def __init__(self, block, seconds):
        self.block, self.place, self.end = block, 0, seconds * 16000
    def read(self, size):
        start = self.place % len(self.block)
        piece = self.block[start : start + size] if self.place < self.end else b""
        self.place += len(piece)
        return piece

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

with open(sys.argv[1], "rb") as file:
    block = file.read()
with open_audio(Endless(block, int(sys.argv[2]))) as audio:
    seconds, peaks = 0, []
    while piece := audio.read(32000):
        seconds += len(piece) / 32000
        if seconds > 60 * len(peaks):
            peaks.append(peak())
print(*peaks)
"""


@pytest.mark.once
def test_two_hours_of_mp3_take_less_than_100_mb(tmp_path: Path) -> None:
    """Measured in a quarter of an hour: what grows would grow on, minute by minute."""
    path = tmp_path / "block.mp3"
    path.write_bytes(
        encode(
            said(),
            "mp3",
            "mp3",
            rate=44100,
            options={"write_xing": "0"},
            bit_rate=128_000,
        )
    )
    ran = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path), "900"], capture_output=True, text=True, cwd=ROOT
    )
    peaks = [int(kilobytes) for kilobytes in ran.stdout.split()]
    assert len(peaks) in (15, 16), ran.stderr  # the last block may reach beyond the end
    a_minute = (peaks[14] - peaks[2]) / 12
    assert peaks[14] + 105 * a_minute < 100 * 1024
