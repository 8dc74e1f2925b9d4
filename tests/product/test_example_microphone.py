"""The example of live text in a terminal, with a microphone and with a file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.audio.sound_server import SoundServer, _module_server, sound_server
from support.examples import (
    EXAMPLES,
    SENTENCES,
    assert_heard,
    environment,
    recordings,
    run,
)
from support.places import ROOT
from support.terminal import Terminal

__all__ = ["_module_server", "environment", "recordings", "sound_server"]

pytestmark = pytest.mark.timeout(120)


@pytest.mark.speech
def test_what_is_final_scrolls_and_the_rest_is_drawn_anew(
    environment: dict[str, str], recordings: list[Path]
) -> None:
    words = [EXAMPLES / "microphone.py", recordings[0]]
    environment["COLUMNS"] = "40"
    with Terminal(words, cwd=ROOT, environment=environment, columns=40) as terminal:
        assert terminal.until_over() == 0, terminal.raw
    lines = [line for line in terminal.everything if line and "ws://" not in line]
    start = next(index for index, line in enumerate(lines) if re.match(r" +\d\.\d\d  ", line))
    shown = lines[start:]
    assert len(shown) == 2, shown  # one sentence, in two lines of 40 columns
    assert all(len(line) <= 40 for line in shown)
    assert shown[1].startswith(" " * 9)
    assert_heard(" ".join(shown), SENTENCES[0])
    assert terminal.raw.count("hello") > 2, "it was drawn as it was spoken"


@pytest.mark.speech
def test_words_spoken_into_the_microphone_are_read_until_ctrl_c(
    environment: dict[str, str], recordings: list[Path], sound_server: SoundServer, tmp_path: Path
) -> None:
    heard = tmp_path / "heard.wav"
    words = [EXAMPLES / "microphone.py", "--save", heard]
    environment.update(sound_server.places)
    with Terminal(words, cwd=ROOT, environment=environment) as terminal:
        terminal.until(lambda lines: "Ctrl-C ends it" in "".join(lines))
        sound_server.play(recordings[1])
        terminal.type("\x03")
        assert terminal.until_over() == 0, terminal.raw
    finals = [line for line in terminal.everything if re.match(r" +\d+\.\d\d  ", line)]
    assert_heard(" ".join(finals), SENTENCES[1])
    assert heard.stat().st_size > recordings[1].stat().st_size


@pytest.mark.speech
def test_a_file_gets_finals_alone_one_in_a_line(
    environment: dict[str, str], recordings: list[Path]
) -> None:
    done = run("microphone.py", recordings[1], environment=environment)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert_heard(line, SENTENCES[1])
    assert "\x1b" not in line


def test_the_microphones_are_listed(environment: dict[str, str], sound_server: SoundServer) -> None:
    done = run("microphone.py", "--devices", environment={**environment, **sound_server.places})
    assert done.stdout == "* 0: default (ALSA)\n", done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--device", "nowhere"], "'nowhere'"), (["--save", "/no/such/place.wav"], "No such file")],
)
def test_what_goes_wrong_is_one_clear_line(
    arguments: list[str], said: str, environment: dict[str, str], sound_server: SoundServer
) -> None:
    places = {**sound_server.places, "SPEECHMATICS_RT_URL": "ws://127.0.0.1:9/v2"}
    done = run("microphone.py", *arguments, environment={**environment, **places})
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Not transcribed: ")
    assert said in line
