"""No key, password or header is in what an error tracker, a debug switch or a log shows."""

from __future__ import annotations

import contextlib
import http.client
import io
import logging
import socket
from collections.abc import Iterator
from typing import Any, Callable

import pytest
import websocket
from support.key_platform import CREATED, read_order
from support.secrecy import KEY, everything_logged, variables_of
from support.serving import Peer, listening, read_request, serving
from support.sessions import RAW, speech

from speechmatics_sync import (
    AuthBase,
    AuthenticationError,
    Client,
    ConnectionConfig,
    JWTAuth,
    MultiChannelClient,
    StaticKeyAuth,
    transcribe,
    transcribe_many,
)
from speechmatics_sync.local import CountedRecognizer, LocalServer

HEADERS = {"X-Key": KEY}
CLOSED = f"ws://127.0.0.1:1/v2?jwt={KEY}"
"""A server that is not there."""


class Vault(AuthBase):
    """Returns what a test has it return."""

    def __init__(self, headers: Any) -> None:
        self.headers = lambda: headers

    def get_auth_headers(self) -> dict[str, str]:
        return self.headers()  # type: ignore[no-any-return]


def succeed(peer: Peer) -> None:
    peer.start()
    peer.finish()


def closed() -> Client:
    return Client(api_key=KEY, url=CLOSED, reconnect=None)


def channels() -> MultiChannelClient:
    return MultiChannelClient(api_key=KEY, url=CLOSED, reconnect=None)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Client(api_key=KEY, reconnect=5),  # type: ignore[arg-type]
        lambda: Client(StaticKeyAuth(KEY), api_key=KEY),
        lambda: Client(api_key=KEY, url=f"ftp://speech.example/v2?jwt={KEY}"),
        lambda: Client(api_key=KEY, url=f"wss://user:{KEY}@speech.example/v2"),
        lambda: Client(api_key=KEY, url=f"ws://speech.example/v2?jwt={KEY}"),
        lambda: Client(api_key=f"{KEY} {KEY}"),
        lambda: Client(KEY, reconnect=5),  # type: ignore[arg-type]
        lambda: Client([KEY]),  # type: ignore[arg-type]
        lambda: Client(api_key=[KEY]),  # type: ignore[arg-type]
        lambda: StaticKeyAuth(f"{KEY} {KEY}"),
        lambda: JWTAuth(KEY, ttl=1),
        lambda: JWTAuth(f"{KEY} {KEY}"),
        lambda: JWTAuth("a-key", mp_url=f"https://user:{KEY}@mp.example"),
        lambda: ConnectionConfig(proxy=f"ftp://user:{KEY}@proxy.example"),
        lambda: ConnectionConfig(proxy=f"http://user:{KEY}@proxy.example", max_size=0),
        lambda: ConnectionConfig(10, proxy=f"http://user:{KEY}@proxy.example", max_size=0),
        lambda: ConnectionConfig(proxy=[KEY]),  # type: ignore[arg-type]
        lambda: transcribe(
            speech(0.1), api_key=KEY, url=CLOSED, ws_headers=HEADERS, reconnect=None
        ),
        lambda: transcribe(5, api_key=KEY, url=CLOSED, ws_headers=HEADERS),
        lambda: transcribe(5, auth=KEY, url=CLOSED),
        lambda: transcribe_many([], api_key=KEY, url=CLOSED, reconnect=5),
        lambda: transcribe_many([], api_key=KEY, ws_headers={"X-Key": f"{KEY}\n"}, url=CLOSED),
        lambda: transcribe_many([], api_key=KEY, url=CLOSED, ledger=f"postgres://{KEY}@host/done"),
        lambda: transcribe_many([], auth=KEY, url=CLOSED, ws_headers=HEADERS, other=5),
        lambda: next(
            transcribe_many(
                [speech(0.1)],
                auth=KEY,
                url=CLOSED,
                ws_headers=HEADERS,
                on_error="raise",
                reconnect=None,
            )
        ),
        lambda: closed().transcribe(5, ws_headers=HEADERS),
        lambda: closed().transcribe(speech(0.1), audio_format=RAW, ws_headers=HEADERS),
        lambda: closed().transcribe(speech(0.1), ws_headers={"X-Key": f"{KEY}\n"}),
        lambda: closed().transcribe(speech(0.1), ws_headers=[KEY]),  # type: ignore[arg-type]
        lambda: closed().stream(speech(0.1), audio_format=RAW, ws_headers=HEADERS),
        lambda: closed().start_session(audio_format=RAW, ws_headers=HEADERS),
        lambda: closed().start_session(audio_format=5, ws_headers=HEADERS),  # type: ignore[arg-type]
        lambda: channels().transcribe({"a": 5}, ws_headers=HEADERS),
        lambda: channels().stream({"a": speech(0.1)}, audio_format=RAW, ws_headers=HEADERS),
        lambda: channels().start_session(channels="a", ws_headers=HEADERS),
        lambda: channels().start_session(channels=["a"], audio_format=RAW, ws_headers=HEADERS),
        lambda: Client(Vault([KEY]), url=CLOSED).transcribe(speech(0.1), audio_format=RAW),
        lambda: Client(Vault({"X": f"{KEY}\n"}), url=CLOSED).start_session(audio_format=RAW),
        lambda: LocalServer(recognizer=CountedRecognizer(), api_keys=[KEY, " "]),
        lambda: LocalServer(recognizer=CountedRecognizer(), api_keys=KEY, port=-1),
    ],
)
def test_no_variable_of_ours_holds_a_secret(call: Callable[[], Any]) -> None:
    with pytest.raises(Exception) as raised:
        call()
    assert KEY not in variables_of(raised.value)
    assert KEY not in str(raised.value)


