"""Whatever answers the handshake, or does not: the documented error, in time, without the key."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from support.proxying import full_port
from support.secrecy import KEY, all_said_by, everything_logged
from support.serving import PATIENCE, answering, listening, read_request, refusing, serving
from support.sessions import (
    RAW,
    InThread,
    client_of,
    receive_frame,
    send_frame,
    shake_hands,
    speech,
    start_below,
    wait_for,
)

from speechmatics_sync import (
    AuthenticationError,
    Client,
    ConnectionConfig,
    ConnectionError,
    SessionError,
    SpeechmaticsError,
    TimeoutError,
)

NEVER = 10 * PATIENCE
"""A limit that no test lives to see."""


def attempt(url: str, *, open_timeout: float = PATIENCE, **settings: Any) -> SpeechmaticsError:
    """Connect with a key; return the error, which nowhere shows the key."""
    config = ConnectionConfig(open_timeout=open_timeout, **settings)
    client = Client(api_key=KEY, url=url, conn_config=config, reconnect=None)
    with everything_logged() as said, client:
        with pytest.raises(SpeechmaticsError) as raised:
            client.transcribe(speech(0.1), audio_format=RAW)
        assert raised.value.request_id == client.request_id
        assert raised.value.transcript is not None
    # If the key is in the URL, it is in a local variable of the test itself.
    assert KEY not in all_said_by(raised.value, variables=KEY not in url)
    assert KEY not in "\n".join(said)
    assert KEY[:20] not in str(raised.value)
    return raised.value


@contextlib.contextmanager
def at(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    with listening(behave) as port:
        yield f"ws://localhost:{port}/v2"


def answer(status: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


# -- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_refused_key_is_an_authentication_error(status: int) -> None:
    with at(answering(answer(f"{status} No"))) as url:
        error = attempt(url)
    assert isinstance(error, AuthenticationError)
    assert error.status == status
    assert f"HTTP {status}" in str(error)


@pytest.mark.parametrize("status", [200, 204, 400, 404, 405, 426, 500, 502, 503, 504, 599])
def test_other_answers_are_connection_errors_with_their_status(status: int) -> None:
    with at(answering(answer(f"{status} Something", body=b"the reason why"))) as url:
        error = attempt(url)
    assert isinstance(error, ConnectionError)
    assert error.status == status
    assert f"HTTP {status}" in str(error)
    assert "the reason why" in str(error)


def test_busy_server_says_when_to_come_back() -> None:
    with at(answering(answer("429 Too Many Requests", "Retry-After: 7"))) as url:
        error = attempt(url)
    assert isinstance(error, ConnectionError)
    assert (error.status, error.retry_after) == (429, "7")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("location", ["ws://localhost:{}/v2?jwt=x", None])
def test_redirect_is_not_followed_with_the_key(status: int, location: Any) -> None:
    visited = threading.Event()
    with listening(lambda _: visited.set()) as elsewhere:
        headers = [f"Location: {location.format(elsewhere)}"] if location else []
        with at(answering(answer(f"{status} Go", *headers))) as url:
            error = attempt(url)
    assert isinstance(error, ConnectionError)
    assert error.status == status
    assert "edirect" in str(error)
    assert "jwt" not in str(error)
    assert not visited.is_set()


@pytest.mark.parametrize("status", [301, 307, 308])
def test_redirect_is_no_connection_even_if_it_looks_like_one(status: int) -> None:
    def behave(connection: socket.socket) -> None:
        connection.sendall(accepting(read_request(connection), f"{status} Go"))
        silent(connection)

    with at(behave) as url:
        error = attempt(url)
    assert isinstance(error, ConnectionError)
    assert error.status == status


# -- what a body may do -------------------------------------------------------------------------


def echoing(before: bytes, after: bytes = b"") -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        sent = re.search(rb"(?i)authorization: *([^\r]+)", read_request(connection))
        assert sent is not None, "no key was sent"
        body = before + sent[1] + after
        connection.sendall(answer("400 Bad", f"X-Echo: {KEY}", body=body))

    return behave


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"You sent ", b"!"),
        (b"", b""),
        (b'{"error": "bad key ', b'"}'),
        (b'{"code": 1, "sent": "', b'"}'),
        (b"x" * 190, b""),
        (b" " * 1990, b" " * 3000),
        (b"x" * 490, b""),
        (b"<html>", b"</html>"),
    ],
)
def test_answer_that_repeats_the_key_does_not_show_it(before: bytes, after: bytes) -> None:
    with at(echoing(before, after)) as url:
        error = attempt(url)
    assert isinstance(error, ConnectionError)
    assert error.status == 400


def test_redirect_that_repeats_the_key_does_not_show_it() -> None:
    location = f"Location: wss://speech.example/{KEY}?jwt={KEY}"
    with at(answering(answer("302 Found", location))) as url:
        assert isinstance(attempt(url), ConnectionError)


def test_broken_head_that_repeats_the_key_does_not_show_it() -> None:
    for head in (f"HTTP/1.1 101 Ok\r\nX: {KEY}\xff", f"{KEY}", f"HTTP/1.1 101 Ok\r\n{KEY}"):
        with at(answering(head.encode("latin-1") + b"\r\n\r\n")) as url:
            assert isinstance(attempt(url), ConnectionError)


def test_key_in_the_query_is_not_shown_either() -> None:
    with at(answering(answer("404 Not Found", body=f"no /v2?jwt={KEY}".encode()))) as url:
        assert isinstance(attempt(f"{url}?jwt={KEY}"), ConnectionError)


def test_reason_in_json_is_told() -> None:
    with at(answering(answer("403 No", body=b'{"error": "account\\n closed"}'))) as url:
        assert "(account closed)" in str(attempt(url))


@pytest.mark.parametrize("length", ["100000000000000", "9" * 30, "-1", "abc", "17000"])
def test_length_of_a_body_is_not_believed(length: str) -> None:
    response = f"HTTP/1.1 500 Oops\r\nContent-Length: {length}\r\n\r\nabc".encode()
    with at(answering(response)) as url:
        error = attempt(url)
    assert isinstance(error, ConnectionError)
    assert error.status == 500


def test_body_without_end_is_not_read() -> None:
    sent = [0]

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 999999999\r\n\r\n")
        while True:
            connection.sendall(b"x" * 1_000_000)
            sent[0] += 1_000_000

    with at(behave) as url:
        assert isinstance(attempt(url), ConnectionError)
    assert sent[0] < 32_000_000, "more than the network's own buffers hold"


def test_body_that_does_not_come_is_not_waited_for() -> None:
    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\nabc")
        silent(connection)

    with at(behave) as url:
        error = attempt(url, open_timeout=NEVER)
    assert isinstance(error, AuthenticationError)


# -- what is no handshake -----------------------------------------------------------------------


def accepting(request: bytes, status: str = "101 Switching Protocols", accept: str = "") -> bytes:
    key = re.search(rb"(?i)sec-websocket-key: *(\S+)", request)
    assert key is not None
    digest = hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    lines = [
        f"HTTP/1.1 {status}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept or base64.b64encode(digest).decode()}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.example ESMTP\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 abc Def\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"\xff\xfe\n" * 100,
        b"x" * 100_000,
        b"HTTP/1.1 101 Ok\r\n" + b"X: y\r\n" * 20_000,
        b"HTTP/1.1 200 Ok\r\n" + b"X: y\r\n" * 20_000,
        b"HTTP/1.1 101 Ok\r\nno colon\r\n\r\n",
        b"HTTP/1.1 101 Ok\r\nX: \xff\xfe\r\n\r\n",
        b"HTTP/1.1 101 Ok\r\n\r\n",
        b"HTTP/1.1 101 Ok\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\nno colon\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
)
def test_port_that_is_no_websocket_is_a_connection_error(response: bytes) -> None:
    with at(answering(response)) as url:
        assert isinstance(attempt(url), ConnectionError)


def test_answer_to_another_handshake_is_refused() -> None:
    def behave(connection: socket.socket) -> None:
        connection.sendall(accepting(read_request(connection), accept="c" * 27 + "="))
        silent(connection)

    with at(behave) as url:
        assert isinstance(attempt(url), ConnectionError)


def test_answer_in_another_case_is_to_another_handshake() -> None:
    def behave(connection: socket.socket) -> None:
        right = re.search(rb"Accept: (\S+)", accepted := accepting(read_request(connection)))
        assert right is not None
        connection.sendall(accepted.replace(right[1], right[1].swapcase()))
        silent(connection)

    with at(behave) as url:
        error = attempt(url)
    assert isinstance(error, ConnectionError)
    assert "Sec-WebSocket-Accept" in str(error)


@pytest.mark.parametrize(
    "agreed",
    [
        "Sec-WebSocket-Extensions: permessage-deflate",
        "sec-websocket-extensions : permessage-deflate; server_no_context_takeover",
        "Sec-WebSocket-Extensions:\r\nSec-WebSocket-Extensions: x-unknown",
        "Sec-WebSocket-Protocol: chat",
    ],
)
def test_answer_that_agrees_to_more_than_was_asked_is_refused(agreed: str) -> None:
    def behave(connection: socket.socket) -> None:
        accepted = accepting(read_request(connection))
        connection.sendall(accepted.replace(b"\r\n\r\n", f"\r\n{agreed}\r\n\r\n".encode()))
        silent(connection)

    with at(behave) as url:
        error = attempt(url)
    assert isinstance(error, ConnectionError)
    assert "was not asked for" in str(error)
    assert agreed.split(":")[0].strip().lower() in str(error).lower()


@pytest.mark.parametrize("read_first", [True, False])
def test_connection_closed_at_once_is_a_connection_error(read_first: bool) -> None:
    with at(answering(b"") if read_first else lambda _: None) as url:
        assert isinstance(attempt(url), ConnectionError)


def test_port_that_is_closed_is_a_connection_error() -> None:
    with refusing() as port:
        error = attempt(f"ws://127.0.0.1:{port}/v2")
    assert isinstance(error, ConnectionError)
    assert f"127.0.0.1:{port}" in str(error)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 64 + ".invalid"])
def test_host_that_is_not_known_is_a_connection_error(host: str) -> None:
    error = attempt(f"wss://{host}/v2")
    assert isinstance(error, ConnectionError)
    assert host in str(error)


# -- time ---------------------------------------------------------------------------------------


def test_silent_server_is_given_up_within_open_timeout() -> None:
    with at(silent) as url:
        error = attempt(url, open_timeout=0.3)
    assert isinstance(error, TimeoutError)
    assert "open_timeout (0.3 s)" in str(error)


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 101 Switching Protocols\r\nX: "])
def test_trickling_server_is_given_up_within_open_timeout(beginning: bytes) -> None:
    stop = threading.Event()

    def trickle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(beginning)
        while not stop.wait(0.02):
            connection.sendall(b"x")

    with at(trickle) as url:
        error = attempt(url, open_timeout=0.5)
        stop.set()
    assert isinstance(error, TimeoutError)
    assert "open_timeout" in str(error)


def test_address_that_takes_nobody_is_given_up_within_open_timeout() -> None:
    with full_port() as port:
        error = attempt(f"ws://127.0.0.1:{port}/v2", open_timeout=0.3)
    assert isinstance(error, TimeoutError)
    assert "open_timeout" in str(error)


def test_close_ends_the_handshake() -> None:
    asked = threading.Event()

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        asked.set()
        silent(connection)

    with at(behave) as url, client_of(url, open_timeout=NEVER) as client:
        call = InThread(client.transcribe, speech(0.1), audio_format=RAW)
        wait_for(asked)
        client.close()
        with pytest.raises(SessionError):
            call.result()


def test_client_that_met_a_refusal_can_go_on() -> None:
    def behave(peer: Any) -> None:
        peer.start()
        peer.finish()

    refusals = [503, 401]

    def judge(connection: Any, request: Any) -> Any:
        return connection.respond(refusals.pop(), "no") if refusals else None

    with serving(behave, process_request=judge) as url, client_of(url) as client:
        with pytest.raises(AuthenticationError):
            client.transcribe(speech(0.1), audio_format=RAW)
        with pytest.raises(ConnectionError):
            client.transcribe(speech(0.1), audio_format=RAW)
        client.transcribe(speech(0.1), audio_format=RAW)


# -- starting -----------------------------------------------------------------------------------


def test_frames_that_come_with_the_handshake_are_read() -> None:
    def behave(connection: socket.socket) -> None:
        # One write: the client finds the answer and the frame in one piece.
        info = b'\x81\x1b{"message": "Info", "x": 1}'
        assert len(info) == 2 + 0x1B
        connection.sendall(accepting(read_request(connection)) + info)
        silent(connection)

    with at(behave) as url, client_of(url, close_timeout=0.2) as client:
        told = threading.Event()
        client.on("Info", lambda _: told.set())
        call = InThread(client.transcribe, speech(0.1), audio_format=RAW)
        wait_for(told)
        client.close()
        with pytest.raises(SessionError):
            call.result()


def test_error_in_place_of_recognition_started_is_raised_at_once() -> None:
    def behave(connection: socket.socket) -> None:
        shake_hands(connection)
        receive_frame(connection)
        send_frame(connection, {"message": "Error", "type": "invalid_model", "reason": "no"})
        silent(connection)

    with at(behave) as url, pytest.raises(SpeechmaticsError, match="invalid_model"):
        client_of(url, start_timeout=NEVER, close_timeout=0.2).start_session()


def test_start_may_take_longer_than_opening() -> None:
    timed_out = threading.Event()

    def behave(connection: socket.socket) -> None:
        shake_hands(connection)
        receive_frame(connection)
        timed_out.wait(0.6)
        send_frame(connection, {"message": "RecognitionStarted", "id": "late"})
        silent(connection)

    limits = {"open_timeout": 0.3, "start_timeout": NEVER, "close_timeout": 0.2}
    with at(behave) as url, client_of(url, **limits) as client:
        assert client.start_session().session_id == "late"


def test_start_that_does_not_come_is_given_up_within_start_timeout() -> None:
    def behave(connection: socket.socket) -> None:
        shake_hands(connection)
        silent(connection)

    with at(behave) as url, pytest.raises(TimeoutError, match="start_timeout"):
        client_of(url, start_timeout=0.3).start_session()


def test_session_that_starts_after_all_this_runs() -> None:
    def behave(connection: socket.socket) -> None:
        start_below(connection)
        silent(connection)

    with at(behave) as url, client_of(url, close_timeout=0.2) as client:
        assert client.start_session().is_running
