"""The session as a state machine: no socket, no thread, no clock.

It is told what the user wants (`Protocol.add_audio`, `Protocol.end_audio` …) and what the server
said (`Protocol.receive`, `Protocol.closed`). It answers with the messages that may be sent now
(`Protocol.next_to_send`) and with the events to hand on.

A session runs over one connection after another. What is said over one of them is a `leg`, whose
states are in a table there; how one leg follows another is `succession`. A session that is not over
is in the state of its current leg:

===========================  =================================================================
`Protocol.state`             When
===========================  =================================================================
CONNECTING                   no leg has taken the audio, or the last one was lost or ended
STARTING, RUNNING, ENDING    as the leg that takes the audio
ENDED                        that leg said its last: everything is transcribed and acknowledged
FAILED                       all else: an error for the user, as nothing is lost in silence
===========================  =================================================================

The rules:

- Nothing but these calls affects the state.
- What the user wants to send waits in the `multiplexer`, in order. Audio leaves it while fewer
  chunks are unacknowledged than the channel's share of ``max_unacked_chunks``; what was added
  after audio waits with it.
- While several sources have audio, none is taken from when it is ahead of another by more than
  `LEAD_SECONDS`. A source that gives nothing holds up no other.
- What is sent is retained until it is settled: covered by final words, and by translations if there
  are any. Sending never waits for that. For a source that can be read again, only positions are
  retained; of other audio at most ``replay_seconds``, and the oldest acknowledged audio goes first.
- A message of the server's that this version does not know is handed on.

The peer's mistakes become a `Failed` event; mistakes of the caller are raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional, Union

from .._model.messages import ClientMessageType
from .._model.results import SpeakersResult
from .._model.transcription_config import MidSessionConfig
from .._model.typing import Label, Message
from ..errors import EndOfTranscriptError, SessionError, SpeechmaticsError
from .codec import encode
from .events import (
    Acknowledged,
    Deliver,
    Ended,
    Event,
    Failed,
    LegEnded,
    Lost,
    Outgoing,
    Queued,
    Settled,
    SpeakersAnswered,
    SpeakersQuestion,
    Started,
)
from .leg import Leg, State
from .multiplexer import EndOfChannel, Placed
from .requests import (
    Recognition,
    asks_for_speakers,
    checked,
    force_end_of_utterance,
    set_config,
)
from .succession import Succession
from .timeline import Timeline

__all__ = ["Protocol"]


class Protocol:
    """One session.

    Args:
        recognition: What the session is asked to do.
        max_unacked_chunks: How many chunks may be unacknowledged before audio waits; channels
            share them out.
        labels: The channels of a session that has several.
        pushed: Whether the user sends the audio, rather than sources giving it.
        replay_seconds: How much unsettled audio is kept to be sent again; None if a lost
            connection ends the session.
    """

    def __init__(
        self,
        recognition: Recognition,
        *,
        max_unacked_chunks: int,
        labels: Sequence[str] = (),
        pushed: bool = True,
        replay_seconds: Optional[float] = None,
    ) -> None:
        names: Sequence[Label] = labels or (None,)
        self.recognition = recognition
        self._timeline = Timeline(
            recognition.audio_format, names, recognition.translation_config, replay_seconds
        )
        self.channels = self._timeline.channels
        self._waiting = self._timeline.waiting
        self.waits = self._waiting.any_waits
        """Returns whether there is anything that `next_to_send` may give, now or later."""
        self.succession = Succession(
            recognition, self._timeline, labels=labels, recoverable=replay_seconds is not None
        )
        self._over: Optional[State] = None
        self._pushed = pushed
        self._window = max(1, max_unacked_chunks // len(names))
        self._error: Optional[BaseException] = None

    @property
    def leg(self) -> Optional[Leg]:
        """The leg that takes the audio."""
        return self.succession.leg

    # -- what the user wants --------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the session stands; the module's table says when."""
        if self._over is not None:
            return self._over
        return State.CONNECTING if self.leg is None else self.leg.state

    @property
    def over(self) -> bool:
        """Whether the session has ended or failed."""
        return self._over is not None

    def has_room(self, label: Label = None, now: float = 0.0) -> bool:
        """Return whether more audio may be added to a channel.

        Args:
            label: Which channel.
            now: What time it is, as for `Channel.read_since`.
        """
        channel, succession = self.channels[label], self.succession
        if not channel.rereadable:
            behind = channel.behind and self._waiting.audio_waits(label)
            # This channel may have reached its cut before the others: taking no more would block a
            # thread that feeds all of them.
            if behind or succession.is_at_cut(label) or not succession.running:
                return succession.begun and channel.takes_more()
        if self._waiting.audio_waits(label) or not self._window_open(label):
            return False
        if len(self.channels) == 1 or self._pushed or self._waiting.is_awaited(label):
            return True  # the audio of the others may wait behind that message
        return all(
            channel.lead(other, now) <= channel.most_lead for other in self.channels.values()
        )

    def room_for(self, chunks: Sequence[bytes], label: Label = None, now: float = 0.0) -> int:
        """Return how many of some chunks may be added to a channel now, one after another.

        Args:
            chunks: Audio chunks, in order.
            label: Which channel.
            now: As for `has_room`.
        """
        if not self.has_room(label, now):
            return 0
        if len(chunks) == 1:
            return 1
        channel = self.channels[label]
        on_leg = None if self.leg is None else self.leg.channels.get(label)
        if on_leg is None or channel.behind or self.succession.cuts:
            return 1
        room = min(len(chunks), self._window - on_leg.unacknowledged)
        if len(self.channels) > 1:
            lead = max(channel.lead(other, now) for other in self.channels.values())
            for count, chunk in enumerate(chunks[:room]):
                if lead > channel.most_lead:
                    return max(1, count)
                lead += len(chunk)
        return max(1, room)

    def takes_audio(self, label: Label) -> bool:
        """Return whether audio of a channel is wanted: it has not ended, or is read again."""
        channel = self.channels[label]
        return not channel.ended or channel.refilling

    @property
    def audio_ended(self) -> bool:
        """Whether the user has said of every channel that there is no more audio."""
        return all(channel.ended for channel in self.channels.values())

    @property
    def window(self) -> int:
        """Chunks that may be unacknowledged before audio waits, of all channels."""
        return self._window * len(self.channels)

    @property
    def sent(self) -> int:
        """Chunks sent, of all channels."""
        return sum(channel.sent for channel in self.channels.values())

    @property
    def acknowledged(self) -> int:
        """Chunks acknowledged, of all channels."""
        return sum(channel.acknowledged for channel in self.channels.values())

    @property
    def bytes_taken(self) -> int:
        """Bytes of audio added so far, of all channels."""
        return sum(channel.bytes_taken for channel in self.channels.values())

    @property
    def seconds_taken(self) -> Optional[float]:
        """Seconds of audio added so far, of the longest channel; None for ``file`` audio."""
        return self._longest(channel.bytes_taken for channel in self.channels.values())

    @property
    def seconds_acknowledged(self) -> Optional[float]:
        """Seconds of audio acknowledged, of the longest channel; None for ``file`` audio."""
        return self._longest(channel.bytes_acknowledged for channel in self.channels.values())

    def add_audio(self, payload: bytes, label: Label = None) -> None:
        """Queue audio: one chunk, its samples made whole with what the last one left over.

        Raises:
            SessionError: The channel's audio or the session has ended.
        """
        self.check_open(label)
        self.refill(payload, label)

    def refill(self, payload: bytes, label: Label = None) -> None:
        """Queue audio, also such as a source gives again after its channel has ended."""
        channel = self.channels[label]
        refilling = channel.refilling
        chunk = channel.take(payload)
        if chunk:
            self._waiting.add_audio(label, chunk)
        if refilling and channel.ended and not channel.refilling:
            self._waiting.end_channel(label)

    def sends_at_once(self, size: int, label: Label, before: int = 0) -> bool:
        """Return whether audio may be sent by `send_at_once`: the steady state of live audio.

        The leg runs, its window is open, nothing waits, and nothing is sent again.

        Args:
            size: Bytes of the audio.
            label: Its channel.
            before: Chunks to be sent before it.
        """
        leg = self.succession.leg
        if leg is None or leg.state is not State.RUNNING or self.succession.cuts:
            return False
        on_leg = leg.channels.get(label)
        if on_leg is None or on_leg.sent - on_leg.acknowledged + before >= self._window:
            return False
        return self.channels[label].takes_at_once(size) and not self._waiting.waits_before(label)

    def send_at_once(self, chunk: bytes, label: Label) -> tuple[Union[bytes, str], int]:
        """Take a chunk of which `sends_at_once` is true; return its message and its number."""
        leg, channel = self.succession.leg, self.channels[label]
        assert leg is not None  # noqa: S101  (or `sends_at_once` is false)
        channel.bytes_filled += len(chunk)
        channel.bytes_taken = channel.bytes_filled
        number = leg.channels[label].send(chunk)
        channel.send(number, self._waiting.pass_by(label, len(chunk)), chunk)
        return (chunk if label is None else leg.channel_audio(label, chunk)), number

    def give_up_refill(self, label: Label) -> None:
        """Go on without audio that a source cannot give again."""
        channel = self.channels[label]
        channel.give_up_refill()
        if channel.ended:
            self._waiting.end_channel(label)

    def add_message(self, message: Mapping[str, Any]) -> None:
        """Queue a message of the user's, in order with the audio.

        Raises:
            ConfigurationError: It is not a message that may be sent this way.
            SessionError: The audio or the session has ended.
        """
        self.check_open()
        message = checked(message)
        self._queue(message, SpeakersQuestion() if asks_for_speakers(message) else None)

    def force_end_of_utterance(self, timestamp: Optional[float], label: Label = None) -> None:
        """Queue ForceEndOfUtterance, at ``timestamp`` seconds or without saying when.

        Raises:
            ConfigurationError: ``timestamp`` is not a time.
            SessionError: The audio or the session has ended.
        """
        self.add_message(force_end_of_utterance(timestamp, label))

    def configure(self, changes: MidSessionConfig) -> None:
        """Queue SetRecognitionConfig; the language stays that of the session.

        Raises:
            SessionError: The audio or the session has ended.
        """
        config = {**changes.to_dict(), "language": self.recognition.transcription_config.language}
        self.add_message(set_config(config))

    def ask_speakers(self) -> SpeakersQuestion:
        """Queue GetSpeakers; the question comes back answered in `SpeakersAnswered`.

        Raises:
            SessionError: The audio or the session has ended.
        """
        self.check_open()
        question = SpeakersQuestion()
        self._queue({"message": ClientMessageType.GET_SPEAKERS.value}, question)
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
        if not channel.refilling:
            self._waiting.end_channel(label)
        return channel.drop_half_sample()

    def next_to_send(self) -> Optional[Outgoing]:
        """Return the next message that may be sent over the leg's connection."""
        leg = self.leg
        if leg is None or leg.state is not State.RUNNING:
            return None
        following = self._waiting.next(self._window_open)
        if following is None:
            return None
        label, item = following
        if isinstance(item, Placed):
            return self.succession.request(leg, item) or self.next_to_send()
        channel = self.channels[label]
        if isinstance(item, bytes):
            item = self.succession.until_cut(label, item)
        if channel.behind and not self._waiting.audio_waits(label) and not channel.refilling:
            channel.behind = False
        if isinstance(item, EndOfChannel):
            return leg.end(label)
        outgoing = leg.audio(label, item)
        channel.send(outgoing.number, self._waiting.position(label) - len(item), item)
        return outgoing

    # -- what the server says -------------------------------------------------------------------

    def receive(self, leg: Leg, message: Message) -> list[Event]:
        """Return what a message of the server's means, in order."""
        if self._over is not None:
            return []
        told: list[Event] = []
        for event in self.succession.receive(leg, message):
            if isinstance(event, Acknowledged):
                self._acknowledge(leg, event, told)
            else:
                told += self._tell(leg, event)
        return told

    def acknowledge_at_once(self, leg: Leg, label: Label, number: object) -> int:
        """Take an acknowledgement of audio in the steady state, without making events.

        Returns:
            The number of the chunk in the session; 0 if `receive` is to take the message.
        """
        on_leg = leg.channels.get(label)
        if leg is not self.succession.leg or leg.state is not State.RUNNING or on_leg is None:
            return 0
        if type(number) is not int or not on_leg.acknowledged < number <= on_leg.sent:
            return 0
        on_leg.acknowledge(number)
        number += on_leg.before
        self.channels[label].acknowledge(number, on_leg.acknowledged_until)
        return number

    def closed(self, leg: Leg, code: Optional[int], reason: str) -> Union[Lost, Failed, None]:
        """Return what the end of a leg's connection means; None after EndOfTranscript."""
        event = leg.closed(code, reason)
        if isinstance(event, Failed) or (event is not None and self._error is not None):
            return self._failed(leg, event.error)
        return event

    def fail(self, error: BaseException) -> BaseException:
        """End the session with an error of the caller's; return the one that counts."""
        if self._error is not None:
            return self._error
        self._over = State.FAILED
        self.succession.fail(error)
        return error

    # -- inside ---------------------------------------------------------------------------------

    def _window_open(self, label: Label) -> bool:
        leg = self.leg
        if leg is None or self.succession.is_at_cut(label):
            return False
        channel = leg.channels.get(label)
        return channel is not None and channel.unacknowledged < self._window

    def _longest(self, sizes: Iterable[int]) -> Optional[float]:
        return next(iter(self.channels.values())).seconds(max(sizes))

    def _queue(self, message: Message, question: Optional[SpeakersQuestion] = None) -> None:
        self._waiting.add_message(Queued(message, encode(message), question))

    def check_open(self, label: Label = None) -> None:
        """Raise what sending would raise in this state, of audio if a channel is named.

        Raises:
            EndOfTranscriptError: The session has ended.
            SessionError: The audio has ended.
        """
        if self.over:
            raise EndOfTranscriptError("The session has ended; start another one.")
        if self.audio_ended:
            raise SessionError("The audio of this session has ended: start another to send more.")
        if label is not None and self.channels[label].ended:
            raise SessionError(f"The channel {label!r} has ended: send more audio in another one.")

    # What the server says.

    def _tell(self, leg: Leg, event: Event) -> list[Event]:
        """Return what an event of a leg means for the session."""
        if isinstance(event, Started):
            return [self.succession.start(leg, event)]
        if isinstance(event, Lost):
            return [event]
        if isinstance(event, Failed):
            return [self._failed(leg, event.error)]
        if not self.succession.admits(leg, event):
            return []
        if isinstance(event, Ended):
            return self._ended(leg)
        if isinstance(event, SpeakersAnswered):
            return self._answered(leg, event)
        return self._deliver(leg, event.message) if isinstance(event, Deliver) else [event]

    def _ended(self, leg: Leg) -> list[Event]:
        """Return what it means that a leg has said its last: the end, unless another took over."""
        if leg is self.leg:
            self._over = State.ENDED
            return [Ended()]
        events: list[Event] = [LegEnded(), Settled()]
        for each, held in self.succession.finish_leg(leg):
            events += self._tell(each, held)
        return events

    def _failed(self, leg: Leg, error: BaseException) -> Union[Lost, Failed]:
        if self.succession.can_spare(leg) and isinstance(error, SpeechmaticsError):
            return Lost(error)
        # Kept, unlike a caller's, for the session goes on until the close frame has come.
        self._error = self.fail(error)
        return Failed(self._error)

    def _acknowledge(self, leg: Leg, event: Acknowledged, told: list[Event]) -> None:
        label, number, message = event
        on_leg = leg.channels[label]
        number += on_leg.before
        if self.channels[label].acknowledge(number, on_leg.acknowledged_until):
            if on_leg.before:
                event = Acknowledged(label, number, {**message, "seq_no": number})
            told.append(event)

    def _answered(self, leg: Leg, event: SpeakersAnswered) -> list[Event]:
        message = event.message
        if leg.speaker_labels is not None:
            message = leg.speaker_labels.session_labels(message)
        event.question.answer = SpeakersResult.from_message(message).speakers
        if self.succession.speaker_labels is not None:
            self.succession.speaker_labels.learn(event.question.answer)
        return [] if event.question.own else [Deliver(message), event]

    def _deliver(self, leg: Leg, received: Message) -> list[Event]:
        message = self.succession.stitched(leg, received)
        if message is None:
            return []
        events: list[Event] = [Deliver(message)]
        if not self.succession.recoverable:
            return events
        if self._timeline.note(message, leg.channels):
            events.append(Settled())
        speaker_labels = self.succession.speaker_labels
        if speaker_labels is not None:
            speaker_labels.note(message)
            now = self._timeline.delivered.words_until(None)
            may_ask = self.succession.running and not self.audio_ended
            if may_ask and speaker_labels.asking_is_due(now):
                speaker_labels.note_asking(now)
                question = SpeakersQuestion(own=True)
                self._queue({"message": ClientMessageType.GET_SPEAKERS.value}, question)
        return events
