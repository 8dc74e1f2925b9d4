"""How a session ends."""

from __future__ import annotations

import asyncio
import io
import threading
from typing import Any

import speechmatics
import speechmatics.adapters
import speechmatics.cli
import speechmatics.client
import speechmatics.config
import speechmatics.constants
import speechmatics.helpers
import websockets
from common import (
    AUDIO,
    RAW,
    URLS,
    Endless,
    client_of,
    order_of,
    pattern,
    raised,
)
from speechmatics.exceptions import ForceEndSession
from speechmatics.models import (
    AudioSettings,
    ConnectionSettings,
    TranscriptionConfig,
)


@pattern
def stopped_by_a_handler() -> Any:
    client = client_of()
    names = order_of(client)
    client.add_event_handler("RecognitionStarted", lambda _: client.stop())
    client.run_synchronously(io.BytesIO(AUDIO), TranscriptionConfig("en"), RAW)
    return names


@pattern
def stopped_by_another_thread() -> Any:
    client = client_of()
    started = threading.Event()
    client.add_event_handler("AudioAdded", lambda _: started.set())

    def stop() -> None:
        started.wait()
        client.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    client.run_synchronously(Endless(), TranscriptionConfig("en"), RAW)
    thread.join()
    return "stopped"


def forced(*_: Any) -> None:
    raise ForceEndSession


@pattern
def forced_to_end() -> Any:
    said = []
    for add, name in (
        ("add_event_handler", "RecognitionStarted"),
        ("add_event_handler", "AddTranscript"),
        ("add_middleware", "StartRecognition"),
        ("add_middleware", "AddAudio"),
        ("add_middleware", "EndOfStream"),
    ):
        client = client_of()
        getattr(client, add)(name, forced)
        said.append(
            raised(
                lambda client=client: client.run_synchronously(
                    io.BytesIO(AUDIO), TranscriptionConfig("en"), RAW
                )
            )
        )
    return said


@pattern
def refused_before_it_began() -> Any:
    said = []
    for server in ("plain", "nowhere"):
        for refuse in (forced, own_error):
            client = client_of(server)
            client.add_middleware("StartRecognition", refuse)
            message = raised(
                lambda client=client: client.run_synchronously(
                    io.BytesIO(AUDIO), TranscriptionConfig("en"), RAW
                )
            )
            said.append(message.partition(":")[0])
    return said


@pattern
def an_audio_format_that_the_server_refuses() -> Any:
    said = []
    for audio in (AudioSettings("pcm_u8", 16000), AudioSettings("pcm_s16le", 5)):
        client = client_of()
        message = raised(
            lambda client=client, audio=audio: client.run_synchronously(
                io.BytesIO(AUDIO), TranscriptionConfig("en"), audio
            )
        )
        said.append(message)
    return said


class OwnError(Exception):
    pass


def own_error(*_: Any) -> Any:
    raise OwnError("mine")


@pattern
def errors_of_the_program() -> Any:
    class Broken:
        read = own_error

    class AsyncBroken:
        async def read(self, _: int) -> bytes:
            raise OwnError("mine")

    said = []
    for source in (Broken(), AsyncBroken()):
        client = client_of()
        said.append(raised(lambda: client.run_synchronously(source, TranscriptionConfig(), RAW)))  # noqa: B023
    for add, name in (
        ("add_event_handler", "RecognitionStarted"),
        ("add_event_handler", "AddTranscript"),
        ("add_middleware", "AddAudio"),
    ):
        client = client_of()
        getattr(client, add)(name, own_error)
        said.append(
            raised(
                lambda: client.run_synchronously(io.BytesIO(AUDIO), TranscriptionConfig(), RAW)  # noqa: B023
            )
        )
    return said


@pattern
def a_time_limit() -> Any:
    client = client_of()
    try:
        client.run_synchronously(Endless(), TranscriptionConfig("en"), RAW, timeout=0.2)
    except asyncio.TimeoutError:
        return "asyncio.TimeoutError", client.session_running
    return "nothing"


@pattern
def an_error_of_the_server() -> Any:
    client = client_of()
    errors: list[str] = []
    client.add_event_handler("Error", lambda msg: errors.append(msg["type"]))
    config = TranscriptionConfig("en", max_delay=10)
    said = raised(lambda: client.run_synchronously(io.BytesIO(AUDIO), config, RAW))
    return said.partition(" must")[0], errors


@pattern
def no_server() -> Any:
    client = client_of("nowhere")
    try:
        client.run_synchronously(io.BytesIO(AUDIO), TranscriptionConfig("en"), RAW)
    except websockets.exceptions.ConnectionClosed:
        return "ConnectionClosed"
    except ConnectionRefusedError:
        return "ConnectionRefusedError"
    return "nothing"


@pattern
def nothing_to_connect_to() -> Any:
    said = []
    for url in ("http://localhost/v2", "localhost:9000/v2", "ws:///v2", "ws://no-such.invalid/v2"):
        client = speechmatics.client.WebsocketClient(ConnectionSettings(url, ssl_context=None))
        client.reconnect = None
        message = raised(
            lambda client=client: client.run_synchronously(
                io.BytesIO(AUDIO), TranscriptionConfig("en"), RAW
            )
        )
        said.append(message.partition(":")[0])
    return said


@pattern
def tls_settings_without_tls() -> Any:
    client = speechmatics.client.WebsocketClient(ConnectionSettings(URLS["plain"]))
    said = raised(lambda: client.run_synchronously(io.BytesIO(AUDIO), TranscriptionConfig(), RAW))
    return said.partition(":")[0]


@pattern
def keys() -> Any:
    said = []
    for options in (
        {},
        {"auth_token": "wrong"},
        {"auth_token": "the-key"},
        {"auth_token": "wrong", "generate_temp_token": True},
        {"auth_token": "the-key", "generate_temp_token": True},
    ):
        client = client_of("keyed", mp_url=URLS["platform"], **options)
        try:
            client.run_synchronously(io.BytesIO(AUDIO), TranscriptionConfig("en"), RAW)
        except Exception as error:
            said.append(f"{type(error).__name__} {error.response.status_code}")  # type: ignore[attr-defined]
        else:
            said.append("connected")
    return said
