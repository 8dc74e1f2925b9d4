"""Audio the embedded server decodes: raw samples in every encoding, all kinds of WAV files."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Optional

import numpy as np
import pytest

from speechmatics_sync.local._audio import AudioDecoder, RawDecoder, WavDecoder, decoder_for
from speechmatics_sync.local._validation import Refused

RATE = 16000


def tone(seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    """A sine of 440 Hz, from -0.5 to 0.5."""
    return 0.5 * np.sin(2 * math.pi * 440 * np.arange(round(seconds * rate)) / rate)


def mulaw(samples: np.ndarray) -> bytes:
    """G.711 by its formula, independently of the decoder's table."""
    encoded = bytearray()
    for sample in np.rint(samples * 32767).astype(int).tolist():
        sign = 0x80 if sample < 0 else 0
        biased = min(abs(sample), 32635) + 132
        exponent = biased.bit_length() - 8
        encoded.append(~(sign | exponent << 4 | (biased >> (exponent + 3)) & 0xF) & 0xFF)
    return bytes(encoded)


def encode(samples: np.ndarray, name: str) -> bytes:
    if name == "mulaw":
        return mulaw(samples)
    if name == "u8":
        return np.rint(samples * 127 + 128).astype(np.uint8).tobytes()
    if name in ("f32", "f64"):
        return samples.astype("<f4" if name == "f32" else "<f8").tobytes()
    bits = int(name[1:])
    integers = np.rint(samples * (2 ** (bits - 1) - 1)).astype("<i8")
    return b"".join(value.to_bytes(bits // 8, "little", signed=True) for value in integers.tolist())


TAGS = {"u8": 1, "s16": 1, "s24": 1, "s32": 1, "f32": 3, "f64": 3, "mulaw": 7}
SIZES = {"u8": 1, "s16": 2, "s24": 3, "s32": 4, "f32": 4, "f64": 8, "mulaw": 1}


def wav(
    body: bytes,
    name: str = "s16",
    *,
    rate: int = RATE,
    channels: int = 1,
    size: Optional[int] = None,
    extra: bytes = b"",
    extensible: bool = False,
    magic: bytes = b"RIFF",
) -> bytes:
    width = SIZES[name] * channels
    tag = 0xFFFE if extensible else TAGS[name]
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * width, width, 8 * SIZES[name])
    if extensible:
        guid_rest = bytes.fromhex("000000001000800000aa00389b71")
        form += struct.pack("<HHIH", 22, 8 * SIZES[name], 0, TAGS[name]) + guid_rest
    chunk = struct.pack("<4sI", b"fmt ", len(form)) + form
    data = struct.pack("<4sI", b"data", len(body) if size is None else size) + body
    return struct.pack("<4sI4s", magic, 4 + len(extra) + len(chunk) + len(data), b"WAVE") + (
        extra + chunk + data
    )


def decode(decoder: AudioDecoder, encoded: bytes, sizes: Sequence[int] = (1 << 20,)) -> np.ndarray:
    """Feed in pieces of these sizes, in rotation."""
    decoded, at, turn = [], 0, 0
    while at < len(encoded):
        decoded.append(decoder.feed(encoded[at : at + sizes[turn % len(sizes)]]))
        at += sizes[turn % len(sizes)]
        turn += 1
    decoded.append(decoder.finish())
    return np.concatenate(decoded)


def same_sound(decoded: np.ndarray, *, error: float = 0.02, seconds: float = 0.5) -> bool:
    """Whether these samples are `tone`, by the largest difference away from the edges."""
    assert decoded.dtype == np.int16
    assert abs(len(decoded) - seconds * RATE) <= 2
    expected = tone(seconds)
    length = min(len(decoded), len(expected))
    difference = np.abs(decoded[:length] / 32768 - expected[:length])[400:-400]
    return bool(difference.max() < error)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize(
    ("encoding", "name"), [("pcm_s16le", "s16"), ("pcm_f32le", "f32"), ("mulaw", "mulaw")]
)
def test_raw_audio_of_every_encoding_and_rate_sounds_the_same(
    encoding: str, name: str, rate: int
) -> None:
    decoder = decoder_for({"type": "raw", "encoding": encoding, "sample_rate": rate})
    assert same_sound(decode(decoder, encode(tone(rate=rate), name), (1001, 3, 640)))
    assert decoder.seconds == pytest.approx(0.5, abs=1e-3)


def test_float_samples_beyond_full_scale_are_clipped_and_nan_is_silence() -> None:
    samples = np.array([2.0, -2.0, np.nan, np.inf, -np.inf, 0.5], dtype="<f4")
    decoded = decode(RawDecoder("pcm_f32le", RATE), samples.tobytes())
    assert decoded.tolist() == [32767, -32768, 0, 32767, -32768, 16384]


def test_half_a_sample_at_the_end_is_no_sample() -> None:
    assert len(decode(RawDecoder("pcm_s16le", RATE), b"\x01\x02\x03")) == 1


@pytest.mark.parametrize("name", sorted(TAGS))
@pytest.mark.parametrize("extensible", [False, True])
def test_a_wav_file_of_every_sample_format_sounds_the_same(name: str, extensible: bool) -> None:
    encoded = wav(encode(tone(), name), name, extensible=extensible)
    assert same_sound(decode(WavDecoder(), encoded, (7, 1000)))


def test_a_header_may_end_anywhere_in_a_chunk() -> None:
    encoded = wav(encode(tone(), "s16"))
    whole = decode(WavDecoder(), encoded)
    assert same_sound(whole)
    for size in (1, 11, 43, 45):
        assert np.array_equal(decode(WavDecoder(), encoded, (size, 5000)), whole)


def test_channels_are_mixed_down() -> None:
    both = np.stack((tone(), np.zeros_like(tone())), axis=1).reshape(-1)
    decoded = decode(WavDecoder(), wav(encode(2 * both, "f32"), "f32", channels=2))
    assert same_sound(decoded)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_data_chunk_of_unknown_size_lasts_to_the_end(size: int) -> None:
    assert same_sound(decode(WavDecoder(), wav(encode(tone(), "s16"), size=size)))


def test_what_follows_the_data_chunk_is_not_audio() -> None:
    encoded = wav(encode(tone(), "s16")) + struct.pack("<4sI", b"LIST", 4000) + b"\x7f" * 4000
    assert same_sound(decode(WavDecoder(), encoded, (999,)))


def test_other_chunks_before_the_data_are_passed_over() -> None:
    extra = struct.pack("<4sI", b"LIST", 5) + b"odd..\0"
    assert same_sound(decode(WavDecoder(), wav(encode(tone(), "s16"), extra=extra)))
    assert same_sound(
        decode(WavDecoder(), wav(encode(tone(), "s16"), size=0xFFFFFFFF, magic=b"RF64"))
    )


@pytest.mark.parametrize(
    "encoded",
    [
        b"ID3\x04 this is an mp3",
        b"fLaC",
        b"RIFF\x00\x00\x00\x00AVI LIST",
        wav(b"", "s16")[:30],
        wav(b"", "s16")[:12] + wav(b"", "s16")[36:],
        wav(b"", "s16").replace(b"\x10\x00\x00\x00\x01\x00", b"\x10\x00\x00\x00\x02\x00"),
        wav(b"", channels=0),
        wav(b"", rate=1),
        wav(b"", extra=struct.pack("<4sI", b"JUNK", 1 << 30)),
    ],
)
def test_a_file_that_is_no_wav_of_samples_is_refused_as_an_invalid_audio_type(
    encoded: bytes,
) -> None:
    with pytest.raises(Refused) as refused:
        decode(WavDecoder(), encoded)
    assert refused.value.type == "invalid_audio_type"


def test_no_bytes_at_all_are_no_error() -> None:
    assert len(decode(WavDecoder(), b"")) == 0
