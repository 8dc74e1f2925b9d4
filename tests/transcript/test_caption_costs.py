"""What captions are weighed by: which split of the same words is the better one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import pytest

from speechmatics_sync import Captions
from speechmatics_sync._transcript.captions.blocks import Composer, blocks_of
from speechmatics_sync._transcript.captions.rules import Shape
from speechmatics_sync._transcript.captions.segments import Segmenter, Span
from speechmatics_sync._transcript.captions.units import Unit
from speechmatics_sync._transcript.speaker_names import Key, Names, SpeakerLabels

NAMES = {"S1": "Ada", "S2": "Bob"}
SHAPE = Shape(37, 2)
FAULT = 10_000
"""The least that a fault costs, and more than all looks."""


def word(text: str, start: int, end: int, speaker: Optional[str] = "S1") -> Unit:
    return Unit(text, start, end, Key(None, speaker), " ", 0, False)


def cost(
    words: Sequence[Unit], *ends: int, labels: SpeakerLabels = None, shape: Shape = SHAPE
) -> float:
    """What captions of words cost that end behind these."""
    names = Names(labels, (each.key for each in words))
    spans = [Span(*span) for span in zip((0, *ends), ends)]
    return Segmenter(words, shape, names).cost(spans, Span(0, len(words)))


def test_a_name_has_to_be_read_too() -> None:
    said = [word("abcd", at, at + 200) for at in (0, 200, 400, 600)]  # shown for 1.3 s
    assert cost(said, 4) < FAULT
    assert cost(said, 4, labels=NAMES) > FAULT


def test_so_have_all_the_names_and_words_where_several_speak() -> None:
    def of_two(end: int) -> float:
        said = [word("abcdefgh", 0, end), word("abcdefgh", 0, end, "S2")]
        return cost(said, 2, labels=NAMES)

    # 27 characters: "Ada: abcdefgh Bob: abcdefgh"
    assert of_two(1088) - of_two(1089) > FAULT / 2


def test_two_speakers_in_one_line_are_worse_than_in_two() -> None:
    said = [word("yes", 0, 1000), word("no", 0, 1000, "S2")]
    assert cost(said, 2, shape=Shape(37, 1)) > cost(said, 2) + FAULT / 2


def test_each_more_that_speaks_in_a_caption_is_a_fault() -> None:
    def of(count: int) -> float:
        said = [word("yes", 0, 3000, f"S{number}") for number in range(count)]
        return cost(said, count, shape=Shape(37, 3))

    assert of(1) < FAULT < of(2) < 2 * FAULT
    assert of(3) > of(2) + FAULT


def of_two(text: str, following: int) -> float:
    """What a word costs that is said until the second one, which begins at a millisecond."""
    return cost([word(text, 0, following), word("b", following, following + 1000)], 1, 2)


def test_a_caption_that_flickers_is_worse_than_several_that_are_too_short() -> None:
    assert of_two("a", 283) - of_two("a", 284) > 5 * FAULT


@pytest.mark.parametrize(("text", "following"), [("a", 834 + 84), ("x" * 17, 1000 + 84)])
def test_what_is_at_the_limit_is_neither_too_short_nor_too_fast(text: str, following: int) -> None:
    assert of_two(text, following) < FAULT < of_two(text, following - 1)


def test_what_is_shorter_or_faster_is_worse() -> None:
    assert of_two("a", 300) > of_two("a", 900) + FAULT / 5
    assert of_two("x" * 35, 918) > of_two("x" * 16, 918) + FAULT / 5


def test_a_caption_may_have_seven_seconds_of_speech() -> None:
    assert cost([word("a", 0, 6000), word("b", 6000, 7000)], 2) < FAULT
    with pytest.raises(KeyError):
        cost([word("a", 0, 6000), word("b", 6000, 7001)], 2)


CHANNELS = {"a": "Ada", "b": "Bob"}
A, B, C, D = ("a" * 18, "b" * 18, "c" * 18, "d" * 18)


def shown(
    *said: tuple[str, int, int, str], by: str, labels: SpeakerLabels = CHANNELS
) -> list[tuple[str, ...]]:
    """The lines of captions of words, each said on a channel, and of two full lines after them."""
    full = [(text, at, at + 1000, by) for at, text in zip((3000, 4000, 5000, 6000), (A, B, C, D))]
    words = [
        Unit(text, start, end, Key(channel, None), " ", 0, False)
        for text, start, end, channel in (*said, *full)
    ]
    words.sort(key=lambda unit: unit.start)
    names = Names(labels, (each.key for each in words))
    return [block.lines for block in blocks_of(words, SHAPE, names)]


TWO_FULL_LINES = (f"{A} {B}", f"{C} {D}")


def test_room_is_left_for_a_name_where_one_may_be_needed_and_not_elsewhere() -> None:
    assert shown(("yes", 0, 1500, "a"), by="a") == [("Ada: yes",), TWO_FULL_LINES]
    assert shown(("yes", 0, 1500, "b"), by="a") == [
        ("Bob: yes",),
        (f"Ada: {A}", f"{B} {C}"),
        (D,),
    ]
    # One spoke last, by the words' times, and the other by their lines.
    said = [("yes", 0, 500, "a"), ("hm", 300, 600, "b"), ("so", 900, 1600, "a")]
    assert shown(*said, by="a") == [
        (f"Ada: yes so {A}", f"{B} Bob: hm"),
        (f"Ada: {C}", D),
    ]
    said = [("yes", 9000, 9500, "b")]  # a dash in the first caption would say nothing
    assert shown(*said, by="a", labels=None) == [TWO_FULL_LINES, ("- yes",)]


@pytest.mark.parametrize(
    "said",
    [
        [("a" * 8, 0, 200, "S1"), ("c" * 30, 200, 400, "S1"), ("d" * 8, 600, 800, "S1")],
        [("a" * 4, 0, 400, "S1"), ("b" * 30, 400, 600, "S1"), ("c" * 8, 900, 1100, "S1")],
        [
            ("a" * 4, 0, 1000, "S1"),
            ("b" * 4, 2600, 3000, "S2"),
            ("c" * 30, 3000, 3200, "S1"),
            ("d" * 8, 3200, 3400, "S1"),
            ("e" * 16, 3600, 4600, "S1"),
        ],
    ],
)
def test_the_best_split_is_measured_as_it_would_be_shown(
    said: list[tuple[str, int, int, str]],
) -> None:
    words = [word(*each) for each in said]
    names = Names(NAMES, (each.key for each in words))
    composer = Composer(SHAPE, names)
    following = [after.start for after in words[1:]]
    each = [composer.block([unit], at) for unit, at in zip(words, [*following, None])]
    found = Captions(each, SHAPE, names).report().unavoidable
    best = Captions(list(blocks_of(words, SHAPE, names)), SHAPE, names).report().broken
    assert (found["too_short"], found["too_fast"]) == (best["too_short"], best["too_fast"])
