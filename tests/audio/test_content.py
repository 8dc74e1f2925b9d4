"""What audio plainly is is held against what it is said to be."""

from __future__ import annotations

import base64
import io
import json
import math
import random
import re
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Callable, Optional

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.audio.sources import SOUND, InTurn, Slow, fmt_chunk, read_all, wav
from support.fuzzing import examples
from support.serving import Peer, serving
from support.sessions import RAW, client_of, let_sources_go, speech

from speechmatics_sync import (
    AudioEncoding,
    AudioError,
    AudioFormat,
    MultiChannelClient,
    split_channels,
)
from speechmatics_sync._audio.content import LOOKED_AT, content_of
from speechmatics_sync._audio.sources import open_source

__all__ = ["let_sources_go"]

FILE = AudioFormat()
MULAW = AudioFormat(AudioEncoding.MULAW, 8000)


def snd(encoding: int = 1, rate: int = 8000, channels: int = 1, sound: bytes = SOUND) -> bytes:
    return b".snd" + struct.pack(">5I4x", 28, len(sound), encoding, rate, channels) + sound


def adts(size: int = 300) -> bytes:
    return bytes([0xFF, 0xF1, 0x50, 0x80 | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F])


def mpeg(header: str, size: int) -> bytes:
    return bytes.fromhex(header).ljust(size, b"\x55")


SOUND_FILES = {
    "WAV file": wav(fmt=fmt_chunk(channels=2)),
    "big-endian WAV": wav(form=b"RIFX"),
    "RF64 WAV": wav(fmt=fmt_chunk(channels=2), form=b"RF64"),
    "BW64 WAV": wav(fmt=fmt_chunk(channels=2), form=b"BW64"),
    "AVI": wav().replace(b"WAVE", b"AVI "),
    "AIFF": b"FORM\0\0\1\0AIFFCOMM" + SOUND,
    "AU file": snd(encoding=3),
    "FLAC": b"fLaC\0\0\0\x22" + SOUND,
    "Ogg": b"OggS\0\2" + SOUND,
    "MP3 file": b"ID3\4\0\0\0\0\2\1" + SOUND,
    "MP3 file at 128 kbit/s": mpeg("fffb9000", 417) * 4,
    "MP3 file at 24 kHz": mpeg("fff36400", 144) * 4,
    "AAC": (adts() + bytes(294)) * 4,
    "MP4": b"\0\0\0\x20ftypM4A \0\0\0\0" + SOUND,
    "WebM": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\1\x42\x82\x84webm" + SOUND,
    "CAF": b"caff\0\1\0\0desc" + SOUND,
    "AMR": b"#!AMR\n" + SOUND,
    "ASF": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + SOUND,
}
TAKEN = {name for name in SOUND_FILES if re.match("FLAC|Ogg|MP[34]|AAC|AMR", name)}
NO_SOUND = {
    "web page": b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>",
    "markup": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "Git-LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n",
    "JSON": json.dumps({"detail": "Not found"}).encode(),
    "text": ("Straße und Wege, and other words that somebody wrote. " * 200).encode(),
    "base64": base64.b64encode(random.Random(1).randbytes(5000)),
    "base64, which": b"data:audio/wav;base64," + base64.b64encode(wav()[:160]),
    "base64, which base64.b64decode": base64.encodebytes(wav()),
    "ZIP": b"PK\3\4\x14\0\0\0\x08\0" + bytes(range(256)),
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + bytes(range(256)),
    "PDF": b"%PDF-1.7\n%" + bytes(range(256)),
}


def kinds_of(content: bytes) -> dict[str, object]:
    return {
        "bytes": content,
        "file": io.BytesIO(content),
        "live": iter([content[:640], content[640:]]),
        "read": Slow(content, 640 if len(content) < 2000 else 2000),
    }


@pytest.mark.parametrize("name", SOUND_FILES)
def test_a_file_that_is_said_to_be_samples_is_an_error_that_names_both(name: str) -> None:
    for source in kinds_of(SOUND_FILES[name]).values():
        with pytest.raises(AudioError) as raised:
            read_all(source, RAW)
        said = str(raised.value)
        assert name.split(" at ")[0] in said
        assert "pcm_s16le at 16000 Hz" in said
        assert "AudioFormat()" in said


@pytest.mark.parametrize("name", SOUND_FILES)
def test_a_file_goes_whole_that_is_said_to_be_one_or_that_the_api_takes(name: str) -> None:
    content = SOUND_FILES[name]
    for audio_format in (FILE, None) if name in TAKEN else (FILE,):
        for source in kinds_of(content).values():
            assert read_all(source, audio_format) == content


