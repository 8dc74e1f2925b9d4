"""A microphone as a source."""

from __future__ import annotations

import array
import operator
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Optional, Union

from .._concurrency.deadlines import Deadline, interruptible
from .._concurrency.one_process import OneProcess
from .._logs import logger
from .._model.audio_format import AudioEncoding, AudioFormat
from .._model.checks import count, file_path
from .._model.settings import argument
from ..errors import AudioError, ConfigurationError
from .recording_devices import KEPT_SECONDS, Capture, MicrophoneDevice, device_named, devices
from .resampling import Resampler
from .split_channels import Separable
from .wav_recording import WavRecording

__all__ = ["Microphone", "MicrophoneChannel", "MicrophoneDevice", "MicrophoneLevel"]

_LONGEST_WAIT = 5.0
"""Seconds without a block of samples, be they silent, after which a device is given up."""

_LOG_INTERVAL = 10.0
"""Seconds between two records of lost sound."""

_FULL_SCALE = 32768


@dataclass(frozen=True)
class MicrophoneLevel:
    """How loud it is, from 0 (silence) to 1 (the loudest that can be recorded).

    Attributes:
        rms: The root mean square, which is near to how loud it is heard.
        peak: The loudest sample; 1 is distorted.

    Example:
        >>> with Microphone() as microphone:
        ...     print(microphone.level)
    """

    __module__ = "speechmatics_sync"  # which loads this one only when it is needed

    rms: float
    peak: float


