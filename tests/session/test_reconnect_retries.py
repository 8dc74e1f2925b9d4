"""What is tried again when there is no connection, after how long, and how often."""

from __future__ import annotations

import dataclasses
import http
import itertools
import json
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Callable, Optional

import pytest
import responses
import trustme
from support.reconnecting import (
    POLICY,
    RECONNECTED,
    RECONNECTING,
    WORD,
    Heard,
    Legs,
    finishes,
    hears,
    loses,
    noise,
    pieces,
    refuses,
    served,
    spoken,
    transcribed,
)
from support.serving import PATIENCE, Peer, listening
from support.sessions import RAW, client_of
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

from speechmatics_sync import (
    AuthBase,
    AuthenticationError,
    Client,
    ConnectionError,
    JWTAuth,
    TimeoutError,
    TranscriptionError,
    TransportError,
)
from speechmatics_sync.local import CountedRecognizer, LocalServer, counted_audio

BUSY = {"quota_exceeded": 4005, "job_error": 4013, "internal_error": 1011}


FINAL_TYPES = ("timelimit_exceeded", "not_authorised", "not_allowed", "invalid_config")


PLATFORM = "https://mp.example.com"


class Handshakes:
    """Answers the handshakes of a server with these statuses in turn, then with 101.

    Attributes:
        at: When each came.
        keys: What each was authorised with.
    """

    def __init__(self, *statuses: Optional[int], retry_after: Optional[str] = None) -> None:
        self.at: list[float] = []
        self.keys: list[Optional[str]] = []
        self._statuses = statuses
        self._retry_after = retry_after

    def __call__(self, connection: ServerConnection, request: Request) -> Optional[Response]:
        self.at.append(time.monotonic())
        self.keys.append(request.headers.get("Authorization"))
        number = len(self.at) - 1
        status = self._statuses[number] if number < len(self._statuses) else None
        if status is None:
            return None
        response = connection.respond(http.HTTPStatus(status), "not now\n")
        if self._retry_after is not None:
            response.headers["Retry-After"] = self._retry_after
        return response


def closes(code: int) -> Callable[[Peer], None]:
    """A connection that is closed with a code, before recognition starts."""

    def behave(peer: Peer) -> None:
        peer.receive()
        peer.connection.close(code)

    return behave


def errs(type: str, *, started: bool = False) -> Callable[[Peer], None]:
    """A connection on which an Error comes in the place of RecognitionStarted, or after it."""

    def behave(peer: Peer) -> None:
        if started:
            hears(peer, 15, WORD)
        else:
            peer.receive()
        peer.send({"message": "Error", "type": type, "reason": "so it is"})
        peer.connection.close(BUSY.get(type, 1008))

    return behave


# -- before the session has started -------------------------------------------------------------


def test_a_connection_that_is_lost_before_the_start_is_replaced() -> None:
    legs = Legs(refuses, refuses, finishes(WORD))
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client)
        assert spoken(transcribed(client)) == [WORD]
    assert heard.one(RECONNECTING)["attempt"] == 1
    assert heard.one(RECONNECTED)["attempt"] == 2
    heard.one("RecognitionStarted")


@pytest.mark.parametrize("start", ["start_session", "stream"])
def test_every_way_to_start_a_session_waits_for_a_server_that_comes_back(start: str) -> None:
    legs = Legs(refuses, finishes())
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        if start == "stream":
            names = [each["message"] for each in client.stream(noise(1), audio_format=RAW)]
            assert names[-1] == "EndOfTranscript"
        else:
            assert client.start_session(audio_format=RAW).session_id == "session-2"
            client.send_audio(noise(1))
            client.stop_session(timeout=PATIENCE)


@pytest.mark.parametrize("type", BUSY)
@pytest.mark.parametrize("says", ["an Error", "a close code"])
def test_a_server_without_room_is_left_alone_for_busy_delay(type: str, says: str) -> None:
    first = errs(type) if says == "an Error" else closes(BUSY[type])
    policy = dataclasses.replace(POLICY, busy_delay=0.4)
    handshakes = Handshakes()
    with (
        served(Legs(first, finishes(WORD)), process_request=handshakes) as url,
        client_of(url, reconnect=policy) as client,
    ):
        heard = Heard(client)
        assert spoken(transcribed(client)) == [WORD]
    assert handshakes.at[1] - handshakes.at[0] >= 0.4
    assert "Error" not in heard.names  # nothing came of it


