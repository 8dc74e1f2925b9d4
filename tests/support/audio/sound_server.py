"""A sound system of the tests' own: PulseAudio with a loudspeaker that is heard by a microphone.

What is played to the sink, a null sink, comes out of its monitor, which is the default microphone
and reaches PortAudio by ALSA, as it does on most machines.
"""

from __future__ import annotations

import array
import contextlib
import os
import shutil
import socket
import subprocess
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from speechmatics_sync import Microphone

from ..places import ROOT

__all__ = ["OTHER", "SPOKEN", "SoundServer", "_module_server", "sound_server", "write_wav"]


def _spoken(start: float) -> bytes:
    """A second of speech, from where this second of the sample begins."""
    with wave.open(str(ROOT / "examples" / "audio" / "demo.wav")) as file:
        file.setpos(int(start * file.getframerate()))
        return file.readframes(file.getframerate())


SPOKEN, OTHER = _spoken(0.5), _spoken(4.6)


def write_wav(path: Path, *channels: bytes) -> None:
    """Write a WAV file of 16 kHz, with silence around what is spoken on each channel.

    A second after it: a busy machine may still record when all was played.
    """
    padded = [bytes(3200) + channel + bytes(32000) for channel in channels]
    samples = array.array("h", bytes(sum(map(len, padded))))
    for index, channel in enumerate(padded):
        samples[index :: len(channels)] = array.array("h", channel)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())


_PATIENCE = 60


class SoundServer:
    """A running PulseAudio, with its own directory and configuration.

    Attributes:
        places: What programs that use it need in their environment.
        environment: An environment with that.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._socket = directory / "socket"
        self._processes: list[subprocess.Popen[bytes]] = []
        server = f"unix:{self._socket}"
        self._alsa = directory / "alsa.conf"
        self._device = f'{{ type pulse; server "{server}" }}\n'
        self._alsa.write_text("")
        self.add_devices("!default")
        self.places = {
            "ALSA_CONFIG_PATH": str(self._alsa),
            "PULSE_SERVER": server,
            "PULSE_RUNTIME_PATH": str(directory),
            "PULSE_STATE_PATH": str(directory),
            "PULSE_COOKIE": str(directory / "cookie"),
        }
        self.environment = {**os.environ, **self.places}

    @property
    def running(self) -> bool:
        """Whether it runs as it was started."""
        return bool(self._processes)

    def start(self, rate: int = 16000, channels: int = 1) -> None:
        """Start it anew, with a sink of this rate and its monitor."""
        self.stop()
        self._run(
            *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"),
            *("--disable-shm=yes", "--realtime=no", "--high-priority=no", "--log-level=error"),
            f"--load=module-native-protocol-unix socket={self._socket} auth-anonymous=1",
            f"--load=module-null-sink sink_name=sink rate={rate} channels={channels} format=s16le",
        )
        deadline = time.monotonic() + _PATIENCE
        while not self._accepts():
            assert time.monotonic() < deadline, "pulseaudio does not start"
            time.sleep(0.01)  # the pace of the poll; what ends the wait is the state itself
        self.control("set-default-sink", "sink")
        self.control("set-default-source", "sink.monitor")
        # A null sink that nobody listens to makes sound for two seconds at once, and then rests. So
        # somebody listens always, and the sink begins anew once it knows: PortAudio waits for a
        # sound as it opens a device, in a loop that takes all of a processor.
        self._run("parec", "--latency-msec=10", "--raw")
        while self.recorders() < 0:
            assert time.monotonic() < deadline, "parec does not record"
        for suspended in ("1", "0"):
            self.control("suspend-sink", "sink", suspended)

    def _run(self, *command: str) -> None:
        process = subprocess.Popen(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._processes.append(process)

    def _accepts(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self._socket)) == 0

    def add_devices(self, *names: str) -> None:
        """Give ALSA more devices that record from it; PortAudio sees them when it starts anew."""
        with self._alsa.open("a") as file:
            file.writelines(f"pcm.{name} {self._device}" for name in names)

    def control(self, *command: str) -> str:
        """Ask the daemon for something; wait until it runs."""
        ran = subprocess.run(
            ["pactl", *command],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def play(self, path: Path) -> None:
        """Play a WAV file to its end."""
        done = subprocess.run(["paplay", path], env=self.environment, timeout=_PATIENCE)
        assert done.returncode == 0

    @contextlib.contextmanager
    def playing(self, path: Path) -> Iterator[None]:
        """Play a WAV file while the context lasts, or to its end."""
        with subprocess.Popen(["paplay", path], env=self.environment) as player:
            try:
                yield
            finally:
                player.kill()

    def recorders(self) -> int:
        """How many programs record from it, beside its own."""
        return len(self.control("list", "short", "source-outputs").splitlines()) - 1

    def stop(self) -> None:
        """End the daemon at once, as a crash does."""
        while self._processes:
            process = self._processes.pop(0)
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def _module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoundServer]:
    if shutil.which("pulseaudio") is None and os.environ.get("CI") != "true":
        pytest.skip("needs pulseaudio")
    server = SoundServer(tmp_path_factory.mktemp("sound"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.places.items():
            patch.setenv(name, value)
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def sound_server(_module_server: SoundServer) -> SoundServer:
    """A sound server, and the only one that PortAudio knows of in this process."""
    if not _module_server.running:
        _module_server.start()
    Microphone.devices(refresh=True)
    return _module_server
