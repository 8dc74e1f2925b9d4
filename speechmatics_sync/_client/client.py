"""The client for one stream of audio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Optional, Union

from .._auth.keys import AuthBase
from .._model.audio_format import AudioFormat
from .._model.connection_config import ConnectionConfig
from .._model.reconnect_policy import ReconnectPolicy
from .._model.secret import Secret
from .._model.session_info import SessionInfo
from .._model.transcription_config import (
    AudioEventsConfig,
    Diarization,
    TranscriptionConfig,
    TranslationConfig,
)
from .._model.typing import Buffer, Source, Timestamp
from .._transcript.transcript import Transcript
from ..errors import ConfigurationError
from .arguments import checked_sizes, checked_source, checked_timeout, session_options
from .base import BaseClient
from .progress import ProgressCallback

if TYPE_CHECKING:
    from .._session.options import SessionOptions
    from .stream import Stream

__all__ = ["Client", "single_options", "transcribe"]


class Client(BaseClient):
    __doc__ = f"""A blocking client of the Realtime API, for one stream of audio at a time.

{(BaseClient.__doc__ or "").partition(chr(10))[2].lstrip(chr(10))}
    Example:
        >>> with Client() as client:
        ...     transcript = client.transcribe("audio.wav")
        >>> print(transcript.text)
    """

    def transcribe(
        self,
        source: Source,
        *,
        transcription_config: Union[TranscriptionConfig, Mapping[str, object], None] = None,
        audio_format: Union[AudioFormat, Mapping[str, object], None] = None,
        translation_config: Union[TranslationConfig, Mapping[str, object], None] = None,
        audio_events_config: Union[AudioEventsConfig, Mapping[str, object], None] = None,
        ws_headers: Optional[Mapping[str, str]] = None,
        timeout: Optional[float] = None,
        realtime: bool = False,
        progress: Union[bool, ProgressCallback, None] = None,
        display: Optional[bool] = None,
        collect: bool = True,
        on_interrupt: Literal["raise", "finish"] = "raise",
        expected_bytes: Optional[int] = None,
    ) -> Transcript:
        """Transcribe a source from start to end. Handlers run in the calling thread.

        Args:
            source: A path, a binary file object, bytes-like data, or an iterable of bytes-like
                chunks.
            transcription_config: What to recognise, and how; English by default. A dict of the
                fields will do, here and for the next three.
            audio_format: The format of the audio. By default it is what the source says of itself
                in an attribute ``audio_format``; else a mono WAV file of 16-bit, float32 or mu-law
                samples is sent as raw audio, and anything else as a file.
            translation_config: Languages to translate into.
            audio_events_config: Sounds to report.
            ws_headers: Headers of the WebSocket handshake, in addition to those of the client.
            timeout: Seconds that the whole call may take; None: no limit.
            realtime: Send raw audio no faster than it is spoken.
            progress: True shows a progress bar (extra ``progress``). A callable is called with the
                seconds of audio done, and the seconds in total or None if not known.
            display: True shows what is said while it is said: in a notebook's cell; in a terminal;
                elsewhere each line on stdout when it is final. Partials are turned on unless
                ``transcription_config`` says otherwise.
            collect: Whether to keep the transcript in memory; False for streams without end.
            on_interrupt: ``"raise"``: Ctrl-C ends the session and is raised. ``"finish"``: the
                first Ctrl-C in the main thread ends the audio, as `end_of_stream` does; what was
                said until then is transcribed, and this returns. A second one is raised.
            expected_bytes: How many bytes the source has, with a header if there is one: the
                Content-Length of a request's body, None if it has none. If fewer come, or reading
                fails before, what came is transcribed, and then an AudioError is raised that has
                it. More are no error.

        Returns:
            The complete transcript.

        Raises:
            AudioError: The source cannot be read, is empty, gives something other than bytes, or
                fewer than ``expected_bytes``.
            AuthenticationError: The server refused the key.
            ConfigurationError: A setting is not allowed; nothing was sent.
            ConnectionError: No connection could be made, or it was lost for good.
            SessionError: The client runs a session already, or `close` was called.
            TimeoutError: ``timeout``, or a limit of `ConnectionConfig`, passed.
            TranscriptionError: The server sent an Error message.
            TransportError: The server broke the protocol.

        Example:
            >>> transcript = client.transcribe("call.wav", timeout=600)
            >>> for word in transcript.words:
            ...     print(word.start_time, word.content)
        """
        headers = Secret(ws_headers)
        del ws_headers
        checked_source(source)
        options = single_options(
            transcription_config, audio_format, translation_config, audio_events_config,
            headers, collect, expected_bytes=expected_bytes,
        )  # fmt: skip
        stream = self._stream(
            "transcribe",
            {None: source},
            timeout,
            realtime,
            progress,
            display,
            on_interrupt,
            options,
        )
        return stream._run()

    def stream(
        self,
        source: Source,
        *,
        transcription_config: Union[TranscriptionConfig, Mapping[str, object], None] = None,
        audio_format: Union[AudioFormat, Mapping[str, object], None] = None,
        translation_config: Union[TranslationConfig, Mapping[str, object], None] = None,
        audio_events_config: Union[AudioEventsConfig, Mapping[str, object], None] = None,
        ws_headers: Optional[Mapping[str, str]] = None,
        timeout: Optional[float] = None,
        realtime: bool = False,
        progress: Union[bool, ProgressCallback, None] = None,
        display: Optional[bool] = None,
        collect: bool = True,
        on_interrupt: Literal["raise", "finish"] = "raise",
        expected_bytes: Optional[int] = None,
    ) -> Stream:
        """Transcribe a source and iterate over the server's messages.

        Returns when the server has sent RecognitionStarted. Takes the arguments and raises the
        errors of `transcribe`; the iterator raises those that come later.

        Example:
            >>> for message in client.stream("call.wav"):
            ...     print(message["message"])
        """
        headers = Secret(ws_headers)
        del ws_headers
        checked_source(source)
        options = single_options(
            transcription_config, audio_format, translation_config, audio_events_config,
            headers, collect, expected_bytes=expected_bytes,
        )  # fmt: skip
        stream = self._stream(
            "stream", {None: source}, timeout, realtime, progress, display, on_interrupt, options
        )
        stream._wait_until_started()
        return stream

    def start_session(
        self,
        *,
        transcription_config: Union[TranscriptionConfig, Mapping[str, object], None] = None,
        audio_format: Union[AudioFormat, Mapping[str, object], None] = None,
        translation_config: Union[TranslationConfig, Mapping[str, object], None] = None,
        audio_events_config: Union[AudioEventsConfig, Mapping[str, object], None] = None,
        ws_headers: Optional[Mapping[str, str]] = None,
        collect: bool = True,
    ) -> SessionInfo:
        """Start a session whose audio is passed to `send_audio`.

        Returns when the server has sent RecognitionStarted. Handlers run in one other thread, one
        at a time, in the order of the messages.

        Args:
            transcription_config: What to recognise, and how; English by default. A dict of the
                fields will do, here and for the next three.
            audio_format: The format of the audio; by default ``AudioFormat()``, a file.
            translation_config: Languages to translate into.
            audio_events_config: Sounds to report.
            ws_headers: Headers of the WebSocket handshake, in addition to those of the client.
            collect: Whether to keep the transcript in memory; False for streams without end.

        Returns:
            The ids of the session and its language.

        Raises:
            SpeechmaticsError: The errors of `transcribe`.

        Example:
            >>> client.start_session(audio_format=AudioFormat(AudioEncoding.PCM_S16LE, 16000))
            >>> client.send_audio(samples)
            >>> transcript = client.stop_session()
        """
        headers = Secret(ws_headers)
        del ws_headers
        options = single_options(
            transcription_config, audio_format or AudioFormat(), translation_config,
            audio_events_config, headers, collect,
        )  # fmt: skip
        return self._push(options)

    def send_audio(self, payload: Buffer, *, timeout: Optional[float] = None) -> None:
        """Send audio; blocks while too many chunks are unacknowledged. Safe from any thread.

        Args:
            payload: Bytes-like audio, sent as one chunk. An incomplete sample at its end is sent
                with the next call.
            timeout: Seconds to wait until the chunk can be sent; None: no limit.

        Raises:
            AudioError: The payload is not bytes-like, or has samples of another size.
            SessionError: No session is running, its audio has ended, or it reads its own source.
            SpeechmaticsError: The session failed.
            TimeoutError: ``timeout`` passed; nothing of the payload will be sent.
        """
        if timeout is not None:
            timeout = checked_timeout(timeout, at_once=True)
        session = self._session
        if session is None or not session.pushed or not session.outbox.send_at_once(payload):
            session = self._pushed()
            session.outbox.send_audio(payload, timeout, in_handler=session.in_handler)

    def force_end_of_utterance(
        self, *, timestamp: Timestamp = "now", channel: Optional[str] = None
    ) -> None:
        """Have the server end the utterance and send its final now.

        Args:
            timestamp: Where the utterance ends, in seconds from the start of the audio: by default
                at the end of the audio sent so far. With None, and with ``file`` audio, the server
                decides.
            channel: Only for `MultiChannelClient`.

        Raises:
            ConfigurationError: ``timestamp`` is no time, or a channel was named.
            SessionError: No session is running, or its audio has ended.

        Example:
            >>> client.start_session(audio_format=audio_format)
            >>> client.send_audio(samples)
            >>> client.force_end_of_utterance()
            >>> transcript = client.stop_session()
        """
        if channel is not None:
            raise ConfigurationError(
                "channel is for MultiChannelClient: leave it out, as this client has one stream."
            )
        self._running().outbox.force_end_of_utterance(timestamp)


def transcribe(
    source: Source,
    *,
    auth: Union[AuthBase, str, None] = None,
    api_key: Optional[str] = None,
    url: Optional[str] = None,
    conn_config: Optional[ConnectionConfig] = None,
    reconnect: Optional[ReconnectPolicy] = ReconnectPolicy(),  # noqa: B008  (it is immutable)
    handler_errors: Literal["raise", "log"] = "raise",
    sdk_identifier: Optional[str] = None,
    transcription_config: Union[TranscriptionConfig, Mapping[str, object], None] = None,
    audio_format: Union[AudioFormat, Mapping[str, object], None] = None,
    translation_config: Union[TranslationConfig, Mapping[str, object], None] = None,
    audio_events_config: Union[AudioEventsConfig, Mapping[str, object], None] = None,
    ws_headers: Optional[Mapping[str, str]] = None,
    timeout: Optional[float] = None,
    realtime: bool = False,
    progress: Union[bool, ProgressCallback, None] = None,
    display: Optional[bool] = None,
    collect: bool = True,
    on_interrupt: Literal["raise", "finish"] = "raise",
    expected_bytes: Optional[int] = None,
) -> Transcript:
    """Transcribe a source from start to end with a `Client` of its own.

    Args:
        source: As for `Client.transcribe`.
        auth: As for `Client`, like the next six arguments.
        api_key: The API key.
        url: The server.
        conn_config: Limits, proxy and TLS settings of the connection.
        reconnect: When and how often to connect again after a lost connection; None: never.
        handler_errors: No effect here, since there are no handlers.
        sdk_identifier: The name of this client for the service.
        transcription_config: As for `Client.transcribe`, like the arguments that follow; or a dict.
        audio_format: The format of the audio.
        translation_config: Languages to translate into.
        audio_events_config: Sounds to report.
        ws_headers: Headers of the WebSocket handshake.
        timeout: Seconds that the whole call may take; None: no limit.
        realtime: Send raw audio no faster than it is spoken.
        progress: True shows a progress bar; a callable is called with seconds done and in total.
        display: True shows what is said while it is said.
        collect: Whether to keep the transcript in memory.
        on_interrupt: What the first Ctrl-C does.
        expected_bytes: How many bytes the source has; fewer are an AudioError.

    Returns:
        The complete transcript.

    Raises:
        SpeechmaticsError: The errors of `Client` and of `Client.transcribe`.

    Example:
        >>> print(transcribe("call.wav").text)
    """
    given = Secret((auth, api_key, url, ws_headers))
    del auth, api_key, url, ws_headers
    with Client(
        given.reveal()[0],
        api_key=given.reveal()[1],
        url=given.reveal()[2],
        conn_config=conn_config,
        reconnect=reconnect,
        handler_errors=handler_errors,
        sdk_identifier=sdk_identifier,
    ) as client:
        return client.transcribe(
            source,
            transcription_config=transcription_config,
            audio_format=audio_format,
            translation_config=translation_config,
            audio_events_config=audio_events_config,
            ws_headers=given.reveal()[3],
            timeout=timeout,
            realtime=realtime,
            progress=progress,
            display=display,
            collect=collect,
            on_interrupt=on_interrupt,
            expected_bytes=expected_bytes,
        )


def single_options(
    transcription_config: Union[TranscriptionConfig, Mapping[str, object], None],
    *others: Any,
    expected_bytes: Optional[int] = None,
) -> SessionOptions:
    """Return the options of a session of one stream, checked."""
    options = session_options(transcription_config, *others)
    diarization = options.transcription_config.diarization
    if diarization in (Diarization.CHANNEL, Diarization.CHANNEL_AND_SPEAKER):
        raise ConfigurationError(
            f"diarization={diarization!r} is for several channels: use MultiChannelClient."
        )
    return options._replace(expected_bytes=checked_sizes({None: expected_bytes}))
