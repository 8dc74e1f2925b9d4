"""When a live caption is finished, to the millisecond and the character, and late words."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from support.live import END_OF_TRANSCRIPT, partial, utterance_end
from support.transcripts import final, mark, result

from speechmatics_sync import Caption, LiveCaptions


def added(live: LiveCaptions, *messages: dict[str, Any]) -> list[str]:
    return [caption.text for message in messages for caption in live.add(message)]


def silence(until: float, channel: Optional[str] = None) -> dict[str, Any]:
    """A final without words."""
    metadata = {"start_time": until, "end_time": until, "transcript": ""}
    return {**final(), "metadata": metadata, "channel": channel}


def row(*words: str, start: float = 0.0) -> list[dict[str, Any]]:
    """Words of half a second that follow each other."""
    return [result(word, start + at / 2, start + at / 2 + 0.5) for at, word in enumerate(words)]


ONE_LINE: dict[str, Any] = {"max_line_length": 20, "max_lines": 1}


# Twice five sixths of a second after it begins.
@pytest.mark.parametrize(("start", "finished"), [(11.667, []), (11.668, ["They all went down."])])
def test_a_sentence_is_finished_once_the_next_leaves_it_time(
    start: float, finished: list[str]
) -> None:
    said = [result("They", 10, 10.3), *row("all went", "down", start=10.3), mark(".", 11.3)]
    live = LiveCaptions(**ONE_LINE)
    assert added(live, final(*said, *row("because", "it", start=start))) == finished


# The time in which 30 characters can be read.
@pytest.mark.parametrize(("start", "count"), [(1.764, 0), (1.765, 1)])
def test_and_a_long_one_once_it_can_be_read(start: float, count: int) -> None:
    said = [*row("a" * 14, "b" * 14), mark(".", 1.0), *row("because", "it", start=start)]
    live = LiveCaptions(max_line_length=30, max_lines=1)
    assert added(live, final(*said)) == [f"{'a' * 14} {'b' * 14}."] * count


@pytest.mark.parametrize(("until", "finished"), [(2.499, []), (2.5, ["one"])])
def test_words_are_finished_by_a_final_that_ends_a_second_and_a_half_after_them(
    until: float, finished: list[str]
) -> None:
    said = final(result("one", 0.0, 1.0))
    said["metadata"]["end_time"] = until
    assert added(LiveCaptions(), said) == finished


def test_without_the_end_of_a_sentence_time_finishes_nothing() -> None:
    live = LiveCaptions(**ONE_LINE)
    said = [result("They", 0, 0.5), *row("all went", "down", start=0.5)]
    assert added(live, final(*said, *row("because", "it", start=2.9))) == []


@pytest.mark.parametrize(("last", "finished"), [("e", []), ("ee", ["aaaaa bbbbb ccccc"])])
def test_words_are_finished_once_those_after_them_need_more_than_another_caption(
    last: str, finished: list[str]
) -> None:
    live = LiveCaptions(**ONE_LINE)
    said = row("aaaaa", "bbbbb", "ccccc", "ddddd", "eeeee", "fffff", last, "held")
    assert added(live, final(*said)) == finished


@pytest.mark.parametrize(("until", "finished"), [(1.999, []), (2.0, ["two"])])
def test_a_word_waits_until_the_other_channel_has_come_as_far(
    until: float, finished: list[str]
) -> None:
    live = LiveCaptions(speaker_labels=False)
    other = final(result("one", 0, 0.5), channel="b")
    assert added(live, other, utterance_end(0.5, channel="b"), silence(until, "b")) == ["one"]
    said = final(result("two", 2.0, 3.0), channel="a")
    assert added(live, said, utterance_end(3.1, channel="a")) == finished


@pytest.mark.parametrize(("until", "finished"), [(8.499, []), (8.5, ["- yes\n- hi"])])
def test_it_waits_for_one_that_is_less_than_eight_seconds_behind(
    until: float, finished: list[str]
) -> None:
    live = LiveCaptions()
    said = [
        final(result("yes", 0.0, 0.3), channel="a"),
        final(result("hi", 0.1, 0.5), channel="b"),
        utterance_end(0.4, channel="a"),
    ]
    assert added(live, *said) == []
    assert added(live, silence(until, "a")) == finished


def test_a_channel_without_any_word_holds_nobody_up() -> None:
    live = LiveCaptions()
    said = [final(result("one", 0.5, 1.0), channel="a"), utterance_end(1.1, channel="a")]
    assert added(live, silence(0.2, "b"), *said) == ["one"]


def test_words_of_several_channels_may_come_in_one_final() -> None:
    said = [result(each, at, at + 1.0, channel=each) for at, each in enumerate("ab")]
    live = LiveCaptions(speaker_labels=True)
    assert added(live, final(*said), END_OF_TRANSCRIPT) == ["a: a", "b: b"]


def test_a_second_speaker_is_known_with_the_first_word() -> None:
    said = final(result("one", 0, 1, speaker="S1"), result("two", 3, 4, speaker="S2"))
    said["metadata"]["end_time"] = 6.0
    assert added(LiveCaptions(), said) == ["one", "- two"]


def test_channels_of_an_earlier_session_hold_nobody_up() -> None:
    live = LiveCaptions(speaker_labels=False)
    said = [final(result(each, 0.1, 1.0), channel=each) for each in ("a", "b")]
    assert added(live, *said, END_OF_TRANSCRIPT) == ["a\nb"]
    again = final(result("again", 3.0, 4.0), channel="a")
    assert added(live, again, utterance_end(4.1, channel="a")) == ["again"]


def test_a_word_that_comes_too_late_is_shown_after_those_that_are_there() -> None:
    live = LiveCaptions(speaker_labels=False, **ONE_LINE)
    said = final(*row("aaaaa", "bbbbb", "ccccc", "ddddd", "eeeee", "fffff", "g"), channel="a")
    late = final(result("much-too-late", 0.2, 0.5), channel="b")
    captions = [each for message in (said, late, END_OF_TRANSCRIPT) for each in live.add(message)]
    assert [(caption.start_time, caption.text) for caption in captions] == [
        (0.0, "aaaaa bbbbb ccccc"),
        (1.5, "ddddd eeeee fffff"),
        (2.5, "much-too-late g"),
    ]


def test_one_that_comes_when_all_were_shown_has_half_a_second_of_its_own() -> None:
    live = LiveCaptions(speaker_labels=False)
    said = [final(result("one", 1.0, 2.0), channel="a"), utterance_end(2.5, channel="a")]
    assert added(live, *said) == ["one"]
    late = final(result("late", 0.2, 0.5), channel="b")
    assert added(live, late) == []
    assert live.add(END_OF_TRANSCRIPT) == [Caption(2.084, 2.584, ("late",), None, "b")]


def test_a_session_that_names_no_delimiter_has_the_one_that_was_given() -> None:
    live = LiveCaptions(word_delimiter="_")
    said = final(result("a", 0, 1), result("b", 1, 2))
    assert added(live, {"message": "RecognitionStarted"}, said, END_OF_TRANSCRIPT) == ["a_b"]


def test_what_is_no_message_of_the_api_says_nothing() -> None:
    live = LiveCaptions()
    for name in ([], None, "Info"):
        assert live.add({**final(result("one", 0, 1)), "message": name}) == []
    assert live.current is None


def test_unless_asked_otherwise_there_are_two_lines_of_37_characters() -> None:
    live = LiveCaptions()
    for last in ("b" * 18, "b" * 19):
        live.add(partial(result("a" * 18, 0, 1), result(last, 1, 2)))
        assert live.current is not None
        assert len(live.current.lines) == len(last) - 17
    live.add(partial(*(result(letter * 30, 0, 1) for letter in "abc")))
    assert live.current is not None
    assert live.current.lines == ("b" * 30, "c" * 30)
    assert added(live, final(*row("a" * 30, "b" * 30)), END_OF_TRANSCRIPT) == [
        f"{'a' * 30}\n{'b' * 30}"
    ]
