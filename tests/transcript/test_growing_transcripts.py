"""A transcript that is read while it grows says what it would say if it were read once."""

from __future__ import annotations

import functools
import gc
import pickle
import random
import sys
from itertools import groupby
from typing import Any, Optional

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.fuzzing import examples
from support.live import utterance_end
from support.transcripts import final, mark, result, results, transcript

from speechmatics_sync import Transcript, Turn, Word
from speechmatics_sync._transcript.spoken import Delimiters
from speechmatics_sync._transcript.turns import TurnReader

Results = list[dict[str, Any]]


# -- turns, in the plain way: everything at once --------------------------------------------------


class Spoken:
    """A word with its marks, or marks without a word."""

    def __init__(self, part: dict[str, Any], tokens: Results) -> None:
        self.part = part
        self.tokens = tokens
        self.start, self.end = part["start_time"], part["end_time"]
        self.speaker = part["alternatives"][0].get("speaker")
        self.ends_sentence = False


def content(part: dict[str, Any]) -> str:
    said: str = part["alternatives"][0]["content"].strip()
    return said


def attaches(part: dict[str, Any]) -> str:
    usual = "previous" if part["type"] == "punctuation" else "none"
    return part.get("attaches_to") or usual


def spoken(parts: Results) -> list[Spoken]:
    said: list[Spoken] = []
    waiting: Results = []
    for part in parts:
        if not content(part):
            continue
        if part["type"] != "punctuation":
            said.append(Spoken(part, [*waiting, part]))
            waiting = []
        elif said and attaches(part) != "next":
            said[-1].tokens.append(part)
            said[-1].ends_sentence |= part.get("is_eos") is True
        else:
            waiting.append(part)
    return [*said, Spoken(waiting[-1], waiting)] if waiting else said


def joined(tokens: Results) -> str:
    text, last = "", "next"
    for token in tokens:
        close = last in ("next", "both") or attaches(token) in ("previous", "both")
        text += content(token) if close else " " + content(token)
        last = attaches(token)
    return text


def plain_turns(parts: Results) -> list[tuple[Optional[str], Optional[str], float, float, str]]:
    """Speaker, channel, start, end and text of each turn."""
    by_channel: dict[Optional[str], Results] = {}
    for part in parts:
        by_channel.setdefault(part.get("channel"), []).append(part)
    said = {label: spoken(own) for label, own in by_channel.items()}
    pieces = []
    for label, own in said.items():
        others = [word for other, words in said.items() if other != label for word in words]
        last = None
        for word in own:
            cut = (
                last is None
                or last.ends_sentence
                or last.speaker != word.speaker
                or any(
                    last.end <= other.start < word.start and other.end <= word.start
                    for other in others
                )
            )
            if cut:
                pieces.append((label, word.speaker, [word]))
            else:
                pieces[-1][2].append(word)
            last = word
    if len(said) > 1:
        pieces.sort(key=lambda piece: piece[2][0].start)
    turns = []
    for (label, speaker), run in groupby(pieces, key=lambda piece: piece[:2]):
        words = [word for piece in run for word in piece[2]]
        text = joined([token for word in words for token in word.tokens])
        turns.append((speaker, label, words[0].start, max(w.end for w in words), text))
    return turns


# -- turns, as they are read ----------------------------------------------------------------------


class Entry:
    """A final, as a transcript keeps it."""

    def __init__(self, channel: Optional[str], parts: Results) -> None:
        self.channel = channel
        self._parts = [{**part, "channel": channel} for part in parts]

    def parts(self) -> Results:
        return self._parts


def read_turns(
    entries: list[Entry], margin: float, batch: int, stops: random.Random
) -> tuple[list[Any], list[Any]]:
    """The turns as they are read and as they should be, at random moments and at the end."""
    reader = TurnReader(Delimiters(), margin=margin, batch=batch)
    found, expected = [], []
    for until in range(1, len(entries) + 1):
        if until < len(entries) and stops.random() < 0.8:
            continue
        reader.read(entries, until)
        found.append(
            [
                (each.speaker, each.channel, each.start_time, each.end_time, each.text)
                for each in reader._passages()
            ]
        )
        expected.append(plain_turns([part for entry in entries[:until] for part in entry.parts()]))
    return found, expected


