"""Test an application of your own with a server in the same process, which fails when told to.

pytest examples/test_an_application.py     # no key, no network, no model
"""

from __future__ import annotations

import wave
from pathlib import Path

import pytest

from speechmatics_sync import Client, SpeechmaticsError
from speechmatics_sync.local import (
    Drop,
    Faults,
    HoldAcknowledgements,
    LocalServer,
    Refuse,
    SendError,
    counted_audio,
)


# The application under test. A real test would import it.
def minutes_of(recording: Path) -> str:
    """Transcribe a recording; after a failure, return what was heard before."""
    with Client() as client:
        try:
            return client.transcribe(recording).text
        except SpeechmaticsError as error:
            heard = error.transcript.text if error.transcript else ""
            return f"{heard} [not everything: {type(error).__name__}]".strip()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Six seconds of audio in which the fixture's server hears w1, w2 … w12."""
    with wave.open(str(tmp_path / "recording.wav"), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(16000)
        wav.writeframes(counted_audio(12))
    return tmp_path / "recording.wav"


WORDS = "w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12."


def test_it_hears_a_recording(speechmatics_server: LocalServer, recording: Path) -> None:
    assert minutes_of(recording) == WORDS
    assert speechmatics_server.sessions[0].audio_bytes == 12 * 16000


def test_a_dropped_connection_loses_nothing(
    speechmatics_server: LocalServer, speechmatics_faults: Faults, recording: Path
) -> None:
    speechmatics_faults.add(Drop(), after_seconds=3)
    speechmatics_faults.add(Refuse(503), skip=1)  # refuses the second connection; the third works
    assert minutes_of(recording) == WORDS
    assert len(speechmatics_faults.happened) == 2


def test_slow_acknowledgements_lose_nothing(
    speechmatics_server: LocalServer, speechmatics_faults: Faults, recording: Path
) -> None:
    speechmatics_faults.add(HoldAcknowledgements(chunks=5))
    assert minutes_of(recording) == WORDS


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Refuse(401), "[not everything: AuthenticationError]"),
        (SendError("timelimit_exceeded"), "[not everything: TranscriptionError]"),
    ],
)
def test_a_failure_is_reported(
    speechmatics_server: LocalServer,
    speechmatics_faults: Faults,
    recording: Path,
    fault: Refuse,
    said: str,
) -> None:
    speechmatics_faults.add(fault)
    assert minutes_of(recording) == said
