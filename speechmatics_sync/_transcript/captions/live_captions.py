"""Captions while a session runs: what to show now, and captions that are finished.

What is shown now are the lines of live text, broken at the width: the last rows of them, which roll
up. They may change with every partial.

Finished captions are made of final words by the same rules as those of a whole transcript. A
caption is finished when

- a long pause or the end of an utterance follows;
- or its last word ends a sentence, and it can be read;
- or so many words follow that these fill another one: more would hardly change where it ends.

Channels are recognised each at its own pace: a word waits until the other channels have come as
far, or are further behind than the service ever is.
"""

import itertools
import math
from collections.abc import Mapping
from typing import Any, Callable, Optional

from ..._model.results import EndOfUtterance, LanguageInfo
from ..._model.session_info import RecognitionStarted
from ..._model.typing import Label
from ..lines import LiveText
from ..speaker_names import Names, SpeakerLabels
from ..spoken import Delimiters
from .blocks import Block, Composer
from .captions import Caption, caption_of
from .rolling_rows import RollingRows
from .rules import PAUSE, SHORTEST, Shape, shape_of
from .segments import Segmenter, Span, needed
from .units import Unit, UnitReader

__all__ = ["LiveCaptions"]

_BEHIND = 8000
"""Milliseconds by which one channel may be behind another; the service's ``max_delay`` is 4 s."""


class _Channel:
    """What was said on a channel.

    Attributes:
        reader: Makes its units.
        waiting: Units that other channels may still put something in front of.
        until: The words up to here are known, in milliseconds.
    """

    def __init__(self, reader: UnitReader) -> None:
        self.reader = reader
        self.waiting: list[Unit] = []
        self.until = 0


