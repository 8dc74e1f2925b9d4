"""Devices that record sound, through PortAudio.

The only module that imports sounddevice, which loads and starts PortAudio as it is imported.
"""

from __future__ import annotations

import atexit
import functools
import os
import queue
import threading
from dataclasses import dataclass
from typing import Any, Optional, Union

from .._concurrency.importing import import_modules
from .._concurrency.process_lock import ProcessLock
from .._concurrency.threads import start_daemon
from .._numbers import plain_number
from ..errors import AudioError, InvalidAudioError, missing_extra

__all__ = ["KEPT_SECONDS", "Capture", "MicrophoneDevice", "device_named", "devices"]

_BLOCKS_PER_SECOND = 20
KEPT_SECONDS = 300
"""Seconds of sound that wait to be read, as long as a session replays after an outage."""

_captures = 0
"""How many devices record in this process. Guarded by the lock."""
_captures_lock = ProcessLock()
"""Held while PortAudio opens or closes a device, which it can do for one at a time."""
_portaudio_threads: set[int] = set()
"""Threads of PortAudio, in which nothing may wait for the lock: its holder may wait for them."""


@dataclass(frozen=True)
class MicrophoneDevice:
    """A device that records sound, as `Microphone.devices` lists it.

    Attributes:
        index: The device's number, which `Microphone` takes. It changes when devices come and go.
        name: Its name, of which `Microphone` takes any part.
        host_api: The sound system it belongs to; several may have the same device.
        channels: How many channels it has at most.
        sample_rate: Its own rate, in Hz.
        is_default: Whether it is used when no device is named.

    Example:
        >>> for device in Microphone.devices():
        ...     print(device.index, device.name, device.channels)
    """

    __module__ = "speechmatics_sync"  # which loads this one only when it is needed

    index: int
    name: str
    host_api: str
    channels: int
    sample_rate: int
    is_default: bool

    def __str__(self) -> str:
        return f"{self.index}: {self.name} ({self.host_api})"


def _sounddevice() -> Any:
    """Return the module sounddevice.

    Raises:
        AudioError: PortAudio is missing, or does not start.
        ConfigurationError: sounddevice is missing.
    """
    try:
        import_modules("sounddevice")
        import sounddevice  # type: ignore[import-untyped]
    except ImportError:
        raise missing_extra("Microphone", "sounddevice", "microphone") from None
    except OSError as error:
        raise AudioError(
            f"Microphone needs the PortAudio library, and it cannot be loaded ({error}): install"
            ' it, with "apt install libportaudio2" on Debian and Ubuntu, "dnf install portaudio" on'
            ' Fedora, "brew install portaudio" on macOS'
        ) from None
    except Exception as error:
        # Its own class of errors is out of reach, as the import failed.
        if type(error).__name__ != "PortAudioError":
            raise
        raise AudioError(
            f"PortAudio does not start: {_words_of(error)}. Does a sound server run?"
        ) from error
    _leave_to_parent()
    return sounddevice


@functools.cache
def _leave_to_parent() -> None:
    """Have a forked process end without PortAudio's end.

    That would release what it records into, which the sound server shares with the parent: both
    processes would be aborted, or hang.
    """
    import sounddevice

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: atexit.unregister(sounddevice._exit_handler))


def devices(*, refresh: bool = False) -> list[MicrophoneDevice]:
    """Return the devices that record sound; none is an empty list.

    Args:
        refresh: Whether to look for devices that came or went since PortAudio was loaded.

    Raises:
        AudioError: PortAudio is missing; or a device records, and ``refresh`` would end that.
        ConfigurationError: sounddevice is missing.
    """
    sounddevice = _sounddevice()
    if refresh:
        with _captures_lock.held():
            if _captures:
                raise AudioError(
                    "devices(refresh=True) starts PortAudio anew, which would end what a"
                    " Microphone records: close it first"
                )
            sounddevice._terminate()
            sounddevice._initialize()
    try:
        default = sounddevice.query_devices(kind="input")["index"]
    except (sounddevice.PortAudioError, ValueError):
        default = None  # there is none
    apis = sounddevice.query_hostapis()
    return [
        MicrophoneDevice(
            index=index,
            name=found["name"],
            host_api=apis[found["hostapi"]]["name"],
            channels=found["max_input_channels"],
            sample_rate=round(found["default_samplerate"]),
            is_default=index == default,
        )
        for index, found in enumerate(sounddevice.query_devices())
        if found["max_input_channels"] > 0
    ]


def device_named(wanted: Union[int, str, None]) -> MicrophoneDevice:
    """Return the device of an index, of a part of its name, or the default.

    Raises:
        AudioError: There is none, or several have the name.
    """
    found = devices()
    if not found:
        raise AudioError(
            "There is no microphone: connect one, and call Microphone.devices(refresh=True). In a"
            " container or over SSH, there is one only where a sound server can be reached"
        )
    if wanted is None:
        matches = [device for device in found if device.is_default]
        if not matches:
            raise AudioError(f"No microphone is the default: name one of {_listed(found)}")
        return matches[0]
    if not isinstance(wanted, str):
        index = plain_number(wanted, whole=True)
        matches = [device for device in found if device.index == index]
        if not matches:
            raise _unknown(wanted, found)
        return matches[0]
    text = wanted.casefold()
    matches = [device for device in found if text in f"{device.name} {device.host_api}".casefold()]
    # Windows lists each device once for every one of its sound systems.
    for narrower in (
        [device for device in matches if device.name.casefold() == text],
        [device for device in matches if device.host_api == _default_api(found)],
    ):
        if len(matches) > 1 and narrower:
            matches = narrower
    if not matches:
        raise _unknown(wanted, found)
    if len(matches) > 1:
        raise InvalidAudioError(
            f"device is {wanted!r}, which several have: name more of it, or the index of"
            f" {_listed(matches)}"
        )
    return matches[0]


