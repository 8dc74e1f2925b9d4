"""Live text: lines grow word by word, what is settled stays, and all of it is the transcript."""

from __future__ import annotations

import json
import pickle
import re
import sys
from collections.abc import Sequence
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fuzzing import examples
from support.live import END_OF_TRANSCRIPT, Watcher, partial, utterance_end, watched
from support.transcripts import final, mark, result, results, transcript

from speechmatics_sync import ConfigurationError, Line, LiveText, TransportError

STOP = mark(".", 2, is_eos=True)


def started(delimiter: str = " ") -> dict[str, Any]:
    return {"message": "RecognitionStarted", "language_pack_info": {"word_delimiter": delimiter}}


def word(content: str, at: float, **more: Any) -> dict[str, Any]:
    """A word that lasts a second."""
    return result(content, at, at + 1, **more)


def shown(lines: Sequence[Line]) -> list[tuple[int, str, int, bool]]:
    return [(line.id, line.text, line.settled, line.is_final) for line in lines]


def told(*messages: dict[str, Any]) -> list[list[tuple[int, str, int, bool]]]:
    """What each message gives."""
    live = LiveText()
    return [shown(live.add(message)) for message in messages]


# -- one speaker ----------------------------------------------------------------------------------


def test_a_line_grows_with_partials_until_its_sentence_ends() -> None:
    hello, world = word("Hello", 0), word("world", 1)
    assert told(
        started(),
        partial(hello),
        partial(hello, world),
        final(hello),
        partial(world, STOP),
        final(world, STOP),
        END_OF_TRANSCRIPT,
    ) == [
        [],
        [(1, "Hello", 0, False)],
        [(1, "Hello world", 0, False)],
        [(1, "Hello world", 5, False)],
        [(1, "Hello world.", 5, False)],
        [(1, "Hello world.", 12, True)],
        [],
    ]


def test_without_partials_a_line_grows_by_finals() -> None:
    assert told(final(word("Hello", 0)), final(word("world", 1), STOP), final(word("Next", 3))) == [
        [(1, "Hello", 5, False)],
        [(1, "Hello world.", 12, True)],
        [(2, "Next", 4, False)],
    ]


def test_a_mark_in_a_final_of_its_own_ends_the_line() -> None:
    assert told(final(word("Hello", 0)), final(STOP)) == [
        [(1, "Hello", 5, False)],
        [(1, "Hello.", 6, True)],
    ]


def test_a_final_of_several_sentences_gives_as_many_lines() -> None:
    sentences = [word("One", 0), STOP, word("Two", 2), mark("?", 3, is_eos=True), word("Three", 4)]
    assert told(partial(*sentences), final(*sentences)) == [
        [(1, "One.", 0, False), (2, "Two?", 0, False), (3, "Three", 0, False)],
        [(1, "One.", 4, True), (2, "Two?", 4, True), (3, "Three", 5, False)],
    ]


def test_a_mark_that_ends_no_sentence_ends_no_line() -> None:
    hello = final(word("Hello", 0), mark(",", 1, is_eos=False))
    assert told(hello, final(word("world", 1)))[-1] == [(1, "Hello, world", 12, False)]


def test_quotes_that_close_behind_the_full_stop_belong_to_the_line() -> None:
    quote = mark("”", 2, attaches_to="previous")
    assert told(final(word("Yes", 0), STOP, quote)) == [[(1, "Yes.”", 5, True)]]


def test_a_mark_that_comes_when_its_line_is_final_begins_the_next_one() -> None:
    assert told(final(word("Yes", 0)), utterance_end(1.5), final(STOP), final(word("No", 2)))[
        2:
    ] == [[], [(2, ". No", 4, False)]]
    assert told(final(STOP), END_OF_TRANSCRIPT) == [[], [(1, ".", 1, True)]]


def test_an_utterance_ends_the_line_and_what_a_partial_guessed_of_it() -> None:
    assert told(
        partial(word("so", 0), word("um", 1), word("next", 3)),
        final(word("so", 0)),
        utterance_end(2.5),
    ) == [
        [(1, "so um next", 0, False)],
        [(1, "so um next", 2, False)],
        [(1, "so", 2, True), (2, "next", 0, False)],
    ]


