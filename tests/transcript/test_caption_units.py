"""What stays in one line: words with their marks, and the pieces of what is written in several."""

from __future__ import annotations

from typing import Any

import pytest
from support.transcripts import mark, result

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
    found = units(result("so", 0, 0.4), mark("…", 0.4), mark("”", 0.4), result("es", 0.5, 0.8))
    assert [(unit.text, unit.delimiter) for unit in found] == [("so…”", ""), ("es", " ")]


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
