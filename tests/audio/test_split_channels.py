"""One WAV file of several channels is as many sources."""

from __future__ import annotations

import array
import io
import struct
import threading
import wave
from contextlib import ExitStack
from pathlib import Path
from typing import Optional

import hypothesis
import pytest
from hypothesis import strategies as st
from support.audio.sources import InTurn, rereadable_sources_of
from support.places import SAMPLES
from support.wav_files import wav_file

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


@pytest.mark.parametrize("labels", [["a", "a"], "ab", ["a", ""], ["a", 2]])
def test_labels_that_are_none_are_refused(labels: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="labels is"):
        split_channels(CALL, labels=labels)


@pytest.mark.parametrize("labels", [["one"], ["a", "b", "c"]])
def test_more_or_fewer_labels_than_channels_are_refused(labels: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"call\.wav' has 2 channels, and \d w.* named"):
        split_channels(CALL, labels=labels)


def test_what_cannot_be_split_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"nothing\.wav"):
        split_channels(tmp_path / "nothing.wav")
    with pytest.raises(AudioError, match="no audio or video"):
        split_channels(b"not audio")
    with pytest.raises(AudioError, match="20-bit PCM, 2 channels"):
        split_channels(wav(bytes(12), channels=2, tag=1, bits=20))
    for empty in (io.BytesIO(), InTurn(), iter([])):
        with pytest.raises(AudioError, match="is empty"):
            split_channels(empty)
    with pytest.raises(AudioError, match="path"):
        split_channels(None)
    with pytest.raises(AudioError, match="cannot be read"):
        split_channels(io.StringIO("text"))


class Bad(io.BytesIO):
    def read(self, size: Optional[int] = -1, /) -> bytes:
        raise OSError(5, "Input/output error")


def test_a_file_object_that_fails_is_named() -> None:
    with pytest.raises(AudioError, match=r"the Bad cannot be read: OSError: .*Input/output"):
        split_channels(Bad())


@pytest.mark.parametrize("kind", ["file", "in memory", "short reads", "spooled"])
def test_a_file_object_is_split_from_where_it_stands_and_left_there(kind: str) -> None:
    frames = array.array("h", range(20_000)).tobytes()
    content = b"abc" + wav(frames, channels=2, tag=1, bits=16)
    with ExitStack() as stack:
        file = rereadable_sources_of[kind](content, stack)
        file.seek(3)
        sources = split_channels(file)
        read: dict[str, bytes] = {}

        def work(label: str) -> None:
            read[label] = heard(sources[label])

        threads = [threading.Thread(target=work, args=(label,)) for label in sources]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert file.tell() == 3
    assert read == {
        label: array.array("h", range(index, 20_000, 2)).tobytes()
        for index, label in enumerate(["1", "2"])
    }


def test_only_one_channel_at_a_time_moves_a_file_object() -> None:
    entered = threading.Event()

    class Watched(io.BytesIO):
        reading = False

        def tell(self) -> int:
            if self.reading:
                entered.set()
            return super().tell()

        def read(self, size: Optional[int] = -1, /) -> bytes:
            self.reading = True
            entered.wait(0.1)  # for what must not come
            self.reading = False
            return super().read(size)

    content = wav(bytes(400), channels=2, tag=1, bits=16)
    sources = split_channels(Watched(content)).values()
    threads = [threading.Thread(target=heard, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not entered.is_set()


def test_content_may_be_any_bytes() -> None:
    content = wav(array.array("h", range(100)).tobytes(), channels=2, tag=1, bits=16)
    for kind in (bytearray(content), memoryview(b"abc" + content)[3:], array.array("B", content)):
        assert heard(split_channels(kind)["2"]) == array.array("h", range(1, 100, 2)).tobytes()


def test_the_length_of_a_channel_is_that_of_the_samples_that_there_are() -> None:
    content = wav(bytes(4000), channels=2, tag=1, bits=16)
    live = content.replace(struct.pack("<I", 4000), bytes(4))
    for kind, frames in [(content, 1000), (content[:-1002], 749), (live, 1000), (live[:-1], 999)]:
        opened = open_source(split_channels(kind)["1"])
        assert opened.total_seconds == frames / 8000
        opened.close()


def test_a_size_that_no_file_can_have_is_not_looked_behind(tmp_path: Path) -> None:
    path = tmp_path / "large.wav"
    path.write_bytes(
        wav_file(values=(1, 2) * 100, form="RF64", channels=2, size_64=1 << 61).content
    )
    assert heard(split_channels(path)["2"]) == b"\2\0" * 100
