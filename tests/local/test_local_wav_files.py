"""The embedded server hears of a WAV file what the client would send of it."""

from __future__ import annotations

import io
import wave
from typing import Optional

import numpy as np
import pytest
from support.wav_files import BROKEN_HEADERS, FILES, KINDS, RATE, VALUES, wav_file

from speechmatics_sync import AudioFormat, Client
from speechmatics_sync.local import CountedRecognizer, LocalServer, counted_audio
from speechmatics_sync.local._audio import RawDecoder, WavDecoder
from speechmatics_sync.local._validation import Refused


def heard(content: bytes, size: int) -> list[int]:
    decoder = WavDecoder()
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    samples = [*map(decoder.feed, pieces), decoder.finish()]
    return [int(each) for each in np.concatenate(samples)]


@pytest.mark.parametrize("name", FILES)
def test_every_sample_of_a_file_is_heard_and_nothing_else(name: str) -> None:
    file = FILES[name]
    expected = RawDecoder(file.encoding, RATE).feed(file.sent).tolist()
    for size in (1 << 20, 997, 1):
        assert heard(file.content, size) == expected


@pytest.mark.parametrize("name", BROKEN_HEADERS)
def test_without_a_whole_header_a_file_is_refused(name: str) -> None:
    with pytest.raises(Refused) as refused:
        heard(BROKEN_HEADERS[name], 100)
    assert refused.value.type == "invalid_audio_type"


@pytest.mark.parametrize("kind", KINDS)
def test_channels_of_every_kind_are_mixed(kind: str) -> None:
    values = VALUES[:100]
    both = tuple(value for value in values for _ in range(2))
    expected = heard(wav_file(kind, values).content, 1000)
    assert heard(wav_file(kind, both, channels=2).content, 1000) == expected


@pytest.mark.parametrize("audio_format", [None, AudioFormat()])
def test_a_file_of_24_bits_is_transcribed_raw_and_as_a_file(
    audio_format: Optional[AudioFormat],
) -> None:
    samples = np.frombuffer(counted_audio(5), dtype="<i2")
    stored = np.zeros((len(samples), 3), dtype=np.uint8)
    stored[:, 1:] = samples.view(np.uint8).reshape(-1, 2)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(3)
        writer.setframerate(RATE)
        writer.writeframes(stored.tobytes())
    with LocalServer(recognizer=CountedRecognizer()) as server, Client(url=server.url) as client:
        transcript = client.transcribe(file.getvalue(), audio_format=audio_format, timeout=30)
        assert (client.audio_seconds_sent is None) == (audio_format is not None)
    assert len(transcript.words) == 5
