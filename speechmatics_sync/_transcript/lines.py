"""Live text: what a person reads while a session runs, line by line.

The finals of a channel are read once, word by word, and make the settled part of its text. Behind
it stand the words of the last partial that no final covers: they are read anew with each message,
from a copy of where the finals stand.

A line ends, and is told for the last time,

- when a final holds the end of its sentence (``is_eos``), or EndOfUtterance or EndOfTranscript
  comes;
- when the next final word is another speaker's;
- before the next final word, when it has become long (see `LONG`), so that what a message costs has
  a limit.

The unfinished lines of a channel keep their ids by their order: what the next message makes of the
channel's text begins with the first of them. A line of which no word is left, because the partial
that it came from was replaced, ends as an empty final line.
"""

import itertools
import math
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Callable, Optional

from .._model.checks import string
from .._model.messages import ServerMessageType, SessionEvent
from .._model.results import EndOfUtterance, LanguageInfo, check_transcript
from .._model.session_info import RecognitionStarted
from .._model.settings import argument
from .._model.typing import Label
from ..errors import ConfigurationError
from .spoken import Delimiters, Passage, Spoken, SpokenReader

if TYPE_CHECKING:
    from .views.live import LiveDisplay

__all__ = ["Line", "LiveText"]

LONG = 200
"""Characters from which on a line without the end of a sentence ends at the next pause."""

LONGEST = 400
"""Characters from which on it ends before the next word."""

PAUSE = 0.5
"""Seconds without a word that are such a pause."""


@dataclass(frozen=True)
class Line:
    """What one speaker says on one channel up to the end of a sentence or utterance.

    A line is given again, with the same ``id``, whenever something about it has changed, until it
    is final.

    Args:
        id: Which line it is: a number from 1 that no other line has.
        text: What was said so far, with punctuation. Empty only in a final line of which nothing
            was left, because the words it held turned out to be none: whoever shows lines removes
            it.
        settled: How many characters of the text, from its start, will not change.
        speaker: Label of the speaker; None without speaker diarization. Certain once a character is
            settled.
        channel: Label of the channel; None in a session with one channel.
        start_time: When the first word begins, in seconds from the beginning of the audio.
        end_time: When the last word ends, in seconds from the beginning of the audio.
        is_final: Whether the line is at its end: it is not given again.

    Example:
        >>> with client.stream("audio.wav") as stream:
        ...     for line in stream.lines():
        ...         print(line.id, line.text, line.is_final)
    """

    __module__ = "speechmatics_sync"  # which loads this one only when it is needed

    id: int
    text: str
    settled: int
    speaker: Optional[str]
    channel: Optional[str]
    start_time: float
    end_time: float
    is_final: bool

    def to_dict(self) -> dict[str, Any]:
        """The line as a plain dict, ready for ``json.dumps``."""
        return asdict(self)


