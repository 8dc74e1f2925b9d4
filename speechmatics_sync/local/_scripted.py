"""Recognisers that need no model and no speech, for tests that know every word in advance.

`ScriptedRecognizer` hears given words at given times, whatever the audio. `CountedRecognizer` hears
numbers that are written into the samples, so that the same audio gives the same words wherever a
connection begins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Optional, Union

import numpy as np

from ._recognizer import SAMPLE_RATE, Hypothesis, Recognition, Recognizer, Word

if TYPE_CHECKING:
    from ._recognizer import Samples

__all__ = ["CountedRecognizer", "ScriptedRecognizer", "counted_audio", "counted_word"]

CLIPPED = "clipped"
"""What `CountedRecognizer` hears if the audio begins within a word."""

_ONSET_SECONDS = 0.02
_GAP_SECONDS = 0.1
_SHORTEST_RUN = 16
"""Samples (1 ms). Speech has shorter runs of one value, and hardly a longer one."""


class _Timed(Recognition):
    """Hears words whose times are known. Final `delay` or `max_delay` seconds after their end."""

    def __init__(self, delay: float, *, partials: bool, service_finals: bool) -> None:
        self.partials = partials
        self.empty_finals = self.late_marks = service_finals
        self.needs_end = False
        self.delay = delay
        self.heard = 0
        self.settled_until = -math.inf
        self.last_partials: tuple[Word, ...] = ()

    @property
    def now(self) -> float:
        return self.heard / SAMPLE_RATE

    def feed(self, frame: Samples) -> Hypothesis:
        self.listen(frame)
        self.heard += len(frame)
        return self._hypothesis(self.now - min(self.delay, self.max_delay))

    def settle(self, until: Optional[float] = None) -> Hypothesis:
        return self._hypothesis(min(self.now, math.inf if until is None else until), closing=True)

    def _hypothesis(self, settled_until: float, *, closing: bool = False) -> Hypothesis:
        finals = tuple(
            word for word in self.words() if self.settled_until < word.end <= settled_until + 1e-9
        )
        if finals:
            self.settled_until = finals[-1].end
        partials = None
        if self.partials:
            guess = tuple(
                Word(word.text, word.start, min(word.end, self.now), word.confidence, word.voice)
                for word in self.words()
                if word.end > self.settled_until and word.start < self.now
            )
            if guess != self.last_partials:
                self.last_partials = partials = guess
        self.needs_end = bool(finals) or self.needs_end
        ended = closing and (self.needs_end if self.late_marks else bool(finals))
        if ended:
            self.needs_end = False
        return Hypothesis(finals, partials, ends_utterance=ended)

    @property
    def quiet_since(self) -> Optional[float]:
        past = 0.0
        for word in self.words():
            if word.start < self.now < word.end:
                return None
            if word.end <= self.now:
                past = word.end
        return past

    def listen(self, frame: Samples) -> None:
        """Look for words in the audio."""

    def words(self) -> Sequence[Word]:
        """Return the words begun so far, in order; those settled long ago may be missing."""
        raise NotImplementedError


class Scripted(_Timed):
    def __init__(self, script: Sequence[Word], delay: float, **options: bool) -> None:
        super().__init__(delay, **options)
        self._script = script
        self._first = 0

    def listen(self, frame: Samples) -> None:
        # Skip settled words, so that a long script does not take ever longer.
        while (
            self._first + 1 < len(self._script)
            and self._script[self._first + 1].end <= self.settled_until
        ):
            self._first += 1

    def words(self) -> Sequence[Word]:
        last = self._first
        while last < len(self._script) and self._script[last].start < self.now:
            last += 1
        return self._script[self._first : last]


def _in_order(script: Iterable[Union[Word, tuple[str, float, float]]]) -> tuple[Word, ...]:
    words = [word if isinstance(word, Word) else Word(*word) for word in script]
    return tuple(sorted(words, key=lambda word: word.start))


class ScriptedRecognizer(Recognizer):
    """Hears the same words at the same times in every session, whatever the audio is.

    Args:
        words: Words, or tuples of text, start and end in seconds; or a mapping from channel labels
            to such words. A channel that is not in the mapping, or a session without channels,
            then has no words.
        delay: Seconds of audio after which a word is final, up to the session's ``max_delay``.
        service_finals: Send finals as the service does where programs stumble: without results at
            the end of an utterance or the audio if nothing is left to say, and with a full stop
            alone. A `PocketsphinxRecognizer` always does.

    Example:
        >>> recognizer = ScriptedRecognizer([("hello", 0.2, 0.6), ("world", 0.7, 1.1)])
        >>> server = LocalServer(recognizer=recognizer)
        >>> by_channel = ScriptedRecognizer(
        ...     {"agent": [("hello", 0.2, 0.6)], "customer": [("hi", 0.8, 1.0)]}
        ... )
    """

    def __init__(
        self,
        words: Union[
            Iterable[Union[Word, tuple[str, float, float]]],
            Mapping[str, Iterable[Union[Word, tuple[str, float, float]]]],
        ],
        *,
        delay: float = 0.0,
        service_finals: bool = True,
    ) -> None:
        self._script: tuple[Word, ...] = ()
        self._scripts: Optional[dict[str, tuple[Word, ...]]] = None
        if isinstance(words, Mapping):
            self._scripts = {str(channel): _in_order(script) for channel, script in words.items()}
        else:
            self._script = _in_order(words)
        self._delay = delay
        self._service_finals = service_finals

    def start(self, *, language: str, partials: bool, channel: Optional[str] = None) -> Recognition:
        script = self._script
        if self._scripts is not None and channel is not None:
            script = self._scripts.get(channel, ())
        return Scripted(script, self._delay, partials=partials, service_finals=self._service_finals)


class _Counted(_Timed):
    """Hears runs of one value as words. A whole word begins with a run of the negative value."""

    def __init__(self, delay: float, voices: Sequence[str], turn: int, **options: bool) -> None:
        super().__init__(delay, **options)
        self._voices = voices
        self._turn = turn
        self._ended: list[Word] = []
        self._value = 0
        self._whole = False
        self._begun = 0

    def listen(self, frame: Samples) -> None:
        self._ended = [word for word in self._ended if word.end >= self.settled_until]
        edges = np.flatnonzero(np.diff(frame)) + 1
        for at in [0, *edges.tolist()]:
            self._change_value(int(frame[at]), self.heard + at)

    def _change_value(self, value: int, at: int) -> None:
        if value == self._value or (value > 0 and self._value == -value):
            self._value = value
            return
        if self._value and at - self._begun >= _SHORTEST_RUN:
            self._ended.append(self._word(self._value, at))
        self._value = value
        self._whole = value < 0
        self._begun = at

    def _word(self, value: int, end: int) -> Word:
        number = abs(value)
        voice = None
        if self._voices:
            voice = self._voices[((number - 1) // self._turn) % len(self._voices)]
        text = counted_word(number) if self._whole else CLIPPED
        return Word(text, self._begun / SAMPLE_RATE, end / SAMPLE_RATE, 1.0, voice)

    def finish(self) -> Hypothesis:
        self._change_value(0, self.heard)
        return self.settle()

    def words(self) -> Sequence[Word]:
        if not self._value:
            return self._ended
        return [*self._ended, self._word(self._value, self.heard + 1)]


class CountedRecognizer(Recognizer):
    """Hears the numbers that `counted_audio` wrote into the samples, and in speech nothing.

    A word depends on the audio alone: sent again over another connection, from another place, the
    same audio gives the same word. A word whose beginning is missing is heard as ``"clipped"``.
    Audio must be ``pcm_s16le`` or ``pcm_f32le`` at 16 kHz, because resampling would change it.

    Args:
        delay: Seconds of audio after which a word is final, up to the session's ``max_delay``.
        voices: Names of voices that take turns; none by default.
        turn: How many words each turn has.
        service_finals: Send finals as the service does where programs stumble, see
            `ScriptedRecognizer`.

    Example:
        >>> with LocalServer(recognizer=CountedRecognizer()) as server:
        ...     client = Client(url=server.url)
        ...     print(client.transcribe(counted_audio(3), audio_format=audio_format).text)
        w1 w2 w3.
    """

    def __init__(
        self,
        *,
        delay: float = 0.0,
        voices: Sequence[str] = (),
        turn: int = 5,
        service_finals: bool = True,
    ) -> None:
        self._delay = delay
        self._service_finals = service_finals
        self._voices = tuple(voices)
        self._turn = turn

    def start(self, *, language: str, partials: bool, channel: Optional[str] = None) -> Recognition:
        return _Counted(
            self._delay,
            self._voices,
            self._turn,
            partials=partials,
            service_finals=self._service_finals,
        )


def counted_word(number: int) -> str:
    """Return the word that `CountedRecognizer` hears for a number.

    Example:
        >>> counted_word(7)
        'w7'
    """
    return f"w{number}"


def counted_audio(count: int, *, first: int = 1, period: float = 0.5) -> bytes:
    """Return audio in which `CountedRecognizer` hears ``w1``, ``w2``, ``w3`` and so on.

    Args:
        count: How many words.
        first: The number of the first word, from 1; the highest number is 32767.
        period: Seconds from word to word, the last tenth of a second of which is silent.

    Returns:
        ``pcm_s16le`` at 16 kHz, ``count`` times ``period`` seconds long.

    Example:
        >>> len(counted_audio(10, period=0.5))
        160000
    """
    if first < 1 or first + count - 1 > 32767:
        raise ValueError(f"numbers must be from 1 to 32767, not {first} to {first + count - 1}")
    length = round(period * SAMPLE_RATE)
    onset = round(_ONSET_SECONDS * SAMPLE_RATE)
    gap = round(_GAP_SECONDS * SAMPLE_RATE)
    if length <= onset + gap:
        raise ValueError(f"period is {period}; it must be more than 0.12 seconds")
    shape = np.ones(length, dtype=np.int32)
    shape[:onset] = -1
    shape[-gap:] = 0
    numbers = np.arange(first, first + count, dtype=np.int32)
    return (numbers[:, np.newaxis] * shape).astype("<i2").tobytes()
