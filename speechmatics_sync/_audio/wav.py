"""The header of a WAV file: where its samples begin and end, and what they are.

Nothing here reads: `Walk` says which bytes are wanted next and is given them, in pieces of any
size, so that one reading of headers serves files, streams, audio that is pushed and servers.

Sources: Microsoft, "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, RIFX,
WAVE) and "Multiple Channel Audio Data and WAVE Files" (WAVE_FORMAT_EXTENSIBLE); EBU Tech 3306
(RF64); ITU-R BS.2088 (BW64).
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import Callable, Generic, NamedTuple, Optional, TypeVar, Union

from .._model.audio_format import AudioEncoding
from .samples import StoredSamples, padded_samples, stored_samples

__all__ = [
    "FORMS",
    "HEADER_LIMIT",
    "MORE_AUDIO",
    "DataChunk",
    "Walk",
    "WavHeader",
    "end_of_wav",
    "holds_more_audio",
    "read_snd_header",
    "read_wav_header",
    "wav_header",
]

HEADER_LIMIT = 1 << 20
"""Bytes of a file in which to look for the samples, since a size in a header may be wrong."""

MORE_AUDIO = (
    "%s goes on after the %d bytes of audio that its WAV header names, and what follows is not"
    " transcribed: the header is wrong, as after a crash of the recorder, or there is a second data"
    " chunk; ffmpeg or sox can write the file anew"
)
"""For a log record, with the name of the source and the bytes of audio."""

FORMS = (b"RIFF", b"RIFX", b"RF64", b"BW64")
"""What a WAV file may begin with: little-endian, big-endian, and two with sizes of 64 bits."""

_TAG_NAMES = {1: "PCM", 2: "ADPCM", 3: "float", 6: "A-law", 7: "mu-law", 0x55: "MP3"}
_PLAIN = (1, 3, 6, 7)
_EXTENSIBLE = 0xFFFE
# The GUID of a WAVE_FORMAT_EXTENSIBLE sub-format is its format tag, followed by these bytes.
_TAG_GUID = bytes.fromhex("000000001000800000aa00389b71")
# In a RIFX file, the numbers of the GUID may be big-endian too.
_BIG_ENDIAN_GUID = (b"\0\0", bytes.fromhex("00000010800000aa00389b71"))
# A program that writes to a pipe cannot fill in the size at the end. ffmpeg writes 0xFFFFFFFF,
# sox 0x7FFFF000, GStreamer 0x7FFF0000, arecord 0x80000000 less a part of a block, others 0.
_SMALLEST_PLACEHOLDER = 0x7FFF0000
_IN_DS64 = 0xFFFFFFFF
_LARGEST_64_BIT_SIZE = 1 << 62

_CHUNK_NAMES = frozenset(
    b"fmt |data|ds64|LIST|fact|JUNK|junk|PAD |FLLR|bext|iXML|axml|cue |smpl|id3 |ID3 ".split(b"|")
)
"""Chunks that are found in WAV files, to tell where one begins after an odd size."""

_LOOKED_AT = (1 << 13, 1 << 16)
"""Bytes of samples to look at where the header is ambiguous; more if the first are all 0."""

_Result = TypeVar("_Result")
Steps = Generator[tuple[int, int], bytes, _Result]
"""Asks for bytes by offset and size, at offsets that do not fall; gets fewer only at the end."""

Peek = Callable[[int, int], bytes]


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
        data_size_is_certain: Whether `data_size` is a size; False if it may be the placeholder of a
            live stream.
        samples: How the samples become raw audio; None if that is not known here.
        big_endian: Whether the numbers of the file are, as in RIFX.
    """

    format_tag: int
    channels: int
    sample_rate: int
    bits_per_sample: int
    frame_size: int
    data_offset: int
    data_size: int
    data_size_is_certain: bool
    samples: Optional[StoredSamples]
    big_endian: bool = False

    @property
    def encoding(self) -> Optional[AudioEncoding]:
        """What the samples are sent as, or None if they cannot be sent raw."""
        return None if self.samples is None or not self.sample_rate else self.samples.encoding

    @property
    def is_compressed(self) -> bool:
        """Whether the samples are of a codec, such as ADPCM, which takes a library to decode."""
        return self.format_tag not in (*_PLAIN, _EXTENSIBLE) and self.channels > 0

    @property
    def kind(self) -> str:
        """What one sample is, in words."""
        name = _TAG_NAMES.get(self.format_tag, f"format {self.format_tag}")
        return f"{self.bits_per_sample}-bit {name}"

    @property
    def description(self) -> str:
        """What the samples are, in words."""
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        return f"{self.kind}, {channels} at {self.sample_rate} Hz"


