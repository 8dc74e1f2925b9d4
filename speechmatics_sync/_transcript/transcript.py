"""What a session has transcribed.

An hour of speech has about 9,000 words, and a result takes a dozen Python objects for each. So
the results of a final are stored as one byte string, and results, words, turns and text are made
when they are read. What is kept of that, so that reading it again costs what is new, is said in
`reading`.
"""

from __future__ import annotations

import marshal
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import Any, Callable, NamedTuple, Optional, TypeVar, Union, overload

from .._model.results import (
    AudioEvent,
    EndOfUtterance,
    LanguageInfo,
    RecognitionResult,
    SpeakersResult,
    TranslatedSentence,
    TranslationResult,
    check_transcript,
)
from .._model.session_info import LanguagePackInfo, RecognitionStarted
from .._model.speakers import SpeakerIdentifier
from ..errors import TransportError
from .exports import Exports
from .imports import Imports
from .reading import Everything, Readers, Reading
from .tables import Table
from .turns import Turn
from .utterances import Utterance, UtteranceEnd
from .words import Said, Word

__all__ = ["Transcript", "Translation"]

_T = TypeVar("_T")

_FORMAT = "2.9"
"""The version of json-v2 until a message names another one."""


class Translation(Table[TranslatedSentence]):
    """The translated sentences of one language, in order.

    Example:
        >>> for language, translation in client.transcribe("audio.wav").translations.items():
        ...     print(language, translation.text)
    """

    @property
    def text(self) -> str:
        """All sentences, separated by spaces."""
        return " ".join(sentence.content.strip() for sentence in self)

    def __str__(self) -> str:
        return self.text


class _Final(NamedTuple):
    """The results of one final on one channel: packed, with their earliest and latest time."""

    channel: Optional[str]
    start_time: float
    end_time: float
    results: bytes

    def parts(self) -> Iterator[dict[str, Any]]:
        """The results as the server sent them, each with its channel."""
        for part in _unpacked(self.results):
            if self.channel is not None:
                part["channel"] = self.channel
            yield part


class _Kept(Sequence[Said]):
    """Finals and ends of utterances, in the order in which they came.

    They are kept as plain tuples, of which the garbage collector finds out once that they hold
    nothing for it. It would look at objects again and again, and stop every session meanwhile.
    """

    def __init__(self, rows: Iterable[tuple[Any, ...]] = ()) -> None:
        self.rows = list(rows)

    def append(self, said: Union[_Final, UtteranceEnd]) -> None:
        self.rows.append(tuple(said))

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, at: int) -> Union[_Final, UtteranceEnd]: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Union[_Final, UtteranceEnd]]: ...

    def __getitem__(self, at: Union[int, slice]) -> Any:
        if isinstance(at, slice):
            return [self._said(row) for row in self.rows[at]]
        return self._said(self.rows[at])

    @staticmethod
    def _said(row: tuple[Any, ...]) -> Union[_Final, UtteranceEnd]:
        return _Final(*row) if len(row) == len(_Final._fields) else UtteranceEnd(*row)


_NOT_PICKLED = ("_own_lock", "_process", "_open_events", "_reading", "_span")


