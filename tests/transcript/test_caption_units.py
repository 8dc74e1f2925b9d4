"""What stays in one line: words with their marks, and the pieces of what is written in several."""

from __future__ import annotations

from typing import Any

import pytest
from support.transcripts import final, mark, result, transcript

from speechmatics_sync._transcript.captions.rules import Shape
from speechmatics_sync._transcript.captions.segments import Segmenter, Span
from speechmatics_sync._transcript.captions.units import Unit, UnitReader
from speechmatics_sync._transcript.speaker_names import Key, Names
from speechmatics_sync._transcript.spoken import Delimiters


def units(*results: dict[str, Any]) -> list[Unit]:
    reader = UnitReader("a", Delimiters(), "en")
    return [*reader.read(results), *reader.end()]


def test_marks_join_their_words_and_end_sentences() -> None:
    found = units(
        result("so", 0.5, 0.9),
        mark(",", 0.9),
        result("yes", 1.0, 1.5, speaker="S1"),
        mark(".", 1.5, is_eos=True, speaker="S1"),
        result("no", 2.0, 2.25),
    )
    assert [(unit.text, unit.start, unit.end, unit.ends_sentence) for unit in found] == [
        ("so,", 500, 900, False),
        ("yes.", 1000, 1500, True),
        ("no", 2000, 2250, False),
    ]
    assert [unit.key for unit in found] == [Key("a", None), Key("a", "S1"), Key("a", None)]
    assert [unit.width for unit in found] == [3, 4, 2]


def test_what_is_written_in_several_pieces_shares_its_time_and_only_the_last_ends_it() -> None:
    found = units(result("1 May 2024", 1.0, 2.0), mark(".", 2.0, is_eos=True))
    assert [(unit.text, unit.start, unit.end, unit.ends_sentence) for unit in found] == [
        ("1", 1000, 1111, False),
        ("May", 1111, 1444, False),
        ("2024.", 1444, 2000, True),
    ]
    assert [unit.delimiter for unit in found[1:]] == [" ", " "]


def test_only_what_joins_two_words_takes_away_the_space_between_them() -> None:
    found = units(mark("¿", 0, attaches_to="next"), result("quién", 0, 0.4), result("es", 0.5, 0.8))
    assert [(unit.text, unit.delimiter) for unit in found] == [("¿quién", ""), ("es", " ")]
    assert [(unit.start, unit.end) for unit in found] == [(0, 400), (500, 800)]
    found = units(result("so", 0, 0.4), mark("…", 0.4), mark("”", 0.4), result("es", 0.5, 0.8))
    assert [(unit.text, unit.delimiter) for unit in found] == [("so…”", ""), ("es", " ")]


@pytest.mark.parametrize(
    ("first", "second"),
    [("next", "none"), ("both", "none"), ("none", "previous"), ("none", "both")],
)
def test_words_that_are_joined_are_one_and_what_follows_joins_it(first: str, second: str) -> None:
    found = units(
        result("l’", 1.0, 1.2, attaches_to=first),
        result("été", 1.2, 1.7, attaches_to=second),
        mark(".", 1.7, is_eos=True),
        result("oui", 2.0, 2.2),
    )
    assert [(unit.text, unit.start, unit.end, unit.ends_sentence) for unit in found] == [
        ("l’été.", 1000, 1700, True),
        ("oui", 2000, 2200, False),
    ]


def test_what_joins_the_end_of_a_sentence_goes_on_with_it() -> None:
    found = units(
        result("3", 0, 1), mark(".", 1, is_eos=True), result("5", 1, 2, attaches_to="both")
    )
    assert [(unit.text, unit.ends_sentence) for unit in found] == [("3.5", False)]


def test_a_word_of_another_speaker_joins_none() -> None:
    found = units(result("un", 0, 1, speaker="S1"), result("til", 1, 2, attaches_to="previous"))
    assert [unit.text for unit in found] == ["un", "til"]


def test_what_cannot_be_shown_leaves_nothing_behind() -> None:
    assert [unit.text for unit in units(result("red\x07 blue", 0, 1))] == ["red", "blue"]


