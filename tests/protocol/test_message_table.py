"""Every message of the server's has its row, and what the row says is what happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
import yaml  # type: ignore[import-untyped]

from speechmatics_sync import ServerMessageType, Transcript
from speechmatics_sync._protocol.channel import LegChannel
from speechmatics_sync._protocol.delivered import Delivered
from speechmatics_sync._protocol.events import (
    Acknowledged,
    Deliver,
    Ended,
    Failed,
    Queued,
    SpeakersAnswered,
    SpeakersQuestion,
    Started,
)
from speechmatics_sync._protocol.leg import Leg
from speechmatics_sync._protocol.message_table import MESSAGES, Again, Row, Settles
from speechmatics_sync._protocol.multiplexer import Placed
from speechmatics_sync._protocol.speaker_labels import SpeakerLabels
from speechmatics_sync._protocol.stitching import Stitch

TIMES = {"start_time": 1.0, "end_time": 1.5}
EVENT = {"type": "music", "confidence": 0.5}


def _transcript(name: str) -> dict[str, Any]:
    best = {"content": "Yes", "confidence": 1.0, "language": "de", "speaker": "S1"}
    word = {"type": "word", **TIMES, "alternatives": [best]}
    entity = {**word, "type": "entity", "spoken_form": [word], "written_form": [word]}
    return {
        "message": name,
        "metadata": {**TIMES, "transcript": "Yes"},
        "results": [word, entity],
    }


def _translation(name: str) -> dict[str, Any]:
    sentence = {**TIMES, "content": "Ja", "speaker": "S1"}
    return {"message": name, "language": "de", "results": [sentence]}


EXAMPLES: dict[str, dict[str, Any]] = {
    each["message"]: each
    for each in [
        {"message": "RecognitionStarted", "id": "1", "orchestrator_version": "2"},
        {"message": "AudioAdded", "seq_no": 1},
        {"message": "ChannelAudioAdded", "seq_no": 1, "channel": "a"},
        _transcript("AddPartialTranscript"),
        _transcript("AddTranscript"),
        _translation("AddPartialTranslation"),
        _translation("AddTranslation"),
        {"message": "EndOfUtterance", "metadata": TIMES, "forced": True},
        {"message": "AudioEventStarted", "event": {**EVENT, "start_time": 1.0}},
        {"message": "AudioEventEnded", "event": {**EVENT, "end_time": 1.5}},
        {
            "message": "SpeakersResult",
            "speakers": [{"label": "S1", "speaker_identifiers": ["x"]}],
        },
        {"message": "LanguageInfo", "language": "de", "word_delimiter": "+"},
        {"message": "Info", "type": "recognition_quality", "reason": "", "quality": "broadcast"},
        {"message": "Warning", "type": "duration_limit_exceeded", "reason": "Enough."},
        {"message": "Error", "type": "protocol_error", "reason": "No."},
        {"message": "EndOfTranscript"},
    ]
}
rows = pytest.mark.parametrize("row", MESSAGES.values(), ids=MESSAGES)


def written(transcript: Transcript) -> dict[str, Any]:
    """All that a transcript has taken from messages."""
    plain = transcript.to_dict()
    plain["metadata"].pop("created_at")
    return {**plain, "text": transcript.text}


def messages_before(name: str) -> list[dict[str, Any]]:
    """What must have come for a message to mean anything."""
    if name == "AudioEventEnded":
        return [EXAMPLES["AudioEventStarted"]]
    return [_transcript("AddTranscript")] * 2 if name == "LanguageInfo" else []


def leg_of(label: Optional[str] = None) -> Leg:
    """A leg over which a chunk was sent."""
    leg = Leg({"message": "StartRecognition"}, {label: LegChannel()})
    leg.connected()
    return leg


def objects_with(value: Any, keys: set[str]) -> Iterator[dict[str, Any]]:
    """The objects anywhere in a message that have one of these keys."""
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, (dict, list)):
            yield from objects_with(inner, keys)
    if isinstance(value, dict) and keys & value.keys():
        yield value


# -- all messages -------------------------------------------------------------------------------


def test_every_message_has_its_row_and_its_example() -> None:
    names = [member.value for member in ServerMessageType]
    assert sorted(MESSAGES) == sorted(EXAMPLES) == sorted(names)
    assert all(row.type.value == name for name, row in MESSAGES.items())


@rows
def test_a_message_is_read_by_the_class_of_its_row(row: Row) -> None:
    if row.read_as is not None:
        assert isinstance(row.read_as.from_message(EXAMPLES[row.type.value]), row.read_as)


@rows
def test_a_transcript_takes_something_from_the_messages_that_belong_to_it(row: Row) -> None:
    transcript = Transcript()
    for before in messages_before(row.type.value):
        transcript.add(before)
    as_it_was = written(transcript)
    transcript.add(EXAMPLES[row.type.value])
    assert (written(transcript) != as_it_was) == row.in_transcript


# -- what a message settles ---------------------------------------------------------------------

EVENTS: dict[Optional[Settles], type] = {
    Settles.START: Started,
    Settles.ACKNOWLEDGEMENT: Acknowledged,
    Settles.SPEAKERS: SpeakersAnswered,
    Settles.END: Ended,
    Settles.FAILURE: Failed,
}


@rows
def test_a_leg_settles_what_the_row_says_and_nothing_else(row: Row) -> None:
    label = "a" if row.type is ServerMessageType.CHANNEL_AUDIO_ADDED else None
    leg = leg_of(label)
    if row.settles is not Settles.START:
        leg.receive(EXAMPLES["RecognitionStarted"])
        leg.audio(label, b"aa")
    questions = [
        Placed(Queued({"message": "GetSpeakers"}, "", SpeakersQuestion()), {}),
        Placed(Queued({"message": "ForceEndOfUtterance"}, ""), {}),
    ]
    for question in questions:
        leg.request(question, question.message.message)
    if row.settles is Settles.END:
        leg.receive(EXAMPLES["AudioAdded"])
        leg.end(label)
    told = leg.receive(EXAMPLES[row.type.value])
    expected = {EVENTS[row.settles]} if row.settles in EVENTS else set()
    assert {type(event) for event in told} - {Deliver} == expected
    settled = {Settles.SPEAKERS: questions[:1], Settles.UTTERANCE: questions[1:]}
    left = [question for question in questions if question not in settled.get(row.settles, [])]
    assert list(leg.asked) == left


@rows
def test_audio_is_settled_by_the_messages_that_say_so(row: Row) -> None:
    delivered = Delivered([None], ["de"] if row.type.value == "AddTranslation" else [])
    if row.type.value == "AddTranslation":
        delivered.note(EXAMPLES["AddTranscript"])
    assert delivered.note(EXAMPLES[row.type.value]) == (row.settles is Settles.AUDIO)


# -- on a leg after the first -------------------------------------------------------------------


@rows
def test_a_later_leg_makes_of_a_message_what_the_row_says(row: Row) -> None:
    name = row.type.value
    message = EXAMPLES[name]
    delivered = Delivered([None])
    fresh = Stitch(delivered, {None: 0.0})
    for before in messages_before(name):
        delivered.note(before)
    joined = fresh.join(message)
    assert (joined is None) == (row.again is Again.NEVER)
    delivered.note(message)
    delivered.note(_transcript("AddTranscript"))
    delivered.note(_translation("AddTranslation"))
    if row.settles is Settles.UTTERANCE:  # one that was asked for is never left out
        message = {**message, "forced": False}
    repeated = Stitch(delivered, {None: 0.0}).join(message)
    assert (repeated is None) == (row.again is not Again.AS_IT_IS)
    if row.again is Again.AS_IT_IS:
        assert joined is repeated is message


@rows
def test_the_times_that_the_row_names_and_no_others_move_on_a_later_leg(row: Row) -> None:
    delivered = Delivered([None])
    for before in messages_before(row.type.value):
        delivered.note(before)
    stitch = Stitch(delivered, {None: 100.0})
    joined = stitch.join(EXAMPLES[row.type.value])
    timed = list(objects_with(EXAMPLES[row.type.value], set(TIMES)))
    assert bool(timed) == bool(row.times)
    if not row.times:
        return
    assert joined is not None
    moved = [
        {key: value - 100.0 for key, value in part.items() if key in TIMES}
        for part in objects_with(joined, set(TIMES))
    ]
    assert moved == [{key: value for key, value in part.items() if key in TIMES} for part in timed]


@rows
def test_the_labels_that_the_row_names_and_no_others_are_the_sessions_on_a_later_leg(
    row: Row,
) -> None:
    speaker_labels = SpeakerLabels()
    speaker_labels.note({**_translation("AddTranslation"), "results": [{"speaker": "S7"}]})
    joined = speaker_labels.begin_leg().session_labels(EXAMPLES[row.type.value])
    keys = {"speaker", "label"}
    was = list(objects_with(EXAMPLES[row.type.value], keys))
    now = list(objects_with(joined, keys))
    assert bool(was) == bool(row.speaker)
    assert [{part[key] for key in keys & part.keys()} for part in now] == [{"S8"}] * len(was)


# -- the API's description ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def schemas(shared: Path) -> dict[str, Any]:
    with (shared / "spec" / "realtime.yaml").open(encoding="utf-8") as file:
        found: dict[str, Any] = yaml.safe_load(file)["components"]["schemas"]
    return found


def paths(
    schemas: dict[str, Any], schema: dict[str, Any], names: set[str], within: tuple[str, ...] = ()
) -> set[tuple[str, ...]]:
    """Where in an object, as described, there are properties of these names.

    The forms of an entity are results again, and are left out.
    """
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    found: set[tuple[str, ...]] = set()
    for part in schema.get("allOf", []):
        found |= paths(schemas, part, names, within)
    if "items" in schema:
        found |= paths(schemas, schema["items"], names, within)
    for name, inner in schema.get("properties", {}).items():
        if name in names:
            found.add((*within, name))
        if name not in ("spoken_form", "written_form"):
            found |= paths(schemas, inner, names, (*within, name))
    return found


@rows
def test_times_and_labels_are_where_the_api_describes_them(
    row: Row, schemas: dict[str, Any]
) -> None:
    schema = schemas.get(row.type.value)
    if schema is None:
        assert row.type is ServerMessageType.LANGUAGE_INFO
        return
    timed = {path[:-1] for path in paths(schemas, schema, set(TIMES))}
    assert timed == {(name,) for name in row.times}
    labelled = paths(schemas, schema, {"speaker", "label"})
    assert labelled == ({row.speaker} if row.speaker else set())


def test_what_no_row_names_is_handed_on() -> None:
    novelty = {"message": "Novelty", "results": [{"speaker": "S1", **TIMES}]}
    assert Stitch(Delivered([None]), {None: 4.0}).join(novelty) is novelty
    assert leg_of().receive(novelty) == [Deliver(novelty)]
