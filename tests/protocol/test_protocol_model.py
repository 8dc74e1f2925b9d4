"""A session over connections that break at any moment, beside a model of user and server."""

from __future__ import annotations

import json
import math
from typing import Any, Optional

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    precondition,
    rule,
)
from support.fuzzing import examples
from support.protocol.counted_speech import (
    PIECES,
    RATE,
    SAMPLE,
    Connection,
    Heard,
    Piece,
    pieces_between,
)
from support.protocol.model import TARGET, UserAndNetwork
from support.sessions import END_OF_TRANSCRIPT

from speechmatics_sync._model.typing import Label
from speechmatics_sync._protocol.events import (
    Acknowledged,
    Deliver,
    Ended,
    Event,
    Failed,
    LegEnded,
    Lost,
    Started,
)


class Session(UserAndNetwork):
    """A user, a protocol and a server, and what is known of each."""

    # -- the server -----------------------------------------------------------------------------

    @property
    def listening(self) -> list[Connection]:
        """The connections that are sent audio, or were."""
        both = (self.ending, self.connection)
        return [each for each in both if each is not None and each.started]

    def pick(self, which: int) -> Optional[Connection]:
        return self.listening[which % len(self.listening)] if self.listening else None

    @precondition(lambda self: self.listening)
    @rule(
        what=st.sampled_from(["acknowledge", "finalise", "guess", "translate", "answer", "end"]),
        which=st.integers(0, 1),
        index=st.integers(0, 2),
        most=st.integers(1, 9),
    )
    def serve(self, what: str, which: int, index: int, most: int) -> None:
        if what == "acknowledge":
            self.acknowledge(which, index, most)
        elif what == "finalise":
            self.finalise(which, index, most)
        elif what == "guess":
            self.guess(which, index)
        elif what == "translate":
            self.translate(which)
        elif what == "answer":
            self.answer(which)
        else:
            self.end_transcript(which)

    def acknowledge(self, which: int, index: int, most: int) -> None:
        connection = self.pick(which)
        if connection is None or self.over:
            return
        label = list(connection.channels)[index % len(connection.channels)]
        heard = connection.channels[label]
        number = min(heard.chunks, heard.acknowledged + most)
        if number > heard.acknowledged:
            heard.acknowledged = number
            if label is None:
                self.say(connection, {"message": "AudioAdded", "seq_no": number})
            else:
                message = {"message": "ChannelAudioAdded", "channel": label, "seq_no": number}
                self.say(connection, message)

    def finalise(self, which: int, index: int, most: int) -> None:
        connection = self.pick(which)
        if connection is None or self.over:
            return
        label = list(connection.channels)[index % len(connection.channels)]
        self.finalise_channel(connection, label, most)

    def finalise_channel(self, connection: Connection, label: Label, most: Optional[int]) -> None:
        heard = connection.channels[label]
        pieces = heard.finals(most)
        if pieces:
            heard.final_until = pieces[-1].end
            self.say(connection, self.transcript("AddTranscript", label, heard, pieces))

    @precondition(lambda self: self.listening and self.raw)
    @rule(which=st.integers(0, 1), index=st.integers(0, 2))
    def exaggerate(self, which: int, index: int) -> None:
        """Say that the last word ends a second after the audio, all of which was heard."""
        connection = self.pick(which)
        if connection is None or self.over:
            return
        self.acknowledge(which, index, 10**6)
        label = list(connection.channels)[index % len(connection.channels)]
        heard = connection.channels[label]
        pieces = heard.finals()
        if pieces and pieces == heard.finals(10**6):
            heard.final_until = pieces[-1].end
            message = self.transcript("AddTranscript", label, heard, pieces)
            end = round((heard.until - (heard.begin or 0)) / SAMPLE / RATE + 1.0, 3)
            message["metadata"]["end_time"] = message["results"][-1]["end_time"] = end
            self.exaggerated.add((label, pieces[-1].word))
            self.say(connection, message)

    def guess(self, which: int, index: int) -> None:
        """Say what is not final."""
        connection = self.pick(which)
        if connection is None or self.over:
            return
        label = list(connection.channels)[index % len(connection.channels)]
        heard = connection.channels[label]
        pieces = heard.finals()
        if pieces:
            self.say(connection, self.transcript("AddPartialTranscript", label, heard, pieces))

    def translate(self, which: int) -> None:
        connection = self.pick(which)
        if connection is None or self.over or not self.translated:
            return
        heard = connection.channels[None]
        pieces = pieces_between(heard.translated_until, heard.final_until)
        if pieces:
            heard.translated_until = heard.final_until
            self.say(
                connection,
                {
                    "message": "AddTranslation",
                    "language": TARGET,
                    "results": [
                        {"content": json.dumps(piece), **heard.times(piece)} for piece in pieces
                    ],
                },
            )

    def answer(self, which: int) -> None:
        connection = self.pick(which)
        if connection is None or self.over or not connection.asked:
            return
        question = connection.asked.popleft()
        if question["message"] == "GetSpeakers":
            self.say(connection, {"message": "SpeakersResult", "speakers": []})
        else:
            at = question["timestamp"]
            message = {
                "message": "EndOfUtterance",
                "forced": True,
                "metadata": {"start_time": at, "end_time": at},
            }
            if question.get("channel") is not None:
                message["channel"] = question["channel"]
            self.say(connection, message)

    def end_transcript(self, which: int) -> None:
        connection = self.pick(which)
        if connection is not None and connection.all_ended and not self.over:
            self.complete(connection)

    def complete(self, connection: Connection) -> None:
        """Say all that is left to be said, and EndOfTranscript."""
        which = self.listening.index(connection)
        for index, label in enumerate(connection.channels):
            self.acknowledge(which, index, 10**6)
            self.finalise_channel(connection, label, None)
        self.translate(which)
        while connection.asked:
            self.answer(which)
        self.say(connection, END_OF_TRANSCRIPT)

    def transcript(
        self, name: str, label: Label, heard: Heard, pieces: list[Piece]
    ) -> dict[str, Any]:
        results = [
            {
                "type": "word",
                **heard.times(piece),
                "alternatives": [{"content": json.dumps(piece), "confidence": 1.0}],
            }
            for piece in pieces
        ]
        metadata = {
            "transcript": " ".join(result["alternatives"][0]["content"] for result in results),
            "start_time": results[0]["start_time"],
            "end_time": results[-1]["end_time"],
        }
        message = {"message": name, "metadata": metadata, "results": results}
        return message if label is None else {**message, "channel": label}

    # -- what the user is told ------------------------------------------------------------------

    def say(self, connection: Connection, message: dict[str, Any]) -> None:
        for event in self.protocol.receive(connection.leg, message):
            self.settle(connection, event)

    def settle(self, connection: Connection, event: Event) -> None:
        assert not isinstance(event, Failed), event
        assert not self.over
        if isinstance(event, Lost):
            self.lost(connection, event)
        elif isinstance(event, Started):
            assert event.first != self.begun
            self.begun = True
            if connection.leg is self.protocol.leg:
                self.reconnected()
        elif isinstance(event, LegEnded):
            assert connection is self.ending
            self.ending = None
            if self.connection is not None:
                self.reconnected()
        elif isinstance(event, Ended):
            self.over = True
        elif isinstance(event, Acknowledged):
            assert event.number > self.acknowledged[event.label]
            assert event.message["seq_no"] == event.number
            self.acknowledged[event.label] = event.number
        elif isinstance(event, Deliver):
            self.handle(event.message)

    def reconnected(self) -> None:
        if self.reconnecting:
            self.reconnecting = False
            self.gaps += self.protocol.succession.replay.gaps

    def handle(self, message: dict[str, Any]) -> None:
        """What a handler looks at."""
        name = message["message"]
        label = message.get("channel")
        if name in ("AddTranscript", "AddPartialTranscript"):
            pieces = [
                self.heard(part, part["alternatives"][0]["content"], label)
                for part in message["results"]
            ]
            assert pieces
            text = " ".join(json.dumps(piece) for piece in pieces)
            assert message["metadata"]["transcript"] == text
            assert message["metadata"]["start_time"] >= self.final_until[label]
            assert message["results"][0]["start_time"] >= self.final_until[label]
            if name == "AddTranscript":
                self.finals[label] += pieces
                told_until = message["results"][-1]["end_time"]
                if (label, pieces[-1].word) in self.exaggerated:
                    told_until = min(told_until, pieces[-1].end / RATE)
                self.final_until[label] = told_until
        elif name == "AddTranslation":
            self.sentences += [
                self.heard(part, part["content"], None) for part in message["results"]
            ]
        elif name == "EndOfUtterance":
            at = message["metadata"]["end_time"]
            if (label, at) not in self.forced and (label, round(at * RATE)) in self.cuts:
                # It was asked for only after the cut, where no earlier time can be named.
                earlier = [asked for of, asked in self.forced if of == label and asked < at]
                at = max(earlier, default=at)
            assert not self.ample or (label, at) in self.forced
            if (label, at) in self.forced:
                self.forced.remove((label, at))
        elif name == "RecognitionStarted":
            assert not self.finals[self.labels[0]]

    def heard(self, part: dict[str, Any], content: str, label: Label) -> Piece:
        """A word that a handler is given: it lies where its audio does."""
        piece = Piece(*json.loads(content))
        exaggerated = (label, piece.word) in self.exaggerated
        assert part["end_time"] == piece.end / RATE or exaggerated
        # Of a word that was cut in two and is heard again whole, the beginning was told before.
        # One whose end is exaggerated may lie across a cut that its audio does not reach.
        end = math.inf if exaggerated else piece.end
        told = [at for cut, at in self.cuts if cut == label and piece.start < at < end]
        assert part["start_time"] in [at / RATE for at in (piece.start, *told)]
        return piece

    @invariant()
    def the_window_holds(self) -> None:
        for connection in (self.connection, self.ending):
            for heard in connection.channels.values() if connection is not None else ():
                assert heard.chunks - heard.acknowledged <= self.window

    @invariant()
    def what_was_taken_is_what_was_given(self) -> None:
        for label in self.labels:
            taken = self.protocol.channels[label].bytes_taken
            assert taken <= self.total[label]

    # -- the end --------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "protocol"):
            return
        self.successor = None
        if self.can_roll_over and self.seeks_cut:
            self.cut()  # a search that takes too long ends in a cut all the same
        for _ in range(2000):
            if self.over:
                break
            self.go_on()
        assert self.over, "the session does not come to its end"
        for question in self.questions:
            assert question.answer == []
        if self.ample:
            assert self.gaps == []
        for label in self.labels:
            self.check_complete(self.finals[label], label)
        if self.translated:
            self.check_complete(self.sentences, None)

    def go_on(self) -> None:
        if self.ending is not None:
            self.complete(self.ending)
        if self.connection is None:
            self.connect(True)
        self.start()
        for index, label in enumerate(self.labels):
            self.add_audio(index, RATE * SAMPLE)
            channel = self.protocol.channels[label]
            at = channel.wanted if channel.rereadable else self.given[label]
            if at == self.total[label]:
                self.end_channel(index)
            self.acknowledge(1, index, 10**6)
        self.send(20)
        self.end_transcript(1)

    def check_complete(self, heard: list[Piece], label: Label) -> None:
        """Every word of a channel, once, in order, whole; save where it was cut, or is lost."""
        torn = {
            piece.word
            for piece in PIECES
            if any(cut == label and piece.start < at < piece.end for cut, at in self.cuts)
        }
        lost = {
            piece.word
            for piece in PIECES
            if any(
                piece.start < end * RATE and piece.end > start * RATE for start, end in self.gaps
            )
        }
        expected = pieces_between(0, self.total[label] // SAMPLE)
        excepted = torn | lost
        assert [piece for piece in heard if piece.word not in excepted] == [
            piece for piece in expected if piece.word not in excepted
        ]
        assert torn - lost <= {piece.word for piece in heard} | {
            piece.word for piece in PIECES if piece not in expected
        }


TestSession = pytest.mark.timeout(300)(Session.TestCase)  # four hundred sessions
TestSession.settings = settings(
    examples(400),
    report_multiple_bugs=False,
    stateful_step_count=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_a_word_that_is_said_to_last_beyond_the_audio_is_known_again() -> None:
    session = Session()
    session.begin(
        count=1,
        kind="pushed",
        window=1,
        replay_seconds=300.0,
        translated=False,
        seconds=2,
        starts=2,
    )
    session.talk(chunks=1, finals=4, index=0, size=4000)
    session.lose(how="closed", which=0)
    session.connect(starts=True)
    session.send(most=1)
    session.exaggerate(index=0, which=0)
    assert [piece.word for piece in session.finals[None]] == [1]
    session.teardown()
