"""Test an application of your own, with a server in the same process that fails when told to.

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


# The application: in a real one it is imported from where it lives.
def minutes_of(recording: Path) -> str:
    """Transcribe a recording; what was heard before a failure is kept."""
    with Client() as client:
        try:
            return client.transcribe(recording).text
        except SpeechmaticsError as error:
            heard = error.transcript.text if error.transcript else ""
            return f"{heard} [not everything: {type(error).__name__}]".strip()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Six seconds in which the server of the fixture hears w1, w2 … w12."""
    with wave.open(str(tmp_path / "recording.wav"), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(16000)
        wav.writeframes(counted_audio(12))
    return tmp_path / "recording.wav"


WORDS = "w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12"


def test_it_hears_a_recording(speechmatics_server: LocalServer, recording: Path) -> None:
    assert minutes_of(recording) == WORDS
    assert speechmatics_server.sessions[0].audio_bytes == 12 * 16000


def test_a_dropped_connection_is_not_noticed(
    speechmatics_server: LocalServer, speechmatics_faults: Faults, recording: Path
) -> None:
    speechmatics_faults.add(Drop(), after_seconds=3)
    speechmatics_faults.add(Refuse(503), skip=1)  # the second connection is refused, then one works
    assert minutes_of(recording) == WORDS
    assert len(speechmatics_faults.happened) == 2


def test_a_server_that_is_slow_to_acknowledge_loses_nothing(
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
def test_what_cannot_be_mended_is_said(
    speechmatics_server: LocalServer,
    speechmatics_faults: Faults,
    recording: Path,
    fault: Refuse,
    said: str,
) -> None:
    speechmatics_faults.add(fault)
    assert minutes_of(recording) == said
