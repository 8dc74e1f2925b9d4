"""`WebsocketClient`, with the behaviour of the old package, on a session of speechmatics_sync."""

from __future__ import annotations

import asyncio
import base64
import contextvars
import copy
import inspect
import json
import logging
import os
import threading
from collections import defaultdict
from contextlib import AsyncExitStack, suppress
from typing import Any, Callable, NoReturn, Optional, Union
from urllib.parse import urlsplit, urlunsplit

from speechmatics_sync import AuthBase, JWTAuth, ReconnectPolicy, StaticKeyAuth

from .._help import module_dir
from ._connection import Connection as connect
from ._errors import load_exceptions_of_websockets
from ._gone import module_getattr, raise_gone, was_inside
from ._settings import report_unsent
from ._strict import is_strict, report
from .exceptions import EndOfTranscriptException, ForceEndSession, TranscriptionError
from .helpers import get_version, json_utf8, read_in_chunks
from .models import (
    AudioSettings,
    ClientMessageType,
    ConnectionSettings,
    ServerMessageType,
    TranscriptionConfig,
    UsageMode,
)

__all__ = [
    "AudioSettings",
    "ClientMessageType",
    "ConnectionSettings",
    "EndOfTranscriptException",
    "ForceEndSession",
    "ServerMessageType",
    "TranscriptionConfig",
    "TranscriptionError",
    "UsageMode",
    "WebsocketClient",
    "connect",
    "get_version",
    "json_utf8",
    "read_in_chunks",
]

__getattr__ = module_getattr(__name__)
__dir__ = module_dir(__name__)

LOGGER = logging.getLogger("speechmatics.client")

WS_HEADERS_KEY = "additional_headers"
"""The argument of `connect` that takes the headers of the handshake."""

Handler = Callable[[dict[str, Any]], Any]
Middleware = Callable[[Any, bool], Any]


