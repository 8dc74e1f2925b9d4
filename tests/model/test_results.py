"""Messages become objects without loss; malformed ones raise a TransportError."""

from __future__ import annotations

import copy
import json
from typing import Any, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fuzzing import examples

from speechmatics_sync import (
    AudioEvent,
    EndOfUtterance,
    ErrorMessage,
    InfoMessage,
    LanguageInfo,
    LanguagePackInfo,
    RecognitionAlternative,
    RecognitionDisplay,
    RecognitionResult,
    RecognitionStarted,
    SpeakerIdentifier,
    SpeakersResult,
    TranscriptResult,
    TranslationResult,
    WarningMessage,
)
from speechmatics_sync._model.results import check_transcript
from speechmatics_sync.errors import TransportError


def word(content: str = "ten", **more: Any) -> dict[str, Any]:
    return {
        "type": "word",
        "start_time": 1.0,
        "end_time": 1.5,
        "alternatives": [
            {
                "content": content,
                "confidence": 0.97,
                "language": "en",
                "display": {"direction": "ltr"},
                "speaker": "S1",
                "tags": ["disfluency"],
            }
        ],
        **more,
    }


TRANSCRIPT: dict[str, Any] = {
    "message": "AddTranscript",
    "format": "2.9",
    "channel": "agent",
    "forced": True,
    "metadata": {"start_time": 1, "end_time": 2.5, "transcript": "£10. "},
    "results": [
        {
            **word("£10"),
            "type": "entity",
            "entity_class": "money",
            "spoken_form": [word("ten"), word("pounds")],
            "written_form": [word("£10")],
            "volume": 52.5,
            "score": 0.5,
        },
        {
            "type": "punctuation",
            "start_time": 1.5,
            "end_time": 1.5,
            "attaches_to": "previous",
            "is_eos": True,
            "channel": "agent",
            "alternatives": [{"content": ".", "confidence": 1}],
        },
    ],
}
MESSAGES: list[tuple[Any, dict[str, Any]]] = [
    (TranscriptResult, TRANSCRIPT),
    (TranscriptResult, {**TRANSCRIPT, "message": "AddPartialTranscript"}),
    (
        TranslationResult,
        {
            "message": "AddTranslation",
            "format": "2.9",
            "language": "de",
            "results": [
                {"content": "Hallo.", "start_time": 0, "end_time": 1.5, "speaker": "S1"},
            ],
        },
    ),
    (TranslationResult, {"message": "AddPartialTranslation", "language": "fr", "results": []}),
    (
        RecognitionStarted,
        {
            "message": "RecognitionStarted",
            "id": "807670e9",
            "orchestrator_version": "2025.11.07",
            "language_pack_info": {
                "adapted": False,
                "itn": True,
                "language_description": "English",
                "word_delimiter": " ",
                "writing_direction": "left-to-right",
            },
            "channel_ids": ["agent", "caller"],
        },
    ),
    (
        LanguageInfo,
        {
            "message": "LanguageInfo",
            "language": "ja",
            "word_delimiter": "",
            "writing_direction": "left-to-right",
            "partial": True,
        },
    ),
    (
        EndOfUtterance,
        {
            "message": "EndOfUtterance",
            "metadata": {"start_time": 3.5, "end_time": 3.5},
            "channel": "agent",
            "forced": True,
        },
    ),
    (
        SpeakersResult,
        {
            "message": "SpeakersResult",
            "speakers": [{"label": "S1", "speaker_identifiers": ["dm9pY2U="], "age": 7}],
        },
    ),
    (
        InfoMessage,
        {
            "message": "Info",
            "type": "concurrent_session_usage",
            "reason": "1 concurrent sessions active",
            "code": 1,
            "seq_no": 2,
            "quality": "broadcast",
            "usage": 1,
            "quota": 50,
            "last_updated": "2025-03-25T08:45:31Z",
            "region": "eu",
        },
    ),
    (
        WarningMessage,
        {
            "message": "Warning",
            "type": "duration_limit_exceeded",
            "reason": "too long",
            "duration_limit": 7200,
        },
    ),
    (ErrorMessage, {"message": "Error", "type": "job_error", "reason": "down", "code": 4013}),
]
STARTED = {
    "message": "AudioEventStarted",
    "event": {"type": "music", "start_time": 1.5, "confidence": 0.9},
    "channel": "agent",
}
ENDED = {"message": "AudioEventEnded", "event": {"type": "music", "end_time": 4.0}}
READERS: list[tuple[Any, dict[str, Any]]] = [*MESSAGES, (AudioEvent, STARTED), (AudioEvent, ENDED)]
NAMES = [f"{cls.__name__}-{message['message']}" for cls, message in READERS]


@pytest.mark.parametrize(("cls", "message"), MESSAGES, ids=NAMES[: len(MESSAGES)])
def test_a_message_comes_back_as_it_was(cls: Any, message: dict[str, Any]) -> None:
    before = copy.deepcopy(message)
    assert cls.from_message(message).to_dict() == before == message


