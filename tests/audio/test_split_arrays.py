"""The channels of an array are sources of their own, wherever its samples lie in memory."""

from __future__ import annotations

import array
import re
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.audio.sources import S16, chunks_of, read_all
from support.channel_server import ChannelServer
from support.fuzzing import examples
from support.serving import serving

from speechmatics_sync import (
    AudioEncoding,
    AudioError,
    AudioFormat,
    ConfigurationError,
    MultiChannelClient,
    split_channels,
)
from speechmatics_sync._audio.sources import open_source

numpy = pytest.importorskip("numpy")

F32 = AudioFormat(AudioEncoding.PCM_F32LE, 16000)
MULAW = AudioFormat(AudioEncoding.MULAW, 8000)


def counted(frames: int, channels: int, kind: str = "int16") -> Any:
    """An array in which no two samples near one another are the same."""
    return numpy.arange(frames * channels).astype(kind).reshape(frames, channels)


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "row by row": lambda samples: samples,
    "column by column": lambda samples: numpy.asfortranarray(samples),
    "columns of a larger array": lambda samples: numpy.hstack([samples, samples + 1])[
        :, : samples.shape[1]
    ],
    "every second row": lambda samples: samples.repeat(2, axis=0)[::2],
    "from the end": lambda samples: samples[::-1].copy()[::-1],
    "columns in another order": lambda samples: samples[:, ::-1].copy()[:, ::-1],
    "transposed": lambda samples: samples.T.copy().T,
    "not to be written to": lambda samples: numpy.frombuffer(
        samples.tobytes(), samples.dtype
    ).reshape(samples.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("kind", "audio_format"), [("int16", S16), ("float32", F32)])
@pytest.mark.parametrize("channels", [1, 2, 7])
def test_each_channel_is_sent_whole_however_the_array_lies_in_memory(
    layout: str, kind: str, audio_format: AudioFormat, channels: int
) -> None:
    samples = LAYOUTS[layout](counted(10_000, channels, kind))
    sources = split_channels(samples)
    assert list(sources) == [str(number) for number in range(1, channels + 1)]
    for index, source in enumerate(sources.values()):
        expected = samples[:, index].tobytes()
        for _ in range(2):
            with closing(open_source(source, audio_format)) as opened:
                assert opened.total_seconds == 10_000 / 16000
                assert b"".join(opened) == expected


@given(
    frames=st.integers(0, 9000),
    channels=st.integers(1, 4),
    positions=st.lists(st.integers(0, 18_000), max_size=4),
)
@examples(50)
def test_a_channel_can_be_read_from_any_place(
    frames: int, channels: int, positions: list[int]
) -> None:
    samples = counted(frames, channels)
    labels = [str(number) for number in range(channels)]
    for index, source in enumerate(split_channels(samples, labels).values()):
        expected = samples[:, index].tobytes()
        with closing(open_source(source, S16)) as opened:
            for position in positions:
                position = min(position, len(expected))
                opened.seek(position)
                assert b"".join(opened) == expected[position:]


def test_so_can_one_of_bytes() -> None:
    samples = counted(5000, 2, "uint8")
    sources = split_channels(samples)
    assert read_all(sources["2"], MULAW) == samples[:, 1].tobytes()
    with pytest.raises(AudioError, match="int8 samples, and the audio_format is pcm_s16le"):
        read_all(sources["1"], S16)


def test_an_array_without_numpy_has_channels_too() -> None:
    plain = memoryview(array.array("h", range(2000))).cast("B").cast("h", (1000, 2))
    sources = split_channels(plain, ["left", "right"])
    assert read_all(sources["right"], S16) == array.array("h", range(1, 2000, 2)).tobytes()