def end_of_wav(beginning: bytes) -> int:
    """Return where the samples of a WAV file end by its header; 0 if that is not certain.

    Args:
        beginning: The first bytes of any file.
    """
    header = read_wav_header(lambda offset, size: beginning[offset : offset + size])
    if header is None or not header.data_size_is_certain:
        return 0
    return header.data_offset + header.data_size - header.data_size % max(1, header.frame_size)


class Walk(Generic[_Result]):
    """Runs `Steps` over bytes that come in pieces.

    Args:
        steps: Asks for bytes.

    Attributes:
        result: What the steps returned; None until they have.
    """

    def __init__(self, steps: Steps[_Result]) -> None:
        self.result: Optional[_Result] = None
        self._steps = steps
        self._held = b""
        self._start = 0
        """Where what is held begins."""
        self._wanted = next(steps)

    def feed(self, data: bytes) -> None:
        """Go on with the next bytes, as far as they go; nothing is kept once there is a result."""
        if self.result is not None:
            return
        self._held += data
        while self.result is None:
            begin = self._wanted[0] - self._start
            if len(self._held) < begin + self._wanted[1]:
                dropped = min(begin, len(self._held))
                self._held = self._held[dropped:]
                self._start += dropped
                return
            self._give(begin)

    def end(self) -> None:
        """Nothing follows."""
        while self.result is None:
            self._give(self._wanted[0] - self._start)

    def rest(self, offset: int) -> bytes:
        """Return what was given from this offset on, which is not before the last one asked for."""
        return self._held[offset - self._start :]

    def _give(self, begin: int) -> None:
        try:
            self._wanted = self._steps.send(self._held[begin : begin + self._wanted[1]])
        except StopIteration as stopped:
            self.result = stopped.value


def read_wav_header(peek: Peek) -> Optional[WavHeader]:
    """Read the header of a WAV file, up to its samples.

    Args:
        peek: Called with an offset and a size in bytes; returns those bytes of the file, fewer
            only at its end. Hardly called for bytes beyond `HEADER_LIMIT`.

    Returns:
        The header, or None if this is no WAV file, or has no samples within `HEADER_LIMIT`.

    Example:
        >>> from pathlib import Path
        >>> sound = Path("call.wav").read_bytes()
        >>> read_wav_header(lambda offset, size: sound[offset : offset + size]).channels
        2
    """
    header = _run(wav_header(), peek)
    return header if isinstance(header, WavHeader) else None


def _run(steps: Steps[_Result], peek: Peek) -> _Result:
    wanted = next(steps)
    while True:
        try:
            wanted = steps.send(peek(*wanted))
        except StopIteration as stopped:
            result: _Result = stopped.value
            return result


def wav_header() -> Steps[Union[WavHeader, str]]:
    """Look for the samples of a WAV file; returns its header, or why there is none."""
    form = yield 0, 4
    if form not in FORMS:
        return "this is no WAV file"
    riff = yield 4, 8
    if riff[4:] != b"WAVE":
        return "this is RIFF, but not WAVE"
    order = ">" if form == b"RIFX" else "<"
    end = 8 + _number(order, riff[:4])
    fmt: Optional[bytes] = None
    size_64 = 0
    offset, size = 12, 0
    while offset + 8 <= HEADER_LIMIT:
        offset, chunk = yield from _chunk_header(offset, size % 2)
        if len(chunk) < 8:
            return "the WAV file ends within its header"
        name, size = chunk[:4], _number(order, chunk[4:])
        offset += 8
        if name == b"data":
            if fmt is None:
                return "the WAV file has no fmt chunk before its samples"
            if form in (b"RF64", b"BW64") and size == _IN_DS64:
                size, certain = size_64, 0 < size_64 < _LARGEST_64_BIT_SIZE
            elif size:
                certain = size < _SMALLEST_PLACEHOLDER
            else:
                certain = end < _SMALLEST_PLACEHOLDER and (yield from _is_empty(offset, end, order))
            return (yield from _header(fmt, order, offset, size, certain))
        if name == b"fmt ":
            fmt = yield offset, min(size, 40, HEADER_LIMIT - offset)
            if len(fmt) < 16:
                return f"the WAV file has a fmt chunk of {len(fmt)} bytes"
        elif name == b"ds64" and size >= 16:
            size_64 = _number("<", (yield offset, 16)[8:])
        offset += size
    return f"the WAV file has no samples in its first {HEADER_LIMIT} bytes"


def _chunk_header(offset: int, odd: int) -> Steps[tuple[int, bytes]]:
    """Find the next chunk; returns its offset, and its name and size, if it is there.

    One of an odd size is followed by a byte of padding, which is 0; some programs leave it out, and
    others have another byte there.
    """
    chunk = yield offset, 8
    if odd and (chunk[1:5] in _CHUNK_NAMES or not _is_name(chunk[:4])):
        offset += 1
        chunk = yield offset, 8
    return offset, chunk


