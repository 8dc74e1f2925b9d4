"""Containers and codecs, decoded by PyAV, the Python binding of FFmpeg.

The only module that imports it. PyAV's logging is left as it is, silent by default.
"""

from __future__ import annotations

import errno
from array import array
from collections.abc import Generator
from typing import Any, Callable, Optional

import av
import av.error

from .._model.secret import Secret
from ..errors import AudioError, InvalidAudioError
from .byte_streams import ByteStream
from .careful_file import CarefulFile
from .containers import close, open_file, open_url, reason_of_av
from .samples import rate_for
from .wav import end_of_wav

__all__ = ["Decoder", "decoder_of_stream", "decoder_of_url"]

Warn = Callable[[str], None]

_RATES = range(1000, 768001)
"""Rates in Hz that real audio has. From 1 Hz a resampler would make gigabytes of one frame."""

_BAD_READS = 100
"""After how many failed reads in a row the rest of an input is given up."""

_LENGTH_IS_A_GUESS = frozenset(
    ("aac", "ac3", "amr", "amrnb", "amrwb", "eac3", "hls", "loas", "mp2", "mpeg", "mpegts")
)
"""Formats that do not say how long they are: FFmpeg tells it from the size and the bit rate."""

_SHORT = 0.3
"""Seconds by which audio may be shorter than its container says: encoders pad and round."""

_LEFT_OUT = 0.2
"""Seconds that go with a packet that cannot be decoded, at most."""

_SMALLEST_SPEECH = 13
"""Bytes of a packet of speech in AMR, at least; descriptions of silence have 6, or 1."""

_TAGS = 1 << 15
"""Bytes that may follow the audio of a file."""


