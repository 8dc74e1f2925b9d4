from __future__ import annotations

import gc
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from support.key_platform import CREATED, busy, read_order
from support.places import ROOT
from support.serving import Peer, final, listening, serving
from support.sessions import RAW, client_of, speech

from speechmatics_sync import (
    AudioError,
    AuthBase,
    AuthenticationError,
    Client,
    ConnectionConfig,
    JWTAuth,
    SpeechmaticsError,
    TranscriptionError,
)
from speechmatics_sync.local import Drop, Faults, LocalServer, ScriptedRecognizer

SECRET = "sk-very-secret-key"


def warns_and_finishes(peer: Peer) -> None:
    peer.start()
    peer.send({"message": "Warning", "type": "idle_timeout", "reason": "soon"})
    peer.take_audio()
    peer.send(final("word"), {"message": "EndOfTranscript"})


def fails(peer: Peer) -> None:
    peer.receive()
    peer.send({"message": "Error", "type": "not_allowed", "reason": f"key {SECRET[:4]}…"})
    peer.connection.close(4003)


def records_of(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record for record in caplog.records if record.name == "speechmatics_sync"]


def test_every_record_says_which_session_it_is_about(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def handle(message: Any) -> None:
        raise ValueError("from a handler")

    with serving(warns_and_finishes) as url, client_of(url, handler_errors="log") as client:
        client.on("AddTranscript", handle)
        client.transcribe(b"x" + speech(0.1), audio_format=RAW)
        first = client.request_id
        client.start_session(audio_format=RAW)
        client.close()
    records = records_of(caplog)
    levels = {record.levelname for record in records}
    assert levels == {"DEBUG", "INFO", "WARNING", "ERROR"}
    assert {record.request_id for record in records} == {first, client.request_id}
    assert {record.session_id for record in records} == {None, "session-1"}
    for record in records:
        text = record.getMessage()
        assert f"request_id={record.request_id}" in text
        assert f"session_id={record.session_id}" in text
    texts = "\n".join(record.getMessage() for record in records)
    for said in ("idle_timeout: soon", "half a sample", "untranscribed", "everything transcribed"):
        assert said in texts


def assert_all_name(records: list[Any], request_id: Optional[str]) -> None:
    """Fail unless there are records, and each says that it is about this session."""
    assert records
    for record in records:
        assert record.request_id == request_id, record.getMessage()
        assert f"request_id={request_id}" in record.getMessage()


def test_records_of_a_source_that_is_looked_at_say_which_session_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def chunks() -> Iterator[Any]:
        try:
            yield b"R"
            yield "no bytes"
        finally:
            raise ValueError("from closing the generator")

    client = client_of("ws://localhost:1")
    with pytest.raises(AudioError, match="gave str"):
        client.transcribe(chunks())
    records = records_of(caplog)
    assert "failed when it was closed" in records[0].getMessage()
    assert_all_name(records, client.request_id)


def test_records_of_fetching_a_key_say_for_which_session_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="speechmatics_sync")
    answers = [busy(retry_after=0), CREATED]

    def behave(connection: socket.socket) -> None:
        read_order(connection)
        connection.sendall(answers.pop(0))

    with listening(behave) as port, serving(warns_and_finishes) as url:
        client = Client(JWTAuth(SECRET, mp_url=f"http://127.0.0.1:{port}"), url=url)
        client.transcribe(speech(0.1), audio_format=RAW)
    records = records_of(caplog)
    texts = "\n".join(record.getMessage() for record in records)
    assert "Trying again" in texts
    assert "received one" in texts
    assert_all_name(records, client.request_id)


