"""What a session has delivered over all its connections, and what of its audio that settles.

- Settled is the audio up to the end of the last final word; with translation, no further than the
  last sentence of every language. The times of a final as a whole (``metadata``) are a guess and
  are not used.
- No time is believed beyond the audio that the connection had acknowledged: the server cannot know
  more. What it said beyond that settles nothing; it is only remembered as said, as acknowledgements
  may be late, and the next connection must not say it again.
- Audio is sent again from a little before what is settled, so that the last word is heard whole.
"""

from __future__ import annotations

import collections
import contextlib
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

__all__ = ["BEFORE_WORD", "DIGITS", "PRE_ROLL", "SAME_TIME", "Delivered", "Reach", "everywhere"]

Reach = Callable[[Label], float]
"""How far, in seconds, the audio goes that a connection has acknowledged, by channel. None is for
messages that name no channel."""

PRE_ROLL = 1.0
"""Seconds of settled audio that are sent again: recognition is poor at the start of a stream."""

BEFORE_WORD = 0.2
"""Seconds of audio before a word: without its onset it is recognised as another."""

_STEPS_PER_SECOND = 5
"""Audio is sent again from a multiple of 0.2 s: a whole number of samples at every usual rate
(11025 Hz included) and of milliseconds, to which servers round, so that moved times are exact."""

DIGITS = 6
"""Of a second, in the session's times: finer than any sample, coarser than the error of a sum."""

SAME_TIME = 0.1
"""Seconds by which two connections may differ on when the same was said."""

_NONE: frozenset[Any] = frozenset()
"""One for all: most sessions have none of what is remembered in sets."""

_MOST_UNBELIEVED = 1000
"""Words that are remembered beyond what is believed: as many as are said in some minutes."""


class Event(NamedTuple):
    """An audio event.

    Args:
        start_time: When it began, as far as that is believed.
        said: When it began, as the server said.
        is_open: Whether it has not ended.
    """

    start_time: float
    said: float
    is_open: bool


class _Said(NamedTuple):
    start_time: float
    end_time: float
    content: str


class _Told:
    """What was delivered of one kind: a channel's words or ends of utterances, or the sentences of
    a language."""

    __slots__ = ("_beyond", "start", "until")

    def __init__(self, until: float = 0.0) -> None:
        self.until = until
        """The end of the last one, as far as it is believed."""
        self.start = 0.0
        """Where the last one begins."""
        self._beyond: list[_Said] = []
        """Those that ended beyond the acknowledged audio when they were delivered."""

    def note(self, start_time: float, end_time: float, part: Message, reach: float) -> None:
        believed = min(end_time, reach)
        if believed > self.until:
            self.start, self.until = min(start_time, believed), believed
        elif believed == self.until:
            self.start = min(self.start, start_time)
        if end_time > reach:
            said = _Said(start_time, end_time, _content_of(part))
            beyond = [*self._beyond[1 - _MOST_UNBELIEVED :], said]
            self._beyond = [said for said in beyond if said.end_time > self.until]

    def repeats(self, middle: float, content: str, within: float = 0.0) -> bool:
        """Return whether the same was said at this time, in audio that was not acknowledged."""
        return any(
            said.content == content and said.start_time - within <= middle <= said.end_time + within
            for said in self._beyond
        )


