"""Bad input of `open_audio` is an error that says what was found, or a warning that says where."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.audio.encoded import FILES, encode, in_pieces, likeness, said, stereo
from support.audio.sources import fmt_chunk, wav
from support.places import ROOT, SAMPLES

from speechmatics_sync import AudioError, open_audio, split_channels

INDEX_AT_END = FILES["m4a"]
INDEX_FIRST = FILES["m4a with its index first"]
FLAC, MP3, AAC = FILES["flac"], FILES["mp3"], FILES["aac"]
STEREO = fmt_chunk(channels=2)
DAMAGED = {"mp3": MP3, "aac": AAC, "m4a": INDEX_AT_END}


def heard_of(source: Any) -> bytes:
    with open_audio(source) as audio:
        return audio.read()


@pytest.mark.parametrize(
    ("content", "found", "cure"),
    [
        (b"", "is empty", ""),
        (bytes(range(256)) * 50, "no audio or video that can be decoded", "an audio_format"),
        (b"<!doctype html><html><body>Sign in</body></html>" * 9, "no sound, but a web page", ""),
        (b"PK\3\4\x14\0\0\0\x08\0" + bytes(range(256)), "no sound, but a ZIP archive", ""),
        (lambda: INDEX_AT_END()[:20_000], "begins as an MP4 file", "before its index"),
        (b"#EXTM3U\n#EXTINF:2,\nfile:///etc/passwd\n", "a playlist", r"open_audio\(url\)"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "a playlist", r"open_audio\(url\)"),
    ],
)
def test_what_is_no_sound_is_an_error_that_says_what_it_is(
    content: Any, found: str, cure: str, tmp_path: Path
) -> None:
    content = content() if callable(content) else content
    path = tmp_path / "file.mp3"
    path.write_bytes(content)
    for source in (path, content, in_pieces(content)):
        with pytest.raises(AudioError, match=f"{found}.*{cure}"):
            open_audio(source)


def test_a_video_without_sound_is_an_error_that_says_so() -> None:
    content = encode(said(0), "mp4", "aac", video=True)
    silent = content.replace(b"soun", b"sbtl")  # its audio track is one of subtitles now
    with pytest.raises(AudioError, match=r"has no audio, but .*video"):
        open_audio(silent)


@pytest.mark.parametrize("missing", ["/no/such/file.mp3", "file:///no/such/file.mp3"])
def test_a_file_that_is_not_there_is_named(missing: str) -> None:
    with pytest.raises(AudioError, match=r"'/no/such/file\.mp3' cannot be read: No such file"):
        open_audio(missing)


@pytest.mark.parametrize(
    "url", ["ftp://user:key@host/a", "rtsp://host/a?key=1", "rtmp://host/key#key"]
)
def test_other_protocols_are_refused_and_no_key_is_named(url: str) -> None:
    with pytest.raises(AudioError, match="allowed: http, https, tcp, tls") as raised:
        open_audio(url)
    assert "key" not in str(raised.value).replace("/key", "")


@pytest.mark.parametrize(
    "trick", ["concat:/etc/hostname", "pipe:0", "data:audio/wav,x", "lavfi:sine"]
)
def test_a_path_is_a_path_and_no_protocol_of_ffmpeg(trick: str) -> None:
    with pytest.raises(AudioError, match="No such file"):
        open_audio(trick)


@pytest.mark.parametrize("source", [None, 7, {"a": b""}, open_audio])
def test_what_is_no_source_is_an_error(source: Any) -> None:
    with pytest.raises(AudioError):
        open_audio(source)


def test_what_is_decoded_already_is_not_decoded_again() -> None:
    for take in (open_audio, split_channels):
        with open_audio(MP3()) as audio, pytest.raises(AudioError, match="is decoded already"):
            take(audio)


def test_an_index_behind_the_sound_cannot_be_reached_in_a_pipe() -> None:
    with pytest.raises(AudioError, match=r"index.*at its end.*save it as a file.*faststart"):
        heard_of(in_pieces(INDEX_AT_END()))


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("make", "second"),
    [
        (lambda: half(INDEX_FIRST()), r"1\.[89]|2\.\d"),
        (lambda: half(FLAC()), r"1\.[89]|2\.\d"),
        (lambda: half(MP3()), r"1\.[89]|2\.0"),
        (lambda: half(AAC()), r"1\.[89]|2\.\d"),
        (lambda: encode(said(), "aiff", "pcm_s16be")[:64_054], r"2\.0"),
        (lambda: encode(said(), "wav", "pcm_s24le", rate=44100)[: 44 + 3 * 88_200], r"2\.0"),
        (lambda: wav(stereo(said(), said()), fmt=STEREO)[: 44 + 128_000], r"2\.0"),
        (lambda: encode(said(), "webm", "libopus", rate=48000)[:16_000], r"[123]\.\d"),
    ],
)
def test_a_file_that_breaks_off_gives_what_there_is_and_a_warning_with_the_second(
    make: Callable[[], bytes], second: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard = heard_of(make())
    assert likeness(heard, said(len(heard) / 32000)) > 0.95
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    assert any(
        re.search(rf"(breaks off|damaged) at second ({second})", each) for each in warnings
    ), warnings


@pytest.mark.parametrize(
    "make",
    [
        MP3,
        FLAC,
        AAC,
        INDEX_AT_END,
        lambda: encode(said(), "ogg", "libopus", rate=48000),
        lambda: encode(said(), "mp3", "mp3", codec_options={"q": "2"}),
        lambda: encode(said(), "mp3", "mp3", codec_options={"q": "2"}, options={"write_xing": "0"}),
        lambda: encode(said(), "mp4", "aac", video=True),
        lambda: encode(said(), "wav", "adpcm_ms"),
        lambda: encode(said(), "wav", "pcm_s24le", rate=44100),
        lambda: wav(said() * 2, fmt=STEREO, after=b"LIST\4\0\0\0abcd"),
        pytest.param(
            lambda: wav(said() * 2 + b"\0", fmt=STEREO),
            marks=pytest.mark.skipif(
                int(av.__version__.partition(".")[0]) < 18,
                reason="FFmpeg before 8.1.2 calls it damage",
            ),
        ),
        lambda: wav(said() * 2, fmt=STEREO, data_size=0xFFFFFFFF),
        lambda: wav(said() * 2, fmt=STEREO, data_size=0),
    ],
)
def test_a_whole_file_warns_of_nothing(
    make: Callable[[], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    heard_of(make())
    assert not caplog.records


def damaged(content: bytes, places: int) -> bytes:
    broken = bytearray(content)
    for number in range(places):
        at = len(content) // 2 + number * 997
        broken[at : at + 200] = b"\x55" * 200
    return bytes(broken)


@pytest.mark.parametrize("name", DAMAGED)
def test_what_cannot_be_decoded_is_left_out_and_counted(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with open_audio(damaged(DAMAGED[name](), 3)) as audio:
        heard = audio.read()
        audio.seek(0)
        assert audio.read() == heard
    assert 3 < len(heard) / 32000 < 4.1
    assert likeness(heard[:56_000], said(1.75)) > 0.9
    first, count = (record.getMessage() for record in caplog.records)  # once, though read twice
    assert "is damaged at second" in first
    assert int(count.split()[0]) > 1
    assert "packets" in count


@pytest.mark.parametrize(("name", "exact"), [("aac", False), ("m4a", True)])
def test_what_follows_damage_keeps_its_time(name: str, exact: bool) -> None:
    """To the sample in a file that names its times; what has none is found again by its frames."""
    content = DAMAGED[name]()
    whole, heard = heard_of(content), heard_of(damaged(content, 3))
    assert not heard.startswith(whole)
    assert len(heard) == len(whole)
    assert heard.endswith(whole[-40_000:]) or not exact
    assert likeness(heard[-40_000:], whole[-40_000:]) > 0.9


def test_the_pauses_of_a_telephone_call_keep_their_length(caplog: pytest.LogCaptureFixture) -> None:
    """FFmpeg decodes no AMR frames that say only what the silence is like, or nothing."""
    content = FILES["amr"]()
    magic, frame, silence, nothing = 6, 32, b"\x44" + bytes(5), b"\x7c"
    pause = silence + nothing * 49
    heard = heard_of(content[: magic + 50 * frame] + pause + content[magic + 100 * frame :])
    assert len(heard) == len(heard_of(content))
    assert heard[16_000:32_000] == bytes(16_000)
    assert heard[-16_000:] == heard_of(content)[-16_000:]
    assert not caplog.records


def test_a_rate_that_no_sound_has_is_refused() -> None:
    """From 1 Hz, a resampler would make gigabytes of one frame."""
    content = wav(said(), fmt=fmt_chunk(rate=1, channels=2))
    with pytest.raises(AudioError, match="1 samples a second"):
        heard_of(content)


@given(data=st.data(), make=st.sampled_from([MP3, AAC, FLAC, INDEX_FIRST]))
def test_damage_of_any_kind_is_sound_or_an_audio_error(
    data: st.DataObject, make: Callable[[], bytes]
) -> None:
    broken = bytearray(make()[: data.draw(st.integers(0, 20_000))])
    for _ in range(data.draw(st.integers(0, 20))):
        if broken:
            at = data.draw(st.integers(0, len(broken) - 1))
            broken[at] = data.draw(st.integers(0, 255))
    try:
        heard = heard_of(bytes(broken))
    except AudioError:
        return
    assert heard
    assert len(heard) % 2 == 0


def test_nothing_of_ffmpeg_is_printed_and_its_logging_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(damaged(MP3(), 5))
    program = (
        "import av.logging, sys\n"
        "before = av.logging.get_level()\n"
        "from speechmatics_sync import open_audio\n"
        "open_audio(sys.argv[1]).read()\n"
        "assert av.logging.get_level() == before"
    )
    ran = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, cwd=ROOT)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")


def test_without_the_extra_the_error_names_it_and_plain_wav_files_are_read() -> None:
    program = (
        "import sys; sys.modules['av'] = None\n"
        "from speechmatics_sync import ConfigurationError, open_audio\n"
        "with open_audio(sys.argv[2]) as audio:\n"
        "    assert len(audio.read()) == 2 * 174800\n"
        "    audio.seek(0)\n"
        "    assert len(audio.read()) == 2 * 174800\n"
        "try:\n    open_audio(sys.argv[1], sample_rate=8000)\n"
        "except ConfigurationError as error:\n    print(error)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(SAMPLES / "call.wav"), str(SAMPLES / "demo.wav")],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert 'pip install "speechmatics-sync[audio]"' in ran.stdout, ran.stderr