def test_a_server_that_never_has_room_is_given_up() -> None:
    policy = dataclasses.replace(POLICY, max_attempts=2)
    legs = Legs(*[errs("quota_exceeded")] * 3)
    with served(legs) as url, client_of(url, reconnect=policy) as client:
        heard = Heard(client)
        with pytest.raises(TranscriptionError) as raised:
            transcribed(client)
    assert (raised.value.type, raised.value.close_code) == ("quota_exceeded", 4005)
    assert len(legs.peers) == 3
    heard.one("Error")
    heard.one(RECONNECTING)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_handshake_that_is_answered_with_a_passing_status_is_tried_again(status: int) -> None:
    handshakes = Handshakes(status, status)
    with (
        served(Legs(finishes(WORD)), process_request=handshakes) as url,
        client_of(url, reconnect=POLICY) as client,
    ):
        assert spoken(transcribed(client)) == [WORD]
    assert len(handshakes.at) == 3


def test_retry_after_is_respected() -> None:
    handshakes = Handshakes(503, retry_after="1")
    with (
        served(Legs(finishes()), process_request=handshakes) as url,
        client_of(url, reconnect=POLICY) as client,
    ):
        transcribed(client)
    assert handshakes.at[1] - handshakes.at[0] >= 1


def test_a_retry_after_that_is_longer_than_audio_can_wait_is_an_error() -> None:
    handshakes = Handshakes(503, retry_after="3600")
    with (
        served(Legs(), process_request=handshakes) as url,
        client_of(url, reconnect=POLICY) as client,
        pytest.raises(ConnectionError) as raised,
    ):
        transcribed(client)
    assert raised.value.status == 503
    assert len(handshakes.at) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 500])
def test_any_other_status_is_raised_at_once(status: int) -> None:
    handshakes = Handshakes(status)
    with (
        served(Legs(), process_request=handshakes) as url,
        client_of(url, reconnect=POLICY) as client,
    ):
        heard = Heard(client, RECONNECTING)
        with pytest.raises((ConnectionError, AuthenticationError)) as raised:
            transcribed(client)
    assert raised.value.status == status  # type: ignore[union-attr]
    assert len(handshakes.at) == 1
    assert heard.messages == []


def unreachable(kind: str) -> Iterator[str]:
    if kind == "a refused connection":
        with listening(lambda connection: None) as port:
            pass
        yield f"ws://127.0.0.1:{port}/v2"
    elif kind == "an unknown host":
        yield "ws://there-is-no-such-host.invalid/v2"
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("localhost").configure_cert(context)
        with served(Legs(), ssl_context=context) as url:
            yield url


@pytest.mark.parametrize("kind", ["a refused connection", "an unknown host", "failed TLS"])
def test_where_there_is_no_server_the_first_attempt_is_the_last(kind: str) -> None:
    urls = unreachable(kind)
    with client_of(next(urls), reconnect=POLICY) as client:
        heard = Heard(client, RECONNECTING)
        with pytest.raises(ConnectionError):
            transcribed(client)
    assert next(urls, None) is None
    assert heard.messages == []


@pytest.mark.parametrize("type", FINAL_TYPES)
def test_an_error_that_will_not_pass_is_raised_at_once(type: str) -> None:
    legs = Legs(errs(type))
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client)
        with pytest.raises((TranscriptionError, AuthenticationError)) as raised:
            transcribed(client)
    assert raised.value.type == type  # type: ignore[union-attr]
    assert len(legs.peers) == 1
    heard.one("Error")


def test_a_server_that_does_not_start_the_session_is_asked_once_more() -> None:
    legs = Legs(Peer.wait_closed, finishes(WORD))
    with served(legs) as url, client_of(url, reconnect=POLICY, start_timeout=0.3) as client:
        assert spoken(transcribed(client)) == [WORD]
    legs = Legs(Peer.wait_closed, Peer.wait_closed)
    with (
        served(legs) as url,
        client_of(url, reconnect=POLICY, start_timeout=0.3) as client,
        pytest.raises(TimeoutError, match="start_timeout"),
    ):
        transcribed(client)
    assert len(legs.peers) == 2


# -- after it has started -----------------------------------------------------------------------


def test_a_server_that_is_started_anew_goes_on_with_the_session() -> None:
    server = LocalServer(recognizer=CountedRecognizer(delay=0.3), strict=True)
    audio = counted_audio(8)
    gone = threading.Event()
    with server, client_of(server.url, reconnect=POLICY) as client:
        heard = Heard(client, RECONNECTING, RECONNECTED)
        client.on(RECONNECTING, lambda message: gone.set())
        client.start_session(audio_format=RAW)
        for at, chunk in enumerate(pieces(audio)):
            if at == 20:
                server.stop()
                assert gone.wait(PATIENCE)
            client.send_audio(chunk, timeout=PATIENCE)
        server.start()
        transcript = client.stop_session(timeout=PATIENCE)
    assert [word.content for word in transcript.words] == [f"w{n}" for n in range(1, 9)]
    assert heard.names == [RECONNECTING, RECONNECTED]


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_after_the_start_a_refusing_server_is_tried_again(status: int) -> None:
    handshakes = Handshakes(None, status)
    with (
        served(Legs(loses(15, WORD), finishes()), process_request=handshakes) as url,
        client_of(url, reconnect=POLICY) as client,
    ):
        assert spoken(transcribed(client)) == [WORD]
    assert len(handshakes.at) == 3


