"""The interface between the server and a recogniser of speech.

A recogniser hears each channel as frames of `FRAME_SAMPLES` samples at `SAMPLE_RATE`, in whatever
format and chunks the client sent them, so that its words depend on the audio alone. The server
turns its words into messages, and adds punctuation, speaker labels and utterance ends.
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
    """A recognised word.

    Args:
        text: The word, without white space.
        start: When it starts, in seconds from the channel's first sample.
        end: When it ends, in seconds from the channel's first sample.
        confidence: From 0 (a guess) to 1 (certain).
        voice: The recogniser's own name for the voice; None if it does not tell voices apart.
            The server turns voices into speaker labels.

    Example:
        >>> ScriptedRecognizer([Word("hello", 0.2, 0.6, confidence=0.5)])
    """

    text: str
    start: float
    end: float
    confidence: float = 1.0
    voice: Optional[str] = None


@dataclass(frozen=True)
class Hypothesis:
    """What a recogniser has found after one more frame.

    Args:
        finals: Words settled since the last hypothesis. They never change and are never
            repeated; a word is final at the latest when ``Recognition.max_delay`` seconds of audio
            have followed it.
        partials: The words after the last final, as far as they are known, or None if that has
            not changed.
        ends_utterance: Whether the last final so far is the last word of an utterance. The server
            then adds a full stop, in a final of its own if ``finals`` is empty.

    Example:
        >>> Hypothesis(finals=(Word("hello", 0.2, 0.6),), ends_utterance=True).partials
    """

    finals: tuple[Word, ...] = ()
    partials: Optional[tuple[Word, ...]] = None
    ends_utterance: bool = False


class Recognition(ABC):
    """Recognises one channel.

    Attributes:
        max_delay: Seconds of audio that may follow a word before it is final. The server sets it
            whenever the client changes it.
        partials: Whether the client wants partials; set like ``max_delay``.
        empty_finals: Whether finals without results are sent, as the service does, where an
            utterance or the audio ends and nothing is left to say.

    Example:
        >>> class Silent(Recognition):
        ...     def feed(self, frame):
        ...         return Hypothesis()
        ...     def settle(self, until=None):
        ...         return Hypothesis()
        ...     quiet_since = 0.0
    """

    max_delay: float = 4.0
    partials: bool = False
    empty_finals: bool = True

    @abstractmethod
    def feed(self, frame: Samples) -> Hypothesis:
        """Recognise one more frame of ``FRAME_SAMPLES`` samples; the last one may be shorter."""

    @abstractmethod
    def settle(self, until: Optional[float] = None) -> Hypothesis:
        """End the utterance: make final what was heard so far, or up to ``until`` seconds."""

    @property
    @abstractmethod
    def quiet_since(self) -> Optional[float]:
        """When the current silence began, in seconds, or None during speech."""

    def finish(self) -> Hypothesis:
        """Make everything final, as no more audio will come."""
        return self.settle()

    def close(self) -> None:  # noqa: B027  # optional
        """Release resources. Called once, however the session ends."""


class Recognizer(ABC):
    """Recognises speech, in any number of sessions at a time.

    Attributes:
        languages: The codes of the languages it recognises, without regions, or None for any.
        description: The language's name, for ``language_pack_info``.

    Example:
        >>> class Deaf(Recognizer):
        ...     def start(self, *, language, partials, channel=None):
        ...         return Silent()
        >>> class Silent(Recognition):
        ...     def feed(self, frame):
        ...         return Hypothesis()
        ...     def settle(self, until=None):
        ...         return Hypothesis()
        ...     quiet_since = 0.0
        >>> with LocalServer(recognizer=Deaf()) as server:
        ...     Client(url=server.url).transcribe("audio.wav").text
        ''
    """

    languages: Optional[frozenset[str]] = None
    description: str = "English"

    @abstractmethod
    def start(self, *, language: str, partials: bool, channel: Optional[str] = None) -> Recognition:
        """Start to recognise one channel. May take a while the first time, to load a model.

        Each channel of a session has its own recognition, in its own thread.

        Args:
            language: The session's language code.
            partials: Whether the client wants partials.
            channel: The channel's label; not passed in a session without channels.
        """

    def close(self) -> None:  # noqa: B027
        """Release what is kept between sessions. The recogniser can be used again."""
