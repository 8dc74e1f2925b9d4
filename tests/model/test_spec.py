"""All of the API is here, and nothing else.

The API's own description and the official client are walked, name by name, in both directions.
What is documented elsewhere, and what a class adds for its own sake, stands here in short lists.
"""

from __future__ import annotations

import dataclasses
import warnings
from enum import Enum
from pathlib import Path
from typing import Any, Optional

import pytest
import yaml  # type: ignore[import-untyped]
from support.described import complaints

import speechmatics_sync as api
from speechmatics_sync._model.checks import checked_fields
from speechmatics_sync.errors import ConfigurationError

# schema of the description → our class
CONFIGURATION = {
    "AdditionalVocabObject": api.AdditionalVocab,
    "AudioEventsConfig": api.AudioEventsConfig,
    "AudioFilteringConfig": api.AudioFilteringConfig,
    "ConversationConfig": api.ConversationConfig,
    "MidSessionTranscriptionConfig": api.MidSessionConfig,
    "PunctuationOverrides": api.PunctuationOverrides,
    "SpeakerDiarizationConfig": api.SpeakerDiarizationConfig,
    "SpeakersInputItem": api.SpeakerIdentifier,
    "TranscriptFilteringConfig": api.TranscriptFilteringConfig,
    "TranscriptionConfig": api.TranscriptionConfig,
    "TranslationConfig": api.TranslationConfig,
    "WordReplacementItem": api.WordReplacement,
}
RESULTS = {
    "AddPartialTranscript": api.TranscriptResult,
    "AddPartialTranslation": api.TranslationResult,
    "AddTranscript": api.TranscriptResult,
    "AddTranslation": api.TranslationResult,
    "EndOfUtterance": api.EndOfUtterance,
    "EndOfUtteranceMetadata": api.EndOfUtteranceMetadata,
    "Error": api.ErrorMessage,
    "Info": api.InfoMessage,
    "LanguagePackInfo": api.LanguagePackInfo,
    "RecognitionAlternative": api.RecognitionAlternative,
    "RecognitionDisplay": api.RecognitionDisplay,
    "RecognitionMetadata": api.RecognitionMetadata,
    "RecognitionResult": api.RecognitionResult,
    "RecognitionStarted": api.RecognitionStarted,
    "SpeakersResult": api.SpeakersResult,
    "SpeakersResultItem": api.SpeakerIdentifier,
    "TranslatedSentence": api.TranslatedSentence,
    "Warning": api.WarningMessage,
}
ENUMS: dict[str, type[Enum]] = {
    "DiarizationConfig": api.Diarization,
    "ErrorTypeEnum": api.ErrorType,
    "InfoTypeEnum": api.InfoType,
    "MaxDelayModeConfig": api.MaxDelayMode,
    "Model": api.Model,
    "OperatingPoint": api.OperatingPoint,
    "RawAudioEncodingEnum": api.AudioEncoding,
    "WarningTypeEnum": api.WarningType,
}
# Several schemas that one class is for; its fields are all of theirs.
JOINED: list[tuple[set[str], type]] = [
    ({"AudioEventStarted", "AudioEventEnded"}, api.AudioEvent),
    ({"AudioEventStartData", "AudioEventEndData"}, api.AudioEvent),
    ({"SpokenFormRecognitionResult"}, api.RecognitionResult),
    ({"WrittenFormRecognitionResult"}, api.RecognitionResult),
    ({"AudioFormat", "AudioFormatFile", "AudioFormatRaw"}, api.AudioFormat),
]
# Made and read where they are sent and received; they have no class.
SENT = {
    "StartRecognition",
    "AddAudio",
    "AddChannelAudio",
    "EndOfStream",
    "EndOfChannel",
    "ForceEndOfUtterance",
    "SetRecognitionConfig",
    "GetSpeakers",
}
SETTLED = {"AudioAdded", "ChannelAudioAdded", "EndOfTranscript"}
# Plain strings and lists, taken as they come.
PLAIN = {
    "AttachesToEnum",
    "AudioEventType",
    "DirectionEnum",
    "OutputLocale",
    "RecognitionAlternativeTagsEnum",
    "RecognitionResultTypeEnum",
    "SpokenFormRecognitionResultTypeEnum",
    "VocabList",
    "VocabWord",
    "WritingDirectionEnum",
    "WrittenFormRecognitionResultTypeEnum",
}
# Documented beside the description, or by the official client alone.
FURTHER_FIELDS = {
    api.TranscriptionConfig: {
        "ctrl",
        "streaming_mode",
        "language_hints",
        "language_hints_strict",
    },
    api.RecognitionResult: {"channel", "score"},
}
FURTHER_MESSAGES = {"LanguageInfo"}
FURTHER_CLASSES = {api.LanguageInfo, api.ConnectionConfig, api.ReconnectPolicy}


