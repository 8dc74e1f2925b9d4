"""The channels of whatever can be decoded are sources of their own, of files and of live audio."""

from __future__ import annotations

import functools
import io
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.audio.encoded import encode, in_pieces, likeness, said, stereo
from support.audio.sources import Slow, fmt_chunk, read_all, wav
from support.local_sessions import server
from support.serving import PATIENCE, listening
from support.sessions import InThread

from speechmatics_sync import (
    AudioEncoding,
    AudioError,
    AudioFormat,
    ConfigurationError,
    MultiChannelClient,
    split_channels,
)
from speechmatics_sync._audio.sources import open_source
from speechmatics_sync.local import LocalServer

__all__ = ["server"]

RAW = AudioFormat(AudioEncoding.PCM_S16LE, 16000)
LEFT, RIGHT = said()[:64_000], said()[64_000:]


@functools.cache
def flac() -> bytes:
    return encode(stereo(LEFT, RIGHT), "flac", "flac", channels=2)


def three() -> bytes:
    """One with what the left says, one with what the right says, and one that is silent."""
    frames = bytearray(3 * len(LEFT))
    for number, channel in enumerate((LEFT, RIGHT)):
        for byte in range(2):
            frames[2 * number + byte :: 6] = channel[byte::2]
    return encode(bytes(frames), "flac", "flac", channels=3)


def kinds_of(content: bytes, folder: Path) -> dict[str, Any]:
    path = folder / "sound"
    path.write_bytes(content)
    return {
        "path": path,
        "name": str(path),
        "bytes": content,
        "array": bytearray(content),
        "file": io.BytesIO(content),
        "pipe": Slow(content, 3000),
        "generator": in_pieces(content),
        "list": [content[:100], content[100:]],
    }


@pytest.mark.parametrize("kind", kinds_of(b"", Path("/tmp")))
def test_each_channel_is_a_source_of_its_own(kind: str, tmp_path: Path) -> None:
    sources = split_channels(kinds_of(flac(), tmp_path)[kind], labels=["agent", "customer"])
    agent, customer = (open_source(source) for source in sources.values())
    with closing(agent), closing(customer):
        assert agent.audio_format == customer.audio_format == RAW
        assert agent.total_seconds == pytest.approx(2)
        assert b"".join(agent) == LEFT
        assert b"".join(customer) == RIGHT
        assert agent.rereadable is (kind not in ("file", "pipe", "generator", "list"))


def test_any_number_of_channels_is_told_apart() -> None:
    heard = {label: read_all(source) for label, source in split_channels(three()).items()}
    assert heard == {"1": LEFT, "2": RIGHT, "3": bytes(len(LEFT))}


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [("mp3", "mp3", 44100), ("matroska", "aac", 48000), ("wav", "adpcm_ms", 16000)],
)
def test_channels_of_codecs_sound_as_they_were_recorded(
    container: str, codec: str, rate: int
) -> None:
    content = encode(stereo(LEFT, RIGHT), container, codec, rate=rate, channels=2, bit_rate=192_000)
    heard = [read_all(source) for source in split_channels(content).values()]
    assert likeness(heard[0], LEFT) > 0.9
    assert likeness(heard[1], RIGHT) > 0.9


@given(st.lists(st.tuples(st.integers(0, 64_000), st.integers(1, 5000)), max_size=6))
@example([(0, 1), (1, 2)])
def test_every_place_of_a_channel_has_its_bytes(places: list[tuple[int, int]]) -> None:
    channel = split_channels(flac())["2"]
    for place, size in places:
        assert channel.seek(place) == channel.tell() == place
        assert channel.read(size) == RIGHT[place : place + size]
    channel.seek(0)
    assert channel.read() == RIGHT
    channel.close()


def test_a_place_before_the_start_of_a_channel_is_refused() -> None:
    channel = split_channels(flac())["1"]
    channel.seek(10)
    assert channel.seek(-4, 1) == 6
    with pytest.raises(ValueError, match="-1; allowed: 0 and more"):
        channel.seek(-1)
    assert channel.tell() == 6
    channel.close()


def test_channels_of_live_audio_are_read_in_threads_of_their_own() -> None:
    sources = split_channels(in_pieces(flac(), 500))
    readers = [InThread(read_all, source) for source in sources.values()]
    assert [reader.result() for reader in readers] == [LEFT, RIGHT]


def test_a_channel_of_live_audio_that_nobody_reads_is_an_error() -> None:
    hour = encode(bytes(4 * 16000 * 900), "flac", "flac", channels=2)
    sources = split_channels(in_pieces(hour))
    with pytest.raises(AudioError, match="channel 2 is not read"):
        read_all(sources["1"])


def test_a_url_is_split_and_its_key_is_not_shown() -> None:
    def behave(connection: Any) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: audio/flac\r\n\r\n" + flac())

    with listening(behave) as port:
        sources = split_channels(f"http://127.0.0.1:{port}/sound?key=s3cret")
        assert "s3cret" not in repr(sources)
        assert [read_all(source) for source in sources.values()] == [LEFT, RIGHT]


def test_labels_have_to_fit() -> None:
    with pytest.raises(ConfigurationError, match="has 2 channels"):
        split_channels(flac(), labels=["one"])


def test_a_session_of_decoded_channels_sends_each(server: LocalServer) -> None:
    with MultiChannelClient(url=server.url) as client:
        client.transcribe(split_channels(flac(), labels=["agent", "customer"]), timeout=PATIENCE)
        client.transcribe(split_channels(in_pieces(flac())), timeout=PATIENCE)
    for session in server.sessions[-2:]:
        assert session.start["audio_format"] == RAW.to_dict()
        assert {each.audio_bytes for each in session.channels.values()} == {64_000}


def test_a_wav_file_that_is_known_needs_no_decoding() -> None:
    content = wav(stereo(LEFT, RIGHT), fmt=fmt_chunk(channels=2))
    assert {type(source).__name__ for source in split_channels(content).values()} == {"WavChannel"}
