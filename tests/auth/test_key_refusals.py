"""Temporary keys that are refused, and when they are asked for again."""

from __future__ import annotations

import datetime
import email.utils
import socket
import time

import pytest
import requests
import responses
from support.auth.temporary_keys import (
    KEY,
    PLATFORM,
    URL,
    bearer,
    offer,
    platform,
    token,
    waits_of,
)

from speechmatics_sync._auth.jwt import JWTAuth
from speechmatics_sync._concurrency.cancellation import Cancellation
from speechmatics_sync.errors import AuthenticationError

__all__ = ["platform"]


class TestRefusals:
    @pytest.mark.parametrize("status", [400, 401, 403, 404, 200])
    def test_a_refusal_is_final_and_gives_its_status(
        self, platform: responses.RequestsMock, status: int
    ) -> None:
        platform.post(URL, status=status, json={"detail": "so it is"})
        auth = JWTAuth(KEY)
        waits = waits_of(auth)
        with pytest.raises(AuthenticationError, match=f"answered {status}") as caught:
            auth.get_auth_headers()
        assert caught.value.status == status
        assert "so it is" in caught.value.reason
        assert PLATFORM in str(caught.value)
        assert (len(platform.calls), waits) == (1, [])

    def test_401_and_403_say_what_to_do(self, platform: responses.RequestsMock) -> None:
        platform.post(URL, status=401)
        platform.post(URL, status=403)
        with pytest.raises(AuthenticationError, match="not valid: check api_key"):
            JWTAuth(KEY).get_auth_headers()
        with pytest.raises(AuthenticationError, match="may not make temporary keys"):
            JWTAuth(KEY).get_auth_headers()

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_redirect_is_not_followed(
        self, platform: responses.RequestsMock, status: int
    ) -> None:
        elsewhere = platform.post("https://elsewhere.example/", status=201, json={"key_value": "x"})
        platform.remove(elsewhere)
        platform.post(URL, status=status, headers={"Location": "https://elsewhere.example/"})
        platform.add(elsewhere)
        with pytest.raises(AuthenticationError, match="not followed") as caught:
            JWTAuth(KEY).get_auth_headers()
        assert caught.value.status == status
        assert [call.request.url for call in platform.calls] == [f"{URL}?type=rt"]

    @pytest.mark.parametrize(
        "body",
        [
            b"<html>hello</html>",
            b"",
            b"[]",
            b"null",
            b"{}",
            b'{"key_value": null}',
            b'{"key_value": 5}',
            b'{"key_value": ""}',
            b'{"key_value": "two\\r\\nlines"}',
            b"\xff\xfe",
            b"[" * 50_000,
        ],
        ids=lambda body: body[:20].decode("latin-1"),
    )
    def test_201_without_a_temporary_key_is_an_error(
        self, platform: responses.RequestsMock, body: bytes
    ) -> None:
        platform.post(URL, status=201, body=body)
        with pytest.raises(AuthenticationError, match="holds no temporary key") as caught:
            JWTAuth(KEY).get_auth_headers()
        assert caught.value.status == 201

    def test_an_endless_answer_is_an_error(self, platform: responses.RequestsMock) -> None:
        platform.post(URL, status=201, body=b" " * 1_000_000)
        with pytest.raises(AuthenticationError, match="longer than 65536 bytes"):
            JWTAuth(KEY).get_auth_headers()
        assert len(platform.calls) == 1

    def test_a_failure_is_not_kept(self, platform: responses.RequestsMock) -> None:
        platform.post(URL, status=401)
        offer(platform, token(1))
        auth = JWTAuth(KEY)
        with pytest.raises(AuthenticationError):
            auth.get_auth_headers()
        assert bearer(auth)


