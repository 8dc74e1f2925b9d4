"""Captions of a session that runs: what is shown now, and what is finished."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fuzzing import examples
from support.live import END_OF_TRANSCRIPT, partial, utterance_end
from support.speech import SENTENCES, TEXT, Voice, hour
from support.transcripts import final, mark, result, results, transcript

from speechmatics_sync import (
    Caption,
    CaptionFile,
    ConfigurationError,
    LiveCaptions,
    TransportError,
)


def finals(said: dict[str, Any], seed: int = 1, **more: Any) -> Iterator[dict[str, Any]]:
    """A long final as the server would send it: in finals of a few results."""
    chance = random.Random(seed)
    parts = said["results"]
    while parts:
        count = chance.randint(1, 8)
        yield final(*parts[:count], **more)
        parts = parts[count:]


def with_words(part: dict[str, Any]) -> dict[str, Any]:
    """A result of which only a word has letters."""
    best = part["alternatives"][0]
    is_mark = part["type"] == "punctuation"
    content = "." if is_mark else best["content"].replace(".", "c")
    return {**part, "alternatives": [{**best, "content": content}]}


said = results.map(with_words)


def finished(live: LiveCaptions, *messages: dict[str, Any]) -> list[Caption]:
    return [caption for message in messages for caption in live.add(message)]


def rows(live: LiveCaptions) -> tuple[str, ...]:
    return () if live.current is None else live.current.lines


class TestFinished:
    @pytest.mark.parametrize("options", [{}, {"max_line_length": 42}, {"max_lines": 1}])
    def test_a_talk_has_the_words_and_the_fitness_of_a_transcripts_captions(
        self, options: dict[str, Any]
    ) -> None:
        said = final(*hour(3)["results"][:1500])
        captions = finished(LiveCaptions(**options), *finals(said), END_OF_TRANSCRIPT)
        whole = transcript(said).captions(**options)
        assert " ".join(" ".join(each.text for each in captions).split()) == " ".join(
            " ".join(each.text for each in whole).split()
        )
        for caption, after in zip(captions, captions[1:]):
            assert after.start_time - caption.end_time > 0.083
        lines = options.get("max_lines", 2)
        assert max(len(caption.lines) for caption in captions) == lines
        assert max(len(line) for each in captions for line in each.lines) <= options.get(
            "max_line_length", 37
        )
        # No more than a few are too short or too fast: most splits are the same.
        same = {(each.start_time, each.text) for each in whole}
        assert sum((each.start_time, each.text) in same for each in captions) > 0.6 * len(whole)
        faults = sum(
            each.end_time - each.start_time < 0.833
            or len(each.text) > 17.001 * (each.end_time - each.start_time)
            for each in captions
        )
        assert faults <= 0.03 * len(captions)

    def test_one_comes_as_soon_as_enough_follows(self) -> None:
        live = LiveCaptions()
        shown, said = 0, 0
        for message in finals(final(*Voice(4).say(" ".join(SENTENCES * 3)))):
            said += sum(len(each["alternatives"][0]["content"]) + 1 for each in message["results"])
            shown += sum(len(caption.text) + 1 for caption in live.add(message))
            assert said - shown < 4 * 37 + 80  # it, the next one, and a final

    def test_the_end_of_a_sentence_finishes_it_before_another_is_full(self) -> None:
        live = LiveCaptions()
        voice = Voice(1)
        first = finished(live, final(*voice.say("We all went down to the old market.")))
        assert first == []
        (caption,) = finished(live, final(*voice.say("It was closed and dark, because")))
        assert caption.text == "We all went down to the old market."

    def test_so_does_the_end_of_an_utterance_at_once(self) -> None:
        live = LiveCaptions()
        assert finished(live, final(result("Hello", 0.5, 1.0))) == []
        assert finished(live, utterance_end(1.7)) == [Caption(0.5, 1.334, ("Hello",))]
        assert finished(live, utterance_end(2.7), END_OF_TRANSCRIPT) == []

    def test_and_a_final_that_says_that_nothing_follows(self) -> None:
        live = LiveCaptions()
        assert finished(live, final(result("Hello", 0.5, 1.0))) == []
        silence = {**final(), "metadata": {"start_time": 1, "end_time": 4, "transcript": ""}}
        assert finished(live, {**silence, "channel": None}) == [Caption(0.5, 1.334, ("Hello",))]

    def test_a_mark_that_comes_after_that_is_not_given_to_the_next_word(self) -> None:
        live = LiveCaptions()
        finished(live, final(result("Hello", 0.5, 1.0)), utterance_end(1.5))
        late = final(mark(".", 1.0, attaches_to="previous"), result("You", 3, 4))
        assert [each.text for each in finished(live, late, END_OF_TRANSCRIPT)] == ["You"]

    def test_a_session_that_broke_off_is_finished_by_hand(self) -> None:
        live = LiveCaptions()
        finished(live, final(result("Hello", 0.5, 1.0)))
        assert live.end() == [Caption(0.5, 1.334, ("Hello",))]
        assert live.end() == []

    def test_another_session_begins_at_its_own_time(self) -> None:
        live = LiveCaptions()
        started = {"message": "RecognitionStarted", "language_pack_info": {"word_delimiter": ""}}
        finished(live, final(result("Hello", 100, 101)))
        assert [each.text for each in live.add(started)] == ["Hello"]
        captions = finished(
            live, final(result("a", 0.5, 1.0), result("b", 1, 2)), END_OF_TRANSCRIPT
        )
        assert captions == [Caption(0.5, 2.0, ("ab",))]

    def test_languages_and_delimiters_are_heeded(self) -> None:
        live = LiveCaptions(max_line_length=5, max_lines=1, language="en")
        words = final(
            *(result(each, at, at + 0.9) for at, each in enumerate(["a", "b", "the", "c"]))
        )
        words["results"][2]["alternatives"][0]["content"] = "the"
        assert [each.text for each in finished(live, words, END_OF_TRANSCRIPT)] == ["a b", "the c"]
        live = LiveCaptions(word_delimiter="")
        info = {"message": "LanguageInfo", "language": "en", "word_delimiter": "_"}
        words = final(*(result(each, 0, 1, language="en") for each in ("a", "b")))
        assert [each.text for each in finished(live, info, words, END_OF_TRANSCRIPT)] == ["a_b"]


class TestChannels:
    def test_they_are_put_in_the_order_of_time_though_one_comes_later(self) -> None:
        live = LiveCaptions(speaker_labels=True)
        captions = finished(
            live,
            final(result("one", 0, 1), result("five", 4, 5), channel="a"),
            final(result("two", 1.5, 2.5), result("three", 2.7, 3.7), channel="b"),
            END_OF_TRANSCRIPT,
        )
        assert [caption.text for caption in captions] == ["a: one", "b: two three", "a: five"]

    def test_one_that_is_silent_holds_nobody_up(self) -> None:
        live = LiveCaptions()
        finished(live, final(result("Hello", 0, 1), channel="b"))
        voice = Voice(1, now=1.5)
        captions = finished(live, *finals(final(*voice.say(TEXT)), channel="a"))
        assert len(captions) > 10
        assert captions[0].text == "Hello"
        assert captions[1].lines[0].startswith("- The family")

    def test_words_that_come_too_late_are_shown_late(self) -> None:
        live = LiveCaptions(speaker_labels=False)
        early = [*finals(final(*Voice(1).say(TEXT)), channel="a")]
        late = final(result("forgotten", 1, 2), channel="b")
        captions = finished(live, *early, late, END_OF_TRANSCRIPT)
        assert sorted(" ".join(each.text for each in captions).split()) == sorted(
            [*TEXT.split(), "forgotten"]
        )
        assert min(each.end_time - each.start_time for each in captions) > 0.4
        for caption, after in zip(captions, captions[1:]):
            assert after.start_time - caption.end_time > 0.083

    @examples(100)
    @given(st.lists(st.builds(final, said, said, said), max_size=8), st.booleans())
    def test_no_word_is_lost_or_twice_whatever_comes(self, messages: list[Any], ends: bool) -> None:
        live = LiveCaptions(max_line_length=6, speaker_labels=False)
        ending = [utterance_end(1)] if ends else []
        captions = finished(live, *messages, *ending, END_OF_TRANSCRIPT)
        shown = "".join(each.text for each in captions)
        words = "".join(word.content for word in transcript(*messages).words)
        assert sorted(letter for letter in shown if letter.isalpha()) == sorted(words)
        for caption, after in zip(captions, captions[1:]):
            assert after.start_time - caption.end_time > 0.083


class TestCurrent:
    def test_it_rolls_up_by_rows_of_what_is_being_said(self) -> None:
        live = LiveCaptions(max_line_length=12)
        assert rows(live) == ()
        words = [
            result(each, at, at + 1) for at, each in enumerate(["one", "two", "three", "four"])
        ]
        live.add(partial(*words[:2]))
        assert rows(live) == ("one two",)
        live.add(partial(*words[:3]))
        assert rows(live) == ("one two", "three")
        live.add(final(*words[:2]))
        live.add(partial(*words[2:]))
        assert rows(live) == ("one two", "three four")
        live.add(partial(*words[2:], result("five", 4, 5)))
        assert rows(live) == ("three four", "five")
        live.add(partial(result("tree", 2, 3)))
        assert rows(live) == ("one two tree",)

    def test_final_lines_stay_until_others_follow(self) -> None:
        live = LiveCaptions()
        live.add(final(result("Hello", 0, 1), mark(".", 1, is_eos=True)))
        live.add(utterance_end(2))
        assert live.current == Caption(0, 1, ("Hello.",))
        live.add(partial(result("Who", 3, 4)))
        assert live.current == Caption(0, 4, ("Hello.", "Who"))
        live.add(partial(result("Who", 3, 4), result("is", 4, 5)))
        live.add(END_OF_TRANSCRIPT)
        assert rows(live) == ("Hello.",)

    def test_speakers_are_told_apart(self) -> None:
        live = LiveCaptions(speaker_labels={"S1": "Ada"})
        live.add(final(result("Hello", 0, 1, speaker="S1"), result("Hi", 1, 2, speaker="S2")))
        assert rows(live) == ("Ada: Hello", "S2: Hi")
        live.add(final(result("you", 2, 3, speaker="S2")))
        assert live.current is not None
        assert (live.current.lines, live.current.speaker) == (("Ada: Hello", "S2: Hi you"), None)

    def test_a_language_without_spaces_is_broken_between_its_characters(self) -> None:
        live = LiveCaptions(max_line_length=10, word_delimiter="")
        live.add(partial(result("今日はいい天", 0, 1), result("気です。", 1, 2)))
        assert rows(live) == ("今日はいい", "天気です。")
        live.add(partial(result("今日は天気", 0, 1), result("。Ok", 1, 2)))
        assert rows(live) == ("今日は天", "気。Ok")

    def test_a_long_word_has_a_row_of_its_own(self) -> None:
        live = LiveCaptions(max_line_length=5)
        live.add(partial(result("a", 0, 1), result("extraordinary", 1, 2), result("b", 2, 3)))
        assert rows(live) == ("extraordinary", "b")

    def test_a_malformed_message_changes_nothing(self) -> None:
        live = LiveCaptions()
        live.add(final(result("Hello", 0, 1)))
        with pytest.raises(TransportError):
            live.add({**final(), "results": [{"type": "word"}]})
        assert rows(live) == ("Hello",)
        assert [each.text for each in live.add(END_OF_TRANSCRIPT)] == ["Hello"]


class TestFile:
    @pytest.mark.parametrize("suffix", [".srt", ".vtt"])
    def test_it_is_complete_after_every_caption(self, suffix: str, tmp_path: Path) -> None:
        captions = transcript(final(*Voice(1).say(TEXT))).captions()
        path = tmp_path / f"live{suffix}"

        def written(count: int) -> str:
            part = captions[:count]
            return part.to_srt() if suffix == ".srt" else part.to_vtt()

        with CaptionFile(path) as file:
            assert path.read_text(encoding="utf-8") == written(0)
            for count, caption in enumerate(captions, 1):
                file.add([caption])
                assert path.read_text(encoding="utf-8") == written(count)

    @pytest.mark.parametrize("name", ["live.txt", "live"])
    def test_another_suffix_is_refused(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"allowed: \.srt, \.vtt"):
            CaptionFile(tmp_path / name)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["max_line_length", "max_lines", "speaker_labels"])
def test_arguments_are_checked(name: str) -> None:
    arguments: dict[str, Any] = {name: "x"}
    with pytest.raises(ConfigurationError, match=f"{name} is 'x'"):
        LiveCaptions(**arguments)
