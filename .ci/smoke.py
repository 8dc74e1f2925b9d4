"""What an extra promises, tried in an environment that holds the package and that extra alone.

    python smoke.py EXTRA SERVER DIRECTORY

SERVER is the URL of an embedded server, which hears "hello world" in any audio; DIRECTORY has
``talk.wav`` and ``talk.mp3``.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import speechmatics_sync
from speechmatics_sync import Client, ConfigurationError, ConnectionConfig


def base() -> None:
    with Client("a-key", url=SERVER) as client:
        assert client.transcribe(WAV).text == "hello world.", client.transcript.text


def audio() -> None:
    with Client("a-key", url=SERVER) as client, speechmatics_sync.open_audio(MP3) as decoded:
        assert client.transcribe(decoded).text == "hello world."


def jwt() -> None:
    auth = speechmatics_sync.JWTAuth(
        "a-key", mp_url=SERVER.replace("ws://", "http://").replace("/v2", "")
    )
    with Client(auth, url=SERVER) as client:
        assert client.transcribe(WAV).text == "hello world."


def local() -> None:
    from speechmatics_sync.local import LocalServer

    with LocalServer() as server, Client(url=server.url) as client:
        assert client.transcribe(WAV).text


def progress() -> None:
    with Client("a-key", url=SERVER) as client:
        client.transcribe(WAV, progress=True)


def microphone() -> None:
    try:
        speechmatics_sync.Microphone.devices()
    except speechmatics_sync.AudioError as error:  # no sound system here, which is said
        print("   ", error)


def cli() -> None:
    command = Path(sys.executable).with_name("speechmatics-sync")
    said = subprocess.run(
        [command, "transcribe", WAV, "--url", SERVER],
        env={**os.environ, "SPEECHMATICS_API_KEY": "a-key"},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "hello world." in said.stdout, said


def captions() -> None:
    with Client("a-key", url=SERVER) as client:
        transcript = client.transcribe(WAV)
    assert "hello world." in transcript.to_srt()
    assert transcript.to_vtt().startswith("WEBVTT")


def legacy() -> None:
    # Both came with the old package, and its programs import them.
    import httpx  # noqa: F401
    import websockets  # noqa: F401

    import speechmatics_sync.legacy as speechmatics

    heard = []
    client = speechmatics.client.WebsocketClient(
        speechmatics.models.ConnectionSettings(url=SERVER, auth_token="a-key", ssl_context=None)
    )
    client.add_event_handler(speechmatics.models.ServerMessageType.AddTranscript, heard.append)
    client.run_synchronously(
        io.BytesIO(Path(WAV).read_bytes()),
        speechmatics.models.TranscriptionConfig(language="en"),
        speechmatics.models.AudioSettings(),
    )
    assert any(message["results"] for message in heard)


def otel() -> None:
    from speechmatics_sync import telemetry

    telemetry.instrument()
    base()
    telemetry.uninstrument()


def socks() -> None:
    refusing = ConnectionConfig(proxy="socks5://127.0.0.1:9", open_timeout=2)
    try:
        Client("a-key", url=SERVER, conn_config=refusing, reconnect=None).transcribe(WAV)
    except speechmatics_sync.ConnectionError as error:
        assert "proxy" in str(error), error


def speed() -> None:
    base()
    assert "orjson" in sys.modules
    assert "websockets.speedups" in sys.modules


def missing() -> None:
    """Without an extra, what needs it says what to install."""
    for needs in (
        lambda: speechmatics_sync.open_audio(MP3),
        lambda: speechmatics_sync.JWTAuth("a-key").get_auth_headers(),
        speechmatics_sync.Microphone.devices,
    ):
        try:
            needs()
        except ConfigurationError as error:
            assert "pip install" in str(error), error
        else:
            raise AssertionError("it should need an extra")


if __name__ == "__main__":
    EXTRA, SERVER, PLACE = sys.argv[1:]
    WAV, MP3 = (str(Path(PLACE) / f"talk.{suffix}") for suffix in ("wav", "mp3"))
    globals()[EXTRA]()
    if EXTRA == "base":
        missing()
