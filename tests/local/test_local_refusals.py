"""What the embedded server refuses, and with which error."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from support.local_sessions import CONFIG, server
from support.local_wire import RAW, Message, Wire, named, run, start_message, words

from speechmatics_sync.local import (
    CountedRecognizer,
    LocalServer,
    counted_audio,
)

__all__ = ["server"]


def changed(path: str, value: Any) -> Message:
    """A StartRecognition with one field set."""
    message = start_message()
    *parents, name = path.split(".")
    at = message
    for parent in parents:
        at[parent] = dict(at.get(parent, {}))
        at = at[parent]
    at[name] = value
    return message


REFUSED_STARTS: list[tuple[Message, str, int]] = [
    ({"message": "StartRecognition"}, "invalid_message", 1003),
    ({"message": "StartRecognition", "audio_format": RAW}, "invalid_message", 1003),
    (changed("surprise", 1), "invalid_config", 1003),
    (changed("audio_format.type", "tape"), "invalid_audio_type", 1003),
    (changed("audio_format.encoding", "mp3"), "invalid_audio_type", 1003),
    (changed("audio_format.sample_rate", "16000"), "invalid_audio_type", 1003),
    (changed("audio_format.sample_rate", 1), "invalid_audio_type", 1003),
    (changed("audio_format.sample_rate", 44100.5), "invalid_audio_type", 1003),
    (changed("audio_format.surprise", 1), "invalid_audio_type", 1003),
    (changed("audio_format", {"type": "raw"}), "invalid_audio_type", 1003),
    (changed("audio_format", "raw"), "invalid_audio_type", 1003),
    (changed(CONFIG, []), "invalid_config", 1003),
    (changed(CONFIG, {}), "invalid_config", 1003),
    (changed(f"{CONFIG}.language", 7), "invalid_config", 1003),
    (changed(f"{CONFIG}.language", "klingon!"), "invalid_language", 1003),
    (changed(f"{CONFIG}.max_delay", 0.5), "invalid_config", 1003),
    (changed(f"{CONFIG}.max_delay", 4.1), "invalid_config", 1003),
    (changed(f"{CONFIG}.max_delay", True), "invalid_config", 1003),
    (changed(f"{CONFIG}.max_delay", float("nan")), "invalid_config", 1003),
    (changed(f"{CONFIG}.max_delay_mode", "slow"), "invalid_config", 1003),
    (changed(f"{CONFIG}.enable_partials", 1), "invalid_config", 1003),
    (changed(f"{CONFIG}.model", "best"), "invalid_model", 4004),
    (changed(f"{CONFIG}.model", ""), "invalid_config", 1003),
    (changed(f"{CONFIG}.operating_point", None), "invalid_config", 1003),
    (changed(f"{CONFIG}.diarization", "speakers"), "invalid_config", 1003),
    (changed(f"{CONFIG}.diarization", "channel"), "invalid_config", 1003),
    (changed(f"{CONFIG}.channel_diarization_labels", ["a"]), "invalid_config", 1003),
    (changed(f"{CONFIG}.additional_vocab", [""]), "invalid_config", 1003),
    (changed(f"{CONFIG}.additional_vocab", [{"sounds_like": ["a"]}]), "invalid_config", 1003),
    (
        changed(f"{CONFIG}.additional_vocab", [{"content": "a", "sounds_like": []}]),
        "invalid_config",
        1003,
    ),
    (changed(f"{CONFIG}.output_locale", ""), "invalid_config", 1003),
    (
        changed(f"{CONFIG}.punctuation_overrides", {"permitted_marks": ["..", "all"]}),
        "invalid_config",
        1003,
    ),
    (changed(f"{CONFIG}.punctuation_overrides", {"sensitivity": 2}), "invalid_config", 1003),
    (
        changed(f"{CONFIG}.conversation_config", {"end_of_utterance_silence_trigger": 2.5}),
        "invalid_config",
        1003,
    ),
    (
        changed(f"{CONFIG}.speaker_diarization_config", {"max_speakers": 1}),
        "invalid_config",
        1003,
    ),
    (
        changed(
            f"{CONFIG}.speaker_diarization_config",
            {"speakers": [{"label": "S1", "speaker_identifiers": ["aQ=="]}]},
        ),
        "invalid_config",
        1003,
    ),
    (
        changed(
            f"{CONFIG}.speaker_diarization_config",
            {"speakers": [{"label": "Al", "speaker_identifiers": []}]},
        ),
        "invalid_config",
        1003,
    ),
    (
        changed(f"{CONFIG}.audio_filtering_config", {"volume_threshold": 101}),
        "invalid_config",
        1003,
    ),
    (
        changed(f"{CONFIG}.transcript_filtering_config", {"replacements": [{"from": "a"}]}),
        "invalid_config",
        1003,
    ),
    (changed(f"{CONFIG}.streaming_mode", 1), "invalid_config", 1003),
    (changed(f"{CONFIG}.ctrl", "all"), "invalid_config", 1003),
    (changed(f"{CONFIG}.surprise", 1), "invalid_config", 1003),
    (changed("translation_config", {}), "invalid_config", 1003),
    (changed("audio_events_config", {"types": "music"}), "invalid_config", 1003),
]


@pytest.mark.parametrize(("message", "type", "code"), REFUSED_STARTS)
def test_a_start_that_does_not_fit_the_api_gets_its_error_and_close_code(
    server: LocalServer, message: Message, type: str, code: int
) -> None:
    with Wire(server.url) as wire:
        wire.send(message)
        wire.rest()
    assert wire.received[-1]["message"] == "Error"
    assert (wire.received[-1]["type"], wire.close_code) == (type, code)
    assert not named(wire.received, "RecognitionStarted")


def test_a_start_with_every_field_of_the_api_is_accepted(server: LocalServer) -> None:
    config: dict[str, Any] = {
        "domain": "finance",
        "output_locale": "en-US",
        "additional_vocab": ["gnocchi", {"content": "bucatini", "sounds_like": ["boo cat"]}],
        "diarization": "speaker",
        "max_delay": 0.7,
        "max_delay_mode": "fixed",
        "speaker_diarization_config": {
            "max_speakers": 2,
            "prefer_current_speaker": True,
            "speaker_sensitivity": 0.5,
            "get_speakers": True,
            "speakers": [{"label": "Ann", "speaker_identifiers": ["YWJj"]}],
        },
        "audio_filtering_config": {"volume_threshold": 3.4},
        "transcript_filtering_config": {
            "remove_disfluencies": True,
            "replacements": [{"from": "a", "to": "b"}],
        },
        "enable_partials": True,
        "enable_entities": True,
        "operating_point": "enhanced",
        "model": "enhanced",
        "punctuation_overrides": {"permitted_marks": ["all"], "sensitivity": 0.5},
        "conversation_config": {"end_of_utterance_silence_trigger": 0.5},
        "language_hints": ["en", "de"],
        "language_hints_strict": True,
        "streaming_mode": True,
        "ctrl": {"any": {"thing": 1}},
    }
    start = {
        **start_message(**config),
        "translation_config": {"target_languages": ["es"], "enable_partials": True},
        "audio_events_config": {"types": ["applause", "music"]},
    }
    assert words(run(server.url, counted_audio(2), start=start).received) == ["w1", "w2"]


def test_a_language_without_a_model_is_refused_as_an_invalid_model() -> None:
    class English(CountedRecognizer):
        languages = frozenset({"en"})

    with LocalServer(recognizer=English(), strict=True) as server:
        assert words(run(server.url, counted_audio(1), language="en-GB").received) == ["w1"]
        with Wire(server.url) as wire:
            wire.send(start_message(language="de"))
            wire.rest()
    assert (wire.received[-1]["type"], wire.close_code) == ("invalid_model", 4004)


END = {"message": "EndOfStream", "last_seq_no": 0}


@pytest.mark.parametrize(
    ("before", "messages", "type"),
    [
        (False, [b"audio"], "protocol_error"),
        (False, [END], "protocol_error"),
        (False, [{"message": "ForceEndOfUtterance"}], "protocol_error"),
        (False, [{"message": "GetSpeakers"}], "protocol_error"),
        (False, ["this is not JSON"], "invalid_message"),
        (False, ["[1, 2]"], "invalid_message"),
        (False, ["[" * 100000], "invalid_message"),
        (False, ['{"message": 7}'], "invalid_message"),
        (False, ['{"hello": "world"}'], "invalid_message"),
        (False, [{"message": "MakeTea"}], "invalid_message"),
        (True, [start_message()], "protocol_error"),
        (True, [END, END], "protocol_error"),
        (True, [b"12", {"message": "EndOfStream", "last_seq_no": 2}], "protocol_error"),
        (True, [{"message": "EndOfStream"}], "invalid_message"),
        (True, [{"message": "EndOfStream", "last_seq_no": "0"}], "invalid_message"),
        (True, [{"message": "ForceEndOfUtterance", "timestamp": -1}], "invalid_message"),
        (True, [{"message": "ForceEndOfUtterance", "channel": "a"}], "protocol_error"),
        (True, [{"message": "GetSpeakers", "final": "yes"}], "invalid_message"),
        (True, [{"message": "AddChannelAudio", "channel": "a", "data": ""}], "protocol_error"),
        (
            True,
            [{"message": "EndOfChannel", "channel": "a", "last_seq_no": 0}],
            "protocol_error",
        ),
        (True, [{"message": "SetRecognitionConfig"}], "invalid_message"),
        (
            True,
            [{"message": "SetRecognitionConfig", CONFIG: {"language": "de"}}],
            "invalid_config",
        ),
        (
            True,
            [{"message": "SetRecognitionConfig", CONFIG: {"diarization": "none"}}],
            "invalid_config",
        ),
        (
            True,
            [{"message": "SetRecognitionConfig", CONFIG: {"max_delay": 9}}],
            "invalid_config",
        ),
    ],
)
def test_what_the_protocol_does_not_allow_ends_the_session_with_its_error(
    server: LocalServer, before: bool, messages: list[Any], type: str
) -> None:
    with Wire(server.url) as wire:
        if before:
            wire.start()
        wire.send(*messages)
        wire.rest()
    assert wire.received[-1]["message"] == "Error"
    assert (wire.received[-1]["type"], wire.close_code) == (type, 1003)


def test_a_wrong_count_is_only_logged_when_not_strict(caplog: pytest.LogCaptureFixture) -> None:
    with LocalServer(recognizer=CountedRecognizer()) as server:
        with Wire(server.url) as wire:
            wire.start()
            wire.send(counted_audio(1))
            assert wire.end(7)[-1]["message"] == "EndOfTranscript"
        assert server.sessions[0].last_seq_no == 7
    assert "last_seq_no is 7, but 1 chunks" in caplog.text


def test_a_recogniser_that_fails_ends_the_session_with_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(CountedRecognizer):
        def start(self, *, language: str, partials: bool, channel: Optional[str] = None) -> Any:
            raise RuntimeError("no model")

    with LocalServer(recognizer=Broken(), strict=True) as server, Wire(server.url) as wire:
        wire.send(start_message())
        wire.rest()
    assert (wire.received[-1]["type"], wire.close_code) == ("unknown_error", 1011)
    assert "no model" in caplog.text  # the cause is only logged by the server


def test_an_error_reaches_a_client_that_is_still_sending(server: LocalServer) -> None:
    with Wire(server.url) as wire:
        wire.start()
        wire.send({"message": "MakeTea"})
        try:
            for _ in range(200):
                wire.send(bytes(64000))
        except Exception:  # the server closed; only what it sent before matters
            pass
        wire.rest()
    assert wire.received[-1]["message"] == "Error"
    assert wire.close_code == 1003
