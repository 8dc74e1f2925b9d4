"""The embedded server decodes what the service takes, and is harmed by nothing that it is sent."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.audio.encoded import FILES, ROUGH, encode, in_pieces, likeness, said, stereo
from support.places import ROOT, SAMPLES

from speechmatics_sync import AudioFormat, Client, TranscriptionError
from speechmatics_sync.local import LocalServer, ScriptedRecognizer
from speechmatics_sync.local._audio import decoder_for
from speechmatics_sync.local._validation import Refused

TAKEN = [
    "mp3",
    "mp3 with cover art",
    "aac",
    "ogg vorbis",
    "ogg opus",
    "mpeg",
    "amr",
    "m4a with its index first",
    "mp4 in fragments",
    "flac",
]
FILE = {"type": "file"}


def decoded(content: bytes, size: int = 3000) -> bytes:
    decoder = decoder_for(FILE)
    try:
        pieces = [decoder.feed(piece) for piece in in_pieces(content, size)]
        return np.concatenate([*pieces, decoder.finish()]).tobytes()
    finally:
        decoder.close()


@pytest.mark.parametrize("name", TAKEN)
def test_what_the_service_takes_sounds_as_it_was_recorded(name: str) -> None:
    content = FILES[name]()
    whole = decoded(content, len(content))
    assert likeness(whole, said()) > ROUGH.get(name, 0.95)
    assert decoded(content, 100) == whole


def test_several_channels_are_mixed_and_the_rate_of_the_file_is_known() -> None:
    decoder = decoder_for(FILE)
    content = encode(stereo(said(), said()), "flac", "flac", rate=44100, channels=2)
    sound = np.concatenate([decoder.feed(content), decoder.finish()])
    assert likeness(sound.tobytes(), said()) > 0.95
    assert decoder.sample_rate == 44100
    assert decoder.seconds == pytest.approx(4, abs=0.01)
    decoder.close()


def test_samples_come_out_while_the_file_still_arrives() -> None:
    """So that the words of live audio come while more is said."""
    decoder = decoder_for(FILE)
    content = FILES["ogg opus"]()
    decoder.feed(content[: len(content) // 2])
    assert 1 < decoder.seconds < 2.5
    decoder.close()


@pytest.mark.parametrize("name", ["webm", "aiff", "mpeg transport stream"])
def test_what_the_service_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="the service takes wav, mp3"):
        decoded(FILES[name]())


@pytest.mark.parametrize(
    "content",
    [b"no sound" * 5000, b"\0" * 40_000, FILES["flac"]()[:60], encode(said(11), "ipod", "aac")],
)
def test_what_cannot_be_decoded_is_refused(content: bytes) -> None:
    with pytest.raises(Refused, match="invalid_audio_type: the file "):
        decoded(content)


def test_nothing_at_all_is_silence() -> None:
    assert decoded(b"") == b""


def test_a_file_that_would_fill_the_memory_is_refused() -> None:
    """An hour of silence in a few kilobytes."""
    silence = encode(bytes(3600 * 32_000), "flac", "flac", codec_options={"frame_size": "65535"})
    with pytest.raises(Refused, match="1800 seconds of audio in one message"):
        decoded(silence, len(silence))


def test_the_thread_of_a_file_ends_with_its_session() -> None:
    decoder = decoder_for(FILE)
    decoder.feed(FILES["mp3"]()[:8000])
    assert [thread for thread in threading.enumerate() if "decoder" in thread.name]
    decoder.close()
    assert not [thread for thread in threading.enumerate() if "decoder" in thread.name]


@given(data=st.data(), name=st.sampled_from(["mp3", "flac", "ogg opus", "mp4 in fragments"]))
def test_damage_of_any_kind_is_sound_or_refused(data: st.DataObject, name: str) -> None:
    broken = bytearray(FILES[name]()[: data.draw(st.integers(0, 20_000))])
    for _ in range(data.draw(st.integers(0, 20))):
        if broken:
            at = data.draw(st.integers(0, len(broken) - 1))
            broken[at] = data.draw(st.integers(0, 255))
    try:
        decoded(bytes(broken), data.draw(st.integers(100, 9000)))
    except Refused:
        return


def test_without_the_extra_the_refusal_names_it() -> None:
    program = (
        "import sys; sys.modules['av'] = None\n"
        "from speechmatics_sync import AudioFormat, Client, TranscriptionError\n"
        "from speechmatics_sync.local import LocalServer, ScriptedRecognizer\n"
        "with LocalServer(recognizer=ScriptedRecognizer([])) as server:\n"
        "    try:\n"
        "        Client(url=server.url).transcribe(b'fLaC' * 9000, audio_format=AudioFormat())\n"
        "    except TranscriptionError as error:\n"
        "        print(error.type, error.reason)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert ran.stdout.startswith("invalid_audio_type"), ran.stderr
    assert 'pip install "speechmatics-sync[audio]"' in ran.stdout


@pytest.fixture(scope="module")
def hearing() -> Iterator[LocalServer]:
    pytest.importorskip("pocketsphinx")
    with LocalServer(strict=True) as server:
        yield server


@pytest.mark.speech
@pytest.mark.parametrize("name", ["mp3", "aac", "m4a", "ogg", "flac", "mkv"])
def test_the_words_of_a_file_are_heard(
    name: str, hearing: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    content = {
        "mp3": lambda: encode(said(11), "mp3", "mp3"),
        "aac": lambda: encode(said(11), "adts", "aac"),
        "m4a": lambda: encode(said(11), "ipod", "aac", options={"movflags": "faststart"}),
        "ogg": lambda: encode(said(11), "ogg", "libopus", rate=48000),
        "flac": lambda: encode(said(11), "flac", "flac"),
        "mkv": lambda: encode(said(11), "matroska", "aac", video=True),
    }[name]()
    with Client(url=hearing.url) as client:
        words = client.transcribe(content).text.lower().split()
    expected = (SAMPLES / "demo.txt").read_text().lower().replace(",", "").split()
    assert len([word for word in expected if word in words]) > 0.9 * len(expected)
    assert not caplog.records


def test_a_session_is_told_what_is_wrong_with_its_file() -> None:
    server = LocalServer(recognizer=ScriptedRecognizer([]), strict=True)
    with server, Client(url=server.url) as client:
        with pytest.raises(TranscriptionError, match="invalid_audio_type"):
            client.transcribe(FILES["aiff"](), audio_format=AudioFormat())
        client.transcribe(FILES["mp3"](), timeout=60)  # the server goes on
