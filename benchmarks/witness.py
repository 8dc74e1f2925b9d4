"""Compares what a session of counted audio gave its user with what it had to give.

Counted audio (`speechmatics_sync.local.counted_audio`) carries its own position: word n lies where
n says, on every connection, so that what a user received can be compared with what an uninterrupted
session gives, word by word and time by time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Optional, Union

from speechmatics_sync import Client, MultiChannelClient, SessionStats, Transcript
from speechmatics_sync.local import counted_audio, counted_word

__all__ = ["PERIOD", "TRIGGER", "TURN", "VOICES", "Counted", "Witness"]

Label = Optional[str]
Message = dict[str, Any]

PERIOD = 0.5
"""Seconds from word to word."""
VOICES, TURN = 2, 5
"""So many voices take turns, each saying so many words, where voices are told apart."""
_PAUSE = 0.1
"""Seconds of silence after each."""
TRIGGER = 0.08
"""An ``end_of_utterance_silence_trigger`` that makes an utterance of every word."""
_ROUNDING = 0.0011
"""The server rounds times to milliseconds."""
_FORCED = 0.071
"""The embedded server takes a timestamp that is 0.05 s ahead of the audio for its end, and a forced
end of utterance comes at the recogniser's last whole frame, of 0.02 s."""
_SHOWN = 8


@dataclass(frozen=True)
class Counted:
    """The audio of one channel: `count` words from number `first` on."""

    first: int
    count: int

    @property
    def seconds(self) -> float:
        return self.count * PERIOD

    def audio(self) -> bytes:
        """As ``pcm_s16le`` at 16 kHz."""
        return counted_audio(self.count, first=self.first, period=PERIOD)

    def words(self) -> dict[str, tuple[float, float]]:
        """Start and end of every word, in order."""
        return {
            counted_word(self.first + at): (at * PERIOD, (at + 1) * PERIOD - _PAUSE)
            for at in range(self.count)
        }


