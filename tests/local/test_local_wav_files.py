"""The embedded server hears of a WAV file what the client would send of it."""

from __future__ import annotations

import io
import time
import tracemalloc
import wave
from pathlib import Path
from typing import Optional

import numpy as np
import pytest
from support.wav_files import BROKEN_HEADERS, FILES, KINDS, RATE, VALUES, wav_file

from speechmatics_sync import AudioFormat, Client
from speechmatics_sync.local import CountedRecognizer, Drop, Faults, LocalServer, counted_audio
from speechmatics_sync.local._audio import RawDecoder, WavDecoder
from speechmatics_sync.local._validation import Refused


def heard(content: bytes, size: int) -> list[int]:
    decoder = WavDecoder()
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    samples = [*map(decoder.feed, pieces), decoder.finish()]
    return [int(each) for each in np.concatenate(samples)]


@pytest.mark.parametrize("size", [1 << 20, 997, 1])
def test_every_sample_of_a_file_is_heard_and_nothing_else(size: int) -> None:
    for name, file in FILES.items():
        expected = RawDecoder(file.encoding, RATE).feed(file.sent).tolist()
        assert heard(file.content, size) == expected, name


def test_without_a_whole_header_a_file_is_refused() -> None:
    for name, content in BROKEN_HEADERS.items():
        try:
            heard(content, 100)
        except Refused as refused:
            assert refused.type == "invalid_audio_type", name  # noqa: PT017  (the name is wanted)
        else:
            pytest.fail(f"{name} is taken for a WAV file")


def test_what_is_no_wav_file_is_refused_as_soon_as_that_is_plain() -> None:
    with pytest.raises(Refused, match="no WAV file"):
        WavDecoder().feed(b"fLaC")


@pytest.mark.parametrize("kind", KINDS)
def test_channels_of_every_kind_are_mixed(kind: str) -> None:
    values = VALUES[:100]
    both = tuple(value for value in values for _ in range(2))
    expected = heard(wav_file(kind, values).content, 1000)
    assert heard(wav_file(kind, both, channels=2).content, 1000) == expected


def of_24_bits(audio: bytes) -> bytes:
    """A WAV file of these 16-bit samples."""
    samples = np.frombuffer(audio, dtype="<i2")
    stored = np.zeros((len(samples), 3), dtype=np.uint8)
    stored[:, 1:] = samples.view(np.uint8).reshape(-1, 2)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(3)
        writer.setframerate(RATE)
        writer.writeframes(stored.tobytes())
    return file.getvalue()


@pytest.mark.parametrize("audio_format", [None, AudioFormat()])
def test_a_file_of_24_bits_is_transcribed_raw_and_as_a_file(
    audio_format: Optional[AudioFormat],
) -> None:
    file = of_24_bits(counted_audio(5))
    with LocalServer(recognizer=CountedRecognizer()) as server, Client(url=server.url) as client:
        transcript = client.transcribe(file, audio_format=audio_format, timeout=30)
        assert (client.audio_seconds_sent is None) == (audio_format is not None)
    assert [word.content for word in transcript.words] == words_of(5)


def words_of(count: int) -> list[str]:
    return [f"w{number}" for number in range(1, count + 1)]


def test_what_is_converted_is_sent_again_after_a_drop_and_its_progress_is_known(
    tmp_path: Path,
) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(of_24_bits(counted_audio(30)))
    faults = Faults()
    faults.add(Drop(), after_seconds=4)
    told: list[tuple[float, Optional[float]]] = []
    server = LocalServer(recognizer=CountedRecognizer(), strict=True, faults=faults)
    with server, Client(url=server.url) as client:
        transcript = client.transcribe(
            path, progress=lambda done, total: told.append((done, total)), timeout=30
        )
        assert client.stats.reconnects == 1
        assert client.audio_seconds_sent == 15.0
    assert [word.content for word in transcript.words] == words_of(30)
    assert {total for _, total in told} <= {None, 15.0}  # None before the file was opened
    assert told[-1] == (15.0, 15.0)


def test_what_is_converted_can_be_paced() -> None:
    file = of_24_bits(counted_audio(2))
    with LocalServer(recognizer=CountedRecognizer()) as server, Client(url=server.url) as client:
        begun = time.monotonic()
        transcript = client.transcribe(file, realtime=True, timeout=30)
        assert time.monotonic() - begun > 0.9
    assert [word.content for word in transcript.words] == words_of(2)


def test_nothing_of_what_follows_the_samples_is_kept() -> None:
    decoder = WavDecoder()
    decoder.feed(wav_file().content)
    tracemalloc.start()
    try:
        for _ in range(1000):
            decoder.feed(bytes(10_000))
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
