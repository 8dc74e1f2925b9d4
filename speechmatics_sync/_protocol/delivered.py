"""What a session has delivered over all its connections, and what of its audio that settles.

- Settled is the audio up to the end of the last final word; with translation, no further than the
  last sentence of every language. The times of a final as a whole (``metadata``) are a guess and
  are not used.
- Audio is sent again from a little before that, so that the last word is heard whole.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple, Optional

from .._model.typing import Label, Message
from .message_fields import (
    Malformed,
    an_object,
    audio_event_of,
    frozen,
    given_times,
    label_of,
    objects,
    own_label,
    times_of,
    translation_of,
    warning_of,
)

__all__ = ["DIGITS", "PRE_ROLL", "Delivered"]

PRE_ROLL = 1.0
"""Seconds of settled audio that are sent again: recognition is poor at the start of a stream."""

_BEFORE_WORD = 0.2
"""Seconds of audio before the last settled word: without its onset it is recognised as another."""

_STEPS_PER_SECOND = 5
"""Audio is sent again from a multiple of 0.2 s: a whole number of samples at every usual rate
(11025 Hz included) and of milliseconds, to which servers round, so that moved times are exact."""

DIGITS = 6
"""Of a second, in the session's times: finer than any sample, coarser than the error of a sum."""


class Event(NamedTuple):
    start_time: float
    is_open: bool