def everywhere(label: Label) -> float:
    return math.inf


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
        self._words = {label: _Told() for label in (*labels, None)}
        self._finals_end = dict.fromkeys(self._words, 0.0)
        self._skipped: dict[Label, float] = {}
        self._awaited = frozenset(languages) or _NONE
        self._unsupported: frozenset[str] = _NONE
        self._sentences: dict[str, _Told] = collections.defaultdict(_Told)
        self._utterances = {label: _Told(-math.inf) for label in (*labels, None)}
        self._events: dict[tuple[str, Label], Event] = {}
        self._languages: frozenset[str] = _NONE
        self._delimiters: dict[str, str] = {}
        self._warnings: frozenset[tuple[str, str]] = _NONE

    def note(self, message: Message, reach: Reach = everywhere) -> bool:
        """Take note of a message, in the session's times, that was delivered.

        Args:
            message: The message.
            reach: How far its times are believed.

        Returns:
            Whether more audio is settled than before.
        """
        name = message.get("message")
        take = _NOTES.get(name) if isinstance(name, str) else None
        if take is None:
            return False
        before = [self.settled(label) for label in self.labels]
        with contextlib.suppress(Malformed, RecursionError):
            take(self, message, reach)
        return any(self.settled(label) > was for label, was in zip(self.labels, before))

    def skip(self, label: Label, until: float) -> None:
        """Count audio before `until` seconds as settled: it is lost, or all transcribed."""
        self._skipped[label] = max(until, self._skipped.get(label, 0.0))

    def words_until(self, label: Label) -> float:
        """Return the end, in seconds, of the channel's last final word; 0.0 if there is none."""
        return max(self._words[label].until, self._skipped.get(label, 0.0))

    def finals_until(self, label: Label) -> float:
        """Return until when, in seconds, the channel's finals go, believed or not, as a whole.

        One without words settles nothing, but it need not be said again.
        """
        return max(self._finals_end[label], self.words_until(label))

    def last_word_start(self, label: Label) -> float:
        """Return the start, in seconds, of the final word that ends last; 0.0 if there is none."""
        return self._words[label].start

    def sentences_until(self, language: str) -> float:
        """Return the end, in seconds, of the last sentence in a language; 0.0 if there is none."""
        skipped = min((self._skipped.get(label, 0.0) for label in self.labels), default=0.0)
        return max(self._sentences[language].until, skipped)

    def settled(self, label: Label) -> float:
        """Return until when, in seconds, a channel's audio need not be heard again."""
        until = self.words_until(label)
        for language in self._awaited - self._unsupported:
            until = min(until, self._sentences[language].until)
        return max(until, self._skipped.get(label, 0.0))

    def resume_at(self, label: Label) -> float:
        """Return from where, in seconds, to send a channel's audio again.

        Early enough to hear the last settled word whole, and at a multiple of 0.2 s.
        """
        settled = self.settled(label)
        at = settled - PRE_ROLL
        if settled == self._words[label].until:
            at = min(at, self.last_word_start(label) - BEFORE_WORD)
        return max(0.0, math.floor(at * _STEPS_PER_SECOND) / _STEPS_PER_SECOND)

    # For stitching.

    def utterance_until(self, label: Label) -> float:
        """Return the time of the channel's last EndOfUtterance; minus infinity if none came."""
        return self._utterances[label].until

    def repeats_word(self, label: Label, part: Message, middle: float) -> bool:
        """Return whether a word was delivered, though its connection did not acknowledge it."""
        return self._words[label].repeats(middle, _content_of(part))

    def repeats_sentence(self, language: str, part: Message, middle: float) -> bool:
        """Return whether a sentence was delivered, though its audio was not acknowledged."""
        return self._sentences[language].repeats(middle, _content_of(part))

    def repeats_utterance(self, label: Label, time: float) -> bool:
        """Return whether an EndOfUtterance was delivered, though its audio was not acknowledged."""
        return self._utterances[label].repeats(time, "", SAME_TIME)

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
        return copy.deepcopy(self)

    # The messages.

    def _note_final(self, message: Message, reach: Reach) -> None:
        # The transcript checks the whole of a final; what is read here is only where its words are.
        parts = objects(message, "results")
        label = label_of(message, parts, self.labels)
        words = [
            (own_label(part, self.labels) or label, *times_of(part), part)
            for part in parts
            if part.get("type") in ("word", "entity")
        ]
        reaches = {channel: reach(channel) for channel in {word[0] for word in words}}
        for channel, start_time, end_time, part in words:
            self._words[channel].note(start_time, round(end_time, DIGITS), part, reaches[channel])
        _, until = times_of(an_object(message, "metadata"))
        self._finals_end[label] = max(self._finals_end[label], round(until, DIGITS))

    def _note_translation(self, message: Message, reach: Reach) -> None:
        language, sentences = translation_of(message)
        self._unsupported -= {language}
        for sentence in sentences:
            start_time, end_time = times_of(sentence)
            end_time = round(end_time, DIGITS)
            self._sentences[language].note(start_time, end_time, sentence, reach(None))

    def _note_utterance(self, message: Message, reach: Reach) -> None:
        times = given_times(an_object(message, "metadata"))
        label = own_label(message, self.labels)
        if times:
            time = max(times.values())
            self._utterances[label].note(time, time, {}, reach(label))

    def _note_event_start(self, message: Message, reach: Reach) -> None:
        type, label, times = audio_event_of(message, self.labels, "start_time")
        said = times["start_time"]
        self._events[type, label] = Event(min(said, reach(label)), said, is_open=True)

    def _note_event_end(self, message: Message, reach: Reach) -> None:
        type, label, _ = audio_event_of(message, self.labels, "end_time")
        event = self._events.get((type, label))
        if event is not None:
            self._events[type, label] = event._replace(is_open=False)

    def _note_language(self, message: Message, reach: Reach) -> None:
        self._languages |= {frozen(message)}
        language, delimiter = message.get("language"), message.get("word_delimiter")
        if isinstance(language, str) and isinstance(delimiter, str):
            self._delimiters[language] = delimiter

    def _note_warning(self, message: Message, reach: Reach) -> None:
        type, reason = warning_of(message)
        self._warnings |= {(type, reason)}
        if type == "empty_translation_target_list":
            self._unsupported |= self._awaited
        elif type == "unsupported_translation_pair":
            named = {word.lower() for word in re.findall(r"\w+(?:-\w+)*", reason)}
            self._unsupported |= {name for name in self._awaited if name.lower() in named}


def _content_of(part: Message) -> str:
    """Return the text of a word or a sentence; nothing if it has none."""
    alternatives = part.get("alternatives")
    best = alternatives[0] if isinstance(alternatives, list) and alternatives else part
    content = best.get("content") if isinstance(best, dict) else None
    return content if isinstance(content, str) else ""


_NOTES: dict[str, Callable[[Delivered, Message, Reach], None]] = {
    "AddTranscript": Delivered._note_final,
    "AddTranslation": Delivered._note_translation,
    "EndOfUtterance": Delivered._note_utterance,
    "AudioEventStarted": Delivered._note_event_start,
    "AudioEventEnded": Delivered._note_event_end,
    "LanguageInfo": Delivered._note_language,
    "Warning": Delivered._note_warning,
}
