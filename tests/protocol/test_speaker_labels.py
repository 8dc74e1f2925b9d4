"""Who is S1 stays S1, whatever a new connection calls the speaker."""

from __future__ import annotations

import copy
from typing import Any, Optional

import hypothesis
import pytest
from hypothesis import strategies as st
from support.labels import ENGINES_OWN

from speechmatics_sync import SpeakerDiarizationConfig, SpeakerIdentifier, TranscriptionConfig
from speechmatics_sync._model.typing import Message
from speechmatics_sync._protocol.speaker_labels import LegSpeakerLabels, SpeakerLabels
from speechmatics_sync.local._speakers import Speakers, identifier


def said(*labels: Optional[str], name: str = "AddTranscript") -> Message:
    results = []
    for index, label in enumerate(labels):
        best: Message = {"content": "word", "confidence": 1.0}
        if label is not None:
            best["speaker"] = label
        times = {"start_time": index, "end_time": index + 1}
        results.append({"type": "word", **times, "alternatives": [best]})
    metadata = {"start_time": 0, "end_time": len(labels), "transcript": ""}
    return {"message": name, "metadata": metadata, "results": results}


def speakers_of(message: Message) -> list[Optional[str]]:
    return [result["alternatives"][0].get("speaker") for result in message["results"]]


def translated(*labels: str, name: str = "AddTranslation") -> Message:
    results = [
        {"content": "x", "start_time": 0, "end_time": 1, "speaker": label} for label in labels
    ]
    return {"message": name, "language": "de", "results": results}


def answer(**identifiers: list[str]) -> list[SpeakerIdentifier]:
    return [
        SpeakerIdentifier.from_dict({"label": label, "speaker_identifiers": known})
        for label, known in identifiers.items()
    ]


def config(*speakers: SpeakerIdentifier, **more: Any) -> TranscriptionConfig:
    diarization = SpeakerDiarizationConfig(speakers=list(speakers) or None, **more)
    return TranscriptionConfig(diarization="speaker", speaker_diarization_config=diarization)


def enrolled(leg: LegSpeakerLabels, given: TranscriptionConfig) -> dict[str, list[str]]:
    """What is enrolled with a configuration: label → identifiers."""
    speakers = leg.enrolled(given).to_dict()["speaker_diarization_config"]["speakers"]
    SpeakerDiarizationConfig(speakers=speakers)  # which refuses what the API would refuse
    return {speaker["label"]: speaker["speaker_identifiers"] for speaker in speakers}


def after(speaker_labels: SpeakerLabels) -> tuple[LegSpeakerLabels, dict[str, str]]:
    """The next connection's speaker labels, and the label on it of each known speaker."""
    leg = speaker_labels.begin_leg()
    labels = enrolled(leg, config())
    own = {known: label for label, identifiers in labels.items() for known in identifiers}
    return leg, own


# The session's speaker labels.


@pytest.mark.parametrize("message", [said("S1", "S3"), translated("S1", "S3")])
def test_a_voice_that_is_not_known_asks_to_be_learnt(message: Message) -> None:
    speaker_labels = SpeakerLabels()
    assert speaker_labels.note(message)
    speaker_labels.learn(answer(S1=["a"]))
    assert speaker_labels.note(message)
    speaker_labels.learn(answer(S3=["c"]))
    assert not speaker_labels.note(message)
    assert speaker_labels.highest == 3


@pytest.mark.parametrize(
    "message",
    [
        said("S7", name="AddPartialTranscript"),
        translated("S7", name="AddPartialTranslation"),
        said("UU", "Ada", None, "S", "s7", "S07", "xS7", "S7x", "S7\n", "S٧"),
        {"message": "SomethingNew", "results": said("S7")["results"]},
    ],
)
def test_only_final_labels_of_the_engine_count(message: Message) -> None:
    speaker_labels = SpeakerLabels()
    assert not speaker_labels.note(message)
    assert speaker_labels.highest == 0


