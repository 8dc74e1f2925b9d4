"""Proxies from the environment and the configuration, and never a leak of a password."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any, Optional

import pytest
import trustme
from support.proxying import proxying
from support.secrecy import KEY, all_said_by, everything_logged
from support.serving import PATIENCE, Peer, listening, refusing, serving
from support.sessions import RAW, InThread, speech, wait_for

from speechmatics_sync import (
    Client,
    ConfigurationError,
    ConnectionConfig,
    ConnectionError,
    SessionError,
    SpeechmaticsError,
    TimeoutError,
)

HOST = "speech.example"
PASSWORD = "SECRET-p@ss:word/proxy"
QUOTED = "SECRET-p%40ss%3Aword%2Fproxy"


def succeed(peer: Peer) -> None:
    peer.start()
    peer.finish()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[str]:
    """A TLS server, known by the name that only the proxy knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    with serving(succeed, ssl_context=context) as url:
        yield url


def transcribe(url: str, **config: Any) -> None:
    settings = ConnectionConfig(**{"open_timeout": PATIENCE, **config})
    with Client(api_key=KEY, url=url, conn_config=settings, reconnect=None) as client:
        client.transcribe(speech(0.1), audio_format=RAW)


def fail(url: str, **config: Any) -> SpeechmaticsError:
    """Return the error, which shows neither key nor password, and nor does any log."""
    with everything_logged() as said, pytest.raises(SpeechmaticsError) as raised:
        transcribe(url, **config)
    everything = all_said_by(raised.value) + "\n".join(said)
    assert KEY not in everything
    for secret in (PASSWORD, QUOTED, base64.b64encode(f"user:{PASSWORD}".encode()).decode()):
        assert secret not in everything
    return raised.value


