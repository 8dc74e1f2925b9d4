"""With the extra ``speed`` a frame means what it means without it."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fuzzing import examples, json_texts
from support.plain_copies import plain_copy

from speechmatics_sync import TransportError
from speechmatics_sync._protocol import codec

pytest.importorskip("orjson", reason="compares with what orjson makes of it")

PLAIN = plain_copy(codec)


def meaning(decode: Callable[[bytes], Any], payload: bytes) -> str:
    """What a frame means: the types and the order of its keys, or the error.

    In which words it is too deep depends on the depth at which a parser gives up.
    """
    try:
        return repr(decode(payload))
    except TransportError as error:
        text = str(error)
    return "too deep" if "levels" in text or "RecursionError" in text else text


BIG = [2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64, 10**18, 10**19, -(10**30)]
SAME: dict[str, bytes] = {
    "duplicate keys": b'{"a": 1, "b": 2, "a": {"a": 3, "a": 4}}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": Infinity}',
    "-Infinity": b'{"a": -Infinity}',
    "1e999": b'{"a": 1e999, "b": -1e999, "c": 1e-999}',
    "the largest number": b'{"a": 1.7976931348623157e308, "b": 1.7976931348623159e308}',
    "the smallest number": b'{"a": 4.9e-324, "b": 2.4e-324, "c": -2.4e-324}',
    "zeros": b'{"a": 0, "b": -0, "c": -0.0, "d": 0e0, "e": 0E-5}',
    "a long fraction": b'{"a": 0.1234567890123456789012345, "b": 9007199254740993.0}',
    **{f"the number {number}": b'{"a": [%d]}' % number for number in BIG},
    "digits in a text": b'{"12345678901234567890": "12345678901234567890"}',
    "a number of 5000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "a lone surrogate": b'{"a": "\\ud800", "\\udfff": 1}',
    "a pair of surrogates": b'{"a": "\\ud83d\\ude00"}',
    "surrogates in the wrong order": b'{"a": "\\ude00\\ud83d"}',
    "a surrogate in UTF-8": b'{"a": "\xed\xa0\x80"}',
    "NUL": b'{"a": "\\u0000"}',
    "a byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "a byte order mark inside": b'{"a": "\xef\xbb\xbf"}',
    "bytes that are no UTF-8": b'{"a": "\xff"}',
    "overlong UTF-8": b'{"a": "\xc0\xaf"}',
    "UTF-8 that is cut off": b'{"a": "\xf0\x9f\x98',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a control character": b'{"a": "\t"}',
    "DEL": b'{"a": "\x7f"}',
    "an unknown escape": b'{"a": "\\x41"}',
    "text behind its end": b'{"a": 1} x',
    "a message behind its end": b'{"a": 1}{"a": 2}',
    "NUL behind its end": b'{"a": 1}\0',
    "white space": b' \t\r\n{ "a" :\t1 }\n',
    "white space of another kind": b'\x0b{"a": 1}\xc2\xa0',
    "nothing": b"",
    "white space alone": b" ",
    "a comma at the end": b'{"a": 1,}',
    "a comment": b'/**/{"a": 1}',
    "single quotes": b"{'a': 1}",
    "a leading zero": b'{"a": 01}',
    "a plus": b'{"a": +1}',
    "a point at the end": b'{"a": 1.}',
    "a point at the start": b'{"a": .1}',
    "hexadecimal": b'{"a": 0x1}',
    "a list": b"[1]",
    "null": b"null",
    "a number alone": b"1e999",
    **{
        f"{depth} levels": b'{"a": ' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
        for depth in (64, 65, 1023, 1024, 1025, 100_000)
    },
    "levels that are not closed": b'{"a": ' + b"[" * 100_000,
}


@pytest.mark.parametrize("payload", SAME.values(), ids=SAME)
def test_frame_means_the_same_with_and_without_orjson(payload: bytes) -> None:
    assert meaning(codec.decode, payload) == meaning(PLAIN.decode, payload)


def test_orjson_is_asked_unless_a_number_may_be_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    def loads(payload: bytes) -> Any:
        asked.append(payload)
        return json.loads(payload)

    monkeypatch.setattr(codec, "_loads", loads)
    short, long = b'{"a": 123456789012345678}', b'{"a": 1234567890123456789}'
    for payload in (short, long):
        codec.decode(payload)
        PLAIN.decode(payload)
    assert asked == [short]


values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**66), 2**66)
    | st.floats(width=64)
    | st.text(st.characters(exclude_categories=()), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=()), max_size=3), inner, max_size=4
        )
    ),
    max_leaves=12,
)
OTHER_BYTES = st.one_of(
    st.sampled_from([b"e999", b"-", b"0", b".", b"\\ud800", b"\xef\xbb\xbf", b"\xff", b"NaN"]),
    st.sampled_from(
        [b"[", b"]", b"{", b"}", b'"', b",", b":", b" ", b"\0", b"99999999999999999999"]
    ),
    st.binary(min_size=1, max_size=3),
)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """JSON of any kind, some of it spoiled in a few places."""
    value = draw(values)
    as_ascii = draw(st.booleans())
    text = json.dumps({"novel": value, "a": 1}, ensure_ascii=as_ascii)
    payload = text.encode("utf-8", "surrogatepass")
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(payload)))
        end = draw(st.integers(start, min(len(payload), start + 3)))
        payload = payload[:start] + draw(OTHER_BYTES) + payload[end:]
    return payload


@examples(500)
@given(payload=frames() | json_texts)
def test_any_frame_means_the_same_with_and_without_orjson(payload: bytes) -> None:
    assert meaning(codec.decode, payload) == meaning(PLAIN.decode, payload)
