"""Captions as files: what another program reads is what was said."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pysubs2
import pytest
import srt
import webvtt
from hypothesis import example, given
from hypothesis import strategies as st
from support.fuzzing import examples
from support.places import ROOT
from support.speech import TEXT, Voice
from support.transcripts import final, result, transcript

from speechmatics_sync import Caption, CaptionFile, Captions

INVISIBLE = str.maketrans("", "", "\u2060\u200f")
"""What is put in for players: it has no width."""


def saying(*words: str) -> Captions:
    """The captions of words that are a second apart."""
    results = [result(word, at, at + 0.9) for at, word in enumerate(words)]
    return transcript(final(*results)).captions() if results else transcript().captions()


WORDS = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12),
        st.sampled_from(
            ["AT&T", "&amp;", "a<b", "<i>", "</i>", "c>d", "-->", "--", ">", "1", "{\\an8}", "\\N"]
        ),
        st.sampled_from(["WEBVTT", "NOTE", "STYLE", "00:00:01,000", "00:00:01.000", "<v", "Bob>"]),
        st.sampled_from(["שלום", "مرحبا", "'quoted'", "…", "«", "{x}", "<!--", "&nbsp;", "&#60;"]),
    ),
    max_size=12,
)


@examples(200)
@given(WORDS)
@example(["<i>", "x", "</i>"])
@example(["00:00:01,000", "-->", "00:00:02,000"])
@example(["1", "00:00:01,000", "-->"])
def test_what_others_read_in_srt_is_what_was_said(words: list[str]) -> None:
    captions = saying(*words)
    read = list(srt.parse(captions.to_srt()))
    assert [each.index for each in read] == list(range(1, len(captions) + 1))
    for cue, caption in zip(read, captions):
        assert cue.start.total_seconds() == pytest.approx(caption.start_time, abs=1e-6)
        assert cue.end.total_seconds() == pytest.approx(caption.end_time, abs=1e-6)
        assert cue.content.translate(INVISIBLE) == caption.text


@examples(200)
@given(WORDS)
@example(["<v", "Bob>", "-->", "&amp;"])
def test_what_others_read_in_webvtt_is_what_was_said(words: list[str]) -> None:
    # pysubs2 takes a number in the last line for that of the next cue, and a line with two times
    # for the times of one.
    captions = saying(*(word for word in words if not word[0].isdigit()))
    read = pysubs2.SSAFile.from_string(captions.to_vtt(), format_="vtt")
    assert [(each.start / 1000, each.end / 1000) for each in read] == [
        (each.start_time, each.end_time) for each in captions
    ]
    for cue, caption in zip(read, captions):
        assert html.unescape(cue.text).translate(INVISIBLE) == caption.text.replace("\n", "\\N")


@examples(100)
@given(WORDS)
def test_no_line_holds_what_the_formats_give_a_meaning(words: list[str]) -> None:
    captions = saying(*words)
    times = re.compile(r"\d\d:\d\d:\d\d[.,]\d{3} --> \d\d:\d\d:\d\d[.,]\d{3}")
    _, *vtt = captions.to_vtt().split("\n")
    srt_file = captions.to_srt().split("\n")
    assert [line for line in vtt if re.search("<|>", line) and not times.fullmatch(line)] == []
    assert [line for line in srt_file if "-->" in line and not times.fullmatch(line)] == []
    assert not re.search(r"<\w[^<>\n]*>|</\w|\{\\|\\[Nnh]", "\n".join(srt_file))


def test_the_files_are_as_the_formats_want_them() -> None:
    captions = saying("Tom", "&", "<b>", "x</b>")
    assert captions.to_srt() == "1\n00:00:00,000 --> 00:00:03,900\nTom & <\u2060b> x<\u2060/b>\n"
    assert captions.to_vtt() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:03.900\nTom &amp; &lt;b&gt; x&lt;/b&gt;\n"
    )
    assert len(webvtt.from_string(captions.to_vtt(), strict=True)) == 1


def test_no_words_make_files_without_captions() -> None:
    assert saying().to_srt() == ""
    assert saying().to_vtt() == "WEBVTT\n"


def test_hours_are_counted() -> None:
    captions = transcript(final(result("late", 100 * 3600 + 61.5, 100 * 3600 + 62.5))).captions()
    assert "100:01:01,500 --> 100:01:02,500" in captions.to_srt()
    assert "100:01:01.500 --> 100:01:02.500" in captions.to_vtt()


def test_a_line_from_right_to_left_shows_it_at_both_ends() -> None:
    captions = transcript(
        final(result("IBM", 0, 1), result("שלום", 1, 2), result("עולם!", 2, 3))
    ).captions()
    assert captions[0].lines == ("IBM שלום עולם!",)
    for text in (captions.to_srt(), captions.to_vtt()):
        assert "\n\u200fIBM שלום עולם!\u200f\n" in text
    assert "\u200f" not in saying("IBM", "שלום", "machines").to_srt()


def test_transcripts_write_them_with_the_same_arguments() -> None:
    said = transcript(final(*Voice(1).say(TEXT)))
    for shape in ({"max_line_length": 42}, {"max_lines": 1}, {"speaker_labels": {"S1": "x"}}):
        options: Any = shape
        assert said.to_srt(**options) == said.captions(**options).to_srt()
        assert said.to_vtt(**options) == said.captions(**options).to_vtt()


@pytest.mark.parametrize("method", ["to_srt", "to_vtt"])
def test_without_the_extra_it_says_which_one(method: str) -> None:
    code = (
        "import sys; sys.modules['webvtt'] = None\n"
        "import speechmatics_sync as s\n"
        f"try: s.Transcript().{method}()\n"
        "except s.ConfigurationError as error: print(error)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert ran.stdout.strip() == (
        'writing captions needs webvtt-py: pip install "speechmatics-sync[captions]".'
    )


def test_times_go_on_beyond_an_hour() -> None:
    captions = transcript(final(result("late", 3599.5, 3661.25))).captions()
    assert "00:59:59,500 --> 01:01:01,250" not in captions.to_srt()  # none is shown that long
    assert "00:59:59,500 --> 01:00:06,500" in captions.to_srt()
    assert "00:00:59,999" in transcript(final(result("late", 57.5, 59.999))).captions().to_srt()
    later = transcript(final(result("late", 10_799.0, 10_801.25))).captions()
    assert "02:59:59.000 --> 03:00:01.250" in later.to_vtt()


@pytest.mark.parametrize(
    ("line", "before", "after"),
    [
        ("שלום", "", ""),
        ("שלום.", "", "\u200f"),
        ("«שלום", "\u200f", ""),
        ("Al שלום", "\u200f", ""),
        ("مرحبا", "", ""),
        ("مرحبا!", "", "\u200f"),
        ("שם ab", "", ""),  # as many of each: it is written from left to right
        ("été.", "", ""),
    ],
)
def test_ends_that_do_not_show_it_are_marked_in_lines_from_right_to_left(
    line: str, before: str, after: str
) -> None:
    captions = transcript(final(result(line, 0.0, 2.0))).captions()
    for written in (captions.to_srt(), captions.to_vtt()):
        assert written.rstrip("\n").split("\n")[-1] == f"{before}{line}{after}"


def test_what_cannot_be_written_in_utf_8_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "captions.srt"
    with CaptionFile(path) as file:
        file.add([Caption(0.0, 1.0, ("half \ud83d",))])
    assert path.read_text(encoding="utf-8") == "1\n00:00:00,000 --> 00:00:01,000\nhalf ?\n"
