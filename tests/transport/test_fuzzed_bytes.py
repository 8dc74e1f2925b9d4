"""Whatever bytes a server sends in place of a handshake or of frames ends in one of our errors."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import socket
from collections.abc import Iterator
from typing import Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fuzzing import (
    ACCEPTING,
    Answer,
    Conversation,
    accepting_answers,
    alterations,
    altered,
    answers,
    broken_frames,
    closing,
    conversations,
    examples,
    in_pieces,
    sizes,
)
from support.serving import PATIENCE, listening, read_request
from support.sessions import InThread, shake_hands

from speechmatics_sync import AuthenticationError, ConnectionConfig, ConnectionError, TransportError
from speechmatics_sync._model.secret import Secret
from speechmatics_sync._transport.connection import Closed, Connection

LIMIT = 1000
"""``max_size`` of the connections here, in bytes."""


# -- the handshake --------------------------------------------------------------------------------


class Answering:
    """A server that answers each handshake as it was last told to, and hangs up."""

    def __init__(self) -> None:
        self.port = 0
        self.answer: Union[Answer, bytes] = b""
        self.request = b""
        self.accept = ""
        self.said = b""

    def behave(self, connection: socket.socket) -> None:
        self.request = read_request(connection)
        key = re.search(rb"(?i)sec-websocket-key: *(\S+)", self.request)
        if key is not None:  # a proxy is asked for something else
            digest = hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
            self.accept = base64.b64encode(digest).decode()
        answer = self.answer
        self.said = answer if isinstance(answer, bytes) else answer.encoded(self.accept)
        connection.sendall(self.said)

    def connects(self, answer: Union[Answer, bytes], *, by_proxy: bool = False) -> bool:
        """Whether there is a connection after such an answer; if not, it was one of our errors."""
        self.answer = answer
        here = f"127.0.0.1:{self.port}"
        config = ConnectionConfig(
            open_timeout=PATIENCE, proxy=f"http://{here}" if by_proxy else None
        )
        host = "speech.example" if by_proxy else here
        connection = Connection(Secret(f"ws://{host}/v2?jwt=SECRET-KEY"), Secret({}), config)
        refused = None
        try:
            connection.open()
        except (ConnectionError, AuthenticationError) as error:  # and no limit has passed
            refused = str(error)
        finally:
            connection.close()
        assert refused is None or refused.isprintable()
        return refused is None


@pytest.fixture(scope="module")
def answering() -> Iterator[Answering]:
    server = Answering()
    with listening(server.behave) as server.port:
        yield server


@examples(120)
@given(answer=st.one_of(answers(), answers(), st.binary(max_size=100)))
def test_any_answer_to_the_handshake_is_a_connection_or_our_error(
    answering: Answering, answer: Union[Answer, bytes]
) -> None:
    if answering.connects(answer):
        assert re.match(rb"HTTP/1\.\d 101\b", answering.said)
        assert answering.accept.lower().encode() in answering.said.lower()


def test_cookie_is_no_reason_not_to_connect_and_is_not_sent_to_the_next(
    answering: Answering,
) -> None:
    status, *rest = ACCEPTING
    for cookie in ("a/b=c", "a=b; Domain=127.0.0.1"):
        for name in ("Set-Cookie", "  SET-COOKIE "):
            assert answering.connects(Answer((status, f"{name}: {cookie}", *rest)))
            assert b"ookie" not in answering.request


@examples(25)
@given(answer=accepting_answers)
def test_valid_answer_connects_whatever_else_is_in_it(answering: Answering, answer: Answer) -> None:
    assert answering.connects(answer)


def test_valid_answer_that_is_cut_is_our_error_wherever_it_is_cut(answering: Answering) -> None:
    assert answering.connects(Answer(ACCEPTING))
    size = len(answering.said)
    for at in range(size):
        cut = ("cut", (at + 0.5) / size, b"")
        assert not answering.connects(Answer(ACCEPTING, changes=(cut,)))


@examples(40)
@given(answer=st.one_of(answers(), st.binary(max_size=100)))
def test_any_answer_of_a_proxy_is_our_error(
    answering: Answering, answer: Union[Answer, bytes]
) -> None:
    assert not answering.connects(answer, by_proxy=True)  # for nobody is behind it


# -- frames ---------------------------------------------------------------------------------------

Heard = tuple[list[bytes], Union[Closed, str]]


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def heard(listener: socket.socket, pieces: list[bytes]) -> Heard:
    """The messages that come out of bytes, and how it ended; each piece is one read."""

    def accept() -> socket.socket:
        peer, _ = listener.accept()
        shake_hands(peer)
        return peer

    url = f"ws://127.0.0.1:{listener.getsockname()[1]}/v2"
    connection = Connection(
        Secret(url), Secret({}), ConnectionConfig(max_size=LIMIT, open_timeout=PATIENCE)
    )
    accepting = InThread(accept)
    connection.open()
    messages: list[bytes] = []
    with accepting.result() as peer, contextlib.closing(connection):
        try:
            for piece in pieces:
                peer.sendall(piece)
                ended = receive(connection, messages)
                if ended is not None:
                    return messages, ended
            peer.shutdown(socket.SHUT_WR)
            while True:
                ended = receive(connection, messages)
                if ended is not None:
                    return messages, ended
        except TransportError as error:
            for _ in range(2):
                with pytest.raises(TransportError, match=re.escape(str(error))):
                    connection.receive()
            return messages, str(error)


def receive(connection: Connection, messages: list[bytes]) -> Optional[Closed]:
    """Take in one read's worth."""
    connection.wait(PATIENCE)
    for received in connection.receive():
        if isinstance(received, Closed):
            return received
        messages.append(received)
    return None


codes = st.sampled_from([1000, 1001, 1008, 1011, 3000, 4001, 4005, 4999])


@examples(40)
@given(said=conversations(), code=codes, reason=st.binary(max_size=10), cuts=sizes)
def test_valid_frames_mean_the_same_however_they_are_cut_into_reads(
    listener: socket.socket, said: Conversation, code: int, reason: bytes, cuts: list[int]
) -> None:
    plain = said.encoded + closing(code, reason)
    told = Closed(code, reason.decode("utf-8", "replace"))
    assert heard(listener, in_pieces(plain, cuts)) == (said.messages, told)


@examples(40)
@given(said=conversations(), broken=broken_frames, cuts=sizes)
def test_frame_that_no_server_may_send_is_our_error_after_all_that_came_before(
    listener: socket.socket, said: Conversation, broken: bytes, cuts: list[int]
) -> None:
    messages, ended = heard(listener, in_pieces(said.encoded + broken, cuts))
    assert messages == said.messages
    assert isinstance(ended, str)


@examples(50)
@given(
    plain=st.one_of(
        st.binary(max_size=60),
        st.builds(
            lambda said, changes: altered(said.encoded, changes), conversations(), alterations
        ),
    ),
    cuts=sizes,
)
def test_any_bytes_end_the_same_however_they_are_cut_into_reads(
    listener: socket.socket, plain: bytes, cuts: list[int]
) -> None:
    assert heard(listener, in_pieces(plain, cuts)) == heard(listener, [plain] if plain else [])
