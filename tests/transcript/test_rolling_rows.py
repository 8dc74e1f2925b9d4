"""The rows of live captions: which lines are shown, who said them, and which are forgotten."""

from __future__ import annotations

import gc
import weakref
from typing import Any, Optional

from speechmatics_sync import Caption, Line
from speechmatics_sync._transcript.captions.rolling_rows import RollingRows
from speechmatics_sync._transcript.captions.rules import Shape
from speechmatics_sync._transcript.speaker_names import Names, SpeakerLabels


def line(
    id: int,
    text: str,
    *,
    speaker: Optional[str] = None,
    channel: Optional[str] = None,
    settled: Optional[int] = None,
    is_final: bool = False,
) -> Line:
    """A line, whose number is the second in which it begins; nothing of it changes any more."""
    settled = len(text) if settled is None else settled
    return Line(id, text, settled, speaker, channel, float(id), id + 1.0, is_final)


def rolling(labels: SpeakerLabels = None, *, width: int = 20, rows: int = 2) -> RollingRows:
    return RollingRows(Shape(width, rows), Names(labels, ()))


def shown(rows: RollingRows, *lines: Line) -> tuple[str, ...]:
    rows.show(lines)
    return () if rows.current is None else rows.current.lines


def test_a_line_of_which_nothing_is_left_goes() -> None:
    rows = rolling()
    assert shown(rows, line(1, "one"), line(2, "two")) == ("one", "two")
    assert shown(rows, line(1, "", is_final=True)) == ("two",)
    assert shown(rows, line(2, "", is_final=True)) == ()
    rows = rolling(True)
    assert shown(rows, line(1, "one", speaker="S1"), line(2, "two", speaker="S2"))
    assert shown(rows, line(2, "", speaker="S2", is_final=True)) == ("S1: one",)


def test_that_several_speak_is_known_once_the_second_one_is_certain() -> None:
    rows = rolling()
    first = line(1, "one", speaker="S1", is_final=True)
    assert shown(rows, first, line(2, "two", speaker="S2", settled=0)) == ("one", "two")
    assert shown(rows, line(2, "two", speaker="S2", settled=1)) == ("one", "- two")


def test_a_name_stands_where_the_speaker_changes_even_if_the_line_before_is_out_of_sight() -> None:
    rows = rolling(True)
    said = [
        ("S1", "S1: a"),
        ("S1", "b"),
        ("S1", "c"),
        ("S2", "S2: d"),
        ("S2", "e"),
        ("S1", "S1: f"),
    ]
    seen = ["", ""]
    for id, (speaker, row) in enumerate(said, 1):
        seen.append(row)
        for is_final in (False, False, True):
            now = shown(rows, line(id, row[-1], speaker=speaker, is_final=is_final))
            assert now == tuple(filter(None, seen[-2:]))


def test_lines_out_of_sight_are_forgotten_but_those_that_may_change() -> None:
    rows = rolling()
    first, growing = line(1, "one", is_final=True), line(2, "two")
    gone = weakref.ref(first)
    assert shown(rows, first, growing) == ("one", "two")
    assert shown(rows, line(3, "three", is_final=True), line(4, "four")) == ("three", "four")
    del first
    gc.collect()
    assert gone() is None
    assert shown(rows, line(4, "", is_final=True)) == ("two", "three")


def test_it_tells_who_speaks_if_all_of_it_is_said_by_one() -> None:
    def current(*said: Line, **more: Any) -> Optional[Caption]:
        rows = rolling(False, **more)
        rows.show(said)
        return rows.current

    one = line(1, "one", speaker="S1", channel="x")
    assert current(one) == Caption(1.0, 2.0, ("one",), "S1", "x")
    same = line(2, "two", speaker="S1", channel="x")
    assert current(one, same) == Caption(1.0, 3.0, ("one", "two"), "S1", "x")
    other = line(2, "two", speaker="S2", channel="x")
    assert current(one, other) == Caption(1.0, 3.0, ("one", "two"), None, "x")
    other = line(2, "two", speaker="S1", channel="y")
    assert current(one, other) == Caption(1.0, 3.0, ("one", "two"), None, None)
    assert current(one, other, rows=1) == Caption(2.0, 3.0, ("two",), "S1", "y")
