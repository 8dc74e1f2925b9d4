"""A transcript as text, JSON, rows and tables."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from support.places import ROOT
from support.transcripts import final, mark, result, transcript

from speechmatics_sync import ConfigurationError, LiveText, Transcript


def ended(at: float, **more: Any) -> dict[str, Any]:
    return mark(".", at, attaches_to="previous", is_eos=True, **more)


CALL = (
    final(
        result("Hello", 0.5, 1.0, speaker="S1"),
        ended(1.0, speaker="S1"),
        result("Anyone", 1.2, 2.0, speaker="S1"),
        result("there", 2.0, 2.4, speaker="S1"),
        mark("?", 2.4, speaker="S1", attaches_to="previous", is_eos=True),
    ),
    final(result("Yes", 3663.0, 3664.0, speaker="S2"), ended(3664.0, speaker="S2")),
)
ALONE = (final(result("Hello", 0.5, 1.0, speaker="S1"), ended(1.0)), final(result("you", 2, 3)))


class TestText:
    def test_it_is_the_text_of_the_transcript(self) -> None:
        for said in (transcript(*CALL), transcript(*ALONE), Transcript()):
            assert said.to_txt() == said.text

    @pytest.mark.parametrize(
        ("labels", "expected"),
        [
            (None, "S1: Hello. Anyone there?\nS2: Yes."),
            (True, "S1: Hello. Anyone there?\nS2: Yes."),
            (False, "Hello. Anyone there?\nYes."),
            ({"S2": "Bob"}, "S1: Hello. Anyone there?\nBob: Yes."),
        ],
    )
    def test_speakers_are_labelled_as_asked_for(self, labels: Any, expected: str) -> None:
        assert transcript(*CALL).to_txt(speaker_labels=labels) == expected

    def test_one_speaker_is_labelled_only_if_asked_for(self) -> None:
        said = transcript(CALL[1])
        assert said.to_txt() == "Yes."
        assert said.to_txt(speaker_labels=True) == "S2: Yes."

    def test_timestamps_begin_every_sentence(self) -> None:
        assert transcript(*CALL).to_txt(timestamps=True) == (
            "[00:00:00] S1: Hello.\n[00:00:01] S1: Anyone there?\n[01:01:03] S2: Yes."
        )

    def test_channels_are_labels_too(self) -> None:
        said = transcript(
            final(result("Hi", 0, 1), channel="agent"), final(result("Ho", 1, 2), channel="caller")
        )
        assert said.to_txt(speaker_labels={"agent": "Ada"}) == "Ada: Hi\ncaller: Ho"


class TestData:
    def test_json_is_the_dict(self) -> None:
        said = transcript(final(result("天気", 0, 1)))
        assert json.loads(said.to_json()) == said.to_dict()
        assert "天気" in said.to_json()
        assert said.to_json(indent=1).startswith('{\n "format"')

    def test_json_lines_are_the_sentences(self) -> None:
        lines = [json.loads(line) for line in transcript(*CALL).to_jsonl().splitlines()]
        assert lines[0] == {
            "speaker": "S1",
            "channel": None,
            "start_time": 0.5,
            "end_time": 1.0,
            "text": "Hello.",
        }
        assert [line["text"] for line in lines] == ["Hello.", "Anyone there?", "Yes."]

    def test_json_lines_are_what_live_text_tells_for_good(self) -> None:
        messages = [
            {"message": "LanguageInfo", "language": "ja", "word_delimiter": ""},
            final(result("a", 0, 1, language="ja"), channel="x"),
            final(result("c", 0.5, 1), channel="y"),
            final(result("b", 1, 2, language="ja"), channel="x"),
            {"message": "EndOfUtterance", "channel": "x", "metadata": {}},
            final(result("d", 3, 4, language="ja"), channel="x"),
            {"message": "EndOfTranscript"},
        ]
        live = LiveText()
        told = [line for message in messages for line in live.add(message) if line.is_final]
        assert sorted(line.text for line in told) == ["ab", "c", "d"]
        written = map(json.loads, transcript(*messages).to_jsonl().splitlines())
        assert [each["text"] for each in written] == ["ab", "c", "d"]

    def test_rows_are_the_words(self) -> None:
        assert transcript(*CALL).to_rows()[0] == {
            "content": "Hello",
            "start_time": 0.5,
            "end_time": 1.0,
            "confidence": 0.9,
            "speaker": "S1",
            "channel": None,
            "language": None,
            "type": "word",
        }

    def test_a_data_frame_holds_the_rows(self) -> None:
        import pandas  # here, as it takes long, and each process collects every test

        said = transcript(*CALL)
        frame = said.to_dataframe()
        assert isinstance(frame, pandas.DataFrame)
        assert list(frame["content"]) == ["Hello", "Anyone", "there", "Yes"]
        assert frame.groupby("speaker")["end_time"].max()["S2"] == 3664.0
        assert list(Transcript().to_dataframe().columns) == list(frame.columns)

    def test_without_pandas_it_says_so(self) -> None:
        code = (
            "import sys; sys.modules['pandas'] = None\n"
            "import speechmatics_sync as s\n"
            "try: s.Transcript().to_dataframe()\n"
            "except s.ConfigurationError as error: print(error)"
        )
        ran = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
        )
        assert ran.stdout.startswith("to_dataframe needs pandas: pip install pandas")


def test_labels_of_another_kind_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="speaker_labels is 'S1'"):
        Transcript().to_txt(speaker_labels="S1")  # type: ignore[arg-type]
