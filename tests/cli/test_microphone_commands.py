"""``transcribe --mic`` and ``devices``, with a sound system of the tests' own."""

from __future__ import annotations

import json
import re
import sys
import wave

import pytest

if sys.platform == "win32":
    pytest.skip("needs pseudo-terminals", allow_module_level=True)

from support.audio.sound_server import SoundServer, _module_server, sound_server
from support.cli.commands import Place
from support.places import ROOT

from speechmatics_sync.local import LocalServer, ScriptedRecognizer

__all__ = ["_module_server", "sound_server"]

SAMPLE = ROOT / "examples" / "audio" / "demo.wav"
SAID = [("hello", 0.2, 0.5), ("world", 0.6, 0.8)]
METER = re.compile(r"mic  [━─]+ 0:0\d")


def level(lines: list[str]) -> int:
    return lines[-1].count("━") if lines and METER.fullmatch(lines[-1]) else 0


def test_a_meter_shows_that_it_hears_and_ctrl_c_is_its_end(
    place: Place, sound_server: SoundServer
) -> None:
    place.environment.update(sound_server.places)
    with LocalServer(recognizer=ScriptedRecognizer(SAID, delay=9)) as server:
        flags = ("--mic", "--url", server.url, "--save-audio", "heard.wav")
        with place.terminal("transcribe", *flags, columns=40) as terminal:
            terminal.until(lambda lines: lines and METER.fullmatch(lines[-1]))
            with sound_server.playing(SAMPLE):
                terminal.until(lambda lines: level(lines) > 5)
            terminal.until(lambda lines: lines[-1].endswith(" 0:01"))
            assert terminal.lines[0] == "hello world"
            terminal.type("\x03")
            assert terminal.until_over() == 130
            assert terminal.lines == ["finishing; Ctrl-C again leaves at once", "hello world."]
    with wave.open(str(place.path / "heard.wav")) as heard:
        assert heard.getparams()[:3] == (1, 2, 16000)
        assert heard.getnframes() > 16000 // 2


def test_the_microphones_are_listed(place: Place, sound_server: SoundServer) -> None:
    place.environment.update(sound_server.places)
    listed = place.run("devices")
    assert re.search(r"^ +\d+  default  \(\d+ channels, \d+ Hz\)$", listed.out, re.MULTILINE)
    found = json.loads(place.run("devices", "--json").out)
    assert "default" in [device["name"] for device in found]


def test_a_microphone_that_is_not_there(place: Place, sound_server: SoundServer) -> None:
    place.environment.update(sound_server.places)
    ran = place.run("transcribe", "--mic", "--device", "no-such", "--url", "ws://127.0.0.1:1")
    assert ran.code == 5, ran
    assert "no-such" in ran.err
    assert len(ran.err.splitlines()) == 1
