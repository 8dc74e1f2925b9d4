"""Where one connection's messages end and the next one's begin: no word twice, none missing.

A session may run over several connections, one after another. Each new one is sent audio again
from a little before what is settled, and counts its times from there. The rules of the seam:

- Settled is the audio up to the end of the last final word; with translation, no further than the
  last sentence of every language. What a final says of its own extent is a guess, and counts
  for nothing.
- Every time in a message moves by the position at which its channel's audio began.
- What comes back is trimmed by result, not by message: the new connection cuts its finals
  elsewhere. A word whose middle lies in settled time was delivered; a mark goes with its word.
- No time goes back: what is new but begins in settled time begins where that ends.
- What is told once (the end of an utterance, a language, a warning) is not told again.
- A message that cannot be read is passed on as it is: what to make of it is not decided here.

`Delivered` is what handlers were given, over all connections; a `Seam` belongs to one connection
and measures by what had been delivered when it was made, so that a connection's own messages never
trim one another.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple, Optional

from .multiplexer import Label
from .wire import Message

__all__ = ["PRE_ROLL", "Delivered", "Seam"]

PRE_ROLL = 1.0
"""Seconds of settled audio that are sent again, for a recogniser hears badly at its start."""

_BEFORE_WORD = 0.2
"""Seconds of audio before the last settled word: a word cut at its onset is heard as another."""

_STEPS_PER_SECOND = 5
"""Audio is sent again from a multiple of 0.2 s: a whole number of samples at every usual rate
(11025 Hz included) and of milliseconds, to which servers round, so that moved times are exact."""

_DIGITS = 6
_LATEST = 1e9
"""Seconds. No audio is so long; what is later, infinite or not a number is no time."""

_SAME_TIME = 0.1
_SAME_EVENT = 0.5
"""Seconds by which two connections may differ on when the same thing happened."""


class _Malformed(Exception):
    """A message does not have the shape that its name promises."""


class _Event(NamedTuple):
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
        self._events: dict[tuple[str, Label], _Event] = {}
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
        except (_Malformed, RecursionError):
            return False
        return any(self.settled(label) > was for label, was in zip(self.labels, before))

    def skip(self, label: Label, until: float) -> None:
        """Count audio before `until` seconds as settled: it will never come, or was all heard."""
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

        So far back that the word before is heard whole, and a multiple of 0.2 s.
        """
        settled = self.settled(label)
        at = settled - PRE_ROLL
        if settled == self._ends.get(label):
            at = min(at, self._starts[label] - _BEFORE_WORD)
        return max(0.0, math.floor(at * _STEPS_PER_SECOND) / _STEPS_PER_SECOND)

    # For the seam.

    def utterance_until(self, label: Label) -> float:
        """Return the time of the channel's last EndOfUtterance; minus infinity if none came."""
        return self._utterances.get(label, -math.inf)

    def event(self, type: str, label: Label) -> Optional[_Event]:
        """Return the last audio event of a type on a channel."""
        return self._events.get((type, label))

    def was_told(self, message: Message) -> bool:
        """Return whether the same LanguageInfo, or a Warning of the same words, was delivered."""
        if message["message"] == "Warning":
            return _warning(message) in self._warnings
        return _as_text(message) in self._languages

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
        parts = _transcript(message)
        label = _label(message, parts, self.labels)
        words = [
            (_own_label(part, self.labels) or label, *_times(part))
            for part in parts
            if part.get("type") in ("word", "entity")
        ]
        for channel, start_time, end_time in words:
            end_time = round(end_time, _DIGITS)
            last = self._ends.get(channel, 0.0)
            if end_time > last:
                self._starts[channel] = start_time
                self._ends[channel] = end_time
            elif end_time == last and channel in self._starts:
                self._starts[channel] = min(self._starts[channel], start_time)

    def _note_translation(self, message: Message) -> None:
        language, sentences = _translation(message)
        self._unsupported.discard(language)
        ends = [round(_times(sentence)[1], _DIGITS) for sentence in sentences]
        if ends:
            self._translated[language] = max(self._translated.get(language, 0.0), *ends)

    def _note_utterance(self, message: Message) -> None:
        times = _given_times(_object(message, "metadata"))
        label = _own_label(message, self.labels)
        if times:
            self._utterances[label] = max(self.utterance_until(label), *times.values())

    def _note_event_start(self, message: Message) -> None:
        type, label, times = _audio_event(message, self.labels, "start_time")
        self._events[type, label] = _Event(times["start_time"], is_open=True)

    def _note_event_end(self, message: Message) -> None:
        type, label, _ = _audio_event(message, self.labels, "end_time")
        event = self._events.get((type, label))
        if event is not None:
            self._events[type, label] = event._replace(is_open=False)

    def _note_language(self, message: Message) -> None:
        self._languages.add(_as_text(message))
        language, delimiter = message.get("language"), message.get("word_delimiter")
        if isinstance(language, str) and isinstance(delimiter, str):
            self._delimiters[language] = delimiter

    def _note_warning(self, message: Message) -> None:
        type, reason = _warning(message)
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


