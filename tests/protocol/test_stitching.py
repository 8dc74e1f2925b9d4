"""A session over several connections reads like one: no word twice, none missing, no step back."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Optional

import hypothesis
import pytest
from hypothesis import strategies as st

from speechmatics_sync._model.typing import Label, Message
from speechmatics_sync._protocol.delivered import PRE_ROLL, Delivered
from speechmatics_sync._protocol.stitching import Stitch


def word(content: str, start: Any, end: Any, **more: Any) -> Message:
    return {
        "type": "word",
        "start_time": start,
        "end_time": end,
        "alternatives": [{"content": content, "confidence": 1.0}],
        **more,
    }


def mark(content: str, at: float, **more: Any) -> Message:
    return {**word(content, at, at), "type": "punctuation", **more}


def transcript(*results: Message, partial: bool = False, **more: Any) -> Message:
    """A transcript as the embedded server writes it, with a delimiter after the last word."""
    text = ""
    for result in results:
        if result["type"] == "punctuation":
            text = text.rstrip()
        text += "".join(best["content"] for best in result["alternatives"][:1]) + " "
    return {
        "message": "AddPartialTranscript" if partial else "AddTranscript",
        "metadata": {
            "start_time": results[0]["start_time"],
            "end_time": results[-1]["end_time"],
            "transcript": text,
        },
        "results": list(results),
        **more,
    }


def empty(start: float, end: float, *, partial: bool = False) -> Message:
    name = "AddPartialTranscript" if partial else "AddTranscript"
    metadata = {"start_time": start, "end_time": end, "transcript": ""}
    return {"message": name, "metadata": metadata, "results": []}


def translation(
    language: str, *sentences: tuple[str, float, float], partial: bool = False
) -> Message:
    return {
        "message": "AddPartialTranslation" if partial else "AddTranslation",
        "language": language,
        "results": [
            {"content": content, "start_time": start, "end_time": end}
            for content, start, end in sentences
        ],
    }


def utterance_end(at: float, **more: Any) -> Message:
    return {
        "message": "EndOfUtterance",
        "metadata": {"start_time": at, "end_time": at},
        **more,
    }


def event_start(type: str, at: float, **more: Any) -> Message:
    event = {"type": type, "start_time": at, "confidence": 0.9}
    return {"message": "AudioEventStarted", "event": event, **more}


def event_end(type: str, at: float, **more: Any) -> Message:
    return {"message": "AudioEventEnded", "event": {"type": type, "end_time": at}, **more}


def warning(type: str, reason: str = "because") -> Message:
    return {"message": "Warning", "type": type, "reason": reason}


def delivered(
    *messages: Message, labels: Sequence[Label] = (None,), languages: Sequence[str] = ()
) -> Delivered:
    marks = Delivered(labels, languages)
    for message in messages:
        marks.note(message)
    return marks


def stitch_after(*messages: Message, offset: float = 0.0) -> Stitch:
    """The stitch to a connection whose audio begins at `offset`."""
    return Stitch(delivered(*messages), {None: offset})


def joined(stitch: Stitch, message: Message) -> Message:
    result = stitch.join(message)
    assert result is not None
    return result


def contents(message: Message) -> list[str]:
    return [result["alternatives"][0]["content"] for result in message["results"]]


HELLO = transcript(word("hello", 2.0, 2.6))


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
    assert marks.note(warning("unsupported_translation_pair", "Not supported: en -> e."))
    assert marks.settled(None) == 2.6


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
    marks.skip(None, 10.0)
    marks.skip(None, 7.0)
    assert (marks.settled(None), marks.words_until(None)) == (10.0, 10.0)
    assert marks.sentences_until("de") == 10.0
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


# Trimming.


@pytest.mark.parametrize("partial", [False, True])
def test_a_word_whose_middle_is_settled_is_dropped_and_the_text_is_rebuilt(partial: bool) -> None:
    stitch = stitch_after(HELLO, offset=1.6)
    message = transcript(
        word("hello", 0.41, 1.02), mark(",", 1.02), word("world", 0.98, 1.5), partial=partial
    )
    moved = joined(stitch, message)
    assert contents(moved) == ["world"]
    assert (moved["results"][0]["start_time"], moved["results"][0]["end_time"]) == (2.6, 3.1)
    assert moved["metadata"] == {"start_time": 2.6, "end_time": 3.1, "transcript": "world "}


def test_the_parts_of_an_entity_begin_no_earlier_than_it() -> None:
    entity = {
        **word("1 May", 0.9, 2.0),
        "type": "entity",
        "spoken_form": [word("may", 0.8, 0.9), word("first", 0.9, 2.0)],
    }
    moved = joined(stitch_after(transcript(word("a", 0.5, 1.0))), transcript(entity))
    assert [p["start_time"] for p in moved["results"][0]["spoken_form"]] == [1.0, 1.0]
    assert [p["end_time"] for p in moved["results"][0]["spoken_form"]] == [1.0, 2.0]


def test_a_transcript_of_which_nothing_is_new_is_dropped() -> None:
    assert stitch_after(HELLO).join(transcript(word("hello", 2.0, 2.6), mark(".", 2.6))) is None


def test_a_transcript_begins_no_earlier_than_what_was_delivered() -> None:
    message = transcript(word("world", 2.7, 3.0))
    message["metadata"]["start_time"] = 1.0
    moved = joined(stitch_after(HELLO), message)
    assert moved["metadata"] == {"start_time": 2.6, "end_time": 3.0, "transcript": "world "}


def test_an_empty_transcript_goes_by_its_time() -> None:
    stitch = stitch_after(HELLO)
    assert stitch.join(empty(1.0, 2.6)) is None
    assert stitch.join(empty(1.0, 3.0)) == empty(2.6, 3.0)


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("acknowledged", [2.0, 2.8, math.inf])
def test_times_do_not_go_back_behind_a_final_without_words(
    partial: bool, acknowledged: float
) -> None:
    marks = delivered(HELLO)
    marks.note(empty(2.6, 3.0), lambda label: acknowledged)
    stitch = Stitch(marks, {None: 0.0})
    assert stitch.join(empty(2.6, 3.0, partial=partial)) is None
    assert stitch.join(empty(2.5, 2.9, partial=partial)) is None
    assert stitch.join(empty(2.6, 3.5, partial=partial)) == empty(3.0, 3.5, partial=partial)
    later = transcript(word("world", 3.1, 3.5), partial=partial)
    later["metadata"]["start_time"] = 2.6
    assert joined(stitch, later)["metadata"]["start_time"] == 3.0
    # The server was wrong about the silence: a word is never lost or moved for that.
    within = transcript(word("world", 2.8, 3.2), partial=partial)
    assert stitch.join(within) is within


def test_a_final_without_words_moves_nothing_on_another_channel() -> None:
    marks = delivered({**empty(0.0, 3.0), "channel": "a"}, labels=["a", "b"])
    stitch = Stitch(marks, {"a": 0.0, "b": 0.0})
    other = {**empty(1.0, 2.0), "channel": "b"}
    assert stitch.join(other) is other


def test_marks_go_with_their_words_across_messages() -> None:
    stitch = stitch_after(HELLO)
    assert stitch.join(transcript(word("hello", 2.0, 2.6))) is None
    # As it would be after "world" by its time; a partial's words are no finals' words.
    partial = transcript(word("world", 2.7, 3.0), partial=True)
    assert stitch.join(partial) is partial
    assert stitch.join(transcript(mark(",", 2.7))) is None
    world = transcript(word("world", 2.7, 3.0))
    assert stitch.join(world) is world
    stop = transcript(mark(".", 2.5))
    assert contents(joined(stitch, stop)) == ["."]


def test_a_mark_before_any_word_goes_by_its_time() -> None:
    assert stitch_after(HELLO).join(transcript(mark(".", 2.6))) is None
    late = transcript(mark(".", 2.61))
    assert stitch_after(HELLO).join(late) is late


def test_a_mark_may_go_with_the_next_word() -> None:
    def opening(at: float) -> Message:
        return mark("¿", at, attaches_to="next")

    stitch = stitch_after(HELLO)
    message = transcript(opening(2.0), word("hola", 2.0, 2.6), opening(2.55), word("qué", 2.6, 3.0))
    moved = joined(stitch, message)
    assert contents(moved) == ["¿", "qué"]
    assert moved["results"][0]["start_time"] == 2.6
    assert moved["metadata"]["transcript"] == "¿qué "
    assert stitch.join(transcript(opening(2.5))) is None
    last = transcript(opening(2.6))
    assert stitch.join(last) is last


def test_the_text_is_rebuilt_as_its_language_is_written() -> None:
    marks = delivered(HELLO, {"message": "LanguageInfo", "language": "ja", "word_delimiter": ""})
    message = transcript(
        word("hello", 2.0, 2.6),
        word("co", 2.6, 3.0, attaches_to="next"),
        word("op", 3.0, 3.3),
        mark("-", 3.3, attaches_to="both"),
        word("x", 3.3, 3.5),
        word("日", 4, 5),
        word("本", 5, 6),
        word("y", 6, 7),
        {**word("", 7, 8), "alternatives": []},
    )
    for result in message["results"][5:7]:
        result["alternatives"][0]["language"] = "ja"
    message["metadata"]["transcript"] = "…"
    stitch = Stitch(marks, {None: 0.0}, delimiter="_")
    assert joined(stitch, message)["metadata"]["transcript"] == "coop-x_日本_y"


def test_a_text_that_ended_without_a_delimiter_does_so_again() -> None:
    message = transcript(word("hello", 2.0, 2.6), word("world", 2.7, 3.0))
    message["metadata"]["transcript"] = "hello world"
    assert joined(stitch_after(HELLO), message)["metadata"]["transcript"] == "world"


def test_channels_are_trimmed_apart() -> None:
    marks = delivered(transcript(word("a", 4.0, 5.0), channel="a"), labels=["a", "b"])
    stitch = Stitch(marks, {"a": 0.0, "b": 0.0})
    message = transcript(word("a", 4.0, 5.0, channel="a"), word("b", 4.0, 5.0, channel="b"))
    assert contents(joined(stitch, message)) == ["b"]
    # The last word of channel b is new, that of channel a is not.
    marks_ = transcript(mark(".", 5.0, channel="a"), mark("!", 4.9, channel="b"))
    assert contents(joined(stitch, marks_)) == ["!"]


def test_a_connections_own_words_trim_nothing() -> None:
    marks = delivered()
    stitch = Stitch(marks, {None: 0.0})
    marks.note(transcript(word("a", 1.0, 5.0)))
    within = transcript(word("b", 2.0, 3.0))
    assert stitch.join(within) is within


def test_nothing_is_dropped_where_nothing_was_delivered() -> None:
    first = transcript(word("a", 0.0, 0.0), mark(".", 0.0))
    assert stitch_after().join(first) is first


def test_times_are_no_finer_than_their_sums() -> None:
    # What was delivered ends, as the server has it, by an error of its sum after what it means.
    stitch = stitch_after(transcript(word("a", 1.0, 1.2000000000000002)))
    message = transcript(word("b", 1.2, 1.5))
    assert stitch.join(message) is message


def test_the_last_word_is_dropped_even_without_length() -> None:
    short = transcript(word("a", 1.0, 1.0))
    assert stitch_after(short).join(short) is None


@pytest.mark.parametrize("partial", [False, True])
def test_sentences_are_trimmed_by_what_was_translated_into_their_language(partial: bool) -> None:
    stitch = stitch_after(translation("de", ("eins", 1, 2)), translation("fr", ("un", 0.5, 0.9)))
    german = translation("de", ("eins", 1, 2), ("zwei", 1.9, 3), partial=partial)
    moved = joined(stitch, german)
    assert moved["results"] == [{"content": "zwei", "start_time": 2.0, "end_time": 3}]
    french = translation("fr", ("un", 1, 2), partial=partial)
    assert stitch.join(french) is french
    assert stitch.join(translation("de", ("eins", 1, 2), partial=partial)) is None
    empty = translation("de", partial=partial)
    assert stitch.join(empty) is empty


# What is told once.


def test_the_end_of_an_utterance_is_told_once() -> None:
    marks = delivered(
        utterance_end(5.0, channel="a"), utterance_end(3.0, channel="b"), labels=["a", "b"]
    )
    stitch = Stitch(marks, {"a": 0.0, "b": 0.0})
    assert stitch.join(utterance_end(5.1, channel="a")) is None
    early = Stitch(delivered(utterance_end(0.7)), {None: 0.0})
    assert early.join(utterance_end(0.8)) is None  # more than the sum of 0.7 and 0.1
    later = utterance_end(5.2, channel="a")
    assert stitch.join(later) is later
    marks.note(later)
    soon = utterance_end(5.25, channel="a")
    assert stitch.join(soon) is soon
    forced = utterance_end(4.0, channel="a", forced=True)
    assert stitch.join(forced) is forced
    other = utterance_end(4.0, channel="b")
    assert stitch.join(other) is other


def test_an_utterance_ends_no_earlier_than_what_was_said() -> None:
    stitch = stitch_after(HELLO)
    assert stitch.join(utterance_end(2.0)) is None
    assert stitch.join(utterance_end(2.55)) == utterance_end(2.6)


def test_an_audio_event_is_told_once() -> None:
    marks = delivered(event_start("laughter", 2.0), event_end("laughter", 3.0))
    stitch = Stitch(marks, {None: 0.0})
    assert stitch.join(event_start("laughter", 2.4)) is None
    assert stitch.join(event_end("laughter", 3.1)) is None
    again = event_start("laughter", 4.0)
    assert stitch.join(again) is again
    marks.note(again)
    end = event_end("laughter", 5.0)
    assert stitch.join(end) is end
    other = event_start("music", 2.0)
    assert stitch.join(other) is other


def test_an_audio_event_that_lasts_over_two_connections_ends_once() -> None:
    marks = delivered(event_start("music", 5.0))
    stitch = Stitch(marks, {None: 4.0})
    assert stitch.join(event_start("music", 4.0)) is None
    assert stitch.join(event_end("music", 0.5)) is None  # of an earlier one: it began at 5
    end = joined(stitch, event_end("music", 6.0))
    assert end == event_end("music", 10.0)
    marks.note(end)
    assert stitch.join(event_end("music", 6.1)) is None


def test_audio_events_of_channels_are_apart() -> None:
    marks = delivered(event_start("music", 5.0, channel="a"), labels=["a", "b"])
    other = event_start("music", 5.0, channel="b")
    assert Stitch(marks, {"a": 0.0, "b": 0.0}).join(other) is other


def test_a_language_and_a_warning_are_told_once() -> None:
    language = {"message": "LanguageInfo", "language": "en", "word_delimiter": " "}
    told = [language, warning("idle_timeout", "soon")]
    marks = delivered(*(copy.deepcopy(message) for message in told))
    stitch = Stitch(marks, {None: 3.0})
    assert [stitch.join(message) for message in told] == [None, None]
    for message in ({**language, "partial": True}, warning("idle_timeout", "very soon")):
        assert stitch.join(message) is message
        marks.note(message)
        assert stitch.join(message) is message  # what one connection says twice, it says twice


def test_what_a_handler_does_with_a_language_changes_nothing() -> None:
    language = {"message": "LanguageInfo", "language": "en", "word_delimiter": " "}
    marks = delivered(language)
    again = dict(reversed(language.items()))
    language.clear()
    assert Stitch(marks, {None: 0.0}).join(again) is None


def test_a_connection_of_the_same_session_is_no_news() -> None:
    stitch = stitch_after()
    for name in ("Info", "RecognitionStarted"):
        assert stitch.join({"message": name, "type": "recognition_quality", "reason": ""}) is None


@pytest.mark.parametrize(
    "name", ["EndOfTranscript", "Error", "SpeakersResult", "SomethingNew", "AudioAdded"]
)
def test_other_messages_pass(name: str) -> None:
    message = {"message": name, "metadata": {"start_time": 1.0, "end_time": 2.0}}
    assert stitch_after(HELLO, offset=4.0).join(message) is message


# Whatever comes.

WHOLE = [
    transcript(
        {
            **word("1 May", 2.1, 2.9),
            "type": "entity",
            "spoken_form": [word("may", 2.1, 2.9)],
        },
        mark(".", 2.9),
        channel=None,
    ),
    translation("de", ("hallo", 2.5, 3.0)),
    utterance_end(3.0),
    event_start("music", 3.0),
    event_end("music", 4.0),
    {"message": "LanguageInfo", "language": "en", "word_delimiter": " "},
    warning("unsupported_translation_pair"),
]
WRONG: list[Any] = [None, True, "1", math.nan, math.inf, -math.inf, 10**400, 10**5000, [], [1], {}]


def spoilt(message: Message) -> Iterable[Message]:
    """The message with one of its values, anywhere, wrong or missing."""

    def places(value: Any, path: tuple[Any, ...]) -> Iterable[tuple[Any, ...]]:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield (*path, key)
            if isinstance(inner, (dict, list)):
                yield from places(inner, (*path, key))

    for path in places(message, ()):
        for wrong in [*WRONG, ...]:
            whole = copy.deepcopy(message)
            inner: Any = whole
            for key in path[:-1]:
                inner = inner[key]
            if wrong is ...:
                del inner[path[-1]]
            else:
                inner[path[-1]] = wrong
            yield whole


@pytest.mark.parametrize("message", WHOLE, ids=lambda message: str(message["message"]))
def test_a_message_that_cannot_be_read_is_passed_on_and_settles_nothing(message: Message) -> None:
    for spoiled in spoilt(message):
        marks = delivered(HELLO, event_start("music", 1.0), languages=["de"])
        before = marks.words_until(None)
        stitch = Stitch(marks, {None: 0.5})
        stitch.join(spoiled)
        marks.note(spoiled)
        stitch.shifted_back(spoiled)
        assert before <= marks.words_until(None) <= 3.0
        assert 0.0 <= marks.resume_at(None) <= 3.0


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: type(wrong).__name__)
@pytest.mark.parametrize("key", ["start_time", "end_time"])
def test_no_time_is_made_of_what_is_none(key: str, wrong: Any) -> None:
    stitch = stitch_after(HELLO, offset=4.0)
    for where in ("results", "metadata"):
        message = transcript(word("a", 1.0, 2.0))
        spoiled = message[where][0] if where == "results" else message[where]
        spoiled[key] = wrong
        assert stitch.join(message) is message
        assert not delivered(HELLO).note(message)
    utterance = {"message": "EndOfUtterance", "metadata": {key: wrong}}
    assert stitch.join(utterance) is utterance


def test_what_is_nested_as_deep_as_a_message_may_be_is_joined() -> None:
    deep: Any = word("a", 1.0, 2.0)
    for _ in range(30):  # a list and an object each: `decode` lets 64 levels pass
        deep = {**word("a", 1.0, 2.0), "spoken_form": [deep]}
    stitch = stitch_after(offset=1.0)
    message = transcript(deep)
    joined = stitch.join(message)
    assert joined is not None
    assert joined["results"][0]["start_time"] == 2.0
    language = {"message": "LanguageInfo", "language": deep}
    assert stitch.join(language) is language
    assert not delivered().note(language)


KEYS = st.sampled_from(
    [
        *("message", "metadata", "results", "start_time", "end_time", "type", "content"),
        *("alternatives", "transcript", "language", "attaches_to", "channel", "event", "reason"),
        *("forced", "spoken_form", "timestamp"),
    ]
)
NAMES = st.sampled_from([message["message"] for message in WHOLE] + ["AddPartialTranscript"])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)


@hypothesis.given(NAMES, st.dictionaries(KEYS, ANY_JSON, max_size=6))
def test_no_message_is_too_strange(name: str, message: Message) -> None:
    marks = delivered(HELLO, languages=["de"])
    stitch = Stitch(marks, {None: 1.5})
    for each in (message, {**message, "message": name}):
        original = repr(each)
        stitch.join(each)
        marks.note(each)
        stitch.shifted_back(each)
        assert repr(each) == original
        assert marks.resume_at(None) >= 0.0


# The whole promise.


class Spoken(NamedTuple):
    content: str
    start_time: float
    end_time: float
    stop: bool


@st.composite
def timelines(draw: st.DrawFn) -> list[Spoken]:
    """Words one after another, in milliseconds, some of them touching, some with a full stop."""
    words, at = [], 0
    for index in range(draw(st.integers(1, 12))):
        at += draw(st.sampled_from([0, 0, 40, 370, 1400]))
        end = at + draw(st.integers(1, 900))
        words.append(Spoken(f"w{index}", at / 1000, end / 1000, draw(st.booleans())))
        at = end
    return words


def finals(words: Sequence[Spoken], cuts: Sequence[int], begun: float) -> list[Message]:
    """What a server that hears these words says when its audio begins at `begun`."""
    bounds = [0, *sorted(cut % (len(words) + 1) for cut in cuts), len(words)]
    messages = []
    for first, last in zip(bounds, bounds[1:]):
        results = []
        for spoken in words[first:last]:
            start_time, end_time = (
                round(time - begun, 3) for time in (spoken.start_time, spoken.end_time)
            )
            results.append(word(spoken.content, start_time, end_time))
            if spoken.stop:
                results.append(mark(".", end_time))
        if results:
            messages.append(transcript(*results))
    return messages


CUTS = st.lists(st.integers(0, 12), max_size=4)


@hypothesis.given(
    timelines(), st.lists(st.tuples(CUTS, st.integers(0, 12), st.booleans()), max_size=3), CUTS
)
def test_words_over_any_connections_are_those_of_one(
    words: list[Spoken], lost: list[tuple[list[int], int, bool]], last_cuts: list[int]
) -> None:
    """Every connection but the last is lost after some of its finals."""
    marks = Delivered([None])
    received: list[Message] = []
    begun, stitch = 0.0, Stitch(marks, {None: 0.0}, first=True)
    for cuts, count, earlier in [*lost, (last_cuts, len(words) + 1, False)]:
        heard = [spoken for spoken in words if spoken.start_time >= begun]
        clipped = [spoken for spoken in words if spoken.start_time < begun < spoken.end_time]
        if clipped and clipped[0].end_time - begun >= 0.002:
            # Of a word that was cut at its onset, something else is heard.
            heard.insert(0, Spoken("clipped", begun, clipped[0].end_time, False))
        partial: Optional[Message] = None
        for message in finals(heard, cuts, begun)[:count]:
            partial = stitch.join({**message, "message": "AddPartialTranscript"})
            result = stitch.join(message)
            if partial is not None:
                assert result is not None
                assert partial["results"] == result["results"]
            if result is not None:
                marks.note(result)
                received.append(result)
        begun = marks.resume_at(None)
        if earlier:  # a file is read again from an earlier place, from its start at worst
            begun = max(0.0, round(begun - 0.6, 6))
        stitch = Stitch(marks, {None: begun})
    results = [result for message in received for result in message["results"]]
    said = [
        (result["alternatives"][0]["content"], result["start_time"], result["end_time"])
        for result in results
        if result["type"] == "word"
    ]
    assert said == [(each.content, each.start_time, each.end_time) for each in words]
    marked = [
        results[index - 1]["alternatives"][0]["content"]
        for index, result in enumerate(results)
        if result["type"] == "punctuation"
    ]
    assert marked == [each.content for each in words if each.stop]
    spans = [message["metadata"] for message in received]
    times = [time for span in spans for time in (span["start_time"], span["end_time"])]
    assert times == sorted(times)
    text = "".join(span["transcript"] for span in spans)
    assert text == "".join(f"{each.content}{'.' * each.stop} " for each in words)
    json.dumps(received, allow_nan=False)