def conversation(chance: random.Random) -> list[Entry]:
    """Finals of up to three channels that talk by turns, at once, or not at all.

    Times are whole numbers, so that many are the same. Words may take no time, overlap, and end
    before they begin; channels may come late, and finals after others that were said later.
    """
    labels = chance.choice([[None], ["x"], ["x", "y"], ["x", "y"], ["x", "y", "z"]])
    speakers = chance.choice([[None], ["S1", "S2"]])
    at_once, overlap = chance.choice([0, 0.2, 1]), chance.choice([0, 0, -1, -2])
    reversed_, stop, alone = chance.choice([0, 0, 0.05]), chance.random() / 2, chance.random() / 2
    first_alone = chance.choice([0, 10])
    now = dict.fromkeys(labels, 0)
    entries = []
    for number in range(25):
        label = labels[0] if number < first_alone else chance.choice(labels)
        if chance.random() >= at_once:
            now[label] = max(now.values())
        parts = []
        for count in range(chance.randint(1, 3)):
            start = max(0, now[label] + chance.choice([overlap, 0, 0, 0, 1, 2, 6]))
            end = start + chance.choice([0, 0, 1, 1, 2, 3])
            now[label] = end
            if chance.random() < reversed_:
                start, end = end, start
            speaker = chance.choice(speakers)
            parts.append(result(f"w{number}{'abc'[count]}", start, end, speaker=speaker))
        entries.append(Entry(label, parts))
        if chance.random() < stop:
            more = chance.choice([{}, {"is_eos": True}, {"is_eos": True}, {"attaches_to": "next"}])
            marks = [mark(chance.choice(".,"), now[label], speaker=speakers[0], **more)]
            if chance.random() < alone:
                entries.append(Entry(label, marks))
            else:
                entries[-1] = Entry(label, parts + marks)
    for _ in range(chance.choice([0, 0, 3])):
        at = chance.randrange(len(entries))
        entries.insert(min(len(entries), at + chance.randint(1, 9)), entries.pop(at))
    return entries


@examples(1000)
@given(
    seed=st.integers(0, 2**32),
    margin=st.sampled_from([0.1, 1, 3]),
    batch=st.sampled_from([1, 3, 8]),
)
# A mark that comes late joins a word that is not the last of its turn.
@example(seed=1176, margin=0.1, batch=1)
def test_turns_that_are_read_as_they_grow_are_those_of_the_whole(
    seed: int, margin: float, batch: int
) -> None:
    chance = random.Random(seed)
    found, expected = read_turns(conversation(chance), margin, batch, chance)
    assert found == expected


def test_words_of_one_channel_that_overlap_do_not_cut_another() -> None:
    entries = [
        Entry("x", [result("yes", 0, 1)]),
        Entry("y", [result("a", 2, 4)]),
        Entry("x", [result("no", 3.5, 4)]),
        Entry("y", [result("b", 3, 5)]),
    ]
    found, expected = read_turns(entries, 0.1, 1, random.Random(1))
    assert found == expected
    assert [text for *_, text in found[-1]] == ["yes no", "a b"]


@examples(400)
@given(
    finals=st.lists(st.lists(results, min_size=1, max_size=4), max_size=12),
    margin=st.sampled_from([0.1, 1]),
    seed=st.integers(0, 2**32),
)
def test_so_are_turns_of_words_in_any_order(
    finals: list[Results], margin: float, seed: int
) -> None:
    entries = [
        Entry(label, list(run))
        for parts in finals
        for label, run in groupby(parts, key=lambda part: part.get("channel"))
    ]
    found, expected = read_turns(entries, margin, 1, random.Random(seed))
    assert found == expected


# -- the whole transcript -------------------------------------------------------------------------

messages = st.lists(
    st.one_of(
        st.lists(results, max_size=4).map(lambda parts: final(*parts)),
        st.builds(
            lambda language, delimiter: {
                "message": "LanguageInfo",
                "language": language,
                "word_delimiter": delimiter,
            },
            st.sampled_from(["en", "ja"]),
            st.sampled_from(["", " "]),
        ),
        st.builds(lambda channel: utterance_end(1, channel=channel), st.sampled_from(["x", "y"])),
        st.just(utterance_end(1, forced=True)),
        st.just({"message": "RecognitionStarted", "language_pack_info": {"word_delimiter": ""}}),
    ),
    max_size=12,
)


def all_of(made: Transcript) -> list[Any]:
    times = made.start_time, made.end_time
    return [made.text, made.words, made.turns, made.utterances, times, repr(made)]


