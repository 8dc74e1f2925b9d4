"""The recognisers that need no model, without a server."""

from __future__ import annotations

import wave
from typing import Optional

import numpy as np
import pytest
from support.places import SAMPLES

from speechmatics_sync.local import (
    CountedRecognizer,
    Recognizer,
    ScriptedRecognizer,
    Word,
    counted_audio,
    counted_word,
)
from speechmatics_sync.local._recognizer import FRAME_SAMPLES


def hear(
    recognizer: Recognizer,
    audio: bytes,
    *,
    max_delay: float = 4.0,
    channel: Optional[str] = None,
) -> list[Word]:
    recognition = recognizer.start(language="en", partials=False, channel=channel)
    recognition.max_delay = max_delay
    samples = np.frombuffer(audio, dtype="<i2")
    finals: list[Word] = []
    for at in range(0, len(samples), FRAME_SAMPLES):
        finals += recognition.feed(samples[at : at + FRAME_SAMPLES]).finals
    finals += recognition.finish().finals
    recognition.close()
    return finals


def test_counted_words_are_heard_in_order_with_their_times() -> None:
    assert hear(CountedRecognizer(), counted_audio(50, first=100)) == [
        Word(counted_word(100 + index), 0.5 * index, 0.5 * index + 0.4) for index in range(50)
    ]


@pytest.mark.parametrize("offset", [400, 777, 8000, 8400, 12345])
def test_the_same_audio_is_the_same_word_wherever_it_begins(offset: int) -> None:
    heard = hear(CountedRecognizer(), counted_audio(10)[2 * offset :])
    first = -(-offset // 8000)
    whole = [word for word in heard if word.text != "clipped"]
    assert [word.text for word in whole] == [counted_word(n + 1) for n in range(first, 10)]
    assert [word.start + offset / 16000 for word in whole] == [
        pytest.approx(0.5 * n) for n in range(first, 10)
    ]


def test_a_word_that_is_heard_from_its_middle_is_told_from_a_whole_one() -> None:
    assert [word.text for word in hear(CountedRecognizer(), counted_audio(2)[4000:])] == [
        "clipped",
        "w2",
    ]


def test_a_word_that_the_audio_cuts_off_is_heard_at_the_end() -> None:
    heard = hear(CountedRecognizer(), counted_audio(2)[: 2 * 10000])
    assert heard[-1] == Word("w2", 0.5, 0.625)


def test_speech_is_no_counted_words() -> None:
    with wave.open(str(SAMPLES / "demo.wav"), "rb") as wav:
        assert hear(CountedRecognizer(), wav.readframes(wav.getnframes())) == []


def test_scripted_words_come_when_the_audio_has_passed_them() -> None:
    recognizer = ScriptedRecognizer([("one", 0.1, 0.5), ("two", 0.6, 1.0), ("never", 1.9, 2.1)])
    assert [word.text for word in hear(recognizer, bytes(2 * 32000))] == ["one", "two"]


def test_a_script_by_channel_is_heard_in_the_channels_it_names() -> None:
    recognizer = ScriptedRecognizer({"a": [("one", 0.1, 0.5)], "b": [Word("two", 0.2, 0.4)]})
    heard = {
        channel: [word.text for word in hear(recognizer, bytes(32000), channel=channel)]
        for channel in ("a", "b", "c", None)
    }
    assert heard == {"a": ["one"], "b": ["two"], "c": [], None: []}


@pytest.mark.parametrize(("delay", "max_delay"), [(0.0, 4.0), (1.0, 4.0), (3.0, 1.0)])
def test_a_final_comes_after_the_shorter_of_both_delays(delay: float, max_delay: float) -> None:
    recognition = ScriptedRecognizer([("one", 0.1, 0.5)], delay=delay).start(
        language="en", partials=False
    )
    recognition.max_delay = max_delay
    frames = 0
    while not recognition.feed(np.zeros(FRAME_SAMPLES, dtype=np.int16)).finals:
        frames += 1
    assert (frames + 1) * 0.02 == pytest.approx(0.5 + min(delay, max_delay))


def test_numbers_that_samples_cannot_hold_are_refused() -> None:
    counted_audio(1, first=32767)
    for first, count in ((0, 1), (32767, 2)):
        with pytest.raises(ValueError, match="1 to 32767"):
            counted_audio(count, first=first)
