from __future__ import annotations

import base64
import datetime
import email.utils
import io
import json
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Callable, Optional

import jwt
import pytest
import requests
import responses
import trustme
from support.key_platform import CREATED, read_order
from support.places import ROOT
from support.proxying import proxying
from support.serving import Peer, listening, serving
from support.sessions import InThread

from speechmatics_sync import Client, ConnectionConfig
from speechmatics_sync._auth.jwt import JWTAuth
from speechmatics_sync._auth.keys import AuthBase, StaticKeyAuth
from speechmatics_sync._concurrency.cancellation import Cancellation
from speechmatics_sync.errors import AuthenticationError, ConfigurationError

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


class TestStaticKey:
    def test_the_key_becomes_the_authorization_header(self) -> None:
        assert StaticKeyAuth(KEY).get_auth_headers() == {"Authorization": f"Bearer {KEY}"}

    def test_the_key_is_read_from_the_environment_when_the_object_is_made(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SPEECHMATICS_API_KEY", KEY)
        auth = StaticKeyAuth()
        monkeypatch.setenv("SPEECHMATICS_API_KEY", "another")
        assert auth.has_key
        assert bearer(auth) == KEY

    @pytest.mark.parametrize("api_key", [None, "", "  \n"])
    def test_without_a_key_there_is_no_header(self, api_key: Optional[str]) -> None:
        auth = StaticKeyAuth(api_key)
        assert not auth.has_key
        assert auth.get_auth_headers() == {}

    def test_an_empty_key_is_not_replaced_by_that_of_the_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SPEECHMATICS_API_KEY", KEY)
        assert not StaticKeyAuth("").has_key

    def test_surrounding_white_space_is_taken_off(self) -> None:
        assert bearer(StaticKeyAuth(f" {KEY}\r\n")) == KEY

    @pytest.mark.parametrize(
        "api_key",
        ["secret one", "secret\nX-Evil: 1", "secret\0", "sécret", "sec\u2028ret", "Bearer secret"],
    )
    @pytest.mark.parametrize("kind", [StaticKeyAuth, JWTAuth])
    def test_a_key_with_other_characters_is_refused_and_not_shown(
        self, kind: Callable[[str], AuthBase], api_key: str
    ) -> None:
        with pytest.raises(ConfigurationError, match="api_key holds a space") as caught:
            kind(api_key)
        assert "ret" not in str(caught.value)

    @pytest.mark.parametrize("kind", [StaticKeyAuth, JWTAuth])
    def test_a_key_that_is_no_string_is_refused(self, kind: Callable[[Any], AuthBase]) -> None:
        with pytest.raises(ConfigurationError, match="api_key is of type bytes; allowed: a string"):
            kind(KEY.encode())

    def test_a_refused_static_key_has_no_successor(self) -> None:
        assert StaticKeyAuth(KEY).invalidate() is False

    def test_repr_shows_whether_there_is_a_key_and_not_which(self) -> None:
        assert repr(StaticKeyAuth(KEY)) == "StaticKeyAuth(<key>)"
        assert repr(StaticKeyAuth("")) == "StaticKeyAuth(<no key>)"


class TestSettings:
    def test_no_key_names_the_variable_to_set(self) -> None:
        with pytest.raises(ConfigurationError, match="SPEECHMATICS_API_KEY") as caught:
            JWTAuth()
        assert isinstance(caught.value, ValueError)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("ttl", 59),
            ("ttl", 86_401),
            ("ttl", 60.5),
            ("ttl", True),
            ("ttl", "60"),
            ("region", None),
            ("region", ""),
            ("region", 1),
            ("client_ref", ""),
            ("client_ref", 7),
            ("request_id", "two\r\nlines"),
            ("request_id", ""),
            ("mp_url", "ftp://mp.example"),
            ("mp_url", "mp.example"),
            ("mp_url", "https://"),
            ("mp_url", "https://mp.example/?type=batch"),
            ("mp_url", "https://mp.example:99999"),
            ("mp_url", b"https://mp.example"),
        ],
    )
    def test_a_value_that_is_refused_is_named(self, field: str, value: Any) -> None:
        with pytest.raises(ConfigurationError, match=rf"^{field} is .*allowed: "):
            JWTAuth(KEY, **{field: value})

    @pytest.mark.parametrize("ttl", [60, 86_400, 60.0, Decimal(60)])
    def test_the_ends_of_the_range_of_ttl_belong_to_it(self, ttl: Any) -> None:
        assert f"ttl={int(ttl)}," in repr(JWTAuth(KEY, ttl=ttl))

    @pytest.mark.parametrize(
        "mp_url", ["http://mp.example", "http://localhost.example", "http://127.evil.example"]
    )
    def test_the_key_never_travels_in_clear_text_to_another_machine(self, mp_url: str) -> None:
        with pytest.raises(ConfigurationError, match="clear text"):
            JWTAuth(KEY, mp_url=mp_url)

    def test_a_password_in_the_url_is_refused_and_not_shown(self) -> None:
        with pytest.raises(ConfigurationError, match="without user") as caught:
            JWTAuth(KEY, mp_url="https://user:hunter2@mp.example")
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize("missing", ["requests", "jwt"])
    def test_a_missing_library_names_the_extra_to_install(self, missing: str) -> None:
        code = (
            f"import sys; sys.modules[{missing!r}] = None\n"
            "from speechmatics_sync import JWTAuth, StaticKeyAuth\n"
            "assert StaticKeyAuth('k').has_key\n"
            "try: JWTAuth('k')\n"
            "except Exception as error: print(type(error).__name__, error)\n"
        )
        said = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout
        assert said.startswith("ConfigurationError")
        assert 'pip install "speechmatics-sync[jwt]"' in said


