"""The utterances of a transcript: what was said until EndOfUtterance, on each channel."""

from __future__ import annotations

import pickle

from support.live import utterance_end
from support.transcripts import final, mark, result, transcript

from speechmatics_sync import Utterance


def test_each_end_of_an_utterance_makes_one() -> None:
    made = transcript(
        final(result("Hello", 0, 1, speaker="S1"), mark(".", 1, is_eos=True)),
        final(result("Hi", 1, 2, speaker="S2")),
        utterance_end(2.5),
        final(result("Good", 3, 4, speaker="S2")),
        utterance_end(4.1, forced=True),
        final(result("night", 5, 6, speaker="S1")),
    )
    assert made.utterances == [
        Utterance(None, ["S1", "S2"], 0, 2, "Hello. Hi", made.words[:2], True, False),
        Utterance(None, ["S2"], 3, 4, "Good", made.words[2:3], True, True),
        Utterance(None, ["S1"], 5, 6, "night", made.words[3:], False, False),
    ]


def test_words_of_one_channel_are_not_ended_by_another() -> None:
    made = transcript(
        final(result("hello", 0, 1), channel="agent"),
        final(result("hi", 0.5, 1.5), channel="caller"),
        utterance_end(2, channel="caller"),
        final(result("there", 2, 3), channel="agent"),
        utterance_end(4, channel="agent"),
    )
    assert [(each.channel, each.text, each.ended) for each in made.utterances] == [
        ("agent", "hello there", True),
        ("caller", "hi", True),
    ]
    assert [each.text for each in made.channels["agent"].utterances] == ["hello there"]


def test_an_utterance_without_words_is_none() -> None:
    made = transcript(utterance_end(1), utterance_end(2, forced=True), final(), utterance_end(3))
    assert made.utterances == []


def test_a_mark_that_comes_after_the_end_belongs_to_the_word_before_it() -> None:
    made = transcript(final(result("Yes", 0, 1)), utterance_end(1.5), final(mark(".", 1)))
    assert [(each.text, each.ended) for each in made.utterances] == [("Yes.", True)]


def test_marks_without_a_word_are_an_utterance_by_themselves() -> None:
    assert [each.text for each in transcript(final(mark(".", 0))).utterances] == ["."]
    left = mark("¿", 1, attaches_to="next", speaker="S2")
    made = transcript(final(result("a", 0, 1, speaker="S1"), left))
    for _ in range(2):
        assert [(each.text, each.speakers) for each in made.utterances] == [("a ¿", ["S1"])]


def test_they_are_pickled_with_the_transcript() -> None:
    made = transcript(final(result("a", 0, 1)), utterance_end(1, forced=True))
    loaded = pickle.loads(pickle.dumps(made))
    assert loaded.utterances == made.utterances
    loaded.add(final(result("b", 2, 3)))
    assert [each.text for each in loaded.utterances] == ["a", "b"]