def test_an_utterance_end_without_a_time_ends_all_guesses() -> None:
    end = {"message": "EndOfUtterance", "metadata": {}}
    assert told(partial(word("so", 0)), end)[-1] == [(1, "", 0, True)]


def test_the_end_of_the_transcript_makes_what_is_left_final() -> None:
    assert told(final(word("so", 0)), partial(word("on", 1)), END_OF_TRANSCRIPT)[1:] == [
        [(1, "so on", 2, False)],
        [(1, "so", 2, True)],
    ]


def test_a_line_whose_words_vanish_ends_empty() -> None:
    assert told(partial(word("um", 0)), partial(), partial(word("so", 1)), END_OF_TRANSCRIPT) == [
        [(1, "um", 0, False)],
        [(1, "", 0, True)],
        [(2, "so", 0, False)],
        [(2, "", 0, True)],
    ]


def test_a_final_without_results_drops_the_guesses_that_it_covers() -> None:
    silence = {**final(), "metadata": {"start_time": 0, "end_time": 2, "transcript": ""}}
    assert told(partial(word("um", 0), word("so", 2)), silence)[1] == [(1, "so", 0, False)]


def test_words_that_a_final_does_not_cover_stay() -> None:
    assert told(partial(word("a", 0), word("b", 1), word("c", 2)), final(word("A", 0)))[1] == [
        (1, "A b c", 1, False)
    ]


def test_marks_of_finals_wait_for_the_next_word_and_those_of_partials_are_guesses() -> None:
    opening = final(mark("¿", 0, attaches_to="next"))
    guess = partial(mark("¡", 0, attaches_to="next"))
    que = word("Qué", 0)
    assert told(opening, guess, partial(que), final(que)) == [
        [],
        [],
        [(1, "¿Qué", 0, False)],
        [(1, "¿Qué", 4, False)],
    ]


def test_an_entity_is_one_word_as_it_is_written() -> None:
    entity = result("£10", 1, 3, type="entity", spoken_form=[word("ten", 1), word("pounds", 2)])
    assert told(final(word("about", 0), entity)) == [[(1, "about £10", 9, False)]]


def test_the_same_text_is_not_given_again() -> None:
    assert told(partial(word("a", 0)), partial(word("a", 0)), final(), utterance_end(0)) == [
        [(1, "a", 0, False)],
        [],
        [],
        [],
    ]


@pytest.mark.parametrize("pause", [0.0, 0.6])
def test_a_line_without_end_ends_at_a_pause_once_it_is_long(pause: float) -> None:
    lengths = []
    live = LiveText()
    for number in range(200):
        at = number + pause * (number % 10 == 0)
        for line in live.add(final(result(f"word{number:03}", at, number + 1))):
            if line.is_final:
                lengths.append(len(line.text))
    assert len(lengths) > 2
    # With pauses, at the first after 200 characters; without, at the first word after 400.
    assert set(lengths) == ({239} if pause else {407})


# -- speakers, channels, languages ----------------------------------------------------------------


def test_another_speaker_begins_another_line() -> None:
    one, two = word("Hello", 0, speaker="S1"), word("Hi", 1, speaker="S2")
    three = word("So", 2, speaker="S1")
    live = LiveText()
    assert shown(live.add(partial(one, two))) == [(1, "Hello", 0, False), (2, "Hi", 0, False)]
    assert shown(live.add(final(one, two, three))) == [
        (1, "Hello", 5, True),
        (2, "Hi", 2, True),
        (3, "So", 2, False),
    ]
    assert live.open_lines == [Line(3, "So", 2, "S1", None, 2, 3, False)]


def test_a_speaker_is_certain_once_a_word_is() -> None:
    live = LiveText()
    assert live.add(partial(word("Hi", 0, speaker="S1")))[0].speaker == "S1"
    assert live.add(partial(word("Hi", 0, speaker="S2")))[0].speaker == "S2"
    assert live.add(final(word("Hi", 0, speaker="S2")))[0].speaker == "S2"
    assert shown(live.add(partial(word("you", 1, speaker="S1")))) == [(2, "you", 0, False)]


