"""Whom the embedded server lets in, and what it keeps of those it refuses."""

from __future__ import annotations

import contextlib
import gc
import logging
import threading
import tracemalloc
from typing import Any

import pytest
import websocket
from support.local_wire import PATIENCE, Wire, named, run, start_message, words
from support.raw_handshake import answer_to, status_of

from speechmatics_sync import ConfigurationError
from speechmatics_sync.local import CountedRecognizer, LocalServer, counted_audio

KEY = "sk-a-key-that-is-nobodys"


def local_server(**options: Any) -> LocalServer:
    return LocalServer(recognizer=CountedRecognizer(), **options)


def status(server: LocalServer, host: str, *origins: str) -> int:
    headers = [f"Host: {host}".replace("PORT", str(server.port))]
    headers += [f"Origin: {origin}".replace("PORT", str(server.port)) for origin in origins]
    return status_of(server.port, *headers)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://localhost:PORT",
        "http://127.0.0.1:PORT.evil.example",
        "null",
        "",
    ],
)
def test_a_web_page_of_another_origin_gets_403(origin: str) -> None:
    with local_server() as server:
        assert status(server, "127.0.0.1:PORT", origin) == 403
        assert status(server, "127.0.0.1:PORT", "http://127.0.0.1:PORT", origin) == 403
        assert server.sessions == []


def test_who_names_no_origin_or_the_servers_own_is_served() -> None:
    with local_server() as server:
        assert status(server, "127.0.0.1:PORT") == 101
        for scheme in ("http", "https"):
            assert status(server, "127.0.0.1:PORT", f"{scheme}://127.0.0.1:PORT") == 101


@pytest.mark.parametrize("host", ["evil.example", "evil.example:PORT", "192.0.2.1:PORT", "[", ""])
def test_a_foreign_host_gets_403(host: str) -> None:
    with local_server() as server:
        assert status(server, host) == 403
        assert status(server, host, f"http://{host}") == 403
        assert status_of(server.port) == 403
        assert status_of(server.port, f"Host: 127.0.0.1:{server.port}", f"Host: {host}") == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST:PORT", "app.localhost:8", "[::1]:PORT"])
def test_every_name_of_this_machine_is_served(host: str) -> None:
    with local_server() as server:
        assert status(server, host) == 101


def test_a_server_for_other_machines_is_reached_by_its_addresses_alone() -> None:
    bearer = f"Authorization: Bearer {KEY}"
    with local_server(host="0.0.0.0", api_keys=KEY) as server:
        for host, expected in (("192.0.2.1:9000", 101), ("evil.example", 403)):
            assert status_of(server.port, f"Host: {host}", bearer) == expected


def test_allowed_origins_let_web_pages_in_and_their_hosts() -> None:
    page = "https://App.example.com:8443"
    with local_server(allowed_origins=[page]) as server:
        assert status(server, "127.0.0.1:PORT", page) == 101
        assert status(server, "app.example.com:PORT", page.lower()) == 101
        assert status(server, "127.0.0.1:PORT", "https://app.example.com") == 403
        assert status(server, "127.0.0.1:PORT", "https://evil.example") == 403
    with local_server(allowed_origins="*") as server:
        assert status(server, "evil.example", "https://evil.example") == 101


@pytest.mark.parametrize("origins", [["example.com"], ["https://a.b/path"], [b"*"], [""], [7]])
def test_what_is_no_origin_is_refused(origins: Any) -> None:
    with pytest.raises(ConfigurationError, match="allowed_origins"):
        local_server(allowed_origins=origins)


def test_a_refused_handshake_is_told_why_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with local_server() as server:
        answer = answer_to(server.port, "Host: evil.example")
    assert "allowed_origins" in answer
    assert "HTTP 403" in caplog.text
    assert "evil.example" not in caplog.text


@pytest.mark.parametrize("key", [[" "], ["a b"], [b"bytes"], b"bytes", [7], ["\n"]])
def test_what_can_be_no_key_is_refused(key: Any) -> None:
    with pytest.raises(ConfigurationError, match="api_keys"):
        local_server(api_keys=key)


