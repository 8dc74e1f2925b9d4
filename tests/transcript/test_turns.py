"""The turns of a transcript: who spoke when, over speakers and channels."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.fuzzing import examples
from support.transcripts import final, mark, result, results, transcript

from speechmatics_sync import (
    Turn,
)


def test_each_speaker_has_a_turn_and_a_line() -> None:
    made = transcript(
        final(result("Hello", 0, 1, speaker="S1"), mark(".", 1, speaker="S1")),
        final(result("Hi", 1, 2, speaker="S2")),
        final(result("How", 2, 3, speaker="S1"), result("so", 3, 4, speaker="S1")),
    )
    assert made.text == "S1: Hello.\nS2: Hi\nS1: How so"
    assert made.turns[2] == Turn("S1", None, 2, 4, "How so", made.words[2:])


def test_one_speaker_needs_no_label() -> None:
    made = transcript(
        final(result("a", 0, 1, speaker="S1")), final(result("b", 1, 2, speaker="S1"))
    )
    assert made.text == "a b"


def test_channels_are_interleaved_by_time_whatever_came_first() -> None:
    caller = final(result("hi", 0.4, 0.6), mark(".", 0.6, is_eos=True), channel="caller")
    agent = final(result("hello", 0, 0.4), result("how", 0.6, 1), channel="agent")
    late = final(result("fine", 1, 2), channel="caller")
    expected = "agent: hello\ncaller: hi.\nagent: how\ncaller: fine"
    assert transcript(caller, late, agent).text == expected
    assert transcript(agent, caller, late).text == expected


def test_channels_that_speak_at_once_are_not_shredded() -> None:
    agent = [result(word, index, index + 1) for index, word in enumerate(["one", "two", "three"])]
    caller = [result("yes", 0.5, 1.4), result("yes", 1.5, 2.4)]
    made = transcript(final(*agent, channel="agent"), final(*caller, channel="caller"))
    assert made.text == "agent: one two three\ncaller: yes yes"


def test_a_word_that_outlasts_a_pause_does_not_cut_what_goes_on() -> None:
    made = transcript(
        final(result("one", 0, 1), result("two", 1.2, 2), channel="a"),
        final(result("yes", 1.1, 1.6), channel="b"),
    )
    assert made.text == "a: one two\nb: yes"


def test_channels_of_one_speaker_each_are_labelled_by_channel_alone() -> None:
    made = transcript(
        final(result("a", 0, 1, speaker="S1"), channel="x"),
        final(result("b", 1, 2, speaker="S1"), channel="y"),
    )
    assert made.text == "x: a\ny: b"


def test_a_sentence_ends_a_piece_of_an_overlapping_channel() -> None:
    made = transcript(
        final(result("Done", 0, 1), mark(".", 1, is_eos=True), result("Next", 1.1, 2), channel="a"),
        final(result("what", 0.9, 1.5), channel="b"),
    )
    assert made.text == "a: Done.\nb: what\na: Next"


def test_speakers_within_channels_have_both_labels() -> None:
    made = transcript(
        final(result("a", 0, 1, speaker="S1"), result("b", 1, 2, speaker="S2"), channel="x"),
        final(result("c", 2, 3, speaker="S1"), channel="y"),
    )
    assert made.text == "x S1: a\nx S2: b\ny S1: c"


@examples(300)
@given(finals=st.lists(st.lists(results, max_size=4), max_size=6))
def test_turns_hold_every_word_once_and_each_channels_in_order(
    finals: list[list[dict[str, Any]]],
) -> None:
    made = transcript(*(final(*parts) for parts in finals))
    turns = made.turns
    assert sum(len(turn.words) for turn in turns) == len(made.words)
    for label, part in made.channels.items():
        of_channel = [word for turn in turns if turn.channel == label for word in turn.words]
        if all(
            word.start_time <= after.start_time for word, after in zip(part.words, part.words[1:])
        ):
            assert of_channel == part.words
    for turn, after in zip(turns, turns[1:]):
        assert (turn.channel, turn.speaker) != (after.channel, after.speaker)
        assert "  " not in turn.text