class WebsocketClient:
    """A client of the Realtime API, as the package speechmatics-python had it.

    Handlers, middlewares and asynchronous sources run in the event loop of `run`, one at a time;
    in `run_synchronously`, that is in the calling thread.

    Args:
        connection_settings_or_auth_token: A key connects to the service with a temporary key; None
            takes the key from the configuration file of the old command line.

    A connection that is lost is replaced, as in all of speechmatics_sync, and a server that has no
    room is tried again, which the old package did not do: set ``reconnect`` to None for its errors.

    Raises:
        ValueError: There is no key, or no URL.

    Example:
        >>> client = WebsocketClient(ConnectionSettings(url, ssl_context=None))
        >>> client.add_event_handler("AddTranscript", lambda msg: print(msg["metadata"]))
        >>> with open("audio.wav", "rb") as audio:
        ...     client.run_synchronously(audio, TranscriptionConfig("en"))
    """

    def __init__(
        self, connection_settings_or_auth_token: Union[str, ConnectionSettings, None] = None
    ) -> None:
        given = connection_settings_or_auth_token
        if isinstance(given, ConnectionSettings):
            given.set_missing_values_from_config(UsageMode.RealTime)
            self.connection_settings = given
        else:
            self.connection_settings = ConnectionSettings.create(UsageMode.RealTime, given)
        self.websocket: Any = None
        self.transcription_config: Optional[TranscriptionConfig] = None
        self.event_handlers: dict[Any, list[Handler]] = {name: [] for name in ServerMessageType}
        self.middlewares: dict[Any, list[Middleware]] = {name: [] for name in ClientMessageType}
        self.seq_no: defaultdict[str, int] = defaultdict(int)
        self.session_running = False
        self.channel_stream_pairs: Optional[dict[str, Any]] = None
        self.reconnect: Optional[ReconnectPolicy] = ReconnectPolicy()
        self._pack_info: Optional[dict[str, Any]] = None
        self._updated = False
        self._stopping = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in filter(was_inside, vars(cls)):
            raise_gone(cls.__name__, name)  # nothing would call it

    def __getattr__(self, name: str) -> NoReturn:
        raise_gone(type(self).__name__, name)

    def __setattr__(self, name: str, value: object) -> None:
        if was_inside(name):
            raise_gone(type(self).__name__, name)  # setting it would have no effect
        super().__setattr__(name, value)

    # -- before and during a session --------------------------------------------------------------

    def add_event_handler(self, event_name: str, event_handler: Handler) -> None:
        """Call a handler with a copy of every message of a name.

        Args:
            event_name: A `ServerMessageType`, its string, or ``"all"``.
            event_handler: A plain function of one argument, the message.

        Raises:
            ValueError: There is no such message.
        """
        _add(self.event_handlers, event_name, event_handler)

    def add_middleware(self, event_name: str, middleware: Middleware) -> None:
        """Call a function with every message of a name before it is sent; it may change it.

        Args:
            event_name: A `ClientMessageType`, its string, or ``"all"``.
            middleware: A plain function of two arguments, the message or the audio, and whether it
                is audio.

        Raises:
            ValueError: There is no such message.
        """
        _add(self.middlewares, event_name, middleware)

    def get_language_pack_info(self) -> Optional[dict[str, Any]]:
        """Return how the session's language is written; None before RecognitionStarted."""
        return self._pack_info

    def update_transcription_config(self, new_transcription_config: TranscriptionConfig) -> None:
        """Send new settings before the next chunk of audio, if they differ from the last ones."""
        if new_transcription_config != self.transcription_config:
            self.transcription_config = new_transcription_config
            self._updated = True

    def stop(self) -> None:
        """End the audio, from any thread; `run` returns once the rest of it is transcribed."""
        self._stopping = True
        end_audio = getattr(self.websocket, "end_audio", None)
        if end_audio is not None:
            end_audio()

    async def send_message(self, message_type: str, data: Optional[Any] = None) -> None:
        """Send a message to the server, in order with the audio.

        Args:
            message_type: Its name.
            data: Its other fields.

        Raises:
            RuntimeError: No session is running.
        """
        if not self.session_running or self.websocket is None:
            raise RuntimeError(
                f"No session is running: {message_type} cannot be sent. Call run() first."
            )
        await self.websocket.send(json.dumps({"message": message_type, **(data or {})}))

    # -- a session --------------------------------------------------------------------------------

    def run_synchronously(self, *args: Any, timeout: Optional[float] = None, **kwargs: Any) -> None:
        """Transcribe a stream from start to end.

        Args:
            args: Those of `run`.
            timeout: Seconds that the whole call may take; None: no limit.
            kwargs: Those of `run`.

        Raises:
            asyncio.TimeoutError: ``timeout`` passed.
            Exception: What `run` raises.
        """
        tasks: list[asyncio.Task[Any]] = []

        async def run() -> None:
            tasks.append(asyncio.current_task())  # type: ignore[arg-type]
            await asyncio.wait_for(self.run(*args, **kwargs), timeout=timeout)

        # Not in an except block: its RuntimeError would be shown with every error of the run.
        if _in_event_loop():
            _in_thread(run, tasks)
        else:
            asyncio.run(run())

    async def run(
        self,
        stream: Any,
        transcription_config: TranscriptionConfig,
        audio_settings: Optional[AudioSettings] = None,
        from_cli: bool = False,
        extra_headers: Optional[dict[str, str]] = None,
    ) -> None:
        """Transcribe a stream from start to end.

        Args:
            stream: Has ``read(n)``, plain or asynchronous; or a dict of such streams, or of paths,
                by the labels of their channels.
            transcription_config: How to transcribe.
            audio_settings: The format of the audio; by default a file.
            from_cli: Whether to name the command line as the client, for the service.
            extra_headers: Headers of the handshake.

        Raises:
            TranscriptionError: The server sent an Error.
            Exception: A handler, a middleware or the stream raised it; or it is one of
                ``websockets``, if the connection failed.
        """
        settings, audio = self.connection_settings, audio_settings or AudioSettings()
        self.channel_stream_pairs = None
        self.transcription_config = transcription_config
        self._pack_info, self._updated = None, False
        self.seq_no.clear()
        load_exceptions_of_websockets()
        try:
            async with AsyncExitStack() as opened:
                streams: dict[Optional[str], Any] = {None: stream}
                if isinstance(stream, dict):
                    for channel, path in stream.items():
                        if isinstance(path, (str, os.PathLike)):
                            file = await asyncio.to_thread(open, path, "rb")
                            stream = {**stream, channel: opened.enter_context(file)}
                    self.channel_stream_pairs = streams = stream
                self.websocket = await opened.enter_async_context(
                    connect(
                        _url(settings.url, transcription_config.language),
                        additional_headers=dict(extra_headers or {}),
                        ssl=settings.ssl_context,
                        ping_timeout=settings.ping_timeout_seconds,
                        max_size=None,
                        auth=_auth(settings),
                        max_unacked_chunks=settings.message_buffer_size,
                        ack_timeout=settings.semaphore_timeout_seconds,
                        sdk_identifier=f"python{'-cli' if from_cli else ''}-{get_version()}",
                        reconnect=self.reconnect,
                    )
                )
                self.session_running = True
                try:
                    message = self._with_settings(
                        ClientMessageType.StartRecognition, audio_format=audio.asdict()
                    )
                except Exception as error:  # came when there was a connection, if there was one
                    await self.websocket.refuse(error)
                    return
                LOGGER.debug(message)
                owner = _Owner(self, self.websocket)
                await self.websocket.transcribe(owner, message, streams, audio.chunk_size)
        except ForceEndSession:
            LOGGER.warning("The session was ended by force")
        finally:
            if self._updated:
                report(LOGGER, "New settings came after the last chunk of audio: they are not sent")
            self.session_running = False
            self._stopping = False
            self.websocket = None

    def _with_settings(self, name: ClientMessageType, **fields: Any) -> dict[str, Any]:
        """Return a message with the transcription's settings, as the middlewares leave it."""
        config: Any = self.transcription_config
        message = {"message": name, **fields, "transcription_config": config.as_config()}
        if config.translation_config is not None:
            message["translation_config"] = _plain(config.translation_config)
        if config.audio_events_config is not None:
            message["audio_events_config"] = _plain(config.audio_events_config)
        self._call_middlewares(name, message, False)
        return message

    def _call_middlewares(self, name: ClientMessageType, message: Any, is_binary: bool) -> None:
        for middleware in list(self.middlewares[name]):
            _check_returned(middleware(message, is_binary), middleware)


