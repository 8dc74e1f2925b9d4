"""Audio that is decoded while it is read: a source, and a file that can be read again."""

from __future__ import annotations

import io
import os
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING, Optional, Protocol

from .._concurrency.importing import import_modules
from .._concurrency.threads import interruptible_call
from .._help import made_here
from .._model.audio_format import AudioEncoding, AudioFormat
from .._model.secret import Secret
from ..errors import AudioError, missing_extra
from .byte_streams import ByteStream

if TYPE_CHECKING:
    from .byte_streams import Logger

__all__ = [
    "DecodedAudio",
    "EachOnce",
    "Input",
    "Pass",
    "Seekable",
    "StreamInput",
    "UrlInput",
    "can_decode",
]


class Pass(Protocol):
    """One pass over an input, from its start to its end."""

    container_name: str
    codec: str
    input_rate: int
    input_channels: int
    input_seconds: Optional[float]
    rate: int
    channels: int

    def read(self) -> bytes:
        """Return the next 16-bit samples; none at the end."""
        ...

    def close(self) -> None:
        """Free what the pass holds, but not the input."""


class Input(Protocol):
    """What is decoded: it can begin a pass, and another one if it is `rereadable`.

    Attributes:
        name: The input, for error messages.
        complete: Whether all of it exists already, so that no read waits for more.
        rereadable: Whether it can be begun again.
    """

    name: str
    complete: bool
    rereadable: bool

    @property
    def stream(self) -> Optional[ByteStream]:
        """Where its bytes come from, if they are read here."""

    def begin(self) -> Pass:
        """Begin at the start. Blocks until the input says what it is."""
        ...

    def release(self) -> None:
        """Close what the input has opened; `begin` opens it again."""


class StreamInput:
    """The bytes of a source."""

    def __init__(
        self,
        stream: ByteStream,
        sample_rate: Optional[int],
        channels: Optional[int],
        logger: Logger,
    ) -> None:
        self.name = stream.name
        self.complete = stream.complete
        self.rereadable = stream.rereadable
        self.stream = stream
        self._sample_rate = sample_rate
        self._channels = channels
        self._logger = logger
        self._warnings = EachOnce(logger)

    def begin(self) -> Pass:
        _import_decoding()
        from .decoding import decoder_of_stream

        if self.rereadable:
            self.stream.seek(0)
        return decoder_of_stream(
            self.stream,
            rate=self._sample_rate,
            channels=self._channels,
            warn=self._warnings.warning,
        )

    def release(self) -> None:
        self.stream.close(self._logger)


class EachOnce:
    """Logs a warning once, however many passes find what it says."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._logged: set[str] = set()

    def warning(self, message: str, *args: object) -> None:
        text = message % args
        if text not in self._logged:
            self._logged.add(text)
            self._logger.warning("%s", text)


class UrlInput:
    """What a server sends."""

    complete = False
    rereadable = False
    stream = None

    def __init__(
        self,
        url: Secret[str],
        name: str,
        sample_rate: Optional[int],
        channels: Optional[int],
        logger: Logger,
    ) -> None:
        self.name = name
        self._url = url
        self._sample_rate = sample_rate
        self._channels = channels
        self._logger = logger

    def begin(self) -> Pass:
        _import_decoding()
        from .decoding import decoder_of_url

        return interruptible_call(
            lambda: decoder_of_url(
                self._url,
                self.name,
                rate=self._sample_rate,
                channels=self._channels,
                warn=EachOnce(self._logger).warning,
            )
        )

    def release(self) -> None:
        """Nothing is open between passes."""


class Seekable(ABC):
    """The place in samples that are decoded again up to it; nothing is moved before the next read.

    Attributes:
        name: The input, without secrets.
    """

    name: str
    _position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to another place, in bytes of the samples; return it. Decodes up to it when read.

        Raises:
            OSError: The input cannot be read again, or ``whence`` counts from the end.
            ValueError: The place lies before the start.
        """
        if whence == os.SEEK_CUR:
            offset += self._position
        elif whence != os.SEEK_SET:
            raise io.UnsupportedOperation("the end of decoded audio is known only when it is read")
        if offset < 0:
            raise ValueError(f"the place is {offset}; allowed: 0 and more")
        if offset != self._position and not self.seekable():
            raise io.UnsupportedOperation(f"{self.name} cannot be read again")
        self._position = offset
        return offset

    def tell(self) -> int:
        """Return the place in bytes of the samples."""
        return self._position

    @abstractmethod
    def seekable(self) -> bool:
        """Return whether it can be read again."""