def test_channels_grow_side_by_side() -> None:
    live = LiveText()
    live.add(partial(word("hi", 0.5), channel="caller"))
    live.add(final(word("hello", 0), channel="agent"))
    live.add(utterance_end(1, channel="elsewhere"))
    assert [(line.channel, line.text) for line in live.open_lines] == [
        ("agent", "hello"),
        ("caller", "hi"),
    ]
    ended = live.add(utterance_end(2, channel="agent"))
    assert [(line.channel, line.text, line.is_final) for line in ended] == [
        ("agent", "hello", True)
    ]
    assert [line.channel for line in live.add(END_OF_TRANSCRIPT)] == ["caller"]
    assert live.open_lines == []


def test_results_may_name_the_channel_in_place_of_the_message() -> None:
    both = [word("hi", 0, channel="x"), word("hello", 0, channel="y")]
    live = LiveText()
    for message in (partial(*both), final(*both)):
        assert [line.channel for line in live.add(message)] == ["x", "y"]


@pytest.mark.parametrize("by", ["argument", "RecognitionStarted", "LanguageInfo"])
def test_words_are_joined_by_the_delimiter_of_their_language(by: str) -> None:
    live = LiveText(word_delimiter="" if by == "argument" else " ")
    if by == "RecognitionStarted":
        live.add(started(""))
    if by == "LanguageInfo":
        live.add({"message": "LanguageInfo", "language": "ja", "word_delimiter": ""})
    words = [word("今日", 0, language="ja"), word("は", 1, language="ja")]
    assert shown(live.add(partial(*words))) == [(1, "今日は", 0, False)]
    live.add({"message": "LanguageInfo", "language": "en", "word_delimiter": " "})
    english = [word("very", 2, language="en"), word("good", 3, language="en")]
    assert shown(live.add(final(*words, *english)))[0][1] == "今日は very good"


def test_text_from_right_to_left_is_in_the_order_in_which_it_is_read() -> None:
    stop = mark("؟", 2, is_eos=True, attaches_to="previous")
    assert told(partial(word("كيف", 0)), final(word("كيف", 0), word("حالك", 1), stop))[1] == [
        (1, "كيف حالك؟", 9, True)
    ]


# -- sessions -------------------------------------------------------------------------------------


def test_what_a_lost_connection_guessed_is_given_up_when_another_is_there() -> None:
    reconnected = {"message": "SessionReconnected", "attempt": 1}
    assert told(
        final(word("so", 0)),
        partial(word("um", 1), STOP, word("well", 2)),
        {"message": "SessionReconnecting", "attempt": 1},
        reconnected,
        partial(word("on", 1)),
    )[1:] == [
        [(1, "so um.", 2, False), (2, "well", 0, False)],
        [],
        [(1, "so", 2, False), (2, "", 0, True)],
        [(1, "so on", 2, False)],
    ]


def test_another_session_ends_what_one_that_broke_off_had_left() -> None:
    assert told(
        started(""), final(word("今", 0)), partial(word("日", 1)), started(), final(word("a", 0))
    )[2:] == [[(1, "今日", 1, False)], [(1, "今", 1, True)], [(2, "a", 1, False)]]


@pytest.mark.parametrize(
    "message",
    [
        {"message": "AudioEventStarted", "event": {"type": "music"}},
        {"message": "AddTranslation"},
        {"message": "Info"},
        {"message": ["AddTranscript"]},
        {},
    ],
)
def test_other_messages_change_nothing(message: Any) -> None:
    live = LiveText()
    before = live.add(final(word("a", 0)))
    assert live.add(message) == []
    assert live.open_lines == before


@pytest.mark.parametrize(
    "message",
    [
        {"message": "AddPartialTranscript"},
        {**partial(word("b", 1)), "results": [word("b", 1), {"type": "word"}]},
        {**final(word("b", 1)), "channel": ["x"]},
        {"message": "LanguageInfo"},
        {"message": "EndOfUtterance"},
        {"message": "RecognitionStarted", "language_pack_info": []},
    ],
    ids=lambda message: message["message"],
)
def test_of_a_garbled_message_nothing_is_taken(message: Any) -> None:
    live = LiveText()
    before = live.add(final(word("a", 0)))
    with pytest.raises(TransportError):
        live.add(message)
    assert live.open_lines == before


