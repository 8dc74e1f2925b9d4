"""WAV files as they are found, and the samples in them, made without the library's help."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Callable, Optional

from speechmatics_sync import AudioEncoding

RATE = 16000
VALUES = (
    *(0, 1, -1, 255, 256, -256, 0x1234, -0x1234, 32767, -32768),
    *(number * 7919 % 65536 - 32768 for number in range(391)),
)
"""16-bit samples. Their number is odd."""

GUID = bytes.fromhex("000000001000800000aa00389b71")
FORMS = ("RIFF", "RIFX", "RF64", "BW64")

Write = Callable[[int, str], bytes]
"""Makes bytes of a 16-bit sample, in an order, "<" or ">"."""


def integer(size: int, shift: int = 0) -> Write:
    order = {"<": "little", ">": "big"}
    return lambda value, way: (value << shift).to_bytes(size, order[way], signed=True)  # type: ignore[arg-type]


_PLAIN = integer(2)


def number(code: str) -> Write:
    return lambda value, way: struct.pack(way + code, value / 32768)


def code(value: int, way: str) -> bytes:
    return bytes([value & 0xFF])


def from_alaw(value: int, way: str) -> bytes:
    """G.711: the middle of the step that the code names, in the segment that it names."""
    plain = (value & 0xFF) ^ 0x55
    segment, step = plain >> 4 & 7, plain & 15
    start, width = (256 << segment >> 1, 16 << segment >> 1) if segment else (0, 16)
    magnitude = start + step * width + width // 2
    return struct.pack("<h", magnitude if plain & 0x80 else -magnitude)


@dataclass(frozen=True)
class Kind:
    """A kind of samples: as they are stored, and as they are to be sent."""

    tag: int
    bits: int
    stored: Write
    encoding: str = "pcm_s16le"
    sent: Write = _PLAIN
    frame_size: Optional[int] = None
    valid_bits: Optional[int] = None
    """Of WAVE_FORMAT_EXTENSIBLE, if there are fewer than bits."""


KINDS = {
    "8 bits": Kind(
        1, 8, lambda v, way: bytes([(v >> 8) + 128]), sent=lambda v, way: integer(2)(v & -256, way)
    ),
    "16 bits": Kind(1, 16, integer(2)),
    "24 bits": Kind(1, 24, lambda v, way: integer(3)((v << 8) + 0x7F, way)),
    "32 bits": Kind(1, 32, lambda v, way: integer(4)((v << 16) + 0x7FFF, way)),
    "24 bits in 4 bytes, above": Kind(
        1, 24, lambda v, way: integer(4)((v << 16) + 0x7F00, way), frame_size=4
    ),
    "24 bits in 4 bytes, below": Kind(
        1, 24, lambda v, way: integer(4)((v << 8) + 0x7F, way), frame_size=4
    ),
    "float": Kind(3, 32, number("f"), "pcm_f32le", number("f")),
    "double": Kind(3, 64, number("d"), "pcm_f32le", number("f")),
    "mu-law": Kind(7, 8, code, "mulaw", code),
    "A-law": Kind(6, 8, code, sent=from_alaw),
}
CONVERTED = [name for name in KINDS if name not in ("16 bits", "float", "mu-law")]


@dataclass(frozen=True)
class WavFile:
    """A file, and what is to be sent of it."""

    content: bytes
    encoding: AudioEncoding
    sent: bytes
    data_offset: int


def chunk(name: str, body: bytes, way: str = "<", size: Optional[int] = None) -> bytes:
    stored = name.encode() + struct.pack(way + "I", len(body) if size is None else size) + body
    return stored + bytes(len(body) % 2)


def wav_file(
    kind: str = "16 bits",
    values: tuple[int, ...] = VALUES,
    *,
    form: str = "RIFF",
    channels: int = 1,
    extensible: bool = False,
    frame_size: Optional[int] = None,
    more_format: bytes = b"",
    before: bytes = b"",
    after: bytes = b"",
    data_size: Optional[int] = None,
    size_64: Optional[int] = None,
    with_ds64: bool = True,
    padded: bool = True,
) -> WavFile:
    """Make a file; what is not said is as it should be.

    Args:
        values: Samples of all channels, interleaved.
        data_size: What the header says of the data chunk; -1 in RF64 and BW64 if left out.
        size_64: What the ds64 chunk of RF64 and BW64 says of it.
        padded: Whether a byte follows the samples if their number of bytes is odd.
    """
    made = KINDS[kind]
    way = ">" if form == "RIFX" else "<"
    if frame_size is None:
        frame_size = channels * (made.frame_size or made.bits // 8)
    tag = 0xFFFE if extensible else made.tag
    rates = (RATE, RATE * frame_size)
    fmt = struct.pack(way + "HHIIHH", tag, channels, *rates, frame_size, made.bits)
    if extensible:
        fmt += struct.pack(way + "HHIH", 22, made.valid_bits or made.bits, 0, made.tag) + GUID
    sound = b"".join(made.stored(value, way) for value in values)
    head = b"WAVE"
    if form in ("RF64", "BW64"):
        data_size = 0xFFFFFFFF if data_size is None else data_size
        sizes = struct.pack("<QQQI", 0, len(sound) if size_64 is None else size_64, len(values), 0)
        head += chunk("ds64" if with_ds64 else "JUNK", sizes)
    head += chunk("fmt ", fmt + more_format, way) + before
    data = chunk("data", sound, way, data_size)
    if len(sound) % 2 and not padded:
        data = data[:-1]
    body = head + data + after
    size = 0xFFFFFFFF if form in ("RF64", "BW64") else len(body)
    content = form.encode() + struct.pack(way + "I", size) + body
    sent = b"".join(made.sent(value, "<") for value in values)
    return WavFile(content, AudioEncoding(made.encoding), sent, 8 + len(head) + 8)


def shortened(file: WavFile, size: int) -> WavFile:
    """A file that breaks off."""
    return replace(file, content=file.content[:-size])


LIST = chunk("LIST", b"INFOISFT\x06\0\0\0tests\0")
ODD = b"odd " + struct.pack("<I", 3) + b"abc"

FILES: dict[str, WavFile] = {
    f"{kind} in {form}{', extensible' * extensible}": wav_file(
        kind, form=form, extensible=extensible
    )
    for kind in KINDS
    for form in FORMS
    for extensible in (False, True)
    # In WAVE_FORMAT_EXTENSIBLE, the bits say how large a sample is.
    if not (extensible and KINDS[kind].frame_size)
}
KINDS["24 valid bits of 32"] = replace(KINDS["32 bits"], valid_bits=24)
for _kind in ("8 bits", "16 bits", "24 bits"):
    _WHOLE = wav_file(_kind)
    _SIZE = len(VALUES) * KINDS[_kind].bits // 8
    _ROWS = {
        "a chunk before": wav_file(_kind, before=LIST),
        "an odd chunk before": wav_file(_kind, before=ODD + b"\0"),
        "an odd chunk before, without padding": wav_file(_kind, before=ODD),
        "an odd chunk before, padded with another byte": wav_file(_kind, before=ODD + b"d"),
        "odd chunks in a row, without padding": wav_file(_kind, before=ODD + ODD + LIST + ODD),
        "an odd format": wav_file(_kind, more_format=b"\1\0\0"),
        "a chunk after": wav_file(_kind, after=LIST),
        "an odd chunk after": wav_file(_kind, after=ODD + b"\0" + LIST),
        "an odd chunk after, without padding": wav_file(_kind, after=ODD + LIST),
        "samples without padding, and a chunk after": wav_file(_kind, padded=False, after=LIST),
        "a chunk after that breaks off": shortened(wav_file(_kind, after=LIST), 1),
        "a size of 0": wav_file(_kind, data_size=0, padded=False),
        "a size of 0xFFFFFFFF": wav_file(_kind, data_size=0xFFFFFFFF, padded=False),
        "a size of 0x7FFFF000": wav_file(_kind, data_size=0x7FFFF000, padded=False),
        "a size beyond the end": wav_file(_kind, data_size=_SIZE + 5000, padded=False),
        "no samples": wav_file(_kind, ()),
        "no samples, and a chunk after": wav_file(_kind, (), after=LIST),
        "a frame size of 0": wav_file(_kind, frame_size=0),
        "a format of 18 bytes": wav_file(_kind, more_format=b"\0\0"),
        "a format of 40 bytes": wav_file(_kind, more_format=bytes(24)),
        "RF64 without its sizes": wav_file(_kind, form="RF64", with_ds64=False, padded=False),
        "RF64 of a live writer": wav_file(_kind, form="RF64", size_64=0, padded=False),
        "RF64 of another live writer": wav_file(
            _kind, form="RF64", size_64=(1 << 64) - 1, padded=False
        ),
        "RF64 of 32-bit sizes": wav_file(_kind, form="RF64", data_size=_SIZE, size_64=7),
        "RF64, and a chunk after": wav_file(_kind, form="RF64", after=LIST),
        "BW64, and a chunk before": wav_file(_kind, form="BW64", before=LIST + ODD + b"\0"),
        "RIFX, and a chunk after": wav_file(_kind, form="RIFX", after=chunk("LIST", b"1234", ">")),
    }
    FILES.update({f"{_kind}: {name}": file for name, file in _ROWS.items()})
    if _kind != "8 bits":
        _LAST = shortened(wav_file(_kind, padded=False), 1)
        FILES[f"{_kind}: a sample that breaks off"] = replace(
            _LAST, sent=_LAST.sent[: -len(KINDS[_kind].sent(0, "<"))]
        )
for _place in ("above", "below"):
    _padded = f"24 bits in 4 bytes, {_place}"
    FILES[f"{_padded}: a size of 0xFFFFFFFF"] = wav_file(_padded, data_size=0xFFFFFFFF)
    FILES[f"{_padded}: a size of 0"] = wav_file(_padded, data_size=0)
FILES["24 valid bits of 32"] = wav_file("24 valid bits of 32", extensible=True)

BROKEN_HEADERS = {
    f"{form}: the first {size} bytes": file.content[:size]
    for form in FORMS
    for file in [wav_file(form=form, before=LIST, extensible=True)]
    for size in (*range(12, file.data_offset, 5), file.data_offset - 1)
} | {
    "no format": wav_file().content.replace(b"fmt ", b"fmtx"),
    "a short format": b"RIFF\0\0\0\0WAVE" + chunk("fmt ", bytes(10)) + chunk("data", bytes(100)),
    "a chunk that is too large": wav_file(before=b"bomb" + struct.pack("<I", 0xFFFFFFF0)).content,
    "no channels": wav_file(channels=0, frame_size=2).content,
    "a frame size that is none": wav_file(frame_size=3).content,
}
"""In these there are no samples that a reader could know of."""