def test_speakers_are_asked_for_now_and_then_and_sooner_while_one_is_unknown() -> None:
    labels = SpeakerLabels()
    assert [labels.asking_is_due(now) for now in (5.0, 59.9, 60.0)] == [False, False, True]
    labels.note_asking(70.0)
    assert [labels.asking_is_due(now) for now in (129.9, 130.0)] == [False, True]
    assert labels.note(said("S1"))
    assert [labels.asking_is_due(now) for now in (74.9, 75.0)] == [False, True]
    labels.note_asking(80.0)
    assert [labels.asking_is_due(now) for now in (139.9, 140.0)] == [False, True]


def test_a_later_answer_replaces_a_voice_and_an_empty_one_does_not() -> None:
    speaker_labels = SpeakerLabels()
    speaker_labels.learn(answer(S1=["a", "b", "a"], S2=["c"], Ada=["d"], UU=["e"]))
    speaker_labels.learn(answer(S1=[""], S2=["f"]))
    assert sorted(after(speaker_labels)[1]) == ["a", "b", "f"]
    assert speaker_labels.highest == 2


# What a connection is asked for.


def test_the_first_connection_is_asked_for_what_the_user_asked() -> None:
    leg = SpeakerLabels().begin_leg()
    given = config(SpeakerIdentifier("Ada", ["a"]))
    assert leg.enrolled(given) is given
    message = said("S1", "Ada")
    assert leg.session_labels(message) is message


def test_a_connection_knows_the_voices_from_before_it_began() -> None:
    speaker_labels = SpeakerLabels()
    speaker_labels.learn(answer(S1=["a"]))
    leg = speaker_labels.begin_leg()
    speaker_labels.learn(answer(S2=["b"]))
    assert list(enrolled(leg, config()).values()) == [["a"]]


def test_known_voices_are_enrolled_beside_the_users() -> None:
    speaker_labels = SpeakerLabels()
    speaker_labels.learn(answer(S1=["a", "b"], S2=["c"]))
    given = config(SpeakerIdentifier("Ada", ["z"]), max_speakers=4)
    before = copy.deepcopy(given)
    leg = speaker_labels.begin_leg()
    diarization = leg.enrolled(given).to_dict()["speaker_diarization_config"]
    assert given == before
    assert diarization["max_speakers"] == 4
    assert diarization["speakers"][0] == {"label": "Ada", "speaker_identifiers": ["z"]}
    known = [speaker["speaker_identifiers"] for speaker in diarization["speakers"][1:]]
    assert known == [["a", "b"], ["c"]]
    assert not any(ENGINES_OWN.match(speaker["label"]) for speaker in diarization["speakers"])


@pytest.mark.parametrize(
    "given",
    [
        TranscriptionConfig(),
        TranscriptionConfig(speaker_diarization_config={"future": 1}),
        TranscriptionConfig(extra={"speaker_diarization_config": {"max_speakers": 1}}),
        TranscriptionConfig(extra={"speaker_diarization_config": {"speakers": [{"name": "x"}]}}),
    ],
    ids=["unset", "a dict", "unchecked", "speakers of a shape to come"],
)
def test_voices_are_enrolled_however_the_configuration_was_given(
    given: TranscriptionConfig,
) -> None:
    speaker_labels = SpeakerLabels()
    speaker_labels.learn(answer(S1=["a"]))
    before = given.to_dict().get("speaker_diarization_config", {})
    after = speaker_labels.begin_leg().enrolled(given).to_dict()["speaker_diarization_config"]
    assert after["speakers"].pop()["speaker_identifiers"] == ["a"]
    assert after == {"speakers": [], **before}


def test_a_deprecated_field_is_not_warned_of_again() -> None:
    with pytest.warns(DeprecationWarning, match="operating_point"):
        given = TranscriptionConfig(operating_point="standard")
    speaker_labels = SpeakerLabels()
    speaker_labels.learn(answer(S1=["a"]))
    assert speaker_labels.begin_leg().enrolled(given).to_dict()["operating_point"] == "standard"


