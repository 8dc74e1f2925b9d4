"""The demo hears the words that were spoken."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import wave
from pathlib import Path

import pytest
from support.places import ROOT

AUDIO = ROOT / "examples" / "audio"

pytestmark = [pytest.mark.speech, pytest.mark.timeout(180)]


def words(text: str) -> list[str]:
    """The words of a text, as they sound."""
    return re.sub(r"[^a-z' ]", " ", text.lower()).split()


def distance(heard: list[str], spoken: list[str]) -> int:
    """How many words are wrong, missing or too many."""
    row = list(range(len(spoken) + 1))
    for index, word in enumerate(heard, 1):
        previous, row[0] = row[0], index
        for place, expected in enumerate(spoken, 1):
            change = previous + (word != expected)
            previous = row[place]
            row[place] = min(change, row[place] + 1, row[place - 1] + 1)
    return row[-1]


@pytest.fixture(scope="module")
def printed() -> str:
    """What the demo prints without a terminal."""
    demo = [sys.executable, str(ROOT / "examples" / "demo.py")]
    ran = subprocess.run(demo, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return ran.stdout


def test_the_transcript_is_what_was_spoken(printed: str) -> None:
    spoken = words((AUDIO / "demo.txt").read_text(encoding="utf-8"))
    heard = words(printed.split("Transcript:")[1].split("Word by word")[0])
    assert distance(heard, spoken) <= 0.05 * len(spoken), (heard, spoken)


def test_partials_come_while_speech_goes_on(printed: str) -> None:
    partials = [line for line in printed.splitlines() if line.startswith("  … ")]
    finals = words((AUDIO / "demo.txt").read_text(encoding="utf-8"))
    assert len(partials) > len(finals) / 2
    said = [words(line) for line in partials]
    assert any(len(some) >= 3 and some == finals[: len(some)] for some in said)


def test_every_word_has_its_times(printed: str) -> None:
    table = printed.split("(seconds, confidence):")[1].partition("\nAnd call.wav")[0]
    found = re.findall(r"([\d.]+) – *([\d.]+)  ([\d.]+)  (\S+)", table)
    assert len(found) == len(words((AUDIO / "demo.txt").read_text(encoding="utf-8")))
    for start, end, confidence, _ in found:
        assert float(start) < float(end)
        assert 0 <= float(confidence) <= 1


def test_what_is_shown_at_the_end_fits_a_screen_of_80_columns(printed: str) -> None:
    lines = printed.split("Transcript:")[1].partition("\nAnd call.wav")[0].splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) < 80


@pytest.mark.parametrize("shown", ["live", "at the end"])
def test_a_call_is_shown_as_the_conversation_it_was(printed: str, shown: str) -> None:
    live, _, end = printed.partition("And call.wav")[2].partition("The call:")
    heard = turns(live.partition("\n")[2] if shown == "live" else end.partition("\nNext:")[0])
    spoken = turns((AUDIO / "call.txt").read_text(encoding="utf-8"))
    assert [label for label, _ in heard] == [label for label, _ in spoken]
    for label in ("agent", "customer"):
        ours, theirs = (
            [word for name, words in said if name == label for word in words]
            for said in (heard, spoken)
        )
        assert distance(ours, theirs) <= 0.05 * len(theirs), (heard, spoken)


def test_a_call_shows_what_is_being_said(printed: str) -> None:
    live = printed.partition("And call.wav")[2].partition("The call:")[0]
    assert {label for label, _ in partials_of(live)} == {"agent", "customer"}


def test_a_recording_of_two_channels_is_transcribed_too(tmp_path: Path) -> None:
    stereo = tmp_path / "stereo.wav"
    with wave.open(str(AUDIO / "demo.wav"), "rb") as mono, wave.open(str(stereo), "wb") as wav:
        wav.setparams(mono.getparams())
        wav.setnchannels(2)
        samples = mono.readframes(mono.getnframes())
        wav.writeframes(b"".join(samples[at : at + 2] * 2 for at in range(0, len(samples), 2)))
    demo = [sys.executable, str(ROOT / "examples" / "demo.py"), str(stereo)]
    # Where the output can only be ASCII, too.
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    ran = subprocess.run(
        demo, cwd=ROOT, env=ascii_only, capture_output=True, text=True, timeout=120
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    spoken = words((AUDIO / "demo.txt").read_text(encoding="utf-8"))
    heard = words(ran.stdout.split("Transcript:")[1].split("Word by word")[0])
    assert distance(heard, spoken) <= 0.05 * len(spoken), (heard, spoken)


def test_the_next_step_works_from_the_shell_as_it_is(printed: str) -> None:
    program, script = re.findall(r"  (\S+) (examples/demo\.py) RECORDING\.wav", printed)[0]
    ran = subprocess.run([program, script, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_a_reader_that_has_seen_enough_gets_no_traceback() -> None:
    demo = subprocess.Popen(
        [sys.executable, str(ROOT / "examples" / "demo.py")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    assert demo.stderr is not None
    assert demo.stdout.readline().startswith("Transcribing")
    demo.stdout.close()
    with demo.stderr:
        assert demo.stderr.read() == ""
    assert demo.wait(60) == 0


@pytest.mark.parametrize("when", ["while it loads", "while it transcribes"])
def test_ctrl_c_leaves_no_traceback(when: str) -> None:
    loads = when == "while it loads"
    # `-v` names each module as it is loaded, and so the moment for the signal.
    demo = subprocess.Popen(
        [sys.executable, *(["-v"] if loads else []), str(ROOT / "examples" / "demo.py")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    assert demo.stderr is not None
    reader, sign = (demo.stderr, "numpy") if loads else (demo.stdout, "Transcribing")
    assert any(sign in line for line in reader)
    demo.send_signal(signal.SIGINT)
    _, said = demo.communicate(timeout=60)
    assert "Traceback" not in said
    assert demo.returncode in (130, -signal.SIGINT)


def turns(text: str) -> list[tuple[str, list[str]]]:
    """Who says which words, line by line."""
    lines = [line.partition(":") for line in text.splitlines() if line.strip() and "…" not in line]
    return [(label.strip(), words(said)) for label, _, said in lines]


def partials_of(text: str) -> list[tuple[str, list[str]]]:
    """Who is saying which words."""
    lines = [line.partition(":") for line in text.splitlines() if "…" in line]
    return [(label.strip(" …"), words(said)) for label, _, said in lines]


def test_a_file_that_is_not_there_is_one_clear_line() -> None:
    demo = [sys.executable, str(ROOT / "examples" / "demo.py"), "nothing.wav"]
    ran = subprocess.run(demo, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert "nothing.wav" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
