"""What captions never do, whatever is said."""

from __future__ import annotations

import itertools
import math
from typing import Any, Optional

from hypothesis import given
from hypothesis import strategies as st
from support.fuzzing import examples
from support.transcripts import final, mark, result, transcript

from speechmatics_sync import Captions, Transcript

ALPHABETS = {None: "nm", "x": "xw", "y": "yv"}
"""What is said on a channel has its own letters, so that captions show where each word is from."""


def spoken(draw: st.DrawFn, *, channel: Any, most: int, usual: bool) -> list[dict[str, Any]]:
    """The results of one channel, with the times of people or with any times at all."""
    results: list[dict[str, Any]] = []
    now = draw(st.floats(0, 3))
    alphabet = ALPHABETS[channel]
    for _ in range(draw(st.integers(1, most))):
        length = draw(st.integers(1, 16))
        word = draw(st.text(alphabet, min_size=length, max_size=length))
        speaker = draw(st.sampled_from(["S1", "S1", "S1", "S2"]))
        if usual:
            now += draw(st.sampled_from([0.0, 0.0, 0.0, 0.1, 0.4, 1.2, 2.0]))
            end = now + length / draw(st.floats(8, 20))
        else:
            now, end = draw(st.floats(0, 9)), draw(st.floats(0, 30))
        results.append(result(word, round(now, 3), round(end, 3), speaker=speaker, language="en"))
        if draw(st.integers(0, 4)) == 0:
            sign = draw(st.sampled_from([".", ",", "?"]))
            results.append(mark(sign, round(end, 3), speaker=speaker, is_eos=sign != ","))
        now = end
    return results


@st.composite
def transcripts(draw: st.DrawFn, *, usual: bool, channels: Any, most: int) -> Transcript:
    labels = draw(st.sampled_from(channels))
    return transcript(
        *(
            final(*spoken(draw, channel=label, most=most, usual=usual), channel=label)
            if label is not None
            else final(*spoken(draw, channel=None, most=most, usual=usual))
            for label in labels
        )
    )


shapes = st.fixed_dictionaries(
    {
        "max_line_length": st.integers(1, 45),
        "max_lines": st.integers(1, 3),
        "speaker_labels": st.sampled_from([None, True, False, {"S1": "Ada Lovelace"}]),
    }
)

CHANNELS = [(None,), ("x",), ("x", "y")]


@examples(150)
@given(transcripts(usual=False, channels=CHANNELS, most=25), shapes)
def test_no_word_is_lost_or_twice_or_out_of_order_and_no_two_are_shown_at_once(
    said: Transcript, shape: Any
) -> None:
    captions = said.captions(**shape)
    shown = "".join(
        captions.text for captions in said.captions(**{**shape, "speaker_labels": False})
    )
    for alphabet in ALPHABETS.values():
        words = "".join(word.content for word in said.words if word.content[0] in alphabet)
        assert "".join(letter for letter in shown if letter in alphabet) == words
    for before, after in zip(captions, captions[1:]):
        assert after.start_time - before.end_time > 0.083
    for caption in captions:
        assert 0.19 < caption.end_time - caption.start_time < 7.001
        assert 1 <= len(caption.lines) <= shape["max_lines"]
        assert all(caption.lines)
    report = captions.report()
    assert report.broken["lines"] == report.broken["gap"] == report.broken["overlap"] == 0
    assert report.unavoidable["line_length"] == report.broken["line_length"]


@examples(150)
@given(transcripts(usual=True, channels=CHANNELS, most=25), shapes)
def test_of_usual_speech_no_rule_is_broken_that_the_words_allow(
    said: Transcript, shape: Any
) -> None:
    report = said.captions(**shape).report()
    assert report.avoidable == 0, report


def reads_well(words: list[Any], following: Optional[Any]) -> bool:
    """Whether these words can make a caption, by its times, its length and its speed."""
    start, end = (round(time * 1000) for time in (words[0].start_time, words[-1].end_time))
    width = len(" ".join(word.content for word in words))
    shown = min(end + 500, math.inf if following is None else following.start_time * 1000 - 84)
    shown = round(shown - start)
    return width <= 30 and shown >= 834 and end - start <= 7000 and width * 1000 <= 17 * shown


@examples(200)
@given(st.data())
def test_if_words_can_be_split_without_a_fault_they_are(data: st.DataObject) -> None:
    """Every split of a few words is tried."""
    results, now = [], 0.0
    for _ in range(data.draw(st.integers(1, 8))):
        length = data.draw(st.integers(1, 12))
        now += data.draw(st.sampled_from([0.0, 0.0, 0.2, 0.6, 1.0]))
        end = now + length / data.draw(st.sampled_from([9, 14, 20, 26]))
        results.append(result("w" * length, round(now, 3), round(end, 3)))
        now = end
    said = transcript(final(*results))
    words = said.words
    captions: Captions = said.captions(max_line_length=30, max_lines=1)
    for cuts in itertools.product([False, True], repeat=len(words) - 1):
        ends = [at + 1 for at, cut in enumerate(cuts) if cut] + [len(words)]
        starts = [0, *ends[:-1]]
        if all(
            reads_well(words[start:end], words[end] if end < len(words) else None)
            for start, end in zip(starts, ends)
        ):
            assert not captions.report().faults
            break
    else:
        assert captions.report().faults
