"""`Transcript.plot`, with matplotlib."""

from __future__ import annotations

import io
import math
import wave
from array import array
from pathlib import Path
from typing import Any

import pytest
from support.places import ROOT
from support.transcripts import final, result, transcript

from speechmatics_sync import AudioError, ConfigurationError, Transcript, open_audio

pytest.importorskip("matplotlib")

CALL = ROOT / "examples" / "audio" / "call.wav"


@pytest.fixture(scope="module", autouse=True)
def _fonts() -> None:
    """matplotlib keeps the files of its fonts open once it has drawn."""
    Transcript().plot(wav()).savefig(io.BytesIO(), format="svg")


def said() -> Transcript:
    sure, unsure = result("sure", 1, 2), result("$unsure$", 3, 4)
    unsure["alternatives"][0]["confidence"] = 0.1
    made = transcript(final(sure, channel="agent"), final(unsure, channel="customer"))
    made.add_gap(5.0, 6.0)
    return made


def wav(*, channels: int = 1, rate: int = 8000) -> bytes:
    """A second of silence, then one of a tone."""
    tone = array("h", (round(20000 * math.sin(at / 3)) for at in range(rate)))
    samples = array("h", [0]) * rate + tone
    frames = array("h", (sample for sample in samples for _ in range(channels)))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(frames.tobytes())
    return buffer.getvalue()


def loud_from(figure: Any) -> float:
    """The second in which the sound of a figure begins."""
    (area,) = figure.axes[0].collections
    return min(x for x, y in area.get_paths()[0].vertices if abs(y) > 1000)


def test_words_stand_in_the_rows_of_their_speakers_lighter_if_less_certain() -> None:
    figure = said().plot()
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["agent", "customer"]
    agent, customer = axes.collections
    assert customer.get_facecolor()[0][3] < agent.get_facecolor()[0][3]
    assert [text.get_text() for text in axes.texts] == ["sure", r"\$unsure\$"]
    assert axes.get_xlim() == (0.0, 4.0)


def test_a_long_span_is_drawn_without_writing() -> None:
    made = transcript(*(final(result(f"w{at}", at, at + 0.5)) for at in range(9000)))
    figure = made.plot()
    assert len(figure.axes[0].texts) == 0
    assert len(figure.axes[0].collections) == 1
    assert len(made.plot(start_time=100, end_time=110).axes[0].texts) == 11


@pytest.mark.parametrize("channels", [1, 2])
def test_the_sound_is_drawn_where_it_is(channels: int, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(channels=channels))
    with path.open("rb") as file:
        for audio in (path, str(path), path.read_bytes(), file):
            figure = said().plot(audio)
            assert loud_from(figure) == pytest.approx(1.0, abs=0.02)
            assert figure.axes[1].get_xlim() == (0.0, 4.0)
        assert not file.closed


def test_sound_that_is_no_wav_file_is_decoded(tmp_path: Path) -> None:
    pytest.importorskip("av")
    from support.audio.encoded import encode

    samples = wav(rate=16000)[44:]
    (tmp_path / "a.mp3").write_bytes(encode(samples, "mp3", "mp3"))
    mulaw = encode(samples, "wav", "pcm_mulaw")
    with open_audio(tmp_path / "a.mp3") as decoded:
        for audio in (tmp_path / "a.mp3", mulaw, decoded):
            assert loud_from(Transcript().plot(audio)) == pytest.approx(1.0, abs=0.15)


def test_what_cannot_be_drawn_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing to plot"):
        Transcript().plot()
    with pytest.raises(ConfigurationError, match="ends after it begins"):
        said().plot(start_time=4, end_time=4)
    for wrong in ("10", float("inf")):
        with pytest.raises(ConfigurationError, match=r"end_time is .* a finite number"):
            said().plot(end_time=wrong)  # type: ignore[arg-type]
    with pytest.raises(AudioError, match="embedded null byte"):
        said().plot("a\0b.wav")
    with pytest.raises(AudioError, match=r"'missing\.wav' cannot be read"):
        said().plot("missing.wav")
    with pytest.raises(AudioError):
        said().plot(b"RIFF....WAVEno")
    with pytest.raises(AudioError):
        said().plot(5)


def test_no_figure_is_kept_and_the_example_is_drawn() -> None:
    from matplotlib import pyplot

    figure = said().plot(CALL)
    assert pyplot.get_fignums() == []
    picture = io.BytesIO()
    figure.savefig(picture, format="svg")
    assert b"<svg" in picture.getvalue()
