"""A transcript reads like what was said, in any order of messages, from any thread."""

from __future__ import annotations

import copy
import json
import os
import pickle
import sys
import threading
import tracemalloc
from typing import Any, Optional

import pytest
from support.forking import in_child
from support.sessions import wait_for
from support.transcripts import final, mark, result, transcript

from speechmatics_sync import (
    AudioEvent,
    LanguagePackInfo,
    SpeakerIdentifier,
    Transcript,
    Word,
)
from speechmatics_sync.errors import TransportError


def started(delimiter: str = " ", **more: Any) -> dict[str, Any]:
    return {
        "message": "RecognitionStarted",
        "id": "1",
        "language_pack_info": {"word_delimiter": delimiter},
        **more,
    }


def said(*words: str, **more: Any) -> dict[str, Any]:
    return final(*(result(word, index, index + 1) for index, word in enumerate(words)), **more)


def test_finals_are_joined_into_running_text() -> None:
    made = transcript(
        started(),
        final(result("Hello", 0, 1), mark(",", 1, attaches_to="previous")),
        final(result("world", 1, 2), mark(".", 2, is_eos=True)),
        final(result("Good", 2, 3), result("night", 3, 4)),
    )
    assert made.text == str(made) == "Hello, world. Good night"


@pytest.mark.parametrize(
    ("attaches_to", "text"),
    [
        ("previous", "a- b"),
        ("next", "a -b"),
        ("both", "a-b"),
        ("none", "a - b"),
        (None, "a- b"),
    ],
)
def test_a_mark_attaches_to_the_side_it_names(attaches_to: Optional[str], text: str) -> None:
    more = {} if attaches_to is None else {"attaches_to": attaches_to}
    made = transcript(final(result("a", 0, 1), mark("-", 1, **more), result("b", 1, 2)))
    assert made.text == text


def test_marks_before_the_first_word_and_alone_are_kept() -> None:
    assert transcript(final(mark("¿", 0, attaches_to="next"), result("Qué", 0, 1))).text == "¿Qué"
    assert transcript(final(mark(".", 0))).text == "."
    assert transcript(final(mark(".", 0))).words == []
    assert transcript(final(result("a", 0, 1), mark("¿", 1, attaches_to="next"))).text == "a ¿"


def test_words_are_joined_by_the_delimiter_of_their_language() -> None:
    made = transcript(
        started(""),
        {"message": "LanguageInfo", "language": "en", "word_delimiter": " "},
        final(
            result("今日", 0, 1, language="ja"),
            result("は", 1, 2, language="ja"),
            result("very", 2, 3, language="en"),
            result("good", 3, 4, language="en"),
        ),
    )
    assert made.text == "今日は very good"
    assert transcript(started(""), said("今日", "は")).text == "今日は"


def test_no_space_is_doubled() -> None:
    made = transcript(final(result("a ", 0, 1), result(" b", 1, 2), result("", 2, 3)), said("c"))
    assert "  " not in made.text
    assert made.text.split() == ["a", "b", "c"]


def test_an_entity_is_one_word_as_it_is_written() -> None:
    entity = result(
        "£10",
        1,
        3,
        type="entity",
        entity_class="money",
        spoken_form=[result("ten", 1, 2), result("pounds", 2, 3)],
        written_form=[result("£10", 1, 3)],
    )
    made = transcript(final(result("about", 0, 1), entity))
    assert made.text == "about £10"
    assert made.words[1] == Word("£10", 1, 3, 0.9, type="entity")
    spoken = made.results[1].spoken_form
    assert spoken is not None
    assert len(spoken) == 2


def test_results_without_alternatives_are_skipped_in_the_text_and_kept_in_the_results() -> None:
    bare = {"type": "word", "start_time": 1, "end_time": 2}
    made = transcript(final(result("a", 0, 1), bare, {**bare, "alternatives": []}))
    assert made.text == "a"
    assert len(made.results) == 3


def test_nothing_said_is_an_empty_transcript() -> None:
    for made in (Transcript(), transcript(started(), final())):
        assert made.text == str(made) == ""
        assert (made.results, made.words, made.turns) == ([], [], [])
        assert (made.translations, made.channels) == ({}, {})
        assert (made.audio_events, made.speakers, made.gaps) == ([], [], [])
        assert (made.start_time, made.end_time) == (None, None)
        assert made.to_dict()["results"] == []
    assert Transcript().language_pack_info is None


