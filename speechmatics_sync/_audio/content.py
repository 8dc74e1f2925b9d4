"""What bytes plainly are, by how they begin: a file with a header, or no sound at all.

Samples may begin with any bytes, so a name is given only to what they would not begin with by
chance: four bytes and more of a file's signature, followed by fields that hold what such a file has
there; three MPEG frames in a row, each as long as its header says, and no tone; text of at least 64
bytes that is all printable words, or begins as a web page, JSON or a Git-LFS pointer does; base64
of at least 128 bytes.
"""

from __future__ import annotations

import codecs
import re
import struct
from typing import Callable, NamedTuple, Optional

__all__ = ["LOOKED_AT", "Content", "content_of", "is_taken", "more_to_look_at"]

LOOKED_AT = 8192
"""Bytes to look at. Three MPEG frames take at most 4,323, three ADTS frames of speech less."""

_DECODER = codecs.getincrementaldecoder("utf-8-sig")
"""Looked up once: that reads a module, for which there may be no descriptor later."""

_TEXT_LENGTH = 64
_JSON_LENGTH = 12

_BASE64_LENGTH = 128
_BASE64 = re.compile(
    r"(data:[\w/+.;=-]+,)?(?=.*[A-Z])(?=.*[a-z])(?=.*[0-9])[A-Za-z0-9+/_\s-]+={0,2}\s*", re.DOTALL
)
"""Quiet mu-law samples may all be letters, but then small ones, or also what lies between those and
the capital ones."""


class Content(NamedTuple):
    """What the bytes of a source are.

    Attributes:
        name: With its article, for error messages.
        is_sound: Whether the server might find sound in it.
    """

    name: str
    is_sound: bool = True


def content_of(beginning: bytes) -> Optional[Content]:
    """Return what bytes plainly are, or None if they may as well be samples.

    Args:
        beginning: The first bytes: `LOOKED_AT` of them, if there are as many.

    Example:
        >>> content_of(b"fLaC" + bytes([0, 0, 0, 34]))
        Content(name='a FLAC file', is_sound=True)
    """
    for signature, name, holds in _SIGNATURES:
        if beginning.startswith(signature) and holds(beginning):
            return Content(name)
    for name, frame_size in _FRAMES:
        if _frames(beginning, frame_size)[0] == 3:
            return Content(name)
    no_sound = _archive(beginning) or _text(beginning)
    return None if no_sound is None else Content(no_sound, is_sound=False)


def is_taken(name: str) -> bool:
    """Return whether the API takes such a file, by the name of its content.

    It names WAV, MP3, AAC, Ogg, MPEG, AMR, M4A, MP4 and FLAC. What is not known here may be one.

    Source: https://docs.speechmatics.com/speech-to-text/realtime/input
    """
    return name not in _NOT_TAKEN


def more_to_look_at(beginning: bytes) -> int:
    """Return how many bytes it takes to tell what has begun; 0 if more would not tell.

    A live source must not be waited for without a reason: four bytes of a signature are one, and so
    are two frames.
    """
    if 4 <= len(beginning) < 12:
        return 12 * any(beginning.startswith(start[:8]) for start, _, _ in _SIGNATURES if start)
    for _, frame_size in _FRAMES:
        found, position = _frames(beginning, frame_size)
        if found == 2 and len(beginning) < position + 6:
            return position + 6
    return 0


def _holds(pattern: bytes) -> Callable[[bytes], bool]:
    matches = re.compile(pattern, re.DOTALL).match
    return lambda beginning: matches(beginning) is not None


def _is_snd(beginning: bytes) -> bool:
    if len(beginning) < 24:
        return False
    offset, _, encoding, rate, channels = struct.unpack(">5I", beginning[4:24])
    return bool(
        24 <= offset <= 1 << 16 and encoding <= 27 and rate <= 1 << 20 and 0 < channels <= 64
    )


