"""TLS for real: both ways at once, and what cannot be verified."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
import trustme
from support.secrecy import KEY, all_said_by
from support.serving import PATIENCE, STARTED, Peer, listening, serving
from support.sessions import RAW, InThread, speech, wait_for
from websockets.asyncio.server import ServerConnection, serve

from speechmatics_sync import (
    Client,
    ConfigurationError,
    ConnectionConfig,
    ConnectionError,
    SessionError,
    SpeechmaticsError,
    TimeoutError,
)

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def serving_as(
    authority: trustme.CA, name: str, version: Optional[ssl.TLSVersion] = None
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def client_of(url: str, trusting: Optional[ssl.SSLContext] = None, **limits: Any) -> Client:
    config = ConnectionConfig(ssl_context=trusting, **{"open_timeout": PATIENCE, **limits})
    return Client(api_key=KEY, url=url, conn_config=config, reconnect=None)


def succeed(peer: Peer) -> None:
    peer.start()
    peer.finish()


def refused(url: str, trusting: Optional[ssl.SSLContext] = None) -> str:
    with client_of(url, trusting) as client, pytest.raises(ConnectionError) as raised:
        client.transcribe(speech(0.1), audio_format=RAW)
    assert KEY not in all_said_by(raised.value, variables=True)
    return str(raised.value)


# -- both ways at once --------------------------------------------------------------------------


@contextlib.contextmanager
def serving_both_ways(
    behave: Callable[[ServerConnection], Awaitable[None]], context: ssl.SSLContext
) -> Iterator[str]:
    """Serve with asyncio, which never reads and writes one TLS socket in two threads."""
    ready, port = threading.Event(), [0]
    stopping: list[Callable[[], object]] = []
    errors: list[BaseException] = []

    async def handle(connection: ServerConnection) -> None:
        try:
            await behave(connection)
        except BaseException as error:
            errors.append(error)

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        stopping.append(lambda: loop.call_soon_threadsafe(stop.set))
        async with serve(
            handle, "127.0.0.1", 0, ssl=context, compression=None, max_size=None, max_queue=4
        ) as server:
            port[0] = next(iter(server.sockets)).getsockname()[1]
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    wait_for(ready)
    try:
        yield f"wss://localhost:{port[0]}/v2"
    finally:
        stopping[0]()
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.timeout(180)
def test_tls_works_both_ways_at_once(
    authority: trustme.CA, trusting: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    """Both directions are full, and every byte arrives, in order."""
    count, size = 160, 100_000
    spoken = [hashlib.sha256(b"%d" % at).digest() * 4096 for at in range(count)]
    told = [hashlib.sha256(b"x%d" % at).hexdigest() * (size // 64) for at in range(count)]
    heard: list[bytes] = []

    async def behave(connection: ServerConnection) -> None:
        json.loads(await connection.recv())
        await connection.send(json.dumps(STARTED))

        async def tell() -> None:
            for number, text in enumerate(told):
                message = {"message": "Info", "number": number, "text": text}
                await connection.send(json.dumps(message))

        telling = asyncio.ensure_future(tell())
        while True:
            message = await connection.recv()
            if isinstance(message, str):
                break
            heard.append(message)
            await connection.send(json.dumps({"message": "AudioAdded", "seq_no": len(heard)}))
        await telling
        await connection.send(json.dumps({"message": "EndOfTranscript"}))
        await connection.wait_closed()

    received: list[dict[str, Any]] = []
    server = serving_both_ways(behave, serving_as(authority, "localhost", version))
    with server as url, client_of(url, trusting) as client:
        client.on("Info", received.append)
        client.start_session(audio_format=RAW)
        for chunk in spoken:
            client.send_audio(chunk)
        client.stop_session()
    assert b"".join(heard) == b"".join(spoken)
    assert [message["number"] for message in received] == list(range(count))
    assert [message["text"] for message in received] == told


@pytest.mark.timeout(180)
def test_server_that_talks_without_listening_is_heard_over_tls(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    """Meanwhile the network takes nothing from the client."""
    text = "x" * 100_000
    count = 200

    async def behave(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(json.dumps(STARTED))
        for number in range(count):
            await connection.send(json.dumps({"message": "Info", "n": number, "text": text}))
        chunks = 0
        while isinstance(await connection.recv(), bytes):
            chunks += 1
            await connection.send(json.dumps({"message": "AudioAdded", "seq_no": chunks}))
        await connection.send(json.dumps({"message": "EndOfTranscript"}))
        await connection.wait_closed()

    received: list[int] = []
    server = serving_both_ways(behave, serving_as(authority, "localhost"))
    with server as url, client_of(url, trusting) as client:
        client.on("Info", lambda message: received.append(message["n"]))
        client.transcribe(b"\1\2" * (8 * MEGABYTE), audio_format=RAW)
    assert received == list(range(count))


# -- which authorities are trusted ---------------------------------------------------------------


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def transcribe(url: str) -> None:
    with client_of(url) as client:
        client.transcribe(speech(0.1), audio_format=RAW)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_variable_that_is_set_takes_effect_with_the_next_connection(
    authority: trustme.CA, bundle: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with serving(succeed, ssl_context=serving_as(authority, "localhost")) as url:
        assert name in refused(url)
        monkeypatch.setenv(name, str(bundle))
        transcribe(url)
        monkeypatch.delenv(name)
        refused(url)


@pytest.mark.parametrize(
    ("name", "before"),
    [("SSL_CERT_DIR", ""), ("SSL_CERT_DIR", f"/nowhere{os.pathsep}"), ("REQUESTS_CA_BUNDLE", "")],
    ids=["SSL_CERT_DIR", "SSL_CERT_DIR with several", "REQUESTS_CA_BUNDLE"],
)
def test_variable_may_name_a_directory(
    authority: trustme.CA, bundle: Path, monkeypatch: pytest.MonkeyPatch, name: str, before: str
) -> None:
    # The name under which OpenSSL looks: the hash of the subject's canonical form, which only
    # OpenSSL makes.
    openssl = shutil.which("openssl") or pytest.skip("needs the openssl command")
    asked = [openssl, "x509", "-hash", "-noout", "-in", str(bundle)]
    hashed = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    directory = bundle.parent / "authorities"
    directory.mkdir()
    bundle.rename(directory / f"{hashed}.0")
    monkeypatch.setenv(name, f"{before}{directory}")
    with serving(succeed, ssl_context=serving_as(authority, "localhost")) as url:
        transcribe(url)


def test_line_break_after_a_variable_is_no_part_of_it(
    authority: trustme.CA, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", f" {bundle}\n")
    with serving(succeed, ssl_context=serving_as(authority, "localhost")) as url:
        transcribe(url)


def test_variables_name_authorities_together(
    authority: trustme.CA, bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
    with serving(succeed, ssl_context=serving_as(authority, "localhost")) as url:
        refused(url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
        transcribe(url)


def test_bundle_that_has_changed_is_read_again(
    authority: trustme.CA, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = bundle.read_bytes()
    trustme.CA().cert_pem.write_to_path(str(bundle))
    os.utime(bundle, (1, 1))  # a file that is written twice within a tick of the clock
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with serving(succeed, ssl_context=serving_as(authority, "localhost")) as url:
        refused(url)
        bundle.write_bytes(right)
        transcribe(url)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_variable_without_certificates_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: Optional[bytes]
) -> None:
    if content is not None:
        (tmp_path / "empty.pem").write_bytes(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "empty.pem"))
    with listening(lambda connection: None) as port:
        client = client_of(f"wss://localhost:{port}/v2")
        with pytest.raises(ConfigurationError, match="REQUESTS_CA_BUNDLE") as raised:
            client.start_session(audio_format=RAW)
    assert "empty.pem" in str(raised.value)


def test_explicit_context_wins_over_the_environment(
    authority: trustme.CA, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/authorities.pem")
    with serving(succeed, ssl_context=serving_as(authority, "localhost")) as url:
        client_of(url, trusting).transcribe(speech(0.1), audio_format=RAW)


class Injected(ssl.SSLContext):
    """Trusts one authority, and verifies after wrap_socket, as truststore does."""

    authority: trustme.CA

    def load_default_certs(self, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> None:
        self.authority.configure_trust(self)

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        wrapped = super().wrap_socket(*args, **kwargs)
        assert wrapped.getpeercert(), "the handshake is still to come"
        return wrapped


def test_class_of_contexts_that_is_replaced_takes_effect_with_the_next_connection(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ssl.create_default_context()
    with serving(succeed, ssl_context=serving_as(authority, "localhost")) as url:
        refused(url)
        Injected.authority = authority
        monkeypatch.setattr(ssl, "SSLContext", Injected)
        monkeypatch.setattr(ssl, "create_default_context", lambda **_: _injected())
        transcribe(url)
        assert ConnectionConfig(ssl_context=before).ssl_context is before


def _injected() -> Injected:
    context = Injected(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    return context


def test_many_connections_share_one_default_context(
    monkeypatch: pytest.MonkeyPatch, authority: trustme.CA, bundle: Path
) -> None:
    made: list[ssl.SSLContext] = []
    create = ssl.create_default_context

    def counting(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        made.append(create(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(ssl, "create_default_context", counting)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with serving(succeed, ssl_context=serving_as(authority, "localhost")) as url:
        for _ in range(3):
            transcribe(url)
    assert len(made) == 1


# -- what cannot be verified --------------------------------------------------------------------


def test_certificate_of_an_unknown_authority_is_refused(authority: trustme.CA) -> None:
    with serving(succeed, ssl_context=serving_as(authority, "localhost")) as url:
        said = refused(url)
    assert "certificate" in said
    for way in (
        "ssl_context",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
    ):
        assert way in said


def test_certificate_for_another_host_is_refused(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    with serving(succeed, ssl_context=serving_as(authority, "speech.example")) as url:
        said = refused(url, trusting)
    assert "localhost" in said
    assert "match" in said.lower()


def test_address_is_verified_as_an_address(authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    with serving(succeed, ssl_context=serving_as(authority, "127.0.0.1")) as url:
        client = client_of(url.replace("localhost", "127.0.0.1"), trusting)
        client.transcribe(speech(0.1), audio_format=RAW)


def test_plain_server_on_a_wss_url_is_a_connection_error(trusting: ssl.SSLContext) -> None:
    with serving(succeed) as url:
        assert "TLS" in refused(url.replace("ws:", "wss:"), trusting)


def test_server_that_answers_tls_in_plain_text_is_a_connection_error(
    trusting: ssl.SSLContext,
) -> None:
    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Plain\r\n\r\n")

    with listening(behave) as port:
        assert "TLS" in refused(f"wss://localhost:{port}/v2", trusting)


def test_tls_server_on_a_ws_url_is_a_connection_error(authority: trustme.CA) -> None:
    with serving(succeed, ssl_context=serving_as(authority, "localhost")) as url:
        refused(url.replace("wss:", "ws:"))


def test_versions_without_overlap_are_a_connection_error(authority: trustme.CA) -> None:
    modern = ssl.create_default_context()
    authority.configure_trust(modern)
    modern.minimum_version = ssl.TLSVersion.TLSv1_3
    old = serving_as(authority, "localhost", ssl.TLSVersion.TLSv1_2)
    with serving(succeed, ssl_context=old) as url:
        assert "TLS" in refused(url, modern)


def test_server_that_is_silent_in_tls_is_given_up_within_open_timeout(
    trusting: ssl.SSLContext,
) -> None:
    def silent(connection: socket.socket) -> None:
        while connection.recv(65536):
            pass

    with listening(silent) as port:
        client = client_of(f"wss://localhost:{port}/v2", trusting, open_timeout=0.3)
        with pytest.raises(TimeoutError, match=r"open_timeout \(0.3 s\)"):
            client.transcribe(speech(0.1), audio_format=RAW)


def test_close_ends_the_tls_handshake(trusting: ssl.SSLContext) -> None:
    asked = threading.Event()

    def behave(connection: socket.socket) -> None:
        while connection.recv(65536):
            asked.set()

    with listening(behave) as port:
        url = f"wss://localhost:{port}/v2"
        with client_of(url, trusting, open_timeout=10 * PATIENCE) as client:
            call = InThread(client.transcribe, speech(0.1), audio_format=RAW)
            wait_for(asked)
            client.close()
            with pytest.raises(SessionError):
                call.result()


# -- how TLS ends -------------------------------------------------------------------------------


def test_tls_connection_that_is_cut_is_a_lost_connection(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    def cut(peer: Peer) -> None:
        peer.start()
        peer.receive()
        # Of the TCP socket, without a close_notify of TLS.
        socket.socket.shutdown(peer.connection.socket, socket.SHUT_RDWR)

    server = serving(cut, ssl_context=serving_as(authority, "localhost"))
    with server as url, pytest.raises(ConnectionError, match="lost"):
        client_of(url, trusting).transcribe(speech(0.1), audio_format=RAW)


def test_error_before_a_cut_is_still_heard_while_we_send(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.receive()
        peer.send({"message": "Error", "type": "quota_exceeded", "reason": "too many"})
        socket.socket.shutdown(peer.connection.socket, socket.SHUT_RDWR)

    with serving(behave, ssl_context=serving_as(authority, "localhost")) as url:
        client = client_of(url, trusting)
        with pytest.raises(SpeechmaticsError, match="quota_exceeded"):
            client.transcribe(b"\1\2" * (8 * MEGABYTE), audio_format=RAW)