# -- from the environment -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_proxy_of_the_environment_leads_to_a_tls_server(
    monkeypatch: pytest.MonkeyPatch, server: str, trusting: ssl.SSLContext, name: str, scheme: str
) -> None:
    with proxying(server) as proxy:
        monkeypatch.setenv(name, f"{scheme}127.0.0.1:{proxy.port}")
        transcribe(f"wss://{HOST}/v2", ssl_context=trusting)
        (asked,) = proxy.requests
    assert asked.startswith(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n")
    assert "Proxy-Authorization" not in asked
    assert KEY not in asked, "the key is for the server, inside TLS"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_proxy_of_the_environment_leads_to_a_plain_server(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with serving(succeed) as url, proxying(url) as proxy:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}/")
        monkeypatch.setenv("HTTPS_PROXY", "http://another.invalid:1")
        transcribe(f"ws://{HOST}:8080/v2", allow_insecure=True)
        (asked,) = proxy.requests
    assert asked.startswith(f"CONNECT {HOST}:8080 ")


def test_user_and_password_of_the_proxy_are_sent_to_it(
    monkeypatch: pytest.MonkeyPatch, server: str, trusting: ssl.SSLContext
) -> None:
    with proxying(server) as proxy, everything_logged() as said:
        monkeypatch.setenv("https_proxy", f"http://user:{QUOTED}@127.0.0.1:{proxy.port}")
        transcribe(f"wss://{HOST}:9000/v2", ssl_context=trusting)
        (asked,) = proxy.requests
    credentials = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    assert f"\r\nProxy-Authorization: Basic {credentials}\r\n" in asked
    assert PASSWORD not in "\n".join(said)
    assert QUOTED not in "\n".join(said)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2"])
def test_proxy_of_the_environment_is_not_for_this_machine(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    with serving(succeed) as url, proxying(url) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        if host != "127.0.0.2":
            transcribe(url.replace("localhost", host))
        else:
            fail(url.replace("localhost", host))  # the server listens on 127.0.0.1 only
        assert proxy.requests == []


@pytest.mark.parametrize(
    ("url", "excepted"),
    [
        (f"wss://{HOST}/v2", HOST),
        (f"wss://{HOST}/v2", "other.invalid, example"),
        (f"wss://{HOST}/v2", ".example"),
        (f"wss://{HOST}:9000/v2", f"{HOST}:9000"),
        (f"wss://{HOST}/v2", "*"),
        ("wss://192.0.2.7/v2", "192.0.2.7"),
        ("wss://192.0.2.7/v2", "10.0.0.0/8,192.0.2.0/24"),
    ],
)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy_is_honoured(
    monkeypatch: pytest.MonkeyPatch, url: str, excepted: str, name: str
) -> None:
    with proxying(answer=b"HTTP/1.1 418 Asked\r\n\r\n") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv(name, excepted)
        fail(url, open_timeout=0.3)  # there is no such machine
        assert proxy.requests == []


@pytest.mark.parametrize(
    ("url", "excepted"),
    [
        (f"wss://{HOST}/v2", "other.example, invalid"),
        (f"wss://{HOST}:9000/v2", f"{HOST}:9001"),
        ("wss://192.0.2.7/v2", "10.0.0.0/8"),
        (f"wss://{HOST}/v2", ""),
    ],
)
def test_no_proxy_excepts_nothing_else(
    monkeypatch: pytest.MonkeyPatch, url: str, excepted: str
) -> None:
    with proxying(answer=b"HTTP/1.1 418 Asked\r\n\r\n") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", excepted)
        assert "418" in str(fail(url))
        assert len(proxy.requests) == 1


# -- from the configuration ---------------------------------------------------------------------


def test_configured_proxy_is_used_even_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with serving(succeed) as url, proxying(url) as proxy:
        transcribe(url, proxy=f"http://127.0.0.1:{proxy.port}")
        assert len(proxy.requests) == 1


def test_configured_proxy_wins_over_the_environment(
    monkeypatch: pytest.MonkeyPatch, server: str, trusting: ssl.SSLContext
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://another.invalid:1")
    with proxying(server) as proxy:
        transcribe(
            f"wss://{HOST}/v2",
            proxy=f"http://user:{QUOTED}@127.0.0.1:{proxy.port}",
            ssl_context=trusting,
        )
        assert "Proxy-Authorization: Basic " in proxy.requests[0]


def test_certificate_is_still_that_of_the_server(server: str, trusting: ssl.SSLContext) -> None:
    with proxying(server) as proxy:
        error = fail(
            "wss://other.example/v2",
            proxy=f"http://127.0.0.1:{proxy.port}",
            ssl_context=trusting,
        )
    assert isinstance(error, ConnectionError)
    assert "certificate" in str(error)


@pytest.mark.parametrize(
    "proxy",
    [
        f"https://user:{QUOTED}@proxy.example:3128",
        f"ftp://user:{QUOTED}@proxy.example",
        "http://",
        f"http://user:{QUOTED}@proxy.example:99999",
        f"user:{QUOTED}@proxy.example",
    ],
)
def test_proxy_that_cannot_be_used_is_refused_by_name(proxy: str) -> None:
    with pytest.raises(ConfigurationError, match="proxy") as raised:
        ConnectionConfig(proxy=proxy)
    assert QUOTED not in all_said_by(raised.value)


@pytest.mark.parametrize("mark", "/?#[]")
@pytest.mark.parametrize("digits", ["", "1"])  # digits before it look like a port
def test_password_that_has_to_be_quoted_is_said_to_be(
    monkeypatch: pytest.MonkeyPatch, mark: str, digits: str
) -> None:
    url = f"http://user:{digits}{mark}SECRET@proxy.example:3128"
    with pytest.raises(ConfigurationError, match="proxy") as raised:
        ConnectionConfig(proxy=url)
    monkeypatch.setenv("HTTPS_PROXY", url.partition("//")[2])
    for error in (raised.value, fail(f"wss://{HOST}/v2")):
        assert "%23" in str(error)
        assert "SECRET" not in all_said_by(error)


def test_international_name_of_a_proxy_is_looked_up_in_its_ascii_form(
    monkeypatch: pytest.MonkeyPatch, server: str, trusting: ssl.SSLContext
) -> None:
    system = socket.getaddrinfo

    def look_up(host: str, *args: Any, **kwargs: Any) -> Any:
        known = {"xn--bcher-kva.example": "127.0.0.1"}
        return system(known.get(host, host), *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with proxying(server) as proxy:
        url = f"http://user:pass@bücher.example:{proxy.port}"
        transcribe(f"wss://{HOST}/v2", ssl_context=trusting, proxy=url)
        assert len(proxy.requests) == 1
    with pytest.raises(ConfigurationError, match=r"'faß\.example'.*\(xn--…\)"):
        ConnectionConfig(proxy="http://user:pass@faß.example:3128")


def test_line_break_after_the_proxy_of_the_environment_is_no_part_of_it(
    monkeypatch: pytest.MonkeyPatch, server: str, trusting: ssl.SSLContext
) -> None:
    with proxying(server) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f" http://127.0.0.1:{proxy.port} \n")
        transcribe(f"wss://{HOST}/v2", ssl_context=trusting)
        assert len(proxy.requests) == 1


@pytest.mark.parametrize(
    "proxy",
    [
        f"https://user:{QUOTED}@proxy.example:3128",
        f"ftp://user:{QUOTED}@proxy.example",
        "http://",
        f"http://user:{QUOTED}@proxy.example:99999",
    ],
)
def test_proxy_of_the_environment_that_cannot_be_used_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    error = fail(f"wss://{HOST}/v2")
    assert isinstance(error, ConfigurationError)
    assert "https_proxy" in str(error)


# -- proxies that do not do it ------------------------------------------------------------------


@pytest.mark.parametrize("status", [302, 403, 407, 502, 503])
def test_proxy_that_refuses_is_a_connection_error(status: int) -> None:
    refusal = f"HTTP/1.1 {status} No user:{PASSWORD}\r\nLocation: ws://localhost:1/\r\n\r\n"
    with proxying(answer=refusal.encode()) as proxy:
        error = fail(f"wss://{HOST}/v2", proxy=f"http://user:{QUOTED}@127.0.0.1:{proxy.port}")
        assert len(proxy.requests) == 1
    assert isinstance(error, ConnectionError)
    assert error.status == status
    assert f"proxy 127.0.0.1:{proxy.port}" in str(error)


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0\r\n\r\n", b"x" * 100_000, b"HTTP/1.1 200\r\n"])
def test_port_that_is_no_proxy_is_a_connection_error(answer: bytes) -> None:
    with proxying(answer=answer) as proxy:
        error = fail(f"wss://{HOST}/v2", proxy=f"http://127.0.0.1:{proxy.port}")
    assert isinstance(error, ConnectionError)


def test_proxy_that_is_not_there_is_named() -> None:
    with refusing() as port:
        error = fail(f"wss://{HOST}/v2", proxy=f"http://user:{QUOTED}@127.0.0.1:{port}")
    assert isinstance(error, ConnectionError)
    assert f"proxy 127.0.0.1:{port}" in str(error)
    assert "no-proxy.invalid" in str(fail(f"wss://{HOST}/v2", proxy="http://no-proxy.invalid:1"))


@pytest.mark.parametrize("trickle", [False, True])
def test_proxy_that_hangs_is_given_up_within_open_timeout(trickle: bool) -> None:
    stop = threading.Event()

    def behave(connection: socket.socket) -> None:
        while not stop.wait(0.02):
            connection.sendall(b"x" if trickle else b"")

    with listening(behave) as port:
        error = fail(f"wss://{HOST}/v2", proxy=f"http://127.0.0.1:{port}", open_timeout=0.4)
        stop.set()
    assert isinstance(error, TimeoutError)
    assert "open_timeout" in str(error)


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_close_ends_waiting_for_a_proxy(scheme: str) -> None:
    if scheme != "http":
        pytest.importorskip("python_socks")
    asked = threading.Event()

    def behave(connection: socket.socket) -> None:
        while connection.recv(4096):
            asked.set()

    with listening(behave) as port:
        config = ConnectionConfig(proxy=f"{scheme}://127.0.0.1:{port}", open_timeout=10 * PATIENCE)
        with Client(url=f"wss://{HOST}/v2", conn_config=config) as client:
            call = InThread(client.transcribe, speech(0.1), audio_format=RAW)
            wait_for(asked)
            client.close()
            with pytest.raises(SessionError):
                call.result()


# -- SOCKS --------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["", f"user:{QUOTED}@"])
def test_socks_proxy_leads_to_the_server(server: str, trusting: ssl.SSLContext, login: str) -> None:
    pytest.importorskip("python_socks")
    with proxying(server) as proxy:
        transcribe(
            f"wss://{HOST}/v2",
            proxy=f"socks5h://{login}127.0.0.1:{proxy.port}",
            ssl_context=trusting,
        )
        assert proxy.requests == [f"{HOST}:443"], "the proxy looks the name up"
        assert proxy.logins == ([("user", PASSWORD)] if login else [])


def test_name_that_a_socks_proxy_does_not_look_up_is_looked_up_by_us(
    monkeypatch: pytest.MonkeyPatch, server: str, trusting: ssl.SSLContext
) -> None:
    pytest.importorskip("python_socks")
    look_up = socket.getaddrinfo

    def known(host: str, *args: Any, **kwargs: Any) -> Any:
        if host != HOST:
            return look_up(host, *args, **kwargs)
        newer = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 443, 0, 0))
        return [newer, (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", known)
    with proxying(server) as proxy:
        transcribe(
            f"wss://{HOST}/v2",
            proxy=f"socks5://127.0.0.1:{proxy.port}",
            ssl_context=trusting,
        )
        assert proxy.requests == ["192.0.2.1:443"]


def test_socks_proxy_of_the_environment_leads_to_the_server(
    monkeypatch: pytest.MonkeyPatch, server: str, trusting: ssl.SSLContext
) -> None:
    pytest.importorskip("python_socks")
    with proxying(server) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{proxy.port}")
        transcribe(f"wss://{HOST}/v2", ssl_context=trusting)
        assert proxy.requests == [f"{HOST}:443"]


@pytest.mark.parametrize("answer", [b"\x01\x01", b"", b"HTTP/1.1 400 No\r\n\r\n"])
def test_socks_proxy_that_refuses_is_a_connection_error(answer: bytes) -> None:
    pytest.importorskip("python_socks")
    with proxying(answer=answer) as proxy:
        error = fail(f"wss://{HOST}/v2", proxy=f"socks5h://user:{QUOTED}@127.0.0.1:{proxy.port}")
    assert isinstance(error, ConnectionError)
    assert "proxy" in str(error)


def test_socks_proxy_that_is_not_there_is_a_connection_error() -> None:
    pytest.importorskip("python_socks")
    with refusing() as port:
        error = fail(f"wss://{HOST}/v2", proxy=f"socks5h://127.0.0.1:{port}")
    assert isinstance(error, ConnectionError)
    assert f"127.0.0.1:{port}" in str(error)


def test_socks_proxy_that_hangs_is_given_up_within_open_timeout() -> None:
    pytest.importorskip("python_socks")
    with listening(lambda connection: [*iter(lambda: connection.recv(4096), b"")] and None) as port:
        error = fail(f"wss://{HOST}/v2", proxy=f"socks5h://127.0.0.1:{port}", open_timeout=0.4)
        for thread in threading.enumerate():
            if thread.name.endswith("opener"):
                thread.join(PATIENCE)
                assert not thread.is_alive(), "it has a limit of its own"
    assert isinstance(error, TimeoutError)
    assert "open_timeout" in str(error)


def test_socks_proxy_without_its_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    missing: Optional[Any] = None
    monkeypatch.setitem(__import__("sys").modules, "python_socks", missing)
    error = fail(f"wss://{HOST}/v2", proxy="socks5://proxy.example:1080")
    assert isinstance(error, ConfigurationError)
    assert 'pip install "speechmatics-sync[socks]"' in str(error)