class Witness:
    """Receives every message that the handlers of one session get, and says what is wrong.

    Args:
        client: The session's client, before the session begins.
        channels: What each channel carries; the label is None in a session of one stream.
        utterances: Whether every word ends an utterance, by `TRIGGER`.
        speakers: Whether voices are told apart.

    Attributes:
        lost: Words that were not transcribed.
        repeated: Words that were transcribed more than once.
        outages: How many SessionReconnecting came.
        labels: How many labels the voices were given, where they are told apart.
        said: What is wrong, so far.
        recovered: The SessionReconnected that came.
        forced_at: Where the session was asked to end an utterance, and in which channel; noted by
            the caller that asks.
    """

    def __init__(
        self,
        client: Union[Client, MultiChannelClient],
        channels: Mapping[Label, Counted],
        *,
        utterances: bool = False,
        speakers: bool = False,
    ) -> None:
        self.lost = self.repeated = self.outages = self.labels = 0
        self.said: list[str] = []
        self.forced_at: list[tuple[Label, float]] = []
        self.recovered: list[Message] = []
        self._channels = channels
        self._utterances = utterances
        self._speakers = speakers
        self._finals: dict[Label, list[str]] = defaultdict(list)
        self._final_end: dict[Label, float] = defaultdict(float)
        self._ends: dict[Label, list[float]] = defaultdict(list)
        self._forced: list[tuple[Label, float]] = []
        self._acknowledged: dict[Label, int] = defaultdict(int)
        self._started = self._ended = 0
        self._away = False
        for name, hear in (
            ("RecognitionStarted", self._hear_start),
            ("AddTranscript", self._hear_final),
            ("AddPartialTranscript", self._hear_partial),
            ("EndOfUtterance", self._hear_end_of_utterance),
            ("AudioAdded", self._hear_acknowledgement),
            ("ChannelAudioAdded", self._hear_acknowledgement),
            ("EndOfTranscript", self._hear_end),
            ("Error", self._hear_error),
            ("SessionReconnecting", self._hear_outage),
            ("SessionReconnected", self._hear_recovery),
        ):
            client.on(name, hear)

    def problems(self, transcript: Transcript, stats: SessionStats) -> list[str]:
        """Return what is wrong with a session that ended without an error."""
        for label, counted in self._channels.items():
            self._compare(
                label, counted, transcript if label is None else transcript.channels[label]
            )
        if self._started != 1 or self._ended != 1:
            self._say(f"{self._started} RecognitionStarted, {self._ended} EndOfTranscript")
        if self._away or self.outages != len(self.recovered):
            self._say(f"{self.outages} outages, {len(self.recovered)} recoveries")
        if self.outages != stats.reconnects:
            self._say(f"{self.outages} outages, but stats.reconnects is {stats.reconnects}")
        if self._speakers:
            self._compare_speakers(transcript)
        if transcript.gaps:
            self._say(f"gaps: {transcript.gaps}")
        forced = sorted(self._forced, key=str)
        if len(forced) != len(self.forced_at) or any(
            heard[0] != asked[0] or abs(heard[1] - asked[1]) > _FORCED
            for heard, asked in zip(forced, sorted(self.forced_at, key=str))
        ):
            self._say(f"utterances ended by force at {forced}, asked for {self.forced_at}")
        return self.said

    # -- words ----------------------------------------------------------------------------------

    def _compare(self, label: Label, counted: Counted, transcript: Transcript) -> None:
        expected = counted.words()
        words = transcript.words
        heard = Counter(word.content for word in words)
        lost = [word for word in expected if not heard[word]]
        repeated = [word for word in heard if heard[word] > 1]
        self.lost += len(lost)
        self.repeated += len(repeated)
        strange = [word for word in heard if word not in expected]
        self._say_words(label, "lost", lost)
        self._say_words(label, "repeated", repeated)
        self._say_words(label, "never said", strange)
        if not (lost or repeated or strange):
            if list(heard) != list(expected):
                self._say_words(label, "out of order", list(heard))
            self._say_words(
                label,
                "at another time",
                (
                    f"{word.content} {word.start_time}-{word.end_time}"
                    for word in words
                    if abs(word.start_time - expected[word.content][0]) > _ROUNDING
                    or abs(word.end_time - expected[word.content][1]) > _ROUNDING
                ),
            )
        told = self._finals[label]
        if told != [word.content for word in words]:
            self._say(f"{label or 'session'}: the handlers heard other words than the transcript")
        if self._utterances:
            ends = [round(end + TRIGGER, 2) for _, end in expected.values()]
            heard_ends = [round(end, 2) for end in self._ends[label]]
            if heard_ends != ends:
                missing = Counter(ends) - Counter(heard_ends)
                more = Counter(heard_ends) - Counter(ends)
                self._say_words(label, "utterance ends missing", map(str, missing.elements()))
                self._say_words(label, "utterance ends too many", map(str, more.elements()))

    def _compare_speakers(self, transcript: Transcript) -> None:
        """A label never stands for two voices."""
        voices: dict[Optional[str], set[int]] = defaultdict(set)
        for word in transcript.words:
            number = word.content[1:]
            if number.isdecimal():
                voices[word.speaker].add((int(number) - 1) // TURN % VOICES)
        for label, heard in voices.items():
            if label in (None, "UU") or len(heard) > 1:
                self._say(f"the label {label} stands for {len(heard)} voices")
        self.labels = len(voices)

    # -- what handlers hear ---------------------------------------------------------------------

    def _hear_start(self, message: Message) -> None:
        self._started += 1

    def _hear_end(self, message: Message) -> None:
        self._ended += 1

    def _hear_error(self, message: Message) -> None:
        self._say(f"an Error was delivered: {message}")

    def _hear_final(self, message: Message) -> None:
        label = message.get("channel")
        self._hear_times(message, label)
        self._finals[label] += [
            result["alternatives"][0]["content"]
            for result in message["results"]
            if result["type"] == "word"
        ]
        self._final_end[label] = max(self._final_end[label], message["metadata"]["end_time"])

    def _hear_partial(self, message: Message) -> None:
        self._hear_times(message, message.get("channel"))

    def _hear_times(self, message: Message, label: Label) -> None:
        """No partial may begin before the end of the finals."""
        latest = self._final_end[label]
        start = message["metadata"]["start_time"]
        if start < latest - _ROUNDING or message["metadata"]["end_time"] < start:
            self._say(f"time goes back: {message['message']} {message['metadata']} after {latest}")
        for result in message["results"]:
            if result["start_time"] < latest - _ROUNDING and result["type"] == "word":
                self._say(f"time goes back in {message['message']}: {result} after {latest}")
            latest = max(latest, result["start_time"])

    def _hear_end_of_utterance(self, message: Message) -> None:
        time = message["metadata"]["end_time"]
        if message.get("forced"):
            self._forced.append((message.get("channel"), time))
            return
        ends = self._ends[message.get("channel")]
        if ends and time < ends[-1]:
            self._say(f"time goes back: an EndOfUtterance at {time} after one at {ends[-1]}")
        ends.append(time)

    def _hear_acknowledgement(self, message: Message) -> None:
        label, number = message.get("channel"), message["seq_no"]
        if number <= self._acknowledged[label]:
            self._say(f"chunk {number} acknowledged after chunk {self._acknowledged[label]}")
        self._acknowledged[label] = number

    def _hear_outage(self, message: Message) -> None:
        self.outages += 1
        if self._away:
            self._say(f"a SessionReconnecting without a SessionReconnected before it: {message}")
        self._away = True

    def _hear_recovery(self, message: Message) -> None:
        self.recovered.append(message)
        if not self._away:
            self._say(f"a SessionReconnected without a SessionReconnecting: {message}")
        if message.get("seconds_lost"):
            self._say(f"seconds were lost: {message}")
        self._away = False

    # -- saying what is wrong -------------------------------------------------------------------

    def _say(self, problem: str) -> None:
        if len(self.said) < _SHOWN:
            self.said.append(problem)

    def _say_words(self, label: Label, what: str, words: Iterable[str]) -> None:
        words = list(words)
        if words:
            shown = ", ".join(words[:_SHOWN]) + (" …" if len(words) > _SHOWN else "")
            self._say(f"{label or 'session'}: {len(words)} words {what}: {shown}")
