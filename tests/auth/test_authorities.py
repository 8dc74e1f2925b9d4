"""Which authorities are trusted when a temporary key is fetched."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
import trustme
from support.auth.temporary_keys import KEY, URL, authority, bearer, waits
from support.key_platform import CREATED, read_order
from support.proxying import proxying
from support.serving import Peer, listening, serving
from support.sessions import InThread

from speechmatics_sync import Client, ConnectionConfig
from speechmatics_sync._auth.jwt import JWTAuth
from speechmatics_sync._concurrency.cancellation import Cancellation
from speechmatics_sync.errors import AuthenticationError

__all__ = ["authority"]


@pytest.fixture
def secure_platform(authority: trustme.CA) -> Iterator[str]:
    """A platform behind TLS, of an authority that nobody knows yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    def behave(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as encrypted:
            read_order(encrypted)
            encrypted.sendall(CREATED)

    with listening(behave) as port:
        yield f"https://localhost:{port}"


class TestAuthorities:
    @pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def test_a_variable_that_is_set_takes_effect_with_the_next_fetch(
        self,
        monkeypatch: pytest.MonkeyPatch,
        authority: trustme.CA,
        secure_platform: str,
        tmp_path: Path,
        name: str,
    ) -> None:
        auth = JWTAuth(KEY, mp_url=secure_platform)
        with pytest.raises(AuthenticationError, match=name):
            auth.get_auth_headers()
        authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        monkeypatch.setenv(name, str(tmp_path / "authority.pem"))
        assert bearer(auth) == "a-token"

    def test_the_context_of_the_session_counts_and_stays_as_it_is(
        self, monkeypatch: pytest.MonkeyPatch, authority: trustme.CA, secure_platform: str
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/authorities.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(context)
        authorities = context.get_ca_certs()
        config = ConnectionConfig(ssl_context=context)
        auth = JWTAuth(KEY, mp_url=secure_platform)
        with serving(Peer.start) as url, Client(auth, url=url, conn_config=config) as client:
            client.start_session()
        assert context.get_ca_certs() == authorities, "nobody else's were added"

    def test_a_socks_proxy_changes_nothing(
        self, monkeypatch: pytest.MonkeyPatch, authority: trustme.CA, secure_platform: str
    ) -> None:
        pytest.importorskip("socks")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with proxying(f"{secure_platform}/") as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"socks5h://127.0.0.1:{proxy.port}")
            with Cancellation(logging.getLogger(), context).active():
                auth = JWTAuth(KEY, mp_url=secure_platform)
                with pytest.raises(AuthenticationError, match="SSL_CERT_FILE"):
                    auth.get_auth_headers()
                authority.configure_trust(context)
                assert bearer(auth) == "a-token"
            assert len(proxy.requests) == 2

    def test_a_context_that_verifies_nothing_stays_one(self, secure_platform: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        cancellation = Cancellation(logging.getLogger(), context)
        with cancellation.active(), warnings.catch_warnings():
            warnings.simplefilter("error")  # it was chosen, as for the WebSocket
            assert bearer(JWTAuth(KEY, mp_url=secure_platform)) == "a-token"
        assert context.verify_mode is ssl.CERT_NONE

    def test_a_fetch_that_failed_with_another_context_is_begun_anew(self) -> None:
        """Nobody's TLS settings are a reason for another session to fail."""
        asked, answer = threading.Event(), threading.Event()

        def slowly(request: Any) -> Any:
            if not asked.is_set():
                asked.set()
                answer.wait(30)
                return requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED")
            return (201, {}, json.dumps({"key_value": "a-token"}))

        auth = JWTAuth(KEY)
        with responses.RequestsMock() as mock:
            mock.add_callback(responses.POST, URL, slowly)
            first = InThread(auth.get_auth_headers)
            assert asked.wait(30)

            def second() -> str:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                with Cancellation(logging.getLogger(), context).active():
                    return bearer(auth)

            waiting = InThread(second)
            while not waits(waiting.thread):
                time.sleep(0.01)
            answer.set()
            with pytest.raises(AuthenticationError):
                first.result()
            assert waiting.result() == "a-token"