def test_after_the_start_records_bear_the_servers_id(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(warns_and_finishes) as url, client_of(url) as client:
        client.transcribe(speech(0.1), audio_format=RAW)
    records = records_of(caplog)
    started = next(i for i, record in enumerate(records) if "started" in record.getMessage())
    assert {record.session_id for record in records[started:]} == {"session-1"}


def is_ours(thing: object) -> bool:
    return str(type(thing).__module__).partition(".")[0] == "speechmatics_sync"


def test_no_secret_is_in_any_record_error_or_repr(caplog: pytest.LogCaptureFixture) -> None:
    """Of any logger, at DEBUG."""
    caplog.set_level(logging.DEBUG)

    class Keys(AuthBase):
        def get_auth_headers(self) -> dict[str, str]:
            return {"Authorization": f"Bearer {SECRET}"}

    shown: list[str] = []
    with serving(fails) as url:
        for client in (
            Client(api_key=SECRET, url=url),
            Client(Keys(), url=url),
            Client(url=f"{url}?jwt={SECRET}&sm-app=1"),
            Client(
                url=url, conn_config=ConnectionConfig(proxy=f"http://user:{SECRET}@127.0.0.1:1")
            ),
        ):
            with pytest.raises(SpeechmaticsError) as caught:
                client.transcribe(
                    speech(0.1), audio_format=RAW, ws_headers={"X-Token": f"Token {SECRET}"}
                )
            shown += [repr(caught.value), str(caught.value), repr(vars(caught.value))]
            shown += [repr(client.stats)]
            shown += [repr(thing) for thing in gc.get_objects() if is_ours(thing)]
    shown += [
        record.getMessage() + repr(record.args) + (record.exc_text or "")
        for record in caplog.records
        if not record.name.startswith("websockets.server")
    ]  # the server's own, which sees the key
    assert any("speechmatics_sync" in record.name for record in caplog.records)
    assert SECRET not in "\n".join(shown)


def test_no_word_and_no_audio_is_in_any_record(caplog: pytest.LogCaptureFixture) -> None:
    """Of the client and the embedded server, at DEBUG, over a lost connection too."""
    caplog.set_level(logging.DEBUG)
    faults = Faults()
    faults.add(Drop(), after_seconds=0.5)
    said = [("xylophone", 0.1, 0.3), ("zeppelin", 0.7, 0.9)]
    server = LocalServer(recognizer=ScriptedRecognizer(said), faults=faults)
    with server, Client(url=server.url) as client:
        audio = b"Z\xa5" * 16000
        assert client.transcribe(audio, audio_format=RAW).text == "xylophone zeppelin."
        assert client.stats.reconnects == 1
    records = [record for record in caplog.records if record.name.startswith("speechmatics_sync")]
    assert {record.name for record in records} >= {"speechmatics_sync", "speechmatics_sync.local"}
    shown = "\n".join(f"{record.getMessage()} {record.args}" for record in records)
    for word in ("xylophone", "zeppelin", r"Z\xa5", "WqV", "5aa5"):  # plain, base64, hexadecimal
        assert word not in shown


def test_half_a_character_of_the_servers_can_be_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    half = '{"message": "Warning", "type": "%\\ud800s", "reason": "%d \\udfff"}'

    def behave(peer: Peer) -> None:
        peer.start(id="100%\ud800")
        peer.send(half)
        peer.finish()

    caplog.set_level(logging.DEBUG)
    with serving(behave) as url, client_of(url) as client:
        client.transcribe(speech(0.1), audio_format=RAW)
    said = "\n".join(record.getMessage() for record in records_of(caplog))
    (tmp_path / "log").write_text(said, encoding="utf-8")
    assert "%\\ud800s: %d \\udfff" in said
    assert r"session_id=100?\ud800" in said


def test_an_error_says_what_happened_to_which_session() -> None:
    with serving(fails) as url:
        client = client_of(url)
        with pytest.raises(TranscriptionError) as caught:
            client.transcribe(speech(0.1), audio_format=RAW)
    assert f"request_id={client.request_id}" in str(caught.value)
    assert "not_allowed" in str(caught.value)


SILENT = """
import sys
from speechmatics_sync import Client, AudioFormat, SpeechmaticsError
client = Client(url=sys.argv[1])
client.on("AddTranscript", lambda message: 1 / 0)
client.start_session(audio_format=AudioFormat("pcm_s16le", 16000))
client.send_audio(bytes(3201))
try:
    client.stop_session()
except ZeroDivisionError:
    print("raised")
client.start_session(audio_format=AudioFormat("pcm_s16le", 16000))
client.close()
"""


def test_the_library_is_silent_unless_logging_is_configured() -> None:
    """Warnings and errors too: nothing is written to stderr."""
    with serving(warns_and_finishes) as url:
        ended = subprocess.run(
            [sys.executable, "-c", SILENT, url],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("raised\n", "", 0)


def test_a_key_that_is_refused_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(peer: Peer) -> None:
        peer.receive()
        peer.connection.close(4001, "not_authorised")

    caplog.set_level(logging.DEBUG, logger="speechmatics_sync")
    with serving(refuse) as url, pytest.raises(AuthenticationError) as caught:
        Client(api_key=SECRET, url=url).start_session(audio_format=RAW)
    assert SECRET not in str(caught.value) + caplog.text
    assert "API key" in str(caught.value)