@pytest.fixture(scope="module")
def spec(shared: Path) -> dict[str, Any]:
    with (shared / "spec" / "realtime.yaml").open(encoding="utf-8") as file:
        described: dict[str, Any] = yaml.safe_load(file)
    return described


@pytest.fixture(scope="module")
def schemas(spec: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = spec["components"]["schemas"]
    return found


def keys(cls: type) -> set[str]:
    """The names of a class's fields on the wire."""
    return {known.key for known in checked_fields(cls)}


def required(cls: type) -> set[str]:
    return {known.key for known in checked_fields(cls) if known.default is dataclasses.MISSING}


# -- the API's description ------------------------------------------------------------------------


def test_every_schema_is_accounted_for(schemas: dict[str, Any]) -> None:
    joined = {name for names, _ in JOINED for name in names}
    known = {*CONFIGURATION, *RESULTS, *ENUMS, *joined, *SENT, *SETTLED, *PLAIN}
    assert known == set(schemas)


def test_every_class_is_accounted_for() -> None:
    public = [getattr(api, name) for name in api.__all__]
    ours = {
        value
        for value in public
        if isinstance(value, type) and (dataclasses.is_dataclass(value) or issubclass(value, Enum))
    }
    known = {*CONFIGURATION.values(), *RESULTS.values(), *ENUMS.values(), *FURTHER_CLASSES}
    known |= {cls for _, cls in JOINED}
    known |= {api.ClientMessageType, api.ServerMessageType, api.SessionEvent}
    known |= {api.SessionInfo, api.SessionStats, api.Turn, api.Utterance, api.Word, api.Line}
    known |= {api.Caption, api.CaptionFault, api.CaptionReport, api.Match}
    known |= {api.MicrophoneDevice, api.MicrophoneLevel, api.SessionChange}
    assert ours == known


@pytest.mark.parametrize(
    ("direction", "ours", "further"),
    [
        ("publish", api.ClientMessageType, set()),
        ("subscribe", api.ServerMessageType, FURTHER_MESSAGES),
    ],
)
def test_every_message_has_its_name(
    spec: dict[str, Any], direction: str, ours: type[Enum], further: set[str]
) -> None:
    described = set(spec["channels"][direction]["messages"])
    assert {member.value for member in ours} == described | further


@pytest.mark.parametrize("schema", ENUMS)
def test_every_word_of_an_enum_is_a_member(schemas: dict[str, Any], schema: str) -> None:
    assert {member.value for member in ENUMS[schema]} == set(schemas[schema]["enum"])


@pytest.mark.parametrize("schema", [*CONFIGURATION, *RESULTS])
def test_every_field_is_there_and_none_is_made_up(schemas: dict[str, Any], schema: str) -> None:
    cls: type = CONFIGURATION.get(schema) or RESULTS[schema]
    described = set(schemas[schema]["properties"]) - {"message"}
    assert keys(cls) == described | FURTHER_FIELDS.get(cls, set())


@pytest.mark.parametrize(
    ("together", "cls"), JOINED, ids=["+".join(sorted(names)) for names, _ in JOINED]
)
def test_every_field_of_schemas_that_share_a_class_is_there(
    schemas: dict[str, Any], together: set[str], cls: type
) -> None:
    described = {name for schema in together for name in schemas[schema].get("properties", {})}
    assert described - {"message", "event"} - keys(cls) == (
        {"type"} if cls is api.AudioFormat else set()
    )


def test_an_audio_event_and_an_audio_format_have_no_field_of_their_own(
    schemas: dict[str, Any],
) -> None:
    described = {
        *schemas["AudioEventStartData"]["properties"],
        *schemas["AudioEventEndData"]["properties"],
        "channel",
    }
    assert keys(api.AudioEvent) == described
    raw = set(schemas["AudioFormatRaw"]["properties"]) - {"type"}
    assert keys(api.AudioFormat) == raw | {"chunk_size"}


@pytest.mark.parametrize("schema", RESULTS)
def test_no_field_is_demanded_that_the_server_may_leave_out(
    schemas: dict[str, Any], schema: str
) -> None:
    assert required(RESULTS[schema]) <= set(schemas[schema].get("required", []))


# -- what we send validates -----------------------------------------------------------------------

VOICE = api.SpeakerIdentifier("Ada", ["dGhlIHZvaWNl", "dGhlIHZvaWNlIQ=="])
FULL_DIARIZATION = api.SpeakerDiarizationConfig(
    max_speakers=2,
    speaker_sensitivity=0.5,
    prefer_current_speaker=True,
    speakers=[VOICE],
    get_speakers=True,
)
FULL_TRANSCRIPTION = api.TranscriptionConfig(
    language="en",
    model="any",
    output_locale="en-GB",
    diarization=api.Diarization.CHANNEL_AND_SPEAKER,
    additional_vocab=["bigoli", api.AdditionalVocab("gnocchi", ["nyohki", "nokey"])],
    punctuation_overrides=api.PunctuationOverrides([".", ",", "all"], 0.4),
    domain="finance",
    enable_entities=True,
    audio_filtering_config=api.AudioFilteringConfig(3.4),
    transcript_filtering_config=api.TranscriptFilteringConfig(
        remove_disfluencies=True, replacements=[api.WordReplacement("hello", "hi")]
    ),
    max_delay=0.7,
    max_delay_mode=api.MaxDelayMode.FIXED,
    enable_partials=True,
    speaker_diarization_config=FULL_DIARIZATION,
    streaming_mode=True,
    conversation_config=api.ConversationConfig(0.75),
    ctrl={"any": {"thing": 1}},
    channel_diarization_labels=["agent", "caller"],
    language_hints=["en", "de"],
    language_hints_strict=True,
)
FULL_TRANSCRIPTION.model = api.Model.ENHANCED  # no known model takes all of this: made, it warns
FULL_MID_SESSION = api.MidSessionConfig(
    language="en",
    max_delay=4,
    max_delay_mode="flexible",
    audio_filtering_config=api.AudioFilteringConfig(0),
    enable_partials=False,
    conversation_config=api.ConversationConfig(2),
)
FULL_TRANSLATION = api.TranslationConfig(["fr", "de"], enable_partials=True)
FULL_EVENTS = api.AudioEventsConfig(["music", "applause"])
RAW = api.AudioFormat("pcm_f32le", 16000)


def test_a_full_start_of_recognition_is_valid_and_leaves_nothing_out(
    schemas: dict[str, Any],
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        older = dataclasses.replace(
            FULL_TRANSCRIPTION, model=None, operating_point=api.OperatingPoint.STANDARD
        )
    sent = set()
    for transcription in (FULL_TRANSCRIPTION, older):
        message = {
            "message": "StartRecognition",
            "audio_format": RAW.to_dict(),
            "transcription_config": transcription.to_dict(),
            "translation_config": FULL_TRANSLATION.to_dict(),
            "audio_events_config": FULL_EVENTS.to_dict(),
        }
        assert complaints(schemas, "StartRecognition", [message]) == []
        assert set(message) == set(schemas["StartRecognition"]["properties"])
        sent |= set(message["transcription_config"])
    assert sent == keys(api.TranscriptionConfig)


@pytest.mark.parametrize(
    ("schema", "filled"),
    [
        ("MidSessionTranscriptionConfig", FULL_MID_SESSION),
        ("TranslationConfig", FULL_TRANSLATION),
        ("AudioEventsConfig", FULL_EVENTS),
        ("SpeakerDiarizationConfig", FULL_DIARIZATION),
        ("SpeakersInputItem", VOICE),
        ("PunctuationOverrides", FULL_TRANSCRIPTION.punctuation_overrides),
        ("TranscriptFilteringConfig", FULL_TRANSCRIPTION.transcript_filtering_config),
        ("AudioFilteringConfig", FULL_TRANSCRIPTION.audio_filtering_config),
        ("ConversationConfig", FULL_TRANSCRIPTION.conversation_config),
        ("AdditionalVocabObject", api.AdditionalVocab("gnocchi", ["nyohki"])),
        ("WordReplacementItem", api.WordReplacement("hello", "hi")),
    ],
)
def test_a_full_configuration_is_valid_and_leaves_nothing_out(
    schemas: dict[str, Any], schema: str, filled: Any
) -> None:
    plain = filled.to_dict()
    assert complaints(schemas, schema, [plain]) == []
    assert set(plain) == keys(type(filled))


def test_a_full_change_in_mid_session_is_valid(schemas: dict[str, Any]) -> None:
    message = {
        "message": "SetRecognitionConfig",
        "transcription_config": FULL_MID_SESSION.to_dict(),
    }
    assert complaints(schemas, "SetRecognitionConfig", [message]) == []


@pytest.mark.parametrize("encoding", [None, *api.AudioEncoding])
def test_every_audio_format_is_valid(
    schemas: dict[str, Any], encoding: Optional[api.AudioEncoding]
) -> None:
    assert complaints(schemas, "AudioFormat", [api.AudioFormat(encoding).to_dict()]) == []


def limits(schema: dict[str, Any], schemas: dict[str, Any]) -> list[Any]:
    """Values just outside of what a schema allows."""
    beyond: list[Any] = []
    if "minimum" in schema:
        beyond += [schema["minimum"] - 1, schema["minimum"] - 0.01]
    if "maximum" in schema:
        beyond += [schema["maximum"] + 1, schema["maximum"] + 0.01]
    kind = schema.get("type")
    others = {"string": 1, "number": "1", "integer": 1.5, "boolean": 1, "array": "a", "object": []}
    beyond += [others[kind]] if kind in others else []
    beyond += [""] if schema.get("minLength") else []
    if "enum" in schema and schema != schemas["Model"] and schema != schemas["OperatingPoint"]:
        beyond += ["no such word"]  # the service has other models than its description names
    return beyond


@pytest.mark.parametrize("schema", CONFIGURATION)
def test_whatever_the_description_forbids_is_refused(schemas: dict[str, Any], schema: str) -> None:
    cls = CONFIGURATION[schema]
    fillers: dict[str, Any] = {
        "content": "a",
        "from_": "a",
        "to": "b",
        "target_languages": ["fr"],
        "label": "Ada",
        "speaker_identifiers": ["x"],
    }
    names = {known.key: known.name for known in checked_fields(cls)}
    filler = {name: fillers[name] for name in names.values() if name in fillers}
    made: Any = cls
    made(**filler)
    tried = 0
    for key, field in schemas[schema]["properties"].items():
        if "$ref" in field:
            field = schemas[field["$ref"].rpartition("/")[2]]
        for value in limits(field, schemas):
            tried += 1
            with pytest.raises(ConfigurationError, match=rf"{cls.__name__}\.{key}"):
                made(**{**filler, names[key]: value})
    assert tried


# -- the official client --------------------------------------------------------------------------

SDK_ENUMS = ["AudioEncoding", "Model", "OperatingPoint", "ClientMessageType", "ServerMessageType"]
SDK_CLASSES = [
    "AudioEventsConfig",
    "AudioFormat",
    "ConnectionConfig",
    "ConversationConfig",
    "SessionInfo",
    "SpeakerDiarizationConfig",
    "SpeakerIdentifier",
    "TranscriptionConfig",
    "TranslationConfig",
    "RecognitionAlternative",
    "RecognitionDisplay",
    "RecognitionMetadata",
    "RecognitionResult",
    "TranscriptResult",
]
# Its connection's defaults are its library's; ours are documented. Its model's is a sentinel.
OTHER_DEFAULTS = {("TranscriptionConfig", "model")}


@pytest.fixture(scope="module")
def sdk() -> Any:
    return pytest.importorskip("speechmatics.rt._models")


def test_every_class_of_the_official_client_is_walked(sdk: Any) -> None:
    theirs = {
        name
        for name, value in vars(sdk).items()
        if isinstance(value, type) and value.__module__ == sdk.__name__
    }
    assert theirs == {*SDK_ENUMS, *SDK_CLASSES}


@pytest.mark.parametrize("name", SDK_ENUMS)
def test_the_enums_of_the_official_client_have_the_same_members(sdk: Any, name: str) -> None:
    theirs = {member.name: member.value for member in getattr(sdk, name)}
    assert {member.name: member.value for member in getattr(api, name)} == theirs


@pytest.mark.parametrize("name", SDK_CLASSES)
def test_the_fields_of_the_official_client_are_there_with_the_same_defaults(
    sdk: Any, name: str
) -> None:
    ours = {field.name: field for field in dataclasses.fields(getattr(api, name))}
    theirs = dataclasses.fields(getattr(sdk, name))
    order = [field.name for field in theirs]
    assert set(order) <= set(ours)
    if name == "ConnectionConfig":
        assert list(ours)[:3] == order[:3]
        return
    assert list(ours)[: len(order)] == order
    for field in theirs:
        if field.default is not dataclasses.MISSING and (name, field.name) not in OTHER_DEFAULTS:
            assert ours[field.name].default == field.default
        if field.default_factory is not dataclasses.MISSING:
            assert ours[field.name].default_factory is field.default_factory


def test_the_model_is_the_official_clients_unless_set(sdk: Any) -> None:
    theirs = sdk.TranscriptionConfig()
    assert api.TranscriptionConfig().model == theirs.model.value
    assert api.TranscriptionConfig().to_dict() == theirs.to_dict()


@pytest.mark.parametrize("name", SDK_CLASSES)
def test_properties_and_methods_of_the_official_client_are_there(sdk: Any, name: str) -> None:
    cls = getattr(sdk, name)
    public = {part for part in vars(cls) if not part.startswith("_")}
    fields = {field.name for field in dataclasses.fields(cls)}
    assert public - fields <= set(dir(getattr(api, name)))