class LiveText:
    """Makes lines of a session's messages: the text that a person reads while it runs.

    `Stream.lines` does it for a stream; this is for handlers and whatever else has the messages.
    With ``TranscriptionConfig(enable_partials=True)`` a line grows word by word, else final by
    final. What a message costs does not grow with the session.

    One thread at a time adds messages, in the order of the session, as handlers are called. Any
    thread may read `open_lines`. Messages of another session may follow those of one: ids go on.

    Args:
        word_delimiter: What stands between two words until RecognitionStarted or LanguageInfo says
            what does; for those who do not add these.

    Example:
        >>> live = LiveText()
        >>> def show(message):
        ...     for line in live.add(message):
        ...         print(line.id, line.text, "(final)" if line.is_final else "…")
        >>> for name in LiveText.MESSAGES:
        ...     client.on(name, show)
        >>> transcript = client.transcribe("audio.wav")
        1 hello …
        1 hello world …
        1 hello world. (final)

    Attributes:
        MESSAGES: The messages that it takes something from: those to register a handler for.
    """

    __module__ = "speechmatics_sync"

    MESSAGES = (
        ServerMessageType.RECOGNITION_STARTED,
        ServerMessageType.LANGUAGE_INFO,
        ServerMessageType.ADD_PARTIAL_TRANSCRIPT,
        ServerMessageType.ADD_TRANSCRIPT,
        ServerMessageType.END_OF_UTTERANCE,
        ServerMessageType.END_OF_TRANSCRIPT,
        SessionEvent.RECONNECTED,
    )

    def __init__(self, *, word_delimiter: str = " ") -> None:
        self._word_delimiter: str = argument("word_delimiter", word_delimiter, string())
        self._by_language: dict[str, str] = {}
        self._delimiters = Delimiters(self._word_delimiter, self._by_language)
        self._channels: dict[Label, _Channel] = {}
        self._ids = itertools.count(1)
        self._display: Optional[LiveDisplay] = None

    @property
    def open_lines(self) -> list[Line]:
        """The lines that are not final, as they were last given, by the time of their start."""
        lines = [line for channel in list(self._channels.values()) for line in channel.lines]
        return sorted(lines, key=lambda line: (line.start_time, line.id))

    def add(self, message: Mapping[str, object]) -> list[Line]:
        """Add a message of the session; return the lines that it changes, in order.

        Messages without text change nothing.

        Raises:
            TransportError: The message is malformed; nothing of it was added.
            ConfigurationError: It is no dict.
        """
        if not isinstance(message, Mapping):
            raise ConfigurationError(
                f"message is of type {type(message).__name__}; allowed: a dict, as handlers and"
                " streams give it"
            )
        name = message.get("message")
        add = _ADD.get(name) if isinstance(name, str) else None
        lines = [] if add is None else add(self, message)
        if self._display is not None:
            self._display.show(lines)
            if name == ServerMessageType.END_OF_TRANSCRIPT:
                self._display.settle()
            else:
                self._display.tick()
        return lines

    def display(self) -> None:
        """Show the lines while they grow: in the notebook's cell that calls this, or on stdout.

        For sessions that are pushed, and for messages from elsewhere: `Client.transcribe` and
        `Client.stream` have ``display=True``. In a terminal, final lines scroll and the rest stands
        below them, dim. Where stdout is no terminal, each final line is written. What cannot be
        shown is logged, and ends nothing. Of a session that fails, what is settled stays when this
        object is dropped.

        Example:
            >>> live = LiveText()
            >>> live.display()
            >>> for name in LiveText.MESSAGES:
            ...     client.on(name, live.add)
            >>> transcript = client.transcribe("audio.wav")
            hello world.
        """
        from .views.live import display_here

        if self._display is not None:
            self._display.close()
        self._display = display_here()
        # A session that fails gives no EndOfTranscript, and a terminal's cursor must come back.
        weakref.finalize(self, self._display.close)

    def _add_started(self, message: Mapping[str, Any]) -> list[Line]:
        started = RecognitionStarted.from_message(message)
        left = self._add_end(message)  # of a session that broke off, without EndOfTranscript
        if started.language_pack_info is not None:
            self._word_delimiter = started.language_pack_info.word_delimiter
        self._by_language = {}
        self._delimiters = Delimiters(self._word_delimiter)
        return left

    def _add_language(self, message: Mapping[str, Any]) -> list[Line]:
        info = LanguageInfo.from_message(message)
        self._by_language[info.language] = info.word_delimiter
        self._delimiters.change(self._word_delimiter, self._by_language)
        return []

    def _add_partial(self, message: Mapping[str, Any]) -> list[Line]:
        told: list[Line] = []
        for channel, results, _ in self._parts(message):
            channel.partial = results
            told += channel.tell()
        return told

    def _add_final(self, message: Mapping[str, Any]) -> list[Line]:
        told: list[Line] = []
        for channel, results, end_time in self._parts(message):
            ended = channel.settled.read(results)
            if channel.settled.draft is not None and channel.settled.draft.ends_sentence:
                ended += channel.settled.end_line()
            channel.drop_partial(until=end_time)
            told += channel.tell(ended)
        return told

    def _add_utterance_end(self, message: Mapping[str, Any]) -> list[Line]:
        end = EndOfUtterance.from_message(message)
        channel = self._channel(end.channel)
        time = end.metadata.end_time
        channel.drop_partial(until=math.inf if time is None else time)
        return channel.tell(channel.settled.end_line())

    def _add_reconnected(self, message: Mapping[str, Any]) -> list[Line]:
        # What the lost connection guessed is heard again over the new one.
        told: list[Line] = []
        for channel in self._channels.values():
            channel.drop_partial(until=math.inf)
            told += channel.tell()
        return told

    def _add_end(self, message: Mapping[str, Any]) -> list[Line]:
        told: list[Line] = []
        for channel in self._channels.values():
            channel.drop_partial(until=math.inf)
            told += channel.tell(channel.settled.end())
        self._channels = {}
        return told

    def _parts(
        self, message: Mapping[str, Any]
    ) -> list[tuple["_Channel", list[Mapping[str, Any]], float]]:
        """The channels of a transcript, each with its results, and the end of what these cover."""
        check_transcript(message)
        own = message.get("channel")
        by_label: dict[Label, list[Mapping[str, Any]]] = {}
        for result in message["results"]:
            by_label.setdefault(result.get("channel") or own, []).append(result)
        end_time = message["metadata"]["end_time"]
        return [
            (
                self._channel(label),
                results,
                max([end_time, *(part["end_time"] for part in results)]),
            )
            for label, results in (by_label or {own: []}).items()
        ]

    def _channel(self, label: Label) -> "_Channel":
        channel = self._channels.get(label)
        if channel is None:
            channel = _Channel(label, self._delimiters, self._ids)
            self._channels[label] = channel
        return channel


