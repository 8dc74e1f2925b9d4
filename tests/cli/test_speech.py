"""``--local`` hears speech, with no key and no network."""

from __future__ import annotations

import pytest
from support.cli.commands import Place
from support.places import ROOT

pytestmark = [pytest.mark.speech, pytest.mark.timeout(120)]


def test_a_file_becomes_captions_on_this_machine(place: Place) -> None:
    sample = ROOT / "examples" / "audio" / "demo.wav"
    ran = place.run("transcribe", "--local", sample, "-o", "talk.srt")
    assert (ran.code, ran.out, ran.err) == (0, "", ""), ran
    captions = (place.path / "talk.srt").read_text()
    assert "customer service department" in " ".join(captions.split())
