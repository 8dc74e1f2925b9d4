"""Which devices there are, how they are named, and what is said where there is none."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.audio.sound_server import SoundServer, _module_server, sound_server
from support.places import ROOT

from speechmatics_sync import AudioError, Microphone, MicrophoneDevice

__all__ = ["_module_server", "sound_server"]


@pytest.fixture
def several(sound_server: SoundServer) -> SoundServer:
    """A sound server with three devices beside the default one."""
    sound_server.add_devices("headset_left", "headset_right", "webcam")
    Microphone.devices(refresh=True)
    return sound_server


def test_devices_are_listed_with_what_they_can_do(several: SoundServer) -> None:
    found = {device.name: device for device in Microphone.devices()}
    assert set(found) == {"default", "headset_left", "headset_right", "webcam"}
    assert [name for name, device in found.items() if device.is_default] == ["default"]
    webcam = found["webcam"]
    assert webcam.host_api == "ALSA"
    assert webcam.channels > 1
    assert webcam.sample_rate == 44100
    with pytest.raises(dataclasses.FrozenInstanceError):
        webcam.name = "mine"  # type: ignore[misc]


def test_a_part_of_the_name_is_enough_in_any_case(several: SoundServer) -> None:
    assert Microphone("WEB").name == "webcam"


def test_an_index_is_that_of_the_list(several: SoundServer) -> None:
    for device in Microphone.devices():
        assert Microphone(device.index).device == device


def test_none_is_the_default(several: SoundServer) -> None:
    assert Microphone().device.is_default


def test_a_part_of_several_names_lists_them(several: SoundServer) -> None:
    with pytest.raises(AudioError, match=r"headset_left.*headset_right") as raised:
        Microphone("headset")
    assert "webcam" not in str(raised.value)


def test_a_whole_name_is_not_ambiguous(several: SoundServer) -> None:
    several.add_devices("headset_left_2")
    Microphone.devices(refresh=True)
    assert Microphone("Headset_Left").name == "headset_left"


def test_a_device_that_is_connected_later_is_found_when_asked_for(
    sound_server: SoundServer,
) -> None:
    sound_server.add_devices("late")
    with pytest.raises(AudioError, match="'late'"):
        Microphone("late")
    found = Microphone.devices(refresh=True)
    assert "late" in [device.name for device in found]
    assert Microphone("late").read(100)


def test_looking_for_devices_does_not_end_what_records(sound_server: SoundServer) -> None:
    with Microphone() as microphone:
        with pytest.raises(AudioError, match="close it first"):
            Microphone.devices(refresh=True)
        assert Microphone.devices()
        assert microphone.read(100)
    assert Microphone.devices(refresh=True)


def test_a_device_is_named_in_words(sound_server: SoundServer) -> None:
    device = MicrophoneDevice(3, "Headset", "ALSA", 2, 48000, is_default=False)
    assert str(device) == "3: Headset (ALSA)"
    assert repr(Microphone()) == "<Microphone 'default', 16000 Hz>"


# -- a rate that the device does not have ---------------------------------------------------------


def test_a_rate_that_the_device_lacks_is_made_of_its_own(
    sound_server: SoundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ALSA's way to PulseAudio takes every rate, so that this one is made to refuse some."""
    import sounddevice  # which is there where the sound server is

    opened: list[int] = []
    real = sounddevice.RawInputStream

    def only_44100(**wanted: Any) -> Any:
        opened.append(wanted["samplerate"])
        if wanted["samplerate"] != 44100:
            raise sounddevice.PortAudioError("Invalid sample rate", -9997)
        return real(**wanted)

    monkeypatch.setattr(sounddevice, "RawInputStream", only_44100)
    with Microphone() as microphone:
        heard = b""
        while len(heard) < 2 * 16000:
            heard += microphone.read(4096)
        assert microphone.audio_format.sample_rate == 16000
    assert opened == [16000, 44100]


# -- nothing to record with -----------------------------------------------------------------------


def run(code: str, **environment: str) -> str:
    """Run code in a process of its own; return what it said."""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return ran.stdout


@pytest.mark.usefixtures("sound_server")  # skipped where there is no PortAudio
def test_without_a_device_it_says_so(tmp_path: Path) -> None:
    # A device that cannot be reached is none; without any, PortAudio aborts the process.
    unreachable = 'pcm.gone { type pulse; server "unix:/nonexistent" }'
    (tmp_path / "alsa.conf").write_text(unreachable)
    said = run(
        "from speechmatics_sync import Microphone\nprint(Microphone.devices())\nMicrophone()",
        ALSA_CONFIG_PATH=str(tmp_path / "alsa.conf"),
    )
    assert "[]" in said.splitlines()
    assert "AudioError: There is no microphone: connect one" in said


def test_without_portaudio_it_says_what_to_install() -> None:
    said = run(
        "import ctypes.util\n"
        "ctypes.util.find_library = lambda name: None  # as where it is not installed\n"
        "from speechmatics_sync import Microphone\n"
        "Microphone()"
    )
    assert "speechmatics_sync.AudioError: Microphone needs the PortAudio library" in said
    assert "apt install libportaudio2" in said


def test_without_sounddevice_it_names_the_extra() -> None:
    said = run(
        "import sys\n"
        "sys.modules['sounddevice'] = None  # as where it is not installed\n"
        "from speechmatics_sync import Microphone\n"
        "Microphone()"
    )
    assert 'pip install "speechmatics-sync[microphone]"' in said
