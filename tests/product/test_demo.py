"""The demo shows what it says, in a terminal and where there is none."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from support.examples import wrong_share
from support.places import ROOT, SAMPLES
from support.programs import Program, run_program
from support.terminal import Terminal

DEMO = ROOT / "examples" / "demo.py"
TIMED = re.compile(r" *(\d+\.\d)  (?:(agent|customer) +)?(\S.*)")
HEALED = re.compile(r" +connection lost, resumed after \d+\.\d s; nothing lost")

pytestmark = [pytest.mark.speech, pytest.mark.timeout(400)]


class Shown(NamedTuple):
    """What a terminal of 80 columns showed of the demo, and where it wrote."""

    lines: list[str]
    growing: list[str]
    colours: dict[str, str]
    folder: Path


def environment(**more: str) -> dict[str, str]:
    """This tree's package, in terms of a terminal's own settings."""
    settings = ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE")
    inherited = {name: value for name, value in os.environ.items() if name not in settings}
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **more}


def growing(terminal: Terminal) -> list[str]:
    """The lines that end in words that may still change, which are grey."""
    return [
        line.rstrip()
        for number, line in enumerate(terminal.screen.display)
        if TIMED.match(line)
        and terminal.screen.buffer[number][len(line.rstrip()) - 1].fg == "brightblack"
    ]


def colour_of(terminal: Terminal, label: str) -> str:
    """The colour of a label, where the screen shows it first."""
    for number, line in enumerate(terminal.screen.display):
        match = TIMED.fullmatch(line)
        if match and match[2] == label:
            return str(terminal.screen.buffer[number][match.start(2)].fg)
    raise AssertionError(f"nowhere: {label}")


@pytest.fixture(scope="module")
def shown(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    folder = tmp_path_factory.mktemp("demo")
    with Terminal([DEMO], cwd=folder, environment=environment()) as terminal:
        terminal.until(lambda _: growing(terminal))
        grey = growing(terminal)
        terminal.until(lambda lines: any("2  Two channels" in line for line in lines))
        terminal.until(lambda lines: any("3  Proof" in line for line in lines))
        colours = {label: colour_of(terminal, label) for label in ("agent", "customer")}
        terminal.until(lambda lines: any("4  Captions" in line for line in lines))
        assert terminal.until_over() == 0, terminal.raw
        return Shown(terminal.everything, grey, colours, folder)


def part(shown: Shown, title: str) -> list[str]:
    """The lines below a heading, up to the next one."""
    start = next(number for number, line in enumerate(shown.lines) if title in line)
    end = next((n for n in range(start + 1, len(shown.lines)) if "──" in shown.lines[n]), None)
    return shown.lines[start + 1 : end]


def said(lines: list[str]) -> list[tuple[str, str]]:
    """Who said what, of lines with a time."""
    found = [TIMED.fullmatch(line) for line in lines]
    return [(match[2] or "", match[3]) for match in found if match]


def test_speech_grows_in_grey_and_stays_when_it_is_final(shown: Shown) -> None:
    assert said(shown.growing)[0][1].startswith("hello")
    final = [text for _, text in said(part(shown, "1  Live text"))]
    spoken = (SAMPLES / "demo.txt").read_text(encoding="utf-8")
    assert len(final) == len(spoken.splitlines())  # what grew is not there any more
    assert wrong_share(" ".join(final), spoken) <= 0.05


def test_a_call_is_a_conversation_in_the_colours_of_its_speakers(shown: Shown) -> None:
    # In the order of their times, as where the recogniser is late, a channel may be later than
    # the other.
    call = sorted(line for line in part(shown, "2  Two channels") if TIMED.fullmatch(line))
    spoken = (SAMPLES / "call.txt").read_text(encoding="utf-8").splitlines()
    assert [label for label, _ in said(call)] == [line.partition(":")[0] for line in spoken]
    for (_, heard), line in zip(said(call), spoken):
        assert wrong_share(heard, line.partition(":")[2]) <= 0.2
    assert len({*shown.colours.values(), "default"}) == 3


def test_the_connection_is_cut_within_a_sentence_and_no_word_is_lost(shown: Shown) -> None:
    call = part(shown, "2  Two channels")
    (healed,) = (number for number, line in enumerate(call) if HEALED.fullmatch(line))
    cut = ("customer", "the number of my account is five nine two seven.")
    assert cut in said(call[healed + 1 :])
    (proof,) = (line for line in part(shown, "3  Proof") if "words" in line)
    counted = re.fullmatch(r"  (\d+) words with the cut, (\d+) without it: 0 lost, 0 added", proof)
    assert counted is not None, proof
    assert counted[1] == counted[2]


def test_captions_are_written_where_it_says_and_shown(shown: Shown) -> None:
    paths = [line.strip() for line in part(shown, "4  Captions") if "demo-output" in line]
    assert paths == ["demo-output/call.vtt", "demo-output/call.srt"]
    assert (shown.folder / paths[0]).read_text(encoding="utf-8").startswith("WEBVTT\n")
    first = (shown.folder / paths[1]).read_text(encoding="utf-8").split("\n\n")[0]
    assert re.match(r"1\n[\d:,]+ --> [\d:,]+\nagent: ", first)
    below = "\n".join(line.strip() for line in part(shown, "4  Captions"))
    assert first in below


def test_the_summary_names_what_a_session_knows(shown: Shown) -> None:
    numbers = r"  {}  +\d\d words, final after \d+\.\d s \(median\), reconnects {}, \d+ kB of audio"
    lines = part(shown, "Summary")
    assert [line for line in lines if re.fullmatch(numbers.format("speech", 0), line)]
    assert [line for line in lines if re.fullmatch(numbers.format("call", 1), line)]


def test_the_next_command_is_one(shown: Shown, tmp_path: Path) -> None:
    lines = "".join(part(shown, "Next"))  # as the terminal has wrapped them
    python, words = re.findall(r"Your file  (\S+) (-m .*talk\.wav)  Service", lines)[0]
    assert Path(shown.folder, python).exists()
    ran = run_program(words.split(), timeout=100, cwd=tmp_path, env=environment(), text=True)
    assert ran.returncode == 5  # what it cannot read is the file
    assert "talk.wav" in ran.stderr


def test_without_a_terminal_it_prints_plain_lines_until_ctrl_c(
    programs: None, tmp_path: Path
) -> None:
    with Program(
        [sys.executable, DEMO],
        cwd=tmp_path,
        env=environment(PYTHONIOENCODING="ascii", FORCE_COLOR="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as piped:
        read = []
        for line in piped.stdout:
            read.append(line.rstrip("\n"))
            if said(read):
                break
        piped.send_signal(signal.SIGINT)
        rest, complaint = piped.communicate(timeout=100)
    assert piped.returncode == 130
    assert complaint == "demo: interrupted\n"
    assert re.fullmatch("1  Live text -+", read[1])
    assert said(read) == [("", "hello and welcome to the customer service department.")]
    assert "\x1b" not in "".join(read) + rest


def test_a_reader_that_has_seen_enough_gets_no_traceback(programs: None, tmp_path: Path) -> None:
    ours, its = os.pipe()
    os.close(ours)
    options = {"cwd": tmp_path, "env": environment(), "stdout": its, "text": True}
    try:
        ran = run_program([DEMO], timeout=100, **options)
    finally:
        os.close(its)
    assert (ran.returncode, ran.stderr) == (1, "")


def test_ctrl_c_leaves_a_narrow_terminal_without_colours_as_it_was(
    programs: None, tmp_path: Path
) -> None:
    plain = environment(NO_COLOR="1")
    with Terminal([DEMO], cwd=tmp_path, environment=plain, columns=40) as terminal:
        terminal.until(lambda lines: any("hello" in line for line in lines))
        terminal.type("\x03")
        assert terminal.until_over() == 130
        assert terminal.lines[-1].endswith("demo: interrupted")
        assert not any("connected" in line for line in terminal.lines)
        assert not terminal.screen.cursor.hidden
        assert re.findall(r"\x1b\[(?:\d+;)*[349]\d", terminal.raw) == []


def test_ctrl_c_while_modules_load_leaves_no_traceback() -> None:
    # `-v` names each module as it is loaded, and so the moment for the signal.
    with subprocess.Popen(
        [sys.executable, "-v", str(DEMO)],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stderr is not None
        assert any("rich.console" in line for line in demo.stderr)
        demo.send_signal(signal.SIGINT)
        assert "Traceback" not in demo.stderr.read()
    assert demo.returncode == -signal.SIGINT


def test_captions_that_cannot_be_written_are_told_at_once(programs: None, tmp_path: Path) -> None:
    (tmp_path / "demo-output").touch()
    ran = run_program([DEMO], timeout=100, cwd=tmp_path, env=environment(), text=True)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert re.fullmatch("demo: .*demo-output.*\n", ran.stderr)
