"""The session as a state machine: no socket, no thread, no clock.

It is told what the user wants (`Protocol.add_audio`, `Protocol.end_audio` …) and what the server
said (`Protocol.receive`, `Protocol.closed`). It answers with the messages that may be sent now
(`Protocol.next_to_send`) and with the events to hand on.

The rules:

- Nothing but these calls affects the state, and `TRANSITIONS` is all that can happen to it.
- What the user wants to send waits in the `multiplexer`, in order. Audio leaves it while fewer
  chunks are unacknowledged than the channel's share of ``max_unacked_chunks``; what was added
  after audio waits with it.
- A chunk has its number, counted for each channel, from the moment it leaves: ``last_seq_no`` is
  the number of chunks that left, and has nothing to do with the acknowledgements that have come.
- Acknowledgements count up, channel by channel, and never past what was sent.
- While several sources have audio, none is taken from when it is ahead of another by more than
  `LEAD_SECONDS`. A source that gives nothing holds up no other.
- The session has succeeded when EndOfTranscript came after the end of every channel and every
  chunk was acknowledged. All else is an error, raised to the user: nothing is lost in silence.
- A session of one stream ends its audio with EndOfStream; one of several channels ends each with
  EndOfChannel, and EndOfStream on top would be one end too many.
- Answers to GetSpeakers come in the order of the questions; one that no question waits for is the
  one that comes at the end of the session.
- What a server says that this version does not know is handed on.

The peer's mistakes become a `Failed` event; mistakes of the caller are raised.
"""

from __future__ import annotations

import base64
import collections
import collections.abc
import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Callable, NamedTuple, Optional, Union

from .channel import Channel
from .config import (
    AudioEventsConfig,
    AudioFormat,
    MidSessionConfig,
    SpeakerIdentifier,
    TranscriptionConfig,
    TranslationConfig,
)
from .errors import (
    AuthenticationError,
    ConfigurationError,
    EndOfTranscriptError,
    SessionError,
    SpeechmaticsError,
    TranscriptionError,
    TransportError,
)
from .messages import ClientMessageType, ServerMessageType
from .multiplexer import EndOfChannel, Label, Multiplexer
from .refusals import error_of, error_of_close
from .results import LanguagePackInfo, RecognitionStarted, SpeakersResult
from .wire import Message, encode

__all__ = [
    "TRANSITIONS",
    "Acknowledged",
    "Cause",
    "Deliver",
    "Ended",
    "Event",
    "Failed",
    "Outgoing",
    "Protocol",
    "Recognition",
    "SpeakersAnswered",
    "SpeakersQuestion",
    "Started",
    "State",
]


class State(enum.Enum):
    """Where a session stands."""

    CONNECTING = "connecting"
    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"
    ENDED = "ended"
    FAILED = "failed"


class Cause(enum.Enum):
    """What moves a session from one state to the next."""

    CONNECTED = "StartRecognition sent"
    STARTED = "RecognitionStarted received"
    AUDIO_ENDED = "EndOfStream sent"
    TRANSCRIBED = "EndOfTranscript received, all audio acknowledged"
    FAILURE = "an Error, a lost connection or a broken protocol"


TRANSITIONS: Mapping[State, Mapping[Cause, State]] = {
    State.CONNECTING: {Cause.CONNECTED: State.STARTING, Cause.FAILURE: State.FAILED},
    State.STARTING: {Cause.STARTED: State.RUNNING, Cause.FAILURE: State.FAILED},
    State.RUNNING: {Cause.AUDIO_ENDED: State.ENDING, Cause.FAILURE: State.FAILED},
    State.ENDING: {Cause.TRANSCRIBED: State.ENDED, Cause.FAILURE: State.FAILED},
    State.ENDED: {},
    State.FAILED: {},
}


class Deliver(NamedTuple):
    """A message for the user's handlers."""

    message: Message


class Started(NamedTuple):
    """RecognitionStarted has come."""

    session_id: Optional[str]
    language_pack_info: Optional[LanguagePackInfo]


class Acknowledged(NamedTuple):
    """The server has read a channel's audio up to a chunk."""

    label: Label
    number: int
    message: Message


