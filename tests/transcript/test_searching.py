"""What was said is found with its time and what stands around it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from support.transcripts import final, mark, result, transcript

from speechmatics_sync import ConfigurationError, Match, Transcript


def said(text: str, *, per_final: int = 2) -> Transcript:
    """Words a second apart, in finals of a few."""
    parts = []
    for word in text.split():
        if word in ".,?!":
            parts.append(mark(word, len(parts), attaches_to="previous"))
        else:
            parts.append(result(word, len(parts), len(parts) + 0.5))
    return transcript(
        *(final(*parts[at : at + per_final]) for at in range(0, len(parts), per_final))
    )


def test_words_are_found_across_finals_with_what_stands_around_them() -> None:
    text = "we met in the old town . Do you know the Old Town ?"
    assert said(text).search("old town", context=3) == [
        Match("old town.", 4.0, 5.5, "met in the ", " Do you know"),
        Match("Old Town?", 11.0, 12.5, "you know the ", ""),
    ]


def test_the_context_reads_as_it_was_said() -> None:
    (match,) = said("well , yes , of course . Or no ?").search("of course", context=2)
    assert match.context == "well, yes, of course. Or no?"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("DON'T know", "I don’t know"),
        ("dont", "I don't know"),
        ("well-known", "a well known man"),
        ("well known", "a well-known man"),
        ("café", "the Cafe\u0301 is open"),
        ("strasse", "die Straße"),
        ("2022", "on 17/2022 it was"),
        ("known man!", "a well known , man"),
    ],
)
def test_case_and_punctuation_make_no_difference(query: str, text: str) -> None:
    assert len(said(text).search(query)) == 1


@pytest.mark.parametrize("query", ["art", "the rapist", "st art", "", "?!"])
def test_parts_of_words_and_nothing_are_not_found(query: str) -> None:
    assert said("the therapist may start").search(query) == []


def test_part_of_an_entity_is_found_with_all_of_it() -> None:
    made = transcript(final(result("17 January 2022", 1, 3, type="entity")))
    assert made.search("january")[0].text == "17 January 2022"


def test_scripts_without_spaces_are_searched_anywhere() -> None:
    made = Transcript()
    made.add({"message": "RecognitionStarted", "language_pack_info": {"word_delimiter": ""}})
    made.add(final(result("今日は", 0, 1), result("いい", 1, 2), result("天気です", 2, 3)))
    (match,) = made.search("いい天気")
    assert (match.text, match.start_time, match.end_time) == ("いい天気です", 1, 3)
    assert match.context == "今日はいい天気です"


def test_a_match_belongs_to_one_speaker_on_one_channel() -> None:
    made = transcript(
        final(result("two", 0, 1, speaker="S1"), result("words", 1, 2, speaker="S2"), channel="a"),
        final(
            result("Two", 0.5, 1, speaker="S1"), result("words", 1, 1.5, speaker="S1"), channel="b"
        ),
    )
    assert made.search("two words") == [Match("Two words", 0.5, 1.5, "", "", "S1", "b")]
    assert [match.channel for match in made.search("two")] == ["a", "b"]
    assert made.search("two")[0].after == ""


def test_matches_do_not_overlap() -> None:
    assert [match.start_time for match in said("no no no no").search("no no")] == [0, 2]


@pytest.mark.parametrize("text", [None, ["two", "words"], b"words"])
def test_what_is_no_text_is_refused(text: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"^text is {re.escape(repr(text))}; allowed: "):
        said("two words").search(text)
