"""One WAV file of several channels is as many sources."""

from __future__ import annotations

import array
import io
import struct
import wave
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st
from support.places import SAMPLES

from speechmatics_sync import AudioEncoding, AudioError, ConfigurationError, split_channels
from speechmatics_sync._audio.sources import open_source

CALL = SAMPLES / "call.wav"


def wav(frames: bytes, *, channels: int, tag: int, bits: int, rate: int = 8000) -> bytes:
    """A WAV file around interleaved samples."""
    size = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * size, size, bits)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(frames)) + frames
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def heard(source: object) -> bytes:
    """What the client would send of a source."""
    opened = open_source(source)
    try:
        return b"".join(opened)
    finally:
        opened.close()


@pytest.mark.parametrize(
    ("code", "tag", "bits", "encoding"),
    [
        ("h", 1, 16, AudioEncoding.PCM_S16LE),
        ("f", 3, 32, AudioEncoding.PCM_F32LE),
        ("B", 7, 8, AudioEncoding.MULAW),
    ],
)
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_each_channel_is_a_source_of_its_own(
    code: str, tag: int, bits: int, encoding: AudioEncoding, channels: int
) -> None:
    samples = [
        array.array(code, [(index * 7 + channel) % 100 for index in range(10001)])
        for channel in range(channels)
    ]
    frames = array.array(code, [value for frame in zip(*samples) for value in frame]).tobytes()
    sources = split_channels(wav(frames, channels=channels, tag=tag, bits=bits))
    assert list(sources) == [str(number) for number in range(1, channels + 1)]
    for source, expected in zip(sources.values(), samples):
        opened = open_source(source)
        assert opened.audio_format.encoding is encoding
        assert opened.audio_format.sample_rate == 8000
        opened.close()
        assert heard(source) == expected.tobytes()
        assert heard(source) == expected.tobytes()  # it can be read again


@hypothesis.given(
    frames=st.binary(max_size=40), channels=st.integers(1, 4), bits=st.sampled_from([8, 16, 32])
)
def test_frames_are_taken_apart_and_a_cut_one_is_dropped(
    frames: bytes, channels: int, bits: int
) -> None:
    tag = {8: 7, 16: 1, 32: 3}[bits]
    size, frame = bits // 8, channels * bits // 8
    content = wav(frames, channels=channels, tag=tag, bits=bits)
    for index, source in enumerate(split_channels(content).values()):
        whole = len(frames) - len(frames) % frame
        starts = range(index * size, whole, frame)
        assert heard(source) == b"".join(frames[start : start + size] for start in starts)


def test_a_file_is_opened_only_while_it_is_read() -> None:
    sources = split_channels(CALL, labels=["agent", "customer"])
    with wave.open(str(CALL)) as recording:
        count = recording.getnframes()
        left = memoryview(recording.readframes(count)).cast("h")[::2].tobytes()
    reading = iter(sources["agent"])
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert heard(sources["agent"]) == left
    assert len(heard(sources["customer"])) == 2 * count


@hypothesis.given(
    frames=st.integers(0, 10000), position=st.integers(0, 20100), trailer=st.booleans()
)
def test_a_channel_can_be_read_from_any_byte_in_the_same_pieces(
    frames: int, position: int, trailer: bool
) -> None:
    sound = array.array("H", [number % 65521 for number in range(2 * frames)]).tobytes()
    content = wav(sound, channels=2, tag=1, bits=16) + b"LIST\x04\0\0\0more" * trailer
    for channel in split_channels(content).values():
        left, expected = position, []
        for piece in channel:
            expected.append(piece[left:])
            left = max(0, left - len(piece))
        assert list(channel.pieces(position)) == [piece for piece in expected if piece]


def test_a_recorder_that_never_wrote_its_length_is_read_to_the_end() -> None:
    frames = array.array("h", range(20)).tobytes()
    content = wav(frames, channels=2, tag=1, bits=16).replace(
        b"data" + struct.pack("<I", len(frames)), b"data" + struct.pack("<I", 0xFFFFFFFF)
    )
    sources = split_channels(content)
    assert heard(sources["2"]) == array.array("h", range(1, 20, 2)).tobytes()


@pytest.mark.parametrize(
    "labels", [["one"], ["a", "a"], ["a", "b", "c"], "ab", ["a", ""], ["a", 2]]
)
def test_labels_that_do_not_fit_are_refused(labels: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="labels is"):
        split_channels(CALL, labels=labels)


def test_what_cannot_be_split_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"nothing\.wav"):
        split_channels(tmp_path / "nothing.wav")
    with pytest.raises(AudioError, match="no WAV file"):
        split_channels(b"not audio")
    with pytest.raises(AudioError, match="4-bit ADPCM, 2 channels"):
        split_channels(wav(bytes(6), channels=2, tag=2, bits=4))
    buffer = io.BytesIO()
    with pytest.raises(AudioError, match="path"):
        split_channels(buffer)  # type: ignore[arg-type]
