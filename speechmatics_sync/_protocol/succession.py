"""How one leg of a session follows another: after a loss, or planned, in a rollover.

Theory of operation. A leg is made by `Succession.new_leg` and takes the audio once it is entered
(`Succession.enter`). It gives the audio up when it is lost (`Succession.lose`) or when it is ended
for another to take over (`Succession.end_leg`). After a loss, unsettled audio goes back to the
front of what waits, from a little before it, and with it the requests that were not answered. In a
rollover each channel's audio is cut at one sample, the old leg finishes what it has, and what the
new leg says is held until then. Nothing is sent again where the cut is in a pause; where it may go
through a word, the new leg is sent the last seconds too, and repeats are dropped as after a loss.

What becomes of a leg's messages depends on the part it plays:

========  ==============================================  ==========================================
`Part`    The leg                                         Its messages
========  ==============================================  ==========================================
COMING    is connected; audio does not go to it yet       are dropped, except an Error that ends the
                                                          session, as no other leg can go on
CURRENT   takes the audio; no earlier leg still speaks    are delivered
HELD      takes the audio; the earlier leg still speaks   are held until that one has ended
ENDING    was ended for another; has more to say          are delivered, except those that come at a
                                                          session's end: this is not the session's
========  ==============================================  ==========================================

The rules:

- A new leg is configured as the last one was in the end, changes in mid-session included. It asks
  only for channels that are not settled yet.
- From the second leg on, messages go through a `Stitch`, which gives them the session's times and
  drops what was delivered before. It is made when nothing more of the earlier leg can come.
- A request that was sent and not answered is asked again on the next leg, in its old place.
"""

from __future__ import annotations

import copy
import enum
from collections.abc import Sequence
from typing import Any, Optional

from .._model.messages import ClientMessageType, ServerMessageType
from .._model.transcription_config import Diarization
from .._model.typing import Label, Message
from ..errors import ConnectionError, SpeechmaticsError
from .channel import LegChannel
from .codec import encode
from .events import Deliver, Event, Outgoing, Queued, Started
from .leg import Leg, State
from .message_table import MESSAGES
from .multiplexer import Placed
from .requests import Recognition, asks_for_the_end, is_for_all_channels, merged, set_config
from .silence import QuietFinder
from .speaker_labels import SpeakerLabels
from .stitching import Stitch
from .timeline import Replay, Timeline

__all__ = ["Part", "Succession"]


class Part(enum.Enum):
    """The part that a leg plays in its session; the module's table says what follows."""

    COMING = "coming"
    CURRENT = "current"
    HELD = "held"
    ENDING = "ending"


