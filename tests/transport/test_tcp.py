"""Which address of a host is connected to, and that connecting can be ended at any point."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Optional

import pytest
from support.proxying import full_port, proxying
from support.serving import PATIENCE, Peer, listening, refusing, serving
from support.sessions import RAW, InThread, client_of, speech, wait_for

from speechmatics_sync import (
    Client,
    ConnectionConfig,
    ConnectionError,
    ReconnectPolicy,
    SessionError,
    TimeoutError,
)
from speechmatics_sync._concurrency.deadlines import Deadline
from speechmatics_sync._transport import names
from speechmatics_sync._transport.tcp import connect


def test_a_socket_that_is_shut_down_when_it_is_shown_does_not_go_on_connecting() -> None:
    """A shutdown before connect() has no effect, so the callback is called once more after it."""

    def on_socket(opened: Optional[socket.socket]) -> None:
        if opened is not None:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    with full_port() as port:
        connecting = InThread(connect, "127.0.0.1", port, Deadline(2 * PATIENCE), on_socket)
        with pytest.raises(OSError, match="reset"):
            connecting.result()


# -- several addresses --------------------------------------------------------------------------

HOST = "speech.example"
NEVER = 10 * PATIENCE
"""A limit that no test lives to see."""


def succeed(peer: Peer) -> None:
    peer.start()
    peer.finish()


def address(place: str, port: int, family: socket.AddressFamily = socket.AF_INET) -> names.Address:
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (place, port))


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


class Names:
    """What the system says about host names, and how often it was asked."""

    def __init__(self) -> None:
        self.known: list[names.Address] = []
        self.failures: list[Exception] = []
        self.asked: list[str] = []
        self.answer = threading.Event()
        self.answer.set()
        self._system = socket.getaddrinfo

    def look_up(self, host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host != HOST:
            return self._system(host, port, *args, **kwargs)
        self.asked.append(host)
        assert self.answer.wait(PATIENCE)
        if self.failures:
            raise self.failures.pop(0)
        return self.known


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    system = Names()
    monkeypatch.setattr(socket, "getaddrinfo", system.look_up)
    monkeypatch.setattr(names, "_last", {})
    yield system
    system.answer.set()


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The addresses in the order in which they are tried."""
    found: list[tuple[Any, ...]] = []

    class Watched(socket.socket):
        def connect_ex(self, place: Any) -> int:
            found.append(place)
            return super().connect_ex(place)

    monkeypatch.setattr(socket, "socket", Watched)
    return found


def transcribe(client: Client) -> None:
    client.transcribe(speech(0.1), audio_format=RAW)


def named(**settings: Any) -> Client:
    """A client of the host whose addresses a test chooses."""
    return client_of(f"ws://{HOST}:1/v2", **{"open_timeout": NEVER, **settings})


def test_address_that_never_answers_does_not_keep_the_next_from_being_tried(system: Names) -> None:
    with full_port() as hole, serving(succeed) as url:
        system.known = [address("127.0.0.1", hole), address("127.0.0.1", port_of(url))]
        transcribe(named())


def test_address_that_worked_last_is_tried_first(
    system: Names, tried: list[tuple[Any, ...]]
) -> None:
    with full_port() as hole, serving(succeed) as url:
        right = port_of(url)
        system.known = [address("127.0.0.1", hole), address("127.0.0.1", right)]
        for _ in range(2):
            transcribe(named())
    assert [port for _, port in tried] == [hole, right, right]