class SpeakersAnswered(NamedTuple):
    """A GetSpeakers was answered."""

    question: SpeakersQuestion


class Ended(NamedTuple):
    """Everything is transcribed and acknowledged."""


class Failed(NamedTuple):
    """The session is over without having succeeded."""

    error: BaseException


Event = Union[Deliver, Started, Acknowledged, SpeakersAnswered, Ended, Failed]


class SpeakersQuestion:
    """A GetSpeakers and, once it has come, its answer: the ``speakers`` of SpeakersResult."""

    def __init__(self) -> None:
        self.answer: Optional[list[SpeakerIdentifier]] = None


class Recognition(NamedTuple):
    """What a session is asked to do: the content of StartRecognition."""

    transcription_config: TranscriptionConfig
    audio_format: AudioFormat
    translation_config: Optional[TranslationConfig] = None
    audio_events_config: Optional[AudioEventsConfig] = None

    def message(self) -> Message:
        """Return StartRecognition."""
        message: Message = {
            "message": ClientMessageType.START_RECOGNITION.value,
            "audio_format": self.audio_format.to_dict(),
            "transcription_config": self.transcription_config.to_dict(),
        }
        if self.translation_config is not None:
            message["translation_config"] = self.translation_config.to_dict()
        if self.audio_events_config is not None:
            message["audio_events_config"] = self.audio_events_config.to_dict()
        return message


class Outgoing(NamedTuple):
    """What may be sent now: ``bytes`` in a binary message, ``str`` as JSON.

    If it is audio, ``label`` and ``number`` say which chunk; else ``number`` is 0.
    """

    payload: Union[bytes, str]
    label: Label = None
    number: int = 0


class _Queued(NamedTuple):
    encoded: str
    question: Optional[SpeakersQuestion] = None


