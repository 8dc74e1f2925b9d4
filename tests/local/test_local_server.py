"""The embedded server as a server: its address, keys, limits and its end."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import ssl
import threading
from typing import Any

import pytest
import trustme
from support.local_wire import PATIENCE, Wire, channel_audio, named, run, start_message, words
from support.sessions import with_longer_limits
from websockets.exceptions import ConnectionClosed, InvalidStatus

from speechmatics_sync import ConfigurationError, SessionError
from speechmatics_sync.local import (
    CountedRecognizer,
    LocalServer,
    ScriptedRecognizer,
    counted_audio,
)

KEY = "sk-a-key-that-is-nobodys"


def local_server(**options: object) -> LocalServer:
    return LocalServer(recognizer=CountedRecognizer(), strict=True, **options)  # type: ignore[arg-type]


def refused_with(url: str, **options: object) -> int:
    with pytest.raises(InvalidStatus) as refused, Wire(url, **options):
        pass
    return refused.value.response.status_code


def test_the_url_is_the_address_it_listens_at() -> None:
    server = local_server()
    with pytest.raises(SessionError, match=r"start\(\)"):
        _ = server.url
    with server:
        assert server.url == f"ws://127.0.0.1:{server.port}/v2"
        assert words(run(server.url, counted_audio(1)).received) == ["w1"]


def test_any_path_under_v2_is_served_and_no_other() -> None:
    with local_server() as server:
        root = server.url[: -len("/v2")]
        for path in ("/v2", "/v2/", "/v2/en", "/v2?sm-app=me"):
            assert words(run(root + path, counted_audio(1)).received) == ["w1"]
        for path in ("/", "/v1", "/v22", "/x/v2"):
            assert refused_with(root + path) == 404


def test_a_key_is_wanted_when_keys_are_set() -> None:
    with local_server(api_keys=[KEY, "another"]) as server:
        assert refused_with(server.url) == 401
        for header in ("Bearer wrong", f"Basic {KEY}", KEY, "Bearer", "Bearer ключ"):
            encoded = header.encode().decode("latin-1")
            assert refused_with(server.url, additional_headers={"Authorization": encoded}) == 401
        assert refused_with(f"{server.url}?jwt=wrong") == 401
        with Wire(server.url, additional_headers={"Authorization": f"Bearer {KEY}"}) as wire:
            wire.start()
        with Wire(f"{server.url}?jwt=another") as wire:
            wire.start()


def test_no_key_is_ever_in_a_log_or_a_record(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with local_server(api_keys=KEY) as server:
        caplog.clear()
        # Only the server's own log records: a client's may repeat the key.
        for options in (
            {"additional_headers": {"Authorization": f"Bearer {KEY}"}},
            {"additional_headers": {"Authorization": f"Bearer {KEY}x"}},
        ):
            try:
                with Wire(f"{server.url}?jwt={KEY}y", **options) as wire:
                    wire.send(start_message())
                    wire.until("RecognitionStarted")
            except InvalidStatus:
                pass
        assert server.sessions
        assert KEY not in repr(server.sessions)
        for record in server.sessions:
            assert KEY not in f"{vars(record)}"
        assert KEY not in repr(server)
    records = [r for r in caplog.records if r.name.startswith("speechmatics_sync")]
    assert records
    assert KEY not in "".join(record.getMessage() for record in records)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_only_loopback_is_possible_without_keys(host: str) -> None:
    with pytest.raises(ConfigurationError, match="api_keys"):
        local_server(host=host)


def test_with_keys_other_machines_may_be_served() -> None:
    with local_server(host="0.0.0.0", api_keys=KEY) as server:
        assert server.url == f"ws://0.0.0.0:{server.port}/v2"
        assert refused_with(f"ws://127.0.0.1:{server.port}/v2") == 401


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"api_keys": []}, "api_keys"),
        ({"api_keys": [""]}, "api_keys"),
        ({"port": 70000}, "port"),
        ({"port": 80.5}, "port"),
        ({"max_sessions": 0}, "max_sessions"),
        ({"max_message_size": 0}, "max_message_size"),
        ({"max_session_seconds": -1}, "max_session_seconds"),
        ({"idle_timeout": 0}, "idle_timeout"),
    ],
)
def test_a_setting_that_is_not_possible_is_refused_by_name(
    options: dict[str, object], name: str
) -> None:
    with pytest.raises(ConfigurationError, match=name):
        local_server(**options)


def test_one_session_too_many_gets_quota_exceeded_and_room_is_made_again() -> None:
    with local_server(max_sessions=1) as server:
        with Wire(server.url) as first:
            first.start()
            with Wire(server.url) as second:
                info, error = second.rest()
            assert (info["usage"], info["quota"]) == (2, 1)
            assert (error["type"], second.close_code) == ("quota_exceeded", 4005)
            first.end(0)
        with Wire(server.url) as third:
            third.start()


@pytest.mark.parametrize(
    "large", [bytes(5001), bytes(20_000_000), "x" * 5001, [bytes(3000), bytes(2001)]]
)
def test_a_message_that_is_too_large_is_a_protocol_error(large: Any) -> None:
    with local_server(max_message_size=5000) as server:
        with Wire(server.url) as wire:
            wire.start()
            wire.send(bytes(5000))
            wire.until("AudioAdded")
            with contextlib.suppress(ConnectionClosed):  # the answer comes before all is sent
                wire.connection.send(large)
            wire.rest()
        errors = named(wire.received, "Error")
        assert [error["type"] for error in errors] == ["protocol_error"]
        assert errors == wire.received[-1:]
        assert "5000" in errors[0]["reason"]
        assert wire.close_code == 1003
        assert words(run(server.url, counted_audio(1)).received) == ["w1"]
    assert (server.sessions[0].error, server.sessions[0].close_code) == (errors[0], 1003)


def test_a_message_that_is_too_large_ends_a_session_of_many_channels() -> None:
    with local_server(max_message_size=5000) as server, Wire(server.url) as wire:
        wire.start_channels("a", "b")
        wire.send(channel_audio("a", bytes(3000)), channel_audio("b", bytes(4000)))
        wire.rest()
        assert (wire.received[-1]["type"], wire.close_code) == ("protocol_error", 1003)


def test_a_session_that_lasts_too_long_times_out() -> None:
    with local_server(max_session_seconds=0.3) as server, Wire(server.url) as wire:
        wire.start()
        wire.rest()
        assert (wire.received[-1]["type"], wire.close_code) == ("session_timeout", 1008)


def test_a_session_without_audio_times_out_and_audio_prevents_it() -> None:
    def attempt(times: float) -> None:
        with local_server(idle_timeout=0.5 * times) as server, Wire(server.url) as wire:
            wire.start()
            for _ in range(20):
                wire.send(bytes(320))
                wire.until("AudioAdded")
                threading.Event().wait(0.05 * times)  # 20 of these are longer than the limit
            wire.rest()
            assert (wire.received[-1]["type"], wire.close_code) == ("idle_timeout", 1008)
            assert len(named(wire.received, "AudioAdded")) == 20

    with_longer_limits(attempt)


def test_sessions_at_the_same_time_do_not_mix() -> None:
    heard: dict[int, list[str]] = {}
    with local_server() as server:

        def session(number: int) -> None:
            heard[number] = words(run(server.url, counted_audio(20, first=number)).received)

        threads = [threading.Thread(target=session, args=(100 * n + 1,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert heard == {first: [f"w{first + n}" for n in range(20)] for first in range(1, 801, 100)}


def test_the_record_tells_what_the_server_saw() -> None:
    with local_server() as server:
        run(f"{server.url}?sm-sdk=test&empty=", counted_audio(2), size=1600)
        with Wire(server.url, additional_headers={"X-Request-Id": "me"}) as wire:
            wire.send({"message": "MakeTea"})
            wire.rest()
    first, second = server.sessions
    assert (first.path, first.query) == ("/v2", {"sm-sdk": "test", "empty": ""})
    assert first.start == start_message()
    assert [message["message"] for message in first.messages] == [
        "StartRecognition",
        "EndOfStream",
    ]
    assert (first.audio_chunks, first.audio_bytes, first.last_seq_no) == (20, 32000, 20)
    assert (first.error, first.close_code, first.ended) == (None, 1000, True)
    assert second.headers["x-request-id"] == "me"
    assert second.error is not None
    assert (second.error["type"], second.close_code) == ("invalid_message", 1003)


def test_stop_ends_every_session_and_start_listens_at_the_same_port() -> None:
    server = local_server()
    with server:
        url = server.url
        with Wire(url) as wire:
            wire.start()
            server.stop()
            wire.rest()
            assert wire.close_code == 1001
        with pytest.raises(OSError), Wire(url):
            pass
        server.start()
        assert server.url == url
        assert words(run(url, counted_audio(1)).received) == ["w1"]
        with pytest.raises(SessionError, match="running already"):
            server.start()
    server.stop()  # does nothing


def test_stop_does_not_wait_for_those_who_say_nothing_or_read_nothing() -> None:
    words = ScriptedRecognizer([("x" * 50_000, 0.0, 3600.0)])
    with LocalServer(recognizer=words) as server, Wire(server.url) as deaf:
        silent = socket.create_connection(("127.0.0.1", server.port))
        deaf.start(enable_partials=True)
        # The client's library stops reading when 16 messages wait. Then the server's partials fill
        # the network, the server blocks in a send, and in the end nothing can be sent to it.
        sock = deaf.connection.socket
        deaf.connection.protocol.send_binary(bytes(32_000))
        request = b"".join(deaf.connection.protocol.data_to_send())
        while select.select([], [sock], [], 1.0)[1]:
            with contextlib.suppress(BlockingIOError):
                sent = sock.send(request, socket.MSG_DONTWAIT)
                request = request[sent:] + request[:sent]
        stopper = threading.Thread(target=server.stop)
        stopper.start()
        stopper.join(PATIENCE)
        assert not stopper.is_alive()
        silent.close()
        with contextlib.suppress(OSError):  # the server may have reset it
            sock.shutdown(socket.SHUT_RDWR)


def test_a_dropped_connection_ends_as_a_failing_network_does_and_new_ones_are_served() -> None:
    with local_server() as server:
        for code in (None, 1012):
            with Wire(server.url) as wire:
                wire.start()
                server.drop_connections(code)
                wire.rest()
                assert wire.close_code == code
        assert words(run(server.url, counted_audio(1)).received) == ["w1"]


def test_tls_carries_audio_and_answers_both_ways_at_once() -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with local_server(ssl_context=context) as server, Wire(server.url, ssl=trusting) as wire:
        assert server.url.startswith("wss://")
        wire.start()
        reader = threading.Thread(target=wire.rest)
        reader.start()
        for _ in range(200):
            wire.send(counted_audio(1))
        wire.send({"message": "EndOfStream", "last_seq_no": 200})
        reader.join(PATIENCE)
        assert len(named(wire.received, "AudioAdded")) == 200
        assert words(wire.received) == ["w1"] * 200


def test_a_client_that_is_not_websocket_is_answered_and_harms_nobody() -> None:
    with local_server() as server:
        for nonsense in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00\x01\x02\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", server.port)) as sock:
                sock.settimeout(PATIENCE)
                sock.sendall(nonsense)
                while sock.recv(4096):
                    pass
        assert words(run(server.url, counted_audio(1)).received) == ["w1"]