@pytest.mark.parametrize(
    ("heard", "shown"),
    [
        ([], "<Transcript of 0 words>"),
        (["hi"], "<Transcript of 1 word, until 1 s>"),
        (["hi", "there"], "<Transcript of 2 words, until 2 s>"),
    ],
)
def test_its_repr_says_how_much_there_is(heard: list[str], shown: str) -> None:
    assert repr(transcript(started(), said(*heard))) == shown


def test_a_word_has_its_times_confidence_speaker_channel_and_language() -> None:
    made = transcript(final(result("Hi", 0.5, 1.25, speaker="S1", language="en"), channel="agent"))
    assert made.words == [Word("Hi", 0.5, 1.25, 0.9, "S1", "agent", "en", "word")]
    assert (made.start_time, made.end_time) == (0.5, 1.25)


def test_every_result_is_there_in_order_as_the_server_sent_it() -> None:
    messages = [
        final(result("a", 0, 1, tags=["profanity"], volume=3, novel={"x": 1}), mark(".", 1)),
        final(result("b", 1, 2)),
    ]
    sent = [part for message in messages for part in message["results"]]
    assert [part.to_dict() for part in transcript(*messages).results] == sent


@pytest.mark.parametrize("at_the_top", [True, False])
def test_results_bear_their_channel_wherever_the_message_had_it(at_the_top: bool) -> None:
    part = result("a", 0, 1)
    message = final(part, channel="x") if at_the_top else final({**part, "channel": "x"})
    made = transcript(message)
    assert [part.channel for part in made.results] == ["x"]
    assert list(made.channels) == ["x"]
    assert [turn.channel for turn in made.turns] == ["x"]


def test_each_channel_has_its_own_transcript_in_the_order_of_the_session() -> None:
    made = transcript(
        started(channel_ids=["agent", "caller", "third"]),
        final(result("hi", 1, 2), channel="caller"),
        final(result("hello", 0, 1), channel="agent"),
        {
            "message": "AudioEventStarted",
            "event": {"type": "music", "start_time": 0, "confidence": 1},
            "channel": "caller",
        },
    )
    channels = made.channels
    assert {label: part.text for label, part in channels.items()} == {
        "agent": "hello",
        "caller": "hi",
        "third": "",
    }
    assert list(channels) == ["agent", "caller", "third"]
    assert (channels["caller"].start_time, channels["caller"].end_time) == (1, 2)
    assert len(channels["caller"].audio_events) == 1
    assert channels["agent"].audio_events == []


def test_translations_are_kept_by_language() -> None:
    def translation(language: str, content: str, name: str = "AddTranslation") -> dict[str, Any]:
        sentence = {"content": content, "start_time": 0, "end_time": 1, "speaker": "S1"}
        return {"message": name, "language": language, "results": [sentence]}

    made = transcript(
        translation("fr", "Bon"),
        translation("fr", "Bonjour.", "AddPartialTranslation"),
        translation("de", "Guten Tag."),
        translation("fr", "soir. "),
    )
    assert {language: found.text for language, found in made.translations.items()} == {
        "fr": "Bon soir.",
        "de": "Guten Tag.",
    }
    assert made.translations["de"][0].speaker == "S1"
    assert str(made.translations["de"]) == "Guten Tag."


def event_begins(kind: str, at: float, **more: Any) -> dict[str, Any]:
    event = {"type": kind, "start_time": at, "confidence": 0.5}
    return {"message": "AudioEventStarted", "event": event, **more}


def event_ends(kind: str, at: float, **more: Any) -> dict[str, Any]:
    return {"message": "AudioEventEnded", "event": {"type": kind, "end_time": at}, **more}


def test_audio_events_have_a_beginning_and_an_end() -> None:
    made = transcript(
        event_ends("music", 0.5),
        event_begins("music", 1),
        event_begins("music", 2, channel="x"),
        event_begins("laughter", 3),
        event_ends("music", 4, channel="x"),
        event_ends("music", 5),
        event_begins("music", 6),
        event_ends("music", 7),
    )
    assert made.audio_events == [
        AudioEvent("music", 1, 5, 0.5),
        AudioEvent("music", 2, 4, 0.5, "x"),
        AudioEvent("laughter", 3, None, 0.5),
        AudioEvent("music", 6, 7, 0.5),
    ]
    made.audio_events[0].end_time = None
    assert made.audio_events[0].end_time == 5


