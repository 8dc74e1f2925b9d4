"""The session as a state machine: no socket, no thread, no clock.

It is told what the user wants (`Protocol.add_audio`, `Protocol.end_audio` …) and what the server
said (`Protocol.receive`, `Protocol.closed`). It answers with the messages that may be sent now
(`Protocol.next_to_send`) and with the events to hand on.

The rules:

- Nothing but these calls affects the state, and `TRANSITIONS` is all that can happen to it.
- What the user wants to send waits in one queue, in order. Audio leaves it while fewer than
  ``max_unacked_chunks`` chunks are unacknowledged; what stands behind audio waits with it.
- A chunk has its number from the moment it leaves the queue: ``last_seq_no`` is the number of
  chunks that left it, and has nothing to do with the acknowledgements that have come.
- Acknowledgements count up, and never past what was sent.
- The session has succeeded when EndOfTranscript came after our end of audio and every chunk was
  acknowledged. All else is an error, raised to the user: nothing is lost in silence.
- Answers to GetSpeakers come in the order of the questions; one that no question waits for is the
  one that comes at the end of the session.
- What a server says that this version does not know is handed on.

The peer's mistakes become a `Failed` event; mistakes of the caller are raised.
"""

from __future__ import annotations

import collections
import collections.abc
import enum
import json
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple, NoReturn, Optional, Union

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
    ConnectionError,
    EndOfTranscriptError,
    SessionError,
    SpeechmaticsError,
    TranscriptionError,
    TransportError,
)
from .messages import CLOSE_CODES, ClientMessageType, ServerMessageType
from .results import LanguagePackInfo, RecognitionStarted, SpeakersResult

__all__ = [
    "TRANSITIONS",
    "Acknowledged",
    "Cause",
    "Deliver",
    "Ended",
    "Event",
    "Failed",
    "Protocol",
    "Recognition",
    "SpeakersAnswered",
    "SpeakersQuestion",
    "Started",
    "State",
    "decode",
]

Message = dict[str, Any]


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
    """The server has read audio up to a chunk."""

    chunks: int
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


class _EndOfAudio:
    """Stands in the queue where the audio ends."""


class Channel:
    """One channel's audio: what was taken from the user, sent, and acknowledged.

    Args:
        sample_size: Bytes of a sample, or None for ``file`` audio, which has none.
        bytes_per_second: Of the audio, or None for ``file`` audio.
    """

    def __init__(self, sample_size: Optional[int], bytes_per_second: Optional[int]) -> None:
        self._sample_size = sample_size or 1
        self._bytes_per_second = bytes_per_second
        self._half_sample = b""
        self._unacknowledged: collections.deque[int] = collections.deque()
        self.bytes_taken = 0
        self.bytes_acknowledged = 0
        self.sent = 0
        self.acknowledged = 0

    def take(self, payload: bytes) -> bytes:
        """Return the whole samples there are with ``payload``; what is left waits for the next."""
        if self._half_sample:
            payload = self._half_sample + payload
            self._half_sample = b""
        left = len(payload) % self._sample_size
        if left:
            self._half_sample = payload[-left:]
            payload = payload[:-left]
        self.bytes_taken += len(payload)
        return payload

    def drop_half_sample(self) -> int:
        """Forget the half sample at the end of the audio; return its bytes."""
        dropped, self._half_sample = len(self._half_sample), b""
        return dropped

    def send(self, chunk: bytes) -> None:
        """Give the chunk its number."""
        self.sent += 1
        self._unacknowledged.append(len(chunk))

    def acknowledge(self, chunks: int) -> None:
        """Take every chunk up to number ``chunks`` for read."""
        while self.acknowledged < chunks:
            self.acknowledged += 1
            self.bytes_acknowledged += self._unacknowledged.popleft()

    @property
    def unacknowledged(self) -> int:
        """Chunks that were sent and not yet acknowledged."""
        return self.sent - self.acknowledged

    def seconds(self, size: int) -> Optional[float]:
        """Return how long ``size`` bytes of audio last; None for ``file`` audio."""
        return None if self._bytes_per_second is None else size / self._bytes_per_second


