"""What an extra promises, tried in an environment that holds the package and that extra alone.

    python smoke.py EXTRA SERVER PROXY DIRECTORY

SERVER is the URL of an embedded server, which hears "hello world" in any audio. PROXY is the port
of a proxy that leads to it. DIRECTORY has ``talk.wav`` and ``talk.mp3``. There is a microphone if
the variable ``MICROPHONE`` is set.
"""

from __future__ import annotations

import contextlib
import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import speechmatics_sync
from speechmatics_sync import (
    AddTranscriptDict,
    AudioFormat,
    Client,
    ConfigurationError,
    ConnectionConfig,
)

HEARD = "hello world."


def base() -> None:
    with Client("a-key", url=SERVER) as client:
        assert client.transcribe(WAV).text == HEARD, client.transcript.text


def audio() -> None:
    decoded = speechmatics_sync.open_audio(MP3, sample_rate=8000)
    assert decoded.audio_format == AudioFormat("pcm_s16le", 8000)
    with Client("a-key", url=SERVER) as client, decoded:
        assert client.transcribe(decoded).text == HEARD


def jwt() -> None:
    with Client(speechmatics_sync.JWTAuth("a-key", mp_url=PLATFORM), url=SERVER) as client:
        assert client.transcribe(WAV).text == HEARD


def local() -> None:
    from speechmatics_sync.local import LocalServer

    with LocalServer() as server, Client(url=server.url) as client:
        assert "account number" in client.transcribe(WAV).text, client.transcript.text


def progress() -> None:
    drawn = io.StringIO()
    with contextlib.redirect_stderr(drawn), Client("a-key", url=SERVER) as client:
        client.transcribe(WAV, progress=True)
    assert "100%" in drawn.getvalue(), drawn.getvalue()


def microphone() -> None:
    if not os.environ["MICROPHONE"]:
        return
    assert speechmatics_sync.Microphone.devices()
    config = speechmatics_sync.TranscriptionConfig(max_delay=0.7)
    recording = speechmatics_sync.Microphone(save="heard.wav")
    with Client("a-key", url=SERVER) as client, recording:

        @client.on("AddTranscript")
        def hear(message: AddTranscriptDict) -> None:
            if "world" in message["metadata"]["transcript"]:
                recording.stop()

        assert client.transcribe(recording, transcription_config=config).text == HEARD
    assert os.path.getsize("heard.wav") > 16000


def cli() -> None:
    command = str(Path(sys.executable).with_name("speechmatics-sync"))
    os.environ.update(SPEECHMATICS_API_KEY="a-key", XDG_CONFIG_HOME=os.getcwd(), TERM="xterm")

    def said_by(*words: str) -> str:
        return subprocess.check_output([command, *words], text=True)

    assert "complete" in said_by("--print-completion", "bash")
    said_by("config", "set", "url", SERVER)
    assert Path("speechmatics-sync", "config.json").exists()
    assert HEARD in said_by("transcribe", WAV)
    shown = bytearray()

    def read(terminal: int) -> bytes:
        shown.extend(data := os.read(terminal, 4096))
        return data

    assert pty.spawn([command, "transcribe", WAV], read) == 0, shown
    assert HEARD.encode() in shown, shown


def captions() -> None:
    with Client("a-key", url=SERVER) as client:
        transcript = client.transcribe(WAV)
    assert HEARD in transcript.to_srt()
    assert transcript.to_vtt().startswith("WEBVTT")


def legacy() -> None:
    # Both came with the old package, and its programs import them.
    import httpx  # noqa: F401
    import websockets  # noqa: F401

    import speechmatics_sync.legacy as speechmatics

    os.environ["SM_MANAGEMENT_PLATFORM_URL"] = PLATFORM
    heard: list[dict[str, object]] = []
    client = speechmatics.client.WebsocketClient(
        speechmatics.models.ConnectionSettings(
            url=SERVER, auth_token="a-key", generate_temp_token=True, ssl_context=None
        )
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
    through = ConnectionConfig(proxy=f"socks5://127.0.0.1:{PROXY}")
    with Client("a-key", url=SERVER, conn_config=through) as client:
        assert client.transcribe(WAV).text == HEARD
    nobody = ConnectionConfig(proxy="socks5://127.0.0.1:9", open_timeout=2)
    try:
        Client("a-key", url=SERVER, conn_config=nobody, reconnect=None).transcribe(WAV)
    except speechmatics_sync.ConnectionError as error:
        assert "proxy" in str(error), error
    else:
        raise AssertionError("it connected without the proxy")


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
    EXTRA, SERVER, PROXY, PLACE = sys.argv[1:]
    PLATFORM = SERVER.replace("ws://", "http://").replace("/v2", "")
    WAV, MP3 = (str(Path(PLACE) / f"talk.{suffix}") for suffix in ("wav", "mp3"))
    globals()[EXTRA]()
    if EXTRA == "base":
        missing()
