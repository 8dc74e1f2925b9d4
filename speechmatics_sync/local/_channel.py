"""Turns the audio of one channel into messages.

Bytes become frames, frames become words, and words become AddTranscript, AddPartialTranscript and
EndOfUtterance. All times are positions in the audio, so the messages depend on what a client
sends, and not on when.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Callable, Optional

import numpy as np

from ._recognizer import FRAME_SAMPLES, SAMPLE_RATE, Hypothesis, Recognition, Word
from ._speakers import Speakers

if TYPE_CHECKING:
    from ._audio import AudioDecoder

__all__ = ["Channel"]

Message = dict[str, Any]

_PIECE_BYTES = 1 << 15
_FORMAT = "2.1"
_DISFLUENCIES = frozenset({"ah", "er", "hmm", "mm", "uh", "um"})
_TOLERANCE_SECONDS = 0.05
"""A timestamp this little ahead of the audio received is a rounded one, and means its end."""


class Channel:
    """Recognises one channel; its methods yield the messages to send.

    Args:
        decoder: Decodes the client's bytes.
        recognition: Recognises the samples.
        config: The checked ``transcription_config``.
        speakers: Gives voices their labels; None without speaker diarization.
        gone: Returns whether the client is gone.
        label: The channel's label, for its messages; None in a session without channels.

    Attributes:
        label: As given.
        received: How many chunks were received, which is the last sequence number.
        ended: Whether the client has ended it.
        abandoned: Set from another thread when results are no longer needed.
    """

    def __init__(
        self,
        decoder: AudioDecoder,
        recognition: Recognition,
        config: Mapping[str, Any],
        speakers: Optional[Speakers],
        gone: Callable[[], bool],
        label: Optional[str] = None,
    ) -> None:
        self.label = label
        self.received = 0
        self.ended = False
        self.abandoned = False
        self._decoder = decoder
        self._recognition = recognition
        self._speakers = speakers
        self._gone = gone
        self._language = config["language"]
        marks = config.get("punctuation_overrides", {}).get("permitted_marks", ["all"])
        self._full_stop = "all" in marks or "." in marks
        filtering = config.get("transcript_filtering_config", {})
        self._remove_disfluencies = filtering.get("remove_disfluencies", False)
        self._replacements = {
            rule["from"].lower(): rule["to"] for rule in filtering.get("replacements", [])
        }
        self._silence_trigger = 0.0
        self._samples = np.zeros(0, dtype=np.int16)
        self._heard = 0
        self._last_end = 0.0
        self._empty_until = 0.0
        self._silence_ended = -1.0
        self._utterance_open = False
        # The last word that was final, until a full stop follows it.
        self._unstopped: Optional[Message] = None
        self._force_at: Optional[float] = None
        self._configure(config)

    @property
    def seconds(self) -> float:
        """Seconds of audio received."""
        return self._decoder.seconds

    @property
    def sample_rate(self) -> Optional[int]:
        """The rate of the client's audio in Hz, once it is known."""
        return self._decoder.sample_rate

    def configure(self, config: Mapping[str, Any]) -> Iterator[Message]:
        """Change the settings that may change during a session and are in `config`."""
        self._configure(config)
        yield from ()

    def _configure(self, config: Mapping[str, Any]) -> None:
        self._recognition.max_delay = config.get("max_delay", self._recognition.max_delay)
        self._recognition.partials = config.get("enable_partials", self._recognition.partials)
        conversation = config.get("conversation_config", {})
        self._silence_trigger = conversation.get(
            "end_of_utterance_silence_trigger", self._silence_trigger
        )

    @property
    def speakers(self) -> list[Message]:
        """The speakers heard so far, as in a SpeakersResult."""
        found = [] if self._speakers is None else self._speakers.result()
        if self.label is not None:
            # Not in the API's specification. Needed because every channel has an S1 of its own.
            return [{**speaker, "channel": self.label} for speaker in found]
        return found

    def add_audio(self, payload: bytes) -> Iterator[Message]:
        """Recognise a chunk of audio."""
        for at in range(0, len(payload), _PIECE_BYTES):
            self.abandoned = self.abandoned or self._gone()
            yield from self._recognize(self._decoder.feed(payload[at : at + _PIECE_BYTES]))
        if self._force_at is not None and self._force_at <= self._received_seconds:
            yield from self._force()

    def force_end_of_utterance(self, timestamp: Optional[float]) -> Iterator[Message]:
        """End the utterance at `timestamp` seconds, or now if it is None."""
        self._force_at = timestamp
        if timestamp is None or timestamp <= self._received_seconds:
            yield from self._force()

    def finish(self) -> Iterator[Message]:
        """Yield the last finals, as no more audio will come."""
        self.abandoned = self.abandoned or self._gone()
        if self.abandoned:
            return
        yield from self._recognize(self._decoder.finish())
        if len(self._samples):
            yield from self._recognize_frame(self._samples)
        if self._force_at is not None:
            yield from self._force()
        yield from self._closing(self._recognition.finish())

    def close(self) -> None:
        """Release the recognition, and end what decodes."""
        self._decoder.close()
        self._recognition.close()

    @property
    def _received_seconds(self) -> float:
        return self._decoder.seconds + _TOLERANCE_SECONDS

    def _recognize(self, samples: Any) -> Iterator[Message]:
        samples = np.concatenate((self._samples, samples))
        whole = len(samples) - len(samples) % FRAME_SAMPLES
        self._samples = samples[whole:]
        for at in range(0, whole, FRAME_SAMPLES):
            if self.abandoned:
                return
            yield from self._recognize_frame(samples[at : at + FRAME_SAMPLES])

    def _recognize_frame(self, frame: Any) -> Iterator[Message]:
        hypothesis = self._recognition.feed(frame)
        self._heard += len(frame)
        if hypothesis != _NOTHING:
            yield from self._finals(hypothesis)
            partials = self._results(hypothesis.partials or ())
            if partials and self._recognition.partials:
                times = partials[0]["start_time"], partials[-1]["end_time"]
                yield self._transcript("AddPartialTranscript", partials, times)
        if self._silence_trigger:
            yield from self._end_of_silence()

    def _end_of_silence(self) -> Iterator[Message]:
        quiet_since = self._recognition.quiet_since
        if quiet_since is None:
            return
        end = max(quiet_since, self._last_end) + self._silence_trigger
        if self._heard / SAMPLE_RATE < end or end == self._silence_ended:
            return
        self._silence_ended = end
        yield from self._closing(self._recognition.settle())
        if self._utterance_open:
            self._utterance_open = False
            yield self._end_of_utterance(max(end, self._last_end))

    def _force(self) -> Iterator[Message]:
        timestamp, self._force_at = self._force_at, None
        now = self._heard / SAMPLE_RATE
        until = timestamp if timestamp is not None and timestamp < now else None
        end = now if timestamp is None else min(timestamp, now)
        yield from self._closing(self._recognition.settle(until), end, forced=True)
        self._utterance_open = False
        yield self._end_of_utterance(end, forced=True)

    def _closing(
        self, hypothesis: Hypothesis, end: Optional[float] = None, *, forced: bool = False
    ) -> Iterator[Message]:
        """Yield the finals with which an utterance or the audio ends, at `end` seconds or now."""
        if hypothesis.finals and not hypothesis.ends_utterance:
            hypothesis = Hypothesis(hypothesis.finals, ends_utterance=True)
        sent = False
        for message in self._finals(hypothesis, forced=forced):
            sent = True
            yield message
        if sent or not self._recognition.empty_finals:
            return
        start = max(self._last_end, self._empty_until)
        end = self._heard / SAMPLE_RATE if end is None else end
        quiet_since = self._recognition.quiet_since
        # Not in the middle of a word: that word's final would begin before this one ends.
        if quiet_since is not None and max(start, quiet_since) < end:
            self._empty_until = end
            yield self._transcript("AddTranscript", [], (start, end), forced=forced)

    def _finals(self, hypothesis: Hypothesis, *, forced: bool = False) -> Iterator[Message]:
        words = hypothesis.finals
        results = self._results(words)
        if words:
            self._last_end = words[-1].end
            self._utterance_open = True
        if results:
            self._unstopped = results[-1]
        # No full stop without a word: clients would put a space before it.
        if hypothesis.ends_utterance and self._unstopped is not None:
            if self._full_stop:
                results.append(self._full_stop_after(self._unstopped))
            self._unstopped = None
        if results:
            times = results[0]["start_time"], results[-1]["end_time"]
            yield self._transcript("AddTranscript", results, times, forced=forced)
        elif words and self._recognition.empty_finals:  # all of them are filtered out
            times = words[0].start, words[-1].end
            yield self._transcript("AddTranscript", [], times, forced=forced)

    def _results(self, words: tuple[Word, ...]) -> list[Message]:
        return [
            self._result(word)
            for word in words
            if not (self._remove_disfluencies and word.text in _DISFLUENCIES)
        ]

    def _result(self, word: Word) -> Message:
        alternative: Message = {
            "content": self._replacements.get(word.text.lower(), word.text),
            "confidence": round(word.confidence, 3),
            "language": self._language,
            "display": {"direction": "ltr"},
        }
        if word.text in _DISFLUENCIES:
            alternative["tags"] = ["disfluency"]
        if self._speakers is not None:
            alternative["speaker"] = self._speakers.label(word.voice)
        return {
            "type": "word",
            "start_time": round(word.start, 3),
            "end_time": round(word.end, 3),
            "alternatives": [alternative],
        }

    @staticmethod
    def _full_stop_after(result: Message) -> Message:
        alternative = {**result["alternatives"][0], "content": ".", "confidence": 1.0}
        alternative.pop("tags", None)
        return {
            "type": "punctuation",
            "start_time": result["end_time"],
            "end_time": result["end_time"],
            "attaches_to": "previous",
            "is_eos": True,
            "alternatives": [alternative],
        }

    def _transcript(
        self,
        name: str,
        results: list[Message],
        times: tuple[float, float],
        *,
        forced: bool = False,
    ) -> Message:
        text = ""
        for result in results:
            if result.get("attaches_to") == "previous":
                text = text.rstrip()
            text += f"{result['alternatives'][0]['content']} "
        message: Message = {
            "message": name,
            "format": _FORMAT,
            "metadata": {
                "start_time": round(times[0], 3),
                "end_time": round(times[1], 3),
                "transcript": text,
            },
            "results": results,
        }
        if forced:
            message["forced"] = True
        if self.label is not None:
            # The API's specification has it here; the official examples read it from the results.
            message["channel"] = self.label
            for result in results:
                result["channel"] = self.label
        return message

    def _end_of_utterance(self, time: float, *, forced: bool = False) -> Message:
        time = round(time, 3)
        message: Message = {
            "message": "EndOfUtterance",
            "format": _FORMAT,  # not in the API's specification, but the service sends it
            "metadata": {"start_time": time, "end_time": time},
        }
        if forced:
            message["forced"] = True
        if self.label is not None:
            message["channel"] = self.label
        return message


_NOTHING = Hypothesis()