def test_no_identifier_is_enrolled_twice() -> None:
    speaker_labels = SpeakerLabels()
    speaker_labels.learn(answer(S1=["a", "b"], S2=["z"], S3=["a", "c"]))
    leg = speaker_labels.begin_leg()
    known = enrolled(leg, config(SpeakerIdentifier("Ada", ["z", "y"])))
    assert list(known.values()) == [["z", "y"], ["a", "b"], ["c"]]


@pytest.mark.parametrize("users_own", [0, 40, 50])
def test_no_more_identifiers_are_enrolled_than_the_api_takes(users_own: int) -> None:
    speaker_labels = SpeakerLabels()
    for number in range(1, 4):
        speaker_labels.learn(answer(**{f"S{number}": [f"{number}/{index}" for index in range(30)]}))
    theirs = [SpeakerIdentifier(f"user {index}", [str(index)]) for index in range(users_own)]
    known = enrolled(speaker_labels.begin_leg(), config(*theirs)) if users_own < 50 else {}
    ours = [len(identifiers) for label, identifiers in known.items() if "user" not in label]
    if users_own < 50:
        assert sum(ours) == 50 - users_own
        assert max(ours) - min(ours) <= 1  # so every speaker has its share
    else:
        given = config(*theirs)
        assert speaker_labels.begin_leg().enrolled(given) is given


@hypothesis.example(["known-S1", "known--S1"])
@hypothesis.given(st.lists(st.from_regex(r"\A(known)?-{0,3}(S?[0-9])?x?\Z"), unique=True))
def test_labels_of_ours_are_none_of_the_users(labels: list[str]) -> None:
    labels = [label for label in labels if label and not ENGINES_OWN.match(label)]
    speaker_labels = SpeakerLabels()
    speaker_labels.learn(answer(S1=["a"]))
    theirs = [SpeakerIdentifier(label, [f"speaker {label}"]) for label in labels]
    leg = speaker_labels.begin_leg()
    known = enrolled(leg, config(*theirs))  # refuses two of one label
    assert len(known) == len(labels) + 1
    back = speakers_of(leg.session_labels(said(*known)))
    assert back == [*labels, "S1"]


# What comes back.


@pytest.mark.parametrize("name", ["AddTranscript", "AddPartialTranscript"])
def test_labels_of_transcripts_become_the_sessions(name: str) -> None:
    speaker_labels = SpeakerLabels()
    speaker_labels.note(said("S1", "S2", "S3"))
    speaker_labels.learn(answer(S1=["a"], S3=["c"]))
    leg, own = after(speaker_labels)
    message = said("S1", own["c"], "UU", "Ada", own["a"], "S2", None, name=name)
    message["results"][0]["spoken_form"] = said(own["c"], "S1")["results"]
    message["results"][0]["written_form"] = said("S2")["results"]
    original = copy.deepcopy(message)
    mapped = leg.session_labels(message)
    assert message == original
    assert speakers_of(mapped) == ["S4", "S3", "UU", "Ada", "S1", "S5", None]
    first = mapped["results"][0]
    assert speakers_of({"results": first["spoken_form"]}) == ["S3", "S4"]
    assert speakers_of({"results": first["written_form"]}) == ["S5"]


def test_labels_of_translations_and_answers_become_the_sessions() -> None:
    speaker_labels = SpeakerLabels()
    speaker_labels.learn(answer(S2=["b"]))
    leg, own = after(speaker_labels)
    for name in ("AddTranslation", "AddPartialTranslation"):
        mapped = leg.session_labels(translated(own["b"], "S1", "UU", name=name))
        assert [result["speaker"] for result in mapped["results"]] == ["S2", "S3", "UU"]
    result = {
        "message": "SpeakersResult",
        "speakers": [{"label": label, "speaker_identifiers": ["x"]} for label in (own["b"], "S1")],
    }
    mapped = leg.session_labels(result)
    assert [speaker["label"] for speaker in mapped["speakers"]] == ["S2", "S3"]
    assert mapped["speakers"][0]["speaker_identifiers"] == ["x"]