def test_address_that_took_the_connection_and_did_not_work_is_tried_last(
    system: Names, tried: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(connection: socket.socket) -> None:
        while connection.recv(4096):
            pass

    monkeypatch.setattr("speechmatics_sync._transport.tcp._HEAD_START", NEVER)
    with listening(silent) as deaf, serving(succeed) as url:
        right = port_of(url)
        system.known = [address("127.0.0.1", deaf), address("127.0.0.1", right)]
        with pytest.raises(TimeoutError):
            transcribe(named(open_timeout=0.3))
        transcribe(named())
    assert [port for _, port in tried] == [deaf, right]


def test_addresses_of_ipv6_and_ipv4_take_turns(system: Names, tried: list[tuple[Any, ...]]) -> None:
    with refusing() as port:
        older = [address(f"127.0.0.{number}", port) for number in (1, 2)]
        newer = [address(place, port, socket.AF_INET6) for place in ("::1", "::2", "::3")]
        system.known = [*older, *newer, older[0]]
        with pytest.raises(ConnectionError):
            transcribe(named())
    assert [place[0] for place in tried] == ["::1", "127.0.0.1", "::2", "127.0.0.2", "::3"]


def test_address_that_refuses_is_followed_by_the_next_at_once(
    system: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speechmatics_sync._transport.tcp._HEAD_START", NEVER)
    with refusing() as closed, serving(succeed) as url:
        system.known = [address("127.0.0.1", closed), address("127.0.0.1", port_of(url))]
        transcribe(named())


def test_kind_of_address_that_this_machine_has_not_is_passed_over(system: Names) -> None:
    with serving(succeed) as url:
        unknown = (12345, socket.SOCK_STREAM, 0, "", ("nowhere",))
        system.known = [unknown, address("127.0.0.1", port_of(url))]
        transcribe(named())


def test_addresses_of_which_none_answers_are_given_up_within_open_timeout(system: Names) -> None:
    with full_port() as first, full_port() as second:
        system.known = [address("127.0.0.1", first), address("127.0.0.1", second)]
        with pytest.raises(TimeoutError, match="open_timeout"):
            transcribe(named(open_timeout=0.6))


def test_close_ends_a_race_of_addresses(system: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    both, trying = threading.Event(), []

    class Watched(socket.socket):
        def connect_ex(self, place: Any) -> int:
            trying.append(place)
            if len(trying) == 2:
                both.set()
            return super().connect_ex(place)

    monkeypatch.setattr(socket, "socket", Watched)
    with full_port() as first, full_port() as second, named() as client:
        system.known = [address("127.0.0.1", first), address("127.0.0.1", second)]
        call = InThread(transcribe, client)
        wait_for(both)
        client.close()
        with pytest.raises(SessionError):
            call.result()


def test_addresses_of_a_proxy_are_raced_too(system: Names) -> None:
    with full_port() as hole, serving(succeed) as url, proxying(url) as proxy:
        system.known = [address("127.0.0.1", hole), address("127.0.0.1", proxy.port)]
        config = ConnectionConfig(open_timeout=NEVER, proxy=f"http://{HOST}:1")
        transcribe(Client(url="ws://server.example/v2", conn_config=config))
        assert len(proxy.requests) == 1


# -- looking names up ---------------------------------------------------------------------------

AGAIN = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def test_name_that_cannot_be_looked_up_for_now_is_tried_again(system: Names) -> None:
    system.failures = [AGAIN, AGAIN]
    policy = ReconnectPolicy(initial_delay=0.01, max_delay=0.01)
    with serving(succeed) as url:
        system.known = [address("127.0.0.1", port_of(url))]
        transcribe(named(reconnect=policy))
    assert len(system.asked) == 3


def test_name_that_cannot_be_looked_up_at_all_is_tried_again_within_open_timeout(
    system: Names,
) -> None:
    """Without a network, however long a lost connection is waited for."""
    system.failures = [AGAIN] * 1000
    policy = ReconnectPolicy(max_attempts=1000, initial_delay=0.01, max_delay=0.1)
    begun = time.monotonic()
    said = r"cannot be looked up now.*Reconnecting was tried"
    with pytest.raises(ConnectionError, match=said) as caught:
        InThread(transcribe, named(reconnect=policy, open_timeout=0.5)).result()
    assert isinstance(caught.value.__cause__, socket.gaierror)
    assert time.monotonic() - begun < PATIENCE
    assert 2 < len(system.asked) < 500


def test_name_that_is_not_known_is_not_tried_again(system: Names) -> None:
    system.failures = [socket.gaierror(socket.EAI_NONAME, "Name or service not known")]
    with pytest.raises(ConnectionError, match=f"{HOST} is not known") as caught:
        transcribe(named(reconnect=ReconnectPolicy()))
    assert isinstance(caught.value.__cause__, socket.gaierror)
    assert len(system.asked) == 1


def test_look_up_that_hangs_is_given_up_within_open_timeout_and_leaves_one_thread(
    system: Names,
) -> None:
    system.answer.clear()
    before = set(threading.enumerate())
    for _ in range(3):
        with pytest.raises(TimeoutError, match="open_timeout"):
            transcribe(named(open_timeout=0.2))
    left = [
        thread
        for thread in set(threading.enumerate()) - before
        if not thread.name.endswith("opener")
    ]
    assert [thread.name for thread in left] == ["speechmatics-look-up"]
    assert system.asked == [HOST]


def test_close_does_not_wait_for_a_look_up(system: Names) -> None:
    system.answer.clear()
    with named() as client:
        call = InThread(transcribe, client)
        while not system.asked:
            time.sleep(0.01)
        client.close()
        with pytest.raises(SessionError):
            call.result()
    for thread in threading.enumerate():
        if thread.name.endswith("opener"):
            thread.join(PATIENCE)
            assert not thread.is_alive(), "the opener waits for the look-up"