def _default_api(found: list[MicrophoneDevice]) -> Optional[str]:
    return next((device.host_api for device in found if device.is_default), None)


def _unknown(wanted: object, found: list[MicrophoneDevice]) -> AudioError:
    return InvalidAudioError(
        f"device is {wanted!r}; allowed: the index, or a part of the name, of one of these:"
        f" {_listed(found)}"
    )


def _listed(found: list[MicrophoneDevice]) -> str:
    return "; ".join(map(str, found))


class _Blocks:
    """What PortAudio's thread hands over.

    Apart from `Capture`, which the stream must not hold: nobody would close one that is dropped.
    """

    def __init__(self) -> None:
        # Neither lock nor limit of its own, so that PortAudio's thread never waits.
        self.queue: queue.SimpleQueue[Optional[bytes]] = queue.SimpleQueue()
        self.overflows = 0
        self.latest = b""
        self.stopped = False

    def take(self, block: Any, frames: int, time: Any, status: Any) -> None:
        """Keep a block; PortAudio calls this. None is heard after `stopped`."""
        _portaudio_threads.add(threading.get_ident())
        if self.stopped:
            return
        self.latest = bytes(block)
        full = self.queue.qsize() >= KEPT_SECONDS * _BLOCKS_PER_SECOND
        if full or status.input_overflow:
            self.overflows += 1
        if not full:
            self.queue.put(self.latest)

    def finished(self) -> None:
        """Mark the end; PortAudio calls this when it records no more."""
        _portaudio_threads.discard(threading.get_ident())
        self.queue.put(None)


class Capture:
    """Sound that is recorded from now on until `close`, as 16-bit samples of all channels.

    Args:
        device: The device.
        sample_rate: The rate to record at, if the device has it.
        channels: How many channels to record, if the device can leave out the others.

    Attributes:
        sample_rate: The rate of the samples, in Hz.
        channels: Their channels; as many as were asked for, or more.

    Raises:
        AudioError: The device cannot be used, or has fewer channels.
    """

    def __init__(self, device: MicrophoneDevice, sample_rate: int, channels: int) -> None:
        global _captures
        if channels > device.channels:
            raise InvalidAudioError(
                f"channels is {channels}; allowed: 1 to {device.channels}, which the microphone"
                f" {device.name!r} has"
            )
        self._device = device
        self._process = os.getpid()
        self._blocks = _Blocks()
        self.sample_rate, self.channels = sample_rate, channels
        self._streams: list[Any] = []  # emptied in one step by whoever closes it
        with _captures_lock.held():
            stream = self._opened()
            self._streams.append(stream)
            _captures += 1
        try:
            stream.start()
        except _sounddevice().PortAudioError as error:
            self.close()
            raise self._unusable(error) from error

    def _opened(self) -> Any:
        """Open the device as asked for, or else as it is."""
        sounddevice = _sounddevice()
        errors: list[Exception] = []
        for channels in dict.fromkeys((self.channels, self._device.channels)):
            for rate in dict.fromkeys((self.sample_rate, self._device.sample_rate)):
                try:
                    stream = sounddevice.RawInputStream(
                        samplerate=rate,
                        blocksize=rate // _BLOCKS_PER_SECOND,
                        device=self._device.index,
                        channels=channels,
                        dtype="int16",
                        callback=self._blocks.take,
                        finished_callback=self._blocks.finished,
                    )
                except sounddevice.PortAudioError as error:
                    errors.append(error)
                else:
                    self.sample_rate, self.channels = rate, channels
                    return stream
        raise self._unusable(errors[0]) from errors[0]

    def _unusable(self, error: Exception) -> AudioError:
        return AudioError(
            f"The microphone {self._device.name!r} cannot be used: {_words_of(error)}. Close"
            " a program that has it, or allow this one to use it"
        )

    @property
    def overflows(self) -> int:
        """How many times sound was lost, because nobody read it or the system was too slow."""
        return self._blocks.overflows

    @property
    def latest(self) -> bytes:
        """The samples that were recorded last."""
        return self._blocks.latest

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._blocks.stopped

    @property
    def waiting(self) -> bool:
        """Whether `next` will return at once."""
        return not self._blocks.queue.empty()

    def next(self, timeout: Optional[float]) -> Optional[bytes]:
        """Return the next block, None after the last one.

        Raises:
            queue.Empty: None came in time.
        """
        return self._blocks.queue.get(timeout=timeout)

    def stop(self) -> None:
        """Have `next` return what was recorded until now, and then None. From any thread."""
        self._blocks.stopped = True
        self._blocks.queue.put(None)

    def close(self) -> None:
        """Release the device, with what was recorded left to read. From any thread."""
        self.stop()
        # After a fork, PortAudio would wait for a thread that is not in this process.
        if self._process != os.getpid():
            return
        try:
            stream = self._streams.pop()
        except IndexError:
            return
        if threading.get_ident() in _portaudio_threads:
            start_daemon(lambda: _close(stream))  # it was collected as garbage there
        else:
            _close(stream)

    def __del__(self) -> None:
        if getattr(self, "_streams", None):
            self.close()


def _close(stream: Any) -> None:
    global _captures
    with _captures_lock.held():
        _captures -= 1
        stream.close()


def _words_of(error: Exception) -> str:
    """Return what PortAudio and the system below it say."""
    words = [str(error.args[0])] if error.args else [str(error)]
    if len(error.args) > 2 and error.args[2][2]:
        words.append(error.args[2][2])
    return ": ".join(words)
