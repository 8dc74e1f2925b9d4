"""Speech is recognised in a session of the old client."""

from __future__ import annotations

import re

import pytest
from support.legacy.sessions import AsyncAudio, client_of, texts_of
from support.places import SAMPLES

from speechmatics_sync.legacy.adapters import convert_to_txt
from speechmatics_sync.legacy.models import TranscriptionConfig
from speechmatics_sync.local import LocalServer


@pytest.mark.speech
@pytest.mark.timeout(300)
def test_what_is_said_is_heard() -> None:
    pytest.importorskip("pocketsphinx")
    spoken = re.findall(r"[a-z']+", (SAMPLES / "demo.txt").read_text(encoding="utf-8").lower())
    with LocalServer() as server:
        client = client_of(server.url)
        texts = texts_of(client)
        lines: list[str] = []
        client.add_event_handler(
            "AddTranscript", lambda message: lines.append(convert_to_txt(message["results"], "en"))
        )
        source = AsyncAudio((SAMPLES / "demo.wav").read_bytes())
        client.run_synchronously(source, TranscriptionConfig("en"))
    heard = set(re.findall(r"[a-z']+", " ".join(texts).lower()))
    assert len(heard & set(spoken)) > 0.8 * len(set(spoken))
    assert set(re.findall(r"[a-z']+", " ".join(lines).lower())) == heard
