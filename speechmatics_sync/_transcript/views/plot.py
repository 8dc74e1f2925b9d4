"""A transcript as a picture: the sound, and below it who said what and how certain that is."""

from __future__ import annotations

import io
import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Optional

from ..._audio.file_objects import path_error
from ..._audio.open_audio import open_audio
from ..._audio.wav_reader import WavReader
from ..._model.audio_format import AudioEncoding, AudioFormat
from ..._model.checks import number, optional
from ..._model.settings import argument
from ...errors import AudioError, ConfigurationError, SpeechmaticsError
from ..speaker_names import who_says
from .page import lanes_of

if TYPE_CHECKING:
    from ..transcript import Transcript

__all__ = ["plot_of"]

_STEPS = 100
"""How many times a second the sound is drawn."""

_READ = 1 << 18

_WRITTEN_SECONDS = 30.0
"""Longest span in which words are written; in a longer one they would cover each other."""

_time = optional(number(unit="seconds"))


def plot_of(
    transcript: Transcript, audio: Any, start_time: Optional[float], end_time: Optional[float]
) -> Any:
    """Return what `Transcript.plot` does."""
    try:
        from matplotlib.colors import to_rgba  # type: ignore[import-not-found,unused-ignore]
        from matplotlib.figure import Figure  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise ConfigurationError("plot needs matplotlib: pip install matplotlib") from None
    times, low, high = ([], [], []) if audio is None else _envelope(audio)
    turns = transcript.turns
    if not turns and not len(times):
        raise ConfigurationError(
            "there is nothing to plot: the transcript has no words, and there is no audio: pass "
            "audio"
        )
    start: float = argument("start_time", start_time, _time) or 0.0
    ends = [turn.end_time for turn in turns] + ([float(times[-1])] if len(times) else [])
    last: Optional[float] = argument("end_time", end_time, _time)
    end = max(ends) if last is None else last
    if not start < end:
        raise ConfigurationError(
            f"the span to plot is {start} s to {end} s; allowed: one that ends after it begins"
        )

    class Plot(Figure):  # type: ignore[misc,unused-ignore]
        """A figure that shows itself, and that pyplot does not keep."""

        def _repr_png_(self) -> bytes:
            picture = io.BytesIO()
            self.savefig(picture, format="png", dpi=100, bbox_inches="tight")
            return picture.getvalue()

    colours = lanes_of(turns)
    lanes = {who: place for place, who in enumerate(colours)}
    height = 0.9 + 0.5 * len(lanes) + (1.2 if len(times) else 0)
    figure = Plot(figsize=(9, height), layout="constrained")
    ratios = [1.2, 0.5 * max(1, len(lanes))] if len(times) else [1]
    axes = figure.subplots(len(ratios), sharex=True, height_ratios=ratios, squeeze=False)[:, 0]
    if len(times):
        axes[0].fill_between(times, low, high, color="#808890", linewidth=0)
        axes[0].set_yticks([])
        axes[0].set_ylabel("sound")
    said = axes[-1]
    words = [
        (lanes[who_says(turn)], word)
        for turn in turns
        for word in turn.words
        if word.end_time >= start and word.start_time <= end
    ]
    for who, place in lanes.items():
        own = [word for lane, word in words if lane == place]
        said.broken_barh(
            [(word.start_time, word.end_time - word.start_time) for word in own],
            (place - 0.4, 0.8),
            facecolors=[to_rgba(colours[who], _alpha(word.confidence)) for word in own],
            edgecolors="white",
            linewidth=0.5 if end - start <= _WRITTEN_SECONDS else 0,
        )
    if end - start <= _WRITTEN_SECONDS:
        for number, (place, word) in enumerate(words):
            said.text(
                (word.start_time + word.end_time) / 2,
                place + (0.18 if number % 2 else -0.18),  # neighbours do not cover each other
                word.content.replace("$", r"\$"),  # else it begins a formula
                ha="center",
                va="center",
                fontsize=8 if end - start <= _WRITTEN_SECONDS / 2 else 6,
                clip_on=True,
            )
    for gap_start, gap_end in transcript.gaps:
        for each in axes:
            each.axvspan(gap_start, gap_end, color="red", alpha=0.15, linewidth=0)
    said.set_yticks(list(lanes.values()), [who or "words" for who in lanes])
    said.set_ylim(max(1, len(lanes)) - 0.5, -0.5)  # who spoke first is above
    said.set_xlim(start, end)
    said.set_xlabel("seconds (what is lighter is less certain)" if words else "seconds")
    return figure


