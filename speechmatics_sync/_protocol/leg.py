"""One leg of a session: what is said over one of its connections, as a state machine.

A session begins on one connection and goes on over another when that one is lost or reaches its
age; to the server each is a session of its own. No socket, no thread, no clock.

The rules:

- `TRANSITIONS` is all that can happen to a leg, and only its methods make it happen.
- A chunk has its number, counted for each channel, from the moment it leaves: ``last_seq_no`` is
  the number of chunks that left on this leg, whatever acknowledgements have come.
- Acknowledgements count up, channel by channel, and never past what was sent.
- A leg of one stream ends its audio with EndOfStream; one of several channels ends each with
  EndOfChannel and sends no EndOfStream.
- Answers to GetSpeakers come in the order of the questions; an answer without a question is the
  one that comes at the end of the session. ForceEndOfUtterance is answered by a forced
  EndOfUtterance.
- It has succeeded when EndOfTranscript came after the end of every channel and every chunk was
  acknowledged.
- Otherwise it ends `Lost`, and another leg may go on from there, or `Failed`, and none can.
"""

from __future__ import annotations

import base64
import enum
from collections.abc import Hashable, Mapping
from typing import Any, Callable, Optional, Union

from .._model.messages import ClientMessageType, ServerMessageType
from .._model.session_info import RecognitionStarted
from .._model.typing import Label, Message
from ..errors import (
    AuthenticationError,
    ConnectionError,
    SpeechmaticsError,
    TranscriptionError,
    TransportError,
)
from .channel import LegChannel
from .codec import encode
from .events import (
    Acknowledged,
    Deliver,
    Ended,
    Event,
    Failed,
    Lost,
    Outgoing,
    Queued,
    SpeakersAnswered,
    Started,
)
from .message_table import MESSAGES, Settles
from .multiplexer import Placed
from .server_errors import CLOSE_CODES, error_of, error_of_close, is_busy, is_loss
from .speaker_labels import LegSpeakerLabels
from .stitching import Stitch

__all__ = ["TRANSITIONS", "Cause", "Due", "Leg", "State"]


class State(enum.Enum):
    """Where a leg stands."""

    CONNECTING = "connecting", False
    STARTING = "starting", False
    RUNNING = "running", False
    ENDING = "ending", False
    ENDED = "ended", True
    LOST = "lost", True
    FAILED = "failed", True

    def __init__(self, _name: str, over: bool) -> None:
        # An attribute, not a property: it is read for every message.
        self.over = over


class Cause(enum.Enum):
    """What moves a leg from one state to the next."""

    CONNECTED = "StartRecognition sent"
    STARTED = "RecognitionStarted received"
    AUDIO_ENDED = "the end of every channel sent"
    TRANSCRIBED = "EndOfTranscript received, all audio acknowledged"
    LOSS = "a lost connection, a busy server, an EndOfTranscript before the end of audio"
    FAILURE = "an Error or a broken protocol"


class Due(enum.Enum):
    """What a server may owe."""

    ACKNOWLEDGEMENT = "an acknowledgement of audio"
    ANSWER = "an answer to GetSpeakers"
    END = "EndOfTranscript"


_ENDS = {Cause.LOSS: State.LOST, Cause.FAILURE: State.FAILED}

TRANSITIONS: Mapping[State, Mapping[Cause, State]] = {
    State.CONNECTING: {Cause.CONNECTED: State.STARTING, **_ENDS},
    State.STARTING: {Cause.STARTED: State.RUNNING, **_ENDS},
    State.RUNNING: {Cause.AUDIO_ENDED: State.ENDING, **_ENDS},
    State.ENDING: {Cause.TRANSCRIBED: State.ENDED, **_ENDS},
    State.ENDED: {},
    State.LOST: {},
    State.FAILED: {},
}

_CHANNEL_AUDIO_ADDED = ServerMessageType.CHANNEL_AUDIO_ADDED.value


