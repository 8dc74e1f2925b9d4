"""Messages on the wire are JSON objects in UTF-8, and nothing else is taken for one."""

from __future__ import annotations

import pytest

from speechmatics_sync import TransportError
from speechmatics_sync._protocol.codec import decode


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"not JSON",
        b'{"message": "Info"',
        b'{"message": "Info"} {}',
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


def test_space_around_a_message_means_nothing() -> None:
    assert decode(b' \r\n\t{"message": "Info"} \n') == {"message": "Info"}