class Protocol:
    """One session over one connection.

    Args:
        recognition: What the session is asked to do.
        max_unacked_chunks: How many chunks may be unacknowledged before audio waits; channels
            share them out.
        labels: The channels of a session that has several.
        pushed: Whether the user sends the audio, rather than sources giving it.
    """

    def __init__(
        self,
        recognition: Recognition,
        *,
        max_unacked_chunks: int,
        labels: Sequence[str] = (),
        pushed: bool = True,
    ) -> None:
        audio_format = recognition.audio_format
        size = audio_format.bytes_per_sample if audio_format.encoding is not None else None
        rate = size * audio_format.sample_rate if size else None
        names: Sequence[Label] = labels or (None,)
        self.recognition = recognition
        self.channels: dict[Label, Channel] = {name: Channel(size, rate) for name in names}
        self.state = State.CONNECTING
        self._labels = tuple(labels)
        self._pushed = pushed
        self._window = max(1, max_unacked_chunks // len(names))
        self._waiting: Multiplexer[_Queued] = Multiplexer(names)
        self._questions: collections.deque[SpeakersQuestion] = collections.deque()
        self._duration_limit: Optional[Message] = None
        self._error: Optional[BaseException] = None
        self._receivers: dict[str, Callable[[Message], list[Event]]] = {
            ServerMessageType.RECOGNITION_STARTED.value: self._recognition_started,
            ServerMessageType.AUDIO_ADDED.value: self._audio_added,
            ServerMessageType.CHANNEL_AUDIO_ADDED.value: self._audio_added,
            ServerMessageType.SPEAKERS_RESULT.value: self._speakers_result,
            ServerMessageType.END_OF_TRANSCRIPT.value: self._end_of_transcript,
            ServerMessageType.WARNING.value: self._warning,
            ServerMessageType.ERROR.value: self._error_received,
        }

    # -- what the user wants --------------------------------------------------------------------

    def has_room(self, label: Label = None, now: float = 0.0) -> bool:
        """Return whether more audio may be added to a channel.

        Args:
            label: Which channel.
            now: What time it is, as for `Channel.read_since`.
        """
        channel = self.channels[label]
        if self._waiting.audio_waits(label) or not self._window_open(label):
            return False
        return self._pushed or all(
            channel.lead(other, now) <= channel.most_lead for other in self.channels.values()
        )

    @property
    def owes_answer(self) -> bool:
        """Whether the server has something to answer."""
        return (
            self.state in (State.STARTING, State.ENDING)
            or self.unacknowledged > 0
            or bool(self._questions)
        )

    @property
    def audio_ended(self) -> bool:
        """Whether the user has said of every channel that there is no more audio."""
        return all(channel.ended for channel in self.channels.values())

    @property
    def sent(self) -> int:
        """Chunks sent, of all channels."""
        return sum(channel.sent for channel in self.channels.values())

    @property
    def acknowledged(self) -> int:
        """Chunks acknowledged, of all channels."""
        return sum(channel.acknowledged for channel in self.channels.values())

    @property
    def unacknowledged(self) -> int:
        """Chunks that were sent and not yet acknowledged, of all channels."""
        return self.sent - self.acknowledged

    @property
    def bytes_taken(self) -> int:
        """Bytes of audio added so far, of all channels."""
        return sum(channel.bytes_taken for channel in self.channels.values())

    @property
    def seconds_taken(self) -> Optional[float]:
        """Seconds of audio added so far, of the longest channel; None for ``file`` audio."""
        return self._longest([channel.bytes_taken for channel in self.channels.values()])

    @property
    def seconds_acknowledged(self) -> Optional[float]:
        """Seconds of audio acknowledged, of the longest channel; None for ``file`` audio."""
        return self._longest([channel.bytes_acknowledged for channel in self.channels.values()])

    def connected(self) -> str:
        """Return StartRecognition: the connection is there."""
        self._move(Cause.CONNECTED)
        return encode(self.recognition.message())

    def add_audio(self, payload: bytes, label: Label = None) -> None:
        """Queue audio: one chunk, its samples made whole with what the last one left over.

        Raises:
            SessionError: The channel's audio or the session has ended.
        """
        self.check_open(label)
        chunk = self.channels[label].take(payload)
        if chunk:
            self._waiting.add_audio(label, chunk)

    def add_message(self, message: Mapping[str, Any]) -> None:
        """Queue a message of the user's, in order with the audio.

        Raises:
            ConfigurationError: It is not a message that may be sent this way.
            SessionError: The audio or the session has ended.
        """
        name = message.get("message") if isinstance(message, collections.abc.Mapping) else None
        if not isinstance(name, str):
            raise ConfigurationError(
                f"A message is a dict with its name under 'message', not {message!r}."
            )
        name = getattr(name, "value", name)
        if name in _SENT_BY_METHODS:
            raise ConfigurationError(f"{name} is not sent as a message: {_SENT_BY_METHODS[name]}")
        self.check_open()
        asks = name == ClientMessageType.GET_SPEAKERS.value and not message.get("final")
        encoded = encode({**message, "message": name})
        self._waiting.add_message(_Queued(encoded, SpeakersQuestion() if asks else None))

    def force_end_of_utterance(self, timestamp: Optional[float], label: Label = None) -> None:
        """Queue ForceEndOfUtterance, at ``timestamp`` seconds or without saying when.

        Raises:
            ConfigurationError: ``timestamp`` is not a time.
            SessionError: The audio or the session has ended.
        """
        message: Message = {"message": ClientMessageType.FORCE_END_OF_UTTERANCE.value}
        if timestamp is not None:
            if isinstance(timestamp, bool) or not isinstance(timestamp, (int, float)):
                raise ConfigurationError(f"timestamp is in seconds, not {timestamp!r}.")
            if not 0 <= timestamp < float("inf"):
                raise ConfigurationError(f"timestamp is 0 or more seconds, not {timestamp!r}.")
            message["timestamp"] = timestamp
        if label is not None:
            message["channel"] = label
        self.add_message(message)

    def configure(self, changes: MidSessionConfig) -> None:
        """Queue SetRecognitionConfig; the language stays that of the session.

        Raises:
            SessionError: The audio or the session has ended.
        """
        config = {**changes.to_dict(), "language": self.recognition.transcription_config.language}
        self.add_message(
            {
                "message": ClientMessageType.SET_RECOGNITION_CONFIG.value,
                "transcription_config": config,
            }
        )

    def ask_speakers(self) -> SpeakersQuestion:
        """Queue GetSpeakers; the question comes back answered in `SpeakersAnswered`.

        Raises:
            SessionError: The audio or the session has ended.
        """
        self.check_open()
        question = SpeakersQuestion()
        encoded = encode({"message": ClientMessageType.GET_SPEAKERS.value})
        self._waiting.add_message(_Queued(encoded, question))
        return question

    def end_audio(self, label: Label = None) -> int:
        """Queue the end of a channel; return how many bytes of a half sample were dropped.

        Raises:
            EndOfTranscriptError: The session has ended.
        """
        channel = self.channels[label]
        if channel.ended:
            return 0
        self.check_open()
        channel.ended = True
        self._waiting.end_channel(label)
        return channel.drop_half_sample()

    def next_to_send(self) -> Optional[Outgoing]:
        """Return the next message that may be sent."""
        if self.state is not State.RUNNING:
            return None
        label, item = self._waiting.next(self._window_open) or (None, None)
        if isinstance(item, bytes):
            return self._audio(label, item)
        if isinstance(item, EndOfChannel):
            return self._end(label)
        if item is None:
            return None
        if item.question is not None:
            self._questions.append(item.question)
        return Outgoing(item.encoded)

    # -- what the server says -------------------------------------------------------------------

    def receive(self, message: Message) -> list[Event]:
        """Return what a message of the server's means, in order."""
        if self.state in (State.ENDED, State.FAILED):
            return []
        name = message.get("message")
        receiver = self._receivers.get(name) if isinstance(name, str) else None
        if receiver is None:
            return [Deliver(message)]
        return receiver(message)

    def closed(self, code: Optional[int], reason: str) -> Optional[BaseException]:
        """Return the error that the end of the connection means; None after EndOfTranscript."""
        if self.state is State.ENDED:
            return None
        if self._error is not None:
            # The Error came first; the close frame adds its code.
            if isinstance(self._error, (TranscriptionError, AuthenticationError)):
                self._error.close_code = code
            return self._error
        return self.fail(error_of_close(code, reason, when=_WHEN.get(self.state, _MIDDLE)))

    def fail(self, error: BaseException) -> BaseException:
        """End the session with an error of the caller's; return the one that counts."""
        if self._error is None:
            self._error = error
            self._move(Cause.FAILURE)
        return self._error

    # -- inside ---------------------------------------------------------------------------------

    def _window_open(self, label: Label) -> bool:
        return self.channels[label].unacknowledged < self._window

    def _longest(self, sizes: Iterable[int]) -> Optional[float]:
        return next(iter(self.channels.values())).seconds(max(sizes))

    def _audio(self, label: Label, chunk: bytes) -> Outgoing:
        channel = self.channels[label]
        channel.send(chunk)
        if label is None:
            return Outgoing(chunk, label, channel.sent)
        data = base64.b64encode(chunk).decode("ascii")
        name = ClientMessageType.ADD_CHANNEL_AUDIO.value
        encoded = encode({"message": name, "channel": label, "data": data})
        return Outgoing(encoded, label, channel.sent)

    def _end(self, label: Label) -> Outgoing:
        channel = self.channels[label]
        channel.end_sent = True
        if all(channel.end_sent for channel in self.channels.values()):
            self._move(Cause.AUDIO_ENDED)
        message: Message = {"last_seq_no": channel.sent}
        if label is None:
            return Outgoing(encode({"message": ClientMessageType.END_OF_STREAM.value, **message}))
        name = ClientMessageType.END_OF_CHANNEL.value
        return Outgoing(encode({"message": name, "channel": label, **message}))

    def _move(self, cause: Cause) -> None:
        self.state = TRANSITIONS[self.state][cause]

    def check_open(self, label: Label = None) -> None:
        """Raise what sending would raise in this state, of audio if a channel is named.

        Raises:
            EndOfTranscriptError: The session has ended.
            SessionError: The audio has ended.
        """
        if self.state in (State.ENDED, State.FAILED):
            raise EndOfTranscriptError("The session has ended; start another one.")
        if self.audio_ended:
            raise SessionError("The audio of this session has ended: nothing more can be sent.")
        if label is not None and self.channels[label].ended:
            raise SessionError(f"The channel {label!r} has ended: no more audio can be sent in it.")

    def _failed(self, error: SpeechmaticsError) -> Failed:
        return Failed(self.fail(error))

    def _recognition_started(self, message: Message) -> list[Event]:
        if self.state is not State.STARTING:
            return [self._failed(TransportError("The server sent RecognitionStarted twice."))]
        started = RecognitionStarted.from_message(message)
        if self._labels and started.channels and set(started.channels) != set(self._labels):
            return [
                self._failed(
                    TransportError(
                        f"The server started the channels {started.channels}, "
                        f"and was asked for {list(self._labels)}."
                    )
                )
            ]
        self._move(Cause.STARTED)
        return [Started(started.id, started.language_pack_info), Deliver(message)]

    def _audio_added(self, message: Message) -> list[Event]:
        label: Any = None
        if message["message"] == ServerMessageType.CHANNEL_AUDIO_ADDED.value:
            label = message.get("channel", "")
        channel = self.channels.get(label) if isinstance(label, (str, type(None))) else None
        number = message.get("seq_no")
        if channel is None:
            where = "one stream" if label is None else f"the channel {label!r}"
            return [self._never_due(f"audio of {where}, which this session does not have.")]
        if type(number) is not int or not channel.acknowledged < number <= channel.sent:
            of_channel = "" if label is None else f" of the channel {label!r}"
            return [
                self._never_due(
                    f"chunk {number!r}{of_channel}, which was never due: "
                    f"{channel.sent} chunks were sent, {channel.acknowledged} acknowledged."
                )
            ]
        channel.acknowledge(number)
        return [Acknowledged(label, number, message)]

    def _never_due(self, what: str) -> Failed:
        return self._failed(TransportError(f"The server acknowledged {what}"))

    def _speakers_result(self, message: Message) -> list[Event]:
        events: list[Event] = [Deliver(message)]
        if self._questions:
            question = self._questions.popleft()
            question.answer = SpeakersResult.from_message(message).speakers
            events.append(SpeakersAnswered(question))
        return events

    def _end_of_transcript(self, message: Message) -> list[Event]:
        deliver = Deliver(message)
        if self._duration_limit is not None:
            reason = str(self._duration_limit.get("reason", ""))
            error: SpeechmaticsError = TranscriptionError(
                "The session is longer than this account allows, and the audio past the limit was "
                f"not transcribed: {reason}",
                type="duration_limit_exceeded",
                reason=reason,
            )
        elif self.state is not State.ENDING:
            error = TranscriptionError(
                "The server ended the transcript before our end of audio: "
                "what was still to be sent is not transcribed.",
                type="unknown_error",
                reason="EndOfTranscript before the end of audio",
            )
        elif self.unacknowledged:
            error = TransportError(
                f"The server ended the transcript with {self.unacknowledged} of "
                f"{self.sent} chunks of audio unacknowledged."
            )
        else:
            self._move(Cause.TRANSCRIBED)
            return [deliver, Ended()]
        return [deliver, self._failed(error)]

    def _warning(self, message: Message) -> list[Event]:
        if message.get("type") == "duration_limit_exceeded":
            self._duration_limit = message
        return [Deliver(message)]

    def _error_received(self, message: Message) -> list[Event]:
        code = message.get("code")
        error = error_of(
            str(message.get("type", "unknown_error")),
            str(message.get("reason", "")),
            code if isinstance(code, int) else None,
        )
        return [Deliver(message), self._failed(error)]


_MIDDLE = "in the middle of the session"
_WHEN = {
    State.CONNECTING: "before the session had started",
    State.STARTING: "before the session had started",
    State.ENDING: "before the end of the transcript",
}

_SENT_BY_METHODS = {
    ClientMessageType.START_RECOGNITION.value: "start_session, transcribe and stream send it.",
    ClientMessageType.ADD_AUDIO.value: "use send_audio.",
    ClientMessageType.ADD_CHANNEL_AUDIO.value: "use send_audio.",
    ClientMessageType.END_OF_STREAM.value: "use end_of_stream or stop_session.",
    ClientMessageType.END_OF_CHANNEL.value: "use end_of_channel.",
}
