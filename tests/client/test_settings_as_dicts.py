"""Wherever settings are given that are sent to the server, a dict of their fields will do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable

import pytest

import speechmatics_sync
from speechmatics_sync import (
    AdditionalVocab,
    AudioEventsConfig,
    AudioFilteringConfig,
    AudioFormat,
    Client,
    ConfigurationError,
    ConnectionConfig,
    ConversationConfig,
    MultiChannelClient,
    PunctuationOverrides,
    SpeakerDiarizationConfig,
    SpeakerIdentifier,
    TranscriptFilteringConfig,
    TranscriptionConfig,
    TranscriptionError,
    TranslationConfig,
    WordReplacement,
)
from speechmatics_sync.local import LocalServer, ScriptedRecognizer

SAMPLES = bytes(3200)

OBJECTS: dict[str, Any] = {
    "transcription_config": TranscriptionConfig(
        language="en",
        max_delay=1,
        additional_vocab=["gnocchi", AdditionalVocab("bigoli", sounds_like=["bee golly"])],
        punctuation_overrides=PunctuationOverrides(sensitivity=0.4),
        audio_filtering_config=AudioFilteringConfig(3),
        transcript_filtering_config=TranscriptFilteringConfig(
            replacements=[WordReplacement("um", "")]
        ),
        speaker_diarization_config=SpeakerDiarizationConfig(
            speakers=[SpeakerIdentifier("Ada", ["x"])]
        ),
        conversation_config=ConversationConfig(0.5),
        ctrl={"any": {"thing": 1}},
    ),
    "audio_format": AudioFormat("pcm_s16le", 16000),
    "translation_config": TranslationConfig(["fr"], enable_partials=True),
    "audio_events_config": AudioEventsConfig(["music"]),
}
DICTS: dict[str, Any] = {
    "transcription_config": {
        "language": "en",
        "max_delay": 1,
        "additional_vocab": ["gnocchi", {"content": "bigoli", "sounds_like": ["bee golly"]}],
        "punctuation_overrides": {"sensitivity": 0.4},
        "audio_filtering_config": {"volume_threshold": 3},
        "transcript_filtering_config": {"replacements": [{"from": "um", "to": ""}]},
        "speaker_diarization_config": {
            "speakers": [{"label": "Ada", "speaker_identifiers": ["x"]}]
        },
        "conversation_config": {"end_of_utterance_silence_trigger": 0.5},
        "ctrl": {"any": {"thing": 1}},
    },
    "audio_format": {"encoding": "pcm_s16le", "sample_rate": 16000},
    "translation_config": {"target_languages": ["fr"], "enable_partials": True},
    "audio_events_config": {"types": ["music"]},
}


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(recognizer=ScriptedRecognizer([("hello", 0.0, 0.05)])) as server:
        yield server


def transcribe(url: str, **settings: Any) -> None:
    speechmatics_sync.transcribe(SAMPLES, url=url, **settings)


def transcribe_with_a_client(url: str, **settings: Any) -> None:
    with Client(url=url) as client:
        client.transcribe(SAMPLES, **settings)


def stream(url: str, **settings: Any) -> None:
    with Client(url=url) as client:
        list(client.stream(SAMPLES, **settings))


def start_session(url: str, **settings: Any) -> None:
    with Client(url=url) as client:
        client.start_session(**settings)
        client.send_audio(SAMPLES)
        client.stop_session()


def transcribe_channels(url: str, **settings: Any) -> None:
    with MultiChannelClient(url=url) as client:
        client.transcribe({"a": SAMPLES, "b": SAMPLES}, **settings)


def start_channels(url: str, **settings: Any) -> None:
    with MultiChannelClient(url=url) as client:
        client.start_session(channels=["a"], **settings)
        client.send_audio("a", SAMPLES)
        client.stop_session()


def transcribe_many(url: str, **settings: Any) -> None:
    for job in speechmatics_sync.transcribe_many([SAMPLES], url=url, **settings):
        assert job.error is None


CALLS = [
    transcribe, transcribe_with_a_client, stream, start_session, transcribe_channels,
    start_channels, transcribe_many,
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_a_dict_is_sent_as_the_object_is(call: Callable[..., None], server: LocalServer) -> None:
    call(server.url, **OBJECTS)
    call(server.url, **DICTS)
    by_object, by_dict = [session.start for session in server.sessions][-2:]
    assert by_object is not None
    assert by_object == by_dict
    assert by_object["transcription_config"]["ctrl"] == {"any": {"thing": 1}}


def test_what_this_version_does_not_know_is_sent_unchecked(server: LocalServer) -> None:
    with pytest.raises(TranscriptionError, match=r"transcription_config\.novel is not a field"):
        transcribe(server.url, transcription_config={"novel": 1})


@pytest.mark.parametrize("name", OBJECTS)
def test_the_defaults_of_a_dict_are_those_of_the_object(name: str, server: LocalServer) -> None:
    bare: dict[str, Any] = {"target_languages": []} if name == "translation_config" else {}
    for given in (type(OBJECTS[name])(**bare), bare):
        with Client(url=server.url) as client:
            client.start_session(**{name: given})
    by_object, by_dict = [session.start for session in server.sessions][-2:]
    assert by_object == by_dict


def test_a_dict_is_left_as_it_was_and_may_be_changed_meanwhile(server: LocalServer) -> None:
    given = {"language": "en", "ctrl": {"list": [1]}}
    with Client(url=server.url) as client:
        client.start_session(transcription_config=given)
        given["ctrl"]["list"].append(2)  # type: ignore[index]
        client.close()
    assert server.sessions[-1].start is not None
    assert server.sessions[-1].start["transcription_config"]["ctrl"] == {"list": [1]}
    assert given == {"language": "en", "ctrl": {"list": [1, 2]}}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"transcription_config": {"max_delay": 9}}, "TranscriptionConfig.max_delay is 9"),
        ({"translation_config": {}}, "TranslationConfig.target_languages is None"),
        ({"audio_format": {"encoding": "mp3"}}, "AudioFormat.encoding is 'mp3'"),
        ({"audio_events_config": {1: 2}}, "audio_events_config is {1: 2}; allowed: a dict with"),
        ({"audio_events_config": {"extra": 3}}, "audio_events_config.extra is 3"),
        ({"audio_events_config": ["music"]}, "AudioEventsConfig, or a dict of its fields"),
    ],
)
def test_what_is_wrong_in_a_dict_is_named(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        speechmatics_sync.transcribe(SAMPLES, url="ws://127.0.0.1:1", **settings)
    assert said in caught.value.message


def test_settings_of_the_connection_are_no_dict() -> None:
    """They may hold a proxy's password, which an object keeps out of tracebacks."""
    given: Any = {"proxy": "http://me:secret@proxy:1"}
    with pytest.raises(ConfigurationError, match="conn_config is of type dict") as caught:
        Client(url="ws://127.0.0.1:1", conn_config=given)
    assert ConnectionConfig.__name__ in caught.value.message