def _is_empty(offset: int, end: int, order: str) -> Steps[bool]:
    """Return whether a size of 0 means no samples: another chunk follows, within the file."""
    if end < offset + 8:
        return False
    chunk = yield offset, 8
    return len(chunk) == 8 and _is_name(chunk[:4]) and offset + 8 + _number(order, chunk[4:]) <= end


def _header(fmt: bytes, order: str, offset: int, size: int, certain: bool) -> Steps[WavHeader]:
    tag, channels, rate, _, frame_size, bits = struct.unpack_from(f"{order}HHIIHH", fmt)
    if tag == _EXTENSIBLE and fmt[26:40] == _TAG_GUID:
        tag = _number(order, fmt[24:26])
    elif tag == _EXTENSIBLE and order == ">" and (fmt[24:26], fmt[28:40]) == _BIG_ENDIAN_GUID:
        tag = _number(order, fmt[26:28])
    frame_size = frame_size or channels * -(-bits // 8)
    samples: Optional[StoredSamples] = None
    if channels and frame_size and frame_size % channels == 0:
        each = frame_size // channels
        if -(-bits // 8) == each:
            samples = stored_samples(tag, each, order == ">")
        elif (tag, bits, each) == (1, 24, 4):
            beginning = b""
            for looked_at in _LOOKED_AT:
                if not any(beginning):
                    beginning = yield offset, min(size, looked_at) if certain else looked_at
            samples = padded_samples(beginning, order == ">")
    return WavHeader(
        tag, channels, rate, bits, frame_size, offset, size, certain, samples, order == ">"
    )


def read_snd_header(peek: Peek) -> Optional[WavHeader]:
    """Read the header of an AU file (".snd") of mu-law samples, as `read_wav_header` would.

    Its other samples are big-endian, which the API does not take.
    """
    head = peek(0, 24)
    if len(head) < 24 or head[:4] != b".snd":
        return None
    offset, size, encoding, rate, channels = struct.unpack_from(">5I", head, 4)
    if encoding != 1 or not 24 <= offset <= HEADER_LIMIT or len(peek(0, offset)) < offset:
        return None
    certain = 0 < size < _SMALLEST_PLACEHOLDER
    return WavHeader(7, channels, rate, 8, channels, offset, size, certain, stored_samples(7, 1))


class DataChunk:
    """Tells the samples of a WAV file from what follows them, in bytes that come in pieces.

    Args:
        header: The header; what is fed begins where its samples do.
        fed: Bytes of the samples that were read already.
    """

    def __init__(self, header: WavHeader, fed: int = 0) -> None:
        self._left = header.data_size - fed if header.data_size_is_certain else None
        self._behind = Walk(_more_audio(header.data_size, ">" if header.big_endian else "<"))

    @property
    def ended(self) -> bool:
        """Whether all samples were fed that the header names."""
        return self._left == 0

    @property
    def more_audio(self) -> bool:
        """Whether there was audio in what followed the samples so far.

        A recorder that crashed leaves the size that it wrote last, and samples where the next chunk
        should be; some write a second ``data`` chunk.
        """
        return bool(self._behind.result)

    def feed(self, data: bytes) -> bytes:
        """Return the samples in the next bytes."""
        left = self._left
        if left is None:
            return data
        if left >= len(data):
            self._left = left - len(data)
            return data
        self._left = 0
        self._behind.feed(data[left:])
        return data[:left]

    def end(self) -> None:
        """Nothing follows."""
        if self._left == 0:
            self._behind.end()


def holds_more_audio(
    read: Callable[[int], bytes], header: WavHeader, fed: int, *, to_the_end: bool
) -> bool:
    """Return whether there may be audio behind the samples that the header of a WAV file names.

    Args:
        read: Returns the next bytes.
        header: The header.
        fed: Bytes of the samples that were read already.
        to_the_end: Whether ``read`` goes on to the end of the file; else what is there is judged.
    """
    chunk = DataChunk(header, fed)
    while not chunk.more_audio:
        data = read(1 << 16)
        if not data:
            if to_the_end:
                chunk.end()
            break
        chunk.feed(data)
    return chunk.more_audio


def _more_audio(data_size: int, order: str) -> Steps[bool]:
    """Look for audio behind the samples; offsets are counted from there.

    What is no chunk is audio, and so is a chunk that is not whole, a byte or two aside.
    """
    offset, size = 0, data_size
    while True:
        offset, chunk = yield from _chunk_header(offset, size % 2)
        if len(chunk) < 8:
            return len(chunk) > 1
        name, size = chunk[:4], _number(order, chunk[4:])
        if name == b"data" or not _is_name(name):
            return True
        offset += 8 + size
        if size > 1 and not (yield offset - 2, 1):
            return True


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= each < 0x7F for each in name)


def _number(order: str, stored: bytes) -> int:
    return int.from_bytes(stored, "big" if order == ">" else "little")