_SIGNATURES: tuple[tuple[bytes, str, Callable[[bytes], bool]], ...] = (
    (b"RIFF", "a WAV file", _holds(rb".{8}WAVE")),
    (b"RIFF", "an AVI file", _holds(rb".{8}AVI ")),
    (b"RIFX", "a big-endian WAV file", _holds(rb".{8}WAVE")),
    (b"RF64", "an RF64 WAV file", _holds(rb".{8}WAVE")),
    (b"BW64", "a BW64 WAV file", _holds(rb".{8}WAVE")),
    (b"riff\x2e\x91\xcf\x11", "a Wave64 file", _holds(b"")),
    (b"FORM", "an AIFF file", _holds(rb".{8}AIF[FC]")),
    (b".snd", "an AU file", _is_snd),
    (b"fLaC", "a FLAC file", _holds(rb".{4}[\x00\x80]\x00\x00\x22")),
    (b"OggS", "an Ogg file", _holds(rb".{4}\x00[\x00-\x07]")),
    (b"ID3", "an MP3 file", _holds(rb".{3}[\x02-\x04][^\xff].[\x00-\x7f]{4}")),
    (b"", "an MP4 file", _holds(rb"\x00\x00[\x00-\x0f].ftyp[ -~]{4}")),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM file", _holds(rb".{4,60}(webm|matroska)")),
    (b"caff\x00\x01", "a CAF file", _holds(b"")),
    (b"#!AMR", "an AMR file", _holds(rb".{5}(-WB)?\n")),
    (b"0&\xb2u\x8ef\xcf\x11", "a WMA or ASF file", _holds(b"")),
    (b"FLV\x01", "an FLV file", _holds(rb".{4}[\x01\x04\x05]\0\0\0\x09")),
    (b"wvpk", "a WavPack file", _holds(rb".{6}\0\0.\x04")),
    (b"MAC ", "a Monkey's Audio file", _holds(rb".{4}[\x80-\xbf\xc0-\xff]\x0f\0\0")),
)

_NOT_TAKEN = frozenset(
    {
        "an AVI file",
        "a Wave64 file",
        "an AIFF file",
        "an AU file",
        "a Matroska or WebM file",
        "a CAF file",
        "a WMA or ASF file",
        "an FLV file",
        "a WavPack file",
        "a Monkey's Audio file",
    }
)

_MPEG_KBITS = {  # by version 1 or not, and layer
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MPEG_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _mpeg_frame(header: bytes) -> int:
    """Return how long an MPEG audio frame with this header is, in bytes; 0 if it is none."""
    if header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bitrate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return 0
    kbits = _MPEG_KBITS[version == 3, layer][bitrate - 1]
    hertz = _MPEG_RATES[version][rate]
    if layer == 1:
        return (12000 * kbits // hertz + padding) * 4
    return (72000 if layer == 3 and version != 3 else 144000) * kbits // hertz + padding


def _adts_frame(header: bytes) -> int:
    """Return how long an ADTS frame (AAC) with this header is, in bytes; 0 if it is none."""
    if header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 0xF > 12:
        return 0
    size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return size if size > 7 else 0


_FRAMES = (("an MP3 file", _mpeg_frame), ("an AAC file", _adts_frame))


def _frames(beginning: bytes, frame_size: Callable[[bytes], int]) -> tuple[int, int]:
    """Return how many frames follow one another, three at most, and where the next one begins."""
    position = found = 0
    while found < 3:
        header = beginning[position : position + 6]
        size = frame_size(header) if len(header) == 6 else 0
        if not size or header[1] != beginning[1]:
            break
        position += size
        found += 1
    # A tone repeats whatever bytes there are; within frames, the first three hardly ever come.
    repeated = beginning.count(beginning[:3], 1, position) > found + 1
    return 0 if repeated else found, position


def _archive(beginning: bytes) -> Optional[str]:
    if re.match(rb"PK\x03\x04.\x00", beginning, re.DOTALL):
        return "a ZIP archive"
    if re.match(rb"\x1f\x8b\x08[\x00-\x1f].{4}[\x00\x02\x04][\x00-\x0d\xff]", beginning, re.DOTALL):
        return "gzip data"
    return "a PDF" if re.match(rb"%PDF-\d", beginning) else None


def _text(beginning: bytes) -> Optional[str]:
    head = beginning.removeprefix(codecs.BOM_UTF8).lstrip()[:_TEXT_LENGTH].lower()
    if head.startswith(b"version https://git-lfs"):
        return "a Git-LFS pointer, which git lfs pull replaces by the file"
    if re.match(rb"<(!doctype|html|head|body|\?xml)\b", head):
        return "a web page or other markup"
    if head.startswith((b"#extm3u", b"ffconcat")):
        return "a playlist, which is followed only if it comes from a URL, by open_audio(url)"
    text = _printable(beginning)
    if text is None or len(text) < _JSON_LENGTH:
        return None
    if re.match(r'\s*(\{\s*"[^"]*"\s*:|\[\s*[{"])', text):
        return "JSON"
    words = len(text.split())
    if len(text) >= _BASE64_LENGTH and words < len(text) / 50 and _BASE64.fullmatch(text):
        return "base64, which base64.b64decode turns into the bytes"
    # Samples that only look like text have neither words nor many letters.
    if (
        len(text) >= _TEXT_LENGTH
        and len(set(text)) >= 12
        and len(text) / 50 < words < len(text) / 2
    ):
        return "text"
    return None


def _printable(beginning: bytes) -> Optional[str]:
    try:
        # The last character may be cut.
        text = _DECODER().decode(beginning)
    except ValueError:
        return None
    return text if all(each.isprintable() or each in "\t\r\n\f" for each in text) else None
