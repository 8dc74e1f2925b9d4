"""Where captions and their lines end: which of two places is the better one, by language."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from speechmatics_sync._transcript.captions.breaks import (
    NEVER,
    Kind,
    break_cost,
    kind_of,
    mark_cost,
)

PLAIN = Kind()
ARTICLE, CONJUNCTION, PREPOSITION = (kind_of(word, "en") for word in ("the", "and", "of"))

KINDS = {
    "en": ("a the mr dr", "about with without", "and before", ""),
    "de": ("der ein eines", "ab um statt", "und wo", "am ins zur"),
    "fr": ("le des du l' l’", "à d' selon", "et où", "au aux"),
    "es": ("el lo", "a según tras", "y cual", "al del"),
    "it": ("il un’", "a verso", "e cui", "al dell' col coi"),
    "pt": ("o umas", "ante trás", "e qual", "ao duma"),
    "nl": ("de het t", "aan zonder", "en toen", ""),
}
"""By language: articles, prepositions, conjunctions, prepositions that hold an article."""


@pytest.mark.parametrize("language", KINDS)
def test_the_small_words_of_a_language_are_known(language: str) -> None:
    articles, prepositions, conjunctions, contractions = (
        [kind_of(word, language) for word in words.split()] for words in KINDS[language]
    )
    assert {(kind.article, kind.linking) for kind in articles} == {(True, False)}
    assert {(kind.article, kind.linking) for kind in prepositions} == {(False, True)}
    assert {(kind.article, kind.linking) for kind in conjunctions} == {(False, True)}
    assert {(kind.article, kind.linking) for kind in contractions} <= {(True, True)}
    assert {kind.cost for kind in articles} == {PLAIN.cost}
    (conjunction,) = {kind.cost for kind in conjunctions}
    (preposition,) = {kind.cost for kind in [*prepositions, *contractions]}
    assert conjunction < preposition < PLAIN.cost


def test_a_word_is_small_in_its_language_alone_however_it_is_written() -> None:
    assert kind_of("The", "en") == kind_of("THE", "en-GB") == ARTICLE
    assert kind_of("the", "de") == kind_of("the", "xx") == kind_of("the", None) == PLAIN
    assert kind_of("house", "en") == kind_of("x", "en") == kind_of("", "en") == PLAIN
    assert Kind(article=False, linking=False) == PLAIN


def marked(text: str, *, ends_sentence: bool = False, has_mark: bool = False) -> Optional[float]:
    return mark_cost(text, ends_sentence=ends_sentence, has_mark=has_mark)


def test_after_a_sentence_is_better_than_after_a_clause_and_that_than_after_a_comma() -> None:
    sentence, clause, comma = (marked(f"today{sign}", has_mark=True) for sign in ".;,")
    assert sentence == 0
    assert clause is not None
    assert comma is not None
    assert 0 < clause < comma
    assert {marked(f"today{sign}") for sign in ".?!…。？！．؟۔।॥"} == {sentence}
    assert {marked(f"today{sign}") for sign in ";:—–；：؛"} == {clause}
    assert {marked(f"today{sign}") for sign in ",、，،"} == {comma}
    assert {marked(f"today,{closing}") for closing in "\"'”’»›)]}」』）】”"} == {comma}


@pytest.mark.parametrize("text", ["today", "", "”", "box", "y,x", "today-", ".today", ",today"])
def test_without_a_mark_at_the_end_none_counts(text: str) -> None:
    assert marked(text) is None


def test_what_the_server_says_ends_a_sentence_does() -> None:
    assert marked("today", ends_sentence=True) == marked("today,", ends_sentence=True) == 0


@pytest.mark.parametrize("text", ["Mr.", "etc.", "etc.”", "U.S.A.", "z.B."])
def test_a_full_stop_within_a_word_may_be_that_of_an_abbreviation(text: str) -> None:
    assert marked(text) is None
    assert marked(text, has_mark=True) == 0


@pytest.mark.parametrize("text", ["okay.", "(okay.)", "no?", "U.S.A!"])
def test_other_marks_and_those_of_longer_words_end_sentences(text: str) -> None:
    assert marked(text) == 0


def cost(
    before: Kind,
    after: Kind = PLAIN,
    *,
    before_that: Kind = PLAIN,
    mark: Optional[float] = None,
    pause: float = 0.0,
    **more: Any,
) -> float:
    more.setdefault("within_entity", False)
    return break_cost(before_that, before, after, mark=mark, pause=pause, **more)


def test_places_without_a_mark_from_good_to_bad() -> None:
    comma = marked("today,")
    places = [
        cost(PLAIN, mark=comma),
        cost(PLAIN, CONJUNCTION),
        cost(PLAIN, PREPOSITION),
        cost(PLAIN),
        cost(PLAIN, before_that=ARTICLE),  # the old | house
        cost(PREPOSITION),
        cost(PLAIN, within_entity=True),
        cost(ARTICLE),
    ]
    assert places == sorted(set(places))
    assert places[-1] == NEVER


def test_what_is_linked_stays_together_whatever_follows() -> None:
    assert cost(PREPOSITION) == cost(CONJUNCTION) == cost(PREPOSITION, CONJUNCTION)
    assert cost(PREPOSITION, before_that=ARTICLE) == cost(PREPOSITION)
    assert cost(PLAIN, PREPOSITION, before_that=ARTICLE) == cost(PLAIN, PREPOSITION)
    assert cost(PLAIN, CONJUNCTION, within_entity=True) == cost(PLAIN, within_entity=True)


def test_an_article_stays_in_an_entity_and_in_front_of_a_pause_but_not_before_a_mark() -> None:
    assert cost(ARTICLE, within_entity=True) == cost(ARTICLE, pause=1.0) == NEVER
    assert cost(ARTICLE, CONJUNCTION) == cost(kind_of("zum", "de")) == NEVER
    assert cost(ARTICLE, mark=2.0) == cost(PLAIN, mark=2.0, within_entity=True) == 2.0


def test_a_pause_makes_every_other_place_better_up_to_a_second() -> None:
    assert cost(PLAIN, pause=1.0) < cost(PLAIN, pause=0.5) < cost(PLAIN)
    assert cost(PLAIN, pause=2.0) == cost(PLAIN, pause=1.0)
    assert cost(PLAIN, pause=-1.0) == cost(PLAIN)  # words that overlap
    assert cost(PLAIN, mark=2.0, pause=1.0) == cost(PLAIN, mark=0.0, pause=1.0) == 0