class Succession:
    """The legs of one session, and what outlasts each of them.

    Args:
        recognition: What the session is asked to do.
        timeline: The session's audio.
        labels: The channels of a session that has several.
        recoverable: Whether another leg may follow one that is lost.
    """

    def __init__(
        self,
        recognition: Recognition,
        timeline: Timeline,
        *,
        labels: Sequence[str],
        recoverable: bool,
    ) -> None:
        self.leg: Optional[Leg] = None
        """The leg that takes the audio."""
        self.begun = False
        """Whether recognition has ever started."""
        self.delimiter = " "
        """What stands between two words, as the first RecognitionStarted had it."""
        self.replay = Replay(None, None)
        """What the leg that was entered last sends again."""
        self.recoverable = recoverable
        self.speaker_labels: Optional[SpeakerLabels] = None
        """The session's speakers, where labels are to stay the same from leg to leg."""
        self._recognition = recognition
        self._timeline = timeline
        self._waiting = timeline.waiting
        self._labels = tuple(labels)
        self._ending: Optional[Leg] = None
        self.cuts: dict[Label, Optional[QuietFinder]] = {}
        """While a cut is sought: each channel's search; None once its pause is found. Then audio
        leaves only up to where it can be cut."""
        self._held: list[tuple[Leg, Event]] = []
        self._answers_held: list[Placed[Queued]] = []
        """Requests whose answers are among the events held."""
        self._asked_for_the_end: list[Placed[Queued]] = []
        """GetSpeakers that were sent and are answered once, when the session ends."""
        self._changes: dict[str, Any] = {}
        """What SetRecognitionConfig has changed so far."""
        self._configured = self._changes
        """Those of the changes that the newest leg was started with."""
        diarization = recognition.transcription_config.diarization
        if recoverable and not labels and diarization == Diarization.SPEAKER:
            self.speaker_labels = SpeakerLabels()
        self._labels_restart = diarization == Diarization.CHANNEL_AND_SPEAKER

    @property
    def running(self) -> bool:
        """Whether there is a leg that has started and takes the audio."""
        return self.leg is not None and self.leg.state in (State.RUNNING, State.ENDING)

    def part_of(self, leg: Leg) -> Part:
        """Return which part a leg plays."""
        if leg is self._ending:
            return Part.ENDING
        if leg is not self.leg:
            return Part.COMING
        return Part.CURRENT if self._ending is None else Part.HELD

    def can_spare(self, leg: Leg) -> bool:
        """Return whether the session can go on without a leg: it was to take over from another."""
        return self.leg is not None and self.part_of(leg) is Part.COMING

    def fail(self, error: BaseException) -> None:
        """End every leg with an error of the caller's."""
        for leg in self._legs:
            leg.fail(error)

    # -- from leg to leg ------------------------------------------------------------------------

    def irrecoverable(self, error: SpeechmaticsError) -> Optional[SpeechmaticsError]:
        """Return the error to raise for a lost leg; None if another leg can go on from there."""
        if not self.recoverable:
            return error
        if self._timeline.raw or all(
            channel.rereadable or not self._waiting.position(label)
            for label, channel in self._timeline.channels.items()
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
        """Take back what the legs leave unsettled, to send it again over another."""
        unanswered = [placed for leg in self._legs for placed in leg.asked] + self._answers_held
        for leg in self._legs:
            leg.lose()
        self.leg = self._ending = None
        self.cuts = {}
        self._held.clear()
        self._answers_held.clear()
        self._timeline.take_back()
        self._ask_again([placed for placed in unanswered if self._timeline.asks_still(placed)])
        self.replay = self._replay()

    def new_leg(self) -> Leg:
        """Return a leg for another connection; it takes the audio once it is entered."""
        wanted = self._timeline.unsettled
        if self.leg is not None:  # that leg ends the channels that are finished
            wanted = [label for label in wanted if not self._waiting.finished(label)]
        labels = [label for label in wanted if label is not None]
        config = self._recognition.transcription_config
        if labels and len(labels) < len(self._labels):
            # A copy is not validated again, and does not repeat the warning of a deprecated field.
            config = copy.copy(config)
            config.channel_diarization_labels = labels
        known = None if self.speaker_labels is None else self.speaker_labels.begin_leg()
        if known is not None:
            config = known.enrolled(config)
        message = self._recognition._replace(transcription_config=config).message()
        if self._changes:
            message["transcription_config"] = merged(message["transcription_config"], self._changes)
        leg = Leg(message, {label: LegChannel() for label in wanted})
        leg.speaker_labels = known
        self._configured = self._changes
        return leg

    def enter(self, leg: Leg) -> list[Outgoing]:
        """Have a leg take the audio from where it stands now; return what to send first."""
        self._timeline.begin(leg.channels)
        self.replay = self._replay()
        self.leg = leg
        if self.begun and self._ending is None:
            self._timeline.skip_what_is_lost()
            leg.stitch = self._stitch_of(leg)
        first = []
        if self._changes != self._configured:  # changed on the earlier leg in the meantime
            first.append(Outgoing(encode(set_config(self._changes))))
        # Channels that ended after this leg was configured.
        return first + [leg.end(label) for label in leg.channels if self._waiting.finished(label)]

    @property
    def cuttable(self) -> bool:
        """Whether the audio can be cut: a file cannot."""
        return self._timeline.raw

    def seek_cut(self) -> None:
        """Send each channel's audio up to a pause only, where `end_leg` cuts no word."""
        if self.leg is not None and self.cuttable:
            audio_format = self._recognition.audio_format
            self.cuts = {label: QuietFinder(audio_format) for label in self.leg.channels}

    def give_up_cut(self) -> None:
        """Send on: there is no other leg to take over yet."""
        self.cuts = {}

    @property
    def cut_found(self) -> bool:
        """Whether each channel's audio has reached a pause, or its end."""
        return all(
            finder is None or self._waiting.finished(label) for label, finder in self.cuts.items()
        )

    def is_at_cut(self, label: Label) -> bool:
        """Return whether a channel has reached its pause and waits for the others."""
        return self.cuts.get(label, True) is None

    def until_cut(self, label: Label, chunk: bytes) -> bytes:
        """Return as much of a chunk as may leave while a cut is sought; the rest waits."""
        finder = self.cuts.get(label)
        at = None if finder is None else finder.find(chunk)
        if at is None:
            return chunk
        self.cuts[label] = None
        if at < len(chunk):
            self._waiting.put_back_audio(label, [chunk[at:]])
        return chunk[:at]

    def end_leg(self) -> list[Outgoing]:
        """End the leg's audio here, for another to take it; return what to send over it.

        Where no pause was found, the next leg is sent the last audio as well, and says what
        is in it; the ended one does not.
        """
        leg = self.leg
        if leg is None or leg.state is not State.RUNNING:
            raise RuntimeError("only a running leg can be ended")
        self._ending, self.leg = leg, None
        torn = [
            label
            for label, finder in self.cuts.items()
            if finder is not None and not self._waiting.finished(label)
        ]
        self.cuts = {}
        overlaps = self._timeline.cut(leg.channels, torn)
        if overlaps:
            leg.stitch = leg.stitch or self._stitch_of(leg, first=True)
            leg.stitch.leave_to_next(overlaps)
        return [leg.end(label) for label in leg.channels if not leg.channels[label].end_sent]

    # -- what is sent ---------------------------------------------------------------------------

    def request(self, leg: Leg, placed: Placed[Queued]) -> Optional[Outgoing]:
        """Return a message of the user's as it is sent over the current leg.

        Returns:
            None if it was put back as one message for each channel, to be sent next.
        """
        if self._split(leg, placed):
            return None
        if asks_for_the_end(placed.message.message):
            self._asked_for_the_end.append(placed)
        return leg.request(placed, self._translated(leg, placed.message.message))

    def _split(self, leg: Leg, placed: Placed[Queued]) -> bool:
        """Put a message for all channels back as one for each, where each has times of its own."""
        queued = placed.message
        first = leg.stitch is None and self._ending is None
        if first or not self._labels or not is_for_all_channels(queued.message):
            return False
        split = []
        for label, on_leg in leg.channels.items():
            if not on_leg.end_sent and label not in queued.answered:
                message = {**queued.message, "channel": label}
                split.append(Placed(Queued(message, encode(message)), placed.after))
        self._waiting.put_back_messages(split)
        return True

    def _translated(self, leg: Leg, message: Message) -> Message:
        """Return a message of the user's with the leg's own times, and note what it changes."""
        name = message["message"]
        if name == ClientMessageType.SET_RECOGNITION_CONFIG.value:
            changes = message.get("transcription_config")
            if isinstance(changes, dict):
                self._changes = merged(self._changes, changes)
        elif name == ClientMessageType.FORCE_END_OF_UTTERANCE.value:
            # A leg whose messages are held has no stitch yet.
            stitch = leg.stitch if self._ending is None else self._stitch_of(leg)
            return message if stitch is None else stitch.shifted_back(message)
        return message

    # -- what the server says -------------------------------------------------------------------

    def receive(self, leg: Leg, message: Message) -> list[Event]:
        """Return what a message means to its leg, in order."""
        if self._ending is None or self.part_of(leg) is not Part.HELD:
            return leg.receive(message)
        asked = list(leg.asked)
        events = leg.receive(message)
        self._answers_held += [placed for placed in asked if placed not in leg.asked]
        return events

    def start(self, leg: Leg, event: Started) -> Started:
        """Take note that a leg has started; return the event with whether it is the first."""
        if not self.begun and event.language_pack_info is not None:
            self.delimiter = event.language_pack_info.word_delimiter
        first, self.begun = not self.begun, True
        if self.leg is None and self._ending is None:
            self.enter(leg)
        return event._replace(first=first)

    def admits(self, leg: Leg, event: Event) -> bool:
        """Return whether an event of a leg takes effect now; otherwise it is held or dropped."""
        part = self.part_of(leg)
        if part is Part.HELD:
            self._held.append((leg, event))
            return False
        name = event.message.get("message") if isinstance(event, Deliver) else None
        if part is Part.COMING:
            return name == ServerMessageType.ERROR.value and not self.can_spare(leg)
        return part is Part.CURRENT or name not in _AT_THE_END

    def held(self, leg: Leg) -> int:
        """Return how many events of a leg are held."""
        return len(self._held) if self.part_of(leg) is Part.HELD else 0

    def stitched(self, leg: Leg, message: Message) -> Optional[Message]:
        """Return a message of a leg with the session's times and labels; None to drop it."""
        if leg.stitch is None:
            return message
        if leg.speaker_labels is not None:
            message = leg.speaker_labels.session_labels(message)
        return leg.stitch.join(message)

    def finish_leg(self, leg: Leg) -> list[tuple[Leg, Event]]:
        """Settle what an ended leg took, which has said its last; return the events held."""
        self._ending = None
        self._timeline.settle_up_to_the_cut(leg.channels)
        self._ask_again(
            [
                placed
                for placed in leg.asked
                if not _is_own(placed) and self._timeline.is_reached(placed)
            ]
        )
        held, self._held = self._held, []
        self._answers_held.clear()
        if self.leg is not None:
            self.leg.stitch = self._stitch_of(self.leg)
        return held

    # -- inside ---------------------------------------------------------------------------------

    @property
    def _legs(self) -> list[Leg]:
        return [leg for leg in (self._ending, self.leg) if leg is not None]

    def _replay(self) -> Replay:
        """Return what a leg that is entered now sends again."""
        return self._timeline.replay(
            may_lack=self.begun and self._ending is None,
            labels_restart=self.begun and self._labels_restart,
        )

    def _stitch_of(self, leg: Leg, *, first: bool = False) -> Stitch:
        offsets = {
            label: self._timeline.seconds(label, on_leg.start)
            for label, on_leg in leg.channels.items()
        }
        return Stitch(
            self._timeline.delivered,
            offsets,
            delimiter=self.delimiter,
            first=first,
            sent=self._timeline.reach(leg.channels, sent=True),
        )

    def _ask_again(self, requests: Sequence[Placed[Queued]]) -> None:
        """Put back requests, and those answered at the session's end, in their old order."""
        again = [*requests, *self._asked_for_the_end]
        self._asked_for_the_end.clear()
        again.sort(key=lambda each: sum(each.after.values()))
        for each in again:
            # A leg takes nothing after the end of its last channel. The next leg may have fewer
            # channels, or shorter ones, so a request must not wait for audio that will not come.
            each.after = {
                label: min(place, self._timeline.channels[label].bytes_taken)
                for label, place in each.after.items()
            }
        self._waiting.put_back_messages(again)


def _is_own(placed: Placed[Queued]) -> bool:
    question = placed.message.question
    return question is not None and question.own


_AT_THE_END = frozenset(name for name, row in MESSAGES.items() if row.at_the_end)
