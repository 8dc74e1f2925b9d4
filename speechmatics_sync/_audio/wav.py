"""The header of a WAV file: where its samples begin, and whether the API takes them raw.

Sources: Microsoft, "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, WAVE) and
"Multiple Channel Audio Data and WAVE Files" (WAVE_FORMAT_EXTENSIBLE).
"""

from __future__ import annotations

import struct
from typing import Callable, NamedTuple, Optional

from .._model.config import AudioEncoding

__all__ = ["HEADER_LIMIT", "WavHeader", "read_wav_header"]

HEADER_LIMIT = 1 << 20
"""How far into a file the samples may begin (bytes); sizes in a header are not to be believed."""

_ENCODINGS = {
    (1, 16): AudioEncoding.PCM_S16LE,
    (3, 32): AudioEncoding.PCM_F32LE,
    (7, 8): AudioEncoding.MULAW,
}
_EXTENSIBLE = 0xFFFE
# What follows the format tag in the sub-format GUID of every format that has a tag.
_TAG_GUID = bytes.fromhex("000000001000800000aa00389b71")
# A program that writes into a pipe cannot come back to fill in the size. ffmpeg leaves 0xFFFFFFFF
# there, sox 0x7FFFF000, arecord 0x80000000 less a part of a block, others 0.
_SMALLEST_PLACEHOLDER = 0x7FFFF000


class WavHeader(NamedTuple):
    """What a WAV file says of its samples.

    Attributes:
        format_tag: 1 for integer PCM, 3 for float, 7 for mu-law …; of WAVE_FORMAT_EXTENSIBLE the
            tag of the sub-format.
        channels: The number of channels.
        sample_rate: Samples a second in each channel.
        bits_per_sample: The size of one sample of one channel (bits).
        frame_size: The size of one sample of all channels together (bytes).
        data_offset: Where the samples begin, counted from the first byte of the file.
        data_size: How long the samples are (bytes), as the header has it.
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
        """The API's name of the samples, or None if it does not take such samples raw."""
        encoding = _ENCODINGS.get((self.format_tag, self.bits_per_sample))
        frame_size = self.channels * self.bits_per_sample // 8
        if self.sample_rate == 0 or self.frame_size == 0 or self.frame_size != frame_size:
            return None
        return encoding

    @property
    def data_size_is_certain(self) -> bool:
        """Whether `data_size` was measured; False if it may be a placeholder of a live stream."""
        return 0 < self.data_size < _SMALLEST_PLACEHOLDER


def read_wav_header(peek: Callable[[int, int], bytes]) -> Optional[WavHeader]:
    """Find the samples of a WAV file.

    Args:
        peek: Called with an offset and a size (bytes), it returns those bytes of the file, fewer
            only where the file ends. It is never asked for anything beyond `HEADER_LIMIT`.

    Returns:
        The header, or None for what is no WAV file of the RIFF form, has no samples, or has them
        beyond `HEADER_LIMIT`.

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
