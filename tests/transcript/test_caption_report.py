"""A report counts what breaks a rule, from the first millisecond or character beyond its limit."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Optional

import pytest

from speechmatics_sync import (
    Caption,
    CaptionFault,
    CaptionFile,
    CaptionReport,
    Captions,
    LiveCaptions,
)
from speechmatics_sync._transcript.captions.blocks import Block, Composer, blocks_of
from speechmatics_sync._transcript.captions.rules import Shape
from speechmatics_sync._transcript.captions.units import Unit
from speechmatics_sync._transcript.speaker_names import Key, Names

RULES = ["lines", "line_length", "too_short", "too_long", "too_fast", "gap", "overlap", "lingers"]


def shown(
    *lines: str,
    start: int = 10_000,
    end: int = 13_000,
    said_from: Optional[int] = None,
    said_until: Optional[int] = None,
) -> Block:
    """A caption as it is shown, whatever it should be like; times in milliseconds."""
    said_from = start if said_from is None else said_from
    said_until = end if said_until is None else said_until
    units = [
        Unit(text, said_from, said_until, Key(None, None), " ", 0, False)
        for text in " ".join(lines).split()
    ]
    return Block(units, start, end, lines)


def report(*blocks: Block) -> CaptionReport:
    return Captions(blocks, Shape(37, 2), Names(None, ())).report()


@pytest.mark.parametrize(
    "blocks",
    [
        [shown("a", "b")],
        [shown("a " + "x" * 35, "b")],
        [shown("a", end=10_834)],
        [shown("a", end=17_000)],
        [shown("x" * 8, "x" * 8, end=11_000)],
        [shown("字" * 8, end=11_000)],
        [shown("a", said_until=12_500)],
        [shown("a"), shown("a", start=13_084, end=15_000)],
    ],
    ids=lambda blocks: str([each[1:] for each in blocks]),
)
def test_what_is_at_its_limit_breaks_no_rule(blocks: list[Block]) -> None:
    found = report(*blocks)
    assert found == CaptionReport(len(blocks), dict.fromkeys(RULES, 0), dict.fromkeys(RULES, 0), ())


@pytest.mark.parametrize(
    ("blocks", "fault"),
    [
        ([shown("a", "b", "c")], CaptionFault("lines", 0, 3, 2)),
        ([shown("b", "a " + "x" * 36)], CaptionFault("line_length", 0, 38, 37)),
        ([shown("a", end=10_833)], CaptionFault("too_short", 0, 0.833, 0.834)),
        ([shown("a", end=17_001)], CaptionFault("too_long", 0, 7.001, 7.0)),
        ([shown("x" * 8, "x" * 9, end=11_000)], CaptionFault("too_fast", 0, 18.0, 17)),
        (
            [shown("x" * 8, "x" * 8, end=10_999)],
            CaptionFault("too_fast", 0, 17_000 / 999, 17),
        ),
        ([shown("字" * 9, end=11_000)], CaptionFault("too_fast", 0, 18.0, 17)),
        ([shown("a", said_until=12_499)], CaptionFault("lingers", 0, 0.501, 0.5)),
        (
            [shown("a"), shown("a", start=13_083, end=15_000)],
            CaptionFault("gap", 0, 0.083, 0.084),
        ),
        ([shown("a"), shown("a", start=13_000, end=15_000)], CaptionFault("gap", 0, 0.0, 0.084)),
        ([shown("a"), shown("a", start=12_999, end=15_000)], CaptionFault("overlap", 0, -0.001, 0)),
    ],
    ids=lambda value: value.rule if isinstance(value, CaptionFault) else "",
)
def test_what_is_just_beyond_its_limit_breaks_that_rule_alone(
    blocks: list[Block], fault: CaptionFault
) -> None:
    found = report(*blocks)
    assert found.faults == (fault,)
    assert found.broken == {**dict.fromkeys(RULES, 0), fault.rule: 1}


def test_faults_are_told_with_the_caption_that_has_them() -> None:
    fine = shown("a", start=0, end=1000)
    found = report(fine, shown("a", "b", "c"), shown("a", start=14_000, end=14_001))
    assert [(fault.index, fault.rule) for fault in found.faults] == [
        (1, "lines"),
        (2, "too_short"),
        (2, "too_fast"),
    ]
    assert found.captions == 3
    assert repr(found) == (
        "<CaptionReport of 3 captions: lines 1 (0 unavoidable), too_short 1 (0 unavoidable), "
        "too_fast 1 (0 unavoidable)>"
    )
    assert found.avoidable == 3


def test_a_caption_overlaps_the_next_one_alone() -> None:
    assert report(*[shown("a")] * 3).broken["overlap"] == 2


def test_reports_and_faults_do_not_change() -> None:
    found = report(shown("a", "b", "c"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.captions = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.faults[0].index = 1  # type: ignore[misc]
    assert len({*found.faults, *report(shown("a", "b", "c")).faults}) == 1


def test_they_are_pickled_and_shown_under_the_name_that_is_imported() -> None:
    found = report(shown("a", "b", "c"))
    assert pickle.loads(pickle.dumps(found)) == found
    classes = [Caption, Captions, CaptionReport, CaptionFault, CaptionFile, LiveCaptions]
    assert {each.__module__ for each in classes} == {"speechmatics_sync"}


def test_a_caption_without_any_time_is_too_fast_by_a_number() -> None:
    (_, fault) = report(shown("a", end=10_000)).faults
    assert (fault.rule, fault.value) == ("too_fast", 1000.0)


def test_words_that_are_longer_than_a_line_are_not_to_be_avoided() -> None:
    assert report(shown("x" * 38)).unavoidable["line_length"] == 1
    assert report(shown("x" * 38, "a " + "x" * 38, end=17_000)).unavoidable["line_length"] == 0
    assert report(shown("x" * 38, "a")).unavoidable["line_length"] == 1


def test_what_could_not_appear_with_its_words_may_stay_after_them() -> None:
    late = shown("a", said_from=9_999, said_until=12_000)
    in_time = shown("a", said_until=12_000)
    assert [report(each).broken["lingers"] for each in (late, in_time)] == [1, 1]
    assert [report(each).unavoidable["lingers"] for each in (late, in_time)] == [1, 0]
    then = shown("a", said_from=11_000, said_until=12_000)
    both = Block([*late.units, *then.units], 10_000, 13_000, ("a a",))
    assert report(both).unavoidable["lingers"] == 1


def test_of_faults_in_every_split_so_many_are_unavoidable_as_the_best_one_has() -> None:
    shape, names = Shape(37, 2), Names(None, ())
    words = [
        Unit("abcdefghij", at, at + 200, Key(None, None), " ", 0, False)
        for at in range(0, 3000, 200)  # 55 characters a second
    ]
    composer = Composer(shape, names)
    following = [after.start for after in words[1:]]
    one_by_one = [composer.block([word], at) for word, at in zip(words, [*following, None])]
    found = Captions(one_by_one, shape, names).report()
    best = Captions(list(blocks_of(words, shape, names)), shape, names).report()
    assert found.broken["too_fast"] > best.broken["too_fast"] > 0
    assert found.unavoidable["too_fast"] == best.broken["too_fast"]


def test_the_best_split_of_words_has_a_name_in_front_only_where_another_spoke_before() -> None:
    def unavoidable(before: Optional[str]) -> int:
        """How many captions of words are too fast in every split: 19 characters, for 1.3 s."""
        said = [("ab", 0, 2000, before)] if before else []
        said += [("abcd", at, at + 200, "S1") for at in (4000, 4200, 4400, 4600)]
        words = [
            Unit(text, start, end, Key(None, speaker), " ", 0, False)
            for text, start, end, speaker in said
        ]
        shape = Shape(37, 2)
        names = Names({"S1": "Ada", "S2": "Bob"}, (word.key for word in words))
        composer = Composer(shape, names)
        following = [after.start for after in words[1:]]
        blocks = [composer.block([word], at) for word, at in zip(words, [*following, None])]
        return Captions(blocks, shape, names).report().unavoidable["too_fast"]

    assert [unavoidable(before) for before in (None, "S1", "S2")] == [1, 0, 1]