class TestRequest:
    def test_a_temporary_key_is_ordered_as_the_api_describes(
        self, platform: responses.RequestsMock
    ) -> None:
        offer(platform, token(1))
        auth = JWTAuth(KEY, ttl=120, region="usa", client_ref="caller-7", request_id="r-1")
        auth.get_auth_headers()
        request = platform.calls[0].request
        assert request.url == f"{URL}?type=rt"
        assert json.loads(request.body) == {"ttl": 120, "region": "usa", "client_ref": "caller-7"}
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        assert request.headers["X-Request-Id"] == "r-1"
        assert request.headers["Content-Type"] == "application/json"

    def test_what_is_not_set_is_not_sent_and_each_fetch_has_an_id(
        self, platform: responses.RequestsMock
    ) -> None:
        offer(platform, token(1))
        offer(platform, token(2))
        auth = JWTAuth(KEY)
        auth.get_auth_headers()
        auth.invalidate()
        auth.get_auth_headers()
        assert json.loads(platform.calls[0].request.body) == {"ttl": 60, "region": "eu"}
        ids = [call.request.headers["X-Request-Id"] for call in platform.calls]
        assert len(set(ids)) == 2

    def test_the_platform_of_the_environment_is_asked(
        self, platform: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SM_MANAGEMENT_PLATFORM_URL", "https://mp.example/base/")
        monkeypatch.setenv("SPEECHMATICS_API_KEY", KEY)
        platform.post(
            "https://mp.example/base/v1/api_keys", status=201, json={"key_value": token(1)}
        )
        assert bearer(JWTAuth())

    def test_a_line_break_after_the_platform_of_the_environment_is_no_part_of_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SM_MANAGEMENT_PLATFORM_URL", "https://mp.example/\n")
        assert "'https://mp.example'" in repr(JWTAuth(KEY))

    def test_an_international_platform_is_asked_by_its_ascii_form(
        self, platform: responses.RequestsMock
    ) -> None:
        platform.post(
            "https://xn--mp-gka.example/v1/api_keys", status=201, json={"key_value": token(1)}
        )
        assert bearer(JWTAuth(KEY, mp_url="https://mpö.example/"))
        with pytest.raises(ConfigurationError, match=r"mp_url has .*'mpß\.example'.*\(xn--…\)"):
            JWTAuth(KEY, mp_url="https://mpß.example")

    def test_a_netrc_does_not_replace_the_key(
        self,
        platform: responses.RequestsMock,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine mp.speechmatics.com login someone password else\n")
        monkeypatch.setenv("NETRC", str(netrc))
        offer(platform, token(1))
        JWTAuth(KEY).get_auth_headers()
        assert platform.calls[0].request.headers["Authorization"] == f"Bearer {KEY}"

    def test_a_platform_on_this_machine_is_asked_without_a_proxy(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_server(("127.0.0.1", 0)) as proxy,
        ):
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
            proxy.setblocking(False)
            heard: list[bytes] = []
            thread = threading.Thread(target=_answer_once, args=(server, heard))
            thread.start()
            port = server.getsockname()[1]
            assert bearer(JWTAuth(KEY, mp_url=f"http://127.0.0.1:{port}")) == "a-token"
            thread.join()
            with pytest.raises(BlockingIOError):
                proxy.accept()
        assert heard[0].startswith(b"POST /v1/api_keys?type=rt HTTP/1.1")

    def test_a_platform_behind_tls_is_asked_through_the_proxy_of_the_environment(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("mp.example").configure_cert(context)
        authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))

        def behave(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as encrypted:
                heard.append(read_order(encrypted))
                encrypted.sendall(CREATED)

        heard: list[bytes] = []
        with listening(behave) as port, proxying(f"https://127.0.0.1:{port}/") as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
            assert bearer(JWTAuth(KEY, mp_url="https://mp.example")) == "a-token"
        assert proxy.requests[0].startswith("CONNECT mp.example:443 HTTP/1.")
        assert KEY not in proxy.requests[0]
        assert heard[0].startswith(b"POST /v1/api_keys?type=rt HTTP/1.1")


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


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
            while not _waits(waiting.thread):
                time.sleep(0.01)
            answer.set()
            with pytest.raises(AuthenticationError):
                first.result()
            assert waiting.result() == "a-token"


def _answer_once(server: socket.socket, heard: list[bytes]) -> None:
    server.settimeout(30)  # nobody may call, when a test fails
    connection, _ = server.accept()
    with connection:
        heard.append(read_order(connection))
        connection.sendall(CREATED)


class TestKeeping:
    def test_201_gives_the_temporary_key(self, platform: responses.RequestsMock) -> None:
        offer(platform, token(1))
        auth = JWTAuth(KEY)
        assert jwt.decode(bearer(auth), options={"verify_signature": False})["n"] == 1

    def test_a_key_is_used_until_it_expires(self, platform: responses.RequestsMock) -> None:
        offer(platform, token(1))
        auth = JWTAuth(KEY)
        assert bearer(auth) == bearer(auth)
        assert len(platform.calls) == 1

    def test_a_key_that_has_expired_is_replaced(self, platform: responses.RequestsMock) -> None:
        short, long = token(1, lifetime=1), token(2)
        offer(platform, short)
        offer(platform, long)
        auth = JWTAuth(KEY)
        assert bearer(auth) == short
        expired = threading.Event()
        threading.Timer(1, expired.set).start()
        expired.wait()
        assert bearer(auth) == long

    def test_the_age_of_a_key_is_counted_from_before_the_request(self) -> None:
        keys = [token(1, lifetime=1), token(2)]

        def slowly(request: Any) -> tuple[int, dict[str, str], str]:
            threading.Event().wait(1)
            return 201, {}, json.dumps({"key_value": keys.pop(0)})

        with responses.RequestsMock() as mock:
            mock.add_callback("POST", URL, callback=slowly)
            auth = JWTAuth(KEY)
            assert bearer(auth) != bearer(auth)

    def test_a_key_without_exp_is_kept_for_its_ttl(self, platform: responses.RequestsMock) -> None:
        offer(platform, signed(n=1))
        auth = JWTAuth(KEY, ttl=600)
        assert bearer(auth) == bearer(auth)
        assert auth._kept is not None
        assert 530 < auth._kept.until.remaining() <= 590

    @pytest.mark.parametrize("words", ["opaque", "a.b.c", "eyJhbGciOiJub25lIn0.W10."])
    def test_a_key_that_is_no_jwt_is_kept_for_its_ttl(
        self, platform: responses.RequestsMock, words: str
    ) -> None:
        offer(platform, words)
        auth = JWTAuth(KEY)
        assert bearer(auth) == bearer(auth) == words
        assert len(platform.calls) == 1

    @pytest.mark.parametrize("exp", ["soon", True, None, [], 10**400, float("inf"), float("nan")])
    def test_an_exp_that_is_no_time_counts_as_none(
        self, platform: responses.RequestsMock, exp: Any
    ) -> None:
        offer(platform, unsigned({"exp": exp, "iat": 0}))
        auth = JWTAuth(KEY)
        bearer(auth)
        assert auth._kept is not None
        assert 40 < auth._kept.until.remaining() <= 54

    @pytest.mark.parametrize("years", [-10, 10])
    def test_a_wrong_wall_clock_changes_nothing(
        self, platform: responses.RequestsMock, years: int
    ) -> None:
        there = time.time() + years * 365 * 86_400
        offer(platform, token(1, lifetime=600, issued=there))
        auth = JWTAuth(KEY)
        assert bearer(auth) == bearer(auth)
        assert len(platform.calls) == 1
        assert auth._kept is not None
        assert 530 < auth._kept.until.remaining() <= 590

    def test_a_key_without_iat_is_judged_by_the_servers_clock(
        self, platform: responses.RequestsMock
    ) -> None:
        there = int(time.time()) - 10 * 365 * 86_400
        date = email.utils.formatdate(there, usegmt=True)
        offer(platform, signed(exp=there + 600), headers={"Date": date})
        auth = JWTAuth(KEY)
        assert bearer(auth) == bearer(auth)
        assert auth._kept is not None
        assert 530 < auth._kept.until.remaining() <= 590

    def test_a_key_that_comes_expired_is_handed_out_once(
        self, platform: responses.RequestsMock
    ) -> None:
        expired, good = token(1, lifetime=-5), token(2)
        offer(platform, expired)
        offer(platform, good)
        auth = JWTAuth(KEY)
        assert bearer(auth) == expired
        assert bearer(auth) == good

    def test_a_refused_key_is_replaced_by_a_fresh_one(
        self, platform: responses.RequestsMock
    ) -> None:
        first, second = token(1), token(2)
        offer(platform, first)
        offer(platform, second)
        auth = JWTAuth(KEY)
        assert bearer(auth) == first
        assert auth.invalidate() is True
        assert bearer(auth) == second
        assert len(platform.calls) == 2


def unsigned(claims: dict[str, Any]) -> str:
    """A token with claims that PyJWT would not encode."""

    def part(content: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}.c2ln"


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


class TestThreads:
    def test_fifty_threads_at_once_make_one_request(self) -> None:
        asked = threading.Event()
        answer = threading.Event()

        def slowly(request: Any) -> tuple[int, dict[str, str], str]:
            asked.set()
            answer.wait()
            return 201, {}, json.dumps({"key_value": token(1)})

        with responses.RequestsMock() as mock:
            mock.add_callback("POST", URL, callback=slowly)
            got, failed = run_threads(JWTAuth(KEY), asked, answer)
            assert len(mock.calls) == 1
        assert len(got) == 50
        assert len(set(got)) == 1
        assert failed == []

    def test_fifty_threads_share_a_failure(self) -> None:
        asked = threading.Event()
        answer = threading.Event()

        def slowly(request: Any) -> tuple[int, dict[str, str], str]:
            asked.set()
            answer.wait()
            return 401, {}, ""

        with responses.RequestsMock() as mock:
            mock.add_callback("POST", URL, callback=slowly)
            got, failed = run_threads(JWTAuth(KEY), asked, answer)
            assert len(mock.calls) == 1
        assert got == []
        assert [error.status for error in failed] == [401] * 50
        assert len({id(error) for error in failed}) == 50  # a session writes into its own

    def test_an_interrupted_fetch_is_taken_over(self) -> None:
        asked = threading.Event()
        answer = threading.Event()
        auth = JWTAuth(KEY)

        def interrupted(request: Any) -> Any:
            if not asked.is_set():
                asked.set()
                answer.wait()
                raise KeyboardInterrupt
            return 201, {}, json.dumps({"key_value": token(1)})

        with responses.RequestsMock() as mock:
            mock.add_callback("POST", URL, callback=interrupted)
            got, failed = run_threads(auth, asked, answer, count=5)
        assert len(got) == 4
        assert [type(error) for error in failed] == [KeyboardInterrupt]

    def test_a_fetch_that_is_given_up_is_taken_over_by_another_thread(self) -> None:
        """Sessions share a key, and the one whose thread fetches it is closed."""
        asked, served = threading.Event(), threading.Event()

        def behave(connection: socket.socket) -> None:
            read_order(connection)
            if not asked.is_set():
                asked.set()
                assert connection.recv(1) == b"", "the request was given up"
                return
            connection.sendall(CREATED)
            served.set()

        def fetch() -> None:
            with cancellation.active(), pytest.raises(AuthenticationError, match="no longer"):
                auth.get_auth_headers()

        cancellation = Cancellation(logging.getLogger("test"))
        with listening(behave) as port:
            auth = JWTAuth(KEY, mp_url=f"http://127.0.0.1:{port}")
            fetching = threading.Thread(target=fetch)
            fetching.start()
            asked.wait()
            got: list[str] = []
            waiting = threading.Thread(target=lambda: got.append(bearer(auth)))
            waiting.start()
            while not _waits(waiting):
                time.sleep(0.001)
            cancellation.cancel()
            fetching.join()
            waiting.join()
        assert got == ["a-token"]
        assert served.is_set()

    def test_a_cancelled_thread_asks_for_nothing(self, platform: responses.RequestsMock) -> None:
        cancellation = Cancellation(logging.getLogger("test"))
        cancellation.cancel()
        with cancellation.active(), pytest.raises(AuthenticationError):
            JWTAuth(KEY).get_auth_headers()
        assert len(platform.calls) == 0

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_a_fork_during_a_fetch_does_not_hang_the_child(self) -> None:
        asked = threading.Event()
        answer = threading.Event()
        auth = JWTAuth(KEY)
        parent = os.getpid()

        def slowly(request: Any) -> tuple[int, dict[str, str], str]:
            asked.set()
            if os.getpid() == parent:
                answer.wait()
            return 201, {}, json.dumps({"key_value": token(1)})

        with responses.RequestsMock() as mock:
            mock.add_callback("POST", URL, callback=slowly)
            thread = threading.Thread(target=auth.get_auth_headers)
            thread.start()
            asked.wait()
            child = os.fork()
            if child == 0:
                signal.alarm(30)
                status = 1
                try:
                    # Not the mock's lock: the other thread may hold it.
                    auth._platform._attempt = lambda *_: _created()
                    status = 0 if bearer(auth) == "of-the-child" else 2
                finally:
                    os._exit(status)
            answer.set()
            thread.join()
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _created() -> Any:
    from speechmatics_sync._auth.management_platform import _Answer

    return _Answer(201, None, None, b'{"key_value": "of-the-child"}')


def run_threads(
    auth: JWTAuth, asked: threading.Event, answer: threading.Event, count: int = 50
) -> tuple[list[str], list[Any]]:
    """Ask from many threads; the platform answers once all of them wait."""
    got: list[str] = []
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            got.append(bearer(auth))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    asked.wait()
    # One is in the request; the others hold a frame inside the wait for its result.
    while sum(_waits(thread) for thread in threads) < count - 1:
        time.sleep(0.001)
    answer.set()
    for thread in threads:
        thread.join()
    return got, failed


def _waits(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    names = []
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return "wait" in names and "_token" in names and "_run" not in names


class TestSecrets:
    TOKEN = "eyJtoken.of-the-service.c2ln"

    def test_repr_shows_neither_key(self, platform: responses.RequestsMock) -> None:
        offer(platform, self.TOKEN)
        auth = JWTAuth(KEY, mp_url=PLATFORM)
        auth.get_auth_headers()
        shown = repr(auth) + repr(vars(auth)) + repr(vars(auth._platform))
        assert "JWTAuth(<key>, ttl=60" in shown
        assert KEY not in shown
        assert self.TOKEN not in shown

    @pytest.mark.parametrize(
        "failure",
        [
            {"status": 401, "body": f"no such key: {KEY}"},
            {"status": 503, "body": f"Bearer {KEY}" + "x" * 500},
            {"status": 201, "json": {"token": TOKEN}},
            {"status": 302, "headers": {"Location": f"https://elsewhere.example/?key={KEY}"}},
            {"body": requests.ConnectionError(f"Authorization: Bearer {KEY}")},
            {"body": requests.exceptions.InvalidProxyURL(f"http://user:{KEY}@proxy")},
        ],
        ids=["401", "503", "201", "302", "network", "proxy"],
    )
    def test_no_error_carries_a_key(
        self,
        platform: responses.RequestsMock,
        caplog: pytest.LogCaptureFixture,
        failure: dict[str, Any],
    ) -> None:
        caplog.set_level(logging.DEBUG)
        for _ in range(3):
            platform.post(URL, **failure)
        auth = JWTAuth(KEY)
        waits_of(auth)
        with pytest.raises(AuthenticationError) as caught:
            auth.get_auth_headers()
        error = caught.value
        assert error.__cause__ is None
        assert error.__context__ is None
        shown = [repr(error), str(error), str(vars(error)), caplog.text, frames_of(error)]
        assert KEY not in "".join(shown)
        assert self.TOKEN not in "".join(shown)
        assert "temporary key" in str(error)

    def test_no_log_carries_a_key(self) -> None:
        """With a real connection, for urllib3 might log as well."""
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            with socket.create_server(("127.0.0.1", 0)) as server:
                heard: list[bytes] = []
                thread = threading.Thread(target=_answer_once, args=(server, heard))
                thread.start()
                auth = JWTAuth(KEY, mp_url=f"http://127.0.0.1:{server.getsockname()[1]}")
                assert bearer(auth) == "a-token"
                thread.join()
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
        logs = stream.getvalue()
        assert "received one" in logs
        assert KEY.encode() in heard[0]
        assert KEY not in logs
        assert "a-token" not in logs


def frames_of(error: BaseException) -> str:
    """What a traceback that shows local variables tells of this package's frames."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(
        repr(frame.locals) for frame in shown.stack if "speechmatics_sync" in frame.filename
    )
