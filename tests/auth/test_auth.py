from __future__ import annotations

import base64
import email.utils
import json
import pickle
import socket
import ssl
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any, Callable, Optional

import jwt
import pytest
import responses
import trustme
from support.auth.temporary_keys import (
    KEY,
    URL,
    answer_once,
    authority,
    bearer,
    offer,
    platform,
    signed,
    token,
)
from support.key_platform import CREATED, read_order
from support.places import ROOT
from support.proxying import proxying
from support.serving import listening

from speechmatics_sync._auth.jwt import JWTAuth
from speechmatics_sync._auth.keys import AuthBase, StaticKeyAuth
from speechmatics_sync.errors import ConfigurationError

__all__ = ["authority", "platform"]


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

    @pytest.mark.parametrize("kind", [StaticKeyAuth, JWTAuth])
    def test_a_copy_in_another_process_has_the_key_and_shows_it_no_more_than_before(
        self, kind: Callable[[str], AuthBase], platform: Any
    ) -> None:
        auth = kind(KEY)
        second = token(2)  # which says when it was made
        offer(platform, token(1))
        offer(platform, second)
        first = bearer(auth)
        sent = pickle.loads(pickle.dumps(auth))
        assert repr(sent) == repr(auth)
        assert bearer(auth) == first
        assert bearer(sent) == (KEY if kind is StaticKeyAuth else second)
        asked = [call.request.headers["Authorization"] for call in platform.calls]
        assert asked == ([] if kind is StaticKeyAuth else 2 * [f"Bearer {KEY}"])

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
            thread = threading.Thread(target=answer_once, args=(server, heard))
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