class _Owner:
    """What a `WebsocketClient` does during a session; called by its `Connection`."""

    def __init__(self, client: WebsocketClient, connection: Any) -> None:
        self._client = client
        self._connection = connection

    def wants(self, name: str) -> bool:
        return name in _NOTED or bool(self._client.event_handlers.get(name))

    def consume(self, message: dict[str, Any]) -> None:
        client, name = self._client, message["message"]
        for handler in list(client.event_handlers.get(name, ())):
            try:
                _check_returned(handler(copy.deepcopy(message)), handler)
            except KeyError as error:
                if is_strict():
                    raise
                LOGGER.debug("A handler of %s raised a KeyError: %s", name, error)
                break
        if name == ServerMessageType.RecognitionStarted:
            client._pack_info = message.get("language_pack_info", client._pack_info)
        elif name == ServerMessageType.Warning:
            LOGGER.warning("%s", message.get("reason"))

    def stopping(self) -> bool:
        return self._client._stopping

    def has_work(self, channel: Optional[str]) -> bool:
        return self._client._updated or bool(self._client.middlewares[_audio_name(channel)])

    def count(self, channel: Optional[str]) -> None:
        self._client.seq_no[_counted_as(channel)] += 1

    def before_sending(self, channel: Optional[str], chunk: Any) -> Any:
        client = self._client
        if client._updated:
            client._updated = False
            message = client._with_settings(ClientMessageType.SetRecognitionConfig)
            self._connection.send_before(channel, message)
        name = _audio_name(channel)
        if channel is None or not client.middlewares[name]:
            client._call_middlewares(name, chunk, True)
            return chunk
        data = base64.b64encode(chunk).decode("ascii")
        message = {"message": name.value, "channel": channel, "data": data}
        changed = dict(message)
        client._call_middlewares(name, changed, False)
        report_unsent({**changed, "data": data}, message)
        return chunk if changed["data"] == data else base64.b64decode(changed["data"])

    def before_end(self, channel: Optional[str]) -> None:
        client = self._client
        sent = client.seq_no.get("single", 0) if channel is None else client.seq_no[channel]
        if not sent and client._stopping:
            report(LOGGER, "stop() was called before the first chunk: no audio is sent")
        elif not sent:
            report(LOGGER, "The %s gave no audio", f"channel {channel}" if channel else "stream")
        if channel is None:
            name, fields = ClientMessageType.EndOfStream, {}
        else:
            name, fields = ClientMessageType.EndOfChannel, {"channel": channel}
        message = {"message": name, **fields, "last_seq_no": sent}
        changed = dict(message)
        client._call_middlewares(name, changed, False)
        report_unsent(changed, message)


