"""Stitching: messages of several connections read like those of one, no word twice, none missing.

A session may run over several connections, one after another. Each new one is sent audio again
from a little before what is settled (see `delivered`), and counts its times from there. The
rules:

- Every time in a message moves by the position at which its channel's audio began.
- Messages are trimmed result by result: the new connection divides its finals differently. A word
  whose middle lies in settled time was delivered already, and so was the same word at the same time
  beyond it; a punctuation mark goes with its word.
- Times never go back: a new word that begins in settled time is made to begin where that ends.
  A final without words goes by what was delivered of finals as a whole, and so does where one with
  words begins, as far as its first word allows.
- What is said once (the end of an utterance, a language, a warning) is not said again.
- A malformed message is passed on as it is: others decide what it means.

`Delivered` is what handlers were given, over all connections; a `Stitch` belongs to one connection
and compares with what had been delivered when it was made, so that a connection's own messages
never trim one another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple, Optional

from .._model.typing import Label, Message
from .delivered import DIGITS, SAME_TIME, Delivered, Reach, everywhere
from .message_fields import (
    Malformed,
    a_time,
    an_object,
    audio_event_of,
    given_times,
    label_of,
    objects,
    own_label,
    results_of,
    times_of,
    translation_of,
)
from .message_table import MESSAGES, Again

__all__ = ["Delivered", "Overlap", "Stitch"]

_SAME_EVENT = 0.5
"""Seconds by which two connections may differ on when an audio event began."""


_TORN = 0.25
"""A word that ends within so many seconds before a cut may have been cut through."""


class Overlap(NamedTuple):
    """Audio that an ended connection was sent last, and the next one first, in seconds.

    Args:
        whole_from: From when on the next connection hears every word as whole as the ended one.
        end: Where the ended one's audio was cut.
    """

    whole_from: float
    end: float

    def leaves_to_next(self, start_time: float, end_time: float) -> bool:
        """Return whether the next connection hears something whole that the cut may have torn."""
        return start_time >= self.whole_from and end_time > self.end - _TORN


class Stitch:
    """One connection's messages, as the user of a session over several is to receive them.

    Make it when nothing more of the connection before it will be delivered.

    Args:
        delivered: What handlers have been given. The caller notes each delivered message there.
        offsets: Where the audio of each channel begins on this connection, in seconds of the
            session.
        delimiter: What stands between two words, where no LanguageInfo says otherwise.
        first: Whether there was no connection before; then nothing is changed, but what is left to
            the next connection is left out.
        sent: How far its audio was sent by now: a word that is said to end later may be an old one.

    Example:
        >>> stitch = Stitch(Delivered([None]), {None: 4.0})
        >>> stitch.join({"message": "EndOfUtterance", "metadata": {"end_time": 1.5}})
        {'message': 'EndOfUtterance', 'metadata': {'end_time': 5.5}}
    """

    def __init__(
        self,
        delivered: Delivered,
        offsets: Mapping[Label, float],
        *,
        delimiter: str = " ",
        first: bool = False,
        sent: Reach = everywhere,
    ) -> None:
        self._sent = sent
        self._delivered = delivered
        self._before = Delivered([*delivered.labels]) if first else delivered.as_of_now()
        self._offsets = dict(offsets)
        self._earliest = min(self._offsets.values(), default=0.0)
        self._delimiter = delimiter
        self._first = first
        self._overlaps: Mapping[Label, Overlap] = {}
        self._last_word_is_new: dict[Label, bool] = {}

    def leave_to_next(self, overlaps: Mapping[Label, Overlap]) -> None:
        """Leave out words that the cut at the end may go through: the next connection has them.

        Args:
            overlaps: What the next connection is sent as well, by channel.
        """
        self._overlaps = overlaps

    def _is_left(self, label: Label, start_time: float, end_time: float) -> bool:
        # What names no channel, as a translation, is left only where each channel is sent again.
        labels = [label] if label in self._offsets else self._offsets
        return all(
            each in self._overlaps and self._overlaps[each].leaves_to_next(start_time, end_time)
            for each in labels
        )

    def join(self, message: Message) -> Optional[Message]:
        """Return a message of this connection as the user is to receive it.

        Args:
            message: As the server sent it; it is not changed.

        Returns:
            The same object if nothing is to be changed; None if it is not to be delivered.
        """
        name = message.get("message")
        joins = _JOINS if not self._first else _TRIMS if self._overlaps else {}
        join = joins.get(name) if isinstance(name, str) else None
        if join is None:
            return message
        try:
            return join(self, message)
        except (Malformed, RecursionError):
            return message

    def shifted_back(self, message: Message) -> Message:
        """Return a client's message with its ``timestamp`` in this connection's own time.

        Args:
            message: A ForceEndOfUtterance in the session's time; others stay as they are.
        """
        if self._first or message.get("timestamp") is None:
            return message
        try:
            offset = self._offset(own_label(message, self._before.labels))
            timestamp = max(0.0, round(a_time(message["timestamp"]) - offset, DIGITS))
        except Malformed:
            return message
        return _with(message, {"timestamp": timestamp})

    # Times.

    def _offset(self, label: Label) -> float:
        return self._offsets.get(label, self._earliest)

    def _moved(self, time: float, label: Label) -> float:
        return round(time + self._offset(label), DIGITS)

    def _believed_times(self, part: Message, label: Label) -> tuple[float, float]:
        """Return the times of a result or sentence, whose end no unsent audio can know."""
        start_time, end_time = (self._moved(time, label) for time in times_of(part))
        return start_time, max(start_time, min(end_time, self._sent(label)))

    def _moved_part(self, part: Message, label: Label, until: float) -> Message:
        """Return a result or sentence in the session's time, beginning at `until` or later."""
        changes: Message = {
            key: _not_before(until, self._moved(time, label))
            for key, time in zip(("start_time", "end_time"), times_of(part))
        }
        for form in ("spoken_form", "written_form"):
            if part.get(form) is not None:
                pieces = objects(part, form)
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
        parts = results_of(message)
        label = label_of(message, parts, self._before.labels)
        until = self._before.finals_until(label)
        metadata = message["metadata"]
        start_time, end_time = (self._moved(time, label) for time in times_of(metadata))
        if not parts and (
            _is_settled(end_time, end_time, until) or self._is_left(label, start_time, end_time)
        ):
            return None
        channels = [own_label(part, self._before.labels) or label for part in parts]
        is_new = self._find_new(parts, channels, last_word_is_new)
        kept = [
            self._moved_part(part, channel, self._before.words_until(channel))
            for part, channel, new in zip(parts, channels, is_new)
            if new
        ]
        if parts and not kept:
            return None
        if parts and not is_new[-1]:
            end_time = kept[-1]["end_time"]
        first = kept[0]["start_time"] if kept else end_time
        start_time = _not_before(min(until, first), start_time)
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
            start_time, end_time = self._believed_times(part, channel)
            until = self._before.words_until(channel)
            middle = (start_time + end_time) / 2
            settled = _is_settled(start_time, end_time, until)
            new = not (
                settled
                or self._before.repeats_word(channel, part, middle)
                or self._is_left(channel, start_time, end_time)
            )
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
        language, sentences = translation_of(message)
        label = label_of(message, sentences, self._before.labels)
        until = self._before.sentences_until(language)
        kept = []
        for sentence in sentences:
            channel = own_label(sentence, self._before.labels) or label
            start_time, end_time = self._believed_times(sentence, channel)
            middle = (start_time + end_time) / 2
            if not (
                _is_settled(start_time, end_time, until)
                or self._before.repeats_sentence(language, sentence, middle)
                or self._is_left(channel, start_time, end_time)
            ):
                kept.append(self._moved_part(sentence, channel, until))
        if sentences and not kept:
            return None
        return _with(message, {"results": kept})

    def _join_utterance(self, message: Message) -> Optional[Message]:
        metadata = an_object(message, "metadata")
        label = own_label(message, self._before.labels)
        times = {key: self._moved(time, label) for key, time in given_times(metadata).items()}
        # A forced one answers a question that was asked again, whatever its time.
        if times and message.get("forced") is not True:
            time, until = max(times.values()), self._before.words_until(label)
            # One before words that were delivered was delivered before them, or is wrong.
            told_until = max(self._before.utterance_until(label) + SAME_TIME, until - SAME_TIME)
            if time <= round(told_until, DIGITS) or self._before.repeats_utterance(label, time):
                return None
            if self._is_left(label, time, time):
                return None
            times = {key: _not_before(until, time) for key, time in times.items()}
        return _with(message, {"metadata": _with(metadata, times)})

    def _join_event_start(self, message: Message) -> Optional[Message]:
        type, label, times = audio_event_of(message, self._before.labels, "start_time")
        start_time = self._moved(times["start_time"], label)
        last, now = self._before.event(type, label), self._delivered.event(type, label)
        if now is not None and now.is_open:
            return None
        if last is not None and last.start_time >= start_time - _SAME_EVENT:
            return None
        if last is not None and abs(last.said - start_time) <= _SAME_EVENT:
            return None
        return self._with_event(message, label, times)

    def _join_event_end(self, message: Message) -> Optional[Message]:
        type, label, times = audio_event_of(message, self._before.labels, "end_time")
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


