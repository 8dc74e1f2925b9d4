"""One session of `speechmatics_sync`, with the user's code in an event loop.

The old package ran handlers, middlewares and asynchronous sources in the event loop, one at a time.
So does this: the session runs in a thread of its own, and its threads hop into the loop whenever
code of the user is to run (`_hops`). They wait for it only where its result matters. A plain
``read`` runs in the thread that the session has for its source, as it may block; an asynchronous
one is read in the loop, ahead of that thread (`_read_ahead`).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import inspect
import json
import logging
import ssl
import threading
from collections.abc import Iterator
from typing import Any, NoReturn, Optional, Protocol, Union
from urllib.parse import unquote, urlsplit

import speechmatics_sync
from speechmatics_sync import (
    AuthBase,
    Client,
    ConnectionConfig,
    MultiChannelClient,
    ReconnectPolicy,
    SessionEvent,
    WarningType,
)

from ._errors import as_before, invalid_uri, key_refused
from ._hops import Hops, Left
from ._pipes import outside_its_buffer
from ._read_ahead import ReadAhead
from ._settings import Recognition, never_sent, recognition
from ._strict import is_strict, report
from .exceptions import ForceEndSession
from .models import ServerMessageType

__all__ = ["Connection", "Owner"]

LOGGER = logging.getLogger("speechmatics.client")

_END = ServerMessageType.EndOfTranscript.value
_STARTED = ServerMessageType.RecognitionStarted.value
_ACKNOWLEDGEMENTS = (
    ServerMessageType.AudioAdded.value,
    ServerMessageType.ChannelAudioAdded.value,
)
_MOST_WAITING = 256
"""Messages that may wait for the event loop before the session waits for it too."""


class Owner(Protocol):
    """The client whose session this is. All runs in the event loop, save what says otherwise."""

    def wants(self, name: str) -> bool:
        """Return whether a message is to be given to `consume`; any thread may ask."""
        ...

    def consume(self, message: dict[str, Any]) -> None:
        """Run the handlers of a message."""

    def stopping(self) -> bool:
        """Return whether the audio is to end now; any thread may ask."""
        ...

    def has_work(self, channel: Optional[str]) -> bool:
        """Return whether `before_sending` has anything to do; any thread may ask."""
        ...

    def before_sending(self, channel: Optional[str], chunk: Any) -> Any:
        """Run the middlewares of a chunk; return what to send."""

    def count(self, channel: Optional[str]) -> None:
        """Count a chunk, before its middlewares run; in any thread."""

    def before_end(self, channel: Optional[str]) -> None:
        """Run the middlewares of the message that ends the audio."""


class Connection:
    """What `speechmatics.client.connect` returns: a context manager, and a session inside it.

    Raises:
        ValueError: The TLS settings do not fit the URL.
        Exception: ``InvalidURI`` of ``websockets``: the URL is not one of a WebSocket server.
    """

    def __init__(
        self,
        url: str,
        *,
        additional_headers: Optional[dict[str, str]] = None,
        ssl: Optional[ssl.SSLContext] = None,
        ping_timeout: Optional[float] = None,
        max_size: Optional[int] = None,
        auth: Optional[AuthBase] = None,
        max_unacked_chunks: int = 512,
        ack_timeout: Optional[float] = 120,
        sdk_identifier: Optional[str] = None,
        reconnect: Optional[ReconnectPolicy] = None,
    ) -> None:
        parts = urlsplit(url)
        refused = invalid_uri(parts)
        if refused is not None:
            raise refused
        if parts.scheme == "ws" and ssl is not None:
            raise ValueError(
                "ssl_context is for wss://: pass ssl_context=None to connect to a ws:// URL"
            )
        if parts.scheme == "wss" and ssl is None:
            raise ValueError(
                "ssl_context=None is for ws://: pass an ssl_context to connect to a wss:// URL"
            )
        given = dict(additional_headers or {})
        self._headers = {name: str(value) for name, value in given.items()}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            basic = base64.b64encode(user.encode()).decode("ascii")
            self._headers.setdefault("Authorization", f"Basic {basic}")
            url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self._auth = _Auth(auth, self)
        self._options: dict[str, Any] = {
            "auth": self._auth,
            "url": url,
            "conn_config": ConnectionConfig(
                ssl_context=ssl,
                ping_timeout=ping_timeout,
                max_size=max_size,
                max_unacked_chunks=max_unacked_chunks,
                ack_timeout=ack_timeout,
                allow_insecure=True,
            ),
            "sdk_identifier": sdk_identifier,
            "reconnect": reconnect,
        }
        self.closed = False
        self._client: Union[Client, MultiChannelClient, None] = None
        self._hops: Any = None
        self._done: Optional[asyncio.Future[Optional[BaseException]]] = None
        self._started = threading.Event()
        self._ended: set[Optional[str]] = set()
        self._ahead: dict[Optional[str], ReadAhead] = {}
        self._begun = self._transcribed = self._told = self._hears_acknowledgements = False
        self._given = self._consumed = 0
        """Messages given to the event loop by the session's thread, and those it has handled."""

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed = True

    async def send(self, text: str) -> None:
        """Send a message, in order with the audio.

        Raises:
            Exception: The session is over.
        """
        try:
            self.send_message(json.loads(text))
        except speechmatics_sync.SessionError as error:
            raise as_before(speechmatics_sync.ConnectionError(error.message)) from error

    async def close(self, *_: object) -> None:
        """End the session now, without an error."""
        self.fail(ForceEndSession())

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"The websocket of a client has no attribute {name!r}: use send() or close(), and "
            "leave the rest to speechmatics_sync.Client"
        )

    def send_message(self, message: dict[str, Any]) -> None:
        """Send a message, in order with the audio.

        Raises:
            SessionError: There is no session, or it is over.
        """
        if self._client is None:
            raise speechmatics_sync.SessionError(
                "The session has not started: wait for RecognitionStarted."
            )
        self._client.send_message(message)

    def send_before(self, channel: Optional[str], message: dict[str, Any]) -> None:
        """Send a message before the next chunk of a channel."""
        ahead = self._ahead.get(channel)
        if ahead is None:
            self.send_message(message)
        else:
            ahead.put(message)

    async def transcribe(
        self,
        owner: Owner,
        message: dict[str, Any],
        streams: dict[Optional[str], Any],
        chunk_size: int,
    ) -> None:
        """Run a session from start to end.

        Args:
            owner: Runs the user's code.
            message: StartRecognition.
            streams: What to read, by channel; the channel of a single stream is None.
            chunk_size: How many bytes to ask for at a time.
        """
        self._owner = owner
        self._channels = list(streams)
        channels = [channel for channel in streams if channel is not None]
        settings = recognition(message, channels)
        client = (MultiChannelClient if channels else Client)(**self._options)
        # Who listens to acknowledgements has a thread wake for every chunk.
        for name in {each.value for each in ServerMessageType}.difference(_ACKNOWLEDGEMENTS):
            client.on(name, self._take)
        client.on(SessionEvent.RECONNECTING, self._take)
        sources = {name: Stream(self, name, streams[name], chunk_size) for name in streams}
        await self._run(client, sources if channels else sources[None], settings)

    async def refuse(self, error: BaseException) -> None:
        """Connect, and raise an error in place of sending StartRecognition."""
        settings = never_sent(lambda: self._auth.asked)
        with contextlib.suppress(speechmatics_sync.SessionError):
            await self._run(Client(**self._options), iter(()), settings)
        raise error

    async def _run(self, client: Any, source: Any, settings: Recognition) -> None:
        loop = asyncio.get_running_loop()
        self._client = client
        self._hops = hops = Hops()
        self._done = done = loop.create_future()
        finished = asyncio.Event()

        def run() -> None:
            try:
                client.transcribe(
                    source,
                    collect=False,
                    ws_headers=self._headers,
                    **settings._asdict(),
                )
                outcome = None
            except BaseException as error:
                outcome = error
            hops.soon(self._finish, outcome)
            hops.soon(finished.set)

        threading.Thread(target=run, name="speechmatics-session", daemon=True).start()
        try:
            outcome = await done
        finally:
            self.closed = True
            hops.close()
            self._started.set()
            for ahead in self._ahead.values():
                ahead.put(None)
            if not finished.is_set():
                threading.Thread(target=client.close, daemon=True).start()
                await finished.wait()
        self._raise(outcome)

    def end_audio(self) -> None:
        """End the audio of all channels now; any thread may call this."""
        if self._hops is not None and self._started.is_set():
            for channel in self._channels:
                self._hops.soon(self._end_soon, channel)

    def is_over(self, channel: Optional[str]) -> bool:
        """Return whether no more audio of a channel is to be read; any thread may ask this."""
        return self.closed or channel in self._ended

    def fail(self, error: BaseException) -> None:
        """End the session with an error; any thread may call this."""
        if self._hops is not None:
            self._hops.soon(self._finish, error)

    # -- in the event loop ------------------------------------------------------------------------

    def _finish(self, outcome: Optional[BaseException]) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(outcome)

    def _raise(self, outcome: Optional[BaseException]) -> None:
        if outcome is None:
            return
        if not isinstance(outcome, speechmatics_sync.SpeechmaticsError):
            raise outcome
        if self._transcribed and isinstance(outcome, speechmatics_sync.TransportError):
            # What the server acknowledged was never checked.
            report(LOGGER, "The session has ended, and yet: %s", outcome.message)
            return
        if not is_strict() and _was_silent(outcome):
            LOGGER.info("The session ended before its time: %s", outcome.message)
            return
        no_key = self._auth.refused
        if no_key is not None:
            before = key_refused(no_key)
        else:
            before = as_before(outcome, connected=self._begun, told=self._told)
        if before is outcome:
            raise outcome
        raise before from (None if before is outcome.__cause__ else outcome)

    def _end_soon(self, channel: Optional[str]) -> None:
        ahead = self._ahead.get(channel)
        if ahead is not None:
            ahead.put(None)  # after the audio that was read
            return
        try:
            self.end(channel)
        except BaseException as error:
            self._finish(error)

    def end(self, channel: Optional[str]) -> None:
        """End the audio of a channel, once."""
        if channel in self._ended or self._client is None:
            return
        self._ended.add(channel)
        self._owner.before_end(channel)
        if isinstance(self._client, MultiChannelClient) and channel is not None:
            self._client.end_of_channel(channel)
        else:
            self._client.end_of_stream()

    def _prepare(self, channel: Optional[str], chunk: Any) -> Any:
        """Return a chunk as it is to be sent; None if the audio ends before it."""
        owner = self._owner
        if owner.stopping() or channel in self._ended:
            return None
        owner.count(channel)
        return owner.before_sending(channel, chunk) if owner.has_work(channel) else chunk

    def _consume(self, message: dict[str, Any]) -> None:
        self._consumed += 1
        if self._done is None or self._done.done():
            return
        try:
            self._owner.consume(message)
        except BaseException as error:
            self._finish(error)

    # -- in the session's threads -----------------------------------------------------------------

    def _take(self, message: dict[str, Any]) -> None:
        """Handle a message, in the thread that runs the session."""
        name = message["message"]
        if name == SessionEvent.RECONNECTING.value:
            LOGGER.warning("The connection was lost: %s", message.get("reason"))
            return
        self._begun = self._begun or name == _STARTED
        self._told = self._told or name == ServerMessageType.Error.value
        self._transcribed = self._transcribed or name == _END
        hops = self._hops
        if hops is not None and self._owner.wants(name):
            self._given += 1
            if name == _STARTED or self._given - self._consumed > _MOST_WAITING:
                hops.call(self._consume, message)
            else:
                hops.soon(self._consume, message)
        if name == _STARTED and self._done is not None and not self._done.done():
            self._started.set()  # unless a handler has ended it

    def _hear_acknowledgements(self) -> None:
        """Listen to acknowledgements once they have handlers."""
        client = self._client
        if client is not None and any(map(self._owner.wants, _ACKNOWLEDGEMENTS)):
            self._hears_acknowledgements = True
            for name in _ACKNOWLEDGEMENTS:
                client.on(name, self._take)

    def next_chunk(self, channel: Optional[str], stream: Any, chunk_size: int) -> Any:
        """Return the next chunk of a source, or None at its end; in the thread of that source."""
        self._started.wait()
        if self.closed:
            return None
        if not self._hears_acknowledgements:
            self._hear_acknowledgements()
        chunk: Any = None
        ahead = self._ahead.get(channel)
        if ahead is None:
            chunk = self._read(channel, stream, chunk_size)
            ahead = self._ahead.get(channel)
        if ahead is not None:
            chunk = ahead.get()
            while isinstance(chunk, dict):
                self.send_message(chunk)
                chunk = ahead.get()
        if not chunk and not self.closed:
            self._hops.call(self.end, channel)
        return None if self.is_over(channel) else chunk

    def _read(self, channel: Optional[str], stream: Any, chunk_size: int) -> Any:
        """Return a chunk of a plain stream; have an asynchronous one read in the event loop."""
        chunk = None if self._owner.stopping() else stream.read(chunk_size)
        if inspect.isawaitable(chunk):
            ahead = ReadAhead(self._hops, lambda chunk: self._prepare(channel, chunk), self._finish)
            self._ahead[channel] = ahead
            ahead.start(chunk, stream, chunk_size)
        elif chunk and self._owner.has_work(channel):
            chunk = self._hops.call(self._prepare, channel, chunk)
        elif chunk:
            chunk = self._prepare(channel, chunk)
        return chunk


