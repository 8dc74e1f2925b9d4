"""What an earlier version pickled still loads, in a process that has imported nothing yet."""

from __future__ import annotations

import base64
import copy
import inspect
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import speechmatics_sync as api
from speechmatics_sync import errors

PICKLED = Path(__file__).with_name("pickled_by_flat_modules.b64")
"""Made when all modules lay beside one another (``speechmatics_sync.transcript`` and so on)."""


def word(content: str, start: float, end: float, speaker: str, **more: Any) -> dict[str, Any]:
    best = {"content": content, "confidence": 0.9, "language": "en", "speaker": speaker}
    return {
        "type": "word",
        "start_time": start,
        "end_time": end,
        **more,
        "alternatives": [best],
    }


def final(channel: str, start: float, end: float, *results: dict[str, Any]) -> dict[str, Any]:
    return {
        "message": "AddTranscript",
        "format": "2.9",
        "channel": channel,
        "metadata": {"start_time": start, "end_time": end, "transcript": ""},
        "results": list(results),
    }


def translated(language: str, content: str) -> dict[str, Any]:
    sentence = {"content": content, "start_time": 0.1, "end_time": 0.9, "speaker": "S1"}
    return {"message": "AddTranslation", "language": language, "results": [sentence]}


MESSAGES: list[dict[str, Any]] = [
    {
        "message": "RecognitionStarted",
        "id": "session-1",
        "orchestrator_version": "2025.10",
        "language_pack_info": {
            "word_delimiter": " ",
            "language_description": "English",
            "writing_direction": "left-to-right",
            "itn": True,
            "adapted": False,
            "dialect": "en-GB",
        },
        "channels": ["agent", "customer"],
    },
    {"message": "LanguageInfo", "language": "ja", "word_delimiter": ""},
    final(
        "agent",
        0.0,
        1.0,
        word("Good", 0.1, 0.4, "S1"),
        word("morning", 0.4, 0.9, "S1"),
        word(".", 0.9, 0.9, "S1", type="punctuation", is_eos=True, attaches_to="previous"),
    ),
    final(
        "customer",
        1.0,
        2.5,
        word("Hello", 1.2, 1.5, "Ada"),
        word(",", 1.5, 1.5, "Ada", type="punctuation", attaches_to="previous"),
        word(
            "£10",
            1.6,
            2.1,
            "S2",
            type="entity",
            entity_class="money",
            spoken_form=[word("ten", 1.6, 1.8, "S2"), word("pounds", 1.8, 2.1, "S2")],
            written_form=[word("£10", 1.6, 2.1, "S2")],
        ),
        word(".", 2.1, 2.1, "S2", type="punctuation", is_eos=True),
    ),
    translated("fr", "Bonjour."),
    translated("de", "Guten Morgen."),
    {
        "message": "AudioEventStarted",
        "channel": "customer",
        "event": {"type": "music", "start_time": 2.2, "confidence": 0.8},
    },
    {
        "message": "AudioEventEnded",
        "channel": "customer",
        "event": {"type": "music", "end_time": 2.4},
    },
    {
        "message": "AudioEventStarted",
        "channel": "agent",
        "event": {"type": "laughter", "start_time": 2.3, "confidence": 0.7},
    },
    {
        "message": "SpeakersResult",
        "speakers": [
            {"label": "S1", "speaker_identifiers": ["dm9pY2U="]},
            {"label": "Ada", "speaker_identifiers": ["QWRh"]},
        ],
    },
]


@pytest.fixture(scope="module")
def pickled() -> dict[str, Any]:
    values: dict[str, Any] = pickle.loads(base64.b64decode(PICKLED.read_text("ascii")))
    return values


@pytest.fixture(scope="module")
def expected() -> api.Transcript:
    transcript = api.Transcript(
        transcription_config={"language": "en", "diarization": "channel_and_speaker"}
    )
    for message in MESSAGES:
        transcript.add(message)
    transcript.add_gap(3.0, 4.5)
    return transcript


def same(loaded: api.Transcript, expected: api.Transcript) -> bool:
    plain, wanted = loaded.to_dict(), expected.to_dict()
    created_at = plain["metadata"].pop("created_at")
    del wanted["metadata"]["created_at"]
    return (plain, created_at) == (wanted, "2025-10-09T08:53:20.250000Z")


def test_a_transcript_of_an_earlier_version_loads_whole(
    pickled: dict[str, Any], expected: api.Transcript
) -> None:
    loaded = pickled["transcript"]
    assert same(loaded, expected)
    assert loaded.text == expected.text
    assert loaded.channels["customer"].text == expected.channels["customer"].text


