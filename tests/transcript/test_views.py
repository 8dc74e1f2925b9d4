"""What a notebook shows of a transcript, and of its lists."""

from __future__ import annotations

import copy
import pickle
import re
from html.parser import HTMLParser
from typing import Any, Optional

import pytest
from support.transcripts import final, mark, result, transcript

from speechmatics_sync import Transcript, Word

INSERTED = "<script>alert(1)</script>"


class Read(HTMLParser):
    """What is left of HTML where styles and scripts are taken away."""

    VOID = ("br", "input")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self.folded = ""
        self.titles: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, Optional[str]]]) -> None:
        self.tags.append(tag)
        self.titles += [value or "" for name, value in attributes if name == "title"]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            self.scripts.append(data)
            return
        self.text += data
        if "details" in self._open and "summary" not in self._open:
            self.folded += data


def said(*words: str, at: float = 0.0, speaker: str = "S1", **more: Any) -> dict[str, Any]:
    results = [
        result(word, at + number, at + number + 0.5, speaker=speaker)
        for number, word in enumerate(words)
    ]
    return final(*results, mark(".", at + len(words), is_eos=True, speaker=speaker), **more)


def html_of(made: Any) -> str:
    html: str = made._repr_html_()
    return html


@pytest.fixture
def call() -> Transcript:
    made = transcript(
        said("good", INSERTED, at=1),
        said("hello", at=70, speaker="S2"),
        {
            "message": "AudioEventStarted",
            "event": {"type": "music & noise", "start_time": 5, "confidence": 0.5},
        },
        {"message": "AudioEventEnded", "event": {"type": "music & noise", "end_time": 9.5}},
        {
            "message": "AddTranslation",
            "language": "de",
            "results": [{"content": "Guten <Tag>", "start_time": 0, "end_time": 1}],
        },
    )
    made.add_gap(20.0, 23.5)
    return made


def test_who_said_what_and_when_can_be_read_without_styles_and_scripts(call: Transcript) -> None:
    read = Read(html_of(call))
    order = [
        "S1 0:01",
        f"good {INSERTED}.",
        "♪ music & noise, 0:05–0:09",
        "3.5 s of audio are missing, 0:20–0:23",
        "S2 1:10",
        "hello.",
        "Translation: de",
        "Guten <Tag>",
    ]
    places = [read.text.index(each) for each in order]
    assert places == sorted(places)
    assert "3 words · 2 speakers · 0:01–1:11" in read.text


def test_what_others_say_is_never_markup(call: Transcript) -> None:
    html = html_of(call)
    read = Read(html)
    assert len(read.scripts) == 1
    assert "alert" not in read.scripts[0]
    assert INSERTED not in html
    for shown in (call.words, call.turns, call.audio_events, call.translations["de"]):
        assert "<script" not in html_of(shown)
        assert "<Tag" not in html_of(shown)
    assert INSERTED not in html_of(call.captions())


def test_nothing_comes_from_elsewhere_and_styles_are_attributes(call: Transcript) -> None:
    html = html_of(call)
    assert re.findall(r"<style|<link|src=|href|https?:|@import|url\(", html) == []
    assert not re.search(r"style=\"[^\"]*[^-]color:(?!inherit)", html)  # text has the page's colour


def test_the_same_transcript_makes_the_same_page(call: Transcript) -> None:
    assert html_of(call) == html_of(pickle.loads(pickle.dumps(call)))
    ids = re.findall(r'id="([\w-]+)"', html_of(call))
    assert len(ids) == 1


def test_less_certain_words_are_shaded() -> None:
    sure, unsure, guess = (result(word, at, at + 1) for at, word in enumerate("abc"))
    unsure["alternatives"][0]["confidence"] = 0.6
    guess["alternatives"][0]["confidence"] = 0.3
    html = html_of(transcript(final(sure, unsure, guess)))
    assert Read(html).titles == ["0.60", "0.30"]
    weak, strong = re.findall(r"rgba\(230,130,0,([\d.]+)\)", html)
    assert 0 < float(weak) < float(strong) < 1