class Microphone(OneProcess, Separable):
    """A microphone: a source that gives what is spoken until it is stopped.

    It records from the start of the ``with`` block, which begins when there is sound, or from the
    first time that it is read: what is said while a session connects is not lost. Five minutes are
    kept for a session that does not read meanwhile, such as one that connects again; what comes
    after that is lost, and counted.
    Leaving the block releases the device, and so does dropping the microphone.

    Args:
        device: The index of a device, or a part of its name in any case; None for the system's
            default. `devices` lists them.
        sample_rate: The rate of what it gives, in Hz. A device that does not have it records at a
            rate of its own, and that is resampled, which needs PyAV.
        channels: How many channels to record, from the first on. `Client` gets their mean, and
            `MultiChannelClient` each for itself, by ``split_channels(microphone)``.
        save: A path: what is recorded is written to this WAV file, which is overwritten. It can be
            played at any time, after a crash of this process too. If it cannot be written any more,
            as on a full disk, that is an ERROR in the log, and the session goes on.

    Attributes:
        audio_format: What it gives: mono 16-bit samples of ``sample_rate``.
        device: The `MicrophoneDevice` it records from.
        name: The device's name.

    Raises:
        AudioError: There is no such device, or PortAudio is missing. `read` and ``with`` raise it
            if the device cannot be used, or was unplugged.
        ConfigurationError: A value is not allowed, or the extra ``microphone`` is missing.

    Example:
        >>> with Microphone(save="heard.wav") as microphone:
        ...     client.once("AddTranscript", lambda message: microphone.stop())
        ...     transcript = client.transcribe(microphone)
    """

    __module__ = "speechmatics_sync"  # which loads this one only when it is needed

    def __init__(
        self,
        device: Union[int, str, None] = None,
        *,
        sample_rate: int = 16000,
        channels: int = 1,
        save: Union[str, os.PathLike[str], None] = None,
    ) -> None:
        self._capture: Optional[Capture] = None
        self.audio_format = AudioFormat(AudioEncoding.PCM_S16LE, sample_rate)
        self._rate = int(self.audio_format.sample_rate)
        self._count: int = argument("channels", channels, count)
        if isinstance(device, str) and not device.strip():
            raise ConfigurationError(
                f"device is {device!r}; allowed: an index, a part of a name, or None"
            )
        if save is not None:
            suffix = os.path.splitext(argument("save", save, file_path))[1]
            if suffix.lower() not in ("", ".wav"):
                raise ConfigurationError(
                    f"save is {os.fspath(save)!r}; allowed: a path that ends in .wav"
                )
        self.device = device_named(device)
        self.name = self.device.name
        self._save = save
        self._process = os.getpid()
        self._stopped = False
        self._logged_overflows = 0
        self._logged_at = 0.0

        # Guards what follows. Reentrant: a signal handler may close what its thread reads.
        self._lock = threading.RLock()
        self._buffers = [self._buffer(None)]
        self._resamplers: list[Resampler] = []
        self._recording: Optional[WavRecording] = None
        self._ended = False
        self._failure: Optional[str] = None
        self._first_block: Optional[bytes] = None
        """What came before the ``with`` block began."""

    @staticmethod
    def devices(*, refresh: bool = False) -> list[MicrophoneDevice]:
        """Return the devices that can be recorded from.

        Args:
            refresh: Whether to look for devices that were connected or removed since the first
                call. This ends every stream of sounddevice in the process, those that others made
                included.

        Raises:
            AudioError: PortAudio is missing, or a microphone is recording and ``refresh`` is True.
            ConfigurationError: The extra ``microphone`` is missing.

        Example:
            >>> for device in Microphone.devices():
            ...     print(device.index, device.name, device.channels, device.sample_rate)
        """
        return devices(refresh=refresh)

    def __repr__(self) -> str:
        return f"<Microphone {self.name!r}, {self._rate} Hz>"

    def __enter__(self) -> Microphone:
        if self._stopped:
            raise AudioError(f"{self!r} was stopped: make another one")
        try:
            with self._lock:
                self._first_block = self._first_block or self._next_block(self._opened())
            if self._first_block is None:
                raise AudioError(
                    self._failure
                    or f"{self!r} was stopped before there was sound: stop it later, or look "
                    "whether it is muted"
                )
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_capture", None) is not None:
            self.close()

    @property
    def overflows(self) -> int:
        """How many times sound was lost, because it was not read or the system was too slow."""
        return (self._capture.overflows if self._capture is not None else 0) + sum(
            buffer.overflows for buffer in self._buffers
        )

    @property
    def level(self) -> MicrophoneLevel:
        """How loud the last twentieth of a second was, whether or not it was read yet."""
        capture = self._capture
        if capture is None or not capture.latest:
            return MicrophoneLevel(0.0, 0.0)
        block = memoryview(capture.latest).cast("h")
        samples = array.array("h")
        for index in range(self._count):
            samples.frombytes(block[index :: capture.channels].tobytes())
        power = sum(map(operator.mul, samples, samples)) / len(samples)
        peak = max(max(samples), -min(samples))
        return MicrophoneLevel(power**0.5 / _FULL_SCALE, peak / _FULL_SCALE)

    def read(self, size: Optional[int] = -1) -> bytes:
        """Return what was recorded, as it comes: up to ``size`` bytes, and b"" after the end.

        Blocks until there is something. Without a size, it reads to the end.

        Raises:
            AudioError: The device cannot be used or was unplugged, another thread is reading this
                microphone, or it was opened before a fork.
        """
        if self._buffers[0].index is not None:
            raise AudioError(
                f"{self!r} was split into its channels: pass these to MultiChannelClient, or make"
                " another Microphone"
            )
        return self._read(self._buffers[0], size)

    def stop(self) -> None:
        """End the audio: what was recorded until now is the last that `read` returns.

        A session that reads it ends in good order. Returns at once; may be called from any thread,
        a handler and a signal handler.
        """
        self._stopped = True
        if self._capture is not None:
            self._capture.stop()

    def close(self) -> None:
        """Stop, release the device, and close the file of ``save``. May be called again.

        What was recorded can still be read.
        """
        self.stop()
        if self._process != os.getpid():
            return
        if self._capture is not None:
            self._capture.close()
        with self._lock:
            # What was not read is saved nevertheless.
            while self._capture is not None and self._recording is not None and not self._ended:
                self._pull(self._capture)

    @property
    def _channel_count(self) -> int:
        """How many channels are recorded."""
        return self._count

    def _channel_sources(self) -> Sequence[MicrophoneChannel]:
        """Return each channel as a source of its own, in place of `read`: for `split_channels`.

        Raises:
            AudioError: Something was read already, or this was called before.
        """
        with self._lock:
            if self._buffers[0].index is not None or self._buffers[0].used:
                raise AudioError(
                    f"{self!r} is being read already, and cannot be split any more: split it first"
                )
            self._buffers = [self._buffer(index) for index in range(self._count)]
            return [MicrophoneChannel(self, buffer) for buffer in self._buffers]

    def _buffer(self, index: Optional[int]) -> _Buffer:
        return _Buffer(index, 2 * self._rate * KEPT_SECONDS)

    def _read(self, buffer: _Buffer, size: Optional[int]) -> bytes:
        if self._process != os.getpid():
            raise AudioError(f"{self!r} was made before a fork: make it in the process that reads")
        if not buffer.reading.acquire(blocking=False):
            raise AudioError(
                f"{self!r} is read by another thread, and each would get a part of the sound: let"
                " one session read it, and make another Microphone for another session"
            )
        buffer.used = True
        try:
            if size is None or size < 0:
                pieces = [buffer.take()]
                while self._more(buffer, wait=True):
                    pieces.append(buffer.take())
                taken = b"".join(pieces)
            elif size == 0:
                return b""
            else:
                size = max(2, size - size % 2)  # whole samples
                while buffer.size < size and self._more(buffer, wait=not buffer.size):
                    pass
                taken = buffer.take(size)
        finally:
            buffer.reading.release()
        if not taken and self._failure is not None:
            raise AudioError(self._failure)
        return taken

    def _more(self, buffer: _Buffer, *, wait: bool) -> bool:
        """Take what was recorded next, if there is something, or wait for it; False: nothing."""
        with self._lock:
            capture = self._opened()
            # What another thread took has something for each.
            if self._ended or not (wait or capture.waiting):
                return False
            self._pull(capture)
            return True

    def _opened(self) -> Capture:
        if self._capture is None:
            if self._stopped:
                raise AudioError(f"{self!r} was stopped before it was used: make another one")
            capture = Capture(self.device, self._rate, self._count)
            try:
                if capture.sample_rate != self._rate:
                    self._resamplers = [
                        Resampler(capture.sample_rate, self._rate) for _ in range(self._count)
                    ]
                if self._save is not None:
                    self._recording = WavRecording(self._save, self._rate, self._count)
            except BaseException:
                capture.close()
                raise
            self._capture = capture
        return self._capture

    def _pull(self, capture: Capture) -> None:
        """Take what was recorded next, or note that there is no more."""
        block, self._first_block = self._first_block or self._next_block(capture), None
        self._log_overflows(last=block is None)
        if block is None:
            parts = [resampler.end() for resampler in self._resamplers]
        else:
            parts = self._parts(block, capture.channels)
        if parts and parts[0]:
            for buffer in self._buffers:
                buffer.put(_mean(parts) if buffer.index is None else parts[buffer.index])
            self._record(_interleaved(parts))
        if block is None:
            self._ended = True
            capture.close()
            if self._recording is not None:
                self._recording.close()
                self._recording = None

    def _next_block(self, capture: Capture) -> Optional[bytes]:
        deadline = Deadline(_LONGEST_WAIT)
        while True:
            try:
                block = capture.next(interruptible(deadline.remaining()))
            except queue.Empty:
                if not deadline.passed():
                    continue
                block = None
            if block is None and not capture.stopped:
                self._failure = (
                    f"The microphone {self.name!r} gives no more sound: it was unplugged, or the"
                    " sound system has ended. Microphone.devices(refresh=True) finds what is there"
                )
            return block

    def _parts(self, block: bytes, recorded: int) -> list[bytes]:
        """Return the channels that are wanted, of those recorded, at the rate that is wanted."""
        if recorded == 1:
            parts = [block]
        else:
            samples = memoryview(block).cast("h")
            parts = [samples[index::recorded].tobytes() for index in range(self._count)]
        if self._resamplers:
            parts = [each.feed(part) for each, part in zip(self._resamplers, parts)]
        return parts

    def _record(self, samples: bytes) -> None:
        if self._recording is None:
            return
        try:
            self._recording.write(samples)
        except AudioError as error:
            self._recording = None
            logger.error("%s; what is spoken is transcribed nevertheless", error)

    def _log_overflows(self, *, last: bool) -> None:
        lost = self.overflows
        now = time.monotonic()
        if lost > self._logged_overflows and (last or now - self._logged_at > _LOG_INTERVAL):
            logger.warning(
                "The microphone %r has lost sound %d times: it was not read for %d s, or the system"
                " was too slow",
                self.name,
                lost,
                KEPT_SECONDS,
            )
            self._logged_overflows, self._logged_at = lost, now