class Transcript(Exports, Imports):
    """What a session has transcribed so far. Any thread may read it while it grows.

    All times are seconds from the beginning of the audio.

    Example:
        >>> transcript = Transcript()
        >>> transcript.add({
        ...     "message": "AddTranscript",
        ...     "metadata": {"start_time": 0.1, "end_time": 0.6, "transcript": "Hello"},
        ...     "results": [{
        ...         "type": "word", "start_time": 0.1, "end_time": 0.6,
        ...         "alternatives": [{"content": "Hello", "confidence": 0.9}],
        ...     }],
        ... })
        >>> transcript.text, transcript.words[0].end_time
        ('Hello', 0.6)
    """

    def __init__(self, *, transcription_config: Optional[Mapping[str, object]] = None) -> None:
        """
        Args:
            transcription_config: The session's ``transcription_config``, for `to_dict`.
        """
        self._renew_lock()
        self._config = None if transcription_config is None else dict(transcription_config)
        self._created_at = time.time()
        self._format = _FORMAT
        self._version: Optional[str] = None
        self._pack: Optional[LanguagePackInfo] = None
        self._delimiters: dict[str, str] = {}
        self._labels: list[str] = []
        # The finals and the ends of utterances, in the order in which they came. It grows at its
        # end alone, so what a reader has counted may be read without the lock.
        self._finals = _Kept()
        self._span: Optional[tuple[float, float]] = None
        self._sentences: list[tuple[str, bytes]] = []
        self._audio_events: list[AudioEvent] = []
        self._open_events: dict[tuple[str, Optional[str]], deque[int]] = {}
        self._speakers: list[SpeakerIdentifier] = []
        self._gaps: list[tuple[float, float]] = []

    # Called by the session.

    def add(self, message: Mapping[str, object]) -> None:
        """Add what a server's message contributes to the transcript; other messages are ignored.

        Only the session calls this, once for each message, with times on the session's timeline.

        Raises:
            TransportError: The message is malformed; nothing of it was added.
        """
        name = message.get("message") if isinstance(message, Mapping) else None
        add = _ADD.get(name) if isinstance(name, str) else None
        if add is not None:
            add(self, message)

    def add_gap(self, start_time: float, end_time: float) -> None:
        """Add a span of audio, in seconds, that could not be recovered.

        Only the session calls this.
        """
        with self._lock:
            self._gaps.append((start_time, end_time))

    def _add_started(self, message: Mapping[str, Any]) -> None:
        started = RecognitionStarted.from_message(message)
        with self._lock:
            self._version = started.orchestrator_version or self._version
            self._pack = started.language_pack_info or self._pack
            self._add_labels(started.channels or [])

    def _add_language(self, message: Mapping[str, Any]) -> None:
        info = LanguageInfo.from_message(message)
        with self._lock:
            self._delimiters = {**self._delimiters, info.language: info.word_delimiter}

    def _add_final(self, message: Mapping[str, Any]) -> None:
        check_transcript(message)
        own = message.get("channel")
        finals = []
        labelled = [(part.get("channel") or own, part) for part in message["results"]]
        for channel, run in groupby(labelled, itemgetter(0)):
            parts = [part for _, part in run]
            start_time = min([part["start_time"] for part in parts])
            end_time = max([part["end_time"] for part in parts])
            finals.append(_Final(channel, start_time, end_time, _packed(parts)))
        with self._lock:
            self._format = message.get("format") or self._format
            self._extend(finals)
            self._add_labels(final.channel for final in finals if final.channel is not None)

    def _extend(self, finals: Iterable[Union[_Final, UtteranceEnd]]) -> None:
        for final in finals:
            self._finals.append(final)
            if isinstance(final, _Final):
                start, end = self._span or (final.start_time, final.end_time)
                self._span = min(start, final.start_time), max(end, final.end_time)

    def _add_utterance_end(self, message: Mapping[str, Any]) -> None:
        end = EndOfUtterance.from_message(message)
        with self._lock:
            self._finals.append(UtteranceEnd(end.channel, end.forced is True))

    def _add_translation(self, message: Mapping[str, Any]) -> None:
        checked = TranslationResult.from_message(message)
        sentences = [(checked.language, _packed(part)) for part in message["results"]]
        with self._lock:
            self._sentences.extend(sentences)

    def _add_event_start(self, message: Mapping[str, Any]) -> None:
        event = AudioEvent.from_message(message)
        with self._lock:
            self._note_open(len(self._audio_events), event)
            self._audio_events.append(event)

    def _add_event_end(self, message: Mapping[str, Any]) -> None:
        end = AudioEvent.from_message(message)
        with self._lock:
            begun = self._open_events.get((end.type, end.channel))
            if begun:
                index = begun.popleft()
                event = self._audio_events[index]
                self._audio_events[index] = replace(event, end_time=end.end_time)

    def _note_open(self, index: int, event: AudioEvent) -> None:
        """Remember where an event is whose end is still to come: to look for it costs more."""
        self._open_events.setdefault((event.type, event.channel), deque()).append(index)

    def _add_speakers(self, message: Mapping[str, Any]) -> None:
        speakers = SpeakersResult.from_message(message).speakers
        with self._lock:
            self._speakers = speakers

    def _add_labels(self, labels: Iterable[str]) -> None:
        for label in labels:
            if label not in self._labels:
                self._labels.append(label)

    # Called by users.

    # `text` keeps the text of turns, `words` and `turns` every word: 2 MB for an hour of speech.

    @property
    def text(self) -> str:
        """All turns as text: one line each, with speaker and channel labels if several spoke."""
        return self._read(lambda readers, now: readers.turns(now).text())

    @property
    def results(self) -> list[RecognitionResult]:
        """Every final word, punctuation mark and entity, in the order in which they came."""
        with self._lock:
            finals = self._finals[:]
        return [RecognitionResult.from_dict(part) for final in finals for part in final.parts()]

    @property
    def words(self) -> list[Word]:
        """Every final word and entity, in the order in which they came."""
        return self._read(lambda readers, now: Table(readers.words(now).all))

    @property
    def turns(self) -> list[Turn]:
        """The words by speaker and channel, in the order of time; see `Turn`."""
        return self._read(lambda readers, now: Table(readers.turns(now).turns(readers.words(now))))

    @property
    def utterances(self) -> list[Utterance]:
        """The words by channel and EndOfUtterance, in the order of time; see `Utterance`.

        The server sends EndOfUtterance where ``conversation_config`` has an
        ``end_of_utterance_silence_trigger``, and after ``force_end_of_utterance``.
        """
        return self._read(
            lambda readers, now: Table(readers.utterances(now).utterances(readers.words(now)))
        )

    @property
    def translations(self) -> dict[str, Translation]:
        """The final translations: language → its sentences."""
        with self._lock:
            sentences = tuple(self._sentences)
        found: dict[str, Translation] = {}
        for language, sentence in sentences:
            translated = TranslatedSentence.from_dict(_unpacked(sentence))
            found.setdefault(language, Translation()).append(translated)
        return found

    @property
    def audio_events(self) -> list[AudioEvent]:
        """Sounds other than speech; ``end_time`` is None for a sound that has not ended."""
        with self._lock:
            return Table(replace(event) for event in self._audio_events)

    @property
    def speakers(self) -> list[SpeakerIdentifier]:
        """The speakers of the last SpeakersResult, with their identifiers."""
        with self._lock:
            return list(self._speakers)

    @property
    def channels(self) -> dict[str, Transcript]:
        """A copy of each channel's transcript: label → transcript; empty with one channel.

        Translations and speakers have no channel, and are in the whole transcript alone.
        """
        with self._lock:
            return {label: self._of_channel(label) for label in self._labels}

    @property
    def gaps(self) -> list[tuple[float, float]]:
        """Spans of audio that could not be recovered: ``(start, end)`` in seconds."""
        with self._lock:
            return list(self._gaps)

    @property
    def language_pack_info(self) -> Optional[LanguagePackInfo]:
        """How the session's language is written; None before RecognitionStarted."""
        with self._lock:
            return self._pack

    @property
    def start_time(self) -> Optional[float]:
        """When the first final begins, in seconds; None without a final."""
        span = self._span
        return None if span is None else span[0]

    @property
    def end_time(self) -> Optional[float]:
        """When the last final ends, in seconds; None without a final."""
        span = self._span
        return None if span is None else span[1]

    def to_dict(self) -> dict[str, Any]:
        """The transcript in the API's json-v2 format, ready for ``json.dumps``.

        The keys ``format``, ``metadata`` and ``results`` are always present (``job`` never);
        ``translations``, ``audio_events``, ``speakers`` and ``gaps`` if there are any.
        """
        from datetime import datetime, timezone

        created_at = datetime.fromtimestamp(self._created_at, timezone.utc)
        with self._lock:
            finals, events, gaps = self._finals[:], tuple(self._audio_events), list(self._gaps)
            speakers, sentences = list(self._speakers), tuple(self._sentences)
            metadata = {
                "created_at": created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                "type": "transcription",
                "transcription_config": _copied(self._config),
                "orchestrator_version": self._version,
                "language_pack_info": None if self._pack is None else self._pack.to_dict(),
                "word_delimiters": dict(self._delimiters) or None,
            }
            written: dict[str, Any] = {"format": self._format}
        translations: dict[str, list[Any]] = {}
        for language, sentence in sentences:
            translations.setdefault(language, []).append(_unpacked(sentence))
        written["metadata"] = {key: metadata[key] for key in metadata if metadata[key] is not None}
        written["results"] = [part for final in finals for part in final.parts()]
        further = {
            "translations": translations,
            "audio_events": [event.to_dict() for event in events],
            "speakers": SpeakersResult(speakers).to_dict()["speakers"],
            "gaps": [{"start_time": start, "end_time": end} for start, end in gaps],
        }
        written.update((key, value) for key, value in further.items() if value)
        return written

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        words, end = self._read(lambda readers, now: readers.turns(now).count), self.end_time
        until = "" if end is None else f", until {end} s"
        return f"<{type(self).__name__} of {words} word{'' if words == 1 else 's'}{until}>"

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            kept = [name for name in self.__dict__ if name not in _NOT_PICKLED]
            state = {name: _copied(self.__dict__[name]) for name in kept}
        return {**state, "_finals": list(self._finals.rows)}  # a pickle names no private class

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._finals, self._span = _Kept(), None
        self._extend(_Kept(state["_finals"])[:])
        self._open_events = {}
        for index, event in enumerate(self._audio_events):
            if event.end_time is None:
                self._note_open(index, event)
        self._renew_lock()

    @property
    def _lock(self) -> threading.Lock:
        """Guards every attribute; held only to read or change them, not while results are made."""
        if self._process != os.getpid():
            self._renew_lock()  # forked; a thread that held the lock is not in this process
        return self._own_lock

    def _renew_lock(self) -> None:
        self._own_lock = threading.Lock()
        self._reading = Reading()
        self._process = os.getpid()

    def _read(self, what: Callable[[Readers, Everything], _T]) -> _T:
        with self._lock:
            reading = self._reading
        return reading.read(self._everything, what)

    def _everything(self) -> Everything:
        with self._lock:
            delimiter = " " if self._pack is None else self._pack.word_delimiter
            return Everything(self._finals, len(self._finals), delimiter, self._delimiters)

    def _of_channel(self, label: str) -> Transcript:
        part = Transcript(transcription_config=self._config)
        part._created_at, part._format = self._created_at, self._format
        part._version, part._pack, part._delimiters = self._version, self._pack, self._delimiters
        part._extend(final for final in self._finals[:] if final.channel == label)
        part._audio_events = [event for event in self._audio_events if event.channel == label]
        part._gaps = list(self._gaps)
        return part


_ADD: dict[str, Callable[[Transcript, Mapping[str, Any]], None]] = {
    "RecognitionStarted": Transcript._add_started,
    "LanguageInfo": Transcript._add_language,
    "AddTranscript": Transcript._add_final,
    "EndOfUtterance": Transcript._add_utterance_end,
    "AddTranslation": Transcript._add_translation,
    "AudioEventStarted": Transcript._add_event_start,
    "AudioEventEnded": Transcript._add_event_end,
    "SpeakersResult": Transcript._add_speakers,
}


def _packed(value: Any) -> bytes:
    try:
        # A quarter smaller than JSON and five times as fast. Transcripts are pickled, so the
        # format is version 4, which every supported Python can read.
        return marshal.dumps(value, 4)
    except ValueError as error:
        raise TransportError(
            f"the server broke the protocol: a result cannot be stored: {error}"
        ) from None


def _unpacked(packed: bytes) -> Any:
    return marshal.loads(packed)  # noqa: S302  (packed by _packed)


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, (dict, list)) else value