class Seam:
    """One connection's messages, as the user of a session over several is to receive them.

    Make it when nothing more of the connection before it will be delivered.

    Args:
        delivered: What handlers have been given; whoever delivers a message notes it there.
        offsets: Where the audio of each channel begins on this connection, in seconds of the
            session.
        delimiter: What stands between two words, where no LanguageInfo says otherwise.
        first: Whether there was no connection before; then nothing is changed.

    Example:
        >>> seam = Seam(Delivered([None]), {None: 4.0})
        >>> seam.join({"message": "EndOfUtterance", "metadata": {"end_time": 1.5}})
        {'message': 'EndOfUtterance', 'metadata': {'end_time': 5.5}}
    """

    def __init__(
        self,
        delivered: Delivered,
        offsets: Mapping[Label, float],
        *,
        delimiter: str = " ",
        first: bool = False,
    ) -> None:
        self._delivered = delivered
        self._before = delivered.as_of_now()
        self._offsets = dict(offsets)
        self._earliest = min(self._offsets.values(), default=0.0)
        self._delimiter = delimiter
        self._first = first
        self._last_word_is_new: dict[Label, bool] = {}

    def join(self, message: Message) -> Optional[Message]:
        """Return a message of this connection as the user is to receive it.

        Args:
            message: As the server sent it; it is not changed.

        Returns:
            The same object if nothing is to be changed; None if it is not to be delivered.
        """
        name = message.get("message")
        join = _JOINS.get(name) if isinstance(name, str) and not self._first else None
        if join is None:
            return message
        try:
            return join(self, message)
        except (_Malformed, RecursionError):
            return message

    def shifted_back(self, message: Message) -> Message:
        """Return a client's message with its ``timestamp`` in this connection's own time.

        Args:
            message: A ForceEndOfUtterance in the session's time; others stay as they are.
        """
        if self._first or message.get("timestamp") is None:
            return message
        try:
            offset = self._offset(_own_label(message, self._before.labels))
            timestamp = max(0.0, round(_time(message["timestamp"]) - offset, _DIGITS))
        except _Malformed:
            return message
        return _with(message, {"timestamp": timestamp})

    # Times.

    def _offset(self, label: Label) -> float:
        return self._offsets.get(label, self._earliest)

    def _moved(self, time: float, label: Label) -> float:
        return round(time + self._offset(label), _DIGITS)

    def _moved_part(self, part: Message, label: Label, until: float) -> Message:
        """A result or sentence in the session's time, beginning at `until` or later."""
        changes: Message = {
            key: _not_before(until, self._moved(time, label))
            for key, time in zip(("start_time", "end_time"), _times(part))
        }
        for form in ("spoken_form", "written_form"):
            if part.get(form) is not None:
                pieces = _objects(part, form)
                changes[form] = [self._moved_part(piece, label, until) for piece in pieces]
        return _with(part, changes)

    # The messages.

    def _join_final(self, message: Message) -> Optional[Message]:
        last_word_is_new = self._last_word_is_new.copy()
        joined = self._join_transcript(message, last_word_is_new)
        self._last_word_is_new = last_word_is_new
        return joined

    def _join_partial(self, message: Message) -> Optional[Message]:
        return self._join_transcript(message, self._last_word_is_new.copy())

    def _join_transcript(
        self, message: Message, last_word_is_new: dict[Label, bool]
    ) -> Optional[Message]:
        parts = _transcript(message)
        label = _label(message, parts, self._before.labels)
        until = self._before.words_until(label)
        metadata = message["metadata"]
        start_time, end_time = (self._moved(time, label) for time in _times(metadata))
        if not parts and _is_settled(end_time, end_time, until):
            return None
        channels = [_own_label(part, self._before.labels) or label for part in parts]
        is_new = self._find_new(parts, channels, last_word_is_new)
        kept = [
            self._moved_part(part, channel, self._before.words_until(channel))
            for part, channel, new in zip(parts, channels, is_new)
            if new
        ]
        if parts and not kept:
            return None
        start_time = _not_before(until, start_time)
        changes: Message = {"start_time": start_time, "end_time": max(start_time, end_time)}
        if len(kept) < len(parts):
            changes["transcript"] = self._joined(kept, metadata["transcript"])
        return _with(message, {"metadata": _with(metadata, changes), "results": kept})

    def _find_new(
        self,
        parts: Sequence[Message],
        channels: Sequence[Label],
        last_word_is_new: dict[Label, bool],
    ) -> list[bool]:
        """Return for each result whether it is new; keep for each channel whether its last is."""
        is_new: list[bool] = []
        before_next_word: dict[Label, list[int]] = {}
        for index, (part, channel) in enumerate(zip(parts, channels)):
            start_time, end_time = (self._moved(time, channel) for time in _times(part))
            until = self._before.words_until(channel)
            new = not _is_settled(start_time, end_time, until)
            if part.get("type") != "punctuation":
                last_word_is_new[channel] = new
                for mark in before_next_word.pop(channel, ()):
                    is_new[mark] = new
            elif part.get("attaches_to") == "next":
                new = start_time >= until
                before_next_word.setdefault(channel, []).append(index)
            else:
                new = last_word_is_new.get(channel, new)
            is_new.append(new)
        return is_new

    def _joined(self, parts: Sequence[Message], original: str) -> str:
        """Return what the results read as, ended as the original was."""
        text, last_attaches_to, last_delimiter = "", "next", ""
        for part in parts:
            best = next(iter(part.get("alternatives") or ()), None)
            if best is None:
                continue
            usual = "previous" if part.get("type") == "punctuation" else "none"
            attaches_to = part.get("attaches_to") or usual
            delimiter = self._delivered.delimiter(best.get("language"))
            if delimiter is None:
                delimiter = self._delimiter
            if last_attaches_to not in ("next", "both") and attaches_to not in ("previous", "both"):
                # Where two languages meet, the longer delimiter keeps their words apart.
                text += max(last_delimiter, delimiter, key=len)
            text += best["content"]
            last_attaches_to, last_delimiter = attaches_to, delimiter
        return text + last_delimiter if original.endswith(last_delimiter) else text

    def _join_translation(self, message: Message) -> Optional[Message]:
        language, sentences = _translation(message)
        label = _label(message, sentences, self._before.labels)
        until = self._before.sentences_until(language)
        kept = []
        for sentence in sentences:
            channel = _own_label(sentence, self._before.labels) or label
            start_time, end_time = (self._moved(time, channel) for time in _times(sentence))
            if not _is_settled(start_time, end_time, until):
                kept.append(self._moved_part(sentence, channel, until))
        if sentences and not kept:
            return None
        return _with(message, {"results": kept})

    def _join_utterance(self, message: Message) -> Optional[Message]:
        metadata = _object(message, "metadata")
        label = _own_label(message, self._before.labels)
        times = {key: self._moved(time, label) for key, time in _given_times(metadata).items()}
        # A forced one answers a question that was asked again, whatever its time.
        if times and message.get("forced") is not True:
            time, until = max(times.values()), self._before.words_until(label)
            # One that lies before words that were delivered came before them, or is not true.
            told_until = max(self._before.utterance_until(label) + _SAME_TIME, until - _SAME_TIME)
            if time <= round(told_until, _DIGITS):
                return None
            times = {key: _not_before(until, time) for key, time in times.items()}
        return _with(message, {"metadata": _with(metadata, times)})

    def _join_event_start(self, message: Message) -> Optional[Message]:
        type, label, times = _audio_event(message, self._before.labels, "start_time")
        start_time = self._moved(times["start_time"], label)
        last, now = self._before.event(type, label), self._delivered.event(type, label)
        if now is not None and now.is_open:
            return None
        if last is not None and last.start_time >= start_time - _SAME_EVENT:
            return None
        return self._with_event(message, label, times)

    def _join_event_end(self, message: Message) -> Optional[Message]:
        type, label, times = _audio_event(message, self._before.labels, "end_time")
        event = self._delivered.event(type, label)
        end_time = self._moved(times["end_time"], label)
        if event is None or not event.is_open or end_time < event.start_time:
            return None
        return self._with_event(message, label, times)

    def _with_event(self, message: Message, label: Label, times: Mapping[str, float]) -> Message:
        moved = {key: self._moved(time, label) for key, time in times.items()}
        return _with(message, {"event": _with(message["event"], moved)})

    def _join_told_once(self, message: Message) -> Optional[Message]:
        return None if self._before.was_told(message) else message

    def _leave_out(self, message: Message) -> Optional[Message]:
        return None