@pytest.mark.parametrize("no_message", [None, "{}", [], 5])
def test_what_is_no_message_is_an_error_that_says_what_is(no_message: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"type {type(no_message).__name__}; allowed: a dict"
    ):
        LiveText().add(no_message)


def test_a_line_is_a_plain_value() -> None:
    (line,) = LiveText().add(final(word("Hi", 0, speaker="S1"), channel="x"))
    assert line == Line(1, "Hi", 2, "S1", "x", 0, 1, False)
    assert json.loads(json.dumps(line.to_dict())) == {
        "id": 1,
        "text": "Hi",
        "settled": 2,
        "speaker": "S1",
        "channel": "x",
        "start_time": 0,
        "end_time": 1,
        "is_final": False,
    }
    assert pickle.loads(pickle.dumps(line)) == line
    assert Line.__module__ == LiveText.__module__ == "speechmatics_sync"


# -- any session ----------------------------------------------------------------------------------

utterance_ends = st.builds(
    lambda at, channel: (
        utterance_end(at) if channel is None else utterance_end(at, channel=channel)
    ),
    st.floats(0, 12),
    st.sampled_from([None, "x", "y"]),
)
transcripts = st.builds(
    lambda make, parts: make(*parts),
    st.sampled_from([partial, final]),
    st.lists(results, max_size=5),
)
reconnections = st.just({"message": "SessionReconnected"})
messages = st.lists(st.one_of(transcripts, transcripts, utterance_ends, reconnections), max_size=12)


def numbered(sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages, with a number for the content of each word, so that each can be told apart."""
    count = 0
    made = []
    for message in sent:
        parts = []
        for part in message.get("results", []):
            (best,) = part["alternatives"]
            content = best["content"]
            if content.strip():
                is_mark = part["type"] == "punctuation"
                content = "." if is_mark else f"w{count}"
                count += 1
            parts.append({**part, "alternatives": [{**best, "content": content}]})
        made.append({**message, "results": parts} if "results" in message else message)
    return made


@examples(400)
@given(sent=messages)
def test_the_final_lines_are_the_words_of_the_transcript_each_once(
    sent: list[dict[str, Any]],
) -> None:
    sent = numbered(sent)
    lines = watched(LiveText(), *sent, END_OF_TRANSCRIPT)
    expected = transcript(*(message for message in sent if message["message"] == "AddTranscript"))
    for label in {line.channel for line in lines} | {word.channel for word in expected.words}:
        said = [
            (content, line.speaker)
            for line in lines
            if line.channel == label
            for content in re.findall(r"w\d+", line.text)
        ]
        assert said == [
            (word.content, word.speaker) for word in expected.words if word.channel == label
        ]
    assert sum(line.text.count(".") for line in lines) == sum(
        part["type"] == "punctuation" and part["alternatives"][0]["content"] == "."
        for message in sent
        if message["message"] == "AddTranscript"
        for part in message["results"]
    )


@examples(200)
@given(sent=messages)
def test_nothing_is_left_open_and_ids_go_up(sent: list[dict[str, Any]]) -> None:
    live, watcher = LiveText(), Watcher()
    for message in [*sent, END_OF_TRANSCRIPT]:
        watcher.see(live.add(message))
    assert watcher.open == {}
    assert live.open_lines == []


@pytest.mark.parametrize("sentence", [None, 7])
def test_the_work_a_message_takes_does_not_grow(sentence: Optional[int]) -> None:
    """The most that any of a hundred messages takes, at the beginning and after thousands."""
    live = LiveText()
    steps = 0

    def trace(*_: Any) -> Any:
        nonlocal steps
        steps += 1
        return trace

    def most_of(numbers: range) -> int:
        nonlocal steps
        most = 0
        for number in numbers:
            words = [word(f"word{number + more:05}", number + more) for more in range(3)]
            stop = [STOP] if sentence and number % sentence == 0 else []
            for message in (partial(*words), final(words[0], *stop)):
                steps = 0
                tracing = sys.gettrace()
                sys.settrace(trace)
                try:
                    live.add(message)
                finally:
                    sys.settrace(tracing)
                most = max(most, steps)
        return most

    at_first = most_of(range(150))
    most_of(range(150, 151))
    for number in range(151, 3000):
        live.add(final(word(f"word{number:05}", number)))
    assert most_of(range(3000, 3150)) == at_first