@made_here
class DecodedAudio(Seekable):
    """The audio of a file or stream of any kind, decoded while it is read. Made by `open_audio`.

    A source, and a binary file object of 16-bit samples: ``read(n)`` returns the next ``n`` bytes,
    fewer at the end, or what there is if the audio is live. It can be read again, by decoding it
    again, if its input can. After the end, nothing is open any more.

    Attributes:
        audio_format: What the samples are, ``pcm_s16le`` and the rate.
        channels: How many channels the samples have, interleaved.
        total_seconds: The length by what the input says of it, or None if it says nothing.
        name: The path, or what else the input is; without secrets.
        container: The format of the input, in FFmpeg's words, such as ``"mp3"``.
        codec: Its codec, such as ``"aac"``.
        input_sample_rate: Its sample rate in Hz.
        input_channels: How many channels it has.

    Example:
        >>> with open_audio("audio.wav") as audio:
        ...     print(audio.audio_format.sample_rate, audio.total_seconds)
        16000 2.0
    """

    def __init__(self, input: Input) -> None:
        self.name = input.name
        self._described = ""
        self._input = input
        self._closed = False
        self._lock = threading.Lock()
        """Held while the pass works: closing it meanwhile would crash the process."""

        # Guarded by the lock.
        begun = self._begun()
        self._pass: Optional[Pass] = begun
        self._held = memoryview(b"")
        self._held_at = 0
        """The place of the first byte that is held."""
        self._failed: Optional[Exception] = None
        """What decoding raised behind the bytes that are held."""

        self._position = 0
        self.audio_format = AudioFormat(AudioEncoding.PCM_S16LE, begun.rate)
        self.channels = begun.channels
        self.total_seconds = begun.input_seconds
        self.container = begun.container_name
        self.codec = begun.codec
        self.input_sample_rate = begun.input_rate
        self.input_channels = begun.input_channels
        count = self.input_channels
        channels = "1 channel" if count == 1 else f"{count} channels"
        self._described = f": {self.codec}, {channels} at {self.input_sample_rate} Hz"

    def __repr__(self) -> str:
        return f"<DecodedAudio of {self.name}{self._described}>"

    def __enter__(self) -> DecodedAudio:
        return self

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # An object that could not be made has no lock.
        if hasattr(self, "_failed"):
            self.close()

    def read(self, size: Optional[int] = -1) -> bytes:
        """Return the next bytes: ``size``, or all if it is negative or None; b"" at the end.

        Fewer come at the end, and of live audio. May block.

        Raises:
            AudioError: The input cannot be read or decoded, or was closed.
        """
        try:
            with self._lock:
                return self._read(-1 if size is None else size)
        finally:
            self._free_if_closed()

    def seekable(self) -> bool:
        """Return whether it can be read again."""
        return self._input.rereadable

    def readable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Free everything, at once or when the `read` of another thread returns. Idempotent."""
        self._closed = True
        self._free_if_closed()

    @property
    def _input_stream(self) -> Optional[ByteStream]:
        """Where the bytes come from that are decoded; None for a URL."""
        return self._input.stream

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def _read(self, size: int) -> bytes:
        pieces: list[bytes] = []
        left = size
        self._go_to_position()
        while left:
            if not self._held:
                if pieces and not (self._input.complete or size < 0):
                    break
                try:
                    if not self._decode():
                        break
                except Exception as error:
                    if not pieces:
                        raise
                    self._failed = error
                    break
            piece = bytes(self._held[:left]) if left > 0 else bytes(self._held)
            self._drop(len(piece))
            self._position += len(piece)
            left -= len(piece) if left > 0 else 0
            pieces.append(piece)
        return b"".join(pieces)

    def _go_to_position(self) -> None:
        if self._position < self._held_at:
            self._free()
            self._pass = self._begun()
            self._held, self._held_at, self._failed = memoryview(b""), 0, None
        while self._held_at < self._position:
            if not self._held and not self._decode():
                return
            self._drop(min(len(self._held), self._position - self._held_at))

    def _drop(self, size: int) -> None:
        self._held = self._held[size:]
        self._held_at += size

    def _begun(self) -> Pass:
        try:
            return self._input.begin()
        except BaseException:
            self._input.release()
            raise

    def _decode(self) -> bool:
        """Hold the next samples; return whether there were any."""
        if self._closed:
            raise AudioError(f"{self.name} was closed: open it again")
        if self._failed is not None:
            raise self._failed
        if self._pass is None:
            return False  # the end was reached
        try:
            self._held = memoryview(self._pass.read())
        except Exception as error:
            self._failed = error
            self._free()
            raise
        if not self._held:
            if self._input.stream is not None:
                self._input.stream.read_to_expected_end()
            self._free()
        return bool(self._held)

    def _free(self) -> None:
        ended, self._pass = self._pass, None
        if ended is not None:
            ended.close()
        self._input.release()

    def _free_if_closed(self) -> None:
        # Whoever holds the lock comes here after that, and finds that it was closed.
        while self._closed and self._pass is not None and self._lock.acquire(blocking=False):
            try:
                self._free()
            finally:
                self._lock.release()


def can_decode() -> bool:
    """Return whether PyAV is installed; load it."""
    try:
        import_modules(f"{__package__}.decoding")
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "av":
            raise
        return False
    return True


def _import_decoding() -> None:
    if not can_decode():
        raise missing_extra("Decoding audio", "PyAV", "audio")
