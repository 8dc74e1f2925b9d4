"""Where a session connects, how it says who it is, and what never travels in clear text."""

from __future__ import annotations

import threading
from typing import Any, Optional
from urllib.parse import urlsplit

import pytest
from support.secrecy import KEY, all_said_by, everything_logged
from support.serving import Peer, serving
from support.sessions import RAW, InThread, speech, wait_for

from speechmatics_sync import (
    AuthBase,
    AuthenticationError,
    Client,
    ConfigurationError,
    ConnectionConfig,
    SessionError,
    StaticKeyAuth,
    __version__,
)
from speechmatics_sync._auth.endpoint import Endpoint
from speechmatics_sync._model.secret import Secret

ELSEWHERE = "ws://speech.example/v2"


class Vault(AuthBase):
    """A user's own `AuthBase`."""

    def __init__(self, headers: Any) -> None:
        self.headers = headers

    def get_auth_headers(self) -> dict[str, str]:
        return self.headers  # type: ignore[no-any-return]


class Handshakes:
    """A behaviour of the server that keeps what the client's handshakes said."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []

    def __call__(self, peer: Peer) -> None:
        self.peers.append(peer)
        peer.start()
        peer.finish()

    @property
    def headers(self) -> Any:
        return self.peers[-1].headers

    @property
    def path(self) -> str:
        return self.peers[-1].path


def transcribe(client: Client, **options: Any) -> None:
    client.transcribe(speech(0.1), audio_format=RAW, **options)


# -- who we are ---------------------------------------------------------------------------------


def test_handshake_names_the_request_and_no_origin() -> None:
    asked = Handshakes()
    with serving(asked) as url, Client(url=url) as client:
        transcribe(client)
        assert asked.headers["X-Request-Id"] == client.request_id
        assert "Origin" not in asked.headers
        assert "Authorization" not in asked.headers, "there is no key"


@pytest.mark.parametrize("name", ["X-Request-Id", "x-request-id"])
def test_request_id_of_the_user_is_the_sessions(name: str) -> None:
    asked = Handshakes()
    with serving(asked) as url, Client(url=url) as client:
        transcribe(client, ws_headers={name: "mine-1", "X-Tenant": "blue"})
        assert client.request_id == "mine-1"
        assert asked.headers.get_all("X-Request-Id") == ["mine-1"]
        assert asked.headers["X-Tenant"] == "blue"


def test_request_id_stays_ours_when_auth_headers_name_one() -> None:
    asked = Handshakes()
    with serving(asked) as url, Client(Vault({"X-Request-ID": "other"}), url=url) as client:
        transcribe(client)
        assert asked.headers.get_all("X-Request-Id") == [client.request_id]


def test_key_of_the_environment_is_sent_as_bearer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Handshakes()
    monkeypatch.setenv("SPEECHMATICS_API_KEY", KEY)
    with serving(asked) as url:
        monkeypatch.setenv("SPEECHMATICS_RT_URL", url)
        with Client() as client:
            transcribe(client)
    assert asked.headers.get_all("Authorization") == [f"Bearer {KEY}"]


def test_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Handshakes()
    monkeypatch.setenv("SPEECHMATICS_API_KEY", "another-key")
    monkeypatch.setenv("SPEECHMATICS_RT_URL", "wss://another.example/v2")
    with serving(asked) as url, Client(api_key=KEY, url=url) as client:
        transcribe(client)
    assert asked.headers["Authorization"] == f"Bearer {KEY}"


def test_default_endpoint_is_the_documented_one() -> None:
    assert "wss://eu.rt.speechmatics.com/v2" in repr(Client(api_key=KEY))


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("", "/v2?sm-sdk="),
        ("?sm-app=x&blank=&a=b%20c", "/v2?sm-app=x&blank=&a=b%20c&sm-sdk="),
        ("?a=1&a=2&b=%2F+%26&flag", "/v2?a=1&a=2&b=%2F+%26&flag&sm-sdk="),
        ("?sm-sdk=theirs&sm-app=x", "/v2?sm-app=x&sm-sdk="),
    ],
)
def test_query_of_the_url_is_kept_to_the_letter(given: str, sent: str) -> None:
    asked = Handshakes()
    with serving(asked) as url, Client(url=url + given) as client:
        transcribe(client)
    assert asked.path == f"{sent}python-sync-sdk-v{__version__}"


def test_sdk_identifier_is_quoted() -> None:
    asked = Handshakes()
    with serving(asked) as url, Client(url=url, sdk_identifier="my app/1&x") as client:
        transcribe(client)
    assert urlsplit(asked.path).query == "sm-sdk=my%20app%2F1%26x"


# -- keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", [None, "wss://us.rt.speechmatics.com/v2", "wss://EU.RT.Speechmatics.com./v2"]
)
def test_service_without_a_key_is_refused_before_connecting(url: Optional[str]) -> None:
    with pytest.raises(ConfigurationError, match="SPEECHMATICS_API_KEY"):
        Client(url=url)


def test_temporary_key_in_the_query_needs_no_other() -> None:
    client = Client(url=f"wss://eu.rt.speechmatics.com/v2?jwt={KEY}")
    assert KEY not in repr(client)


@pytest.mark.parametrize("url", ["wss://speech.example/v2", "ws://speech.example/v2"])
def test_container_of_ones_own_needs_no_key(url: str) -> None:
    Client(url=url)


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": KEY},
        {"auth": StaticKeyAuth(KEY)},
        {"auth": Vault({"X-Key": KEY})},
        {"url": f"{ELSEWHERE}?jwt={KEY}"},
        {"api_key": KEY, "url": "ws://128.0.0.1/v2"},
        {"api_key": KEY, "url": "ws://127.0.0.1.example/v2"},
        {"api_key": KEY, "url": "ws://localhost.example/v2"},
        {"api_key": KEY, "url": "ws://128.1/v2"},
        {"api_key": KEY, "url": "ws://0.0.0.1/v2"},
        {"api_key": KEY, "url": "ws://[::ffff:128.0.0.1]/v2"},
        {"api_key": KEY, "url": "ws://[::2]/v2"},
    ],
)
def test_key_never_travels_in_clear_text_to_another_machine(settings: dict[str, Any]) -> None:
    settings = {"url": ELSEWHERE, **settings}
    with pytest.raises(ConfigurationError, match="clear text") as raised:
        Client(**settings)
    assert KEY not in str(raised.value)
    Client(**settings, conn_config=ConnectionConfig(allow_insecure=True))


def test_key_among_the_users_headers_never_travels_in_clear_text() -> None:
    with Client(url=ELSEWHERE) as client:
        with pytest.raises(ConfigurationError, match="clear text") as raised:
            transcribe(client, ws_headers={"authorization": f"Bearer {KEY}"})
        assert KEY not in str(raised.value)


def test_key_for_this_machine_does_not_leave_it_by_a_proxy() -> None:
    away = ConnectionConfig(proxy="http://proxy.example:3128")
    client = Client(api_key=KEY, url="ws://localhost:9/v2", conn_config=away)
    with client, pytest.raises(ConfigurationError, match="clear text"):
        transcribe(client)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "0x7f.1",
        "2130706433",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
    ],
)
def test_key_travels_in_clear_text_within_this_machine(host: str) -> None:
    asked = Handshakes()
    with serving(asked) as url:
        transcribe(Client(api_key=KEY, url=url.replace("localhost", host)))
    assert asked.headers["Authorization"] == f"Bearer {KEY}"


# -- headers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": f"b\r\nX-Key: {KEY}"},
        {"X-A": f"{KEY}\n"},
        {"X-A": f"{KEY}\x00"},
        {"X-A": f"{KEY}…"},
        {"X-A\r\nX-B": "c"},
        {"X A": "b"},
        {"": "b"},
        {"X-A": 5},
        {5: "b"},
        {"X-Request-Id": "a\r\nX-B: c"},
        {"X-Request-Id": 5},
        {"Host": "speech.example"},
        {"Sec-WebSocket-Extensions": "permessage-deflate"},
    ],
)
def test_headers_that_are_none_are_refused_before_connecting(headers: Any) -> None:
    asked = Handshakes()
    with serving(asked) as url, Client(url=url) as client:
        with pytest.raises(ConfigurationError, match="ws_headers") as raised:
            transcribe(client, ws_headers=headers)
        assert KEY not in str(raised.value)
    assert not asked.peers


@pytest.mark.parametrize("given", [{"Authorization": f"{KEY}\r\nX-B: c"}, None, [KEY], "Bearer"])
def test_auth_that_gives_no_headers_is_refused_by_name(given: Any) -> None:
    asked = Handshakes()
    with serving(asked) as url, Client(Vault(given), url=url) as client:
        with pytest.raises(ConfigurationError, match="Vault") as raised:
            transcribe(client)
        assert KEY not in str(raised.value)
    assert not asked.peers


def test_coroutine_for_get_auth_headers_is_refused_by_name() -> None:
    class Later(AuthBase):
        async def get_auth_headers(self) -> dict[str, str]:  # type: ignore[override]
            return {}

    with serving(Handshakes()) as url, pytest.raises(ConfigurationError, match="coroutine"):
        transcribe(Client(Later(), url=url))


# -- URLs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://localhost/v2", "ws://"),
        ("https://eu.rt.speechmatics.com/v2", "wss://"),
        ("localhost:9000/v2", "wss://"),
        ("eu.rt.speechmatics.com", "wss://"),
        ("wss://", "host"),
        ("wss:///v2", "host"),
        ("wss://:443/v2", "host"),
        ("wss://localhost:0/v2", "port"),
        ("wss://localhost:70000/v2", "port"),
        ("wss://localhost:abc/v2", "port"),
        ("wss://[::1/v2", "URL"),
        ("wss://local host/v2", "space"),
        (" wss://localhost/v2", "space"),
        ("wss://localhost/v2\r\nX: y", "control"),
        ("wss://höst/ö", "ASCII"),
        ("wss://faß.example/v2", "(xn--…)"),  # of which Python makes another host
        ("wss://localhost/ö", "ASCII"),
        ("wss://localhost/v2#part", "fragment"),
        (f"wss://user:{KEY}@localhost/v2", "password"),
        (f"wss://user:{KEY}@localhost:x/v2", "port"),
        (f"https://user:{KEY}@localhost/v2", "wss://"),
        (f"wss://user:a?{KEY}@localhost/v2", "URL"),
        (f"https://localhost/v2?jwt={KEY}", "wss://"),
        (f"wss://user:{KEY} @localhost/v2", "space"),
        (5, "string"),
    ],
)
def test_url_that_is_none_is_refused_by_name(url: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match="url") as raised:
        Client(api_key="a-key", url=url)
    assert says in str(raised.value)
    assert KEY not in all_said_by(raised.value)


@pytest.mark.parametrize(
    ("url", "ascii_url"),
    [
        ("wss://höst/v2", "wss://xn--hst-sna/v2"),
        ("wss://HÖST.Example:8443/v2", "wss://xn--hst-sna.example:8443/v2"),
        ("wss://日本語。jp/v2", "wss://xn--wgv71a119e.jp/v2"),
    ],
)
def test_international_host_name_is_connected_to_by_its_ascii_form(
    url: str, ascii_url: str
) -> None:
    assert f"'{ascii_url}'" in repr(Client(api_key="a-key", url=url))


def test_international_name_of_the_service_needs_a_key_as_well() -> None:
    """Full-width letters are the same name."""
    with pytest.raises(ConfigurationError, match=r"There is no API key.* https://portal"):
        Client(url="wss://eu.rt.ｓpeechmatics.com/v2")


def test_line_break_after_the_url_of_the_environment_is_no_part_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = Handshakes()
    with serving(asked) as url:
        monkeypatch.setenv("SPEECHMATICS_RT_URL", f"{url}\n")
        transcribe(Client())
    assert asked.path.startswith("/v2?")
    monkeypatch.setenv("SPEECHMATICS_RT_URL", "\n")
    assert "eu.rt.speechmatics.com" in repr(Client(api_key="a-key"))


def test_url_of_the_environment_that_is_none_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SPEECHMATICS_RT_URL", "https://localhost/v2")
    with pytest.raises(
        ConfigurationError, match=r"SPEECHMATICS_RT_URL is .*; allowed: .* starts with wss://"
    ):
        Client()


def test_sdk_identifier_that_is_no_string_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="sdk_identifier"):
        Client(url=ELSEWHERE, sdk_identifier=5)  # type: ignore[arg-type]


# -- nothing shows the key ----------------------------------------------------------------------


def test_no_repr_shows_a_key() -> None:
    config = ConnectionConfig(proxy=f"http://user:{KEY}@proxy.example:3128")
    url = f"wss://speech.example/v2?jwt={KEY}"
    client = Client(api_key=KEY, url=url, conn_config=config)
    endpoint = Endpoint(Secret(url), StaticKeyAuth(KEY))
    for shown in (client, endpoint, config, config.to_dict(), StaticKeyAuth(KEY)):
        assert KEY not in repr(shown)
        assert KEY not in str(shown)


def test_session_that_goes_well_logs_no_key() -> None:
    asked = Handshakes()
    with everything_logged() as said, serving(asked) as url:
        transcribe(Client(api_key=KEY, url=f"{url}?jwt={KEY}"), ws_headers={"X-Key": KEY})
    # The server of the test logs what it receives; nobody else may.
    ours = [text for text in said if "[request_id=" in text]
    assert ours
    assert KEY not in "\n".join(ours)


def test_key_that_is_refused_is_replaced_once() -> None:
    keys = ["old-key", "new-key", "newer-key"]

    class Rotating(AuthBase):
        def get_auth_headers(self) -> dict[str, str]:
            return {"Authorization": f"Bearer {keys[0]}"}

        def invalidate(self) -> bool:
            del keys[0]
            return True

    offered: list[str] = []

    def judge(connection: Any, request: Any) -> Any:
        offered.append(request.headers["Authorization"])
        if request.headers["Authorization"] != "Bearer new-key":
            return connection.respond(401, "no")
        return None

    asked = Handshakes()
    with serving(asked, process_request=judge) as url, Client(Rotating(), url=url) as client:
        transcribe(client)
        assert offered == ["Bearer old-key", "Bearer new-key"]
        keys[:] = ["worse-key", "worst-key", "never-asked"]
        del offered[:]
        with pytest.raises(AuthenticationError) as raised:
            transcribe(client)
        assert raised.value.status == 401
        assert offered == ["Bearer worse-key", "Bearer worst-key"], "one more attempt, not two"


def test_key_that_cannot_be_replaced_is_tried_once() -> None:
    offered: list[str] = []

    def judge(connection: Any, request: Any) -> Any:
        offered.append(request.headers["Authorization"])
        return connection.respond(401, "no")

    serve = serving(Handshakes(), process_request=judge)
    with serve as url, pytest.raises(AuthenticationError):
        transcribe(Client(api_key=KEY, url=url))
    assert len(offered) == 1


def test_error_of_the_users_own_auth_comes_out_as_it_is() -> None:
    class Broken(AuthBase):
        def get_auth_headers(self) -> dict[str, str]:
            raise LookupError("the vault is closed")

    asked = Handshakes()
    with serving(asked) as url, pytest.raises(LookupError, match="vault"):
        transcribe(Client(Broken(), url=url))
    assert not asked.peers


def test_close_does_not_wait_for_a_key() -> None:
    asking, given = threading.Event(), threading.Event()

    class Slow(AuthBase):
        def get_auth_headers(self) -> dict[str, str]:
            asking.set()
            wait_for(given)
            return {"Authorization": f"Bearer {KEY}"}

    asked = Handshakes()
    with serving(asked) as url:
        client = Client(Slow(), url=url)
        call = InThread(transcribe, client)
        wait_for(asking)
        client.close()
        with pytest.raises(SessionError):
            call.result()
        assert not given.is_set()
        given.set()
        for thread in threading.enumerate():
            if thread.name.endswith("opener"):
                thread.join()
    assert not asked.peers, "the key came too late, and nothing was connected"
