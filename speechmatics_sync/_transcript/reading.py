"""What was read of a transcript is kept, so that reading it again costs what is new."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Callable, NamedTuple, Optional, TypeVar

from .spoken import Delimiters
from .turns import TurnReader
from .utterances import UtteranceReader
from .words import Said, WordReader

__all__ = ["Everything", "Readers", "Reading"]

_T = TypeVar("_T")


class Everything(NamedTuple):
    """A transcript at one moment.

    Args:
        said: What was said. It may grow meanwhile, at its end.
        until: How much of it there is.
        delimiter: The word delimiter of a language that is not among the others.
        delimiters: Language → its word delimiter.
    """

    said: Sequence[Said]
    until: int
    delimiter: str
    delimiters: Mapping[str, str]


class Readers:
    """Readers that have read a transcript up to somewhere, or nothing yet."""

    def __init__(self) -> None:
        self._words = WordReader()
        self._begin()

    def _begin(self) -> None:
        self._delimiters = Delimiters()
        self._turns = TurnReader(self._delimiters)
        self._utterances = UtteranceReader(self._delimiters)

    def words(self, now: Everything) -> WordReader:
        """Return a reader that has read every word."""
        self._words.read(now.said, now.until)
        return self._words

    def turns(self, now: Everything) -> TurnReader:
        """Return a reader that has read every turn."""
        self._join_as(now)
        self._turns.read(now.said, now.until)
        return self._turns

    def utterances(self, now: Everything) -> UtteranceReader:
        """Return a reader that has read every utterance."""
        self._join_as(now)
        self._utterances.read(now.said, now.until)
        return self._utterances

    def _join_as(self, now: Everything) -> None:
        if not self._delimiters.change(now.delimiter, now.delimiters):
            self._begin()
            self._delimiters.change(now.delimiter, now.delimiters)


class Reading:
    """Reads a transcript, in any thread, one at a time."""

    def __init__(self) -> None:
        # Reentrant: a signal handler may read what its thread is reading.
        self._lock = threading.RLock()
        self._reads = False
        self._readers: Optional[Readers] = None  # made when something is read: many never are

    def read(
        self, everything: Callable[[], Everything], what: Callable[[Readers, Everything], _T]
    ) -> _T:
        """Return what a function makes of the readers and of the transcript.

        Args:
            everything: Returns the transcript as it is now.
            what: The function.
        """
        with self._lock:
            if self._reads:
                return what(Readers(), everything())
            try:
                self._reads = True
                self._readers = self._readers or Readers()
                return what(self._readers, everything())
            except BaseException:
                self._readers = None  # an interrupt may have come between any two steps
                raise
            finally:
                self._reads = False
