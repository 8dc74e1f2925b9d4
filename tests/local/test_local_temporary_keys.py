"""The embedded server hands out temporary keys, and knows them again."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import time
from typing import Any, Optional

import jwt
import pytest
from support.local_wire import PATIENCE, Wire, words
from support.raw_handshake import answer_to
from websockets.exceptions import InvalidStatus

from speechmatics_sync import AudioEncoding, AudioFormat, AuthenticationError, Client, JWTAuth
from speechmatics_sync.local import CountedRecognizer, LocalServer, counted_audio

KEY = "sk-a-key-that-is-nobodys"
PCM = AudioFormat(AudioEncoding.PCM_S16LE, 16000)


def local_server(**options: Any) -> LocalServer:
    return LocalServer(recognizer=CountedRecognizer(), **{"api_keys": KEY, **options})


def post(
    server: LocalServer,
    body: str = '{"ttl": 60}',
    *,
    path: str = "/v1/api_keys?type=rt",
    key: Optional[str] = KEY,
    **headers: str,
) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    try:
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def temporary_key(server: LocalServer, **options: Any) -> str:
    status, body = post(server, **options)
    assert status == 201, body
    return str(json.loads(body)["key_value"])


def test_a_client_with_temporary_keys_needs_no_network() -> None:
    with local_server() as server:
        auth = JWTAuth(KEY, mp_url=server.http_url)
        for _ in range(2):
            with Client(auth, url=server.url) as client:
                heard = client.transcribe(counted_audio(2), audio_format=PCM)
                assert [word.content for word in heard.words] == ["w1", "w2"]
        wrong = Client(JWTAuth(f"{KEY}x", mp_url=server.http_url), url=server.url)
        with wrong, pytest.raises(AuthenticationError):
            wrong.transcribe(counted_audio(2), audio_format=PCM)


def test_a_temporary_key_is_a_jwt_that_is_accepted_both_ways() -> None:
    with local_server() as server:
        key = temporary_key(server, body='{"ttl": 90}')
        claims = jwt.decode(key, options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == 90
        for options in (
            {"url": f"{server.url}?jwt={key}"},
            {"url": server.url, "additional_headers": {"Authorization": f"Bearer {key}"}},
        ):
            with Wire(**options) as wire:  # type: ignore[arg-type]
                wire.start()
                wire.send(counted_audio(1))
                assert words(wire.end(1)) == ["w1"]


def test_a_temporary_key_that_is_too_old_or_of_somebody_else_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with local_server() as server, local_server() as other:
        key = temporary_key(server)
        header, payload, signature = key.split(".")
        forged = jwt.encode({"exp": 2**40}, "x" * 32, algorithm="HS256")
        unsigned = jwt.encode({"exp": 2**40}, "", algorithm="none")
        wrong = [forged, unsigned, f"{header}.{payload}.", temporary_key(other), "..", "é.é.é"]
        wrong.append(f"{header}.{jwt.utils.base64url_encode(b'[]').decode()}.{signature}")
        for each in wrong:
            with pytest.raises(InvalidStatus, match="401"), Wire(f"{server.url}?jwt={each}"):
                pass
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 61)
        with pytest.raises(InvalidStatus, match="401"), Wire(f"{server.url}?jwt={key}"):
            pass


def test_what_is_asked_for_in_the_wrong_way_is_refused_with_a_sentence() -> None:
    with local_server() as server:
        temporary = temporary_key(server)
        for expected, options in (
            (401, {"key": None}),
            (401, {"key": "wrong"}),
            (401, {"key": temporary}),
            (404, {"path": "/v2"}),
            (400, {"path": "/v1/api_keys"}),
            (400, {"path": "/v1/api_keys?type=batch"}),
            (400, {"body": ""}),
            (400, {"body": "[]"}),
            (400, {"body": "{"}),
            (400, {"body": '{"ttl": 59}'}),
            (400, {"body": '{"ttl": 86401}'}),
            (400, {"body": '{"ttl": true}'}),
            (403, {"Origin": "https://evil.example"}),
            (403, {"Host": "evil.example"}),
        ):
            status, said = post(server, **options)  # type: ignore[arg-type]
            assert status == expected, options
            assert said.endswith(".\n")


def test_a_server_without_keys_hands_out_keys_to_everybody_on_this_machine() -> None:
    with local_server(api_keys=None) as server:
        assert temporary_key(server, key=None)


def test_a_request_in_pieces_is_understood() -> None:
    body = '{"ttl": 60, "region": "eu"}'
    request = (
        f"POST /v1/api_keys?type=rt HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )
    answer = b""
    with local_server() as server, socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.settimeout(PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request.encode():
            sock.sendall(bytes([byte]))
        while more := sock.recv(4096):
            answer += more
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert b"application/json" in answer


def test_no_temporary_key_is_ever_in_a_log_or_a_record(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "speechmatics_sync")
    with local_server() as server:
        key = temporary_key(server)
        with Wire(f"{server.url}?jwt={key}") as wire:
            wire.start()
        assert key not in f"{[vars(record) for record in server.sessions]}"
    said = [one.getMessage() for one in caplog.records if one.name.startswith("speechmatics_sync")]
    assert said
    assert key not in "".join(said)


def test_voice_agents_are_told_that_there_are_none() -> None:
    with local_server(api_keys=None) as server:
        host = f"Host: 127.0.0.1:{server.port}"
        for path in ("/v2/agent", "/v2/agent/", "/v2/agent?jwt=x"):
            answer = answer_to(server.port, host, path=path)
            assert answer.startswith("HTTP/1.1 404 ")
            assert "no voice agents: the endpoint is /v2" in answer
        assert answer_to(server.port, host, path="/v2/agents").startswith("HTTP/1.1 101 ")
