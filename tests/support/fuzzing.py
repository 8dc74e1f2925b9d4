"""What a server may send, valid, garbled and made up, as strategies for `hypothesis`."""

from __future__ import annotations

import copy
import json
import os
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from hypothesis import settings
from hypothesis import strategies as st

TEXT, BINARY, CONTINUES, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def examples(count: int) -> settings:
    """Try so many examples in CI, always the same; elsewhere a quarter, others each time.

    ``FUZZ=100`` tries a hundred times as many.
    """
    in_ci = os.environ.get("CI") == "true"
    times = float(os.environ.get("FUZZ", "1" if in_ci else "0.25"))
    return settings(max_examples=max(1, int(count * times)), derandomize=in_ci)


# -- bytes ----------------------------------------------------------------------------------------

alterations = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "drop", "insert", "repeat"]),
        st.floats(0, 1),
        st.one_of(
            st.binary(min_size=1, max_size=4), st.sampled_from([b"\r\n", b"\n", b":", b"\0"])
        ),
    ),
    min_size=1,
    max_size=3,
)


def altered(plain: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    """Bytes with changes at places that are given as fractions of their length."""
    for kind, where, some in changes:
        at = int(where * len(plain))
        end = at + len(some)
        if kind == "flip":
            plain = plain[:at] + some + plain[end:]
        elif kind == "cut":
            plain = plain[:at]
        elif kind == "drop":
            plain = plain[:at] + plain[end:]
        elif kind == "insert":
            plain = plain[:at] + some + plain[at:]
        else:
            plain = plain[:at] + plain[at : at + 50] + plain[at:]
    return plain


def in_pieces(plain: bytes, sizes: list[int]) -> list[bytes]:
    """Bytes in pieces of these sizes, over and over."""
    pieces, at, turn = [], 0, 0
    while at < len(plain):
        size = sizes[turn % len(sizes)]
        pieces.append(plain[at : at + size])
        at, turn = at + size, turn + 1
    return pieces


sizes = st.lists(st.one_of(st.integers(1, 4), st.integers(1, 400)), min_size=1, max_size=6)


# -- answers to the handshake ---------------------------------------------------------------------

ACCEPTING = (
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: {accept}",
)
"""The lines of a valid answer."""

harmless_headers = st.sampled_from(
    [
        "Date: Thu, 01 Jan 1970 00:00:00 GMT",
        "Set-Cookie: AWSALB=abc; Path=/; Domain=localhost",
        "Set-Cookie: a/b=c",
        "Set-Cookie: a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly\r\nSet-Cookie: \x7f=\x01",
        "Content-Length: 99999999999999999999",
        "Content-Length: -1",
        "Transfer-Encoding: chunked",
        "Retry-After: tomorrow",
        "Location: wss://[::1",
        "Server:",
        "X: " + "y" * 3000,
        "\r\n".join(f"X-{number}: {number}" for number in range(150)),
    ]
)
odd_headers = st.one_of(
    harmless_headers,
    st.sampled_from(
        [
            "no colon",
            ": no name",
            " folded",
            "Content-Length: 5",
            "Content-Length: 5\r\nContent-Length: 6",
            "Location: \xff",
            "Sec-WebSocket-Accept: \xe9",
            "Sec-WebSocket-Protocol: none\r\nSec-WebSocket-Extensions: permessage-deflate",
            "X: " + "y" * 40_000,
        ]
    ),
)
status_lines = st.one_of(
    st.sampled_from(
        [
            "HTTP/1.1 101",
            "HTTP/1.0 101 Ok",
            "HTTP/1.1 101-2 Ok",
            "HTTP/1.1  101 Ok",
            "HTTP/2 101 Ok",
            "HTTP/1.1 1010 Ok",
            "HTTP/1.1 000 Nothing",
            "HTTP/1.1 \xb2\xb3\xb9 Ok",
            "SSH-2.0-OpenSSH_9.6",
            "",
        ]
    ),
    st.integers(100, 999).map(lambda status: f"HTTP/1.1 {status} Said"),
)
bodies = st.one_of(
    st.binary(max_size=50),
    st.sampled_from(
        [
            b'{"error": {"deep": [1]}}',
            b'{"error": no}',
            b"{" + b"\xff" * 300,
            b'{"error": "no", "reason": 5}',
            b'{"error": "\\ud800"}',
            b'{"error": ' + b"9" * 5000 + b"}",
            b'{"a":' * 3000,
            b"{" + b"[" * 15_000,
        ]
    ),
)


class Answer(NamedTuple):
    """An answer to a handshake; ``{accept}`` stands for the proof that only the server can give."""

    lines: tuple[str, ...]
    body: bytes = b""
    changes: tuple[tuple[str, float, bytes], ...] = ()

    def encoded(self, accept: str) -> bytes:
        head = "\r\n".join([*self.lines, "", ""]).replace("{accept}", accept)
        return altered(head.encode("latin-1") + self.body, list(self.changes))


accepting_answers = st.lists(harmless_headers, max_size=3, unique=True).map(
    lambda further: Answer((ACCEPTING[0], *further, *ACCEPTING[1:]))
)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Answers of every kind, most of them wrong."""
    kind = draw(st.sampled_from(["altered", "refusing", "assembled"]))
    if kind == "altered":
        return draw(accepting_answers)._replace(changes=tuple(draw(alterations)))
    further = draw(st.lists(odd_headers, max_size=3))
    body = draw(bodies)
    if kind == "refusing":
        status = draw(st.sampled_from([301, 400, 401, 403, 404, 429, 500, 503]))
        announced = draw(st.sampled_from([len(body)] * 3 + [len(body) + 1, len(body) // 2]))
        return Answer((f"HTTP/1.1 {status} No", *further, f"Content-Length: {announced}"), body)
    some = draw(st.lists(st.sampled_from([*ACCEPTING[1:], "Sec-WebSocket-Accept: x"]), max_size=4))
    changes = draw(st.one_of(st.just([]), alterations))
    return Answer((draw(status_lines), *further, *some), body, tuple(changes))


# -- frames ---------------------------------------------------------------------------------------


def frame(
    payload: bytes = b"",
    opcode: int = TEXT,
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: Optional[bytes] = None,
    length: Optional[int] = None,
    width: int = 0,
) -> bytes:
    """A frame, whose ``length`` may be wrong or take more bytes (``width``) than it needs."""
    size = len(payload) if length is None else length
    width = max(width, 0 if size < 126 else 2 if size < 65536 else 8)
    told = {0: size, 2: 126, 8: 127}[width]
    head = bytes([fin << 7 | rsv << 4 | opcode, (0x80 if mask else 0) | told])
    head += {0: b"", 2: struct.pack("!H", size & 0xFFFF), 8: struct.pack("!Q", size)}[width]
    return head + (mask or b"") + payload


def closing(code: int, reason: bytes = b"") -> bytes:
    """A close frame."""
    return frame(struct.pack("!H", code) + reason, CLOSE)


class Conversation(NamedTuple):
    """The bytes that a server sends, and the messages in them."""

    encoded: bytes
    messages: list[bytes]


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """Valid messages, whole and in fragments, with control frames between them."""
    encoded, messages = b"", []
    controls = st.lists(
        st.tuples(st.binary(max_size=5), st.sampled_from([PING, PONG])), max_size=2
    ).map(lambda some: b"".join(frame(*control) for control in some))
    for _ in range(draw(st.integers(0, 4))):
        fragments = draw(st.lists(st.binary(max_size=140), min_size=1, max_size=3))
        opcode = draw(st.sampled_from([TEXT, BINARY]))
        width = draw(st.sampled_from([0, 0, 2, 8]))
        for number, fragment in enumerate(fragments):
            last = number == len(fragments) - 1
            kind = CONTINUES if number else opcode
            encoded += draw(controls) + frame(fragment, kind, fin=last, width=width)
        messages.append(b"".join(fragments))
    return Conversation(encoded + draw(controls), messages)


broken_frames = st.one_of(
    st.builds(frame, st.binary(max_size=130), rsv=st.integers(1, 7)),
    st.builds(frame, st.binary(max_size=130), mask=st.binary(min_size=4, max_size=4)),
    st.builds(frame, st.binary(max_size=130), st.sampled_from([3, 4, 5, 6, 7, 11, 12, 13, 14, 15])),
    st.builds(frame, st.binary(max_size=130), st.just(CONTINUES), fin=st.booleans()),
    st.builds(frame, st.binary(max_size=125), st.sampled_from([PING, PONG]), fin=st.just(False)),
    st.builds(frame, st.just(b"\x03\xe8"), st.just(CLOSE), fin=st.just(False)),
    st.builds(
        frame,
        st.binary(max_size=5),
        st.sampled_from([PING, PONG, CLOSE]),
        length=st.integers(126, 2**63),
    ),
    st.builds(
        frame,
        st.binary(max_size=5),
        st.sampled_from([TEXT, BINARY]),
        fin=st.booleans(),
        length=st.integers(1001, 2**64 - 1),
    ),
    st.builds(frame, st.binary(min_size=1, max_size=1), st.just(CLOSE)),
    st.builds(closing, st.sampled_from([0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535])),
)
"""Frames that no server may send, to a client that takes messages of 1000 bytes."""


# -- JSON and messages ----------------------------------------------------------------------------

words = st.one_of(
    st.sampled_from(
        ["", " ", "hello", "agent", "S1", "en", "\ud800", "\0", "\u202e", "punctuation"]
    ),
    st.text(st.characters(exclude_categories=()), max_size=5),
)
numbers = st.one_of(
    st.sampled_from([0, -1, 1, 2.5, 10**400, -(10**400), float("inf"), 1e308, -1e308, 5e-324]),
    st.integers(),
    st.floats(allow_nan=False),
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)


def nested(depth: int, key: Optional[str] = None) -> Any:
    """A value inside that many lists, or objects of one member."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if key is None else {key: value}
    return value


json_texts = st.one_of(
    st.binary(max_size=40),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.tuples(json_values.map(lambda value: json.dumps({"a": value}).encode()), alterations).map(
        lambda drawn: altered(*drawn)
    ),
    st.sampled_from([10, 63, 64, 65, 500, 980, 100_000]).flatmap(
        lambda depth: st.sampled_from(
            [b'{"a":' * depth + b"1" + b"}" * depth, b'{"a":' + b"[" * depth + b"]" * depth + b"}"]
        )
    ),
    st.sampled_from(
        [
            b'{"a": NaN}',
            b'{"a": -Infinity}',
            b'{"a": 1e999}',
            b'{"a": ' + b"9" * 4000 + b"}",
            b'{"a": ' + b"9" * 5000 + b"}",
            b'{"a": 1.' + b"0" * 50_000 + b"1}",
            b'{"a": "\\ud800", "\\udfff": 1}',
            b'{"a": "\xed\xa0\x80"}',
            b'{"a": 1, "a": 2}',
            b'\xef\xbb\xbf{"a": 1}',
            b'{"a": 1}'.decode().encode("utf-16"),
            b'{"a": 1} {"b": 2}',
            b'{"a": "' + b"\\u0000" * 1000 + b'"}',
            b'{"message": []}',
            b"{}" + b" " * 5000,
        ]
    ),
)


_DECISIVE = frozenset(
    {"RecognitionStarted", "AudioAdded", "ChannelAudioAdded", "EndOfTranscript", "Error"}
)
"""Messages that a session may have only at certain points, or only once."""


class Described:
    """The messages of the API's description, as strategies.

    Args:
        spec: The whole description.
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._schemas = spec["components"]["schemas"]
        names = spec["channels"]["subscribe"]["messages"]
        self.by_name = {name: self._of(self._schemas[name]) for name in names}
        self.by_name["LanguageInfo"] = st.fixed_dictionaries(
            {"message": st.just("LanguageInfo"), "language": words, "word_delimiter": words},
            optional={"writing_direction": words, "partial": st.booleans()},
        )
        self.valid = st.one_of(*self.by_name.values())
        """One message of any name, as it may come."""
        passing = self.by_name.keys() - _DECISIVE
        self.passing = st.one_of(*(self.by_name[name] for name in sorted(passing)))
        """One message that ends no session."""

    def garbled(self, draw: st.DrawFn, valid: Optional[st.SearchStrategy[Any]] = None) -> Any:
        """Return a message with a few things in it that should not be there, or are missing."""
        message = copy.deepcopy(draw(self.valid if valid is None else valid))
        for _ in range(draw(st.integers(1, 3))):
            places = _places(message)
            how = draw(st.sampled_from(["replace", "number", "remove", "rename", "repeat", "nest"]))
            if how == "number":
                places = [place for place in places if type(_at(message, place)) in (int, float)]
            place = draw(st.sampled_from(places or [()]))
            message = _changed(message, place, how, draw)
        return message

    def _of(self, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        if "$ref" in schema:
            return self._of(self._schemas[schema["$ref"].rpartition("/")[2]])
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        if schema["type"] == "object":
            return self._object(schema)
        if schema["type"] == "array":
            least = schema.get("minItems", 0)
            items = self._of(schema["items"])
            unique = schema.get("uniqueItems", False)
            return st.lists(items, min_size=least, max_size=3, unique=unique)
        if schema["type"] == "string":
            return words.filter(len) if schema.get("minLength") else words
        if schema["type"] == "boolean":
            return st.booleans()
        if schema["type"] == "integer":
            return st.integers(-5, 10_000)
        low, high = schema.get("minimum"), schema.get("maximum")
        if high is not None:
            return st.floats(low, high) | st.integers(low, high)
        usual = st.floats(0, 20).map(lambda seconds: round(seconds, 2))
        finite = st.floats(allow_nan=False, allow_infinity=False)
        return st.one_of(usual, usual, st.integers(0, 20), finite)

    def _object(self, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        fields = {name: self._of(field) for name, field in schema["properties"].items()}
        required = {name: fields.pop(name) for name in schema.get("required", [])}
        return st.fixed_dictionaries(required, optional={**fields, "novel": json_values})


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside a message, outermost first, except for very deep ones."""
    inner: list[tuple[Any, Any]] = []
    if len(path) > 8:
        return [path]
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path, *(place for key, part in inner for place in _places(part, (*path, key)))]


def _at(message: Any, place: tuple[Any, ...]) -> Any:
    for step in place:
        message = message[step]
    return message


def _changed(message: Any, place: tuple[Any, ...], how: str, draw: st.DrawFn) -> Any:
    if not place:
        return {**message, draw(words): draw(json_values)} if isinstance(message, dict) else message
    holder, step = _at(message, place[:-1]), place[-1]
    if how == "replace":
        holder[step] = draw(json_values)
    elif how == "number":
        holder[step] = draw(st.one_of(st.sampled_from([10**400, -(10**400)]), numbers))
    elif how == "remove":
        del holder[step]
    elif how == "rename" and isinstance(holder, dict):
        holder[draw(words)] = holder.pop(step)
    elif how == "repeat" and isinstance(holder, list):
        holder.insert(step, copy.deepcopy(holder[step]))
    elif how == "nest":
        deep = st.sampled_from([1, 1, 1, 20, 60, 150])
        holder[step] = nested(draw(deep), draw(st.sampled_from([None, "a", "event"])))
    else:
        holder[step] = None
    return message
