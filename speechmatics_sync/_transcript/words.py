"""The words of a transcript."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Protocol, TypeVar

from .._model.typing import Label
from .spoken import content_of

__all__ = ["Said", "Word", "WordReader"]

_T = TypeVar("_T", str, Optional[str])


@dataclass(frozen=True)
class Word:
    """A word or an entity of the transcript.

    Args:
        content: The word as it is written.
        start_time: Seconds from the beginning of the audio.
        end_time: Seconds from the beginning of the audio.
        confidence: From 0 to 1.
        speaker: Label of the speaker; None without speaker diarization.
        channel: Label of the channel; None in a session with one channel.
        language: ISO code; None if the server did not send it.
        type: ``word`` or ``entity``.

    Example:
        >>> for word in client.transcribe("audio.wav").words:
        ...     print(word.start_time, word.content, word.confidence)
    """

    content: str
    start_time: float
    end_time: float
    confidence: float
    speaker: Optional[str] = None
    channel: Optional[str] = None
    language: Optional[str] = None
    type: str = "word"


class Said(Protocol):
    """What a message adds to a transcript, on one channel: results, or the end of an utterance."""

    @property
    def channel(self) -> Label: ...

    def parts(self) -> Iterable[Mapping[str, Any]]:
        """The results, each as the server sent it."""
        ...


class WordReader:
    """Makes the words of a transcript that grows. It keeps them: a word is made once.

    Attributes:
        all: Every word, in the order in which they came.
        by_channel: The words of each channel.
    """

    def __init__(self) -> None:
        self.all: list[Word] = []
        self.by_channel: dict[Label, list[Word]] = {}
        self._at = 0
        self._shared: dict[Any, Any] = {}

    def read(self, said: Sequence[Said], until: int) -> None:
        """Read what was said up to a place in it."""
        for now in said[self._at : until]:
            words = self.by_channel.setdefault(now.channel, [])
            for part in now.parts():
                word = self._word(part, now.channel)
                if word is not None:
                    words.append(word)
                    self.all.append(word)
        self._at = max(self._at, until)

    def within(self, channel: Label, spans: Sequence[tuple[int, int]]) -> list[Word]:
        """The words of a channel whose numbers lie within spans: from, and up to and without."""
        words = self.by_channel.get(channel, [])
        if len(spans) == 1:  # as nearly always
            return words[slice(*spans[0])]
        return [word for first, end in spans for word in words[first:end]]

    def _word(self, result: Mapping[str, Any], channel: Label) -> Optional[Word]:
        content = content_of(result)
        if not content or result["type"] == "punctuation":
            return None
        best = result["alternatives"][0]
        return Word(
            self._one(content),
            result["start_time"],
            result["end_time"],
            best["confidence"],
            self._one(best.get("speaker")),
            channel,
            self._one(best.get("language")),
            self._one(result["type"]),
        )

    def _one(self, text: _T) -> _T:
        """The same text as one object: most words come again and again."""
        shared: _T = self._shared.setdefault(text, text)
        return shared