def test_after_the_start_a_server_without_room_is_left_alone_for_busy_delay() -> None:
    policy = dataclasses.replace(POLICY, busy_delay=0.4)
    handshakes = Handshakes()
    legs = Legs(loses(15, WORD), errs("quota_exceeded"), finishes())
    with (
        served(legs, process_request=handshakes) as url,
        client_of(url, reconnect=policy) as client,
    ):
        assert spoken(transcribed(client)) == [WORD]
    assert handshakes.at[2] - handshakes.at[1] >= 0.4


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_is_not_tried_again(status: int) -> None:
    handshakes = Handshakes(None, status)
    with (
        served(Legs(loses(15, WORD)), process_request=handshakes) as url,
        Client(url=url, api_key="a-key", reconnect=POLICY) as client,
        pytest.raises(AuthenticationError) as raised,
    ):
        transcribed(client)
    assert raised.value.status == status
    assert spoken(raised.value.transcript) == [WORD]
    assert len(handshakes.at) == 2


@pytest.mark.parametrize("type", FINAL_TYPES)
@pytest.mark.parametrize("when", ["on the next connection", "in the middle"])
def test_an_error_that_will_not_pass_ends_the_session(type: str, when: str) -> None:
    behaviours = [errs(type, started=True)]
    if when == "on the next connection":
        behaviours = [loses(15, WORD), errs(type)]
    legs = Legs(*behaviours)
    with (
        served(legs) as url,
        client_of(url, reconnect=POLICY) as client,
        pytest.raises((TranscriptionError, AuthenticationError)) as raised,
    ):
        transcribed(client)
    assert raised.value.type == type  # type: ignore[union-attr]
    assert spoken(raised.value.transcript) == [WORD]
    assert len(legs.peers) == len(behaviours)


@pytest.mark.parametrize("code", [4001, 4003, 4004, 4006, 1003, 1008])
def test_a_close_code_that_stands_for_an_error_ends_the_session(code: int) -> None:
    def close(peer: Peer) -> None:
        hears(peer, 15, WORD)
        peer.connection.close(code)

    legs = Legs(close)
    with (
        served(legs) as url,
        client_of(url, reconnect=POLICY) as client,
        pytest.raises((TranscriptionError, AuthenticationError)) as raised,
    ):
        transcribed(client)
    assert raised.value.close_code == code  # type: ignore[union-attr]
    assert spoken(raised.value.transcript) == [WORD]


def test_a_server_that_breaks_the_protocol_is_not_asked_again() -> None:
    def garble(peer: Peer) -> None:
        hears(peer, 15, WORD)
        peer.send("no JSON")
        peer.wait_closed()

    legs = Legs(garble)
    with (
        served(legs) as url,
        client_of(url, reconnect=POLICY) as client,
        pytest.raises(TransportError) as raised,
    ):
        transcribed(client)
    assert spoken(raised.value.transcript) == [WORD]


# -- keys ---------------------------------------------------------------------------------------


class Expiring(AuthBase):
    """Gives key-1 until it is told that it was refused, then key-2."""

    def __init__(self) -> None:
        self.number = 1

    def get_auth_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer key-{self.number}"}

    def invalidate(self) -> bool:
        self.number += 1
        return True


def test_a_key_that_has_expired_since_is_replaced() -> None:
    handshakes = Handshakes(None, 401)
    legs = Legs(loses(15, WORD), finishes())
    with (
        served(legs, process_request=handshakes) as url,
        Client(auth=Expiring(), url=url, reconnect=POLICY) as client,
    ):
        heard = Heard(client, RECONNECTED)
        assert spoken(transcribed(client)) == [WORD]
    assert handshakes.keys == ["Bearer key-1", "Bearer key-1", "Bearer key-2"]
    assert heard.one(RECONNECTED)["attempt"] == 1


@responses.activate
def test_a_temporary_key_that_has_expired_since_is_fetched_anew() -> None:
    numbers = itertools.count(1)

    def give(request: object) -> tuple[int, dict[str, str], str]:
        return 201, {}, json.dumps({"apikey_id": None, "key_value": f"key-{next(numbers)}"})

    responses.add_callback(responses.POST, f"{PLATFORM}/v1/api_keys", callback=give)
    auth = JWTAuth("an-api-key", mp_url=PLATFORM)
    handshakes = Handshakes(None, None, 401)
    legs = Legs(loses(15, WORD), loses(15), finishes())
    with (
        served(legs, process_request=handshakes) as url,
        Client(auth=auth, url=url, reconnect=POLICY) as client,
    ):
        assert spoken(transcribed(client)) == [WORD]
    assert handshakes.keys == ["Bearer key-1"] * 3 + ["Bearer key-2"]