class MicrophoneChannel(OneProcess):
    """One channel of a microphone as a source. Made by `split_channels`."""

    def __init__(self, microphone: Microphone, buffer: _Buffer) -> None:
        self._microphone = microphone
        self._buffer = buffer
        self.audio_format = microphone.audio_format
        self.name = f"{microphone.name}, channel {(buffer.index or 0) + 1}"

    def __repr__(self) -> str:
        return f"<MicrophoneChannel {self.name!r}>"

    def read(self, size: Optional[int] = -1) -> bytes:
        """Return what was recorded, as `Microphone.read` does."""
        return self._microphone._read(self._buffer, size)


class _Buffer:
    """What was recorded and is still to be read, of one channel or of all.

    Args:
        index: The channel; None for the mean of all.
        limit: Bytes to keep at most.
    """

    def __init__(self, index: Optional[int], limit: int) -> None:
        self.index = index
        self._limit = limit
        self.reading = threading.Lock()
        """Held by the thread that reads."""
        self.used = False
        self.size = 0
        self.overflows = 0
        self._pieces: deque[bytes] = deque()

    def put(self, samples: bytes) -> None:
        if self.size > self._limit:
            self.overflows += 1
            return
        self._pieces.append(samples)
        self.size += len(samples)

    def take(self, size: Optional[int] = None) -> bytes:
        """Remove and return the first bytes; all of them if ``size`` is None."""
        taken: list[bytes] = []
        left = self.size if size is None else min(size, self.size)
        self.size -= left
        while left:
            piece = self._pieces.popleft()
            if len(piece) > left:
                self._pieces.appendleft(piece[left:])
                piece = piece[:left]
            left -= len(piece)
            taken.append(piece)
        return b"".join(taken)


def _mean(parts: list[bytes]) -> bytes:
    if len(parts) == 1:
        return parts[0]
    samples = zip(*(memoryview(part).cast("h") for part in parts))
    return array.array("h", [sum(each) // len(parts) for each in samples]).tobytes()


def _interleaved(parts: list[bytes]) -> bytes:
    if len(parts) == 1:
        return parts[0]
    samples = array.array("h", bytes(sum(map(len, parts))))
    for index, part in enumerate(parts):
        samples[index :: len(parts)] = array.array("h", part)
    return samples.tobytes()