def _alpha(confidence: float) -> float:
    return 0.15 + 0.6 * max(0.0, min(1.0, confidence))


def _envelope(audio: Any) -> tuple[Any, Any, Any]:
    """Return times, and the lowest and the highest sample from each to the next.

    It keeps these alone, so the length of the audio does not matter.
    """
    import numpy

    lows: list[Any] = []
    highs: list[Any] = []
    rate, left = 0, None
    for samples, rate, channels in _samples(audio):
        step = max(1, rate // _STEPS) * channels
        samples = samples if left is None else numpy.concatenate([left, samples])
        whole = len(samples) - len(samples) % step
        rows = samples[:whole].reshape(-1, step)
        lows.append(rows.min(axis=1))
        highs.append(rows.max(axis=1))
        left = samples[whole:]
    if not lows:
        return [], [], []
    low, high = numpy.concatenate(lows), numpy.concatenate(highs)
    return numpy.arange(len(low)) * (max(1, rate // _STEPS) / rate), low, high


def _samples(audio: Any) -> Iterator[tuple[Any, int, int]]:
    """Give the samples of audio as arrays, each with its rate and the number of channels in it."""
    import numpy

    kinds = {AudioEncoding.PCM_S16LE: "<i2", AudioEncoding.PCM_F32LE: "<f4"}
    held = b""
    for data, audio_format, channels in _pieces(audio):
        kind = kinds.get(AudioEncoding(audio_format.encoding)) if audio_format.encoding else None
        if kind is None:
            raise AudioError(f"plot cannot draw audio of {audio_format}; pass open_audio(…)")
        data = held + data
        whole = len(data) - len(data) % numpy.dtype(kind).itemsize
        held = data[whole:]
        yield numpy.frombuffer(data[:whole], kind), audio_format.sample_rate or 0, channels


def _pieces(audio: Any) -> Iterator[tuple[bytes, AudioFormat, int]]:
    """Give raw audio piece by piece, each with its format and the number of its channels."""
    said = getattr(audio, "audio_format", None)
    if isinstance(said, AudioFormat):
        while data := audio.read(_READ):
            yield data, said, 1
        return
    if isinstance(audio, (bytes, bytearray, memoryview)):
        audio = io.BytesIO(audio)
    if isinstance(audio, (str, os.PathLike)) and not str(audio).startswith(("http:", "https:")):
        try:
            with open(audio, "rb") as file:
                yield from _pieces(file)
        except SpeechmaticsError:  # of which some are OSErrors, and some ValueErrors
            raise
        except (OSError, ValueError) as error:  # a ValueError for a NUL
            raise path_error(audio, error) from error
    elif not (_is_wav(audio) and (yield from _wav_pieces(audio))):
        with open_audio(audio) as decoded:
            yield from _pieces(decoded)


def _is_wav(audio: Any) -> bool:
    if not hasattr(audio, "seekable") or not audio.seekable():
        return False
    beginning = audio.read(4)
    audio.seek(0)
    return beginning in (b"RIFF", b"RIFX", b"RF64", b"BW64")


def _wav_pieces(audio: Any) -> Generator[tuple[bytes, AudioFormat, int], None, bool]:
    """Give the pieces of a WAV file, which needs no library; return whether it was one for that."""
    reader = WavReader()
    while True:
        read = audio.read(_READ)
        data = reader.feed(read) if read else reader.end()
        if reader.audio_format is not None:
            if reader.audio_format.encoding is AudioEncoding.MULAW:
                audio.seek(0)
                return False
            yield data, reader.audio_format, reader.channels or 1
        if not read:
            return True
