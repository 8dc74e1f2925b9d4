"""Recognises English speech on this machine with PocketSphinx and the model in its wheel.

How a channel is recognised:

- PocketSphinx's endpointer tells speech from silence. An utterance is open from a little before
  speech begins until a pause, and its audio is kept.
- Finals come from decoding the kept audio once more, after computing its cepstral mean. A decoder
  that runs along with the audio must guess the mean of a voice it has not heard yet, which costs
  accuracy (measured on read speech: 12 of 35 words wrong instead of 8).
- Speech longer than `max_delay` is decoded in pieces. Words in the last moment of a piece are
  not final yet, because they may be incomplete. Each piece begins two words before the last final,
  as context for the language model; a word whose middle lies in settled audio is not repeated.
  With a `max_delay` below one second a word may be some tenths of a second late, when it was first
  taken for the beginning of a longer word.
- Partials come from a decoder that runs along with the audio and makes only its first, fast pass.

The decoder for finals keeps no state between calls, so all sessions share one. Each channel with
partials has a decoder for them; idle ones are kept for later sessions.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Optional

import pocketsphinx  # type: ignore[import-untyped]

from ._recognizer import FRAME_SAMPLES, SAMPLE_RATE, Hypothesis, Recognition, Recognizer, Word

if TYPE_CHECKING:
    from ._recognizer import Samples

__all__ = ["PocketsphinxRecognizer"]

_FRAME_SECONDS = FRAME_SAMPLES / SAMPLE_RATE
_BYTES_PER_SECOND = 2 * SAMPLE_RATE
_PIECE_BYTES = 960
_PAUSE_SECONDS = 0.6
"""A silence of this length ends an utterance."""
_PREROLL_SECONDS = 0.6
"""How much audio before speech is detected belongs to the utterance: detection is late, and
decoding works better after some silence."""
_TAIL_SECONDS = 0.25
"""How much of a pause belongs to the utterance before it; the rest may begin the next one."""
_GUARD_SECONDS = 0.4
"""A word that ends this shortly before the end of a piece may be incomplete, and is not final."""
_MARGIN_SECONDS = 0.2
"""How long before `max_delay` to decode: the end of a word is not known more exactly, and
resampling delays audio by up to 70 ms."""
_RETRY_SECONDS = 0.2
_CONTEXT_WORDS = 2
_CONTEXT_SECONDS = 0.05
_KEPT_SECONDS = 8.0
_KNOWN_SECONDS = 4.0
_MEAN_SECONDS = 2.0
_PARTIAL_SECONDS = 0.3
_MAX_PARTIAL_SECONDS = 20.0
"""When to restart the decoder for partials: its memory grows with the length of an utterance."""

# The mean that the bundled model was trained with, used until that of the voice is known.
_MODEL_MEAN = "41.00,-5.29,-0.12,5.09,2.48,-4.07,-1.37,-1.78,-5.08,-2.05,-6.45,-1.42,1.17"
_MEAN_SEARCH = "cepstral mean"


class _Decoder:
    """A PocketSphinx decoder that hears one utterance at a time, whatever is called when.

    PocketSphinx itself ends the process if it is given audio after the end of an utterance, and
    refuses to begin one while another is open.

    Attributes:
        sphinx: PocketSphinx's own decoder.
        offset: Where the utterance begins, in seconds.
    """

    def __init__(self, **options: Any) -> None:
        self.sphinx = pocketsphinx.Decoder(loglevel="FATAL", **options)
        self.offset = 0.0
        self._open = False

    def begin(self, offset: float = 0.0, mean: Optional[str] = None) -> None:
        """Begin an utterance; end the one that is open."""
        self.end()
        self.offset = offset
        # The front end would carry its last sample and its noise estimate over from the utterance
        # before, and the words of one session must not depend on those of another.
        self.sphinx.reinit_feat()
        if mean is not None:
            self.sphinx.set_cmn(mean)
        self.sphinx.start_utt()
        self._open = True

    def hear(self, audio: bytes, *, whole: bool = False) -> None:
        """Process audio of the open utterance, or all of it at once; ignore it if none is open."""
        # In small pieces: the decoder holds the GIL while it processes one.
        size = max(1, len(audio)) if whole else _PIECE_BYTES
        for at in range(0, len(audio) if self._open else 0, size):
            self.sphinx.process_raw(audio[at : at + size], full_utt=whole)

    def end(self) -> None:
        """End the open utterance, if any."""
        if self._open:
            self._open = False
            self.sphinx.end_utt()

    def words(self, voice: str) -> list[Word]:
        """Return the words heard, without fillers and marks of pronunciations."""
        words = []
        for segment in self.sphinx.seg() or ():
            if segment.word.startswith(("<", "[", "++")):
                continue
            words.append(
                Word(
                    text=segment.word.partition("(")[0],
                    start=self.offset + segment.start_frame / 100,
                    end=self.offset + (segment.end_frame + 1) / 100,
                    confidence=min(1.0, max(0.0, segment.prob)),
                    voice=voice,
                )
            )
        return words


class _FinalDecoder(_Decoder):
    """Decodes a whole piece of audio, independently of any other."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._search = self.sphinx.current_search()
        # PocketSphinx only computes features for a search; that for one phrase is the cheapest.
        self.sphinx.add_keyphrase(_MEAN_SEARCH, "forward")

    def mean(self, audio: bytes) -> str:
        """Return the cepstral mean of `audio`, as the decoder writes it."""
        with self._lock:
            self.end()  # still open if an exception came in between
            self.sphinx.activate_search(_MEAN_SEARCH)
            self.begin()
            self.hear(audio, whole=True)
            self.end()
            return str(self.sphinx.get_cmn(False))

    def decode(self, audio: bytes, offset: float, voice: str, mean: str) -> list[Word]:
        """Return the words in `audio`, which begins at `offset` seconds."""
        with self._lock:
            self.end()
            self.sphinx.activate_search(self._search)
            self.begin(offset, mean)
            self.hear(audio)
            self.end()
            return self.words(voice)


