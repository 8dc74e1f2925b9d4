"""Transcripts made of files and of other transcripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fuzzing import examples
from support.transcripts import final, mark, result, results, transcript

from speechmatics_sync import ConfigurationError, Transcript

EVERYTHING = (
    {
        "message": "RecognitionStarted",
        "id": "x",
        "orchestrator_version": "2025.1",
        "language_pack_info": {"word_delimiter": " ", "language_description": "English"},
    },
    {"message": "LanguageInfo", "language": "ja", "word_delimiter": ""},
    final(
        result("今日", 0.5, 1.0, speaker="S1", language="ja"),
        result("は", 1.0, 1.2, speaker="S1", language="ja"),
        mark("。", 1.2, language="ja", attaches_to="previous", is_eos=True, volume=40.5),
        result(
            "17 January 2022",
            2.0,
            3.5,
            speaker="S2",
            type="entity",
            entity_class="date",
            spoken_form=[result("seventeenth", 2.0, 2.7)],
            written_form=[result("17", 2.0, 2.2)],
        ),
        channel="a",
    ),
    final(result("Hi", 1.5, 1.8, tags=["disfluency"]), channel="b"),
    {
        "message": "AddTranslation",
        "language": "de",
        "results": [{"content": "Heute", "start_time": 0.5, "end_time": 1.2, "speaker": "S1"}],
    },
    {
        "message": "AudioEventStarted",
        "event": {"type": "music", "start_time": 1.0, "confidence": 0.8},
    },
    {"message": "AudioEventEnded", "event": {"type": "music", "end_time": 4.0}},
    {
        "message": "SpeakersResult",
        "speakers": [{"label": "S1", "speaker_identifiers": ["abc"]}],
    },
)


def everything() -> Transcript:
    made = Transcript(transcription_config={"language": "en"})
    for message in EVERYTHING:
        made.add(message)
    made.add_gap(5.0, 6.5)
    return made


BATCH: dict[str, Any] = {
    "format": "2.9",
    "job": {"created_at": "2024-01-09T12:29:01.853Z", "duration": 5, "id": "j"},
    "metadata": {
        "created_at": "2024-01-09T12:29:01.853Z",
        "type": "transcription",
        "language_pack_info": {"word_delimiter": " ", "writing_direction": "left-to-right"},
        "transcription_config": {"language": "en", "diarization": "speaker"},
    },
    "results": [
        {"type": "word", "start_time": 0.1, "end_time": 0.4, "channel": "c", "volume": 9.0,
         "alternatives": [{"content": "Well", "confidence": 1, "language": "en", "speaker": "S1"}]},
        {"type": "punctuation", "start_time": 0.4, "end_time": 0.4, "channel": "c",
         "attaches_to": "previous", "is_eos": False,
         "alternatives": [{"content": ",", "confidence": 0.9, "speaker": "S1"}]},
        {"type": "speaker_change", "start_time": 0.4, "end_time": 0.4, "score": 0.8},
        {"type": "word", "start_time": 0.5, "end_time": 0.8, "channel": "c",
         "alternatives": [{"content": "yes", "confidence": 1.0, "speaker": "S1"},
                          {"content": "yet", "confidence": 0.2, "speaker": "S1"}]},
        {"type": "punctuation", "start_time": 0.8, "end_time": 0.8, "channel": "c",
         "attaches_to": "previous", "is_eos": True,
         "alternatives": [{"content": ".", "confidence": 1.0, "speaker": "S1"}]},
    ],
    "translations": {"de": [{"start_time": 0.1, "end_time": 0.8, "content": "Nun ja."}]},
    "audio_events": [{"type": "laughter", "start_time": 1.0, "end_time": 2.0, "confidence": 0.5}],
    "audio_event_summary": {"overall": {}, "channels": {}},
    "summary": {"content": "Somebody agrees."},
    "topics": {"segments": []},
    "speakers": [{"label": "S1", "speaker_identifiers": ["xyz"]}],
}  # fmt: skip


class TestRoundTrip:
    def test_nothing_is_lost(self, tmp_path: Path) -> None:
        said = everything()
        said.save(tmp_path / "saved.json")
        for read in (
            Transcript.load(tmp_path / "saved.json"),
            Transcript.from_dict(said.to_dict()),
        ):
            assert read.to_dict() == said.to_dict()
            assert read.text == said.text == "a S1: 今日は。\nb: Hi\na S2: 17 January 2022"
            assert read.words == said.words
            assert read.results == said.results
            assert read.gaps == [(5.0, 6.5)]
            assert read.speakers == said.speakers
            assert list(read.channels) == ["a", "b"]

    @examples(100)
    @given(st.lists(st.builds(final, results, results), max_size=4))
    def test_of_any_results(self, messages: list[Any]) -> None:
        said = transcript(*messages)
        read = Transcript.from_dict(json.loads(said.to_json()))
        assert read.results == said.results
        assert read.text == said.text

    def test_it_goes_on_growing(self) -> None:
        read = Transcript.from_dict(everything().to_dict())
        read.add(final(result("more", 7, 8), channel="b"))
        assert read.end_time == 8
        assert read.words[-1].content == "more"


class TestBatch:
    def test_what_the_batch_service_wrote_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "batch.json"
        path.write_text(json.dumps(BATCH), encoding="utf-8-sig")
        read = Transcript.load(path)
        assert read.text == "Well, yes."
        assert read.words[0].speaker == "S1"
        assert read.translations["de"].text == "Nun ja."
        assert read.audio_events[0].end_time == 2.0
        assert read.results[0].volume == 9.0
        assert read.speakers[0].label == "S1"
        assert read.to_dict()["metadata"]["created_at"] == "2024-01-09T12:29:01.853000Z"
        assert read.captions()[0].text == "Well, yes."

    def test_results_alone_are_enough(self) -> None:
        assert Transcript.from_dict({"results": []}).text == ""


class TestRefused:
    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            ([], "what was given is of type list"),
            ({}, "there are no results"),
            ({"results": {}}, "results is of type dict"),
            ({"results": [{"type": "word"}]}, "results[0].start_time is None"),
            ({"results": [3]}, "results[0] is 3"),
            ({"results": [], "metadata": "x"}, "metadata is of type str"),
            ({"results": [], "translations": {"de": [{}]}}, "results[0].content is None"),
            ({"results": [], "gaps": [3]}, "gaps is of type int"),
            ({"results": [], "speakers": [3]}, "speakers[0] is 3"),
            ({"results": [], "audio_events": [{}]}, "type is None"),
            ({"results": [], "metadata": {"word_delimiters": {"en": 3}}}, "word_delimiter is 3"),
        ],
    )
    def test_what_is_no_transcript_is_named(self, data: Any, reason: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            Transcript.from_dict(data)
        assert str(caught.value).startswith("this is no transcript in json-v2: ")
        assert reason in str(caught.value)

    def test_so_is_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "other.json"
        path.write_text("{}")
        with pytest.raises(ConfigurationError, match=r"other\.json: this is no transcript"):
            Transcript.load(path)
        path.write_text("WEBVTT")
        with pytest.raises(ConfigurationError, match=r"other\.json: this is no JSON: "):
            Transcript.load(path)
        path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ConfigurationError, match=r"other\.json: this is no JSON: "):
            Transcript.load(path)
        path.write_text("[" * 100_000)
        with pytest.raises(ConfigurationError, match=r"other\.json: this is no JSON: "):
            Transcript.load(path)
        with pytest.raises(FileNotFoundError):
            Transcript.load(tmp_path / "missing.json")


class TestJoin:
    def test_parts_follow_each_other_at_their_offsets(self) -> None:
        said = everything()
        whole = Transcript.join([said, said], offsets=[0, 10])
        assert [word.start_time for word in whole.words] == [
            0.5, 1.0, 2.0, 1.5, 10.5, 11.0, 12.0, 11.5
        ]  # fmt: skip
        assert whole.text.splitlines() == said.text.splitlines() * 2
        assert whole.translations["de"][1].start_time == 10.5
        assert whole.audio_events[1].end_time == 14.0
        assert whole.gaps == [(5.0, 6.5), (15.0, 16.5)]
        assert [speaker.label for speaker in whole.speakers] == ["S1"]
        entity = whole.results[-2]
        assert entity.spoken_form is not None
        assert entity.spoken_form[0].end_time == 12.7
        assert list(whole.channels) == ["a", "b"]
        assert whole.language_pack_info == said.language_pack_info
        assert whole.to_dict()["metadata"]["transcription_config"] == {"language": "en"}

    def test_without_offsets_each_begins_where_the_one_before_ends(self) -> None:
        parts = [transcript(final(result(word, 0.5, 1.5))) for word in "abc"]
        whole = Transcript.join(iter(parts))
        assert [word.start_time for word in whole.words] == [0.5, 2.0, 3.5]
        assert [part.end_time for part in parts] == [1.5, 1.5, 1.5]

    def test_utterances_stay_apart(self) -> None:
        end = {"message": "EndOfUtterance", "metadata": {"start_time": 1, "end_time": 1}}
        part = transcript(final(result("a", 0, 1)), end, final(result("b", 2, 3)))
        whole = Transcript.join([part, part])
        assert [each.text for each in whole.utterances] == ["a", "b a", "b"]

    def test_of_nothing_is_empty(self) -> None:
        assert Transcript.join([]).text == ""

    @pytest.mark.parametrize("offsets", [[0], [0, 1, 2], [0, -1], [0, "1"], [0, None], [0, True]])
    def test_offsets_that_do_not_fit_are_refused(self, offsets: Any) -> None:
        with pytest.raises(ConfigurationError, match="offset"):
            Transcript.join([Transcript(), Transcript()], offsets=offsets)

    @pytest.mark.parametrize("parts", [Transcript(), ["a.json"], [Transcript(), None]])
    def test_parts_that_are_no_transcripts_are_refused(self, parts: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"^parts.* is (one|of type) .*; allowed: "):
            Transcript.join(parts)