class Protocol:
    """One session over one connection.

    Args:
        recognition: What the session is asked to do.
        max_unacked_chunks: How many chunks may be unacknowledged before audio waits.
    """

    def __init__(self, recognition: Recognition, *, max_unacked_chunks: int) -> None:
        audio_format = recognition.audio_format
        raw = audio_format.encoding is not None
        sample_size = audio_format.bytes_per_sample if raw else None
        self.recognition = recognition
        self.channel = Channel(
            sample_size, sample_size * audio_format.sample_rate if sample_size else None
        )
        self.state = State.CONNECTING
        self.audio_ended = False
        """Whether the user has said that there is no more audio."""
        self._max_unacked_chunks = max_unacked_chunks
        self._queue: collections.deque[Union[bytes, str, SpeakersQuestion, _EndOfAudio]] = (
            collections.deque()
        )
        self._audio_queued = 0
        self._questions: collections.deque[SpeakersQuestion] = collections.deque()
        self._duration_limit: Optional[Message] = None
        self._error: Optional[BaseException] = None
        self._receivers: dict[str, Callable[[Message], list[Event]]] = {
            ServerMessageType.RECOGNITION_STARTED.value: self._recognition_started,
            ServerMessageType.AUDIO_ADDED.value: self._audio_added,
            ServerMessageType.SPEAKERS_RESULT.value: self._speakers_result,
            ServerMessageType.END_OF_TRANSCRIPT.value: self._end_of_transcript,
            ServerMessageType.WARNING.value: self._warning,
            ServerMessageType.ERROR.value: self._error_received,
        }

    # -- what the user wants --------------------------------------------------------------------

    @property
    def has_room(self) -> bool:
        """Whether more audio may be added: none waits, and the window is open."""
        return not self._audio_queued and self._window_open

    @property
    def owes_answer(self) -> bool:
        """Whether the server has something to answer."""
        return (
            self.state in (State.STARTING, State.ENDING)
            or self.channel.unacknowledged > 0
            or bool(self._questions)
        )

    @property
    def seconds_taken(self) -> Optional[float]:
        """Seconds of audio added so far; None for ``file`` audio."""
        return self.channel.seconds(self.channel.bytes_taken)

    def connected(self) -> str:
        """Return StartRecognition: the connection is there."""
        self._move(Cause.CONNECTED)
        return _encode(self.recognition.message())

    def add_audio(self, payload: bytes) -> None:
        """Queue audio: one chunk, its samples made whole with what the last one left over.

        Raises:
            SessionError: The audio or the session has ended.
        """
        self.check_open()
        chunk = self.channel.take(payload)
        if chunk:
            self._queue.append(chunk)
            self._audio_queued += 1

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
        encoded = _encode({**message, "message": name})
        if name == ClientMessageType.GET_SPEAKERS.value and not message.get("final"):
            self._queue.append(SpeakersQuestion())
        self._queue.append(encoded)

    def force_end_of_utterance(self, timestamp: Optional[float]) -> None:
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
        self._queue.append(question)
        self._queue.append(_encode({"message": ClientMessageType.GET_SPEAKERS.value}))
        return question

    def end_audio(self) -> int:
        """Queue the end of the audio; return how many bytes of a half sample were dropped.

        Raises:
            EndOfTranscriptError: The session has ended.
        """
        if self.audio_ended:
            return 0
        self.check_open()
        self.audio_ended = True
        self._queue.append(_EndOfAudio())
        return self.channel.drop_half_sample()

    def next_to_send(self) -> Union[bytes, str, None]:
        """Return the next message that may be sent: ``bytes`` for audio, ``str`` for JSON."""
        while self.state is State.RUNNING and self._queue:
            head = self._queue[0]
            if isinstance(head, bytes):
                if not self._window_open:
                    return None
                self._audio_queued -= 1
                self.channel.send(head)
            self._queue.popleft()
            if isinstance(head, SpeakersQuestion):
                self._questions.append(head)
                continue
            if isinstance(head, _EndOfAudio):
                self._move(Cause.AUDIO_ENDED)
                return _encode(
                    {
                        "message": ClientMessageType.END_OF_STREAM.value,
                        "last_seq_no": self.channel.sent,
                    }
                )
            return head
        return None

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
        return self.fail(self._closing_error(code, reason))

    def fail(self, error: BaseException) -> BaseException:
        """End the session with an error of the caller's; return the one that counts."""
        if self._error is None:
            self._error = error
            self._move(Cause.FAILURE)
        return self._error

    # -- inside ---------------------------------------------------------------------------------

    @property
    def _window_open(self) -> bool:
        return self.channel.unacknowledged < self._max_unacked_chunks

    def _move(self, cause: Cause) -> None:
        self.state = TRANSITIONS[self.state][cause]

    def check_open(self) -> None:
        """Raise what sending would raise in this state.

        Raises:
            EndOfTranscriptError: The session has ended.
            SessionError: The audio has ended.
        """
        if self.state in (State.ENDED, State.FAILED):
            raise EndOfTranscriptError("The session has ended; start another one.")
        if self.audio_ended:
            raise SessionError("The audio of this session has ended: nothing more can be sent.")

    def _failed(self, error: SpeechmaticsError) -> Failed:
        return Failed(self.fail(error))

    def _recognition_started(self, message: Message) -> list[Event]:
        if self.state is not State.STARTING:
            return [self._failed(TransportError("The server sent RecognitionStarted twice."))]
        started = RecognitionStarted.from_message(message)
        self._move(Cause.STARTED)
        return [Started(started.id, started.language_pack_info), Deliver(message)]

    def _audio_added(self, message: Message) -> list[Event]:
        channel = self.channel
        number = message.get("seq_no")
        if type(number) is not int or not channel.acknowledged < number <= channel.sent:
            return [
                self._failed(
                    TransportError(
                        f"The server acknowledged chunk {number!r}, which was never due: "
                        f"{channel.sent} chunks were sent, {channel.acknowledged} acknowledged."
                    )
                )
            ]
        channel.acknowledge(number)
        return [Acknowledged(number, message)]

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
        elif self.channel.unacknowledged:
            error = TransportError(
                f"The server ended the transcript with {self.channel.unacknowledged} of "
                f"{self.channel.sent} chunks of audio unacknowledged."
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
        error = _error(
            str(message.get("type", "unknown_error")),
            str(message.get("reason", "")),
            code if isinstance(code, int) else None,
        )
        return [Deliver(message), self._failed(error)]

    def _closing_error(self, code: Optional[int], reason: str) -> SpeechmaticsError:
        said = f" ({reason})" if reason else ""
        if code in _LOST:
            where = {
                State.CONNECTING: "before the session had started",
                State.STARTING: "before the session had started",
                State.ENDING: "before the end of the transcript",
            }.get(self.state, "in the middle of the session")
            what = "was lost" if code in (None, 1006) else f"was closed with code {code}"
            return ConnectionError(f"The connection {what} {where}{said}.", close_code=code)
        if code in CLOSE_CODES:
            return _error(CLOSE_CODES[code], reason, None, close_code=code)
        if code is not None and code >= 3000:
            return _error("unknown_error", reason, None, close_code=code)
        return TransportError(
            f"The server closed the connection with code {code}{said}.", close_code=code
        )


_LOST = frozenset({None, 1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014})

_SENT_BY_METHODS = {
    ClientMessageType.START_RECOGNITION.value: "start_session, transcribe and stream send it.",
    ClientMessageType.ADD_AUDIO.value: "use send_audio.",
    ClientMessageType.ADD_CHANNEL_AUDIO.value: "use send_audio.",
    ClientMessageType.END_OF_STREAM.value: "use end_of_stream or stop_session.",
    ClientMessageType.END_OF_CHANNEL.value: "use end_of_channel.",
}

_ADVICE = {
    "not_authorised": "Check the API key, and that it is meant for this region.",
    "not_allowed": "This account may not do that.",
    "invalid_model": "Choose another model or language.",
    "invalid_language": "Choose another language.",
    "invalid_config": "Change the configuration as the reason says.",
    "invalid_audio_type": "Send audio in a format that the service takes.",
    "quota_exceeded": "Too many sessions at once: end one, or wait 5 to 10 seconds.",
    "timelimit_exceeded": "The usage quota of the contract is spent.",
    "job_error": "The service could not do the work: try again in 5 to 10 seconds.",
    "idle_timeout": "No audio was sent for too long.",
    "session_timeout": "The session was as long as one may be: start another.",
}


def _error(
    type: str, reason: str, code: Optional[int], *, close_code: Optional[int] = None
) -> SpeechmaticsError:
    said = f": {reason}" if reason else ""
    advice = f" {_ADVICE[type]}" if type in _ADVICE else ""
    text = f"The server ended the session with {type}{said}.{advice}"
    if type == "not_authorised":
        return AuthenticationError(text, type=type, reason=reason, close_code=close_code)
    return TranscriptionError(text, type=type, reason=reason, code=code, close_code=close_code)


# -- JSON ---------------------------------------------------------------------------------------


def decode(payload: bytes) -> Message:
    """Return the message in a frame.

    Raises:
        TransportError: It is not UTF-8, not JSON, or not an object.
    """
    try:
        message = _DECODER.decode(payload.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise TransportError(
            f"The server sent a message that is not JSON: {type(error).__name__}: {error} "
            f"({payload[:60]!r}…)."
        ) from None
    if not isinstance(message, dict):
        raise TransportError(f"The server sent JSON that is not an object ({payload[:60]!r}…).")
    return message


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _encode(message: Mapping[str, Any]) -> str:
    try:
        return json.dumps(message, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"The message cannot be sent as JSON: {error}.") from None