class _PartialDecoder(_Decoder):
    """Decodes an utterance while it is spoken, fast and less accurately."""

    def __init__(self) -> None:
        super().__init__(fwdflat=False, bestpath=False, maxhmmpf=3000)

    def words(self, voice: str) -> list[Word]:
        return super().words(voice) if self.sphinx.hyp() else []


class _Sphinx(Recognition):
    """Recognises one channel. All times are seconds from its first sample."""

    def __init__(self, recognizer: PocketsphinxRecognizer, final_decoder: _FinalDecoder) -> None:
        self._recognizer = recognizer
        self._final_decoder = final_decoder
        self._partial_decoder: Optional[_PartialDecoder] = None
        self._endpointer = pocketsphinx.Endpointer(
            sample_rate=SAMPLE_RATE, frame_length=_FRAME_SECONDS
        )
        self._heard = 0
        self._preroll: deque[bytes] = deque(maxlen=round(_PREROLL_SECONDS / _FRAME_SECONDS))
        self._mean = _MODEL_MEAN
        self._mean_at = 0.0
        self._past = b""
        self._settled = 0.0
        # Of the open utterance: its audio, which begins at `_base`, the last settled words in it,
        # and when its first unsettled word ends, as far as is known.
        self._open = False
        self._audio = bytearray()
        self._base = 0.0
        self._context: list[Word] = []
        self._needs_end = False
        self._pending_end = 0.0
        self._retry_at = 0.0
        self._next_partial = 0.0
        self._last_partials: tuple[Word, ...] = ()

    @property
    def _now(self) -> float:
        return self._heard / SAMPLE_RATE

    @property
    def quiet_since(self) -> Optional[float]:
        return None if self._endpointer.in_speech else float(self._endpointer.speech_end)

    def feed(self, frame: Samples) -> Hypothesis:
        audio = frame.astype("<i2").tobytes()
        self._heard += len(frame)
        if not self.partials:
            self._release()  # the client may have turned them off
        if len(frame) == FRAME_SAMPLES:  # the endpointer only takes whole frames
            self._endpointer.process(audio)
        if not self._open:
            self._preroll.append(audio)
            if not self._endpointer.in_speech:
                return Hypothesis()
            self._open_utterance()
        else:
            self._audio += audio
            if self._partial_decoder is not None:
                self._partial_decoder.hear(audio)
        quiet = self.quiet_since
        if quiet is not None and self._now - quiet >= _PAUSE_SECONDS:
            return self._end_utterance(quiet)
        if self._now >= max(self._retry_at, self._pending_end + self.max_delay - _MARGIN_SECONDS):
            return self._settle_complete()
        return Hypothesis(partials=self._partials())

    def settle(self, until: Optional[float] = None) -> Hypothesis:
        if not self._open:
            return Hypothesis()
        quiet = self.quiet_since
        if until is None and quiet is not None:
            return self._end_utterance(quiet)
        finals = self._decode()
        if until is not None:
            finals = [word for word in finals if (word.start + word.end) / 2 <= until]
        self._note_finals(finals)
        if until is None:
            self._settled = self._pending_end = max(self._settled, self._now)
        ended = self._needs_end
        self._needs_end = False
        return Hypothesis(tuple(finals), (), ends_utterance=ended)

    def finish(self) -> Hypothesis:
        return self._end_utterance() if self._open else Hypothesis()

    def close(self) -> None:
        self._release()

    def _release(self) -> None:
        """Give the decoder for partials back, if there is one."""
        if self._partial_decoder is not None:
            self._partial_decoder.end()
            self._recognizer._return(self._partial_decoder)
            self._partial_decoder = None

    def _open_utterance(self) -> None:
        self._open = True
        self._audio = bytearray(b"".join(self._preroll))
        self._preroll.clear()
        self._base = self._now - len(self._audio) / _BYTES_PER_SECOND
        self._context = []
        self._needs_end = False
        self._last_partials = ()
        self._pending_end = self._base
        self._retry_at = 0.0
        self._next_partial = self._now
        if self.partials:
            self._restart_partials()

    def _restart_partials(self) -> _PartialDecoder:
        """Start the decoder for partials again, from the context on."""
        if self._partial_decoder is None:
            self._partial_decoder = self._recognizer._borrow()
        start, audio = self._from_context()
        self._partial_decoder.begin(start, self._mean)
        self._partial_decoder.hear(audio)
        return self._partial_decoder

    def _end_utterance(self, quiet_since: Optional[float] = None) -> Hypothesis:
        """Settle the whole utterance, and close it."""
        if quiet_since is not None:
            self._move_pause(quiet_since + _TAIL_SECONDS)
        finals = self._decode()
        self._note_finals(finals)
        ended = self._needs_end
        self._open = False
        self._past = (self._past + bytes(self._audio))[-round(_KEPT_SECONDS * _BYTES_PER_SECOND) :]
        self._settled = max(self._settled, self._base)
        self._audio = bytearray()
        if self._partial_decoder is not None:
            self._partial_decoder.end()
        return Hypothesis(tuple(finals), (), ends_utterance=ended)

    def _move_pause(self, end: float) -> None:
        """Move the audio after `end` to the next utterance."""
        frame_bytes = 2 * FRAME_SAMPLES
        frames = int((self._now - end) / _FRAME_SECONDS)
        first = max(0, len(self._audio) - frames * frame_bytes)
        for at in range(first, len(self._audio), frame_bytes):
            self._preroll.append(bytes(self._audio[at : at + frame_bytes]))
        del self._audio[first:]

    def _settle_complete(self) -> Hypothesis:
        """Settle the words that are complete, within an utterance."""
        complete = self._now - min(_GUARD_SECONDS, self.max_delay / 2)
        words = self._decode()
        finals = [word for word in words if word.end <= complete]
        self._note_finals(finals)
        # The next word may end earlier than it seems; one not heard yet ends later.
        self._pending_end = words[len(finals)].end if len(words) > len(finals) else self._now
        self._retry_at = self._now + _RETRY_SECONDS
        self._trim()
        if not self.partials:
            return Hypothesis(tuple(finals))
        if (
            self._partial_decoder is None
            or self._now - self._partial_decoder.offset > _MAX_PARTIAL_SECONDS
        ):
            self._restart_partials()
        self._next_partial = self._now
        return Hypothesis(tuple(finals), self._partials())

    def _decode(self) -> list[Word]:
        """Return the words of the utterance that are not settled yet."""
        start, audio = self._from_context()
        words = self._final_decoder.decode(
            audio, start, self._recognizer._voice, self._voice_mean()
        )
        return [word for word in words if (word.start + word.end) / 2 > self._settled]

    def _voice_mean(self) -> str:
        """Return the cepstral mean of the last seconds of speech, computed now and then."""
        known = len(self._past) + len(self._audio) >= _KNOWN_SECONDS * _BYTES_PER_SECOND
        if not known or self._now - self._mean_at >= _MEAN_SECONDS:
            spoken = self._past + bytes(self._audio)
            self._mean = self._final_decoder.mean(
                spoken[-round(_KEPT_SECONDS * _BYTES_PER_SECOND) :]
            )
            self._mean_at = self._now
        return self._mean

    def _from_context(self) -> tuple[float, bytes]:
        start = self._base
        if len(self._context) == _CONTEXT_WORDS:
            start = max(start, self._context[0].start - _CONTEXT_SECONDS)
        first = round((start - self._base) * SAMPLE_RATE)
        return self._base + first / SAMPLE_RATE, bytes(self._audio[2 * first :])

    def _note_finals(self, finals: list[Word]) -> None:
        if finals:
            self._context = [*self._context, *finals][-_CONTEXT_WORDS:]
            self._settled = finals[-1].end
            self._needs_end = True

    def _trim(self) -> None:
        """Discard audio of the utterance that will not be decoded again."""
        surplus = round((self._now - self._base - _KEPT_SECONDS) * SAMPLE_RATE)
        if surplus > 0:
            del self._audio[: 2 * surplus]
            self._base += surplus / SAMPLE_RATE

    def _partials(self) -> Optional[tuple[Word, ...]]:
        if not self.partials or self._now < self._next_partial:
            return None
        partial_decoder = self._partial_decoder or self._restart_partials()
        self._next_partial = self._now + _PARTIAL_SECONDS
        guess = tuple(
            word
            for word in partial_decoder.words(self._recognizer._voice)
            if (word.start + word.end) / 2 > self._settled
        )
        if guess == self._last_partials:
            return None
        self._last_partials = guess
        return guess