class TestRetries:
    @pytest.mark.parametrize("status", [500, 502, 503, 429])
    def test_a_passing_failure_is_tried_again(
        self, platform: responses.RequestsMock, status: int
    ) -> None:
        platform.post(URL, status=status)
        offer(platform, token(1))
        auth = JWTAuth(KEY)
        waits = waits_of(auth)
        assert bearer(auth)
        assert len(platform.calls) == 2
        assert len(waits) == 1

    def test_waits_grow_and_attempts_end(self, platform: responses.RequestsMock) -> None:
        for _ in range(5):
            platform.post(URL, status=503, body="try later")
        auth = JWTAuth(KEY)
        waits = waits_of(auth)
        with pytest.raises(AuthenticationError, match="after 3 attempts") as caught:
            auth.get_auth_headers()
        assert caught.value.status == 503
        assert caught.value.reason == "try later"
        assert len(platform.calls) == 3
        assert 0.25 <= waits[0] <= 0.5 <= waits[1] <= 1.0

    @pytest.mark.parametrize("status", [429, 503])
    def test_retry_after_in_seconds_is_respected(
        self, platform: responses.RequestsMock, status: int
    ) -> None:
        platform.post(URL, status=status, headers={"Retry-After": "7"})
        platform.post(URL, status=status, headers={"Retry-After": "0"})
        offer(platform, token(1))
        auth = JWTAuth(KEY)
        waits = waits_of(auth)
        assert bearer(auth)
        assert waits == [7.0, 0.0]

    @pytest.mark.parametrize("years", [0, -10])
    def test_retry_after_as_a_date_is_counted_from_the_servers_clock(
        self, platform: responses.RequestsMock, years: int
    ) -> None:
        there = int(time.time()) + years * 365 * 86_400
        platform.post(
            URL,
            status=429,
            headers={
                "Retry-After": email.utils.formatdate(there + 9, usegmt=True),
                "Date": email.utils.formatdate(there, usegmt=True),
            },
        )
        offer(platform, token(1))
        auth = JWTAuth(KEY)
        waits = waits_of(auth)
        assert bearer(auth)
        assert waits == [9.0]

    def test_a_date_without_a_server_clock_is_counted_from_this_one(
        self, platform: responses.RequestsMock
    ) -> None:
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=10)
        platform.post(
            URL, status=429, headers={"Retry-After": email.utils.format_datetime(until, True)}
        )
        offer(platform, token(1))
        auth = JWTAuth(KEY)
        waits = waits_of(auth)
        assert bearer(auth)
        assert 0 < waits[0] <= 10

    @pytest.mark.parametrize("words", ["soon", "-5", "1e3", "٣"])
    def test_a_retry_after_that_says_nothing_is_no_hint(
        self, platform: responses.RequestsMock, words: str
    ) -> None:
        platform.post(URL, status=429, headers={"Retry-After": words})
        offer(platform, token(1))
        auth = JWTAuth(KEY)
        waits = waits_of(auth)
        assert bearer(auth)
        assert 0.25 <= waits[0] <= 0.5

    def test_a_retry_after_beyond_the_limit_raises_at_once(
        self, platform: responses.RequestsMock
    ) -> None:
        platform.post(URL, status=429, headers={"Retry-After": "3600"})
        auth = JWTAuth(KEY)
        waits = waits_of(auth)
        with pytest.raises(AuthenticationError, match="3600 s of waiting") as caught:
            auth.get_auth_headers()
        assert caught.value.status == 429
        assert (len(platform.calls), waits) == (1, [])

    @pytest.mark.parametrize(
        "fault",
        [
            requests.ConnectionError("no route"),
            requests.ConnectTimeout("slow"),
            requests.ReadTimeout("slow"),
            requests.exceptions.ChunkedEncodingError("cut"),
        ],
        ids=lambda fault: type(fault).__name__,
    )
    def test_a_network_fault_is_tried_again(
        self, platform: responses.RequestsMock, fault: Exception
    ) -> None:
        platform.post(URL, body=fault)
        offer(platform, token(1))
        auth = JWTAuth(KEY)
        waits_of(auth)
        assert bearer(auth)
        assert len(platform.calls) == 2

    def test_timeouts_end_in_an_error_that_says_so(self, platform: responses.RequestsMock) -> None:
        for _ in range(3):
            platform.post(URL, body=requests.ReadTimeout("slow"))
        auth = JWTAuth(KEY)
        waits_of(auth)
        with pytest.raises(AuthenticationError, match="no answer within 10 s") as caught:
            auth.get_auth_headers()
        assert caught.value.status is None

    def test_a_platform_that_is_not_there_is_an_error_that_says_so(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        auth = JWTAuth(KEY, mp_url=f"http://127.0.0.1:{port}")
        waits = waits_of(auth)
        with pytest.raises(AuthenticationError, match="Connection refused"):
            auth.get_auth_headers()
        assert len(waits) == 2

    def test_a_certificate_that_cannot_be_verified_is_not_tried_again(
        self, platform: responses.RequestsMock
    ) -> None:
        platform.post(
            URL, body=requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed")
        )
        with pytest.raises(AuthenticationError, match="certificate cannot be verified"):
            JWTAuth(KEY).get_auth_headers()
        assert len(platform.calls) == 1

    def test_a_wait_can_be_interrupted(self, platform: responses.RequestsMock) -> None:
        platform.post(URL, status=503)
        offer(platform, token(1))
        auth = JWTAuth(KEY)

        def interrupted(cancellation: Cancellation, seconds: float) -> None:
            raise KeyboardInterrupt

        auth._platform._pause = interrupted
        with pytest.raises(KeyboardInterrupt):
            auth.get_auth_headers()
        assert bearer(auth)  # the next call is not held up