_JOINS: dict[str, Callable[[Seam, Message], Optional[Message]]] = {
    "AddTranscript": Seam._join_final,
    "AddPartialTranscript": Seam._join_partial,
    "AddTranslation": Seam._join_translation,
    "AddPartialTranslation": Seam._join_translation,
    "EndOfUtterance": Seam._join_utterance,
    "AudioEventStarted": Seam._join_event_start,
    "AudioEventEnded": Seam._join_event_end,
    "LanguageInfo": Seam._join_told_once,
    "Warning": Seam._join_told_once,
    "Info": Seam._leave_out,
    "RecognitionStarted": Seam._leave_out,
}


def _is_settled(start_time: float, end_time: float, until: float) -> bool:
    """Whether what was said at a time lies in what is settled until `until`.

    A word without length that ends there does: it is the last one, heard again.
    """
    return until > 0 and ((start_time + end_time) / 2 < until or end_time <= until)


def _not_before(until: float, time: float) -> float:
    return max(until, time) if until > 0 else time


def _with(original: Message, changes: Mapping[str, Any]) -> Message:
    """The object with some of its values changed; itself if it has them all."""
    if all(_is_same(original[key], value) for key, value in changes.items()):
        return original
    return {**original, **changes}


def _is_same(old: Any, new: Any) -> bool:
    if isinstance(new, list):  # of objects: each is either the old one or another
        return len(old) == len(new) and all(a is b for a, b in zip(old, new))
    return old is new or (not isinstance(new, dict) and bool(old == new))


