"""A connection to a server that is known already resumes the TLS session of an earlier one."""

from __future__ import annotations

import gc
import ssl
import threading
import weakref
from typing import Any, Callable, Optional

import pytest
import trustme
from support.proxying import proxying
from support.reconnecting import POLICY, Legs, given, loses, noise, pieces, served
from support.secrecy import KEY
from support.serving import PATIENCE, Peer, serving
from support.sessions import RAW, InThread, speech, wait_for

from speechmatics_sync import Client, ConnectionConfig, ConnectionError, ReconnectPolicy

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """What a user has for a private authority; one that no other test has connected with."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def serving_as(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def client_of(
    url: str, context: ssl.SSLContext, reconnect: Optional[ReconnectPolicy] = None, **options: Any
) -> Client:
    config = ConnectionConfig(ssl_context=context, open_timeout=PATIENCE, **options)
    return Client(api_key=KEY, url=url, conn_config=config, reconnect=reconnect)


def transcribe(url: str, context: ssl.SSLContext, **options: Any) -> None:
    with client_of(url, context, **options) as client:
        client.transcribe(speech(0.1), audio_format=RAW)


class Resumed:
    """Ends every session well, and notes of each connection whether it resumed TLS."""

    def __init__(self, behave: Optional[Callable[[Peer], None]] = None) -> None:
        self.each: list[Optional[bool]] = []
        self._behave = behave or ends_well

    def __call__(self, peer: Peer) -> None:
        secured = peer.connection.socket
        assert isinstance(secured, ssl.SSLSocket)
        self.each.append(secured.session_reused)
        self._behave(peer)


def ends_well(peer: Peer) -> None:
    peer.start()
    peer.finish()


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_reconnect_resumes(
    authority: trustme.CA, trusting: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    context = serving_as(authority)
    context.minimum_version = context.maximum_version = version
    resumed = Resumed(Legs(loses(4), loses(2), ends_well))
    with served(resumed, ssl_context=context) as url, client_of(url, trusting, POLICY) as client:
        client.transcribe(given(pieces(noise(1.0))), audio_format=RAW)
    assert resumed.each == [False, True, True]


def test_another_client_with_the_same_context_resumes(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    resumed = Resumed()
    with serving(resumed, ssl_context=serving_as(authority)) as url:
        transcribe(url, trusting)
        transcribe(url, trusting)
    assert resumed.each == [False, True]


def test_a_client_with_another_context_does_not(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    other = ssl.create_default_context()
    authority.configure_trust(other)
    resumed = Resumed()
    with serving(resumed, ssl_context=serving_as(authority)) as url:
        transcribe(url, trusting)
        transcribe(url, other)
    assert resumed.each == [False, False]


def test_a_server_that_gives_no_tickets_is_shaken_hands_with_in_full(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    context = serving_as(authority)
    context.num_tickets = 0
    resumed = Resumed(Legs(loses(4), ends_well))
    with served(resumed, ssl_context=context) as url, client_of(url, trusting, POLICY) as client:
        client.transcribe(given(pieces(noise(1.0))), audio_format=RAW)
    assert resumed.each == [False, False]


def test_a_server_that_has_lost_its_keys_is_shaken_hands_with_in_full(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    before, after = Resumed(), Resumed()
    with serving(before, ssl_context=serving_as(authority)) as first, proxying() as proxy:
        way = {"proxy": f"http://127.0.0.1:{proxy.port}"}
        proxy.leads_to = port_of(first)
        transcribe("wss://localhost/v2", trusting, **way)
        with serving(after, ssl_context=serving_as(authority)) as second:
            proxy.leads_to = port_of(second)
            transcribe("wss://localhost/v2", trusting, **way)
    assert (before.each, after.each) == ([False], [False])


def test_a_session_is_resumed_once(authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    """While one connection that resumes has not got its own ticket yet, another has none."""
    resumed = Resumed()
    arrived = [threading.Event() for _ in range(3)]
    number = iter(range(3))

    def answer(connection: object, request: object) -> None:
        came = next(number)
        arrived[came].set()
        if came == 1:
            wait_for(arrived[2])

    # The tickets of TLS 1.3 come before the answer, but after 1.2's handshake there is no telling.
    context = serving_as(authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with serving(resumed, ssl_context=context, process_request=answer) as url:
        transcribe(url, trusting)
        second = InThread(lambda: transcribe(url, trusting))
        wait_for(arrived[1])
        transcribe(url, trusting)
        second.result()
    assert sorted(map(bool, resumed.each)) == [False, False, True]


def test_what_was_not_verified_is_not_resumed(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    careless = ssl.create_default_context()
    careless.check_hostname = False
    careless.verify_mode = ssl.CERT_NONE
    resumed = Resumed()
    with serving(resumed, ssl_context=serving_as(authority)) as url:
        transcribe(url, careless)
        careless.verify_mode = ssl.CERT_REQUIRED
        with pytest.raises(ConnectionError, match="certificate"):
            transcribe(url, careless)


def test_what_was_verified_for_one_host_is_not_resumed_with_another(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    with serving(Resumed(), ssl_context=serving_as(authority)) as url, proxying() as proxy:
        way = {"proxy": f"http://127.0.0.1:{proxy.port}"}
        proxy.leads_to = port_of(url)
        transcribe("wss://localhost/v2", trusting, **way)
        with pytest.raises(ConnectionError, match="certificate"):
            transcribe("wss://speech.example/v2", trusting, **way)


def test_a_context_is_not_kept(authority: trustme.CA) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    kept = weakref.ref(context)
    resumed = Resumed()
    with serving(resumed, ssl_context=serving_as(authority)) as url:
        transcribe(url, context)
        transcribe(url, context)
    assert resumed.each == [False, True]
    del context
    gc.collect()
    assert kept() is None


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])
