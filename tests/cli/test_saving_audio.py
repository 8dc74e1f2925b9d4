"""``--save-audio``: what is transcribed is kept as well, whatever comes of the keeping."""

from __future__ import annotations

import wave
from typing import Callable

import pytest
from support.cli.commands import Place, Ran

from speechmatics_sync.local import counted_audio

Call = Callable[..., Ran]
RAW = ("--audio-encoding", "pcm_s16le", "--audio-sample-rate", "16000")


@pytest.fixture
def calling(served: Place, call: Call) -> Call:
    """Calls the command in this process, with a file to transcribe."""
    served.talk()
    return call


def test_a_file_is_kept_byte_for_byte(served: Place, calling: Call) -> None:
    ran = calling("transcribe", "talk.wav", "--save-audio", "kept.wav")
    assert (ran.code, ran.out, ran.err) == (0, "w1 w2 w3.\n", "")
    assert (served.path / "kept.wav").read_bytes() == (served.path / "talk.wav").read_bytes()


def test_samples_are_kept_as_a_file_that_can_be_played(served: Place, calling: Call) -> None:
    audio = counted_audio(2)
    (served.path / "talk.raw").write_bytes(audio)
    ran = calling("transcribe", "talk.raw", *RAW, "--save-audio", "kept.wav")
    assert (ran.code, ran.out, ran.err) == (0, "w1 w2.\n", "")
    with wave.open(str(served.path / "kept.wav")) as kept:
        assert kept.getparams()[:3] == (1, 2, 16000)
        assert kept.readframes(10**6) == audio


def test_standard_input_is_kept(served: Place) -> None:
    with served.start("transcribe", "-", *RAW, "--save-audio", "kept.wav") as process:
        out, err = process.communicate(counted_audio(2), timeout=60)
    assert (out, err, process.returncode) == (b"w1 w2.\n", b"", 0)
    with wave.open(str(served.path / "kept.wav")) as kept:
        assert kept.readframes(10**6) == counted_audio(2)


def test_where_nothing_can_be_kept_is_told_before_anything_is_sent(calling: Call) -> None:
    ran = calling("transcribe", "talk.wav", "--save-audio", "missing/kept.wav")
    assert ran.code != 0
    assert ran.out == ""
    assert "missing/kept.wav" in ran.err
    assert "Traceback" not in ran.err


def test_what_is_transcribed_is_not_overwritten(served: Place, calling: Call) -> None:
    before = (served.path / "talk.wav").read_bytes()
    (served.path / "link.wav").symlink_to("talk.wav")
    for name in ("talk.wav", "link.wav"):
        ran = calling("transcribe", "talk.wav", "--save-audio", name)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.count(f"--save-audio is the file '{name}', which is transcribed") == 1
    assert (served.path / "talk.wav").read_bytes() == before


def test_a_file_that_is_not_there_is_told_as_without_keeping(calling: Call) -> None:
    told = calling("transcribe", "none.wav")
    kept = calling("transcribe", "none.wav", "--save-audio", "kept.wav")
    assert (kept.code, kept.err) == (told.code, told.err)


@pytest.mark.parametrize("flags", [(), RAW], ids=["a file", "samples"])
def test_a_disk_that_is_full_does_not_end_the_session(
    served: Place, calling: Call, flags: tuple[str, ...]
) -> None:
    (served.path / "talk.raw").write_bytes(counted_audio(40))
    name = "talk.raw" if flags else str(served.talk("long.wav", words=40))
    ran = calling("transcribe", name, *flags, "--save-audio", "/dev/full")
    assert ran.out == " ".join(f"w{number}" for number in range(1, 41)) + ".\n"
    assert "cannot be saved any more: No space left on device" in ran.err
    assert ran.code == 0