@pytest.mark.parametrize("name", NO_SOUND)
@pytest.mark.parametrize("audio_format", [RAW, MULAW, FILE, None])
def test_what_is_plainly_no_sound_is_refused(
    name: str, audio_format: Optional[AudioFormat]
) -> None:
    for source in kinds_of(NO_SOUND[name]).values():
        with pytest.raises(AudioError, match=f"is no sound, but .*{name}"):
            read_all(source, audio_format)


@pytest.mark.parametrize(
    ("content", "audio_format"),
    [
        (wav(), RAW),
        (wav(after=b"LIST\4\0\0\0text"), RAW),
        (wav(data_size=0xFFFFFFFF), RAW),
        (wav(fmt=fmt_chunk(7, 8, rate=8000)), MULAW),
        (snd(), MULAW),
    ],
)
def test_where_the_formats_agree_the_header_is_taken_off(
    content: bytes, audio_format: AudioFormat
) -> None:
    for kind, source in kinds_of(content).items():
        assert read_all(source, audio_format) == SOUND, kind
    with closing(open_source(content, audio_format)) as opened:
        assert opened.total_seconds == len(SOUND) / (
            audio_format.bytes_per_sample * audio_format.sample_rate
        )
        next(iter(opened))
        opened.seek(1000)
        assert b"".join(opened) == SOUND[1000:]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (wav(fmt=fmt_chunk(rate=48000)), "16-bit PCM, 1 channel at 48000 Hz"),
        (wav(fmt=fmt_chunk(channels=2)), "2 channels at 16000 Hz"),
        (wav(fmt=fmt_chunk(7, 8)), "8-bit mu-law"),
        (wav(fmt=fmt_chunk(1, 24)), "24-bit PCM"),
        (wav()[:30], "a WAV file, and"),
        (snd(rate=16000), "mu-law"),
    ],
)
def test_where_the_formats_differ_both_are_named(content: bytes, said: str) -> None:
    with pytest.raises(AudioError, match=f"{said}.*pcm_s16le at 16000 Hz"):
        read_all(content, RAW)


def test_a_header_is_found_in_small_pieces_of_a_live_source() -> None:
    pieces = [wav()[:5], wav()[5:9], wav()[9:50], wav()[50:]]
    assert read_all(iter(pieces), RAW) == SOUND


def test_channels_of_a_file_are_told_how_to_be_taken_apart() -> None:
    with pytest.raises(AudioError, match="split_channels"):
        read_all(wav(fmt=fmt_chunk(channels=2)), RAW)


def test_a_live_source_is_passed_on_without_waiting_for_more_of_its_beginning() -> None:
    passed_on = []

    def live() -> Iterator[bytes]:
        yield bytes(2)
        assert passed_on == [bytes(2)]
        yield b"fLa"

    with closing(open_source(live(), RAW)) as opened:
        for chunk in opened:
            passed_on.append(chunk)
    assert passed_on == [bytes(2), b"fLa"]


def test_headerless_samples_in_a_file_named_wav_are_told_how_to_be_declared(
    tmp_path: Path,
) -> None:
    path = tmp_path / "take 1.WAV"
    path.write_bytes(SOUND)
    with pytest.raises(AudioError, match=r"take 1\.WAV' has no WAV header.*AudioEncoding"):
        read_all(path)
    with open(path, "rb") as file, pytest.raises(AudioError, match="no WAV header"):
        read_all(file)
    assert read_all(path, RAW) == SOUND
    assert read_all(path, FILE) == SOUND
    assert read_all(path.rename(tmp_path / "take 1.raw")) == SOUND
    path.write_bytes(SOUND_FILES["FLAC"])
    assert read_all(path) == SOUND_FILES["FLAC"]


# -- no false alarms ----------------------------------------------------------------------------


@given(
    frequency=st.floats(20, 7000),
    loudness=st.floats(0, 1),
    offset=st.integers(-300, 300),
    seed=st.integers(0, 1000),
)
@example(frequency=7000.0, loudness=0.234375, offset=0, seed=0)  # repeats every 16 bytes
@examples(50)
def test_samples_of_sound_are_taken_for_nothing_else(
    frequency: float, loudness: float, offset: int, seed: int
) -> None:
    count = LOOKED_AT // 2
    noise = random.Random(seed)
    tone = [loudness * math.sin(index * frequency / 16000 * math.tau) for index in range(count)]
    values = [round(32000 * each + noise.gauss(0, 3) + offset) for each in tone]
    pcm = struct.pack(f"<{count}h", *(max(-32768, min(32767, value)) for value in values))
    floats = struct.pack(f"<{count}f", *tone)
    mulaw = bytes((value >> 8) & 0xFF ^ 0xFF for value in values)
    assert [content_of(sound) for sound in (pcm, floats, mulaw)] == [None] * 3


