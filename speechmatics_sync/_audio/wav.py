"""The header of a WAV file: where its samples begin, and whether the API takes them raw.

Sources: Microsoft, "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, WAVE) and
"Multiple Channel Audio Data and WAVE Files" (WAVE_FORMAT_EXTENSIBLE).
"""

from __future__ import annotations

import struct
from typing import Callable, NamedTuple, Optional

from .._model.audio_format import AudioEncoding

__all__ = [
    "HEADER_LIMIT",
    "MORE_AUDIO",
    "Rest",
    "WavHeader",
    "holds_more_audio",
    "read_snd_header",
    "read_wav_header",
]

HEADER_LIMIT = 1 << 20
"""Bytes of a file in which to look for the samples, since a size in a header may be wrong."""

MORE_AUDIO = (
    "%s goes on after the %d bytes of audio that its WAV header names, and what follows is not"
    " transcribed: the header is wrong, as after a crash of the recorder, or there is a second data"
    " chunk; ffmpeg or sox can write the file anew"
)
"""For a log record, with the name of the source and the bytes of audio."""

_ENCODINGS = {
    (1, 16): AudioEncoding.PCM_S16LE,
    (3, 32): AudioEncoding.PCM_F32LE,
    (7, 8): AudioEncoding.MULAW,
}
_TAG_NAMES = {1: "PCM", 2: "ADPCM", 3: "float", 6: "A-law", 7: "mu-law", 0x55: "MP3"}
_EXTENSIBLE = 0xFFFE
# The GUID of a WAVE_FORMAT_EXTENSIBLE sub-format is its format tag, followed by these bytes.
_TAG_GUID = bytes.fromhex("000000001000800000aa00389b71")
# A program that writes to a pipe cannot fill in the size at the end. ffmpeg writes 0xFFFFFFFF,
# sox 0x7FFFF000, GStreamer 0x7FFF0000, arecord 0x80000000 less a part of a block, others 0.
_SMALLEST_PLACEHOLDER = 0x7FFF0000


class WavHeader(NamedTuple):
    """What the header of a WAV file says.

    Attributes:
        format_tag: 1 for integer PCM, 3 for float, 7 for mu-law …; the tag of the sub-format for
            WAVE_FORMAT_EXTENSIBLE.
        channels: The number of channels.
        sample_rate: Samples per second of each channel, in Hz.
        bits_per_sample: Bits in one sample of one channel.
        frame_size: Bytes in one sample of all channels.
        data_offset: Bytes before the first sample.
        data_size: Bytes of samples, or a placeholder.
    """

    format_tag: int
    channels: int
    sample_rate: int
    bits_per_sample: int
    frame_size: int
    data_offset: int
    data_size: int

    @property
    def encoding(self) -> Optional[AudioEncoding]:
        """The API's name for the samples, or None if it does not take them raw."""
        encoding = _ENCODINGS.get((self.format_tag, self.bits_per_sample))
        frame_size = self.channels * self.bits_per_sample // 8
        if self.sample_rate == 0 or self.frame_size == 0 or self.frame_size != frame_size:
            return None
        return encoding

    @property
    def description(self) -> str:
        """What the samples are, in words."""
        kind = _TAG_NAMES.get(self.format_tag, f"format {self.format_tag}")
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        return f"{self.bits_per_sample}-bit {kind}, {channels} at {self.sample_rate} Hz"

    @property
    def data_size_is_certain(self) -> bool:
        """Whether `data_size` is a size; False if it may be the placeholder of a live stream."""
        return 0 < self.data_size < _SMALLEST_PLACEHOLDER


