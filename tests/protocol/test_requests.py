"""What the client asks of the server, as it is sent."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from speechmatics_sync import (
    AudioEventsConfig,
    AudioFormat,
    ClientMessageType,
    ConfigurationError,
    TranscriptionConfig,
    TranslationConfig,
)
from speechmatics_sync._protocol.requests import (
    Recognition,
    asks_for_speakers,
    asks_for_the_end,
    checked,
    force_end_of_utterance,
    is_for_all_channels,
    merged,
    set_config,
)

CONFIG = TranscriptionConfig("de")
ASKED = {
    "message": "StartRecognition",
    "audio_format": {"type": "raw", "encoding": "mulaw", "sample_rate": 8000},
    "transcription_config": CONFIG.to_dict(),
}


def test_a_session_asks_for_translations_and_audio_events_only_where_the_user_does() -> None:
    audio_format = AudioFormat("mulaw", 8000)
    assert Recognition(CONFIG, audio_format).message() == ASKED
    every = Recognition(
        CONFIG, audio_format, TranslationConfig(["fr"]), AudioEventsConfig(["music"])
    )
    assert every.message() == {
        **ASKED,
        "translation_config": {"target_languages": ["fr"]},
        "audio_events_config": {"types": ["music"]},
    }
    assert Recognition(CONFIG, audio_format, None, AudioEventsConfig()).message() == {
        **ASKED,
        "audio_events_config": {},
    }


def test_the_name_of_a_message_may_be_a_member_and_is_sent_as_text() -> None:
    given = {"message": ClientMessageType.GET_SPEAKERS, "final": True}
    sent = checked(given)
    assert sent == {"message": "GetSpeakers", "final": True}
    assert type(sent["message"]) is str
    assert type(given["message"]) is ClientMessageType


@pytest.mark.parametrize(
    ("message", "at_once", "at_the_end"),
    [
        ({"message": "GetSpeakers"}, True, False),
        ({"message": "GetSpeakers", "final": False}, True, False),
        ({"message": "GetSpeakers", "final": True}, False, True),
        ({"message": "Anything"}, False, False),
        ({"message": "Anything", "final": True}, False, False),
    ],
)
def test_speakers_are_asked_for_at_once_or_at_the_end(
    message: dict[str, Any], at_once: bool, at_the_end: bool
) -> None:
    assert asks_for_speakers(message) is at_once
    assert asks_for_the_end(message) is at_the_end


@pytest.mark.parametrize(
    ("timestamp", "label", "said"),
    [
        (None, None, {}),
        (0, None, {"timestamp": 0}),
        (1.5, None, {"timestamp": 1.5}),
        (None, "a", {"channel": "a"}),
        (2.5, "a", {"timestamp": 2.5, "channel": "a"}),
    ],
)
def test_an_end_of_an_utterance_says_when_and_in_which_channel_if_the_user_does(
    timestamp: Optional[float], label: Optional[str], said: dict[str, Any]
) -> None:
    message = force_end_of_utterance(timestamp, label)
    assert message == {"message": "ForceEndOfUtterance", **said}
    assert is_for_all_channels(message) is (label is None)


def test_no_other_message_is_for_all_channels() -> None:
    assert not is_for_all_channels({"message": "GetSpeakers"})


def test_changes_of_the_configuration_are_sent_under_its_name_and_merged_into_objects() -> None:
    changes = {"max_delay": 2.0, "punctuation_overrides": {"sensitivity": 0.4}, "model": "standard"}
    assert set_config(changes) == {
        "message": "SetRecognitionConfig",
        "transcription_config": changes,
    }
    before: dict[str, Any] = {"punctuation_overrides": {"permitted_marks": ["."]}, "model": {}}
    assert merged(before, changes) == {
        "max_delay": 2.0,
        "punctuation_overrides": {"permitted_marks": ["."], "sensitivity": 0.4},
        "model": "standard",
    }
    assert before == {"punctuation_overrides": {"permitted_marks": ["."]}, "model": {}}
    assert merged({"model": "standard"}, {"model": {"new": 1}}) == {"model": {"new": 1}}


def test_an_end_of_an_utterance_at_no_time_is_an_error_that_names_the_argument() -> None:
    with pytest.raises(ConfigurationError, match=r"^timestamp is -1\b.* seconds\b"):
        force_end_of_utterance(-1, None)