class Decoder:
    """One pass over an input: its audio as interleaved 16-bit samples, from start to end.

    Not safe for threads. Of a container with several audio streams, FFmpeg's choice is decoded.

    Args:
        container: The opened input.
        name: The input, for error messages and records.
        file: What PyAV reads from; None if it reads from a URL.
        rate: The rate of the samples in Hz; None leaves it to `rate_for`.
        channels: How many channels to mix to; None: as many as the input has.
        warn: Told what cannot be decoded.

    Raises:
        AudioError: There is no audio in it that can be decoded.

    Attributes:
        container_name: The format of the container, in FFmpeg's words.
        codec: The codec, in FFmpeg's words.
        input_rate: The sample rate of the input in Hz.
        input_channels: The number of its channels.
        input_seconds: Its length in seconds, or None if that is not known.
        rate: As given, or chosen.
        channels: As given, or those of the input.
    """

    def __init__(
        self,
        container: Any,
        name: str,
        *,
        file: Optional[CarefulFile],
        rate: Optional[int],
        channels: Optional[int],
        warn: Warn,
    ) -> None:
        self._container = container
        self._file = file
        self._warn = warn
        self.name = name
        self.container_name: str = container.format.name
        self._stream = _audio_stream(container, name)
        context = self._stream.codec_context
        context.thread_count = 1  # a thread for each decoder is enough, and ends with it
        self.codec: str = context.codec.name
        self._first: Optional[Any] = None
        self._seconds = 0.0
        self._reached = 0
        """The end of the last packet by the times of the container, in its unit."""
        self._bytes = 0
        """Where the last packet ends in the input."""
        self._skipped = 0
        self._told = False
        self._ended_by: Optional[Exception] = None
        self._resampler: Any = None
        self._shape: Optional[tuple[str, str, int]] = None
        self._averages = False
        self._frames = self._decoded_frames()
        self.input_rate: int = context.sample_rate or 0
        self.input_channels: int = context.layout.nb_channels if context.sample_rate else 0
        if self.input_rate not in _RATES or not self.input_channels:
            self._first = next(self._frames, None)
            self._take_shape()
        self.input_seconds = _length(container, self._stream)
        self.rate = rate or rate_for(self.input_rate)
        self.channels = channels or self.input_channels
        self._pieces = self._converted()

    def _take_shape(self) -> None:
        if self._first is None:
            raise self._is_empty()
        self._check_rate(self._first.sample_rate)
        self.input_rate = self._first.sample_rate
        self.input_channels = self._first.layout.nb_channels

    def _check_rate(self, rate: int) -> None:
        if rate not in _RATES:
            raise InvalidAudioError(
                f"{self.name} says it has {rate} samples a second, which no audio has: it is"
                " damaged: make it anew"
            )

    def read(self) -> bytes:
        """Return the next samples, of one packet or a few; none at the end. May block.

        Raises:
            AudioError: The input cannot be read, or there is no audio in it.
        """
        return next(self._pieces, b"")

    def close(self) -> None:
        """Free the container; a file stays open."""
        self._pieces.close()
        self._frames.close()
        close(self._container)

    def _converted(self) -> Generator[bytes, None, None]:
        first, self._first = self._first, None
        if first is not None:
            yield from self._samples_of(first)
        for frame in self._frames:
            yield from self._samples_of(frame)
        yield from self._rest_of_resampler()
        self._end()

    def _samples_of(self, frame: Any) -> Generator[bytes, None, None]:
        """Convert a frame; the format of a stream may change with any."""
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:
            yield from self._rest_of_resampler()
            self._check_rate(frame.sample_rate)
            self._averages = self._has_to_be_averaged(frame.layout)
            self._shape = shape
        self._seconds += frame.samples / frame.sample_rate
        frame.pts = None  # samples are counted, whatever the container says of their times
        for each in self._resampled(frame):
            yield self._bytes_of(each)

    def _resampled(self, frame: Any) -> list[Any]:
        count = frame.layout.nb_channels
        try:
            if self._resampler is None:
                layout = frame.layout
                if count != self.channels and not self._averages:
                    layout = av.AudioLayout(f"{self.channels}c")
                self._resampler = av.AudioResampler("s16", layout, self.rate)
            frames: list[Any] = self._resampler.resample(frame)
        except ValueError:
            own = "" if count == 1 else f", or for all {count}"
            raise InvalidAudioError(
                f"FFmpeg cannot make {self.channels} channels of {self.name}, which has {count}:"
                f" ask for channels=1{own}"
            ) from None
        return frames

    def _rest_of_resampler(self) -> Generator[bytes, None, None]:
        if self._resampler is not None:
            for each in self._resampler.resample(None):
                if each is not None:
                    yield self._bytes_of(each)
            self._resampler = None

    def _has_to_be_averaged(self, layout: Any) -> bool:
        """Return whether channels of which nobody says where they are become one.

        FFmpeg would take six microphones for loudspeakers of a cinema, and leave one of them out.
        """
        return self.channels == 1 and layout.nb_channels > 2 and layout.name.endswith("channels")

    def _bytes_of(self, frame: Any) -> bytes:
        # A plane may be larger than its samples.
        channels = frame.layout.nb_channels
        samples = memoryview(frame.planes[0])[: frame.samples * 2 * channels]
        if not self._averages:
            return bytes(samples)
        interleaved = iter(samples.cast("B").cast("h"))
        return array(
            "h", (sum(each) // channels for each in zip(*[interleaved] * channels))
        ).tobytes()

    def _decoded_frames(self) -> Generator[Any, None, None]:
        last: Optional[Any] = None
        for packet in self._packets():
            self._note_place(packet)
            try:
                frames = packet.decode() if packet else self._stream.codec_context.decode(None)
            except EOFError:
                continue
            except (av.error.FFmpegError, ValueError) as error:
                if packet is None or not packet.size:
                    continue
                if not self._is_pause(packet):
                    self._skip(error)
                # What follows keeps its time.
                seconds = float((packet.duration or 0) * (packet.time_base or 0))
                frames = [] if last is None else [_silence(last, min(seconds, _LEFT_OUT))]
            for frame in frames:
                if frame.samples:
                    yield frame
                    last = frame

    def _is_pause(self, packet: Any) -> bool:
        """Return whether this is a pause as telephones record them, which FFmpeg cannot decode."""
        return self.codec.startswith("amr") and packet.size < _SMALLEST_SPEECH

    def _packets(self) -> Generator[Any, None, None]:
        """Yield packets, and at the end one that is empty."""
        failures = 0
        while True:
            try:
                for packet in self._container.demux(self._stream):
                    failures = 0
                    yield packet
                return
            except av.error.InvalidDataError as error:
                failures += 1
                if failures > _BAD_READS:
                    self._ended_by = error
                    break
                self._skip(error)
            except av.error.FFmpegError as error:
                self._ended_by = error
                break
        yield None

    def _note_place(self, packet: Any) -> None:
        if packet is None:
            return
        if packet.pos is not None:
            self._bytes = max(self._bytes, packet.pos + packet.size)
        if packet.pts is not None:
            self._reached = max(self._reached, packet.pts + (packet.duration or 0))

    def _skip(self, error: Exception) -> None:
        self._skipped += 1
        if self._seconds and not self._told:
            self._told = True
            self._warn(
                f"{self.name} is damaged at second {self._seconds:.1f}: what cannot be decoded is"
                f" left out ({reason_of_av(error)})"
            )

    def _end(self) -> None:
        """Raise what ended the input, or say what is missing of it."""
        if self._file is not None and self._file.failed is not None:
            raise self._file.failed
        if not self._seconds:
            raise self._is_empty()
        if self._skipped > self._told:
            self._warn(
                f"{self._skipped} packets of {self.name} could not be decoded, and were left out"
            )
        ended_by = self._ended_by
        # What FFmpeg calls an I/O error is most often an HTTP body that ends before its time.
        if ended_by is not None and not _is_early_end(ended_by):
            raise AudioError(
                f"{self.name} cannot be read on at second {self._seconds:.1f}:"
                f" {reason_of_av(ended_by)}"
            )
        expected = self.input_seconds if self._says_its_length else None
        reached = (self._reached - (self._stream.start_time or 0)) * (self._stream.time_base or 0)
        missing = (expected or 0.0) - max(self._seconds, float(reached))
        if missing > _SHORT + self._skipped * _LEFT_OUT or self._lacks_bytes():
            length = f", of {expected:.1f} seconds" if expected else ""
            self._warn(
                f"{self.name} breaks off at second {self._seconds:.1f}{length}: nothing follows"
            )

    def _lacks_bytes(self) -> bool:
        """Return whether a server, or the header of a WAV file, promised more bytes than came."""
        if self._file is not None:
            # FFmpeg takes the length of most WAV files from what is there.
            return end_of_wav(self._file.beginning) > self._bytes
        # Behind the last packet there may be tags. Without a promised size, the end of a body
        # cannot be told from a lost connection: FFmpeg reports an error for some that are whole.
        return self._size - self._bytes > (0 if self._ended_by is not None else _TAGS)

    @property
    def _size(self) -> int:
        """Bytes of the whole input, 0 if nobody knows: before PyAV 19 that is a negative number."""
        return max(self._container.size or 0, 0)

    @property
    def _says_its_length(self) -> bool:
        """Whether `input_seconds` comes from the container, and is no guess of FFmpeg's."""
        kind = self.container_name.partition(",")[0]
        if kind != "mp3" or not self.input_seconds:
            return kind not in _LENGTH_IS_A_GUESS
        # A header with the number of frames is optional. Without it, the length is this quotient.
        rate, size = self._stream.codec_context.bit_rate, self._size
        return not rate or not size or abs(size * 8 / rate / self.input_seconds - 1) > 0.02

    def _is_empty(self) -> BaseException:
        """Return the error for an input that gave no audio at all."""
        if self._file is not None and self._file.failed is not None:
            return self._file.failed
        why = f"it is {self.container_name} with {self.codec} audio, of which nothing was decoded"
        if self._ended_by is not None:
            why += f" ({reason_of_av(self._ended_by)})"
        cure = "play it, or write it anew with ffmpeg, to see whether it is whole"
        if self.container_name.startswith("mov") and not self._seekable:
            why += ". The index of such a file may lie at its end, and this input cannot go back"
            cure = "save it as a file first, or write it with ffmpeg -movflags +faststart"
        return InvalidAudioError(f"{self.name} has no audio that can be decoded: {why}; {cure}")

    @property
    def _seekable(self) -> bool:
        return self._file is not None and self._file.seekable()


def _silence(like: Any, seconds: float) -> Any:
    """Return a frame of silence of the same kind as another."""
    frame = av.AudioFrame(like.format, like.layout, int(seconds * like.sample_rate))
    frame.sample_rate = like.sample_rate
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    return frame


def decoder_of_stream(
    stream: ByteStream, *, rate: Optional[int], channels: Optional[int], warn: Warn
) -> Decoder:
    """Return a decoder of the bytes of a source, from its start; waits for its beginning.

    Raises:
        AudioError: It cannot be read, or there is no audio in it that can be decoded.
    """
    file = CarefulFile(stream)
    container = open_file(file, stream.name, live=not stream.complete)
    return _made(container, stream.name, file, rate, channels, warn)


def decoder_of_url(
    url: Secret[str], name: str, *, rate: Optional[int], channels: Optional[int], warn: Warn
) -> Decoder:
    """Return a decoder of what a server sends; waits for its beginning.

    Args:
        url: The URL, whose protocol is one of `http`, `https`, `tcp` and `tls`.
        name: The URL without its secrets.

    Raises:
        AudioError: The server cannot be reached, refuses, or there is no audio in what it sends.
    """
    return _made(open_url(url, name, warn), name, None, rate, channels, warn)


def _made(
    container: Any,
    name: str,
    file: Optional[CarefulFile],
    rate: Optional[int],
    channels: Optional[int],
    warn: Warn,
) -> Decoder:
    try:
        return Decoder(container, name, file=file, rate=rate, channels=channels, warn=warn)
    except BaseException:
        close(container)
        raise


def _audio_stream(container: Any, name: str) -> Any:
    stream = container.streams.best("audio")
    if stream is None and container.streams.audio:
        stream = container.streams.audio[0]
    if stream is None:
        kinds = sorted({each.type for each in container.streams})
        held = f", but {' and '.join(kinds)}" if kinds else ""
        raise InvalidAudioError(
            f"{name} is {container.format.name}, and has no audio{held}: pass a file with sound"
        )
    if stream.codec_context is None:
        raise InvalidAudioError(
            f"{name} is {container.format.name} with audio of a codec that PyAV has no decoder for:"
            " convert it first"
        )
    return stream


def _length(container: Any, stream: Any) -> Optional[float]:
    seconds = None
    if stream.duration and stream.time_base:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration:
        seconds = container.duration / av.time_base
    return seconds if seconds is not None and seconds > 0 else None


def _is_early_end(error: Exception) -> bool:
    return (
        isinstance(error, av.error.InvalidDataError) or getattr(error, "errno", None) == errno.EIO
    )
