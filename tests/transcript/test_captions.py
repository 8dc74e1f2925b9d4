"""Captions are fit to be watched: how they are split, their lines, their times."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from support.speech import SENTENCES, TEXT, Voice, hour
from support.transcripts import final, mark, result, transcript

from speechmatics_sync import Caption, Captions, ConfigurationError, Transcript
from speechmatics_sync._transcript.captions.blocks import Composer
from speechmatics_sync._transcript.captions.rules import Shape
from speechmatics_sync._transcript.captions.units import Unit
from speechmatics_sync._transcript.speaker_names import Key, Names


def said(text: str, *, pace: float = 0.4, language: str = "en", **more: Any) -> Transcript:
    """A transcript of words that follow each other; a mark stands by itself."""
    results, now = [], 0.0
    for word in text.split():
        if word in ".,;?!。、":
            results.append(mark(word, now, language=language, is_eos=word in ".?!。", **more))
        else:
            results.append(result(word, now, now + pace, language=language, **more))
            now += pace
    return transcript(final(*results))


def texts(captions: Captions) -> list[str]:
    return [caption.text for caption in captions]


class TestShape:
    def test_it_is_an_immutable_sequence_of_captions(self) -> None:
        captions = said("hello world .").captions()
        assert captions == captions[:]
        assert list(captions) == [Caption(0.0, 0.834, ("hello world.",))]
        assert captions[0].text == "hello world."
        assert isinstance(captions[:1], Captions)
        assert hash(captions) == hash(captions[:])
        with pytest.raises(TypeError):
            captions[0] = captions[0]  # type: ignore[index]

    def test_there_are_none_without_words(self) -> None:
        captions = Transcript().captions()
        assert list(captions) == []
        assert captions.report().captions == 0

    @pytest.mark.parametrize(("length", "lines"), [(37, 2), (42, 2), (20, 3), (60, 1)])
    def test_lines_are_as_long_and_as_many_as_asked_for(self, length: int, lines: int) -> None:
        captions = transcript(final(*Voice(1).say(TEXT))).captions(
            max_line_length=length, max_lines=lines
        )
        assert max(len(caption.lines) for caption in captions) == lines
        assert length - 8 < max(len(line) for caption in captions for line in caption.lines)
        assert max(len(line) for caption in captions for line in caption.lines) <= length

    @pytest.mark.parametrize("value", [0, -1, 2.5, "37", None, True])
    @pytest.mark.parametrize("name", ["max_line_length", "max_lines"])
    def test_another_shape_is_refused(self, name: str, value: Any) -> None:
        with pytest.raises(ConfigurationError, match=f"{name} is {value!r}; allowed: an integer"):
            Transcript().captions(**{name: value})

    def test_a_word_that_is_longer_than_a_line_stays_whole_and_alone(self) -> None:
        word = "Donaudampfschifffahrtsgesellschaftskapitän"
        captions = said(f"der alte {word} schweigt", language="de").captions()
        assert word in [line for caption in captions for line in caption.lines]
        report = captions.report()
        assert report.broken["line_length"] == report.unavoidable["line_length"] == 1

    def test_an_entity_is_broken_at_its_spaces_only_where_it_must_be(self) -> None:
        entity = "one two three four five six seven eight nine ten eleven"
        captions = transcript(
            final(result(entity, 0, 6, type="entity", language="en"), result("x", 6, 6.5))
        ).captions()
        assert " ".join(" ".join(texts(captions)).split()) == f"{entity} x"
        assert captions.report().avoidable == 0


class TestBreaks:
    def test_a_sentence_ends_a_caption_and_a_clause_a_line(self) -> None:
        captions = said(
            "we went to the market in town , and then we came home again ."
            " the next morning it was raining , so we all stayed inside ."
        ).captions()
        assert texts(captions) == [
            "we went to the market in town,\nand then we came home again.",
            "the next morning it was raining,\nso we all stayed inside.",
        ]

    def test_without_a_mark_lines_break_before_a_conjunction_or_preposition(self) -> None:
        assert texts(said("she walked along the narrow river with her little brother").captions())[
            0
        ] == ("she walked along the narrow river\nwith her little brother")

    @pytest.mark.parametrize(
        ("language", "article"),
        [
            ("en", "the"),
            ("en", "A"),
            ("de", "einem"),
            ("de", "zum"),
            ("fr", "les"),
            ("fr", "au"),
            ("es", "los"),
            ("es", "del"),
            ("it", "gli"),
            ("it", "della"),
            ("pt", "os"),
            ("pt", "pelas"),
            ("nl", "het"),
        ],
    )
    def test_an_article_is_never_parted_from_what_follows(
        self, language: str, article: str
    ) -> None:
        for length in range(12, 40):
            captions = said(
                f"xxxx xxxxx xxx {article} yyyyyy xxxx xxx xx {article} yyyy xxx", language=language
            ).captions(max_line_length=length)
            for caption in captions:
                assert [line for line in caption.lines if line.endswith(article)] == []

    def test_a_language_of_the_configuration_serves_for_words_without_one(self) -> None:
        made = Transcript(transcription_config={"language": "en"})
        made.add(
            final(*(result(word, at, at + 0.4) for at, word in enumerate(["a", "b", "the", "c"])))
        )
        assert texts(made.captions(max_line_length=5, max_lines=1)) == ["a b", "the c"]

    def test_in_an_unknown_language_lines_are_balanced(self) -> None:
        captions = said("aaaa bbbb cccc dddd eeee ffff gggg hhhh", language="xx").captions()
        assert texts(captions) == ["aaaa bbbb cccc dddd\neeee ffff gggg hhhh"]

    def test_a_long_pause_always_begins_another_one(self) -> None:
        captions = transcript(final(result("one", 0, 1), result("two", 2.5, 3.5))).captions()
        assert texts(captions) == ["one", "two"]
        captions = transcript(final(result("one", 0, 1), result("two", 2.499, 3.5))).captions()
        assert texts(captions) == ["one two"]

    def test_short_sentences_share_one(self) -> None:
        captions = said("yes . no . maybe .", pace=0.3).captions()
        assert texts(captions) == ["yes. no. maybe."]


class TestWriting:
    def test_wide_characters_count_double(self) -> None:
        captions = transcript(
            final(*(result("天気", at / 2, at / 2 + 0.5, language="ja") for at in range(6)))
        ).captions(max_line_length=10)
        assert max(len(line) for caption in captions for line in caption.lines) <= 5

    def test_a_language_without_spaces_has_none_and_no_line_begins_with_a_mark(self) -> None:
        made = Transcript()
        made.add(
            {
                "message": "RecognitionStarted",
                "language_pack_info": {"word_delimiter": "", "language_description": "Japanese"},
            }
        )
        text = (
            "今日 は いい 天気 です 。 明日 も 晴れる と いい の です が 、 雨 が 降る そう です 。"
        )
        words = text.split()
        results, now = [], 0.0
        for word in words:
            if word in "。、":
                results.append(mark(word, now, language="ja", is_eos=word == "。"))
            else:
                results.append(result(word, now, now + 0.3, language="ja"))
                now += 0.3
        made.add(final(*results))
        for length in range(6, 40, 2):
            captions = made.captions(max_line_length=length)
            lines = [line for caption in captions for line in caption.lines]
            assert "".join(lines) == "".join(words)
            assert [line for line in lines if line[0] in "。、"] == []

    def test_marks_that_combine_take_no_room(self) -> None:
        captions = said("e\u0301e\u0301e\u0301 e\u0301e\u0301").captions(
            max_line_length=6, max_lines=1
        )
        assert len(captions) == 1

    def test_what_is_attached_to_a_word_stays_with_it(self) -> None:
        captions = transcript(
            final(
                result("¿", 0, 0, type="punctuation", attaches_to="next"),
                result("quién", 0, 0.5),
                result("?", 0.5, 0.5, type="punctuation", attaches_to="previous"),
                result("well", 0.5, 0.9),
                result("-", 0.9, 0.9, type="punctuation", attaches_to="both"),
                result("known", 0.9, 1.4),
            )
        ).captions(max_line_length=5, max_lines=3)
        assert [line for caption in captions for line in caption.lines] == ["¿quién?", "well-known"]

    def test_what_cannot_be_shown_is_a_space(self) -> None:
        captions = transcript(final(result("a\nb\x00c\u2028d", 0, 1))).captions()
        assert texts(captions) == ["a b c d"]


class TestTimes:
    def test_a_caption_begins_with_its_speech_and_stays_until_it_can_be_read(self) -> None:
        captions = transcript(
            final(result("yes", 1.0, 1.5), result("extraordinarily", 4.0, 4.4))
        ).captions()
        assert [(each.start_time, each.end_time) for each in captions] == [
            (1.0, 1.834),  # 5/6 s
            (4.0, 4.883),  # 15 characters at 17 a second
        ]

    def test_it_stays_no_longer_than_half_a_second_after_its_speech(self) -> None:
        captions = transcript(final(result("yes", 1.0, 1.1))).captions()
        assert captions[0].end_time == 1.6
        report = captions.report()
        assert report.broken["too_short"] == report.unavoidable["too_short"] == 1

    def test_a_gap_parts_it_from_the_next(self) -> None:
        captions = transcript(final(*Voice(2).say(TEXT))).captions()
        gaps = [after.start_time - each.end_time for each, after in zip(captions, captions[1:])]
        assert min(gaps) == pytest.approx(0.084)

    def test_slow_speech_is_shown_until_it_was_heard(self) -> None:
        captions = said("so slow that a line takes longer than it may", pace=1.4).captions()
        words = iter(said("so slow that a line takes longer than it may", pace=1.4).words)
        for caption in captions:
            last = [next(words) for _ in caption.text.split()][-1]
            assert caption.end_time > last.end_time - 0.1

    def test_a_word_that_never_ends_is_shown_for_seven_seconds(self) -> None:
        captions = transcript(final(result("Aaah", 1.0, 20.0))).captions()
        assert (captions[0].start_time, captions[0].end_time) == (1.0, 8.0)

    def test_words_of_the_same_time_are_shown_for_a_fifth_of_a_second_one_after_the_other(
        self,
    ) -> None:
        words = [result(letter * 30, 1.0, 1.0) for letter in "abc"]
        captions = transcript(final(*words)).captions(max_lines=1)
        assert [(each.start_time, each.end_time) for each in captions] == [
            (1.0, 1.2),
            (1.284, 1.484),
            (1.568, 1.768),
        ]


NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


class TestReport:
    @pytest.mark.parametrize(
        ("seed", "shape"), [(0, {}), (1, {"max_line_length": 42}), (2, {"max_lines": 1})]
    )
    def test_an_hour_breaks_no_rule_that_the_words_allow(self, seed: int, shape: Any) -> None:
        captions = transcript(hour(seed)).captions(**shape)
        report = captions.report()
        assert len(captions) > 600
        assert report.avoidable == 0
        # Nobody speaks too fast here: what is left are single words between two pauses.
        assert sum(report.broken.values()) <= 0.02 * len(captions)
        for rule in ("lines", "line_length", "too_long", "gap", "overlap", "lingers"):
            assert report.broken[rule] == 0, rule

    def test_an_hour_of_several_speakers_neither(self) -> None:
        captions = transcript(hour(7, speakers=3)).captions(speaker_labels=True)
        report = captions.report()
        assert report.avoidable == 0
        assert sum(report.broken.values()) <= 0.02 * len(captions)

    def test_words_said_too_fast_are_counted_and_not_blamed_on_us(self) -> None:
        captions = transcript(final(*Voice(1, rate=25).say(TEXT))).captions()
        report = captions.report()
        assert report.broken["too_fast"] == report.unavoidable["too_fast"] > 3
        assert report.avoidable == 0
        assert "too_fast" in repr(report)
        fault = next(each for each in report.faults if each.rule == "too_fast")
        caption = captions[fault.index]
        speed = len(caption.text) / (caption.end_time - caption.start_time)
        assert fault.value == pytest.approx(speed)
        assert fault.limit == 17

    def test_faults_that_another_split_would_not_have_are_avoidable(self) -> None:
        shape, names = Shape(37, 2), Names(None, ())
        composer = Composer(shape, names)
        words = [
            Unit(each, at, at + 400, Key(None, None), " ", 0, False)
            for at, each in zip(range(0, 4000, 400), NUMBERS)
        ]
        blocks = [composer.block([word], after.start) for word, after in zip(words, words[1:])]
        report = Captions(blocks, shape, names).report()
        assert report.broken["too_short"] == 9
        assert report.unavoidable["too_short"] == 0
        assert report.avoidable >= 9

    def test_it_is_readable(self) -> None:
        assert repr(said("hello world").captions().report()) == (
            "<CaptionReport of 1 captions: no faults>"
        )


def speaker(of: Optional[str], text: str, start: float, *, length: float = 1.0) -> dict[str, Any]:
    return result(text, start, start + length, speaker=of)


class TestSpeakers:
    EXCHANGE = (
        speaker("S1", "Where", 0.0),
        speaker("S2", "There", 1.0),
        speaker("S2", "again", 3.6),
        speaker("S1", "Oh", 4.6),
    )

    def test_another_speaker_begins_another_one_with_a_dash(self) -> None:
        captions = transcript(final(*self.EXCHANGE)).captions()
        assert texts(captions) == ["Where", "- There", "again", "- Oh"]
        assert [caption.speaker for caption in captions] == ["S1", "S2", "S2", "S1"]

    @pytest.mark.parametrize(
        ("labels", "expected"),
        [
            (True, ["S1: Where", "S2: There", "again", "S1: Oh"]),
            (False, ["Where", "There", "again", "Oh"]),
            ({"S1": "Ada"}, ["Ada: Where", "S2: There", "again", "Ada: Oh"]),
            ({"S1": "", "S2": " B\nC "}, ["Where", "B C: There", "again", "Oh"]),
        ],
    )
    def test_or_with_a_label_or_nothing(self, labels: Any, expected: list[str]) -> None:
        assert texts(transcript(final(*self.EXCHANGE)).captions(speaker_labels=labels)) == expected

    @pytest.mark.parametrize("labels", ["S1", 1, ["S1"]])
    def test_other_labels_are_refused(self, labels: Any) -> None:
        with pytest.raises(ConfigurationError, match="speaker_labels is"):
            Transcript().captions(speaker_labels=labels)

    def test_one_speaker_alone_has_a_label_only_where_it_is_asked_for(self) -> None:
        made = transcript(final(speaker("S1", "Where", 0.0), speaker("S1", "again", 3.0)))
        assert texts(made.captions()) == ["Where", "again"]
        assert texts(made.captions(speaker_labels=True)) == ["S1: Where", "again"]

    def test_an_exchange_too_quick_to_be_read_one_by_one_has_a_line_for_each(self) -> None:
        captions = transcript(
            final(speaker("S1", "Coming?", 0, length=0.3), speaker("S2", "Yes!", 0.4, length=0.6))
        ).captions()
        assert list(captions) == [Caption(0.0, 1.0, ("- Coming?", "- Yes!"))]

    def test_two_channels_at_once_have_a_line_for_each(self) -> None:
        captions = transcript(
            final(
                *(result(word, at, at + 1) for at, word in enumerate(["ask", "your", "boss"])),
                channel="a",
            ),
            final(result("Mhm", 1.2, 1.5), channel="b"),
        ).captions(speaker_labels=True)
        assert list(captions) == [Caption(0.0, 3.0, ("a: ask your boss", "b: Mhm"))]

    def test_two_who_speak_all_the_time_are_never_shown_at_once_and_lose_no_word(self) -> None:
        one, other = Voice(1, rate=11), Voice(2, rate=12)
        captions = transcript(
            final(*one.say(TEXT), channel="a"),
            final(*other.say(" ".join(SENTENCES[::-1])), channel="b"),
        ).captions(speaker_labels=False)
        words = sorted(" ".join(texts(captions)).split())
        assert words == sorted((TEXT + " " + TEXT).split())
        report = captions.report()
        assert report.avoidable == 0
        for rule in ("lines", "line_length", "too_short", "too_long", "gap", "overlap", "lingers"):
            assert report.broken[rule] == 0, rule
