"""The user and the network of a session that is tried beside a model."""

from __future__ import annotations

import json
from typing import Optional

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from speechmatics_sync import (
    AudioFormat,
    ConnectionError,
    MidSessionConfig,
    TranscriptionConfig,
    TranslationConfig,
)
from speechmatics_sync._model.typing import Label
from speechmatics_sync._protocol.events import (
    Lost,
    Outgoing,
    SpeakersQuestion,
)
from speechmatics_sync._protocol.leg import State
from speechmatics_sync._protocol.requests import Recognition
from speechmatics_sync._protocol.session import Protocol
from support.protocol.counted_speech import (
    AUDIO,
    PERIOD,
    PIECES,
    RATE,
    SAMPLE,
    WORDS,
    Connection,
    Piece,
)
from support.serving import STARTED
from support.sessions import END_OF_TRANSCRIPT

TARGET = "fr"


class UserAndNetwork(RuleBasedStateMachine):
    """A user and a protocol, whose connections break and are replaced; what they did is noted."""

    # -- the user -------------------------------------------------------------------------------

    @initialize(
        count=st.sampled_from([1, 1, 2, 3]),
        kind=st.sampled_from(["pushed", "pushed", "mixed", "read", "file"]),
        window=st.integers(1, 8),
        replay_seconds=st.sampled_from([300.0, 0.5]),
        translated=st.booleans(),
        seconds=st.integers(2, WORDS * PERIOD // RATE),
        starts=st.integers(0, 3),
    )
    def begin(
        self,
        count: int,
        kind: str,
        window: int,
        replay_seconds: float,
        translated: bool,
        seconds: int,
        starts: int,
    ) -> None:
        labels = [] if count == 1 else [str(number) for number in range(count)]
        self.raw = kind != "file"
        config = TranscriptionConfig()
        if labels:
            config = TranscriptionConfig(diarization="channel", channel_diarization_labels=labels)
        # A translation says of no channel that it is its own.
        self.translated = translated and not labels
        self.protocol = Protocol(
            Recognition(
                config,
                AudioFormat("pcm_f32le", RATE) if self.raw else AudioFormat(),
                TranslationConfig([TARGET]) if self.translated else None,
            ),
            max_unacked_chunks=window,
            labels=labels,
            pushed=kind == "pushed",
            replay_seconds=replay_seconds,
        )
        self.labels: list[Label] = [*labels] or [None]
        self.window = max(1, window // len(self.labels))
        self.ample = replay_seconds == 300.0
        for index, label in enumerate(self.labels):
            channel = self.protocol.channels[label]
            channel.rereadable = kind in ("read", "file") or (kind == "mixed" and index % 2 == 0)
        self.pushed = kind == "pushed"
        self.total = dict.fromkeys(self.labels, seconds * RATE * SAMPLE)
        self.given = dict.fromkeys(self.labels, 0)

        self.connection: Optional[Connection] = None
        self.ending: Optional[Connection] = None
        self.successor: Optional[Connection] = None
        self.begun = self.over = self.reconnecting = False

        self.finals: dict[Label, list[Piece]] = {label: [] for label in self.labels}
        self.sentences: list[Piece] = []
        self.final_until = dict.fromkeys(self.labels, 0.0)
        self.acknowledged = dict.fromkeys(self.labels, 0)
        self.numbers: dict[tuple[Label, int], int] = {}
        self.gaps: list[tuple[float, float]] = []
        self.cuts: list[tuple[Label, int]] = []
        self.seeks_cut = self.split = False
        self.exaggerated: set[tuple[Label, int]] = set()
        self.questions: list[SpeakersQuestion] = []
        self.forced: list[tuple[Label, float]] = []
        self.requested_delay: Optional[int] = None
        self.max_delay: Optional[int] = None
        if starts:
            self.connect(starts > 1)

    def give(self, label: Label, size: int) -> None:
        """Read a source on, or push its audio, if there is room."""
        channel = self.protocol.channels[label]
        position = channel.wanted if channel.rereadable else self.given[label]
        chunk = AUDIO[position : min(position + size, self.total[label])]
        if not chunk or not self.protocol.has_room(label):
            return
        if self.pushed:
            self.protocol.add_audio(chunk, label)
        else:
            self.protocol.refill(chunk, label)
        self.given[label] = position + len(chunk)

    @rule(index=st.integers(0, 2), size=st.integers(1, 3 * RATE * SAMPLE))
    def add_audio(self, index: int, size: int) -> None:
        label = self.labels[index % len(self.labels)]
        channel = self.protocol.channels[label]
        if self.started and not self.over and (channel.refilling or not channel.ended):
            self.give(label, size)

    @rule(index=st.integers(0, 2))
    def end_channel(self, index: int) -> None:
        label = self.labels[index % len(self.labels)]
        if self.started and not self.over:
            channel = self.protocol.channels[label]
            if channel.rereadable:
                if channel.wanted < self.total[label]:
                    return
            else:
                self.total[label] = self.given[label]
            dropped = self.protocol.end_audio(label)
            assert dropped == 0 or self.raw
            if dropped:
                self.total[label] -= dropped

    @precondition(lambda self: self.talking)
    @rule(
        what=st.sampled_from(["configure", "ask", "force"]),
        index=st.integers(0, 2),
        sends=st.booleans(),
    )
    def request(self, what: str, index: int, sends: bool) -> None:
        if what == "configure":
            self.requested_delay = 1 + (self.requested_delay or 0) % 3
            self.protocol.configure(MidSessionConfig(max_delay=self.requested_delay))
        elif what == "ask":
            self.questions.append(self.protocol.ask_speakers())
        else:
            self.force(self.labels[index % len(self.labels)])
        if sends:
            self.send(20)

    def force(self, label: Label) -> None:
        channel = self.protocol.channels[label]
        if self.raw and channel.bytes_taken and not channel.ended:
            at = channel.seconds(channel.bytes_taken)
            assert at is not None
            self.protocol.force_end_of_utterance(at, label)
            self.forced.append((label, at))

    @property
    def started(self) -> bool:
        """Whether the session has ever started."""
        return self.begun

    @property
    def talking(self) -> bool:
        return self.started and not self.over and not self.protocol.audio_ended

    @property
    def can_connect(self) -> bool:
        return not self.over and self.connection is None and self.ending is None

    # -- the network ----------------------------------------------------------------------------

    @rule(most=st.integers(1, 20))
    def send(self, most: int) -> None:
        for _ in range(most):
            if self.connection is None or self.connection.leg is not self.protocol.leg:
                return
            outgoing = self.protocol.next_to_send()
            if outgoing is None:
                return
            self.note_sent(outgoing)
            self.connection.take(outgoing)
            if outgoing.number and not self.protocol.channels[outgoing.label].rereadable:
                end = self.connection.channels[outgoing.label].until
                number = self.numbers.setdefault((outgoing.label, end), outgoing.number)
                assert number == outgoing.number or self.split, "a chunk got another number"

    def note_sent(self, outgoing: Outgoing) -> None:
        if outgoing.number == 0 and isinstance(outgoing.payload, str):
            message = json.loads(outgoing.payload)
            if message["message"] == "SetRecognitionConfig":
                self.max_delay = message["transcription_config"]["max_delay"]

    @precondition(lambda self: self.can_connect)
    @rule(starts=st.sampled_from([True, True, False]))
    def connect(self, starts: bool) -> None:
        leg = self.protocol.succession.new_leg()
        if not self.started:
            self.protocol.succession.enter(leg)
        self.connection = Connection(leg, raw=self.raw)
        assert self.connection.config.get("max_delay") == self.max_delay
        if starts:
            self.start()

    @rule()
    def start(self) -> None:
        for connection in (self.connection, self.successor):
            if connection is not None and connection.leg.state is State.STARTING:
                self.say(connection, STARTED)
                return

    @precondition(lambda self: self.started)
    @rule(
        index=st.integers(0, 2),
        size=st.sampled_from([373, 1000, 2500, 4000, 8010]),
        chunks=st.integers(1, 6),
        finals=st.integers(0, 7),
    )
    def talk(self, index: int, size: int, chunks: int, finals: int) -> None:
        """What happens most of the time."""
        for _ in range(chunks):
            self.add_audio(index, size)
            self.send(2)
            self.acknowledge(1, index, 1)
        if finals > 3:
            self.finalise(1, index, finals - 3)
            self.translate(1)

    @precondition(lambda self: not self.over and (self.connection or self.ending))
    @rule(
        how=st.sampled_from(["closed", "closed", "limit", "early"]),
        which=st.sampled_from([0, 0, 0, 1, 2]),
    )
    def lose(self, how: str, which: int) -> None:
        connections = [self.connection, self.ending, self.successor]
        connection = connections[which] or self.connection or self.ending
        assert connection is not None
        if connection.leg.state is State.ENDED:
            how = "closed"
        if how == "early" and connection.leg.state is State.RUNNING:
            self.say(connection, END_OF_TRANSCRIPT)
        elif how == "limit":
            self.settle(connection, connection.leg.limit_passed(ConnectionError("silent")))
        else:
            event = self.protocol.closed(connection.leg, 1006, "")
            if event is None:
                assert connection.leg.state is State.ENDED
                return
            self.settle(connection, event)
        assert self.protocol.receive(connection.leg, STARTED) == []

    def lost(self, connection: Connection, lost: Lost) -> None:
        if connection is self.successor:
            self.successor = None
            return
        assert self.protocol.succession.irrecoverable(lost.error) is None
        self.protocol.succession.lose()
        self.connection = self.ending = self.successor = None
        self.reconnecting, self.seeks_cut = self.started, False

    # -- another connection takes over ----------------------------------------------------------

    @property
    def can_roll_over(self) -> bool:
        return (
            not self.over
            and self.raw
            and self.ending is None
            and self.connection is not None
            and self.connection.leg.state is State.RUNNING
        )

    @precondition(lambda self: self.can_roll_over and self.successor is None)
    @rule(starts=st.sampled_from([True, True, False]))
    def open_another(self, starts: bool) -> None:
        self.successor = Connection(self.protocol.succession.new_leg(), raw=self.raw)
        if starts:
            self.start()

    @precondition(lambda self: self.can_roll_over)
    @rule()
    def seek_cut(self) -> None:
        self.protocol.succession.seek_cut()
        self.seeks_cut = True
        # Chunks are cut where it is quiet: there are more then, and they have other numbers.
        self.split = True

    @precondition(lambda self: self.can_roll_over and self.successor is None)
    @rule()
    def end_first(self) -> None:
        """Where the account allows no second session."""
        self.cut()

    @precondition(
        lambda self: self.can_roll_over and self.successor is not None and self.successor.started
    )
    @rule()
    def take_over(self) -> None:
        successor, self.successor = self.successor, None
        assert successor is not None
        self.cut()
        self.connection = successor
        for outgoing in self.protocol.succession.enter(successor.leg):
            successor.take(outgoing)
        assert successor.config.get("max_delay") == self.max_delay

    @precondition(lambda self: self.can_roll_over and self.successor is None)
    @rule(
        what=st.sampled_from(["", "configure", "ask", "force"]),
        index=st.integers(0, 2),
        seeks=st.booleans(),
    )
    def roll_over(self, what: str, index: int, seeks: bool) -> None:
        """All at once, and the new one speaks before the old one has said its last."""
        self.open_another(starts=True)
        if what and self.talking:
            self.request(what, index, sends=True)
        if not self.can_roll_over:
            return  # the end of the audio was sent with it
        if seeks:
            self.seek_cut()
        self.take_over()
        self.talk(index, 4000, chunks=2, finals=7)
        if what and self.talking:
            self.request(what, index, sends=True)
            self.answer(1)

    def cut(self) -> None:
        old = self.connection
        assert old is not None
        quiet = self.seeks_cut and self.protocol.succession.cut_found
        waiting = self.protocol._timeline.waiting
        cuts, before = {}, {label: waiting.position(label) for label in self.labels}
        for label, heard in old.channels.items():
            if not heard.ended:
                at = heard.until // SAMPLE
                assert not quiet or not any(piece.start < at < piece.end for piece in PIECES)
                cuts[label] = at
        for outgoing in self.protocol.succession.end_leg():
            old.take(outgoing)
        assert old.all_ended
        for label, at in cuts.items():
            again = before[label] - waiting.position(label)
            # Where no pause was found, the next connection hears the last audio again.
            assert again == 0 or (self.seeks_cut and not quiet)
            if self.seeks_cut and not quiet and self.ample and len(cuts) == 1:
                assert again > 0 or not old.channels[label].chunks
            if not again:
                self.cuts.append((label, at))
        self.ending, self.connection = old, None
        self.reconnecting, self.seeks_cut = True, False
