"""Frames are what another implementation of RFC 6455 makes of them, however the bytes come."""

from __future__ import annotations

import itertools
import struct
from typing import NamedTuple, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.plain_copies import plain_copy
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from speechmatics_sync import TransportError
from speechmatics_sync._transport import frames
from speechmatics_sync._transport.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Control,
    FrameReader,
    FrameWriter,
)

Received = list[Union[bytes, Control]]
SIZES = [0, 1, 3, 4, 125, 126, 127, 65535, 65536, 70001]


def framed(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A frame as a server sends it, made by `websockets`."""
    return Frame(Opcode(opcode), payload, fin=fin).serialize(mask=False)


def read(*pieces: bytes, max_size: Optional[int] = None) -> Received:
    """All that comes out of these pieces of a stream."""
    reader = FrameReader(max_size)
    received: Received = []
    for piece in pieces:
        reader.feed(piece, received)
    return received


# -- what comes in pieces -----------------------------------------------------------------------


class Said(NamedTuple):
    """What a server says: a stream of bytes, and what a reader is to make of it."""

    stream: bytes
    meaning: Received


controls = st.lists(
    st.builds(Control, st.sampled_from([PING, PONG]), st.binary(max_size=125)), max_size=2
)
payloads = st.one_of(st.binary(max_size=200), st.sampled_from([bytes(126), bytes(65536)]))


@st.composite
def messages(draw: st.DrawFn) -> Said:
    """A message in fragments, control frames between them."""
    fragments = draw(st.lists(payloads, min_size=1, max_size=4))
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    stream, meaning = b"", []
    for number, fragment in enumerate(fragments):
        last = number == len(fragments) - 1
        stream += framed(opcode if not number else 0, fragment, fin=last)
        if not last:
            for control in draw(controls):
                stream += framed(control.opcode, control.payload)
                meaning.append(control)
    return Said(stream, [*meaning, b"".join(fragments)])


@st.composite
def alone(draw: st.DrawFn) -> Said:
    """A control frame."""
    control = Control(draw(st.sampled_from([PING, PONG])), draw(st.binary(max_size=125)))
    return Said(framed(control.opcode, control.payload), [control])


@given(
    said=st.lists(st.one_of(messages(), alone()), max_size=6),
    cuts=st.lists(st.integers(0, 600), max_size=30),
)
def test_a_stream_cut_into_any_pieces_means_the_same(said: list[Said], cuts: list[int]) -> None:
    stream = b"".join(each.stream for each in said)
    ends = itertools.accumulate(cuts)
    edges = [0, *sorted({min(end, len(stream)) for end in ends}), len(stream)]
    pieces = [stream[start:end] for start, end in zip(edges, edges[1:])]
    assert read(*pieces) == [each for part in said for each in part.meaning]


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_whose_header_comes_byte_by_byte_is_read_whole(size: int) -> None:
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    stream = framed(BINARY, payload) + framed(TEXT, b"next")
    head = [stream[at : at + 1] for at in range(12)]
    assert read(*head, stream[12:]) == [payload, b"next"]


def test_frames_that_come_at_once_are_read_at_once_and_the_rest_with_what_follows() -> None:
    reader = FrameReader(None)
    received: Received = []
    last = framed(TEXT, b"three")
    reader.feed(framed(TEXT, b"one") + framed(BINARY, b"two") + last[:4], received)
    assert received == [b"one", b"two"]
    reader.feed(last[4:], received)
    assert received == [b"one", b"two", b"three"]


def test_control_frames_between_fragments_come_before_the_message() -> None:
    stream = [
        framed(TEXT, b"in ", fin=False),
        framed(PING, b"are you there?"),
        framed(0, b"three ", fin=False),
        framed(PONG),
        framed(0, b"parts"),
    ]
    expected = [Control(PING, b"are you there?"), Control(PONG, b""), b"in three parts"]
    assert read(b"".join(stream)) == expected
    assert read(*stream) == expected


# -- the end ------------------------------------------------------------------------------------


def test_nothing_comes_after_a_close_frame() -> None:
    """Neither of the same bytes, nor, for a message in fragments, of those before."""
    close = framed(CLOSE, struct.pack("!H", 4005) + b"quota")
    stream = framed(TEXT, b"half of ", fin=False) + close + framed(0, b"it") + framed(TEXT, b"no")
    assert read(stream) == [Control(CLOSE, b"\x0f\xa5quota")]


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1008, 1011, 1014, 3000, 4001, 4999])
def test_a_close_frame_with_a_code_that_may_be_sent_is_taken(code: int) -> None:
    payload = struct.pack("!H", code)
    assert read(bytes([0x80 | CLOSE, 2]) + payload) == [Control(CLOSE, payload)]


def test_a_close_frame_need_not_have_a_code() -> None:
    assert read(framed(CLOSE)) == [Control(CLOSE, b"")]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535])
def test_a_close_code_that_must_not_be_sent_is_refused(code: int) -> None:
    with pytest.raises(TransportError, match="close code"):
        read(bytes([0x80 | CLOSE, 2]) + struct.pack("!H", code))


def test_half_a_close_code_is_refused() -> None:
    with pytest.raises(TransportError, match="close code"):
        read(bytes([0x80 | CLOSE, 1, 3]))


# -- what breaks the protocol -------------------------------------------------------------------


def refused(stream: bytes, message: str) -> None:
    """Refused once its header is there, after all that came before it was handed on."""
    reader = FrameReader(None)
    received: Received = []
    with pytest.raises(TransportError, match=message):
        reader.feed(framed(TEXT, b"before") + stream, received)
    assert received == [b"before"]


@pytest.mark.parametrize("bit", [0x40, 0x20, 0x10])
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
def test_reserved_bits_are_refused(opcode: int, bit: int) -> None:
    refused(bytes([0x80 | bit | opcode, 0]), "reserved bits")


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_an_opcode_that_nobody_knows_is_refused(opcode: int) -> None:
    refused(bytes([0x80 | opcode, 0]), f"opcode {opcode}")


@pytest.mark.parametrize("size", [0, 5, 125, 126, 65536])
def test_a_masked_frame_is_refused(size: int) -> None:
    """Only a client masks (RFC 6455, 5.1)."""
    refused(Frame(Opcode.TEXT, bytes(size)).serialize(mask=True), "masked")


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_in_fragments_is_refused(opcode: int) -> None:
    refused(bytes([opcode, 0]), "fragments")


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_that_is_too_long_is_refused_by_its_header(opcode: int) -> None:
    refused(bytes([0x80 | opcode, 126, 0, 126]), "too long")
    refused(struct.pack("!BBQ", 0x80 | opcode, 127, 1 << 16), "too long")


@pytest.mark.parametrize(
    "stream",
    [
        framed(0, b"of nothing"),
        framed(TEXT, b"one", fin=False) + framed(TEXT, b"another"),
        framed(TEXT, b"one", fin=False) + framed(BINARY, b"another", fin=False),
        framed(TEXT, b"one", fin=False) + framed(0, b"done") + framed(0, b"not done"),
    ],
    ids=["of nothing", "a message within", "a beginning within", "after the last"],
)
def test_fragments_that_do_not_belong_together_are_refused(stream: bytes) -> None:
    with pytest.raises(TransportError, match="mixed up"):
        read(stream)


# -- max_size -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 125, 126, 65535, 65536])
def test_a_message_may_be_as_large_as_max_size_and_no_larger(size: int) -> None:
    assert read(framed(TEXT, bytes(size)), max_size=size) == [bytes(size)]
    with pytest.raises(TransportError, match="max_size"):
        read(framed(TEXT, bytes(size + 1)), max_size=size)


@pytest.mark.parametrize("size", [1001, 1 << 16, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_a_message_that_is_too_large_is_refused_by_its_header(size: int) -> None:
    head = struct.pack("!BBQ", 0x80 | BINARY, 127, size)
    with pytest.raises(TransportError, match=f"{size} bytes"):
        read(head, max_size=1000)


def test_without_a_max_size_a_length_that_no_memory_can_hold_is_refused() -> None:
    with pytest.raises(TransportError, match="max_size"):
        read(struct.pack("!BBQ", 0x80 | BINARY, 127, 1 << 63))


def test_fragments_together_may_be_as_large_as_max_size_and_no_larger() -> None:
    first, second = framed(TEXT, b"abc", fin=False), framed(0, b"def", fin=False)
    assert read(first, second, framed(0, b"ghij"), max_size=10) == [b"abcdefghij"]
    with pytest.raises(TransportError, match="11 bytes"):
        read(first, second, struct.pack("!BB", 0x80, 5), max_size=10)


def test_control_frames_are_not_measured_against_max_size() -> None:
    stream = framed(TEXT, b"ab", fin=False) + framed(PING, bytes(125)) + framed(0, b"c")
    assert read(stream, max_size=3) == [Control(PING, bytes(125)), b"abc"]


# -- what is written ----------------------------------------------------------------------------


def parsed(written: bytes) -> Frame:
    """A frame as `websockets` reads it, which insists on a mask."""
    stream = StreamReader()
    stream.feed_data(written)
    stream.feed_eof()
    parsing = Frame.parse(stream.read_exact, mask=True, max_size=None)
    try:
        next(parsing)
    except StopIteration as done:
        frame = done.value
        assert isinstance(frame, Frame)
        assert not stream.buffer, "more than one frame was written"
        return frame
    raise AssertionError("the frame is not whole")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_written_message_is_the_payload_to_another_reader(opcode: int, size: int) -> None:
    payload = (bytes(range(1, 252)) * (size // 251 + 1))[:size]
    frame = parsed(FrameWriter().frame(opcode, payload))
    assert (frame.opcode, bytes(frame.data), frame.fin) == (opcode, payload, True)
    assert (frame.rsv1, frame.rsv2, frame.rsv3) == (False, False, False)


@given(
    st.lists(
        st.tuples(st.sampled_from([TEXT, BINARY, PING, PONG, CLOSE]), st.binary(max_size=125)),
        max_size=80,
    )
)
def test_whatever_is_written_is_read_as_it_was(written: list[tuple[int, bytes]]) -> None:
    """By one writer, beyond the number of keys that it has at hand."""
    writer = FrameWriter()
    for opcode, payload in written:
        frame = parsed(writer.frame(opcode, payload))
        assert (frame.opcode, bytes(frame.data)) == (opcode, payload)


def test_each_frame_has_a_key_of_its_own() -> None:
    writers = [FrameWriter(), FrameWriter()]
    frames = [writer.frame(BINARY, bytes(4)) for _ in range(150) for writer in writers]
    keys = [frame[2:6] for frame in frames]
    # Two of them may be the same by chance, once in 90,000 runs; not three.
    assert len(set(keys)) >= len(keys) - 1
    assert [frame[6:] for frame in frames] == keys, "nothing but the key hides zeros"


# -- the extra speed ----------------------------------------------------------------------------


def unmasked(frame: bytes, size: int) -> tuple[bytes, bytes]:
    """The head of a frame, and what stands behind its key, unmasked with it."""
    head = 2 if size <= 125 else 4 if size < 65536 else 10
    key, masked = frame[head : head + 4], frame[head + 4 :]
    keys = (key * (len(masked) // 4 + 1))[: len(masked)]
    plain = int.from_bytes(masked, "big") ^ int.from_bytes(keys, "big")
    return frame[:head], plain.to_bytes(len(masked), "big")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_frames_are_the_same_whether_they_are_masked_in_c_or_in_python(
    opcode: int, size: int
) -> None:
    payload = (bytes(at * 7 % 251 for at in range(251)) * (size // 251 + 1))[:size]
    in_c = frames.FrameWriter().frame(opcode, payload)
    in_python = plain_copy(frames).FrameWriter().frame(opcode, payload)
    assert unmasked(in_c, size) == unmasked(in_python, size)
    assert unmasked(in_c, size)[1] == payload


@given(payload=st.binary(max_size=300), key=st.binary(min_size=4, max_size=4))
def test_c_and_python_mask_alike(payload: bytes, key: bytes) -> None:
    """Every key, such as one of which some bytes are zero."""
    masks = [frames._mask(payload, key), frames._mask_in_python(payload, key)]
    assert masks[0] == masks[1] == bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
    assert [type(masked) for masked in masks] == [bytes, bytes]