def read_wav_header(peek: Callable[[int, int], bytes]) -> Optional[WavHeader]:
    """Read the header of a WAV file, up to its samples.

    Args:
        peek: Called with an offset and a size in bytes; returns those bytes of the file, fewer
            only at its end. Not called for bytes beyond `HEADER_LIMIT`.

    Returns:
        The header, or None if this is no RIFF WAV file, or has no samples within `HEADER_LIMIT`.

    Example:
        >>> from pathlib import Path
        >>> sound = Path("call.wav").read_bytes()
        >>> read_wav_header(lambda offset, size: sound[offset : offset + size]).channels
        2
    """
    form = peek(0, 12)
    if len(form) < 12 or form[:4] != b"RIFF" or form[8:] != b"WAVE":
        return None
    format_chunk: Optional[bytes] = None
    offset = 12
    while offset + 8 <= HEADER_LIMIT:
        chunk_header = peek(offset, 8)
        if len(chunk_header) < 8:
            return None
        name, size = struct.unpack("<4sI", chunk_header)
        offset += 8
        if name == b"data":
            return None if format_chunk is None else _header(format_chunk, offset, size)
        if name == b"fmt ":
            format_chunk = peek(offset, min(size, 40, HEADER_LIMIT - offset))
            if len(format_chunk) < 16:
                return None
        offset += size + size % 2
    return None


def read_snd_header(peek: Callable[[int, int], bytes]) -> Optional[WavHeader]:
    """Read the header of an AU file (".snd") of mu-law samples, as `read_wav_header` would.

    Its other samples are big-endian, which the API does not take.
    """
    head = peek(0, 24)
    if len(head) < 24 or head[:4] != b".snd":
        return None
    offset, size, encoding, rate, channels = struct.unpack_from(">5I", head, 4)
    if encoding != 1 or not 24 <= offset <= HEADER_LIMIT or len(peek(0, offset)) < offset:
        return None
    return WavHeader(7, channels, rate, 8, channels, offset, size)


class Rest:
    """What comes behind the samples that the header of a WAV file names: is there more audio?

    A recorder that crashed leaves the size that it wrote last, and samples where the next chunk
    should be; some write a second ``data`` chunk.

    Args:
        data_size: Bytes of samples by the header.
    """

    def __init__(self, data_size: int) -> None:
        self.holds_audio = False
        """Whether there was audio in what came so far."""
        self._skip = self._padding = data_size % 2
        self._head = b""

    def feed(self, data: bytes) -> None:
        """Look at the next bytes."""
        while data and not self.holds_audio:
            if self._skip:
                skipped = min(self._skip, len(data))
                self._skip -= skipped
                data = data[skipped:]
                continue
            wanted = 8 - len(self._head)
            self._head, data = self._head + data[:wanted], data[wanted:]
            if len(self._head) == 8:
                name, size = struct.unpack("<4sI", self._head)
                self.holds_audio = name == b"data" or not all(0x20 <= each < 0x7F for each in name)
                self._head, self._padding, self._skip = b"", 0, size + size % 2

    def end(self) -> None:
        """Nothing follows: a chunk that is not whole was none, a byte or two aside."""
        cut = self._skip > 1 or (not self._skip and len(self._head) + self._padding > 1)
        self.holds_audio = self.holds_audio or cut


def holds_more_audio(read: Callable[[int], bytes], data_size: int, *, to_the_end: bool) -> bool:
    """Return whether there may be audio behind the samples that the header of a WAV file names.

    Args:
        read: Returns the next bytes, those behind the samples at first.
        data_size: Bytes of samples by the header.
        to_the_end: Whether ``read`` goes on to the end of the file; else what is there is judged.
    """
    rest = Rest(data_size)
    while not rest.holds_audio:
        data = read(1 << 16)
        if not data:
            if to_the_end:
                rest.end()
            break
        rest.feed(data)
    return rest.holds_audio


def _header(format_chunk: bytes, data_offset: int, data_size: int) -> WavHeader:
    tag, channels, sample_rate, _, frame_size, bits = struct.unpack_from("<HHIIHH", format_chunk)
    if tag == _EXTENSIBLE and format_chunk[26:40] == _TAG_GUID:
        (tag,) = struct.unpack_from("<H", format_chunk, 24)
    return WavHeader(
        format_tag=tag,
        channels=channels,
        sample_rate=sample_rate,
        bits_per_sample=bits,
        frame_size=frame_size,
        data_offset=data_offset,
        data_size=data_size,
    )
