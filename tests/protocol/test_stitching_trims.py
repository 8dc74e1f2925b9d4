"""What came before is dropped from the messages of the next connection, and nothing else."""

from __future__ import annotations

import copy
import math

import pytest
from support.protocol.stitching import (
    HELLO,
    delivered,
    event_end,
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
from speechmatics_sync._protocol.stitching import Stitch


def empty(start: float, end: float, *, partial: bool = False) -> Message:
    name = "AddPartialTranscript" if partial else "AddTranscript"
    metadata = {"start_time": start, "end_time": end, "transcript": ""}
    return {"message": name, "metadata": metadata, "results": []}


def contents(message: Message) -> list[str]:
    return [result["alternatives"][0]["content"] for result in message["results"]]


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


def test_what_is_left_keeps_its_marks_and_ends_where_its_last_word_does() -> None:
    stitch = stitch_after(HELLO)
    message = transcript(
        word("well", 2.7, 3.0),
        mark(",", 3.0),
        word("world", 3.0, 3.4),
        mark(".", 3.4),
        word("hello", 2.0, 2.6),  # out of order, as the words of another channel may be
    )
    moved = joined(stitch, message)
    assert moved["metadata"] == {"start_time": 2.7, "end_time": 3.4, "transcript": "well, world. "}


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
    silence = empty(0.0, 0.5)
    assert stitch_after().join(silence) is silence


def test_times_are_no_finer_than_their_sums() -> None:
    # What was delivered ends, as the server has it, by an error of its sum after what it means.
    stitch = stitch_after(transcript(word("a", 1.0, 1.2000000000000002)))
    message = transcript(word("b", 1.2, 1.5))
    assert stitch.join(message) is message


@pytest.mark.parametrize(
    ("start", "end", "is_told"),
    [
        (2.4, 3.2, True),
        (2.6, 3.4, False),
        (2.6, 3.8, False),
        (3.4, 4.4, False),
        (3.6, 4.6, True),
        (3.6, 4.2, False),
    ],
)
def test_in_audio_that_was_not_acknowledged_the_same_is_said_where_its_middle_is(
    start: float, end: float, is_told: bool
) -> None:
    """ "Hello" was said from 3 to 4, and the server had read the first two seconds."""
    marks = delivered(languages=["de"])
    for message in (transcript(word("hello", 3.0, 4.0)), translation("de", ("hallo", 3.0, 4.0))):
        marks.note(message, lambda label: 2.0)
    stitch = Stitch(marks, {None: 1.0})
    for message in (
        transcript(word("hello", start - 1.0, end - 1.0)),
        translation("de", ("hallo", start - 1.0, end - 1.0)),
    ):
        assert (stitch.join(message) is not None) is is_told
    for other in (
        transcript(word("yellow", start - 1.0, end - 1.0)),
        translation("de", ("gelb", start - 1.0, end - 1.0)),
    ):
        assert stitch.join(other) is not None


def test_words_in_audio_that_was_not_acknowledged_are_known_by_the_best_of_what_they_may_be() -> (
    None
):
    said = word("hello", 3.0, 4.0)
    said["alternatives"].append({"content": "yellow", "confidence": 0.2})
    marks = delivered()
    marks.note(transcript(said, word("you", 4.0, 5.0)), lambda label: 2.0)
    stitch = Stitch(marks, {None: 0.0})
    for again in (word("hello", 3.0, 4.0), word("you", 4.0, 5.0)):
        assert stitch.join(transcript(again)) is None
    other = transcript(word("yellow", 3.0, 4.0))
    assert stitch.join(other) is other


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


def test_the_end_of_an_utterance_in_audio_that_was_not_acknowledged_is_told_once() -> None:
    marks = delivered()
    marks.note(utterance_end(5.0), lambda label: 2.0)
    stitch = Stitch(marks, {None: 0.0})
    for time in (4.9, 5.0, 5.05):
        assert stitch.join(utterance_end(time)) is None
    for time in (4.8, 5.2):
        another = utterance_end(time)
        assert stitch.join(another) is another


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


@pytest.mark.parametrize("acknowledged", [2.0, 0.0])
def test_an_audio_event_may_begin_half_a_second_later_on_the_next_connection(
    acknowledged: float,
) -> None:
    marks = delivered()
    for message in (event_start("laughter", 2.0), event_end("laughter", 3.0)):
        marks.note(message, lambda label: acknowledged)
    stitch = Stitch(marks, {None: 0.0})
    assert stitch.join(event_start("laughter", 2.5)) is None
    another = event_start("laughter", 2.6)
    assert stitch.join(another) is another


def test_an_audio_event_no_later_than_one_that_was_acknowledged_is_told_once() -> None:
    marks = delivered()
    for message in (event_start("laughter", 3.0), event_end("laughter", 4.0)):
        marks.note(message, lambda label: 1.0)
    stitch = Stitch(marks, {None: 0.0})
    assert stitch.join(event_start("laughter", 0.1)) is None
    assert stitch.join(event_start("laughter", 1.5)) is None
    another = event_start("laughter", 1.6)
    assert stitch.join(another) is another


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


def test_a_final_begins_with_its_first_new_word_where_the_last_one_ended_in_silence() -> None:
    quiet = transcript(word("hello", 2.0, 2.6))
    quiet["metadata"]["end_time"] = 4.0
    message = transcript(word("hello", 2.0, 2.6), word("and", 3.0, 3.4), word("you", 5.0, 5.4))
    moved = joined(stitch_after(quiet), message)
    assert contents(moved) == ["and", "you"]
    assert moved["metadata"]["start_time"] == 3.0


def test_a_text_of_which_nothing_is_dropped_stays_as_the_server_wrote_it() -> None:
    message = transcript(word("and", 3.0, 3.4), word("you", 5.0, 5.4))
    message["metadata"]["transcript"] = "And  you"
    assert joined(stitch_after(HELLO), message)["metadata"]["transcript"] == "And  you"