def costs(*words: str) -> list[float]:
    return [unit.cost for unit in units(*(result(each, 0, 1) for each in words))]


def test_words_are_looked_up_without_their_marks_and_in_their_own_language() -> None:
    found = units(result("red", 0, 1), result("“and”", 1, 2), mark(",", 2), result("blue", 2, 3))
    assert found[1].cost == costs("red", "and")[1] < costs("red", "blue")[1]
    found = units(
        result("rot", 0, 1), mark("¿", 1, attaches_to="next"), result("und", 1, 2, language="de")
    )
    assert found[1].cost == costs("red", "and")[1] < costs("red", "und")[1]


def test_the_two_words_in_front_of_a_place_count() -> None:
    assert costs("the", "old", "house")[2] > costs("in", "old", "house")[2]
    assert costs("by", "the", "old", "red", "house")[4] == costs("red", "house")[1]
    assert costs("red house")[1] > costs("red", "house")[1]


def test_a_mark_may_come_in_the_next_message() -> None:
    captions = transcript(final(result("so", 0, 1)), final(mark(",", 1), result("yes", 1, 2)))
    assert [caption.text for caption in captions.captions()] == ["so, yes"]


def test_a_pause_in_front_of_a_word_makes_it_a_better_place_for_a_break() -> None:
    none, short, second, longer = (
        units(result("red", 1.0, 1.5), result("blue", 1.5 + pause, 4.0))[1].cost
        for pause in (0.0, 0.1, 1.0, 1.2)
    )
    assert longer == second < short < none
    # A tenth of a second is a tenth of what a second is worth.
    assert none - short == pytest.approx((none - second) / 10)


def test_a_mark_makes_a_break_after_it_a_good_one() -> None:
    costs = [
        units(result("red", 0, 1), *([mark(sign, 1)] if sign else []), result("blue", 1, 2))[1].cost
        for sign in (".", ";", ",", "")
    ]
    assert costs[0] == 0
    assert costs == sorted(set(costs))
    whole = units(result("3 red, 2 blue", 0, 1))  # marks within an entity count as well
    assert whole[2].cost == costs[2] < whole[1].cost


def test_a_full_stop_that_the_server_sent_as_a_mark_ends_a_sentence() -> None:
    sent = units(result("no", 0, 1), mark(".", 1), result("yes", 1, 2))
    assert [unit.ends_sentence for unit in sent] == [True, False]
    within = units(result("no.", 0, 1), result("yes", 1, 2))  # may be an abbreviation
    assert [unit.ends_sentence for unit in within] == [False, False]
    assert [unit.ends_sentence for unit in units(result("no. 3", 0, 1), mark(".", 1))] == [
        False,
        True,
    ]


def test_a_mark_that_waits_for_its_word_at_the_end_is_not_lost() -> None:
    found = units(result("yes", 1.0, 1.5), mark("¿", 1.6, attaches_to="next"))
    assert [unit.text for unit in found] == ["yes", "¿"]


def test_a_word_is_held_until_no_mark_can_join_it() -> None:
    reader = UnitReader(None, Delimiters(), "en")
    assert not reader.holds_a_word
    assert list(reader.read([result("yes", 1.0, 1.5)])) == []
    assert reader.holds_a_word
    assert [unit.text for unit in reader.read([mark(",", 1.5), result("no", 2.0, 2.5)])] == ["yes,"]
    assert [unit.text for unit in reader.end()] == ["no"]
    assert not reader.holds_a_word


def test_a_pause_is_one_in_which_nobody_speaks() -> None:
    spoken = [("a", 0, 5000), ("b", 1000, 1200), ("b", 4000, 4200), ("a", 6499, 6600)]
    words = [
        Unit("x", start, end, Key(channel, None), " ", 0, False) for channel, start, end in spoken
    ]
    words.append(Unit("x", 8100, 8200, Key("a", None), " ", 0, False))
    segmenter = Segmenter(words, Shape(37, 2), Names(None, ()))
    assert list(segmenter.runs()) == [Span(0, 4), Span(4, 5)]