class Delivered:
    """What handlers have been given so far, on the session's own timeline.

    Args:
        labels: The channels; ``(None,)`` in a session that has one stream.
        languages: The languages that the session translates into.

    Example:
        >>> delivered = Delivered([None])
        >>> delivered.note({
        ...     "message": "AddTranscript",
        ...     "metadata": {"start_time": 2.0, "end_time": 3.0, "transcript": "Hello"},
        ...     "results": [{"type": "word", "start_time": 2.1, "end_time": 2.6}],
        ... })
        True
        >>> delivered.words_until(None), delivered.resume_at(None)
        (2.6, 1.6)
    """

    def __init__(self, labels: Sequence[Label], languages: Sequence[str] = ()) -> None:
        self.labels = frozenset(labels)
        self._ends: dict[Label, float] = {}
        self._starts: dict[Label, float] = {}
        self._skipped: dict[Label, float] = {}
        self._awaited = set(languages)
        self._unsupported: set[str] = set()
        self._translated: dict[str, float] = {}
        self._utterances: dict[Label, float] = {}
        self._events: dict[tuple[str, Label], Event] = {}
        self._languages: set[str] = set()
        self._delimiters: dict[str, str] = {}
        self._warnings: set[tuple[str, str]] = set()

    def note(self, message: Message) -> bool:
        """Take note of a message, in the session's times, that was delivered.

        Returns:
            Whether more audio is settled than before.
        """
        name = message.get("message")
        take = _NOTES.get(name) if isinstance(name, str) else None
        if take is None:
            return False
        before = [self.settled(label) for label in self.labels]
        try:
            take(self, message)
        except (Malformed, RecursionError):
            return False
        return any(self.settled(label) > was for label, was in zip(self.labels, before))

    def skip(self, label: Label, until: float) -> None:
        """Count audio before `until` seconds as settled: it is lost, or all transcribed."""
        self._skipped[label] = max(until, self._skipped.get(label, 0.0))

    def words_until(self, label: Label) -> float:
        """Return the end, in seconds, of the channel's last final word; 0.0 if there is none."""
        return max(self._ends.get(label, 0.0), self._skipped.get(label, 0.0))

    def last_word_start(self, label: Label) -> float:
        """Return the start, in seconds, of the final word that ends last; 0.0 if there is none."""
        return self._starts.get(label, 0.0)

    def sentences_until(self, language: str) -> float:
        """Return the end, in seconds, of the last sentence in a language; 0.0 if there is none."""
        skipped = min((self._skipped.get(label, 0.0) for label in self.labels), default=0.0)
        return max(self._translated.get(language, 0.0), skipped)

    def settled(self, label: Label) -> float:
        """Return until when, in seconds, a channel's audio need not be heard again."""
        until = self.words_until(label)
        for language in self._awaited - self._unsupported:
            until = min(until, self._translated.get(language, 0.0))
        return max(until, self._skipped.get(label, 0.0))

    def resume_at(self, label: Label) -> float:
        """Return from where, in seconds, to send a channel's audio again.

        Early enough to hear the last settled word whole, and at a multiple of 0.2 s.
        """
        settled = self.settled(label)
        at = settled - PRE_ROLL
        if settled == self._ends.get(label):
            at = min(at, self.last_word_start(label) - _BEFORE_WORD)
        return max(0.0, math.floor(at * _STEPS_PER_SECOND) / _STEPS_PER_SECOND)

    # For stitching.

    def utterance_until(self, label: Label) -> float:
        """Return the time of the channel's last EndOfUtterance; minus infinity if none came."""
        return self._utterances.get(label, -math.inf)

    def event(self, type: str, label: Label) -> Optional[Event]:
        """Return the last audio event of a type on a channel."""
        return self._events.get((type, label))

    def was_told(self, message: Message) -> bool:
        """Return whether the same LanguageInfo, or a Warning of the same words, was delivered."""
        if message["message"] == "Warning":
            return warning_of(message) in self._warnings
        return frozen(message) in self._languages

    def delimiter(self, language: Any) -> Optional[str]:
        """Return what stands between the words of a language, if a LanguageInfo said."""
        return self._delimiters.get(language) if isinstance(language, str) else None

    def as_of_now(self) -> Delivered:
        """Return a copy that further messages do not change."""
        now = copy.copy(self)
        now.__dict__ = {name: copy.copy(value) for name, value in self.__dict__.items()}
        return now

    # The messages.

    def _note_final(self, message: Message) -> None:
        # The transcript checks the whole of a final; what is read here is only where its words are.
        parts = objects(message, "results")
        label = label_of(message, parts, self.labels)
        words = [
            (own_label(part, self.labels) or label, *times_of(part))
            for part in parts
            if part.get("type") in ("word", "entity")
        ]
        for channel, start_time, end_time in words:
            end_time = round(end_time, DIGITS)
            last = self._ends.get(channel, 0.0)
            if end_time > last:
                self._starts[channel] = start_time
                self._ends[channel] = end_time
            elif end_time == last and channel in self._starts:
                self._starts[channel] = min(self._starts[channel], start_time)

    def _note_translation(self, message: Message) -> None:
        language, sentences = translation_of(message)
        self._unsupported.discard(language)
        ends = [round(times_of(sentence)[1], DIGITS) for sentence in sentences]
        if ends:
            self._translated[language] = max(self._translated.get(language, 0.0), *ends)

    def _note_utterance(self, message: Message) -> None:
        times = given_times(an_object(message, "metadata"))
        label = own_label(message, self.labels)
        if times:
            self._utterances[label] = max(self.utterance_until(label), *times.values())

    def _note_event_start(self, message: Message) -> None:
        type, label, times = audio_event_of(message, self.labels, "start_time")
        self._events[type, label] = Event(times["start_time"], is_open=True)

    def _note_event_end(self, message: Message) -> None:
        type, label, _ = audio_event_of(message, self.labels, "end_time")
        event = self._events.get((type, label))
        if event is not None:
            self._events[type, label] = event._replace(is_open=False)

    def _note_language(self, message: Message) -> None:
        self._languages.add(frozen(message))
        language, delimiter = message.get("language"), message.get("word_delimiter")
        if isinstance(language, str) and isinstance(delimiter, str):
            self._delimiters[language] = delimiter

    def _note_warning(self, message: Message) -> None:
        type, reason = warning_of(message)
        self._warnings.add((type, reason))
        if type == "empty_translation_target_list":
            self._unsupported |= self._awaited
        elif type == "unsupported_translation_pair":
            named = {word.lower() for word in re.findall(r"\w+(?:-\w+)*", reason)}
            self._unsupported |= {name for name in self._awaited if name.lower() in named}


_NOTES: dict[str, Callable[[Delivered, Message], None]] = {
    "AddTranscript": Delivered._note_final,
    "AddTranslation": Delivered._note_translation,
    "EndOfUtterance": Delivered._note_utterance,
    "AudioEventStarted": Delivered._note_event_start,
    "AudioEventEnded": Delivered._note_event_end,
    "LanguageInfo": Delivered._note_language,
    "Warning": Delivered._note_warning,
}
