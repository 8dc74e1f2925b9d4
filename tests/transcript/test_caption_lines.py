"""What fits into a line stands in it, to the last character; who speaks counts as well."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from support.transcripts import final, mark, result, transcript

from speechmatics_sync._transcript.captions.blocks import Composer
from speechmatics_sync._transcript.captions.layout import lines_of, passages_of
from speechmatics_sync._transcript.captions.rules import Shape
from speechmatics_sync._transcript.captions.units import Unit
from speechmatics_sync._transcript.speaker_names import Key, Names

Said = tuple[Optional[str], str]


def lines(*said: Said, pace: float = 1.0, **shape: Any) -> list[tuple[str, ...]]:
    """The lines of each caption of words, each said by a speaker; a mark stands by itself."""
    results, now = [], 0.0
    for speaker, word in said:
        if word in ".,?":
            results.append(mark(word, now, speaker=speaker, is_eos=word != ","))
        else:
            results.append(result(word, now, now + pace, speaker=speaker))
            now += pace
    return [caption.lines for caption in transcript(final(*results)).captions(**shape)]


def by(speaker: Optional[str], *words: str) -> list[Said]:
    return [(speaker, word) for word in words]


A, B, C, D = ("a" * 18, "b" * 18, "c" * 18, "d" * 18)


def test_lines_that_are_full_to_the_last_character_stay_in_one_caption() -> None:
    assert lines(*by(None, A, B)) == [(f"{A} {B}",)]
    assert lines(*by(None, A, B, C, D)) == [(f"{A} {B}", f"{C} {D}")]
    assert lines(*by(None, A, B + "b")) == [(A, B + "b")]


def test_a_word_that_is_longer_than_a_line_has_one_for_itself() -> None:
    long = "x" * 40
    assert lines(*by(None, long)) == [(long,)]
    assert lines(*by(None, long, "b")) == [(long, "b")]
    assert lines(*by(None, "a", long)) == [("a", long)]
    assert lines(*by(None, "a", long, "b"), max_lines=3) == [("a", long, "b")]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["aaaa", "bbbb", "ccccc"], ("aaaa bbbb", "ccccc")),
        (["aaaaa", "bbbb", "cccc"], ("aaaaa", "bbbb cccc")),
        (["aaaa", "bb", "cc", "dddd"], ("aaaa bb", "cc dddd")),
        (["a", "b", "c", "d", "e", "f"], ("a b c", "d e f")),
    ],
)
def test_two_lines_are_about_as_long(words: list[str], expected: tuple[str, ...]) -> None:
    assert lines(*by(None, *words), max_line_length=10) == [expected]


def test_a_name_takes_room_in_its_line() -> None:
    names = {"S1": "Anna", "S2": "Ben"}
    fits = by("S1", "a" * 15, "b" * 15)
    assert lines(*fits, speaker_labels=names) == [(f"Anna: {fits[0][1]} {fits[1][1]}",)]
    longer = by("S1", "a" * 15, "b" * 16)
    assert lines(*longer, speaker_labels=names) == [(f"Anna: {longer[0][1]}", longer[1][1])]
    both = [*by("S1", "hi", "."), *by("S2", "b" * 15, "c" * 16)]
    assert lines(*both, speaker_labels=names, pace=0.3) == [
        ("Anna: hi.", f"Ben: {'b' * 15} {'c' * 16}"),
    ]


def test_a_name_takes_room_in_the_first_of_two_lines() -> None:
    said = by("S1", "a" * 20, "b" * 12, "c" * 20)
    assert lines(*said, speaker_labels={"S1": "Anna"}) == [
        (f"Anna: {'a' * 20}", f"{'b' * 12} {'c' * 20}"),
    ]


def test_a_space_parts_two_who_share_a_line_and_takes_room_in_it() -> None:
    both = transcript(
        final(result("ask", 0.0, 0.3), channel="a"), final(result("Mhm", 0.4, 1.0), channel="b")
    )
    shape = {"max_lines": 1, "speaker_labels": True}
    one = [("a: ask b: Mhm",)]
    assert [each.lines for each in both.captions(max_line_length=13, **shape)] == one
    parted = [("a: ask",), ("b: Mhm",)]
    assert [each.lines for each in both.captions(max_line_length=12, **shape)] == parted


def test_the_sentences_of_one_speaker_stay_together_and_in_order() -> None:
    said = [*by("S1", "hi", "."), *by("S2", "yes", ".", "go", "."), *by("S1", "so", ".")]
    names = {"S1": "A", "S2": "B"}
    assert lines(*said, speaker_labels=names, max_lines=3, pace=0.2) == [
        ("A: hi.", "B: yes. go.", "A: so.")
    ]


def unit(text: str, key: Key, *, delimiter: str = " ", ends_sentence: bool = False) -> Unit:
    return Unit(text, 0, 1000, key, delimiter, 0, ends_sentence)


ADA, BOB = Key("a", None), Key("b", None)


def test_what_one_says_without_a_break_is_cut_where_a_sentence_ends() -> None:
    said = [
        unit("so", ADA),
        unit("yes.", ADA, ends_sentence=True),
        unit("hm", BOB),
        unit("and", ADA),
        unit("no", ADA),
    ]
    found = [[each.text for each in passage] for passage in passages_of(said)]
    assert found == [["so", "yes."], ["hm"], ["and", "no"]]


def test_two_speakers_have_two_lines_though_three_are_allowed() -> None:
    said = [unit(text, key) for key in (ADA, BOB) for text in ("so", "yes", "no")]
    names = Names(None, (ADA, BOB))
    assert lines_of(said, Shape(37, 3), names, None) == ("- so yes no", "- so yes no")


def test_the_first_line_of_a_caption_is_full_as_well_where_a_space_stood_before_it() -> None:
    said = [unit(text, ADA) for text in (A, B, C, D)]
    assert lines_of(said, Shape(37, 2), Names(None, ()), None) == (f"{A} {B}", f"{C} {D}")


def test_who_spoke_last_in_a_caption_is_not_named_in_the_next() -> None:
    composer = Composer(Shape(37, 2), Names(True, (ADA, BOB)))
    composer.block([unit("so", ADA), unit("yes", BOB)], None)
    assert composer.block([unit("no", BOB)], None).lines == ("no",)
    assert composer.block([unit("so", ADA)], None).lines == ("a: so",)