class PocketsphinxRecognizer(Recognizer):
    """Recognises English speech, with no network and no key.

    It tells no voices apart: with speaker diarization there is one speaker. ``additional_vocab``
    is accepted but not used.

    Args:
        idle_decoders: How many decoders for partials (some 90 MB each) to keep for later sessions.

    Example:
        >>> server = LocalServer(recognizer=PocketsphinxRecognizer())
    """

    languages = frozenset({"en"})
    description = "English"
    _voice = "pocketsphinx"

    def __init__(self, *, idle_decoders: int = 2) -> None:
        self._idle_decoders = idle_decoders
        self._lock = threading.Lock()  # guards the two below
        self._final_decoder: Optional[_FinalDecoder] = None
        self._idle: list[_PartialDecoder] = []

    def start(self, *, language: str, partials: bool, channel: Optional[str] = None) -> Recognition:
        with self._lock:
            if self._final_decoder is None:
                self._final_decoder = _FinalDecoder()
            final_decoder = self._final_decoder
        recognition = _Sphinx(self, final_decoder)
        if partials:
            recognition.partials = True
            if channel is None:
                # Load it before the session starts; with channels, only once one of them speaks.
                recognition._partial_decoder = self._borrow()
        return recognition

    def close(self) -> None:
        with self._lock:
            self._final_decoder = None
            self._idle.clear()

    def _borrow(self) -> _PartialDecoder:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return _PartialDecoder()

    def _return(self, decoder: _PartialDecoder) -> None:
        with self._lock:
            if self._final_decoder is not None and len(self._idle) < self._idle_decoders:
                self._idle.append(decoder)