class Leg:
    """What is said over one connection.

    Args:
        start_message: StartRecognition.
        channels: Its channels by label, or the only one under None.
    """

    def __init__(self, start_message: Message, channels: dict[Label, LegChannel]) -> None:
        self.state = State.CONNECTING
        self.channels = channels
        self.stitch: Optional[Stitch] = None
        """How its messages join those of the legs before; None on the first."""
        self.speaker_labels: Optional[LegSpeakerLabels] = None
        """Whose speakers are whose; None where that is not asked for."""
        self.asked: list[Placed[Queued]] = []
        """What was sent and is not answered: GetSpeakers, ForceEndOfUtterance."""
        self._frames_of_audio: dict[str, tuple[str, str]] = {}
        self._start_message = start_message
        self._steps_to_the_end = 0
        """Messages that brought the end nearer since the audio ended."""
        self._duration_limit: Optional[Message] = None
        self._error: Optional[SpeechmaticsError] = None
        self._error_message: Optional[Message] = None
        self._error_is_loss = False

    @property
    def over(self) -> bool:
        """Whether nothing more is to be said."""
        return self.state.over

    @property
    def unacknowledged(self) -> int:
        """Chunks that were sent and not yet acknowledged, of all channels."""
        return sum(channel.unacknowledged for channel in self.channels.values())

    def owed(self) -> dict[tuple[Due, Hashable], int]:
        """Return what the server owes, each with a number that changes when it makes progress.

        An answer is owed once the audio before its question is acknowledged. Answers to the
        session's own questions are not insisted on.
        """
        owed: dict[tuple[Due, Hashable], int] = {
            (Due.ACKNOWLEDGEMENT, label): channel.acknowledged
            for label, channel in self.channels.items()
            if channel.unacknowledged
        }
        for placed in self.asked:
            question = placed.message.question
            if question is None or question.own:
                continue
            if all(
                not channel.unacknowledged
                or channel.acknowledged_until >= placed.after.get(label, 0)
                for label, channel in self.channels.items()
            ):
                owed[Due.ANSWER, question] = 0
            break  # answers come in the order of the questions
        if self.state is State.ENDING:
            owed[Due.END, None] = self._steps_to_the_end
        return owed

    # -- what is sent ---------------------------------------------------------------------------

    def connected(self) -> str:
        """Return StartRecognition: the connection is there."""
        self._move(Cause.CONNECTED)
        return encode(self._start_message)

    def audio(self, label: Label, chunk: bytes) -> Outgoing:
        """Return a chunk of a channel as it is sent."""
        number = self.channels[label].send(chunk)
        payload = chunk if label is None else self.channel_audio(label, chunk)
        return Outgoing(payload, label, number)

    def channel_audio(self, label: str, chunk: bytes) -> str:
        """Return AddChannelAudio with a chunk."""
        # Encode only the rest of the message, once per channel: base64 needs no escaping, and to
        # search it for characters to escape takes as long as masking it.
        head, tail = self._around_audio(label)
        return f"{head}{base64.b64encode(chunk).decode('ascii')}{tail}"

    def end(self, label: Label) -> Outgoing:
        """Return the end of a channel as it is sent."""
        channel = self.channels[label]
        channel.end_sent = True
        if all(channel.end_sent for channel in self.channels.values()):
            self._move(Cause.AUDIO_ENDED)
        message: Message = {"last_seq_no": channel.sent}
        if label is None:
            return Outgoing(encode({"message": ClientMessageType.END_OF_STREAM.value, **message}))
        name = ClientMessageType.END_OF_CHANNEL.value
        return Outgoing(encode({"message": name, "channel": label, **message}))

    def request(self, placed: Placed[Queued], message: Message) -> Outgoing:
        """Return a message of the user's as it is sent, its time being the leg's own."""
        queued = placed.message
        forces = message.get("message") == ClientMessageType.FORCE_END_OF_UTTERANCE.value
        if queued.question is not None or forces:
            self.asked.append(placed)
        return Outgoing(queued.encoded if message is queued.message else encode(message))

    # -- what the server says -------------------------------------------------------------------

    def receive(self, message: Message) -> list[Event]:
        """Return what a message of the server's means, in order."""
        state, name = self.state, message.get("message")
        if state.over:
            return []
        receiver = None
        if isinstance(name, str):
            if state is State.ENDING and name in _TOWARDS_THE_END:
                self._steps_to_the_end += 1
            receiver = _RECEIVERS.get(name)
        if receiver is None:
            return [Deliver(message)]
        return receiver(self, message)

    def closed(self, code: Optional[int], reason: str) -> Union[Lost, Failed, None]:
        """Return what the end of the connection means; None after EndOfTranscript."""
        if self.state is State.ENDED:
            return None
        started = self.state in (State.RUNNING, State.ENDING)
        if self._error is not None:
            # The Error came first; the close frame adds its code.
            if isinstance(self._error, (TranscriptionError, AuthenticationError)):
                self._error.close_code = code
            if not self._error_is_loss:
                return Failed(self._error)
            return self._lost(self._error, busy=not started, last_message=self._error_message)
        error = error_of_close(code, reason, when=_WHEN.get(self.state, _MIDDLE))
        known = CLOSE_CODES.get(code)
        busy = not started and known is not None and is_busy(known.type)
        if busy or isinstance(error, ConnectionError):
            return self._lost(error, busy=busy)
        return self._failed(error)

    def limit_passed(self, error: SpeechmaticsError) -> Lost:
        """Return what a time limit means that has passed."""
        return self._lost(error)

    def fail(self, error: BaseException) -> None:
        """End the leg with an error of the caller's."""
        if not self.over:
            self._move(Cause.FAILURE)

    def lose(self) -> None:
        """Give the leg up."""
        if not self.over:
            self._move(Cause.LOSS)

    # -- inside ---------------------------------------------------------------------------------

    def _move(self, cause: Cause) -> None:
        self.state = TRANSITIONS[self.state][cause]

    def _failed(self, error: SpeechmaticsError) -> Failed:
        self.fail(error)
        return Failed(error)

    def _lost(
        self,
        error: SpeechmaticsError,
        *,
        busy: bool = False,
        last_message: Optional[Message] = None,
    ) -> Lost:
        self.lose()
        return Lost(error, busy, last_message)

    def _around_audio(self, label: str) -> tuple[str, str]:
        """Return AddChannelAudio without its audio: what comes before, and what comes after."""
        around = self._frames_of_audio.get(label)
        if around is None:
            name = ClientMessageType.ADD_CHANNEL_AUDIO.value
            whole = encode({"message": name, "channel": label, "data": ""})
            around = self._frames_of_audio[label] = whole[:-2], whole[-2:]
        return around

    def _recognition_started(self, message: Message) -> list[Event]:
        if self.state is not State.STARTING:
            return [self._failed(TransportError("The server sent RecognitionStarted twice."))]
        started = RecognitionStarted.from_message(message)
        asked = [label for label in self.channels if label is not None]
        if asked and started.channels and set(started.channels) != set(asked):
            return [
                self._failed(
                    TransportError(
                        f"The server started the channels {started.channels}, "
                        f"and was asked for {asked}."
                    )
                )
            ]
        self._move(Cause.STARTED)
        return [Started(started.id, started.language_pack_info), Deliver(message)]

    def _audio_added(self, message: Message) -> list[Event]:
        label: Any = None
        if message["message"] == _CHANNEL_AUDIO_ADDED:
            label = message.get("channel", "")
        channel = self.channels.get(label) if label is None or isinstance(label, str) else None
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
        for placed in self.asked:
            question = placed.message.question
            if question is not None:
                self.asked.remove(placed)
                return [SpeakersAnswered(question, message)]
        return [Deliver(message)]

    def _end_of_utterance(self, message: Message) -> list[Event]:
        if message.get("forced"):
            label = message.get("channel")
            for at, placed in enumerate(self.asked):
                queued = placed.message
                if queued.question is not None or queued.message.get("channel") not in (
                    None,
                    label,
                ):
                    continue
                answered = queued.answered | {label}
                open_channels = {name for name in self.channels if not self.channels[name].end_sent}
                if queued.message.get("channel") is None and not open_channels <= answered:
                    if label in queued.answered:
                        continue  # this answers a later one
                    queued = queued._replace(answered=answered)
                    self.asked[at] = Placed(queued, placed.after)
                else:
                    del self.asked[at]
                break
        return [Deliver(message)]

    def _end_of_transcript(self, message: Message) -> list[Event]:
        if self._duration_limit is not None:
            reason = str(self._duration_limit.get("reason", ""))
            error = TranscriptionError(
                "The session is longer than this account allows, and the audio past the limit was "
                f"not transcribed: {reason.rstrip('.')}. Ask Speechmatics for longer sessions, or "
                "transcribe the rest in another one.",
                type="duration_limit_exceeded",
                reason=reason,
            )
            return [self._lost(error, last_message=message)]
        if self.state is not State.ENDING:
            error = TranscriptionError(
                "The server ended the transcript before our end of audio: "
                "what was still to be sent is not transcribed. Transcribe it in another session.",
                type="unknown_error",
                reason="EndOfTranscript before the end of audio",
            )
            return [self._lost(error, last_message=message)]
        if self.unacknowledged:
            broken = TransportError(
                f"The server ended the transcript with {self.unacknowledged} of "
                f"{sum(channel.sent for channel in self.channels.values())} chunks of audio "
                "unacknowledged."
            )
            return [Deliver(message), self._failed(broken)]
        self._move(Cause.TRANSCRIBED)
        return [Deliver(message), Ended()]

    def _warning(self, message: Message) -> list[Event]:
        if message.get("type") == "duration_limit_exceeded":
            self._duration_limit = message
        return [Deliver(message)]

    def _error_received(self, message: Message) -> list[Event]:
        if self._error is not None:
            return [Deliver(message)]
        code = message.get("code")
        type = str(message.get("type", "unknown_error"))
        reason = str(message.get("reason", ""))
        self._error = error_of(type, reason, code if isinstance(code, int) else None)
        started = self.state in (State.RUNNING, State.ENDING)
        if is_loss(type) or (is_busy(type) and not started):
            # The close frame follows, and then the leg is lost.
            self._error_is_loss = True
            self._error_message = message
            return []
        self._move(Cause.FAILURE)
        return [Deliver(message), Failed(self._error)]


_SETTLED_BY = {
    Settles.START: Leg._recognition_started,
    Settles.ACKNOWLEDGEMENT: Leg._audio_added,
    Settles.SPEAKERS: Leg._speakers_result,
    Settles.UTTERANCE: Leg._end_of_utterance,
    Settles.LIMIT: Leg._warning,
    Settles.END: Leg._end_of_transcript,
    Settles.FAILURE: Leg._error_received,
}
"""What the leg itself settles; finals settle audio beyond it (`delivered`)."""

_RECEIVERS: dict[str, Callable[[Leg, Message], list[Event]]] = {
    name: _SETTLED_BY[row.settles]
    for name, row in MESSAGES.items()
    if row.settles is not None and row.settles in _SETTLED_BY
}

_TOWARDS_THE_END = frozenset(
    name
    for name, row in MESSAGES.items()
    if row.settles in (Settles.ACKNOWLEDGEMENT, Settles.AUDIO, Settles.SPEAKERS, Settles.UTTERANCE)
)

_MIDDLE = "in the middle of the session"
_WHEN = {
    State.CONNECTING: "before the session had started",
    State.STARTING: "before the session had started",
    State.ENDING: "before the end of the transcript",
}