class Stream(Iterator[Any]):
    """A source for speechmatics_sync: what a stream of the old package reads.

    Errors name it: "the Stream gave str, not bytes".
    """

    def __init__(
        self, connection: Connection, channel: Optional[str], stream: Any, chunk_size: int
    ) -> None:
        self._connection = connection
        self._channel = channel
        self._stream = outside_its_buffer(stream, lambda: connection.is_over(channel))
        self._chunk_size = chunk_size

    def __next__(self) -> Any:
        try:
            chunk = self._connection.next_chunk(self._channel, self._stream, self._chunk_size)
        except Left:
            chunk = None
        except BaseException as error:
            self._connection.fail(error)  # as it is, rather than as the cause of an AudioError
            raise
        if chunk is None:
            raise StopIteration
        return chunk


class _Auth(AuthBase):
    """Gives the key, unless the run has ended; remembers that none could be had."""

    def __init__(self, auth: Optional[AuthBase], connection: Connection) -> None:
        self._auth = auth
        self._connection = connection
        self.asked = False
        self.refused: Optional[speechmatics_sync.AuthenticationError] = None

    def get_auth_headers(self) -> dict[str, str]:
        """Return the Authorization header; none without a key."""
        if self._connection.closed:
            raise speechmatics_sync.SessionError("The run has ended: start another.")
        self.asked = True
        try:
            return {} if self._auth is None else self._auth.get_auth_headers()
        except speechmatics_sync.AuthenticationError as error:
            self.refused = error
            raise

    def invalidate(self) -> bool:
        """Drop a temporary key that was refused."""
        return self._auth is not None and self._auth.invalidate()


def _was_silent(error: speechmatics_sync.SpeechmaticsError) -> bool:
    """Return whether the old package would not have noticed that a session ended too early."""
    if isinstance(error, speechmatics_sync.TranscriptionError) and error.code is None:
        early = error.reason.startswith("EndOfTranscript before")
        return early or error.type == WarningType.DURATION_LIMIT_EXCEEDED.value
    return getattr(error, "close_code", None) in (1000, 1001)