def test_long_turns_and_long_transcripts_are_folded() -> None:
    words = [f"word{number}" for number in range(400)]
    long_turn = transcript(*(said(*words[at : at + 10], at=2 * at) for at in range(0, 400, 10)))
    read = Read(html_of(long_turn))
    assert "word1 " in read.text
    assert "word399" in read.folded
    assert "word1 " not in read.folded
    assert "more paragraphs, until 13:" in read.text

    speakers = ("S1", "S2")
    many = transcript(
        *(said(*words[:5], at=at * 10, speaker=speakers[at % 2]) for at in range(400))
    )
    read = Read(html_of(many))
    assert read.folded.count("word0") > 200
    assert "more, until 1:06:30" in read.text


def test_an_empty_transcript_says_so() -> None:
    assert Read(html_of(Transcript())).text == "An empty transcript."
    translation = {"content": "Guten Tag", "start_time": 0, "end_time": 1}
    made = {"message": "AddTranslation", "language": "de", "results": [translation]}
    assert "Guten Tag" in Read(html_of(transcript(made))).text, "it is not empty"
    assert Read(html_of(Transcript().words)).text == "nothing"


def test_where_no_html_is_shown_there_is_the_text(call: Transcript) -> None:
    bundle = call._repr_mimebundle_()
    assert bundle["text/plain"] == call.to_txt()
    assert bundle["text/html"] == html_of(call)


def test_half_a_surrogate_pair_can_be_sent() -> None:
    made = transcript(final(result("a\ud800b", 0, 1)))
    for html in (html_of(made), html_of(made.words)):
        html.encode()


# -- lists ----------------------------------------------------------------------------------------


def test_lists_of_a_transcript_are_lists(call: Transcript) -> None:
    for shown in (call.words, call.turns, call.utterances, call.audio_events, call.search("good")):
        assert isinstance(shown, list)
        assert shown == list(shown)
        assert repr(shown) == repr(list(shown))
        assert type(pickle.loads(pickle.dumps(shown))) is list
        assert copy.deepcopy(shown) == copy.copy(shown) == shown
    assert isinstance(call.words[0], Word)
    assert isinstance(call.words[-1:], list)
    assert "<table>" in html_of(call.words[-1:])


def test_a_table_has_the_columns_that_say_something(call: Transcript) -> None:
    read = Read(html_of(call.words))
    assert read.text == (
        "contentstartendconfidencespeaker"
        f"good1.001.500.90S1{INSERTED}2.002.500.90S1hello70.0070.500.90S23 rows"
    )
    assert read.tags.count("tr") == 4
    turns = Read(html_of(call.turns)).text
    assert turns.startswith("speakerstartendtext")
    assert "Word(" not in turns
    assert "Word(" not in repr(call.turns)


def test_a_long_table_counts_what_it_leaves_out() -> None:
    many = transcript(said(*(f"w{number}" for number in range(1000))))
    read = Read(html_of(many.words))
    assert read.tags.count("tr") < 40
    assert "… 975 more …" in read.text
    assert "w999" in read.text
    assert "1000 rows" in read.text


class Printer:
    def __init__(self) -> None:
        self.printed = ""

    def text(self, text: str) -> None:
        self.printed += text


def test_a_prompt_shows_columns_of_text(call: Transcript) -> None:
    printer = Printer()
    call.words._repr_pretty_(printer, False)  # type: ignore[attr-defined]
    assert printer.printed.splitlines() == [
        "content                    start  end    confidence  speaker",
        "good                       1.00   1.50   0.90        S1",
        f"{INSERTED}  2.00   2.50   0.90        S1",
        "hello                      70.00  70.50  0.90        S2",
        "3 rows",
    ]
    printer = Printer()
    call.captions()._repr_pretty_(printer, False)
    assert printer.printed.splitlines()[0].split() == ["start", "end", "lines", "speaker"]
