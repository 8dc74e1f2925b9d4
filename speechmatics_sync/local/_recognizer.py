"""What the server asks of whoever recognises its speech: a small, streaming interface.

A recogniser hears one channel as frames of `FRAME_SAMPLES` samples at `SAMPLE_RATE`, whatever the
client sent and in whatever chunks, so that its words depend on the audio alone. The server makes
messages of its words; punctuation, speaker labels and utterance ends are the server's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.int16]

__all__ = ["FRAME_SAMPLES", "SAMPLE_RATE", "Hypothesis", "Recognition", "Recognizer", "Word"]

SAMPLE_RATE = 16000
FRAME_SAMPLES = 320


@dataclass(frozen=True)
class Word:
    """A word that was heard.

    Args:
        text: The word, without white space.
        start: Where it starts, in seconds from the channel's first sample.
        end: Where it ends, in seconds.
        confidence: From 0 (a guess) to 1 (certain).
        voice: Whose voice it is, in the recogniser's own terms; None if it does not tell voices
            apart. The server turns voices into speaker labels.
    """

    text: str
    start: float
    end: float
    confidence: float = 1.0
    voice: Optional[str] = None


@dataclass(frozen=True)
class Hypothesis:
    """What a recogniser has to say after one more frame.

    Args:
        finals: Words that are settled since the last hypothesis. They never change and never
            come again; each word is final at the latest when `Recognition.max_delay` seconds of
            audio have followed it.
        partials: What is heard after the last final so far, or None if there is no new guess.
        ends_utterance: Whether the last final so far is the last word of an utterance.
    """

    finals: tuple[Word, ...] = ()
    partials: Optional[tuple[Word, ...]] = None
    ends_utterance: bool = False


class Recognition(ABC):
    """One channel being recognised.

    Attributes:
        max_delay: Seconds of audio that may follow a word before it is final. The server changes
            it when the client does.
        partials: Whether anyone wants `Hypothesis.partials`; as with `max_delay`.
    """

    max_delay: float = 4.0
    partials: bool = False

    @abstractmethod
    def feed(self, frame: Samples) -> Hypothesis:
        """Hear one more frame of `FRAME_SAMPLES` samples; the last one may be shorter."""

    @abstractmethod
    def settle(self, until: Optional[float] = None) -> Hypothesis:
        """End the utterance: settle all that was heard so far, or up to `until` seconds."""

    @property
    @abstractmethod
    def quiet_since(self) -> Optional[float]:
        """The second since which nobody speaks, or None while somebody does."""

    def finish(self) -> Hypothesis:
        """Settle everything: no more audio comes."""
        return self.settle()

    def close(self) -> None:  # noqa: B027  # not every recogniser has something to give back
        """Give back what the recognition holds. Called once, however the session ends."""


class Recognizer(ABC):
    """Recognises speech, for any number of sessions at a time.

    Attributes:
        languages: The language codes it knows, or None for any. A code with a region counts as
            its language.
        description: The language's name, for ``language_pack_info``.
    """

    languages: Optional[frozenset[str]] = None
    description: str = "English"

    @abstractmethod
    def start(self, *, language: str, partials: bool, channel: Optional[str] = None) -> Recognition:
        """Begin one channel. May take a while the first time, to load a model.

        The channels of a session are heard in threads of their own, each by its own recognition.

        Args:
            language: The session's language code.
            partials: Whether partial hypotheses are wanted.
            channel: The channel's label in a session by channel; not given in any other session.
        """

    def close(self) -> None:  # noqa: B027
        """Give back what is kept from session to session. It can be used again after that."""
