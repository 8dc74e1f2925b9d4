"""Samples of another rate sound the same."""

from __future__ import annotations

import array
import math

import pytest

from speechmatics_sync._audio.resampling import Resampler


def tone(rate: int, hertz: float, seconds: float = 1.0) -> array.array[int]:
    step = 2 * math.pi * hertz / rate
    return array.array("h", (round(16000 * math.sin(step * n)) for n in range(int(rate * seconds))))


@pytest.mark.parametrize(("source", "target"), [(44100, 16000), (48000, 16000), (8000, 16000)])
@pytest.mark.parametrize("block", [2205, 333])
def test_a_tone_stays_the_same_tone(source: int, target: int, block: int) -> None:
    samples = tone(source, 440.0)
    resampler = Resampler(source, target)
    made = b"".join(
        resampler.feed(samples[at : at + block].tobytes()) for at in range(0, len(samples), block)
    )
    made += resampler.end()
    resampled, expected = array.array("h", made), tone(target, 440.0)
    assert abs(len(resampled) - target) <= 2
    inner = range(100, target - 100)
    assert max(abs(resampled[n] - expected[n]) for n in inner) < 200


def test_what_the_lower_rate_cannot_hold_is_left_out() -> None:
    """Or it would come back as a tone that nobody made."""
    resampler = Resampler(48000, 16000)
    made = array.array("h", resampler.feed(tone(48000, 12_000.0).tobytes()) + resampler.end())
    assert max(made[200:-200]) < 200


def test_samples_come_out_as_they_come_in() -> None:
    resampler = Resampler(48000, 16000)
    made = [len(resampler.feed(bytes(4800))) for _ in range(10)]
    assert sum(made) > 9 * 1600
    assert all(made[1:])