def test_a_transcript_of_an_earlier_version_can_be_pickled_again(
    pickled: dict[str, Any], expected: api.Transcript
) -> None:
    assert same(pickle.loads(pickle.dumps(pickled["transcript"])), expected)


def test_an_error_of_an_earlier_version_loads_with_its_transcript(
    pickled: dict[str, Any], expected: api.Transcript
) -> None:
    error = pickled["error"]
    assert type(error) is api.TranscriptionError
    assert str(error) == "Quota exceeded. [request_id=request-1 session_id=session-1]"
    assert (error.type, error.reason, error.code, error.close_code) == (
        "quota_exceeded",
        "too many",
        5,
        4005,
    )
    assert same(error.transcript, expected)
    lost = pickled["lost"]
    assert type(lost) is api.ConnectionError
    assert (lost.status, lost.close_code, lost.retry_after) == (503, 1006, "3")


def test_what_was_read_from_a_transcript_of_an_earlier_version_loads(
    pickled: dict[str, Any], expected: api.Transcript
) -> None:
    for name in ("words", "turns", "results", "translations"):
        assert pickled[name] == getattr(expected, name)
    assert pickled["session_info"].language_pack_info == expected.language_pack_info
    assert pickled["message"].is_final
    assert pickled["stats"] == api.SessionStats(chunks_sent=3, reconnects=1)


def test_settings_of_an_earlier_version_load(pickled: dict[str, Any]) -> None:
    assert pickled["config"] == api.TranscriptionConfig(
        model=api.Model.STANDARD,
        diarization=api.Diarization.SPEAKER,
        speaker_diarization_config=api.SpeakerDiarizationConfig(max_speakers=2),
    )
    assert pickled["audio_format"] == api.AudioFormat(api.AudioEncoding.PCM_S16LE, 16000)
    assert pickled["policy"] == api.ReconnectPolicy(max_attempts=3)
    assert pickled["warning"] is api.WarningType.IDLE_TIMEOUT


def test_a_pickle_names_the_package_alone(pickled: dict[str, Any]) -> None:
    named = set()

    class Names(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            named.add((module, name))
            return super().find_class(module, name)

    Names(io.BytesIO(pickle.dumps(pickled))).load()
    ours = {(module, name) for module, name in named if module.startswith(api.__name__)}
    assert (api.__name__, "Transcript") in ours
    assert {module for module, _ in ours} == {api.__name__}
    assert {name for _, name in ours} <= set(dir(api))


def test_a_pickle_of_an_earlier_version_imports_the_package_itself() -> None:
    code = (
        "import base64, pathlib, pickle, sys;"
        "values = pickle.loads(base64.b64decode(pathlib.Path(sys.argv[1]).read_text()));"
        "print(type(values['transcript']).__name__)"
    )
    command = [sys.executable, "-c", code, str(PICKLED)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "Transcript"


ERRORS = [
    each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, api.SpeechmaticsError)
]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_comes_whole_from_another_process(
    kind: type[api.SpeechmaticsError], expected: api.Transcript
) -> None:
    taken = [name for name in inspect.signature(kind).parameters if name != "message"]
    error = kind("It failed.", **{name: f"the {name}" for name in taken})
    error.request_id, error.session_id, error.transcript = "request-1", "session-1", expected
    loaded = pickle.loads(pickle.dumps(error))
    assert type(loaded) is kind
    assert str(loaded) == str(error)
    assert str(loaded).startswith("It failed.")
    assert str(loaded).endswith("[request_id=request-1 session_id=session-1]")
    assert loaded.transcript is not None
    assert loaded.transcript.to_dict() == expected.to_dict()
    assert vars(loaded).keys() == vars(error).keys()
    assert {name: getattr(loaded, name) for name in taken} == {
        name: f"the {name}" for name in taken
    }


def test_a_transcript_comes_whole_from_another_process(expected: api.Transcript) -> None:
    expected = copy.deepcopy(expected)
    expected.add({"message": "EndOfUtterance", "metadata": {"end_time": 2.1}})
    loaded = pickle.loads(pickle.dumps(expected))
    public = [name for name in dir(expected) if not name.startswith("_")]
    values = {
        name: getattr(expected, name) for name in public if not callable(getattr(expected, name))
    }
    assert {"words", "utterances", "gaps", "speakers"} <= set(values)
    channels = values.pop("channels")
    assert {name: getattr(loaded, name) for name in values} == values
    assert loaded.to_dict() == expected.to_dict()
    assert {label: part.to_dict() for label, part in loaded.channels.items()} == {
        label: part.to_dict() for label, part in channels.items()
    }