def test_a_channel_is_held_to_the_format() -> None:
    source = split_channels(counted(100, 2, "float32"))["1"]
    with pytest.raises(AudioError, match="float32 samples, and the audio_format is pcm_s16le"):
        read_all(source, S16)
    with pytest.raises(AudioError, match="PCM_F32LE"):
        read_all(source)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ("numpy.zeros((10, 2))", r"float64 samples: .*astype\('float32'\)"),
        ("numpy.zeros((10, 2), 'int32')", r"int32 samples: .*astype"),
        ("numpy.zeros((10, 2), '>i2')", r"big-endian samples.*newbyteorder\('<'\)"),
        ("numpy.zeros((10, 2), 'uint16')", "uint16 samples"),
        ("numpy.zeros((10, 2), complex)", "samples: convert"),
        ("numpy.zeros((10, 2), bool)", "bool8 samples"),
        ("numpy.zeros((10, 2), object)", "samples: convert"),
        ("numpy.zeros(10, 'int16')", "1 dimensions: pass it as a source, as it is"),
        ("numpy.zeros((10, 2, 2), 'int16')", "3 dimensions"),
        ("numpy.zeros((2, 100), 'int16')", r"2 × 100: .*samples\.T"),
        ("numpy.float32(1)", "0 dimensions"),
        ("[[1, 2], [3, 4]]", "not list"),
        ("None", "not NoneType"),
        ("LikeTensor()", r"not LikeTensor; numpy\.asarray"),
    ],
)
def test_what_is_no_such_array_is_an_error_that_says_what_to_do(given_: str, said: str) -> None:
    class LikeTensor:
        def __array__(self) -> Any:
            raise NotImplementedError

    with pytest.raises(AudioError, match=said):
        split_channels(eval(given_, {"numpy": numpy, "LikeTensor": LikeTensor}))


def test_an_array_without_samples_has_channels_without_samples() -> None:
    sources = split_channels(numpy.zeros((0, 2), "int16"))
    assert {label: read_all(source, S16) for label, source in sources.items()} == {
        "1": b"",
        "2": b"",
    }


def test_there_is_a_label_for_each_channel() -> None:
    samples = counted(10, 2)
    for labels, said in {
        ("one",): "has 2 channels, and 1 was named (one): name all 2",
        ("a", "b", "c"): "has 2 channels, and 3 were named (a, b, c): name all 2",
        ("a", "a"): "labels is ['a', 'a']; allowed: 2 different names",
    }.items():
        with pytest.raises(ConfigurationError, match=re.escape(said)):
            split_channels(samples, labels)
    with pytest.raises(AudioError, match=r"samples\.T"):
        split_channels(samples.T, ["a", "b"])
    assert list(split_channels(counted(1, 2), ["a", "b"])) == ["a", "b"]


def test_no_array_is_copied_as_a_whole() -> None:
    samples = numpy.zeros((4_000_000, 4), dtype="int16")[:, 1:3]
    source = split_channels(samples)["1"]
    tracemalloc.start()
    try:
        with closing(open_source(source, S16)) as opened:
            assert sum(map(len, opened)) == 8_000_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_many_threads_read_the_channels_of_one_array() -> None:
    samples = counted(50_000, 8)
    sources = list(split_channels(samples).values())
    read: dict[int, bytes] = {}

    def work(index: int) -> None:
        read[index] = read_all(sources[index], S16)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == {index: samples[:, index].tobytes() for index in range(8)}


def test_arrays_that_come_one_by_one_are_a_source() -> None:
    samples = counted(10_000, 1)[:, 0]
    parts = numpy.array_split(samples, 13)

    def live() -> Iterator[Any]:
        yield from parts

    assert read_all(live(), S16) == samples.tobytes()
    chunks = chunks_of(parts, S16)
    assert b"".join(chunks) == samples.tobytes()
    assert {len(chunk) for chunk in chunks[:-1]} == {S16.chunk_size}


def test_the_channels_of_an_array_are_transcribed() -> None:
    samples = counted(30_000, 3)
    server = ChannelServer()
    with serving(server) as url, MultiChannelClient(url=url, reconnect=None) as client:
        sources = split_channels(samples, ["a", "b", "c"])
        client.transcribe(sources, audio_format=S16, timeout=20)
    assert server.audio == {"abc"[index]: samples[:, index].tobytes() for index in range(3)}
