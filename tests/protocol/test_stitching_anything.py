"""Stitching takes any message, and joins words over any connections."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Optional

import hypothesis
import pytest
from hypothesis import strategies as st
from support.protocol.stitching import (
    HELLO,
    delivered,
    event_end,
    event_start,
    mark,
    stitch_after,
    transcript,
    translation,
    utterance_end,
    warning,
    word,
)

from speechmatics_sync._model.typing import Message
from speechmatics_sync._protocol.delivered import Delivered
from speechmatics_sync._protocol.stitching import Stitch

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
    transcript(
        word("hello", 1.5, 2.1),
        word("you", 2.5, 3.0, alternatives=[{"content": "you", "language": "en"}]),
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
        marks.note(spoiled, lambda label: 0.0)
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
