"""Messages on the wire are JSON objects in UTF-8, and nothing else is taken for one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fuzzing import examples, json_texts

from speechmatics_sync import TransportError
from speechmatics_sync._protocol.codec import acknowledged, decode


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"not JSON",
        b'{"message": "Info"',
        b'{"message": "Info"} {}',
        b'x{"message": "Info"}',
        b'{"message": "Info"}x',
        b'{"confidence": NaN}',
        b'{"confidence": -Infinity}',
        b'{"message": "\xff"}',
        b"\xed\xa0\x80",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
    ids=lambda payload: repr(payload[:20]),
)
def test_what_is_not_json_breaks_the_protocol(payload: bytes) -> None:
    with pytest.raises(TransportError, match="not JSON"):
        decode(payload)


@pytest.mark.parametrize("payload", [b"[]", b'"text"', b"1", b"null", b"true"])
def test_json_that_is_no_object_breaks_the_protocol(payload: bytes) -> None:
    with pytest.raises(TransportError, match="not an object"):
        decode(payload)


def test_a_number_of_5000_digits_breaks_the_protocol() -> None:
    with pytest.raises(TransportError):
        decode(b'{"message": "AudioAdded", "seq_no": ' + b"9" * 5000 + b"}")


def test_an_error_about_json_shows_little_of_it() -> None:
    with pytest.raises(TransportError) as caught:
        decode(b"x" * 100_000)
    assert len(str(caught.value)) < 300
    assert "is not JSON: JSONDecodeError: Expecting value" in str(caught.value)


def test_space_around_a_message_means_nothing() -> None:
    assert decode(b' \r\n\t{"message": "Info"} \n') == {"message": "Info"}


@pytest.mark.parametrize(
    "text",
    [
        '{"text": "\\ud800"}',
        '{"number": 1e999}',
        '{"number": 9999999999999999999}',
        '{"number": -9999999999999999999}',
        '{"number": 18446744073709551616}',
        '{"number": 1.7976931348623157e308}',
    ],
)
def test_what_decoders_read_in_different_ways_is_read_as_json_reads_it(text: str) -> None:
    assert repr(decode(text.encode())) == repr(json.loads(text))


@examples(250)
@given(payload=json_texts)
def test_any_bytes_are_a_message_or_our_error(payload: bytes) -> None:
    try:
        message = decode(payload)
    except TransportError as error:
        said = str(error)
    else:
        assert type(message) is dict
        said = repr(message)
        assert said == repr(json.loads(payload))
        json.dumps(message)
    said.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("depth", [64, 500, 900, 980, 100_000])
@pytest.mark.parametrize(("opens", "closes"), [(b'{"a":', b"}"), (b"[", b"]")])
def test_message_that_is_nested_without_end_is_our_error(
    depth: int, opens: bytes, closes: bytes
) -> None:
    """Also near the top of the stack, where a handler that reads the message may be."""
    deep = opens * depth + b"1" + closes * depth
    with pytest.raises(TransportError):
        decode(b'{"message": "Info", "novel": ' + deep + b"}")
    if depth == 64:
        decode(b'{"message": "Info", "novel": ' + deep[len(opens) : -1] + b"}")


def test_wide_message_is_not_taken_for_a_deep_one() -> None:
    wide = {"novel": [[{"a": [1]}] * 10] * 1000}
    assert decode(json.dumps(wide).encode()) == wide


def depth_of(value: object) -> int:
    """Levels of objects and lists."""
    if not isinstance(value, (dict, list)):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth_of, inner), default=0)


CONFUSING = st.text(st.sampled_from('[]{}"\\\né'), max_size=4)
NESTED: st.SearchStrategy[object] = st.recursive(
    CONFUSING,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(CONFUSING, inner, max_size=3),
    max_leaves=20,
)


@examples(250)
@given(inner=NESTED, above=st.integers(50, 64), opens=st.sampled_from("[{"), plain=st.booleans())
def test_levels_are_counted_exactly_whatever_strings_contain(
    inner: object, above: int, opens: str, plain: bool
) -> None:
    value = inner
    for _ in range(above):
        value = [value, "]"] if opens == "[" else {"}": value}
    payload = json.dumps({"novel": value}, ensure_ascii=plain).encode()
    if depth_of(inner) + above + 1 > 64:
        with pytest.raises(TransportError, match="64 levels"):
            decode(payload)
    else:
        assert decode(payload) == {"novel": value}


@pytest.mark.parametrize(
    ("payload", "number"),
    [
        (b'{"message":"AudioAdded","seq_no":7}', 7),
        (b'{"message": "AudioAdded", "seq_no": 120}', 120),
        (b'{"message":"AudioAdded","seq_no":1234567890123456789}', 0),
        (b'{"message":"AudioAdded","seq_no":07}', 0),
        (b'{"message":"AudioAdded","seq_no":7.0}', 0),
        (b'{"message":"AudioAdded","seq_no":-7}', 0),
        (b'{"message":"AudioAdded","seq_no":7,"more":1}', 0),
        (b'{"message":"AudioAdded","seq_no":7}\n', 0),
        (b'{"message":"ChannelAudioAdded","channel":"a","seq_no":7}', 0),
        (b'{"message":"AudioAdded","seq_no":"7"}', 0),
    ],
)
def test_an_acknowledgement_is_known_without_decoding_it_only_where_that_says_the_same(
    payload: bytes, number: int
) -> None:
    assert acknowledged(payload) == number
    if number:
        assert decode(payload) == {"message": "AudioAdded", "seq_no": number}