def test_the_end_of_an_event_costs_the_same_after_a_thousand_others() -> None:
    def steps(before: int) -> int:
        made = transcript()
        for at in range(before):
            made.add(event_begins("music", at))
            made.add(event_ends("music", at))
        made.add(event_begins("music", before))
        lines = 0

        def trace(*_: Any) -> Any:
            nonlocal lines
            lines += 1
            return trace

        tracing = sys.gettrace()
        sys.settrace(trace)
        try:
            made.add(event_ends("music", before))
        finally:
            sys.settrace(tracing)
        assert made.audio_events[-1].end_time == before
        return lines

    assert steps(1000) == steps(10)


def test_an_event_that_was_open_when_pickled_still_ends() -> None:
    made = pickle.loads(pickle.dumps(transcript(event_begins("music", 1))))
    made.add(event_ends("music", 2))
    assert made.audio_events == [AudioEvent("music", 1, 2, 0.5)]


def test_the_last_word_on_speakers_counts() -> None:
    def told(*labels: str) -> dict[str, Any]:
        speakers = [{"label": label, "speaker_identifiers": ["x"]} for label in labels]
        return {"message": "SpeakersResult", "speakers": speakers}

    made = transcript(told("S1"), told("S1", "S2"))
    assert made.speakers == [SpeakerIdentifier("S1", ["x"]), SpeakerIdentifier("S2", ["x"])]


def test_gaps_are_what_the_session_says() -> None:
    made = Transcript()
    made.add_gap(3.5, 4)
    assert made.gaps == [(3.5, 4)]


@pytest.mark.parametrize(
    "message",
    [
        {"message": "AddPartialTranscript", "results": "garbage"},
        {"message": "EndOfUtterance", "metadata": {}},
        {"message": "AudioAdded", "seq_no": 1},
        {"message": "EndOfTranscript"},
        {"message": "Novel"},
        {"message": ["AddTranscript"]},
        {},
    ],
)
def test_messages_that_are_no_part_of_the_transcript_change_nothing(message: Any) -> None:
    made = transcript(said("a"))
    before = made.to_dict()
    made.add(message)
    assert made.to_dict() == before


@pytest.mark.parametrize(
    "message",
    [
        {"message": "AddTranscript"},
        {**said("a"), "results": [{"type": "word", "start_time": "0", "end_time": 1}]},
        {**said("a"), "results": [result("a", 0, 1), {"type": "word"}]},
        {"message": "AddTranslation", "results": []},
        {"message": "LanguageInfo"},
        {"message": "SpeakersResult", "speakers": {}},
        {"message": "RecognitionStarted", "language_pack_info": []},
        {"message": "AudioEventEnded", "event": {}},
    ],
    ids=lambda message: message["message"],
)
def test_of_a_garbled_message_nothing_is_taken(message: Any) -> None:
    made = transcript(said("a"))
    before = made.to_dict()
    with pytest.raises(TransportError):
        made.add(message)
    assert made.to_dict() == before


def test_the_whole_is_written_as_json_v2() -> None:
    config = {"language": "en", "diarization": "channel"}
    made = Transcript(transcription_config=config)
    for message in (
        started(orchestrator_version="14.7.0", channel_ids=["agent"]),
        final(result("Hi", 0, 1, language="en"), channel="agent", format="2.8"),
        {
            "message": "AddTranslation",
            "language": "de",
            "results": [{"content": "Hallo", "start_time": 0, "end_time": 1}],
        },
        {
            "message": "AudioEventStarted",
            "event": {"type": "music", "start_time": 0.5, "confidence": 1},
        },
        {"message": "AudioEventEnded", "event": {"type": "music", "end_time": 0.75}},
        {
            "message": "SpeakersResult",
            "speakers": [{"label": "S1", "speaker_identifiers": ["x"]}],
        },
    ):
        made.add(message)
    made.add_gap(1, 2)
    written = made.to_dict()
    assert written["metadata"].pop("created_at").endswith("Z")
    assert written == {
        "format": "2.8",
        "metadata": {
            "type": "transcription",
            "transcription_config": config,
            "orchestrator_version": "14.7.0",
            "language_pack_info": {"word_delimiter": " "},
        },
        "results": [{**result("Hi", 0, 1, language="en"), "channel": "agent"}],
        "translations": {"de": [{"content": "Hallo", "start_time": 0, "end_time": 1}]},
        "audio_events": [{"type": "music", "start_time": 0.5, "end_time": 0.75, "confidence": 1}],
        "speakers": [{"label": "S1", "speaker_identifiers": ["x"]}],
        "gaps": [{"start_time": 1, "end_time": 2}],
    }
    assert json.loads(json.dumps(written)) == written


