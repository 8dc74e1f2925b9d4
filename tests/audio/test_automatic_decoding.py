"""What the API does not take as it is, is decoded; what it takes is sent untouched."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.audio.encoded import FILES, RATE, encode, in_pieces, likeness, said, stereo
from support.audio.sources import fmt_chunk, read_all, wav
from support.local_sessions import server
from support.places import ROOT, SAMPLES
from support.reconnecting import POLICY, Legs, finishes, loses, served
from support.serving import Peer, serving
from support.sessions import client_of

from speechmatics_sync import (
    AudioEncoding,
    AudioFormat,
    ConfigurationError,
    MultiChannelClient,
)
from speechmatics_sync._audio.sources import open_source
from speechmatics_sync.local import LocalServer

__all__ = ["server"]

RAW = AudioFormat(AudioEncoding.PCM_S16LE, RATE)

TAKEN = [
    "mp3",
    "mp3 with cover art",
    "aac",
    "ogg vorbis",
    "ogg opus",
    "amr",
    "m4a with its index first",
    "mpeg",
    "flac",
]
INDEX_LAST = ["m4a", "mp4 with video"]
NOT_TAKEN = [
    "wav of Microsoft's ADPCM",
    "wav of 44,100 Hz in stereo",
    "wav of 6 channels",
    "wave64",
    "webm",
    "webm of a browser's recorder",
    "mkv with video",
    "aiff",
    "au",
    "caf",
]


def kinds_of(content: bytes, folder: Path) -> list[Any]:
    path = folder / "sound"
    path.write_bytes(content)
    return [path, str(path), content, io.BytesIO(content), in_pieces(content)]


@pytest.mark.parametrize("name", TAKEN)
def test_what_the_api_takes_is_sent_untouched(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    content = FILES[name]()
    for source in kinds_of(content, tmp_path):
        with closing(open_source(source)) as opened:
            assert opened.audio_format == AudioFormat()
            assert b"".join(opened) == content
    assert not caplog.records


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_what_the_api_does_not_take_is_decoded_and_an_info_says_so(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    content = FILES[name]()
    for source in kinds_of(content, tmp_path):
        caplog.clear()
        with closing(open_source(source)) as opened:
            assert opened.audio_format == RAW
            assert likeness(b"".join(opened), said()) > 0.95
        (record,) = caplog.records
        assert record.levelno == logging.INFO
        assert "decoded here to mono pcm_s16le at 16000 Hz" in record.getMessage()


@pytest.mark.parametrize("name", INDEX_LAST)
def test_a_file_whose_index_lies_at_its_end_is_decoded_if_it_can_be_read_again(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The API takes the type, and cannot decode such a file as it comes."""
    caplog.set_level(logging.INFO)
    content = FILES[name]()
    *again, once = kinds_of(content, tmp_path)
    for source in again:
        caplog.clear()
        with closing(open_source(source)) as opened:
            assert opened.audio_format == RAW
            assert likeness(b"".join(opened), said()) > 0.95
        (record,) = caplog.records
        assert "index lies at its end, and the API takes a stream" in record.getMessage()
    with closing(open_source(once)) as opened:
        assert opened.audio_format == AudioFormat()
        assert b"".join(opened) == content


@pytest.mark.parametrize("size", [1, 40, 200, 4000])
def test_an_mp4_file_that_breaks_off_before_its_index_is_sent_as_it_is(size: int) -> None:
    content = b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42" + b"\0\0\x20\0free" + bytes(size)
    with closing(open_source(content)) as opened:
        assert opened.audio_format == AudioFormat()
        assert b"".join(opened) == content


@pytest.mark.parametrize("name", [*TAKEN, *INDEX_LAST, *NOT_TAKEN])
def test_a_format_that_says_file_means_byte_for_byte(name: str, tmp_path: Path) -> None:
    content = FILES[name]()
    for source in kinds_of(content, tmp_path):
        assert read_all(source, AudioFormat()) == content


def test_a_decoded_file_has_a_length_and_is_read_again(tmp_path: Path) -> None:
    content = FILES["mkv with video"]()
    for source in kinds_of(content, tmp_path)[:4]:
        with closing(open_source(source)) as opened:
            assert opened.total_seconds == pytest.approx(4, abs=0.1)
            assert opened.rereadable
            sound = b"".join(opened)
            opened.seek(64_001)
            assert b"".join(opened) == sound[64_001:]


def take(peer: Peer) -> None:
    peer.start()
    peer.take_audio()
    peer.send({"message": "EndOfTranscript"})


def test_a_client_sends_a_stereo_file_as_one_channel() -> None:
    peers: list[Peer] = []

    def behave(peer: Peer) -> None:
        peers.append(peer)
        take(peer)

    progress: list[tuple[float, Any]] = []
    with serving(behave) as url, client_of(url) as client:
        client.transcribe(SAMPLES / "call.wav", progress=lambda *now: progress.append(now))
    (peer,) = peers
    assert peer.start_message is not None
    assert peer.start_message["audio_format"] == RAW.to_dict()
    assert sum(map(len, peer.audio)) == 160_400 * 2
    assert progress[-1] == (10.025, 10.025)


def test_channels_of_other_kinds_are_decoded_to_one_format(server: LocalServer) -> None:
    sources = {"agent": encode(said(1), "aiff", "pcm_s16be"), "customer": wav(said(1))}
    with MultiChannelClient(url=server.url) as client:
        client.transcribe(sources)
    (session,) = server.sessions
    assert session.start["audio_format"] == RAW.to_dict()


def test_realtime_decodes_what_would_go_as_a_file(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    content = encode(said(1), "mp3", "mp3")
    with closing(open_source(content, realtime=True)) as opened:
        assert opened.audio_format == RAW
        assert likeness(b"".join(opened), said(1)) > 0.95
    assert "only raw audio in real time" in caplog.text
    with serving(take) as url, client_of(url) as client:
        with pytest.raises(ConfigurationError, match="realtime"):
            client.transcribe(content, realtime=True, audio_format=AudioFormat())
        client.transcribe(content, realtime=True)


def test_decoded_audio_is_sent_again_after_a_loss() -> None:
    """The connection drops after two seconds of audio, of which nothing was transcribed."""
    content = FILES["mkv with video"]()
    legs = Legs(loses(16), finishes())
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        client.transcribe(content)
    assert b"".join(legs.peers[1].audio) == read_all(content)


WITHOUT_EXTRA = """
import sys; sys.modules["av"] = None
from speechmatics_sync import AudioFormat, Client, ConfigurationError
from speechmatics_sync._audio.sources import open_source
for path in sys.argv[1:]:
    try:
        open_source(path)
    except ConfigurationError as error:
        print(error)
    open_source(path, AudioFormat()).close()
try:
    Client(url="ws://127.0.0.1:1").transcribe(sys.argv[-1], realtime=True)
except ConfigurationError as error:
    print(error)
"""


def test_without_the_extra_errors_name_it_and_what_else_would_do(tmp_path: Path) -> None:
    paths = {
        "two.wav": wav(stereo(said(1), said(1)), fmt=fmt_chunk(channels=2)),
        "sound.aiff": encode(said(1), "aiff", "pcm_s16be"),
    }
    for name, content in paths.items():
        (tmp_path / name).write_bytes(content)
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA, *(str(tmp_path / name) for name in paths)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    several, aiff, realtime = ran.stdout.splitlines()
    for line in (several, aiff, realtime):
        assert 'pip install "speechmatics-sync[audio]"' in line
        assert "AudioFormat()" in line
    assert "split_channels" in several
    assert "split_channels" not in aiff