@examples(300)
@given(sent=messages, languages=st.lists(st.sampled_from(["en", "ja"]), min_size=1))
def test_whatever_was_read_before_a_transcript_reads_like_a_fresh_copy(
    sent: list[dict[str, Any]], languages: list[str]
) -> None:
    made = Transcript()
    for number, message in enumerate(sent):
        for part in message.get("results", []):
            part["alternatives"][0]["language"] = languages[number % len(languages)]
        made.add(message)
        assert all_of(made) == all_of(pickle.loads(pickle.dumps(made)))


def test_what_was_read_of_a_growing_transcript_can_be_changed() -> None:
    made = transcript(final(result("a", 0, 1, speaker="S1")), utterance_end(1))
    for _ in range(2):
        made.words.clear()
        made.turns[0].words.clear()
        made.utterances[0].words.clear()
        made.utterances[0].speakers.clear()
        made.turns.clear()
        made.utterances.clear()
    word = Word("a", 0, 1, 0.9, "S1")
    assert made.words == [word]
    assert made.turns == [Turn("S1", None, 0, 1, "a", [word])]
    assert [(each.words, each.speakers) for each in made.utterances] == [([word], ["S1"])]


@functools.cache
def sentence(number: int) -> dict[str, Any]:
    """A final of three words, every fourth with a full stop, by two speakers in turn."""
    start = number * 2.0
    speaker = f"S{1 + number // 8 % 2}"
    words = [
        result(f"w{more}", start + more / 2, start + more / 2 + 0.4, speaker=speaker)
        for more in range(3)
    ]
    stop = [mark(".", start + 1.4, is_eos=True, speaker=speaker)] if number % 4 == 3 else []
    label = f"channel-{number // 16 % 2}"
    return final(*words, *stop, channel=label)


@pytest.mark.parametrize("what", ["text", "words", "turns", "utterances", "__repr__"])
def test_reading_costs_what_is_new(what: str) -> None:
    """Function calls: copying a list, or joining what was joined before, is one."""
    made = Transcript()
    added = 0
    calls = 0

    def count(frame: Any, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_name in {"parts", "read", "_word", "extend"}

    def most_of(finals: int) -> int:
        """The most calls that any of the next reads takes, one after each final."""
        nonlocal added, calls
        most = 0
        for _ in range(finals):
            made.add(sentence(added))
            added += 1
            calls = 0
            profiling = sys.getprofile()
            sys.setprofile(count)
            try:
                getattr(made, what) if what != "__repr__" else repr(made)
            finally:
                sys.setprofile(profiling)
            most = max(most, calls)
        return most

    at_first = most_of(128)
    for number in range(added, 4096):
        made.add(sentence(number))
    added = 4096
    getattr(made, what) if what != "__repr__" else repr(made)
    assert most_of(128) <= at_first


def test_a_signal_handler_may_read_what_its_thread_is_reading() -> None:
    """As a handler runs in the middle of a read; so does a trace function."""
    made = Transcript()
    for number in range(20):
        made.add(sentence(number))
    expected = pickle.loads(pickle.dumps(made)).text
    inner: list[str] = []

    def interrupt(frame: Any, event: str, arg: Any) -> None:
        if event == "call" and frame.f_code.co_name == "parts" and not inner:
            sys.setprofile(None)
            inner.append(made.text)

    profiling = sys.getprofile()
    sys.setprofile(interrupt)
    try:
        outer = made.text
    finally:
        sys.setprofile(profiling)
    assert inner == [expected]
    assert outer == made.text == expected


def test_a_read_that_is_interrupted_leaves_nothing_half_read() -> None:
    made = Transcript()
    for number in range(20):
        made.add(sentence(number))
    expected = pickle.loads(pickle.dumps(made)).text
    calls = 0

    def interrupt(frame: Any, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_name == "read"
        if calls == 30:
            calls += 1
            raise KeyboardInterrupt

    profiling = sys.getprofile()
    sys.setprofile(interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            _ = made.text
    finally:
        sys.setprofile(profiling)
    assert made.text == expected


def test_however_long_it_is_the_garbage_collector_has_nothing_more_to_look_at() -> None:
    grown = transcript(final(result("one", 0, 1)))
    gc.collect()
    before = len(gc.get_objects())
    for number in range(100):
        grown.add(final(result("more", number, number + 1)))
    gc.collect()
    assert len(gc.get_objects()) < before + 50
    assert len(grown.words) == 101