def test_nothing_is_copied_where_no_label_changes() -> None:
    speaker_labels = SpeakerLabels()
    speaker_labels.learn(answer(S1=["a"]))
    leg, _ = after(speaker_labels)
    for message in (said("UU", None, "Ada"), {"message": "EndOfTranscript"}):
        assert leg.session_labels(message) is message


def test_what_a_connection_calls_new_is_numbered_after_those_before_it() -> None:
    speaker_labels = SpeakerLabels()
    speaker_labels.note(said("S1", "S2"))
    leg = speaker_labels.begin_leg()
    speaker_labels.note(said("S3"))  # the connection before it, which ends while this one begins
    for _ in range(2):
        mapped = leg.session_labels(said("S1"))
        assert speakers_of(mapped) == ["S4"]
        speaker_labels.note(mapped)
    assert speakers_of(leg.session_labels(said("S1", "S2"))) == ["S4", "S5"]


def test_a_connection_before_which_nobody_was_heard_keeps_its_labels() -> None:
    speaker_labels = SpeakerLabels()
    leg = speaker_labels.begin_leg()
    speaker_labels.note(said("S1", "S2"))
    message = said("S1", "S2")
    assert leg.session_labels(message) is message


WRONG: list[Any] = [None, True, 1, "S1", [], [1], {}, [{"speaker": 1}], [{"label": [1]}]]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_a_message_that_cannot_be_read_is_passed_on(wrong: Any) -> None:
    speaker_labels = SpeakerLabels()
    speaker_labels.learn(answer(S1=["a"]))
    leg, _ = after(speaker_labels)
    inner = said("UU")
    inner["results"][0]["alternatives"] = wrong
    form = said("UU")
    form["results"][0]["spoken_form"] = wrong
    for message in (
        inner,
        form,
        {"message": wrong},
        {"message": "AddTranscript", "results": wrong},
        {"message": "AddTranslation", "results": wrong},
        {"message": "SpeakersResult", "speakers": wrong},
    ):
        assert leg.session_labels(message) is message
        assert not speaker_labels.note(message)


def test_what_is_nested_as_deep_as_a_message_may_be_is_relabelled() -> None:
    deep: Any = said("S1")["results"][0]
    for _ in range(30):  # a list and an object each: `decode` lets 64 levels pass
        deep = {"spoken_form": [deep]}
    speaker_labels = SpeakerLabels()
    speaker_labels.learn(answer(S1=["a"]))
    leg, _ = after(speaker_labels)
    message = {"message": "AddTranscript", "results": [deep]}
    assert leg.session_labels(message)["message"] == "AddTranscript"
    assert not speaker_labels.note(message)


# The whole promise, with the embedded server's own idea of speakers.

HEARD = st.lists(st.sampled_from("abcdef"), max_size=8)


@hypothesis.given(st.lists(st.tuples(HEARD, st.booleans()), min_size=1, max_size=5))
def test_a_voice_that_was_learnt_keeps_its_label_over_any_connections(
    connections: list[tuple[list[str], bool]],
) -> None:
    """Each connection hears some speakers; before some losses the server was asked for them."""
    speaker_labels = SpeakerLabels()
    ada = SpeakerIdentifier("Ada", [identifier("a")])
    owners: dict[str, str] = {}
    learnt: dict[str, str] = {}
    for heard, asked in connections:
        leg = speaker_labels.begin_leg()
        plain = leg.enrolled(config(ada)).to_dict()
        server = Speakers(plain["speaker_diarization_config"]["speakers"])
        for speaker in heard:
            message = leg.session_labels(said(server.label(speaker)))
            speaker_labels.note(message)
            (label,) = speakers_of(message)
            assert label is not None
            assert learnt.get(speaker, label) == label
            assert owners.setdefault(label, speaker) == speaker
            assert (label == "Ada") == (speaker == "a")
        if asked:
            result = {"message": "SpeakersResult", "speakers": server.result()}
            speakers = leg.session_labels(result)["speakers"]
            speaker_labels.learn([SpeakerIdentifier.from_dict(speaker) for speaker in speakers])
            learnt.update((owners[speaker["label"]], speaker["label"]) for speaker in speakers)
