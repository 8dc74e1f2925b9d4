"""What users call for one stream of audio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Union

from .._auth.auth import AuthBase
from .._model.config import (
    AudioEventsConfig,
    AudioFormat,
    ConnectionConfig,
    Diarization,
    ReconnectPolicy,
    TranscriptionConfig,
    TranslationConfig,
)
from .._model.messages import SessionInfo
from .._model.transcript import Transcript
from .._model.typing import NOW
from ..errors import ConfigurationError
from .base import BaseClient, check_timeout, checked_source, session_options
from .progress import ProgressCallback

if TYPE_CHECKING:
    from .._session.options import SessionOptions
    from .stream import Stream

__all__ = ["Client", "transcribe"]


class Client(BaseClient):
    __doc__ = f"""Transcribes one stream of audio at a time over the Realtime API, and blocks.

{(BaseClient.__doc__ or "").partition(chr(10))[2].lstrip(chr(10))}
    Example:
        >>> with Client() as client:
        ...     transcript = client.transcribe("audio.wav")
        >>> print(transcript.text)
    """

    def transcribe(
        self,
        source: object,
        *,
        transcription_config: Optional[TranscriptionConfig] = None,
        audio_format: Optional[AudioFormat] = None,
        translation_config: Optional[TranslationConfig] = None,
        audio_events_config: Optional[AudioEventsConfig] = None,
        ws_headers: Optional[dict[str, str]] = None,
        timeout: Optional[float] = None,
        realtime: bool = False,
        progress: Union[bool, ProgressCallback, None] = None,
        collect: bool = True,
    ) -> Transcript:
        """Transcribe a source from start to end. Handlers run in the calling thread.

        Args:
            source: A path, a binary file object, bytes-like data, or an iterable of bytes-like
                chunks.
            transcription_config: What to recognise, and how; English by default.
            audio_format: What the audio is. By default a mono WAV of a kind the API takes raw
                goes as raw audio, all else as a file.
            translation_config: Languages to translate into.
            audio_events_config: Sounds to report.
            ws_headers: Headers for the handshake, beside those of the client.
            timeout: Seconds that the whole call may take.
            realtime: Send raw audio at the speed it is spoken.
            progress: True draws a bar (extra ``progress``); a callable is given the seconds done
                and the seconds in all, or None.
            collect: Keep the transcript; False for streams without end.

        Returns:
            Everything that was transcribed: it is complete, or this raises.

        Raises:
            AudioError: The source cannot be read, is empty, or does not give bytes.
            AuthenticationError: The key was refused.
            ConfigurationError: A setting was refused; nothing was sent.
            ConnectionError: There was no connection, or it was lost.
            SessionError: A session is running, or `close` was called.
            TimeoutError: A limit passed.
            TranscriptionError: The server sent an Error.
            TransportError: The server broke the protocol.

        Example:
            >>> transcript = client.transcribe("call.wav", timeout=600)
            >>> for word in transcript.words:
            ...     print(word.start_time, word.content)
        """
        checked_source(source)
        options = _options(
            transcription_config, audio_format, translation_config, audio_events_config,
            ws_headers, collect,
        )  # fmt: skip
        stream = self._stream("transcribe", {None: source}, timeout, realtime, progress, options)
        return stream.run()

    def stream(
        self,
        source: object,
        *,
        transcription_config: Optional[TranscriptionConfig] = None,
        audio_format: Optional[AudioFormat] = None,
        translation_config: Optional[TranslationConfig] = None,
        audio_events_config: Optional[AudioEventsConfig] = None,
        ws_headers: Optional[dict[str, str]] = None,
        timeout: Optional[float] = None,
        realtime: bool = False,
        progress: Union[bool, ProgressCallback, None] = None,
        collect: bool = True,
    ) -> Stream:
        """Transcribe a source and pull the messages; returns once RecognitionStarted has come.

        Args and errors are those of `transcribe`; the errors of the running session come out of
        the iteration.

        Example:
            >>> for message in client.stream("call.wav"):
            ...     print(message["message"])
        """
        checked_source(source)
        options = _options(
            transcription_config, audio_format, translation_config, audio_events_config,
            ws_headers, collect,
        )  # fmt: skip
        stream = self._stream("stream", {None: source}, timeout, realtime, progress, options)
        stream.wait_until_started()
        return stream

    def start_session(
        self,
        *,
        transcription_config: Optional[TranscriptionConfig] = None,
        audio_format: Optional[AudioFormat] = None,
        translation_config: Optional[TranslationConfig] = None,
        audio_events_config: Optional[AudioEventsConfig] = None,
        ws_headers: Optional[dict[str, str]] = None,
        collect: bool = True,
    ) -> SessionInfo:
        """Start a session that `send_audio` feeds; returns once RecognitionStarted has come.

        Handlers run in one thread of their own, one at a time, in order.

        Args:
            transcription_config: What to recognise, and how; English by default.
            audio_format: What the audio is; ``AudioFormat()``, a file, by default.
            translation_config: Languages to translate into.
            audio_events_config: Sounds to report.
            ws_headers: Headers for the handshake, beside those of the client.
            collect: Keep the transcript; False for streams without end.

        Raises:
            SpeechmaticsError: As `transcribe` does.

        Example:
            >>> client.start_session(audio_format=AudioFormat(AudioEncoding.PCM_S16LE, 16000))
            >>> client.send_audio(samples)
            >>> transcript = client.stop_session()
        """
        options = _options(
            transcription_config, audio_format or AudioFormat(), translation_config,
            audio_events_config, ws_headers, collect,
        )  # fmt: skip
        return self._push(options)

    def send_audio(self, payload: Any, *, timeout: Optional[float] = None) -> None:
        """Send audio; blocks while too much of it is unacknowledged. Safe from any thread.

        Args:
            payload: Bytes-like audio, sent as one chunk. Half a sample at its end waits for the
                next call.
            timeout: Seconds to wait for room; None waits for as long as it takes.

        Raises:
            AudioError: It is not bytes.
            SessionError: No session takes audio now.
            SpeechmaticsError: Whatever ended the session.
            TimeoutError: There was no room in time; nothing of the payload was taken.
        """
        check_timeout(timeout, at_once=True)
        session = self._pushed()
        session.outbox.send_audio(payload, timeout, in_handler=session.in_handler)

    def force_end_of_utterance(
        self, *, timestamp: Any = NOW, channel: Optional[str] = None
    ) -> None:
        """Ask for the final of what was spoken, now.

        Args:
            timestamp: Seconds from the start of the audio where the utterance ends: by default
                the audio sent so far. None leaves it out, and so does ``file`` audio.
            channel: Only for sessions with several channels.

        Raises:
            ConfigurationError: ``timestamp`` is no time, or a channel was named.
            SessionError: No session takes messages now.
        """
        if channel is not None:
            raise ConfigurationError("channel is for MultiChannelClient: this has one stream.")
        self._running().outbox.force_end_of_utterance(timestamp)


def transcribe(
    source: object,
    *,
    auth: Optional[AuthBase] = None,
    api_key: Optional[str] = None,
    url: Optional[str] = None,
    conn_config: Optional[ConnectionConfig] = None,
    reconnect: Optional[ReconnectPolicy] = ReconnectPolicy(),  # noqa: B008  (it is immutable)
    handler_errors: str = "raise",
    sdk_identifier: Optional[str] = None,
    transcription_config: Optional[TranscriptionConfig] = None,
    audio_format: Optional[AudioFormat] = None,
    translation_config: Optional[TranslationConfig] = None,
    audio_events_config: Optional[AudioEventsConfig] = None,
    ws_headers: Optional[dict[str, str]] = None,
    timeout: Optional[float] = None,
    realtime: bool = False,
    progress: Union[bool, ProgressCallback, None] = None,
    collect: bool = True,
) -> Transcript:
    """Transcribe a source from start to end: a `Client` made, used and closed.

    Args:
        source: As in `Client.transcribe`.
        auth: As in `Client`, and so the others that are named here.
        api_key: The API key.
        url: The server.
        conn_config: Limits, proxy and TLS settings.
        reconnect: What to do when the connection is lost.
        handler_errors: Without effect here, for there are no handlers.
        sdk_identifier: What the service is told this client is.
        transcription_config: As in `Client.transcribe`, and so the others that follow.
        audio_format: What the audio is.
        translation_config: Languages to translate into.
        audio_events_config: Sounds to report.
        ws_headers: Headers for the handshake.
        timeout: Seconds that the whole call may take.
        realtime: Send raw audio at the speed it is spoken.
        progress: True draws a bar; a callable is given the seconds done and in all.
        collect: Keep the transcript.

    Raises:
        SpeechmaticsError: As `Client.transcribe` does.

    Example:
        >>> print(transcribe("call.wav").text)
    """
    with Client(
        auth,
        api_key=api_key,
        url=url,
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
            ws_headers=ws_headers,
            timeout=timeout,
            realtime=realtime,
            progress=progress,
            collect=collect,
        )


def _options(transcription_config: Optional[TranscriptionConfig], *others: Any) -> SessionOptions:
    options = session_options(transcription_config, *others)
    diarization = options.transcription_config.diarization
    if diarization in (Diarization.CHANNEL, Diarization.CHANNEL_AND_SPEAKER):
        raise ConfigurationError(
            f"diarization={diarization!r} is for several channels: use MultiChannelClient."
        )
    return options