def test_noise_and_constant_samples_are_taken_for_nothing_else() -> None:
    for value in range(256):
        assert content_of(bytes([value]) * LOOKED_AT) is None
        assert content_of(random.Random(value).randbytes(LOOKED_AT)) is None
    for lowest, highest in (("a", "z"), ("A", "z"), ("0", "z")):  # as quiet mu-law samples may be
        letters = range(ord(lowest), ord(highest) + 1)
        assert content_of(bytes(random.Random(1).choices(letters, k=LOOKED_AT))) is None


@pytest.mark.parametrize(
    "sound", [b"RIFF", b"fLaC" + SOUND, b"OggS\1" + SOUND, b"ID3 tag" + SOUND, b"FORM" + SOUND]
)
def test_a_signature_alone_is_none(sound: bytes) -> None:
    assert read_all(sound, RAW) == sound


def test_two_frames_in_a_row_may_be_chance_and_three_are_not() -> None:
    frame = mpeg("fffb9000", 417)
    assert content_of(frame * 2 + SOUND) is None
    assert content_of(frame * 2 + frame[:4] + SOUND) is not None


# -- in a session -------------------------------------------------------------------------------


def test_nothing_is_connected_for_what_is_plainly_not_what_it_is_said_to_be(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pointer.wav"
    path.write_bytes(NO_SOUND["Git-LFS pointer"])

    def behave(peer: Peer) -> None:
        pytest.fail("connected")

    with serving(behave) as url, client_of(url) as client:
        for source, audio_format in [
            (path, None),
            (path, RAW),
            (path, FILE),
            (SOUND_FILES["FLAC"], RAW),
            (iter([NO_SOUND["web page"]]), None),
        ]:
            with pytest.raises(AudioError):
                client.transcribe(source, audio_format=audio_format, timeout=20)


def test_channels_that_are_split_may_name_the_format_that_they_have(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(wav(b"\1\2\3\4" * 1000, fmt=fmt_chunk(channels=2)))
    for channel in split_channels(path).values():
        assert len(read_all(channel, RAW)) == 2000
        with pytest.raises(AudioError, match=r"16000 Hz.*8000 Hz"):
            read_all(channel, AudioFormat("pcm_s16le", 8000))


def pushed(audio_format: AudioFormat, *payloads: bytes) -> bytes:
    peers = []

    def behave(peer: Peer) -> None:
        peers.append(peer)
        peer.start()
        peer.finish()

    with serving(behave) as url, client_of(url) as client:
        client.start_session(audio_format=audio_format)
        for payload in payloads:
            client.send_audio(payload)
        client.stop_session(timeout=20)
    return b"".join(peers[0].audio)


def test_the_header_of_pushed_audio_is_taken_off_where_the_formats_agree() -> None:
    sound = speech(0.1)
    assert pushed(RAW, wav(sound)) == sound
    assert pushed(RAW, wav(sound, after=b"LIST\4\0\0\0text")) == sound
    assert pushed(RAW, wav(sound)[:640], wav(sound)[640:]) == sound
    assert pushed(RAW, wav(sound)[:44], sound) == sound
    assert pushed(RAW, sound, b"RIFF\0\0\0\0WAVE") == sound + b"RIFF\0\0\0\0WAVE"
    assert pushed(FILE, wav(sound)) == wav(sound)


def test_a_first_payload_that_is_not_what_was_said_is_refused_and_the_session_goes_on() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.finish()
        assert b"".join(peer.audio) == speech(0.1)

    with serving(behave) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        with pytest.raises(AudioError, match="the audio is a FLAC file") as raised:
            client.send_audio(SOUND_FILES["FLAC"])
        assert raised.value.request_id == client.request_id
        with pytest.raises(AudioError, match="JSON"):
            client.send_audio(NO_SOUND["JSON"])
        assert client.audio_bytes_sent == 0
        client.send_audio(speech(0.1))
        client.stop_session(timeout=20)


def test_the_first_payload_of_every_channel_is_looked_at() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.wait_closed()

    with serving(behave) as url, MultiChannelClient(url=url, reconnect=None) as client:
        client.start_session(channels=["a", "b"], audio_format=RAW)
        client.send_audio("a", speech(0.1))
        with pytest.raises(AudioError, match="FLAC"):
            client.send_audio("b", SOUND_FILES["FLAC"])


@pytest.mark.parametrize(
    "encode", [lambda text: text, lambda text: "data:audio/wav;base64," + text]
)
def test_base64_is_called_by_its_name(encode: Callable[[str], str]) -> None:
    text = encode(base64.b64encode(wav()).decode())
    with pytest.raises(AudioError, match=r"base64\.b64decode"):
        read_all(InTurn(text), RAW)