_Join = Callable[[Stitch, Message], Optional[Message]]

_TRIMS: dict[str, _Join] = {
    "AddTranscript": Stitch._join_final,
    "AddPartialTranscript": Stitch._join_partial,
    "AddTranslation": Stitch._join_translation,
    "AddPartialTranslation": Stitch._join_translation,
    "EndOfUtterance": Stitch._join_utterance,
    "AudioEventStarted": Stitch._join_event_start,
    "AudioEventEnded": Stitch._join_event_end,
}
_SAME_FOR_ALL: dict[Again, _Join] = {
    Again.ONCE: Stitch._join_told_once,
    Again.NEVER: Stitch._leave_out,
}
_JOINS: dict[str, _Join] = {
    name: _TRIMS[name] if row.again is Again.TRIMMED else _SAME_FOR_ALL[row.again]
    for name, row in MESSAGES.items()
    if row.again is not Again.AS_IT_IS
}


def _is_settled(start_time: float, end_time: float, until: float) -> bool:
    """Return whether a word lies in audio that is settled until `until`.

    A word without length that ends there does: it is the last settled word, heard again.
    """
    return until > 0 and ((start_time + end_time) / 2 < until or end_time <= until)


def _not_before(until: float, time: float) -> float:
    return max(until, time) if until > 0 else time


def _with(original: Message, changes: Mapping[str, Any]) -> Message:
    """Return the object with some of its values changed; the object itself if none differs."""
    if all(_is_same(original[key], value) for key, value in changes.items()):
        return original
    return {**original, **changes}


def _is_same(old: Any, new: Any) -> bool:
    if isinstance(new, list):  # of objects: each is either the old one or another
        return len(old) == len(new) and all(a is b for a, b in zip(old, new))
    return old is new or (not isinstance(new, dict) and bool(old == new))