def test_what_was_read_can_be_changed_without_changing_the_transcript() -> None:
    made = transcript(said("a", channel="x"))
    made.results[0].alternatives = None
    made.words.clear()
    made.gaps.append((0, 1))
    made.to_dict()["results"].clear()
    made.channels["x"].add(said("b", channel="x"))
    assert made.text == "a"
    assert made.gaps == []


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_a_copy_goes_its_own_way(copied: Any) -> None:
    made = transcript(started(""), said("a"))
    other = copied(made)
    assert other.to_dict() == made.to_dict()
    assert other.language_pack_info == LanguagePackInfo("")
    other.add(said("b"))
    assert (made.text, other.text) == ("a", "ab")


def test_reading_is_safe_while_it_grows() -> None:
    made = transcript(started(channel_ids=["x"]))
    count = 300
    faults: list[BaseException] = []
    done = threading.Event()
    reading = threading.Barrier(5, timeout=30)

    def read() -> None:
        seen = 0
        reading.wait()
        try:
            while True:
                last = done.is_set()
                words = made.words
                assert [word.content for word in words] == [f"w{n}" for n in range(len(words))]
                assert len(words) >= seen
                seen = len(words)
                assert made.to_dict()["results"][:seen]
                assert len(made.channels["x"].results) >= seen
                assert made.text.count("w") >= seen
                assert len(made.audio_events) >= seen
                if last:
                    assert seen == count
                    return
        except BaseException as fault:  # reported by the test's own thread
            faults.append(fault)

    made.add(final(result("w0", 0, 1), channel="x"))
    event = {"type": "music", "start_time": 0, "confidence": 1}
    made.add({"message": "AudioEventStarted", "event": event})
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    readers = [threading.Thread(target=read) for _ in range(4)]
    try:
        for reader in readers:
            reader.start()
        reading.wait()
        for n in range(1, count):
            made.add({"message": "AudioEventStarted", "event": event})
            made.add(final(result(f"w{n}", n, n + 1), channel="x"))
            made.add({"message": "AudioEventEnded", "event": {"type": "music", "end_time": n}})
    finally:
        done.set()
        for reader in readers:
            reader.join(60)
        sys.setswitchinterval(interval)
    assert not faults


def test_an_hour_of_speech_takes_no_more_than_five_megabytes() -> None:
    """9,000 words, each in a final of its own, as the server writes them."""

    def message(n: int) -> dict[str, Any]:
        word = result(
            f"word{n}", n * 0.4, n * 0.4 + 0.31, speaker="S1", language="en", volume=51.25
        )
        word["alternatives"][0]["display"] = {"direction": "ltr"}
        return final(word, channel="agent")

    tracemalloc.start()
    try:
        made = Transcript()
        made.add(message(0))
        before = tracemalloc.get_traced_memory()[0]
        for n in range(1, 9001):
            made.add(message(n))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(made.words) == 9001
    assert taken <= 5_000_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_it_grows_leaves_it_readable() -> None:
    transcript = Transcript()
    transcript.add(final(result("word", 0, 1)))
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with transcript._lock:
            held.set()
            wait_for(release)

    holding = threading.Thread(target=hold)
    holding.start()
    wait_for(held)

    def child() -> None:
        assert transcript.text == "word"
        assert pickle.loads(pickle.dumps(transcript)).text == "word"

    in_child(child)
    release.set()
    holding.join()