@pytest.mark.parametrize(("cls", "message"), MESSAGES, ids=NAMES[: len(MESSAGES)])
def test_fields_nobody_knows_are_kept(cls: Any, message: dict[str, Any]) -> None:
    message = {**message, "novel": {"a": [1, None]}}
    read = cls.from_message(message)
    assert read.extra == {"novel": {"a": [1, None]}}
    assert read.to_dict() == message


def test_fields_nobody_knows_are_kept_deep_inside() -> None:
    message = copy.deepcopy(TRANSCRIPT)
    message["results"][0]["spoken_form"][1]["alternatives"][0]["novel"] = 1
    message["metadata"]["novel"] = 2
    result = TranscriptResult.from_message(message)
    assert result.metadata.extra == {"novel": 2}
    assert result.to_dict() == message


def test_an_entity_has_its_spoken_and_its_written_form() -> None:
    entity = TranscriptResult.from_message(TRANSCRIPT).results[0]
    assert entity.type == "entity"
    assert entity.entity_class == "money"
    assert entity.spoken_form is not None
    assert entity.written_form is not None
    said = [part.alternatives[0].content for part in entity.spoken_form if part.alternatives]
    assert said == ["ten", "pounds"]
    assert isinstance(entity.written_form[0], RecognitionResult)


def test_a_word_has_all_that_is_told_of_it() -> None:
    assert RecognitionResult.from_dict(word(volume=9.5)) == RecognitionResult(
        type="word",
        start_time=1.0,
        end_time=1.5,
        volume=9.5,
        alternatives=[
            RecognitionAlternative(
                content="ten",
                confidence=0.97,
                language="en",
                display=RecognitionDisplay("ltr"),
                speaker="S1",
                tags=["disfluency"],
            )
        ],
    )


def test_finals_and_partials_are_told_apart() -> None:
    assert TranscriptResult.from_message(TRANSCRIPT).is_final
    partial = {**TRANSCRIPT, "message": "AddPartialTranscript"}
    assert not TranscriptResult.from_message(partial).is_final


@pytest.mark.parametrize(
    ("at_the_top", "in_the_results"),
    [("agent", "agent"), ("agent", None), (None, "agent")],
)
def test_the_channel_is_found_wherever_the_message_has_it(
    at_the_top: Union[str, None], in_the_results: Union[str, None]
) -> None:
    message = copy.deepcopy(TRANSCRIPT)
    message["channel"] = at_the_top
    for part in message["results"]:
        part["channel"] = in_the_results
    assert TranscriptResult.from_message(message).channel == "agent"


def test_a_message_without_channel_has_none() -> None:
    message = {**TRANSCRIPT, "results": []}
    del message["channel"]
    assert TranscriptResult.from_message(message).channel is None


@pytest.mark.parametrize("key", ["channel_ids", "channels"])
def test_channels_are_found_under_either_name(key: str) -> None:
    started = RecognitionStarted.from_message({"message": "RecognitionStarted", key: ["a", "b"]})
    assert started.channels == ["a", "b"]


def test_a_language_pack_that_does_not_say_joins_words_by_a_space() -> None:
    assert LanguagePackInfo.from_dict({}).word_delimiter == " "


def test_an_audio_event_has_what_its_message_tells() -> None:
    assert AudioEvent.from_message(STARTED) == AudioEvent("music", 1.5, None, 0.9, "agent")
    assert AudioEvent.from_message(ENDED) == AudioEvent("music", end_time=4.0)


def test_speakers_are_taken_as_the_server_names_them() -> None:
    message = {
        "message": "SpeakersResult",
        "speakers": [
            {"label": "S1", "speaker_identifiers": ["x"]},
            {"label": "S2", "speaker_identifiers": []},
        ],
    }
    result = SpeakersResult.from_message(message)
    assert result.speakers[0] == SpeakerIdentifier("S1", ["x"])
    assert result.speakers[1].speaker_identifiers == []
    assert result.to_dict() == message