class _Text:
    """The words of a channel on their way into lines.

    Attributes:
        draft: The line that the next word may continue.
    """

    def __init__(self, delimiters: Delimiters) -> None:
        self.draft: Optional[Passage] = None
        self._delimiters = delimiters
        self._reader = SpokenReader()

    def copy(self) -> "_Text":
        copied = _Text(self._delimiters)
        copied.draft = None if self.draft is None else self.draft.copy()
        copied._reader = self._reader.copy(copied.draft)
        return copied

    def read(self, results: Iterable[Mapping[str, Any]]) -> list[Passage]:
        """Read results; return the lines that end before one of their words."""
        ended = []
        for result in results:
            spoken = self._reader.read(result)
            if spoken is None:
                continue
            if self.draft is not None and _continues(spoken, self.draft):
                self.draft.extend([spoken])
            else:
                ended += self.end_line()
                self.draft = Passage(self._delimiters, [spoken])
            self._reader.last = self.draft
        return ended

    def end_line(self) -> list[Passage]:
        """End the line that is being read, and return it if there is one."""
        ended = [] if self.draft is None else [self.draft]
        self.draft = self._reader.last = None
        return ended

    def end(self) -> list[Passage]:
        """End all lines; return them. Marks that waited for a word are one by themselves."""
        left = self._reader.left()
        return [*self.end_line(), *([] if left is None else [Passage(self._delimiters, [left])])]


class _Channel:
    """The lines of one channel.

    Args:
        label: The channel's label.
        delimiters: Between its words.
        ids: Of all lines.

    Attributes:
        lines: The unfinished lines, as they were last told, in order. Replaced, never changed:
            other threads read it.
        settled: The text of the finals.
        partial: The results of the last partial that no final covers.
    """

    def __init__(self, label: Label, delimiters: Delimiters, ids: Iterator[int]) -> None:
        self.lines: list[Line] = []
        self.settled = _Text(delimiters)
        self.partial: Sequence[Mapping[str, Any]] = ()
        self._label = label
        self._ids = ids

    def drop_partial(self, *, until: float) -> None:
        """Forget the words of the partial whose middle lies before a time, and their marks."""
        first = next(
            (
                index
                for index, result in enumerate(self.partial)
                if result["type"] != "punctuation"
                and result["start_time"] + result["end_time"] >= 2 * until
            ),
            len(self.partial),
        )
        self.partial = self.partial[first:]

    def tell(self, ended: Iterable[Passage] = ()) -> list[Line]:
        """Return the lines that have changed.

        Args:
            ended: The settled lines that have come to their end.
        """
        guess = self.settled.copy()
        drafts = [*guess.read(self.partial), *guess.end_line()]
        certain = 0 if self.settled.draft is None else len(self.settled.draft.text)
        rows = [(draft, len(draft.text), True) for draft in ended]
        rows += [(draft, 0 if at else certain, False) for at, draft in enumerate(drafts)]

        before = self.lines
        unfinished: list[Line] = []
        told: list[Line] = []
        for index, (draft, settled, is_final) in enumerate(rows):
            line = Line(
                before[index].id if index < len(before) else next(self._ids),
                draft.text,
                settled,
                draft.speaker,
                self._label,
                draft.start_time,
                draft.end_time,
                is_final,
            )
            if index >= len(before) or line != before[index]:
                told.append(line)
            if not is_final:
                unfinished.append(line)
        self.lines = unfinished
        return told + [replace(line, text="", is_final=True) for line in before[len(rows) :]]


def _continues(word: Spoken, line: Passage) -> bool:
    if line.ends_sentence or word.speaker != line.speaker:
        return False
    pause = word.start_time - line.end_time
    return len(line.text) < (LONG if pause >= PAUSE else LONGEST)


_ADD: dict[str, Callable[[LiveText, Mapping[str, Any]], list[Line]]] = {
    "RecognitionStarted": LiveText._add_started,
    "LanguageInfo": LiveText._add_language,
    "AddPartialTranscript": LiveText._add_partial,
    "AddTranscript": LiveText._add_final,
    "EndOfUtterance": LiveText._add_utterance_end,
    "EndOfTranscript": LiveText._add_end,
    "SessionReconnected": LiveText._add_reconnected,
}
