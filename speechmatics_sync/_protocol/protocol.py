"""The session as a state machine: no socket, no thread, no clock.

It is told what the user wants (`Protocol.add_audio`, `Protocol.end_audio` …) and what the server
said (`Protocol.receive`, `Protocol.closed`). It answers with the messages that may be sent now
(`Protocol.next_to_send`) and with the events to hand on.

A session runs over one connection after another; what is said over one is a `leg`, and its states
are in a table there. Here is what outlasts a leg: the audio and messages that wait or may be
needed again, the timeline, and what handlers have been given.

The rules:

- Nothing but these calls affects the state.
- What the user wants to send waits in the `multiplexer`, in order. Audio leaves it while fewer
  chunks are unacknowledged than the channel's share of ``max_unacked_chunks``; what was added
  after audio waits with it.
- While several sources have audio, none is taken from when it is ahead of another by more than
  `LEAD_SECONDS`. A source that gives nothing holds up no other.
- What is sent is retained until it is settled: words that are final cover it, and translations, if
  there are any. Sending never waits for that. Of what a source can give again only the places are
  retained; of other audio at most ``replay_seconds``, the oldest acknowledged audio going first.
- When a leg is lost (`Protocol.lose`) unsettled audio, from a little before it, goes back to the
  front of what waits, and with it the questions that were not answered. The next leg
  (`Protocol.new_leg`, `Protocol.enter`) is configured as the last one was in the end. Its messages
  go through a `seam`, which gives them the session's times and drops what was given before.
- A leg that reaches its age is ended (`Protocol.end_leg`) at one sample and another takes the audio
  from there; what that one says waits until the first has said its last.
- The session has succeeded when its last leg has. All else is an error, raised to the user: nothing
  is lost in silence.
- What a server says that this version does not know is handed on.

The peer's mistakes become a `Failed` event; mistakes of the caller are raised.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union

from .._model.config import (
    Diarization,
    MidSessionConfig,
)
from .._model.messages import ClientMessageType, ServerMessageType
from .._model.results import SpeakersResult
from .._model.typing import Label, Message
from ..errors import (
    ConnectionError,
    EndOfTranscriptError,
    SessionError,
    SpeechmaticsError,
)
from .channel import Channel, LegChannel
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
    asks_for_the_end,
    checked,
    force_end_of_utterance,
    is_for_all_channels,
    merged,
    set_config,
)
from .silence import QuietFinder
from .speaker_labels import SpeakerLabels
from .stitching import Stitch
from .timeline import Replay, Timeline

__all__ = ["Protocol", "Recognition", "Replay"]

_ASK_SECONDS = 60.0
"""Seconds of audio after which the session asks for the identifiers of its speakers again."""

_ASK_NEW_SECONDS = 5.0
"""The same while there is a speaker whose identifiers it does not know."""


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
        self.leg: Optional[Leg] = None
        """What is said over the connection that takes the audio."""
        self.replay = Replay(None, None)
        """What the leg that was entered last sends again."""
        self.delimiter = " "
        """What stands between two words."""
        self._over: Optional[State] = None
        self._begun = False
        self._labels = tuple(labels)
        self._pushed = pushed
        self._recoverable = replay_seconds is not None
        self._window = max(1, max_unacked_chunks // len(names))
        self._error: Optional[BaseException] = None
        self._ending: Optional[Leg] = None
        self._held: list[tuple[Leg, Event]] = []
        self._answers_held: list[Placed[Queued]] = []
        """What was asked of the leg that has taken over, and is answered among the events held."""
        self._cuts: dict[Label, Optional[QuietFinder]] = {}
        self._changes: dict[str, Any] = {}
        self._configured = self._changes
        diarization = recognition.transcription_config.diarization
        self._voices: Optional[SpeakerLabels] = None
        if self._recoverable and not labels and diarization == Diarization.SPEAKER:
            self._voices = SpeakerLabels()
        self._restarts_labels = diarization == Diarization.CHANNEL_AND_SPEAKER
        self._asked_at = 0.0
        self._asks_for_another = False
        self._asked_for_the_end: list[Placed[Queued]] = []
        """GetSpeakers that were sent and that a server answers once, when it ends a leg."""

    # -- what the user wants --------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the session stands: where its leg does, while it is not over."""
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
        channel = self.channels[label]
        behind = channel.behind and self._waiting.audio_waits(label)
        # At its pause, and others have not come to theirs: who sends for all must not wait.
        if not channel.rereadable and (behind or self._at_its_cut(label) or not self._running):
            return self._begun and channel.takes_more()
        if self._waiting.audio_waits(label) or not self._window_open(label):
            return False
        if len(self.channels) == 1 or self._pushed or self._waiting.is_awaited(label):
            return True  # what others have may wait behind that message
        return all(
            channel.lead(other, now) <= channel.most_lead for other in self.channels.values()
        )

    def room_for(self, chunks: Sequence[bytes], label: Label = None, now: float = 0.0) -> int:
        """Return how many of some chunks may be added to a channel now, one after another.

        Args:
            chunks: They.
            label: Which channel.
            now: As for `has_room`.
        """
        if not self.has_room(label, now):
            return 0
        if len(chunks) == 1:
            return 1
        channel = self.channels[label]
        on_leg = None if self.leg is None else self.leg.channels.get(label)
        if on_leg is None or channel.behind or self._cuts:
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
        return self._some_channel.seconds(
            max(channel.bytes_taken for channel in self.channels.values())
        )

    @property
    def seconds_acknowledged(self) -> Optional[float]:
        """Seconds of audio acknowledged, of the longest channel; None for ``file`` audio."""
        return self._some_channel.seconds(
            max(channel.bytes_acknowledged for channel in self.channels.values())
        )

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
        message = checked(message)
        self.check_open()
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

    @property
    def waits(self) -> bool:
        """Whether there is anything that `next_to_send` may give, now or later."""
        return self._waiting.any_waits

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
            if self._split(leg, item):
                return self.next_to_send()
            if asks_for_the_end(item.message.message):
                self._asked_for_the_end.append(item)
            return leg.request(item, self._translate(leg, item.message))
        channel = self.channels[label]
        if isinstance(item, bytes):
            item = self._until_quiet(label, item)
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
        if self._ending is None or leg is not self.leg:
            events = leg.receive(message)
        else:
            asked = list(leg.asked)
            events = leg.receive(message)
            self._answers_held += [placed for placed in asked if placed not in leg.asked]
        told: list[Event] = []
        for event in events:
            told += self._tell(leg, event)
        return told

    def closed(self, leg: Leg, code: Optional[int], reason: str) -> Union[Lost, Failed, None]:
        """Return what the end of a leg's connection means; None after EndOfTranscript."""
        event = leg.closed(code, reason)
        if isinstance(event, Failed) or (event is not None and self._error is not None):
            return self._failed(leg, event.error)
        return event

    def fail(self, error: BaseException) -> BaseException:
        """End the session with an error of the caller's; return the one that counts."""
        if self._error is None:
            self._error = error
            self._over = State.FAILED
            for leg in (self._ending, self.leg):
                if leg is not None:
                    leg.fail(error)
        return self._error

    # -- from leg to leg ------------------------------------------------------------------------

    def irrecoverable(self, error: SpeechmaticsError) -> Optional[SpeechmaticsError]:
        """Return what a lost leg is raised as if no other can go on where it was."""
        if not self._recoverable:
            return error
        if self._timeline.raw or all(
            channel.rereadable or not self._waiting.position(label)
            for label, channel in self.channels.items()
        ):
            return None
        if not isinstance(error, ConnectionError):
            return error
        return ConnectionError(
            f"{error.message} It could not be recovered: a file is transcribed from its start, "
            "and this one cannot be read again. Give a path, bytes or a file that can be sought "
            "in; or send raw audio.",
            status=error.status,
            close_code=error.close_code,
        )

    def lose(self) -> None:
        """Take back what the legs leave unsettled: it is sent again over another."""
        legs = [leg for leg in (self._ending, self.leg) if leg is not None]
        for leg in legs:
            leg.lose()
        self.leg = self._ending = None
        self._cuts = {}
        unanswered = [placed for leg in legs for placed in leg.asked] + self._answers_held
        self._held.clear()
        self._answers_held.clear()
        self._timeline.take_back()
        self._ask_again([placed for placed in unanswered if self._timeline.asks_still(placed)])
        self.replay = self._replay()

    def new_leg(self) -> Leg:
        """Return a leg for another connection; it takes the audio once it is entered."""
        wanted = self._timeline.unsettled
        if self.leg is not None:  # which says the last of the channels that it ends
            wanted = [label for label in wanted if not self._waiting.finished(label)]
        labels = [label for label in wanted if label is not None]
        recognition = self.recognition
        config = recognition.transcription_config
        if labels and len(labels) < len(self._labels):
            # A copy is not checked again, and repeats no warning of a field that is deprecated.
            config = copy.copy(config)
            config.channel_diarization_labels = labels
        voices = None if self._voices is None else self._voices.begin_leg()
        if voices is not None:
            config = voices.enrolled(config)
        message = recognition._replace(transcription_config=config).message()
        if self._changes:
            message["transcription_config"] = merged(message["transcription_config"], self._changes)
        leg = Leg(message, {label: LegChannel() for label in wanted})
        leg.voices = voices
        self._configured = self._changes
        return leg

    def enter(self, leg: Leg) -> list[Outgoing]:
        """Have a leg take the audio from where it stands now; return what is to be sent first."""
        self._timeline.begin(leg.channels)
        self.replay = self._replay()
        if self._begun and self._ending is None:
            self._timeline.skip_what_is_lost()
        self.leg = leg
        if self._begun and self._ending is None:
            leg.seam = self._stitch_of(leg)
        first = []
        if self._changes != self._configured:  # meanwhile, over the leg before
            first.append(Outgoing(encode(set_config(self._changes))))
        # Channels that ended while another leg still had them.
        return first + [leg.end(label) for label in leg.channels if self._waiting.finished(label)]

    def seek_cut(self) -> None:
        """Send each channel's audio up to a quiet place only, where `end_leg` cuts no word."""
        if self.leg is not None and self._timeline.raw:
            audio_format = self.recognition.audio_format
            self._cuts = {label: QuietFinder(audio_format) for label in self.leg.channels}

    def give_up_cut(self) -> None:
        """Send on: there is no other leg to take over yet."""
        self._cuts = {}

    @property
    def cut_found(self) -> bool:
        """Whether each channel's audio has come to such a place, or to its end."""
        return all(
            finder is None or self._waiting.finished(label) for label, finder in self._cuts.items()
        )

    @property
    def cuttable(self) -> bool:
        """Whether the audio can be cut: a file cannot."""
        return self._timeline.raw

    def end_leg(self) -> list[Outgoing]:
        """End the leg's audio here, for another to take it; return what is to be sent over it."""
        leg = self.leg
        if leg is None or leg.state is not State.RUNNING:
            raise RuntimeError("only a running leg can be ended")
        self._ending, self.leg = leg, None
        self._cuts = {}
        self._timeline.cut()
        return [leg.end(label) for label in leg.channels if not leg.channels[label].end_sent]

    # -- inside ---------------------------------------------------------------------------------

    @property
    def _running(self) -> bool:
        return self.leg is not None and self.leg.state in (State.RUNNING, State.ENDING)

    def _window_open(self, label: Label) -> bool:
        if self.leg is None or self._at_its_cut(label):
            return False
        channel = self.leg.channels.get(label)
        return channel is not None and channel.unacknowledged < self._window

    def _at_its_cut(self, label: Label) -> bool:
        """Return whether a channel has come to where it can be cut, and waits for the others."""
        return self._cuts.get(label, True) is None

    def _until_quiet(self, label: Label, chunk: bytes) -> bytes:
        """Return how much of a chunk may leave while a place to cut is sought."""
        finder = self._cuts.get(label)
        at = None if finder is None else finder.find(chunk)
        if at is None:
            return chunk
        self._cuts[label] = None
        if at < len(chunk):
            self._waiting.put_back_audio(label, [chunk[at:]])
        return chunk[:at]

    @property
    def _some_channel(self) -> Channel:
        return next(iter(self.channels.values()))

    def _replay(self) -> Replay:
        """Return what a leg that is entered now sends again."""
        return self._timeline.replay(
            may_lack=self._begun and self._ending is None,
            labels_restart=self._begun and self._restarts_labels,
        )

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
            raise SessionError("The audio of this session has ended: nothing more can be sent.")
        if label is not None and self.channels[label].ended:
            raise SessionError(f"The channel {label!r} has ended: no more audio can be sent in it.")

    def _split(self, leg: Leg, placed: Placed[Queued]) -> bool:
        """Put a message for all channels back as one for each, where each has times of its own."""
        queued = placed.message
        first = leg.seam is None and self._ending is None
        if first or not self._labels or not is_for_all_channels(queued.message):
            return False
        split = []
        for label, on_leg in leg.channels.items():
            if not on_leg.end_sent and label not in queued.answered:
                message = {**queued.message, "channel": label}
                split.append(Placed(Queued(message, encode(message)), placed.after))
        self._waiting.put_back_messages(split)
        return True

    def _translate(self, leg: Leg, queued: Queued) -> Message:
        """Return a message of the user's with the leg's own times, and note what it changes."""
        message = queued.message
        name = message["message"]
        if name == ClientMessageType.SET_RECOGNITION_CONFIG.value:
            changes = message.get("transcription_config")
            if isinstance(changes, dict):
                self._changes = merged(self._changes, changes)
        elif name == ClientMessageType.FORCE_END_OF_UTTERANCE.value:
            # While the leg before speaks, this one's messages have no seam yet.
            seam = self._stitch_of(leg) if self._ending is not None else leg.seam
            return message if seam is None else seam.shifted_back(message)
        return message

    # What the server says.

    def _tell(self, leg: Leg, event: Event) -> list[Event]:
        """Return what an event of a leg means for the session."""
        if isinstance(event, Acknowledged):
            return self._acknowledged(leg, event)
        if isinstance(event, Started):
            if not self._begun and event.language_pack_info is not None:
                self.delimiter = event.language_pack_info.word_delimiter
            first, self._begun = not self._begun, True
            if self.leg is None and self._ending is None:
                self.enter(leg)
            return [event._replace(first=first)]
        if isinstance(event, (Lost, Failed)):
            return [event if isinstance(event, Lost) else self._failed(leg, event.error)]
        if leg is self._ending:
            if isinstance(event, Ended):
                return self._leg_ended(leg)
            if _name(event) in _SAID_AT_THE_END:
                return []
        elif leg is not self.leg:
            # Its audio has not begun: what it says is not of this session, save why that ends.
            tells = _name(event) == ServerMessageType.ERROR.value and not self._spare(leg)
            return [event] if tells else []
        elif self._ending is not None:
            self._held.append((leg, event))
            return []
        if isinstance(event, Ended):
            self._over = State.ENDED
            return [event]
        if isinstance(event, SpeakersAnswered):
            return self._answered(leg, event)
        return self._deliver(leg, event.message) if isinstance(event, Deliver) else [event]

    def _spare(self, leg: Leg) -> bool:
        """Return whether the session can do without a leg: it was to take over from another."""
        return self.leg is not None and leg not in (self.leg, self._ending)

    def _failed(self, leg: Leg, error: BaseException) -> Union[Lost, Failed]:
        if self._spare(leg) and isinstance(error, SpeechmaticsError):
            return Lost(error)
        return Failed(self.fail(error))

    def _acknowledged(self, leg: Leg, event: Acknowledged) -> list[Event]:
        on_leg = leg.channels[event.label]
        number = on_leg.before + event.number
        channel = self.channels[event.label]
        if not channel.acknowledge(number, on_leg.acknowledged_until):
            return []
        if not on_leg.before:
            return [event]
        return [Acknowledged(event.label, number, {**event.message, "seq_no": number})]

    def _answered(self, leg: Leg, event: SpeakersAnswered) -> list[Event]:
        message = event.message
        if leg.voices is not None:
            message = leg.voices.session_labels(message)
        event.question.answer = SpeakersResult.from_message(message).speakers
        if self._voices is not None:
            self._voices.learn(event.question.answer)
        if event.question.own:
            return []
        return [Deliver(message), event]

    def _deliver(self, leg: Leg, message: Message) -> list[Event]:
        if leg.voices is not None and leg.seam is not None:
            message = leg.voices.session_labels(message)
        if leg.seam is not None:
            joined = leg.seam.join(message)
            if joined is None:
                return []
            message = joined
        if not self._recoverable:
            return [Deliver(message)]
        events: list[Event] = [Deliver(message)]
        if self._timeline.delivered.note(message):
            self._timeline.release()
            events.append(Settled())
        if self._voices is not None:
            self._ask_for_voices(self._voices.note(message))
        return events

    def _ask_for_voices(self, heard_another: bool) -> None:
        """Ask the server for the speakers' identifiers, from time to time."""
        now = self._timeline.delivered.words_until(None)
        self._asks_for_another = self._asks_for_another or heard_another
        wait = _ASK_NEW_SECONDS if self._asks_for_another else _ASK_SECONDS
        if now - self._asked_at < wait or self.audio_ended or not self._running:
            return
        self._asked_at = now
        self._asks_for_another = False
        question = SpeakersQuestion(own=True)
        self._queue({"message": ClientMessageType.GET_SPEAKERS.value}, question)

    def _leg_ended(self, leg: Leg) -> list[Event]:
        """The leg that was ended has said its last: everything up to there is settled."""
        self._ending = None
        self._timeline.settle_up_to_the_cut(leg.channels)
        self._ask_again(
            [
                placed
                for placed in leg.asked
                if not _own(placed) and self._timeline.is_reached(placed)
            ]
        )
        events: list[Event] = [LegEnded(), Settled()]
        held, self._held = self._held, []
        self._answers_held.clear()
        if self.leg is not None:
            self.leg.seam = self._stitch_of(self.leg)
        for each, event in held:
            events.extend(self._tell(each, event))
        return events

    def _stitch_of(self, leg: Leg) -> Stitch:
        offsets = {
            label: self._timeline.seconds(label, on_leg.start)
            for label, on_leg in leg.channels.items()
        }
        return Stitch(self._timeline.delivered, offsets, delimiter=self.delimiter)

    def _ask_again(self, questions: Sequence[Placed[Queued]]) -> None:
        """Put back questions, and those that are answered at the end, in the order they had."""
        again = [*questions, *self._asked_for_the_end]
        self._asked_for_the_end.clear()
        again.sort(key=lambda each: sum(each.after.values()))
        for each in again:
            # No leg takes anything after its last channel's end, which may be another one's now.
            each.after = {
                label: min(place, self.channels[label].bytes_taken)
                for label, place in each.after.items()
            }
        self._waiting.put_back_messages(again)


def _own(placed: Placed[Queued]) -> bool:
    question = placed.message.question
    return question is not None and question.own


def _name(event: Event) -> Any:
    return event.message.get("message") if isinstance(event, Deliver) else None


_SAID_AT_THE_END = (
    ServerMessageType.END_OF_TRANSCRIPT.value,
    ServerMessageType.SPEAKERS_RESULT.value,
)