_NOTED = (ServerMessageType.RecognitionStarted, ServerMessageType.Warning)
"""Messages that matter without a handler."""


def _audio_name(channel: Optional[str]) -> ClientMessageType:
    return ClientMessageType.AddAudio if channel is None else ClientMessageType.AddChannelAudio


def _counted_as(channel: Optional[str]) -> str:
    return "single" if channel is None else channel


def _add(registered: dict[Any, list[Any]], name: str, function: Callable[..., Any]) -> None:
    if name != "all" and name not in registered:
        allowed = ", ".join(repr(each.value) for each in registered)
        raise ValueError(f"There is no message {name!r}; allowed: 'all', {allowed}")
    for each in registered if name == "all" else [name]:
        registered[each].append(function)


def _check_returned(returned: object, function: object) -> None:
    """Refuse a coroutine, which nothing would run."""
    if not inspect.iscoroutine(returned):
        return
    returned.close()
    if is_strict():
        raise TypeError(
            f"{getattr(function, '__qualname__', function)} is a coroutine function, which nothing "
            "runs: pass a plain function, which may call asyncio.create_task()"
        )


def _plain(config: Any) -> dict[str, Any]:
    plain: dict[str, Any] = config.asdict() if hasattr(config, "asdict") else dict(config)
    return plain


def _url(url: str, language: str) -> str:
    """The URL with the language at the end of its path."""
    parts, language = urlsplit(url), language.strip()
    path = parts.path
    if not path.endswith(language):
        path += f"{'' if path.endswith('/') else '/'}{language}"
    return urlunsplit(parts._replace(path=path))


def _auth(settings: ConnectionSettings) -> Optional[AuthBase]:
    address = urlsplit(settings.url)
    secret = "key" if settings.auth_token else "password" if address.password else None
    local = address.hostname in ("localhost", "127.0.0.1", "::1")
    if secret and address.scheme == "ws" and not local:
        report(LOGGER, "The %s goes to %s unencrypted: use wss://", secret, address.hostname)
    if not settings.auth_token:
        return None
    if not settings.generate_temp_token:
        return StaticKeyAuth(settings.auth_token)
    return JWTAuth(
        settings.auth_token,
        region=settings.region or "eu",
        client_ref=settings.client_ref or None,
        mp_url=os.environ.get("SM_MANAGEMENT_PLATFORM_URL") or settings.mp_url,
    )


_CHECK_SECONDS = 0.1
"""How often to ask whether the task that waits for another thread has been cancelled."""


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _in_thread(run: Callable[[], Any], tasks: list[asyncio.Task[Any]]) -> None:
    """Run a coroutine in the event loop of another thread: the one of this thread is running."""
    failed: list[BaseException] = []
    context = contextvars.copy_context()
    # Not `Thread.join`: before Python 3.11 a Ctrl-C in it has a thread that runs count as ended.
    ended: list[bool] = []
    running = threading.Lock()
    running.acquire()

    def target() -> None:
        try:
            context.run(asyncio.run, run())
        except BaseException as error:
            failed.append(error)
        finally:
            ended.append(True)
            running.release()

    thread = threading.Thread(target=target, name="speechmatics-run", daemon=True)
    # From Python 3.11 on, asyncio has the first Ctrl-C cancel this task, which cannot tell it.
    cancelling = getattr(asyncio.current_task(), "cancelling", int)
    before = cancelling()
    thread.start()
    try:
        while not ended:
            running.acquire(timeout=_CHECK_SECONDS)
            if cancelling() > before:
                raise asyncio.CancelledError
    except BaseException:  # Ctrl-C
        while not ended:
            if tasks:
                with suppress(RuntimeError):  # the loop has just been closed
                    tasks[0].get_loop().call_soon_threadsafe(tasks[0].cancel)
            running.acquire(timeout=0.05)
        raise
    if failed:
        raise failed[0]
