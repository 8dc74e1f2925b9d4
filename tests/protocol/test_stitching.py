"""A session over several connections reads like one: no word twice, none missing, no step back."""

from __future__ import annotations

import copy

import pytest
from support.protocol.stitching import (
    HELLO,
    delivered,
    event_start,
    joined,
    mark,
    stitch_after,
    transcript,
    translation,
    utterance_end,
    warning,
    word,
)

from speechmatics_sync._model.typing import Message
from speechmatics_sync._protocol.delivered import PRE_ROLL
from speechmatics_sync._protocol.stitching import Stitch

# What is settled.


def test_words_settle_audio_and_what_a_final_says_of_its_extent_does_not() -> None:
    final = transcript(word("a", 1.0, 1.5), word("b", 2.0, 2.4), mark(".", 2.4))
    final["metadata"]["end_time"] = 9.0
    marks = delivered()
    assert marks.note(final)
    assert (marks.words_until(None), marks.last_word_start(None)) == (2.4, 2.0)
    assert marks.settled(None) == 2.4


def test_entities_settle_audio() -> None:
    final = transcript({**word("1 May", 1.0, 2.0), "type": "entity"})
    assert delivered(final).settled(None) == 2.0


def test_the_word_that_ends_last_counts_in_whatever_order_words_come() -> None:
    marks = delivered(transcript(word("long", 1.0, 5.0), word("short", 2.0, 3.0)))
    assert (marks.words_until(None), marks.last_word_start(None)) == (5.0, 1.0)
    assert not marks.note(transcript(word("late", 3.0, 4.0)))
    assert marks.words_until(None) == 5.0
    marks.note(transcript(word("longer", 0.5, 5.0), word("short", 4.0, 5.0)))
    assert marks.last_word_start(None) == 0.5
    marks.note(transcript(word("earlier", 0.2, 0.4)))
    assert marks.last_word_start(None) == 0.5


def test_nothing_is_settled_by_a_partial_or_by_silence() -> None:
    marks = delivered(transcript(word("a", 1.0, 2.0), partial=True))
    silence = {**HELLO, "results": [], "metadata": {**HELLO["metadata"], "end_time": 60.0}}
    assert not marks.note(silence)
    assert not marks.note(transcript(mark(".", 5.0)))
    assert (marks.settled(None), marks.resume_at(None)) == (0.0, 0.0)


def test_channels_settle_apart_whether_the_message_or_its_results_name_them() -> None:
    marks = delivered(
        transcript(word("a", 0.5, 1.0), channel="left"),
        transcript(word("b", 3.5, 4.0, channel="right")),
        labels=["left", "right", "quiet"],
    )
    assert [marks.settled(label) for label in ("left", "right", "quiet")] == [1.0, 4.0, 0.0]


def test_translated_audio_is_settled_no_further_than_every_language() -> None:
    marks = delivered(HELLO, languages=["de", "fr"])
    assert marks.settled(None) == 0.0
    assert not marks.note(translation("de", ("hallo", 2.0, 2.6)))
    assert marks.settled(None) == 0.0
    assert marks.note(translation("fr", ("salut", 2.0, 2.5)))
    assert marks.settled(None) == 2.5
    assert marks.words_until(None) == 2.6


def test_a_language_that_cannot_be_translated_into_holds_nothing_up() -> None:
    marks = delivered(HELLO, translation("de", ("hallo", 2.0, 2.6)), languages=["de", "cmn-x", "E"])
    assert not marks.note(warning("unsupported_translation_pair", "cannot do en to cmn-x"))
    assert not marks.note(warning("idle_timeout", "Not supported: en -> e."))
    assert marks.note(warning("unsupported_translation_pair", "Not supported: en -> e."))
    assert marks.settled(None) == 2.6


def test_only_the_language_that_a_warning_names_holds_nothing_up() -> None:
    marks = delivered(HELLO, languages=["de", "fr"])
    marks.note(warning("unsupported_translation_pair", "en to fr"))
    assert marks.settled(None) == 0.0
    assert marks.note(translation("de", ("hallo", 2.0, 2.5 - 1e-9)))
    assert marks.settled(None) == 2.5


def test_a_language_that_is_translated_after_all_counts_again() -> None:
    marks = delivered(HELLO, warning("unsupported_translation_pair", "it is xx"), languages=["it"])
    marks.note(translation("it", ("ciao", 1.0, 1.5)))
    assert marks.settled(None) == 1.5


def test_no_language_holds_anything_up_when_nothing_is_translated() -> None:
    marks = delivered(HELLO, languages=["de", "fr"])
    assert marks.note(warning("empty_translation_target_list"))
    assert marks.settled(None) == 2.6


def test_audio_that_never_comes_counts_as_settled_and_delivered() -> None:
    marks = delivered(HELLO, translation("de", ("hallo", 2.0, 2.6)), languages=["de"])
    marks.skip(None, 0.4)
    assert marks.sentences_until("fr") == 0.4
    marks.skip(None, 10.0)
    marks.skip(None, 7.0)
    assert (marks.settled(None), marks.words_until(None)) == (10.0, 10.0)
    assert marks.sentences_until("de") == 10.0
    several = delivered(labels=["a", "b"], languages=["de"])
    several.skip("a", 5.0)
    assert several.sentences_until("de") == 0.0  # those of the other channel are to come
    assert marks.resume_at(None) == 9.0


