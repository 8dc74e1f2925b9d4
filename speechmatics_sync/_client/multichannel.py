"""The client for several channels of audio in one session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Optional, Union

from .._model.audio_format import AudioFormat
from .._model.secret import Secret
from .._model.session_info import SessionInfo
from .._model.transcription_config import (
    AudioEventsConfig,
    Diarization,
    TranscriptionConfig,
    TranslationConfig,
)
from .._model.typing import Buffer, Label, Source, Timestamp
from .._transcript.transcript import Transcript
from ..errors import ConfigurationError
from .arguments import checked_sizes, checked_source, checked_timeout, session_options
from .base import BaseClient
from .progress import ProgressCallback

if TYPE_CHECKING:
    from .._session.options import SessionOptions
    from .._session.session import Session
    from .stream import Stream

__all__ = ["MultiChannelClient"]


class MultiChannelClient(BaseClient):
    __doc__ = f"""A blocking client of the Realtime API, for several channels in one session.

    For calls recorded with one speaker per channel, and meetings with one microphone each. The
    channels may differ in length; ``message["channel"]`` is the label of a message's channel.

{(BaseClient.__doc__ or "").partition(chr(10))[2].lstrip(chr(10))}
    Example:
        >>> with MultiChannelClient() as client:
        ...     transcript = client.transcribe({{"agent": "agent.wav", "customer": "customer.wav"}})
        >>> print(transcript.channels["agent"].text)
    """

    def transcribe(
        self,
        sources: Mapping[str, Source],
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
        on_source_error: Literal["raise", "end_channel"] = "raise",
        on_interrupt: Literal["raise", "finish"] = "raise",
        expected_bytes: Optional[Mapping[str, int]] = None,
    ) -> Transcript:
        """Transcribe a source for each channel from start to end.

        Handlers run in the calling thread.

        Args:
            sources: A source per channel, by the channel's label; each as for `Client.transcribe`.
                All must have the same audio format. `split_channels` gives those of a WAV file.
            transcription_config: As for `Client.transcribe`. ``diarization`` is ``"channel"``, the
                default, or ``"channel_and_speaker"``. ``channel_diarization_labels`` may hold the
                keys of ``sources`` in another order, or as many new labels, in their order.
            audio_format: As for `Client.transcribe`; of all channels.
            translation_config: Languages to translate into.
            audio_events_config: Sounds to report.
            ws_headers: Headers of the WebSocket handshake, in addition to those of the client.
            timeout: Seconds that the whole call may take; None: no limit.
            realtime: Send raw audio no faster than it is spoken, all channels by one clock.
            progress: As for `Client.transcribe`; of the longest channel.
            display: As for `Client.transcribe`.
            collect: Whether to keep the transcript in memory; False for streams without end.
            on_source_error: ``"raise"``: a source that fails ends the session with an AudioError.
                ``"end_channel"``: only the channel ends; handlers of `SessionEvent.SOURCE_ERROR`
                are called.
            on_interrupt: As for `Client.transcribe`; of all channels.
            expected_bytes: How many bytes a source has, by the keys of ``sources``, of those of
                which it is known; as for `Client.transcribe`. With ``"end_channel"`` a source that
                gives fewer is told like one that fails. Not for what `split_channels` returns.

        Returns:
            The complete transcript: `Transcript.channels` by label, and `Transcript.turns` of all
            channels in the order in which they were spoken.

        Raises:
            AudioError: A source cannot be read, or all are empty; the message names the channel.
            ConfigurationError: Labels or audio formats do not fit together, or a setting is not
                allowed.
            SpeechmaticsError: The other errors of `Client.transcribe`.

        Example:
            >>> transcript = client.transcribe(split_channels("call.wav", ["agent", "customer"]))
            >>> for turn in transcript.turns:
            ...     print(f"{turn.channel}: {turn.text}")
        """
        headers = Secret(ws_headers)
        del ws_headers
        labelled, options = _configured(
            sources, transcription_config, audio_format, translation_config, audio_events_config,
            headers, collect, on_source_error, expected_bytes,
        )  # fmt: skip
        stream = self._stream(
            "transcribe", labelled, timeout, realtime, progress, display, on_interrupt, options
        )
        return stream._run()

    def stream(
        self,
        sources: Mapping[str, Source],
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
        on_source_error: Literal["raise", "end_channel"] = "raise",
        on_interrupt: Literal["raise", "finish"] = "raise",
        expected_bytes: Optional[Mapping[str, int]] = None,
    ) -> Stream:
        """Transcribe several sources and iterate over the server's messages for all channels.

        Returns when the server has sent RecognitionStarted. Takes the arguments and raises the
        errors of `transcribe`; the iterator raises those that come later.

        Example:
            >>> for message in client.stream({"agent": "agent.wav", "customer": "customer.wav"}):
            ...     print(message.get("channel"), message["message"])
        """
        headers = Secret(ws_headers)
        del ws_headers
        labelled, options = _configured(
            sources, transcription_config, audio_format, translation_config, audio_events_config,
            headers, collect, on_source_error, expected_bytes,
        )  # fmt: skip
        stream = self._stream(
            "stream", labelled, timeout, realtime, progress, display, on_interrupt, options
        )
        stream._wait_until_started()
        return stream

    def start_session(
        self,
        *,
        channels: Sequence[str],
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
            channels: The labels of the channels, all different.
            transcription_config: As for `transcribe`.
            audio_format: The format of the audio of all channels; by default ``AudioFormat()``, a
                file each.
            translation_config: Languages to translate into.
            audio_events_config: Sounds to report.
            ws_headers: Headers of the WebSocket handshake, in addition to those of the client.
            collect: Whether to keep the transcript in memory; False for streams without end.

        Returns:
            The ids of the session and its language.

        Raises:
            SpeechmaticsError: The errors of `transcribe`.

        Example:
            >>> client.start_session(channels=["agent", "customer"], audio_format=audio_format)
            >>> client.send_audio("agent", samples)
            >>> client.end_of_channel("agent")
            >>> transcript = client.stop_session()
        """
        headers = Secret(ws_headers)
        del ws_headers
        if isinstance(channels, str) or not isinstance(channels, Sequence):
            raise ConfigurationError(f"channels is {channels!r}; allowed: a list of labels")
        if len(set(channels)) != len(channels):
            raise ConfigurationError(f"channels is {list(channels)!r}; allowed: different labels")
        _, options = _configured(
            dict.fromkeys(channels), transcription_config, audio_format or AudioFormat(),
            translation_config, audio_events_config, headers, collect,
        )  # fmt: skip
        return self._push(options)

    def send_audio(self, channel: str, payload: Buffer, *, timeout: Optional[float] = None) -> None:
        """Send audio of a channel; blocks while too many of its chunks are unacknowledged.

        Safe from any thread.

        Args:
            channel: The channel's label.
            payload: Bytes-like audio, sent as one chunk. An incomplete sample at its end is sent
                with the channel's next call.
            timeout: Seconds to wait until the chunk can be sent; None: no limit.

        Raises:
            AudioError: The payload is not bytes-like, or has samples of another size.
            ConfigurationError: The session has no such channel.
            SessionError: No session is running, the session's or the channel's audio has ended, or
                the session reads its own sources.
            SpeechmaticsError: The session failed.
            TimeoutError: ``timeout`` passed; nothing of the payload will be sent.
        """
        if timeout is not None:
            timeout = checked_timeout(timeout, at_once=True)
        session = self._pushed()
        _check_channel(session, channel)
        if not session.outbox.send_at_once(payload, channel):
            session.outbox.send_audio(
                payload, timeout, in_handler=session.in_handler, label=channel
            )

    def end_of_channel(self, channel: str) -> None:
        """End the audio of one channel, and return at once; the other channels go on.

        Args:
            channel: The channel's label.

        Raises:
            ConfigurationError: The session has no such channel.
            SessionError: No session is running.
        """
        session = self._running()
        _check_channel(session, channel)
        session.outbox.end_of_channel(channel)

    def force_end_of_utterance(
        self, *, timestamp: Timestamp = "now", channel: Optional[str] = None
    ) -> None:
        """Have the server end the utterance and send its finals now.

        Args:
            timestamp: Where the utterance ends, in seconds from the start of the audio: by default
                at the end of the audio sent so far, of the channel or of the longest one. With
                None, and with ``file`` audio, the server decides.
            channel: The channel's label; None: all channels.

        Raises:
            ConfigurationError: ``timestamp`` is no time, or the session has no such channel.
            SessionError: No session is running, or its audio has ended.

        Example:
            >>> client.start_session(channels=["agent", "customer"], audio_format=audio_format)
            >>> client.send_audio("agent", samples)
            >>> client.force_end_of_utterance(channel="agent")
            >>> transcript = client.stop_session()
        """
        session = self._running()
        if channel is not None:
            _check_channel(session, channel)
        session.outbox.force_end_of_utterance(timestamp, channel)