def test_no_variable_of_ours_holds_a_secret_when_a_handler_raises() -> None:
    def handle(message: Any) -> None:
        raise ValueError("from a handler")

    with serving(succeed) as url:
        client = Client(api_key=KEY, url=f"{url}?jwt={KEY}")
        client.on("RecognitionStarted", handle)
        with client, pytest.raises(ValueError, match="from a handler") as raised:
            client.transcribe(speech(0.1), audio_format=RAW, ws_headers=HEADERS)
    assert KEY not in variables_of(raised.value)


def test_no_variable_of_ours_holds_the_password_of_a_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"ftp://user:{KEY}@proxy.example")
    with pytest.raises(ValueError, match="https_proxy") as raised:
        Client(api_key=KEY, url="wss://speech.example/v2").start_session(audio_format=RAW)
    assert KEY not in variables_of(raised.value)


# -- what a program switches on for all its connections -----------------------------------------


@contextlib.contextmanager
def traced_websockets() -> Iterator[io.StringIO]:
    traced = io.StringIO()
    websocket.enableTrace(True, handler=logging.StreamHandler(traced))
    try:
        yield traced
    finally:
        websocket.enableTrace(False)


def test_trace_of_all_websockets_shows_no_secret() -> None:
    def repeat(connection: Any, request: Any, response: Any) -> None:
        response.headers["X-Key"] = KEY
        del response.headers["Connection"]
        response.headers["Connection"] = f"Upgrade, {KEY}"

    asked: list[Any] = []

    def behave(peer: Peer) -> None:
        asked.append((peer.path, peer.headers))
        succeed(peer)

    server = serving(behave, process_response=repeat)
    with (
        traced_websockets() as traced,
        server as url,
        Client(api_key=KEY, url=f"{url}?jwt={KEY}") as client,
    ):
        client.transcribe(speech(0.1), audio_format=RAW, ws_headers=HEADERS)
    assert "request header" in traced.getvalue(), "nothing was traced"
    assert "101" in traced.getvalue()
    assert KEY not in traced.getvalue()
    ((path, headers),) = asked
    assert f"jwt={KEY}" in path
    assert (headers["Authorization"], headers["X-Key"]) == (f"Bearer {KEY}", KEY)


def test_trace_of_a_refusal_shows_no_secret() -> None:
    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(f"HTTP/1.1 401 {KEY}\r\nX: {KEY}\r\n\r\n".encode())

    refused = pytest.raises(AuthenticationError, match="401")
    with traced_websockets() as traced, listening(behave) as port, refused:
        Client(api_key=KEY, url=f"ws://localhost:{port}/v2").start_session()
    assert "request header" in traced.getvalue()
    assert KEY not in traced.getvalue()


def test_debug_output_of_http_client_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def behave(connection: socket.socket) -> None:
        read_order(connection)
        connection.sendall(CREATED)

    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    with everything_logged() as said, listening(behave) as port:
        headers = JWTAuth(KEY, mp_url=f"http://127.0.0.1:{port}").get_auth_headers()
    printed = capsys.readouterr().out + "".join(said)
    assert KEY not in printed
    assert headers["Authorization"].partition(" ")[2] not in printed
