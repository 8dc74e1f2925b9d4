"""Sound in the containers and codecs that PyAV can write, and how like the original it sounds."""

from __future__ import annotations

import functools
import io
import os
import tempfile
import wave
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Callable, Optional

import av
import numpy as np
import pytest
import soxr

from support.audio.sources import extensible, fmt_chunk, wav
from support.places import SAMPLES

__all__ = [
    "FILES",
    "RATE",
    "ROUGH",
    "encode",
    "in_pieces",
    "likeness",
    "said",
    "stereo",
    "with_cover",
]

RATE = 16000


@functools.cache
def said(seconds: float = 4.0, name: str = "demo.wav") -> bytes:
    """Speech: the beginning of a sample, 16 bits at `RATE`."""
    with wave.open(str(SAMPLES / name)) as file:
        return file.readframes(int(seconds * RATE))


def stereo(left: bytes, right: bytes) -> bytes:
    """Interleave two channels."""
    return np.frombuffer(left + right, "<i2").reshape(2, -1).T.tobytes()


class _Pipe(io.RawIOBase):
    """Where nothing that was written can be changed."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.written += bytes(data)
        return len(data)


def encode(
    sound: bytes,
    container: str,
    codec: str,
    *,
    rate: int = RATE,
    channels: int = 1,
    options: Optional[dict[str, str]] = None,
    codec_options: Optional[dict[str, str]] = None,
    bit_rate: int = 0,
    piped: bool = False,
    video: bool = False,
) -> bytes:
    """Return interleaved 16-bit samples at `RATE` as a file.

    Args:
        rate: That of the file.
        options: Those of the container.
        bit_rate: Bits a second; 0 for the codec's own choice.
        piped: Whether the writer can not go back, as that of a stream.
        video: Whether there are moving pictures in it as well.
    """
    if piped:
        pipe = _Pipe()
        _write(
            pipe, sound, container, codec, rate, channels, options, codec_options, bit_rate, video
        )
        return bytes(pipe.written)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        _write(
            path, sound, container, codec, rate, channels, options, codec_options, bit_rate, video
        )
        with open(path, "rb") as file:
            return file.read()


def _write(
    target: Any,
    sound: bytes,
    container: str,
    codec: str,
    rate: int,
    channels: int,
    options: Optional[dict[str, str]],
    codec_options: Optional[dict[str, str]],
    bit_rate: int,
    video: bool,
) -> None:
    layout = {1: "mono", 2: "stereo"}.get(channels, f"{channels}c")
    with av.open(target, "w", format=container, options=options or {}) as out:
        stream: Any = out.add_stream(codec, rate=rate, layout=layout, options=codec_options or {})
        if bit_rate:
            stream.bit_rate = bit_rate
        if video:
            pictures: Any = out.add_stream("mpeg4", rate=10, options={})
            pictures.width = pictures.height = 64
            pictures.pix_fmt = "yuv420p"
            for number in range(20):
                picture = av.VideoFrame(64, 64, "yuv420p")
                picture.pts, picture.time_base = number, Fraction(1, 10)
                out.mux(pictures.encode(picture))
            out.mux(pictures.encode(None))
        context = stream.codec_context
        if not context.is_open:  # writing the pictures has opened both
            context.open()
        resampler = av.AudioResampler(
            context.format.name, context.layout.name, context.sample_rate, context.frame_size
        )
        count = len(sound) // 2 // channels
        for at in range(0, count, RATE):
            size = min(RATE, count - at)
            frame: Any = av.AudioFrame("s16", layout, size)
            data = sound[at * 2 * channels : (at + size) * 2 * channels]
            frame.planes[0].update(data.ljust(frame.planes[0].buffer_size, b"\0"))
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), at
            for each in resampler.resample(frame):
                out.mux(stream.encode(each))
        for each in resampler.resample(None):
            if each is not None:
                out.mux(stream.encode(each))
        out.mux(stream.encode(None))


def in_pieces(content: bytes, size: int = 3000) -> Iterator[bytes]:
    """Give a file as a live source does."""
    for at in range(0, len(content), size):
        yield content[at : at + size]


def with_cover(mp3: bytes, size: int = 300_000) -> bytes:
    """An MP3 file behind an ID3 tag with a picture in it."""
    picture = b"\0image/png\0\3\0\x89PNG\r\n" + np.random.default_rng(1).bytes(size)
    frame = b"APIC" + len(picture).to_bytes(4, "big") + b"\0\0" + picture
    length = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + length + frame + mp3


def likeness(heard: bytes, original: bytes, rate: int = RATE) -> float:
    """Return how like the original something sounds: 1 for the same, about 0 for something else.

    Codecs put up to a fifth of a second of silence before the sound.

    Args:
        heard: 16-bit samples.
        original: The same, at `RATE`.
        rate: That of ``heard``.
    """
    sounds = [np.frombuffer(heard, "<i2").astype(np.float32), _resampled(original, rate)]
    length = 1 << (max(len(sound) for sound in sounds) * 2).bit_length()
    spectra = [np.fft.rfft(sound, length) for sound in sounds]
    lags = np.fft.irfft(spectra[0] * np.conj(spectra[1]), length)[: rate // 5]
    energy = float(np.sqrt(np.sum(sounds[0] ** 2) * np.sum(sounds[1] ** 2)))
    return float(np.max(lags)) / energy


@functools.cache
def _resampled(original: bytes, rate: int) -> Any:
    return soxr.resample(np.frombuffer(original, "<i2").astype(np.float32), RATE, rate)


def _wav(codec: str, **options: str) -> Callable[[], bytes]:
    return lambda: encode(said(), "wav", codec, options=options)


def _amr() -> bytes:
    if "libopencore_amrnb" not in av.codecs_available:  # PyAV 19 can read AMR, not write it
        pytest.skip("this PyAV cannot write AMR")
    return encode(said(), "amr", "libopencore_amrnb", rate=8000, bit_rate=12_200)


_FILES: dict[str, Callable[[], bytes]] = {
    "wav of 16 bits": lambda: wav(said()),
    "wav of 8 bits": _wav("pcm_u8"),
    "wav of 24 bits": _wav("pcm_s24le"),
    "wav of 32 bits": _wav("pcm_s32le"),
    "wav of float32": _wav("pcm_f32le"),
    "wav of float64": _wav("pcm_f64le"),
    "wav of A-law": _wav("pcm_alaw"),
    "wav of mu-law": _wav("pcm_mulaw"),
    "wav of Microsoft's ADPCM": _wav("adpcm_ms"),
    "wav of IMA ADPCM": _wav("adpcm_ima_wav"),
    "wav of MP3": _wav("mp3"),
    "wav that is extensible": lambda: wav(said(), fmt=extensible(1, 16)),
    "wav that is RF64": _wav("pcm_s16le", rf64="always"),
    "wav of a stream": lambda: wav(said(), data_size=0xFFFFFFFF),
    "wav of 44,100 Hz in stereo": lambda: encode(
        stereo(said(), said()), "wav", "pcm_s16le", rate=44100, channels=2
    ),
    "wav of 6 channels": lambda: wav(
        np.repeat(np.frombuffer(said(), "<i2"), 6).tobytes(), fmt=fmt_chunk(channels=6)
    ),
    "wave64": lambda: encode(said(), "w64", "pcm_s16le"),
    "mp3": lambda: encode(said(), "mp3", "mp3"),
    "mp3 with cover art": lambda: with_cover(encode(said(), "mp3", "mp3")),
    "mp3 of a stream": lambda: encode(
        said(), "mp3", "mp3", piped=True, options={"write_xing": "0"}
    ),
    "aac": lambda: encode(said(), "adts", "aac"),
    "ogg vorbis": lambda: encode(
        stereo(said(), said()),
        "ogg",
        "vorbis",
        channels=2,
        codec_options={"strict": "experimental"},
        bit_rate=128_000,
    ),
    "ogg opus": lambda: encode(said(), "ogg", "libopus", rate=48000),
    "ogg flac": lambda: encode(said(), "ogg", "flac"),
    "webm": lambda: encode(said(), "webm", "libopus", rate=48000),
    "webm of a browser's recorder": lambda: encode(
        said(), "webm", "libopus", rate=48000, piped=True, options={"live": "1"}
    ),
    "amr": _amr,
    "m4a": lambda: encode(said(), "ipod", "aac"),
    "m4a with its index first": lambda: encode(
        said(), "ipod", "aac", options={"movflags": "faststart"}
    ),
    "m4a of Apple Lossless": lambda: encode(said(), "ipod", "alac"),
    "mp4 in fragments": lambda: encode(
        said(), "mp4", "aac", piped=True, options={"movflags": "frag_keyframe+empty_moov"}
    ),
    "mp4 with video": lambda: encode(said(), "mp4", "aac", video=True),
    "mkv with video": lambda: encode(said(), "matroska", "aac", video=True),
    "mpeg": lambda: encode(said(), "mpeg", "mp2"),
    "mpeg transport stream": lambda: encode(said(), "mpegts", "aac"),
    "flac": lambda: encode(said(), "flac", "flac"),
    "aiff": lambda: encode(said(), "aiff", "pcm_s16be"),
    "au": lambda: encode(said(), "au", "pcm_s16be"),
    "caf": lambda: encode(said(), "caf", "pcm_s16be"),
}

FILES = {name: functools.cache(make) for name, make in _FILES.items()}
"""By name: files of `said`, each made when it is first asked for."""

ROUGH = {"amr": 0.7}
"""How like the original speech is from codecs that keep what is said, and not the waveform."""