def _configured(
    sources: Mapping[str, Any],
    transcription_config: Union[TranscriptionConfig, Mapping[str, object], None],
    audio_format: Union[AudioFormat, Mapping[str, object], None],
    translation_config: Union[TranslationConfig, Mapping[str, object], None],
    audio_events_config: Union[AudioEventsConfig, Mapping[str, object], None],
    ws_headers: Secret[Any],
    collect: bool,
    on_source_error: Optional[Literal["raise", "end_channel"]] = None,
    expected_bytes: Optional[Mapping[str, int]] = None,
) -> tuple[Mapping[Label, Any], SessionOptions]:
    """Return the sources by the labels that the session uses, and the session's options.

    Without ``on_source_error`` the caller sends the audio, and ``sources`` has only the labels.
    """
    if on_source_error not in (None, "raise", "end_channel"):
        raise ConfigurationError(
            f"on_source_error is {on_source_error!r}; allowed: 'raise', 'end_channel'"
        )
    if not isinstance(sources, Mapping):
        raise ConfigurationError(
            f"sources is of type {type(sources).__name__}; allowed: a dict of a source for each "
            "channel's label (one source is for Client)"
        )
    options = session_options(
        transcription_config, audio_format, translation_config, audio_events_config,
        ws_headers, collect,
    )  # fmt: skip
    config = options.transcription_config
    if config.diarization is None:
        config.diarization = Diarization.CHANNEL
    if config.diarization not in (Diarization.CHANNEL, Diarization.CHANNEL_AND_SPEAKER):
        raise ConfigurationError(
            f"diarization is {config.diarization!r}; allowed with several channels: 'channel', "
            "'channel_and_speaker'"
        )
    given_labels = config.channel_diarization_labels
    labelled = _labelled(sources, given_labels)
    sizes = checked_sizes(_labelled(_size_of_each(sources, expected_bytes), given_labels))
    if on_source_error is not None:
        for source in labelled.values():
            checked_source(source)
    config.channel_diarization_labels = list(labelled)
    options = options._replace(
        labels=tuple(labelled),
        on_source_error=on_source_error or "raise",
        expected_bytes=sizes,
    )
    return {label: source for label, source in labelled.items()}, options  # noqa: C416