# Reading messages. Whatever is not as the API's description has it raises _Malformed.


def _time(value: Any) -> float:
    # JSON's numbers have these two types; a bool is an int to isinstance.
    if type(value) not in (float, int) or not -_LATEST < value < _LATEST:
        raise _Malformed
    return float(value)


def _times(part: Message) -> tuple[float, float]:
    return _time(part.get("start_time")), _time(part.get("end_time"))


def _given_times(part: Message) -> dict[str, float]:
    return {key: _time(part[key]) for key in ("start_time", "end_time") if key in part}


def _object(message: Message, key: str) -> Message:
    value = message.get(key)
    if not isinstance(value, dict):
        raise _Malformed
    return value


def _objects(message: Message, key: str) -> list[Message]:
    value = message.get(key)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _Malformed
    return value


def _text(message: Message, key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str):
        raise _Malformed
    return value


def _own_label(part: Message, labels: frozenset[Label]) -> Label:
    channel = part.get("channel")
    if channel is not None and not isinstance(channel, str):
        raise _Malformed
    return channel if channel in labels else None


def _label(message: Message, parts: Sequence[Message], labels: frozenset[Label]) -> Label:
    """The channel of a message; the one of its first part if it does not say itself."""
    own = _own_label(message, labels)
    return _own_label(parts[0], labels) if own is None and parts else own


def _transcript(message: Message) -> list[Message]:
    metadata = _object(message, "metadata")
    _times(metadata)
    _text(metadata, "transcript")
    parts = _objects(message, "results")
    for part in parts:
        _times(part)
        if part.get("alternatives") is not None:
            for alternative in _objects(part, "alternatives"):
                _text(alternative, "content")
    return parts


def _translation(message: Message) -> tuple[str, list[Message]]:
    sentences = _objects(message, "results")
    for sentence in sentences:
        _times(sentence)
    return _text(message, "language"), sentences


def _audio_event(
    message: Message, labels: frozenset[Label], required: str
) -> tuple[str, Label, dict[str, float]]:
    event = _object(message, "event")
    times = _given_times(event)
    if required not in times:
        raise _Malformed
    return _text(event, "type"), _label(message, [event], labels), times


def _warning(message: Message) -> tuple[str, str]:
    return _text(message, "type"), _text(message, "reason")


def _as_text(message: Message) -> str:
    """The message as a value that stays what it is when a handler changes its own."""
    try:
        return json.dumps(message, sort_keys=True)
    except (TypeError, ValueError):
        raise _Malformed from None
