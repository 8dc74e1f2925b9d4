"""`JWTAuth.temporary_key`: a key for a browser."""

from __future__ import annotations

import json
import logging
from typing import Any

import jwt
import pytest
from support.auth.temporary_keys import KEY, bearer, offer, platform, token

from speechmatics_sync import (
    AuthenticationError,
    Client,
    ConfigurationError,
    JWTAuth,
    StaticKeyAuth,
)
from speechmatics_sync.local import CountedRecognizer, LocalServer

__all__ = ["platform"]


def test_each_call_fetches_a_key_and_leaves_that_of_the_clients_alone(
    platform: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    keys = [token(number) for number in range(3)]
    for key in keys:
        offer(platform, key)
    auth = JWTAuth(KEY, ttl=3600)
    assert bearer(auth) == keys[0]
    assert auth.temporary_key() == keys[1]
    assert auth.temporary_key(ttl=60) == keys[2]
    assert bearer(auth) == keys[0]
    ttls = [json.loads(call.request.body)["ttl"] for call in platform.calls]
    assert ttls == [3600, 3600, 60]
    assert not any(secret in caplog.text for secret in (KEY, *keys))


@pytest.mark.parametrize("ttl", [59, 86401, 60.5, "60", True])
def test_a_ttl_that_the_service_refuses_is_not_sent(platform: Any, ttl: Any) -> None:
    with pytest.raises(ConfigurationError, match="ttl is "):
        JWTAuth(KEY).temporary_key(ttl=ttl)
    assert len(platform.calls) == 0


def test_a_refusal_is_the_error_of_the_headers(platform: Any) -> None:
    platform.post("https://mp.speechmatics.com/v1/api_keys", status=403, json={})
    with pytest.raises(AuthenticationError, match="may not make temporary keys") as caught:
        JWTAuth(KEY).temporary_key()
    assert caught.value.status == 403
    assert KEY not in str(caught.value)


def test_whoever_has_the_key_connects_with_it() -> None:
    with LocalServer(recognizer=CountedRecognizer(), api_keys=[KEY]) as server:
        auth = JWTAuth(KEY, mp_url=server.http_url, ttl=3600)
        key = auth.temporary_key(ttl=60)
        claims = jwt.decode(key, options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == 60
        with Client(StaticKeyAuth(key), url=server.url) as client:
            assert client.start_session().session_id