@pytest.mark.parametrize(
    ("cls", "message", "named"),
    [
        (TranscriptResult, None, "TranscriptResult"),
        (TranscriptResult, ["AddTranscript"], "TranscriptResult"),
        (TranscriptResult, {}, "TranscriptResult.message"),
        (TranscriptResult, {"message": "Info"}, "AddTranscript or AddPartialTranscript"),
        (TranscriptResult, {"message": "AddTranscript"}, "AddTranscript.metadata"),
        (TranscriptResult, {**TRANSCRIPT, "results": None}, "AddTranscript.results"),
        (TranscriptResult, {**TRANSCRIPT, "results": {}}, "AddTranscript.results"),
        (TranscriptResult, {**TRANSCRIPT, "results": ["word"]}, r"AddTranscript.results\[0\]"),
        (
            TranscriptResult,
            {**TRANSCRIPT, "results": [word(), word(start_time="1")]},
            r"AddTranscript\.results\[1\]\.start_time",
        ),
        (
            TranscriptResult,
            {**TRANSCRIPT, "results": [word(alternatives=[{"content": "a"}])]},
            r"AddTranscript\.results\[0\]\.alternatives\[0\]\.confidence",
        ),
        (TranscriptResult, {**TRANSCRIPT, "channel": 1}, r"AddTranscript\.channel"),
        (TranscriptResult, {**TRANSCRIPT, "forced": "yes"}, r"AddTranscript\.forced"),
        (AudioEvent, {**STARTED, "event": {"type": "music"}}, r"AudioEventStarted\.event\.start"),
        (AudioEvent, {**ENDED, "event": {"type": "music"}}, r"AudioEventEnded\.event\.end_time"),
        (
            SpeakersResult,
            {"message": "SpeakersResult", "speakers": [{"label": 1}]},
            r"SpeakersResult\.speakers\[0\]\.label",
        ),
        (TranslationResult, {"message": "AddTranslation", "results": []}, "language"),
    ],
)
def test_a_garbled_message_is_the_servers_mistake_and_says_where(
    cls: Any, message: Any, named: str
) -> None:
    with pytest.raises(TransportError, match=named):
        cls.from_message(message)


@pytest.mark.parametrize("data", [None, {}, {"label": "S1"}, {"speaker_identifiers": []}, "S1"])
def test_a_garbled_speaker_is_the_servers_mistake(data: Any) -> None:
    with pytest.raises(TransportError, match="SpeakerIdentifier"):
        SpeakerIdentifier.from_dict(data)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 10**400, True, "1"])
def test_a_time_that_is_no_time_is_refused(number: Any) -> None:
    with pytest.raises(TransportError, match="start_time"):
        RecognitionResult.from_dict(word(start_time=number))


def test_what_is_nested_without_end_is_refused() -> None:
    deep: dict[str, Any] = word()
    for _ in range(2000):
        deep = word(spoken_form=[deep])
    with pytest.raises(TransportError, match="deep"):
        TranscriptResult.from_message({**TRANSCRIPT, "results": [deep]})
    deep_list: list[Any] = []
    for _ in range(100_000):
        deep_list = [deep_list]
    with pytest.raises(TransportError, match="channel"):
        TranscriptResult.from_message({**TRANSCRIPT, "channel": deep_list})


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside a message, from the outermost in."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@examples(400)
@given(data=st.data())
def test_no_garbled_message_raises_anything_else(data: st.DataObject) -> None:
    cls, message = data.draw(st.sampled_from(READERS))
    place = data.draw(st.sampled_from(places(message)))
    value = data.draw(json_values)
    garbled: Any = copy.deepcopy(message)
    if not place:
        garbled = value
    else:
        target = garbled
        for step in place[:-1]:
            target = target[step]
        target[place[-1]] = value
    try:
        read = cls.from_message(garbled)
    except TransportError as error:
        assert "the server broke the protocol" in str(error)  # noqa: PT017
    else:
        json.dumps(read.to_dict())


PLAIN = {
    "message": "AddTranscript",
    "format": "2.9",
    "metadata": {"start_time": 1.0, "end_time": 1.5, "transcript": "ten. "},
    "results": [
        {
            "type": "word",
            "start_time": 1.0,
            "end_time": 1.5,
            "volume": 40,
            "channel": "agent",
            "alternatives": [
                {
                    "content": "ten",
                    "confidence": 0.97,
                    "language": "en",
                    "display": {"direction": "ltr"},
                    "speaker": "S1",
                }
            ],
        },
        {
            "type": "punctuation",
            "start_time": 1.5,
            "end_time": 1.5,
            "is_eos": True,
            "attaches_to": "previous",
            "alternatives": [{"content": ".", "confidence": 1.0}],
        },
    ],
}


NO_NUMBERS = st.sampled_from([float("inf"), float("-inf"), float("nan"), 10**400])


def test_a_final_of_the_usual_shape_is_not_read_to_be_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(message: Any) -> None:
        raise AssertionError("read")

    monkeypatch.setattr(TranscriptResult, "from_message", read)
    check_transcript(PLAIN)


@examples(600)
@given(data=st.data())
def test_a_final_passes_when_it_can_be_read(data: st.DataObject) -> None:
    """Also where it is garbled in one place, or lacks something."""
    garbled: Any = copy.deepcopy(data.draw(st.sampled_from([PLAIN, TRANSCRIPT])))
    place = data.draw(
        st.sampled_from([place for place in places(garbled) if place not in [(), ("message",)]])
    )
    target = garbled
    for step in place[:-1]:
        target = target[step]
    if data.draw(st.booleans()):
        target[place[-1]] = data.draw(json_values | NO_NUMBERS)
    else:
        del target[place[-1]]
    assert passes(check_transcript, garbled) == passes(TranscriptResult.from_message, garbled)


def passes(check: Any, message: Any) -> bool:
    try:
        check(message)
    except TransportError:
        return False
    return True
