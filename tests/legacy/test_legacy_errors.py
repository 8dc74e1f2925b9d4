"""Errors are those that programs of the old package catch."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import responses
import websockets.exceptions
from support.legacy.sessions import AUDIO, CONFIG, RAW, audio, client_of, texts_of, words_of
from support.legacy.sessions import WORDS as WORDS
from support.serving import PATIENCE, Peer, serving

import speechmatics_sync
from speechmatics_sync.legacy import strict_errors
from speechmatics_sync.legacy.client import WebsocketClient
from speechmatics_sync.legacy.exceptions import TranscriptionError
from speechmatics_sync.legacy.helpers import get_version
from speechmatics_sync.legacy.models import ConnectionSettings
from speechmatics_sync.local import (
    Close,
    CountedRecognizer,
    Drop,
    EndEarly,
    Fault,
    Faults,
    LocalServer,
    SendError,
    Warn,
)

KEY = "a-secret-key"


@pytest.fixture(scope="module")
def faults() -> Faults:
    return Faults()


@pytest.fixture(scope="module")
def url(faults: Faults) -> Iterator[str]:
    with LocalServer(recognizer=CountedRecognizer(), faults=faults, api_keys=[KEY]) as server:
        yield server.url


def run(url: str, fault: Fault, faults: Faults, *, reconnect: bool = False) -> WebsocketClient:
    """Run a session to which the fault happens."""
    faults.add(fault)
    # A chunk at a time: an end before the last is acknowledged comes before the end of the audio.
    client = client_of(url, auth_token=KEY, message_buffer_size=1)
    if not reconnect:
        client.reconnect = None
    try:
        client.run_synchronously(audio(), CONFIG, RAW)
    finally:
        faults.clear()
    return client


def test_an_error_of_the_server_has_its_reason(url: str, faults: Faults) -> None:
    with pytest.raises(TranscriptionError) as caught:
        run(url, SendError("invalid_model", "No such model"), faults)
    assert str(caught.value) == "No such model"
    cause = caught.value.__cause__
    assert isinstance(cause, speechmatics_sync.TranscriptionError)
    assert cause.type == "invalid_model"


def test_a_key_that_is_refused_in_the_session_is_an_error_of_the_server(
    url: str, faults: Faults
) -> None:
    with pytest.raises(TranscriptionError, match="Not yours"):
        run(url, SendError("not_authorised", "Not yours"), faults)


def test_a_lost_connection_is_the_error_of_websockets(url: str, faults: Faults) -> None:
    with pytest.raises(websockets.exceptions.ConnectionClosedError):
        run(url, Drop(), faults)
    with pytest.raises(websockets.exceptions.ConnectionClosedError) as caught:
        run(url, Close(1012, "restarting"), faults)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1012


@pytest.mark.parametrize("code", [1002, 3001, 4001, 4005])
def test_a_connection_that_is_closed_without_an_error_is_one_of_websockets(
    url: str, faults: Faults, code: int
) -> None:
    """A close code alone was no Error of the server."""
    with pytest.raises(websockets.exceptions.ConnectionClosedError) as caught:
        run(url, Close(code), faults)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == code


@pytest.mark.parametrize("url", ["http://a-host/v2", "localhost:9000/v2", "ws:///v2"])
def test_what_is_no_url_is_an_error_of_websockets(url: str) -> None:
    with pytest.raises(websockets.exceptions.InvalidURI, match="isn't a valid URI") as caught:
        client_of(f"{url}?jwt={KEY}").run_synchronously(audio(), CONFIG, RAW)
    assert caught.value.uri == f"{url}/en"


def test_a_host_that_is_not_known_is_the_error_of_socket() -> None:
    client = client_of("ws://no-such-host.invalid/v2")
    client.reconnect = None
    with pytest.raises(socket.gaierror):
        client.run_synchronously(audio(), CONFIG, RAW)


def test_a_lost_connection_is_replaced_by_default(
    url: str, faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    faults.add(Drop())
    client = client_of(url, auth_token=KEY)
    texts = texts_of(client)
    client.run_synchronously(audio(), CONFIG, RAW)
    assert words_of(texts) == WORDS
    assert "The connection was lost" in caplog.text


@pytest.fixture
def without_websockets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("websockets.exceptions", "websockets.datastructures", "httpx"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.usefixtures("without_websockets")
def test_the_errors_of_websockets_have_their_names_without_it(url: str, faults: Faults) -> None:
    with pytest.raises(Exception, match="connection") as closed:
        run(url, Close(1012), faults)
    assert (type(closed.value).__name__, getattr(closed.value, "code", 0)) == (
        "ConnectionClosedError",
        1012,
    )
    with pytest.raises(Exception, match="401") as refused:
        client_of(url, auth_token="wrong").run_synchronously(audio(), CONFIG, RAW)
    response: Any = getattr(refused.value, "response", None)
    assert (type(refused.value).__name__, response.status_code) == ("InvalidStatus", 401)
    with pytest.raises(Exception, match="isn't a valid URI") as invalid:
        client_of("http://a-host").run_synchronously(audio(), CONFIG, RAW)
    assert type(invalid.value).__name__ == "InvalidURI"


def test_a_refused_handshake_is_the_error_of_websockets(url: str) -> None:
    with pytest.raises(websockets.exceptions.InvalidStatus) as caught:
        client_of(url, auth_token="wrong").run_synchronously(audio(), CONFIG, RAW)
    assert caught.value.response.status_code == 401


@pytest.mark.parametrize("silent", [False, True])
def test_an_end_before_the_end_of_the_audio_is_lost_only_in_silence(
    url: str, faults: Faults, silent: bool
) -> None:
    strict_errors(not silent)
    try:
        for fault in (EndEarly(), Close(1000), Close(1001), Warn("duration_limit_exceeded")):
            if silent:
                run(url, fault, faults)
                continue
            with pytest.raises(Exception, match=r"before|100|on purpose"):
                run(url, fault, faults)
    finally:
        strict_errors()


def test_acknowledgements_are_not_checked(caplog: pytest.LogCaptureFixture) -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.take_audio(acknowledge=False)
        peer.send({"message": "EndOfTranscript"})

    with serving(behave) as url:
        client_of(url).run_synchronously(audio(), CONFIG, RAW)
    assert "unacknowledged" in caplog.text


def test_an_acknowledgement_that_does_not_come_is_a_time_limit() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.take_audio(acknowledge=False)
        peer.wait_closed()

    with serving(behave) as url:
        client = client_of(url, semaphore_timeout_seconds=0.2)
        client.reconnect = None
        with pytest.raises(asyncio.TimeoutError):
            client.run_synchronously(audio(), CONFIG, RAW)


def test_no_more_chunks_go_out_than_the_buffer_has_room_for() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        for _ in range(3):
            peer.audio.append(peer.receive())  # type: ignore[arg-type]
        with pytest.raises(TimeoutError):
            peer.connection.recv(timeout=0.2)
        peer.acknowledge()
        peer.finish()

    with serving(behave) as url:
        client_of(url, message_buffer_size=3).run_synchronously(audio(), CONFIG, RAW)


@pytest.mark.parametrize(
    ("url", "context"),
    [("ws://localhost:1/v2", ssl.create_default_context()), ("wss://localhost:1/v2", None)],
)
def test_tls_settings_fit_the_url(url: str, context: Any) -> None:
    client = WebsocketClient(ConnectionSettings(url, ssl_context=context))
    with pytest.raises(ValueError, match="ssl_context"):
        client.run_synchronously(audio(), CONFIG, RAW)


@responses.activate
def test_a_temporary_key_is_asked_for_as_before() -> None:
    responses.post(
        "https://mp.speechmatics.com/v1/api_keys", json={"key_value": "temporary"}, status=201
    )
    sent: list[Any] = []

    def behave(peer: Peer) -> None:
        sent.append(peer.headers["Authorization"])
        peer.start()
        peer.finish()

    with serving(behave) as url:
        client = client_of(url, auth_token=KEY, generate_temp_token=True, client_ref="me")
        client.run_synchronously(audio(), CONFIG, RAW)
    assert sent == ["Bearer temporary"]
    request: Any = responses.calls[0].request
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.url.partition("?")[2] == f"type=rt&sm-sdk=python-{get_version()}"
    assert sorted(request.body.decode().strip("{}").replace('"', "").split(", ")) == [
        "client_ref: me",
        "region: eu",
        "ttl: 60",
    ]


@responses.activate
@pytest.mark.usefixtures("without_websockets")
def test_a_temporary_key_that_is_refused_is_an_http_status() -> None:
    responses.post("https://mp.speechmatics.com/v1/api_keys", status=403)
    with pytest.raises(Exception, match="key") as caught:
        client_of(
            "ws://localhost:1/v2", auth_token=KEY, generate_temp_token=True
        ).run_synchronously(audio(), CONFIG, RAW)
    response: Any = getattr(caught.value, "response", None)
    assert (type(caught.value).__name__, response.status_code) == ("HTTPStatusError", 403)


def test_a_platform_that_cannot_be_reached_is_the_error_of_httpx() -> None:
    httpx: Any = pytest.importorskip("httpx")
    client = client_of(
        "ws://localhost:1/v2",
        auth_token=KEY,
        generate_temp_token=True,
        mp_url="https://no-such-host.invalid",
    )
    with pytest.raises(httpx.ConnectError, match="no-such-host") as caught:
        client.run_synchronously(audio(), CONFIG, RAW)
    assert isinstance(caught.value.__cause__, speechmatics_sync.AuthenticationError)


@pytest.mark.parametrize(
    ("url", "key"), [("ws://speech.invalid/v2", KEY), (f"ws://user:{KEY}@speech.invalid/v2", None)]
)
def test_a_key_that_goes_out_unencrypted_is_reported(
    url: str, key: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(url, auth_token=key)
    client.reconnect = None
    with pytest.raises(OSError):
        client.run_synchronously(audio(), CONFIG, RAW, timeout=PATIENCE)
    assert "speech.invalid unencrypted" in caplog.text
    assert KEY not in caplog.text


def test_settings_do_not_show_their_key() -> None:
    assert KEY not in repr(ConnectionSettings("wss://localhost", auth_token=KEY))


def test_a_path_that_has_the_language_keeps_it() -> None:
    paths: list[str] = []

    def behave(peer: Peer) -> None:
        paths.append(peer.path.replace("sm-sdk=python", "…").partition("…")[0])
        peer.start()
        peer.finish()

    with serving(behave) as url:
        for end in ("", "/", "/en", "?jwt=x"):
            client_of(url + end).run_synchronously(audio(), CONFIG, RAW)
    assert paths == ["/v2/en?", "/v2/en?", "/v2/en?", "/v2/en?jwt=x&"]
    assert AUDIO


def test_a_user_in_the_url_and_any_header_go_out_as_before() -> None:
    came: list[Any] = []

    def behave(peer: Peer) -> None:
        came.append(peer.headers)
        peer.start()
        peer.finish()

    with serving(behave) as url:
        client = client_of(url.replace("//", "//a%20user:word@"))
        client.run_synchronously(audio(), CONFIG, RAW, extra_headers={"X-Number": 7})
    assert came[0]["Authorization"] == "Basic YSB1c2VyOndvcmQ="
    assert came[0]["X-Number"] == "7"


@pytest.mark.parametrize("answer", ['{"message": "AudioAdded", "seq_no": 99}', "no JSON"])
def test_a_server_that_breaks_the_protocol_is_a_value_error(answer: str) -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.receive()
        peer.send(answer)
        peer.wait_closed()

    with serving(behave) as url, pytest.raises(ValueError, match="The server") as caught:
        client_of(url).run_synchronously(audio(), CONFIG, RAW)
    assert isinstance(caught.value.__cause__, speechmatics_sync.TransportError)
