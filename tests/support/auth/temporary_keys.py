"""Temporary keys, and the management platform as `responses` plays it."""

from __future__ import annotations

import socket
import sys
import threading
import time
from typing import Any, Optional

import jwt
import pytest
import responses
import trustme

from speechmatics_sync._auth.jwt import JWTAuth
from speechmatics_sync._auth.keys import AuthBase
from support.key_platform import CREATED, read_order

KEY = "sk-the-api-key-0123456789"


PLATFORM = "https://mp.speechmatics.com"


URL = f"{PLATFORM}/v1/api_keys"


def signed(**claims: Any) -> str:
    return jwt.encode(claims, "k" * 32, algorithm="HS256")


def token(number: int, *, lifetime: float = 3600, issued: Optional[float] = None) -> str:
    issued = time.time() if issued is None else issued
    return signed(iat=int(issued), exp=int(issued + lifetime), n=number)


def offer(mock: responses.RequestsMock, key_value: Any, **more: Any) -> None:
    mock.post(URL, status=201, json={"apikey_id": None, "key_value": key_value}, **more)


def bearer(auth: AuthBase) -> str:
    return auth.get_auth_headers()["Authorization"].removeprefix("Bearer ")


def waits_of(auth: JWTAuth) -> list[float]:
    """Make waits between attempts pass at once; the list fills with their seconds."""
    waits: list[float] = []
    auth._platform._pause = lambda cancellation, seconds: waits.append(seconds)
    return waits


@pytest.fixture
def platform() -> Any:
    """The management platform's answers, in the order they are given."""
    with responses.RequestsMock(
        registry=responses.registries.OrderedRegistry, assert_all_requests_are_fired=False
    ) as mock:
        yield mock


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def answer_once(server: socket.socket, heard: list[bytes]) -> None:
    server.settimeout(30)  # nobody may call, when a test fails
    connection, _ = server.accept()
    with connection:
        heard.append(read_order(connection))
        connection.sendall(CREATED)


def waits(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    names = []
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return "wait" in names and "_token" in names and "_run" not in names