def test_silence_before_start_recognition_ends_the_connection() -> None:
    with local_server(start_timeout=0.3) as server:
        with Wire(server.url) as wire:
            wire.rest()
        assert (wire.received[-1]["type"], wire.close_code) == ("idle_timeout", 1008)
        assert "StartRecognition" in wire.received[-1]["reason"]
        with Wire(server.url) as wire:
            wire.start()
            assert not threading.Event().wait(0.6)  # twice the limit
            assert wire.end(0)[-1]["message"] == "EndOfTranscript"


def test_silent_connections_do_not_count_as_sessions() -> None:
    with local_server(max_sessions=1) as server, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(Wire(server.url)) for _ in range(5)]
        assert words(run(server.url, counted_audio(1)).received) == ["w1"]
        first, second = silent[:2]
        first.start()
        second.send(start_message())
        second.rest()
        assert (second.received[-1]["type"], second.close_code) == ("quota_exceeded", 4005)
        first.end(0)


SIZE = 1 << 18
LARGE = '[{"x":[]}' + ',{"x":[]}' * (SIZE // 9) + "]"
"""Quarter of a megabyte of JSON that takes five once it is parsed."""
LONG = '"' + "x" * SIZE + '"'


@pytest.mark.parametrize(
    "refused",
    [
        f'{{"message":"MakeTea","x":{LARGE}}}',
        f'{{"message":"GetSpeakers","x":{LARGE}}}',
        f'{{"message":"GetSpeakers",{LONG}:1}}',
        f'{{"message":"StartRecognition","audio_format":{LARGE},"transcription_config":{{}}}}',
        f'{{"message":"StartRecognition","audio_format":"raw","transcription_config":{{}},{LONG}:1}}',
        f'{{"message":"ForceEndOfUtterance","channel":{LONG}}}',
        f"{LARGE}!",
    ],
    ids=["unknown", "field", "name", "format", "start", "channel", "json"],
)
def test_nothing_of_a_refused_message_is_kept(
    refused: str, caplog: pytest.LogCaptureFixture
) -> None:
    with local_server() as server:
        tracemalloc.start()
        try:
            for _ in range(4):
                with Wire(server.url) as wire:
                    if '"StartRecognition"' not in refused:
                        wire.start()
                    wire.send(refused)
                    wire.rest()
                assert named(wire.received, "Error")
            server.stop()  # its threads may hold the last message for a moment; its records stay
            gc.collect()
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert kept < SIZE, f"of four times {SIZE} bytes that were refused"
        for record in server.sessions:
            assert record.error is not None
            assert len(record.error["reason"]) < 1000
    assert len(caplog.text) < 100_000


def test_a_refused_message_cannot_write_log_lines_of_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with local_server() as server, Wire(server.url) as wire:
        wire.start()
        wire.send({"message": "GetSpeakers", "x\n\x1b[31mCRITICAL forged": 1})
        wire.rest()
    assert [one for one in caplog.messages if "\n" in one or "\x1b" in one] == []
    assert "forged" in caplog.text


def test_a_label_of_a_lone_surrogate_gets_an_error() -> None:
    with local_server() as server:
        for labels in (["a", "\ud800"], ["\udfff"]):
            with Wire(server.url) as wire:
                config = {"diarization": "channel", "channel_diarization_labels": labels}
                wire.send(start_message(**config))
                wire.rest()
            assert (wire.received[-1]["type"], wire.close_code) == ("invalid_message", 1003)
        with Wire(server.url) as wire:  # a pair of them is a character
            wire.start_channels("\N{OWL}")
            assert wire.end(0)[-1]["message"] == "EndOfTranscript"


def test_a_client_that_names_the_servers_origin_by_itself_is_served() -> None:
    with local_server() as server:
        websocket.create_connection(server.url, timeout=PATIENCE).close()
