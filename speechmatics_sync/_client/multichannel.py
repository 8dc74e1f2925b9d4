"""What users call for several channels at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union

from .._model.config import (
    AudioEventsConfig,
    AudioFormat,
    Diarization,
    TranscriptionConfig,
    TranslationConfig,
)
from .._model.messages import SessionInfo
from .._model.transcript import Transcript
from .._model.typing import NOW, Label
from ..errors import ConfigurationError
from .base import BaseClient, check_timeout, checked_source, session_options
from .progress import ProgressCallback

if TYPE_CHECKING:
    from .._session.options import SessionOptions
    from .._session.session import Session
    from .stream import Stream

__all__ = ["MultiChannelClient"]


class MultiChannelClient(BaseClient):
    __doc__ = f"""Transcribes several channels of audio in one session, and blocks.

    For calls recorded one speaker a channel, and meetings with a microphone each. Every channel
    is sent whole, however different their lengths; ``msg["channel"]`` says whose a message is.

{(BaseClient.__doc__ or "").partition(chr(10))[2].lstrip(chr(10))}
    Example:
        >>> with MultiChannelClient() as client:
        ...     transcript = client.transcribe({{"agent": "agent.wav", "customer": "customer.wav"}})
        >>> print(transcript.channels["agent"].text)
    """

    def transcribe(
        self,
        sources: Mapping[str, object],
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
        on_source_error: str = "raise",
    ) -> Transcript:
        """Transcribe a source for each channel from start to end.

        Handlers run in the calling thread.

        Args:
            sources: The source of each channel by its label, each as in `Client.transcribe`. They
                share one audio format. `split_channels` makes them of one file.
            transcription_config: As in `Client.transcribe`. ``diarization`` is ``"channel"`` by
                default, or ``"channel_and_speaker"``. ``channel_diarization_labels`` that are the
                keys of ``sources`` give their order; as many other names rename them by position.
            audio_format: As in `Client.transcribe`.
            translation_config: Languages to translate into.
            audio_events_config: Sounds to report.
            ws_headers: Headers for the handshake, beside those of the client.
            timeout: Seconds that the whole call may take.
            realtime: Send raw audio at the speed it is spoken, all channels on one clock.
            progress: As in `Client.transcribe`; of the longest channel.
            collect: Keep the transcript; False for streams without end.
            on_source_error: ``"raise"``: a source that fails ends the session with an AudioError.
                ``"end_channel"``: only its channel ends, and handlers of
                `SessionEvent.SOURCE_ERROR` are told.

        Returns:
            Everything that was transcribed: `Transcript.channels` by label, `Transcript.turns`
            as the conversation went.

        Raises:
            AudioError: A source cannot be read, or all are empty; it names the channel.
            ConfigurationError: Labels that do not fit, sources of different formats, or a setting
                that was refused.
            SpeechmaticsError: As `Client.transcribe` does.

        Example:
            >>> transcript = client.transcribe(split_channels("call.wav", ["agent", "customer"]))
            >>> for turn in transcript.turns:
            ...     print(f"{turn.channel}: {turn.text}")
        """
        labelled, options = _configured(
            sources, transcription_config, audio_format, translation_config, audio_events_config,
            ws_headers, collect, on_source_error,
        )  # fmt: skip
        stream = self._stream("transcribe", labelled, timeout, realtime, progress, options)
        return stream.run()

    def stream(
        self,
        sources: Mapping[str, object],
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
        on_source_error: str = "raise",
    ) -> Stream:
        """Transcribe several sources and pull the messages of all channels.

        Returns once RecognitionStarted has come. Args and errors are those of `transcribe`; the
        errors of the running session come out of the iteration.

        Example:
            >>> for message in client.stream({"agent": "agent.wav", "customer": "customer.wav"}):
            ...     print(message.get("channel"), message["message"])
        """
        labelled, options = _configured(
            sources, transcription_config, audio_format, translation_config, audio_events_config,
            ws_headers, collect, on_source_error,
        )  # fmt: skip
        stream = self._stream("stream", labelled, timeout, realtime, progress, options)
        stream.wait_until_started()
        return stream

    def start_session(
        self,
        *,
        channels: Sequence[str],
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
            channels: The labels of the channels.
            transcription_config: As in `transcribe`.
            audio_format: What the audio is; ``AudioFormat()``, a file, by default.
            translation_config: Languages to translate into.
            audio_events_config: Sounds to report.
            ws_headers: Headers for the handshake, beside those of the client.
            collect: Keep the transcript; False for streams without end.

        Raises:
            SpeechmaticsError: As `transcribe` does.

        Example:
            >>> client.start_session(channels=["agent", "customer"], audio_format=audio_format)
            >>> client.send_audio("agent", samples)
            >>> client.end_of_channel("agent")
            >>> transcript = client.stop_session()
        """
        if isinstance(channels, str) or not isinstance(channels, Sequence):
            raise ConfigurationError(f"channels is {channels!r}; allowed: a list of labels")
        _, options = _configured(
            _channels(channels), transcription_config, audio_format or AudioFormat(),
            translation_config, audio_events_config, ws_headers, collect,
        )  # fmt: skip
        return self._push(options)

    def send_audio(self, channel: str, payload: Any, *, timeout: Optional[float] = None) -> None:
        """Send audio of a channel; blocks while too much of it is unacknowledged.

        Safe from any thread.

        Args:
            channel: The channel's label.
            payload: Bytes-like audio, sent as one chunk. Half a sample at its end waits for the
                channel's next call.
            timeout: Seconds to wait for room; None waits for as long as it takes.

        Raises:
            AudioError: It is not bytes.
            ConfigurationError: The session has no such channel.
            SessionError: The session, or this channel, takes no audio now.
            SpeechmaticsError: Whatever ended the session.
            TimeoutError: There was no room in time; nothing of the payload was taken.
        """
        check_timeout(timeout, at_once=True)
        session = self._pushed()
        _check_channel(session, channel)
        session.outbox.send_audio(payload, timeout, in_handler=session.in_handler, label=channel)

    def end_of_channel(self, channel: str) -> None:
        """Say that there is no more audio in a channel, and return at once; the others go on.

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
        self, *, timestamp: Any = NOW, channel: Optional[str] = None
    ) -> None:
        """Ask for the finals of what was spoken, now.

        Args:
            timestamp: Seconds from the start of the audio where the utterance ends: by default
                the audio sent so far, in the channel or in the longest one. None leaves it out,
                and so does ``file`` audio.
            channel: The channel's label; None for all.

        Raises:
            ConfigurationError: ``timestamp`` is no time, or the session has no such channel.
            SessionError: No session takes messages now.
        """
        session = self._running()
        if channel is not None:
            _check_channel(session, channel)
        session.outbox.force_end_of_utterance(timestamp, channel)


def _configured(
    sources: Mapping[str, Any],
    transcription_config: Optional[TranscriptionConfig],
    audio_format: Optional[AudioFormat],
    translation_config: Optional[TranslationConfig],
    audio_events_config: Optional[AudioEventsConfig],
    ws_headers: Optional[Mapping[str, str]],
    collect: bool,
    on_source_error: Optional[str] = None,
) -> tuple[Mapping[Label, Any], SessionOptions]:
    """Return the sources under their channels' labels, and the options of their session.

    Without ``on_source_error``, the sources are only named.
    """
    if on_source_error not in (None, "raise", "end_channel"):
        raise ConfigurationError(
            f"on_source_error is {on_source_error!r}; allowed: 'raise', 'end_channel'"
        )
    if not isinstance(sources, Mapping):
        raise ConfigurationError(
            f"sources is a {type(sources).__name__}; allowed: a dict of a source for each "
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
    labelled = _labelled(sources, config.channel_diarization_labels)
    if on_source_error is not None:
        for source in labelled.values():
            checked_source(source)
    config.channel_diarization_labels = list(labelled)
    options = options._replace(labels=tuple(labelled), on_source_error=on_source_error or "raise")
    return {label: source for label, source in labelled.items()}, options  # noqa: C416


def _labelled(sources: Mapping[str, Any], labels: Optional[Sequence[str]]) -> dict[str, Any]:
    """Return the sources under the labels that they shall have, in the labels' order."""
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


def _channels(labels: Sequence[str]) -> dict[str, None]:
    if len(set(labels)) != len(labels):
        raise ConfigurationError(f"channels is {list(labels)!r}; allowed: different labels")
    return dict.fromkeys(labels)


def _check_channel(session: Session, channel: object) -> None:
    if channel not in session.options.labels:
        raise session.identified(
            ConfigurationError(
                f"channel is {channel!r}; allowed: {', '.join(map(repr, session.options.labels))}"
            )
        )