def _size_of_each(
    sources: Mapping[str, Any], expected_bytes: Optional[Mapping[str, int]]
) -> dict[str, Optional[int]]:
    if expected_bytes is None:
        expected_bytes = {}
    if not isinstance(expected_bytes, Mapping) or not set(expected_bytes) <= set(sources):
        raise ConfigurationError(
            f"expected_bytes is {expected_bytes!r}; allowed: a dict of a number for each source"
            f" whose size is known, by {', '.join(map(repr, sources))}"
        )
    return {name: expected_bytes.get(name) for name in sources}


def _labelled(sources: Mapping[str, Any], labels: Optional[Sequence[str]]) -> dict[str, Any]:
    """Return the sources in the order of ``labels``, renamed by position if all names differ."""
    names = list(sources)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError(f"the channels are {names!r}; allowed: one or more names")
    if labels is None or list(labels) == names:
        return dict(sources)
    if set(labels) == set(names):
        return {label: sources[label] for label in labels}
    if len(labels) == len(names) and not set(labels) & set(names):
        return dict(zip(labels, sources.values()))
    raise ConfigurationError(
        f"channel_diarization_labels is {list(labels)!r}; allowed: the names of the channels, "
        f"{names!r}, in any order, or {len(names)} other names that rename them by position"
    )


def _check_channel(session: Session, channel: object) -> None:
    if channel not in session.options.labels:
        raise session.identity.attach_to(
            ConfigurationError(
                f"channel is {channel!r}; allowed: {', '.join(map(repr, session.options.labels))}"
            )
        )
