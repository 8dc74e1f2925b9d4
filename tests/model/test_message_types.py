"""The types of messages are those of the API's description, and the events name them all."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from support.places import ROOT

import speechmatics_sync
from speechmatics_sync import ServerMessageType, SessionEvent

DESCRIBED = {
    "RecognitionStarted": "RecognitionStartedDict",
    "AudioAdded": "AudioAddedDict",
    "ChannelAudioAdded": "ChannelAudioAddedDict",
    "AddTranscript": "AddTranscriptDict",
    "AddPartialTranscript": "AddTranscriptDict",
    "RecognitionResult": "ResultDict",
    "RecognitionAlternative": "AlternativeDict",
    "EndOfUtterance": "EndOfUtteranceDict",
    "AddTranslation": "AddTranslationDict",
    "AddPartialTranslation": "AddTranslationDict",
    "EndOfTranscript": "EndOfTranscriptDict",
    "AudioEventStarted": "AudioEventStartedDict",
    "AudioEventEnded": "AudioEventEndedDict",
    "SpeakersResult": "SpeakersResultDict",
}
NOTICES = ("Info", "Warning", "Error")
TYPES = {"string": str, "integer": int, "number": float, "boolean": bool}


@pytest.fixture(scope="module")
def schemas(shared: Path) -> dict[str, Any]:
    described = yaml.safe_load((shared / "spec" / "realtime.yaml").read_text(encoding="utf-8"))
    return described["components"]["schemas"]  # type: ignore[no-any-return]


def _agree(kind: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Compare a type with a schema, and the types within it with the schemas within that."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    if "properties" in schema:
        assert set(get_type_hints(kind)) == set(schema["properties"])
        # What the description requires may be left out by a type, never the other way round.
        assert kind.__required_keys__ <= set(schema.get("required", []))
        for key, inner in get_type_hints(kind).items():
            _agree(inner, schema["properties"][key], schemas)
    elif schema.get("type") == "array":
        assert kind.__origin__ is list
        _agree(kind.__args__[0], schema["items"], schemas)
    else:
        assert kind is TYPES[schema.get("type", "string")]


@pytest.mark.parametrize(("message", "name"), DESCRIBED.items())
def test_a_type_has_the_fields_of_the_description(
    message: str, name: str, schemas: dict[str, Any]
) -> None:
    _agree(getattr(speechmatics_sync, name), schemas[message], schemas)


def test_one_type_has_the_fields_of_all_notices(schemas: dict[str, Any]) -> None:
    fields = {field for name in NOTICES for field in schemas[name]["properties"]}
    assert set(get_type_hints(speechmatics_sync.NoticeDict)) == fields
    required = [set(schemas[name]["required"]) for name in NOTICES]
    assert speechmatics_sync.NoticeDict.__required_keys__ == set.intersection(*required)


def test_every_known_event_has_a_type() -> None:
    source = (ROOT / "speechmatics_sync" / "_client" / "event_types.py").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:ServerMessageType|SessionEvent)\.(\w+)", source))
    assert named == {event.name for kind in (ServerMessageType, SessionEvent) for event in kind}
    for kind in (ServerMessageType, SessionEvent):
        assert all(f'"{event.value}"' in source for event in kind)
    public = {name for name in speechmatics_sync.__all__ if name.endswith("Dict")}
    used = set(re.findall(r"\w+Dict\b", source))
    assert public - used == {"AlternativeDict", "ResultDict"}
    assert all(inspect.getdoc(getattr(speechmatics_sync, name)) for name in public)