@pytest.mark.parametrize(
    ("start", "end", "at"),
    [
        (9.5, 10.0, 9.0),  # the pre-roll
        (7.0, 10.0, 6.8),  # so much before a long word
        (9.3, 9.9, 8.8),  # a multiple of 0.2 s
        (0.5, 0.9, 0.0),
        (0.1, 3.0, 0.0),
    ],
)
def test_audio_is_sent_again_from_before_the_last_word(start: float, end: float, at: float) -> None:
    marks = delivered(transcript(word("w", start, end)))
    assert marks.resume_at(None) == at
    assert at <= max(0.0, end - PRE_ROLL)


# Times.


def test_the_first_connection_is_left_alone() -> None:
    stitch = Stitch(delivered(), {None: 0.0}, first=True)
    for message in (HELLO, {"message": "RecognitionStarted"}, {"message": "Info", "type": "x"}):
        assert stitch.join(message) is message
    force = {"message": "ForceEndOfUtterance", "timestamp": 1.00000001}
    assert stitch.shifted_back(force) is force


def test_every_time_of_a_transcript_moves_and_the_message_stays_as_it_was() -> None:
    entity = {
        **word("1 May", 0.1, 0.2),
        "type": "entity",
        "spoken_form": [word("may", 0.1, 0.15), word("first", 0.15, 0.2)],
        "written_form": [word("1 May", 0.1, 0.2)],
    }
    message = transcript(entity, mark(".", 0.2))
    original = copy.deepcopy(message)
    moved = joined(stitch_after(offset=1.1), message)
    assert message == original
    assert moved["metadata"] == {"start_time": 1.2, "end_time": 1.3, "transcript": "1 May. "}
    spoken = [(part["start_time"], part["end_time"]) for part in moved["results"][0]["spoken_form"]]
    assert spoken == [(1.2, 1.25), (1.25, 1.3)]
    assert moved["results"][0]["written_form"] == [word("1 May", 1.2, 1.3)]
    assert moved["results"][1] == mark(".", 1.3)


def test_other_times_move_too() -> None:
    stitch = stitch_after(offset=10.0)
    assert joined(stitch, utterance_end(1.5)) == utterance_end(11.5)
    assert joined(stitch, utterance_end(1.12345678)) == utterance_end(11.123457)
    assert joined(stitch, event_start("music", 1)) == event_start("music", 11)
    assert joined(stitch, translation("de", ("a", 1, 2))) == translation("de", ("a", 11.0, 12.0))
    partial = translation("de", ("a", 1, 2), partial=True)
    assert joined(stitch, partial)["results"][0]["end_time"] == 12.0


@pytest.mark.parametrize("key", ["start_time", "end_time"])
def test_the_end_of_an_utterance_may_have_one_time(key: str) -> None:
    message = {"message": "EndOfUtterance", "metadata": {key: 1.5}}
    assert joined(stitch_after(offset=1.0), message)["metadata"] == {key: 2.5}


def test_nothing_is_copied_where_nothing_changes() -> None:
    stitch = stitch_after()
    for message in (HELLO, utterance_end(1.0), translation("de", ("a", 1, 2))):
        assert stitch.join(message) is message


def test_channels_move_apart() -> None:
    stitch = Stitch(delivered(labels=["a", "b"]), {"a": 10.0, "b": 20.0})
    both = transcript(word("x", 1, 2, channel="b"), word("y", 1, 2, channel="a"), channel="a")
    moved = joined(stitch, both)
    assert [result["start_time"] for result in moved["results"]] == [21.0, 11.0]
    assert moved["metadata"]["start_time"] == 11.0
    unnamed = {key: value for key, value in both.items() if key != "channel"}
    assert joined(stitch, unnamed)["metadata"]["start_time"] == 21.0  # as its first word
    assert (
        joined(stitch, transcript(word("x", 1, 2, channel="b")))["metadata"]["start_time"] == 21.0
    )
    assert joined(stitch, utterance_end(1, channel="b"))["metadata"]["end_time"] == 21.0
    in_event = event_start("music", 1)
    in_event["event"]["channel"] = "b"
    assert joined(stitch, in_event)["event"]["start_time"] == 21.0
    assert joined(stitch, translation("de", ("a", 1, 2)))["results"][0]["start_time"] == 11.0
    assert joined(stitch, utterance_end(1, channel="?"))["metadata"]["end_time"] == 11.0


def test_a_clients_time_moves_back_and_never_below_zero() -> None:
    stitch = Stitch(delivered(labels=["a", "b"]), {"a": 1.1, "b": 20.0})
    force: Message = {"message": "ForceEndOfUtterance", "timestamp": 2.2, "channel": "a"}
    assert stitch.shifted_back(force) == {**force, "timestamp": 1.1}
    assert stitch.shifted_back({**force, "channel": "b"})["timestamp"] == 0.0
    for message in ({"message": "ForceEndOfUtterance"}, {**force, "timestamp": "now"}):
        assert stitch.shifted_back(message) is message
