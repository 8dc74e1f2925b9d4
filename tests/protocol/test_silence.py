"""A place at which audio may be cut is quiet, and is found whatever the format and the chunks."""

from __future__ import annotations

import math
import random
import struct
from typing import Callable, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechmatics_sync import AudioEncoding, AudioFormat
from speechmatics_sync._protocol.silence import _MULAW, QuietFinder
from speechmatics_sync.local import counted_audio

RATE = 16000
QUIET = int(0.05 * RATE)
"""Samples of quiet that make a place."""


def voice(samples: int, loudness: float = 0.5) -> list[float]:
    """A tone, between -1 and 1."""
    return [loudness * math.sin(2 * math.pi * 200 * at / RATE) for at in range(samples)]


def hush(samples: int) -> list[float]:
    return [0.0] * samples


def pcm_s16le(levels: list[float]) -> bytes:
    return struct.pack(f"<{len(levels)}h", *(int(level * 32767) for level in levels))


def pcm_f32le(levels: list[float]) -> bytes:
    return struct.pack(f"<{len(levels)}f", *levels)


def mulaw(levels: list[float]) -> bytes:
    """ITU-T G.711, by its formula."""
    codes = []
    for level in levels:
        size = round(127 * math.log1p(255 * abs(level)) / math.log(256))
        codes.append(0xFF ^ (size | (0x80 if level < 0 else 0)))
    return bytes(codes)


ENCODERS: dict[str, Callable[[list[float]], bytes]] = {
    "pcm_s16le": pcm_s16le,
    "pcm_f32le": pcm_f32le,
    "mulaw": mulaw,
}


def test_each_code_of_mu_law_stands_for_the_level_that_is_written_with_it() -> None:
    minus_zero = 0x7F
    assert len(_MULAW) == 256
    assert _MULAW[minus_zero] == _MULAW[0xFF] == 0.0
    assert (_MULAW[0x00], _MULAW[0x80]) == (-1.0, 1.0)
    for code in set(range(256)) - {minus_zero}:
        assert mulaw([_MULAW[code]]) == bytes([code])


def place(audio: bytes, encoding: str = "pcm_s16le", *, step: Optional[int] = None) -> float:
    """Seconds after which the audio may be cut; minus one if it may be nowhere."""
    audio_format = AudioFormat(AudioEncoding(encoding), RATE)
    finder = QuietFinder(audio_format)
    size = audio_format.bytes_per_sample
    step = len(audio) if step is None else step * size
    for at in range(0, len(audio), step):
        found = finder.find(audio[at : at + step])
        if found is not None:
            assert found % size == 0, "half a sample"
            return (at + found) / size / RATE
    return -1.0


@pytest.mark.parametrize("encoding", ENCODERS)
def test_audio_may_be_cut_in_the_first_pause(encoding: str) -> None:
    levels = voice(RATE) + hush(RATE // 5) + voice(RATE) + hush(RATE // 5)
    assert 1.05 <= place(ENCODERS[encoding](levels), encoding) <= 1.07


@pytest.mark.parametrize("encoding", ENCODERS)
def test_audio_that_is_never_quiet_may_be_cut_nowhere(encoding: str) -> None:
    assert place(ENCODERS[encoding](voice(2 * RATE)), encoding) == -1


def test_a_moment_between_two_sounds_is_no_pause() -> None:
    assert place(pcm_s16le((voice(RATE // 4) + hush(QUIET * 3 // 5)) * 8)) == -1


@pytest.mark.parametrize("encoding", ENCODERS)
def test_what_is_quiet_beside_the_voice_is_a_pause(encoding: str) -> None:
    levels = voice(RATE, 0.5) + voice(RATE // 5, 0.02) + voice(RATE, 0.5)
    assert 1.05 <= place(ENCODERS[encoding](levels), encoding) <= 1.07
    levels = voice(RATE, 0.5) + voice(RATE // 5, 0.2) + voice(RATE, 0.5)
    assert place(ENCODERS[encoding](levels), encoding) == -1


def test_the_loudest_samples_there_are_are_not_quiet() -> None:
    """-32768 has no positive counterpart in 16 bits."""
    assert place(struct.pack("<2h", -32768, 32767) * RATE) == -1


def noise(samples: int, loudness: float) -> list[float]:
    random_ = random.Random(1)
    return [random_.uniform(-loudness, loudness) for _ in range(samples)]


def mixed(*sounds: list[float]) -> list[float]:
    return [sum(levels) for levels in zip(*sounds)]


SAID = voice(RATE, 0.3) + hush(RATE // 5) + voice(RATE, 0.3)


@pytest.mark.parametrize("before", [0, 800])
@pytest.mark.parametrize("clicks", [1, 2, 40])
def test_a_click_makes_nothing_quiet_that_comes_after_it(clicks: int, before: int) -> None:
    soft = [level / 10 for level in SAID]
    click = hush(before) + [0.95, -0.95] * clicks
    levels = mixed(soft, click + hush(len(soft) - len(click)))
    assert 1.05 <= place(pcm_s16le(levels)) <= 1.07


def test_a_loud_sound_counts_only_for_a_while() -> None:
    soft = (hush(QUIET * 2 // 5) + voice(RATE // 10, 0.08)) * 10
    levels = voice(RATE // 2, 0.9) + voice(4 * RATE, 0.4) + soft + hush(RATE // 5)
    assert 5.7 < place(pcm_s16le(levels)) < 5.8


@pytest.mark.parametrize("offset", [0.2, -0.5])
@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_f32le"])
def test_an_offset_is_no_sound(offset: float, encoding: str) -> None:
    levels = [level + offset for level in SAID]
    assert 1.05 <= place(ENCODERS[encoding](levels), encoding) <= 1.1


@pytest.mark.parametrize("encoding", ENCODERS)
def test_the_noise_of_a_room_is_quiet(encoding: str) -> None:
    levels = SAID + SAID
    levels = mixed(levels, noise(len(levels), 0.06))  # a fifth of the voice
    assert 1.05 <= place(ENCODERS[encoding](levels), encoding) <= 1.2


def test_noise_alone_is_not_quiet() -> None:
    assert place(pcm_s16le(noise(5 * RATE, 0.3))) == -1


def test_silence_from_the_start_is_a_pause() -> None:
    assert place(pcm_s16le(hush(QUIET))) == 0.05
    assert place(pcm_s16le(hush(QUIET - 1))) == -1


@given(step=st.integers(1, 3 * QUIET), spoken=st.integers(1, RATE // 4))
def test_a_pause_is_found_however_the_audio_is_cut_into_chunks(step: int, spoken: int) -> None:
    levels = voice(spoken, 0.9)
    levels[-1] = 0.9  # not on a zero of the tone
    audio = pcm_s16le(levels + hush(2 * QUIET) + voice(spoken))
    at = place(audio, step=step) * RATE
    assert spoken + QUIET - 2 * RATE // 100 <= at <= spoken + 2 * QUIET
    assert at == place(audio) * RATE


@pytest.mark.parametrize("first", [1, 500, 32000])
def test_no_word_of_counted_audio_is_cut(first: int) -> None:
    """Which the tests of sessions rely on: there is a pause of a tenth of a second after each."""
    audio = counted_audio(4, first=first)
    for begun in range(0, int(0.4 * RATE), 1000):
        at = begun / RATE + place(audio[2 * begun :], step=1600)
        assert 0.4 < at < 0.5