class LiveCaptions:
    """Makes captions of a session's messages while it runs.

    `add` returns the captions that are finished, each once, by the rules of
    `Transcript.captions`: to be written to a `CaptionFile`, say. `current` is what to show now: the
    last lines of what is being said, with partials if there are any
    (``TranscriptionConfig(enable_partials=True)``).

    One thread at a time adds messages, in the order of the session, as handlers are called. Any
    thread may read `current`. Messages of another session may follow those of one.

    Args:
        max_line_length: Columns of a line; a wide character, as in Chinese, takes two.
        max_lines: Lines of a caption.
        speaker_labels: As in `Transcript.captions`. That several speak is known from when the
            second one does.
        language: ISO code of the language, if the server does not name it.
        word_delimiter: What stands between two words until RecognitionStarted or LanguageInfo says
            what does; for those who do not add these.

    Raises:
        ConfigurationError: An argument is not valid.

    Example:
        >>> live = LiveCaptions()
        >>> def show(message):
        ...     for caption in live.add(message):
        ...         print(caption.start_time, caption.text)
        >>> for name in LiveCaptions.MESSAGES:
        ...     client.on(name, show)
        >>> transcript = client.transcribe("audio.wav")
        0.2 hello world.

    Attributes:
        MESSAGES: The messages that it takes something from: those to register a handler for.
    """

    __module__ = "speechmatics_sync"  # which loads this one only when it is needed

    MESSAGES = LiveText.MESSAGES

    def __init__(
        self,
        *,
        max_line_length: int = 37,
        max_lines: int = 2,
        speaker_labels: SpeakerLabels = None,
        language: Optional[str] = None,
        word_delimiter: str = " ",
    ) -> None:
        self._shape: Shape = shape_of(max_line_length, max_lines)
        self._labels = speaker_labels
        self._language = language
        self._word_delimiter = word_delimiter
        self._live = LiveText(word_delimiter=word_delimiter)
        self._begin()

    def _begin(self) -> None:
        self._by_language: dict[str, str] = {}
        self._delimiters = Delimiters(self._word_delimiter, self._by_language)
        self._names = Names(self._labels, ())
        self._rows = RollingRows(self._shape, self._names)
        self._composer = Composer(self._shape, self._names)
        self._channels: dict[Label, _Channel] = {}
        self._units: list[Unit] = []  # in the order of time, of no finished caption

    @property
    def current(self) -> Optional[Caption]:
        """What to show now; None before the first word.

        The last ``max_lines`` lines of what was said, which roll up as more is. Who shows them may
        take them away some time after ``end_time``.
        """
        return self._rows.current

    def add(self, message: Mapping[str, object]) -> list[Caption]:
        """Add a message of the session; return the captions that it finishes, in order.

        Raises:
            TransportError: The message is malformed; nothing of it was added.
        """
        lines = self._live.add(message)
        name = message.get("message")
        add = _ADD.get(name) if isinstance(name, str) else None
        finished = [] if add is None else add(self, message)
        self._rows.show(lines)
        return [caption_of(block) for block in finished]

    def end(self) -> list[Caption]:
        """Finish what was said: for a session that broke off, without EndOfTranscript."""
        return [caption_of(block) for block in self._end({})]

    def _add_started(self, message: Mapping[str, Any]) -> list[Block]:
        finished = self._end(message)
        pack = RecognitionStarted.from_message(message).language_pack_info
        if pack is not None:
            self._word_delimiter = pack.word_delimiter
        self._begin()
        return finished

    def _add_language(self, message: Mapping[str, Any]) -> list[Block]:
        info = LanguageInfo.from_message(message)
        self._by_language[info.language] = info.word_delimiter
        self._delimiters.change(self._word_delimiter, self._by_language)
        return []

    def _add_final(self, message: Mapping[str, Any]) -> list[Block]:
        own = message.get("channel")
        by_label: dict[Label, list[Mapping[str, Any]]] = {own: []} if own in self._channels else {}
        for result in message["results"]:
            by_label.setdefault(result.get("channel") or own, []).append(result)
        until = round(message["metadata"]["end_time"] * 1000)
        for label, results in by_label.items():
            channel = self._channel(label)
            channel.waiting += channel.reader.read(results)
            ends = [round(result["end_time"] * 1000) for result in results]
            if until - max([channel.until, *ends]) >= PAUSE:
                channel.waiting += channel.reader.release()
            channel.until = max([channel.until, until, *ends])
        return self._finished()

    def _add_utterance_end(self, message: Mapping[str, Any]) -> list[Block]:
        channel = self._channel(EndOfUtterance.from_message(message).channel)
        channel.waiting += channel.reader.release()
        return self._finished()

    def _end(self, _: Mapping[str, Any]) -> list[Block]:
        for channel in self._channels.values():
            channel.waiting += channel.reader.end()
        finished = self._finished(all_of_it=True)
        self._channels = {}
        return finished

    def _channel(self, label: Label) -> _Channel:
        channel = self._channels.get(label)
        if channel is None:
            channel = _Channel(UnitReader(label, self._delimiters, self._language))
            self._channels[label] = channel
        return channel

    def _finished(self, *, all_of_it: bool = False) -> list[Block]:
        """The captions that are finished now."""
        self._take_waiting(math.inf if all_of_it else self._known_until())
        segmenter = Segmenter(self._units, self._shape, self._names, before=self._composer.before)
        is_silent = not any(
            channel.waiting or channel.reader.holds_a_word for channel in self._channels.values()
        )
        finished: list[Span] = []
        for run in segmenter.runs():
            spans = segmenter.split(run)
            if run.end == len(self._units) and not (all_of_it or is_silent):
                spans = list(itertools.takewhile(self._is_finished, spans))
            finished += spans
        blocks = []
        for start, end in finished:
            following = self._units[end].start if end < len(self._units) else None
            blocks.append(self._composer.block(self._units[start:end], following))
        if finished:
            del self._units[: finished[-1].end]
        return blocks

    def _known_until(self) -> float:
        """The time up to which every channel has said its words."""
        times = [channel.until for channel in self._channels.values()]
        newest = max(times, default=0)
        for channel in self._channels.values():
            if channel.until <= newest - _BEHIND:
                channel.waiting += channel.reader.release()
        return max(min(times, default=0), newest - _BEHIND)

    def _take_waiting(self, until: float) -> None:
        """Put the words of all channels that begin up to a time in their order."""
        is_alone = len(self._channels) == 1
        taken: list[Unit] = []
        for channel in self._channels.values():
            count = sum(is_alone or unit.start <= until for unit in channel.waiting)
            taken += channel.waiting[:count]
            del channel.waiting[:count]
        for unit in sorted(taken, key=lambda unit: unit.start):
            # A word that came too late for its place takes the next one.
            place = self._units[-1].start if self._units else self._composer.free
            unit.start = max(unit.start, place)
            unit.end = max(unit.end, unit.start)
            self._names.add([unit.key])
            self._units.append(unit)

    def _is_finished(self, span: Span) -> bool:
        """Whether more words would hardly change a caption of the last words."""
        units, shape = self._units, self._shape
        if span.end == len(units):
            return False
        words = units[span.start : span.end]
        width = sum(unit.width + len(unit.delimiter) for unit in words)
        shown = units[span.end].start - words[0].start
        if words[-1].ends_sentence and shown >= max(2 * SHORTEST, needed(width)):
            return True
        room = shape.lines * shape.line_length
        return sum(unit.width + len(unit.delimiter) for unit in units[span.end :]) > room


_ADD: dict[str, Callable[[LiveCaptions, Mapping[str, Any]], list[Block]]] = {
    "RecognitionStarted": LiveCaptions._add_started,
    "LanguageInfo": LiveCaptions._add_language,
    "AddTranscript": LiveCaptions._add_final,
    "EndOfUtterance": LiveCaptions._add_utterance_end,
    "EndOfTranscript": LiveCaptions._end,
}
