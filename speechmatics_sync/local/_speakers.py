"""Labels of speakers: the client's own for those it has enrolled, S1, S2 … for others."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Optional

__all__ = ["Speakers", "identifier"]


def identifier(voice: str) -> str:
    """Return the speaker identifier of a voice, which is the same in every session."""
    return base64.b64encode(f"voice:{voice}".encode()).decode("ascii")


class Speakers:
    """The speakers of one channel, in the order in which they were first heard.

    Args:
        enrolled: ``speaker_diarization_config.speakers`` of the session.
        max_speakers: How many labels there may be; any further voice gets the last one.
    """

    def __init__(
        self, enrolled: Sequence[dict[str, Any]] = (), max_speakers: Optional[int] = None
    ) -> None:
        self._enrolled: dict[str, str] = {
            known: speaker["label"]
            for speaker in enrolled
            for known in speaker["speaker_identifiers"]
        }
        self._max_speakers = max_speakers
        self._labels: dict[str, str] = {}
        self._unknown = 0

    def label(self, voice: Optional[str]) -> str:
        """Return the label of a voice, ``"UU"`` for an unknown one."""
        if voice is None:
            return "UU"
        if voice not in self._labels:
            self._labels[voice] = self._new_label(voice)
        return self._labels[voice]

    def _new_label(self, voice: str) -> str:
        if identifier(voice) in self._enrolled:
            return self._enrolled[identifier(voice)]
        if self._max_speakers is not None and len(self._labels) >= self._max_speakers:
            return list(self._labels.values())[-1]
        self._unknown += 1
        return f"S{self._unknown}"

    def result(self) -> list[dict[str, Any]]:
        """Return the ``speakers`` of a SpeakersResult."""
        by_label: dict[str, list[str]] = {}
        for voice, label in self._labels.items():
            by_label.setdefault(label, []).append(identifier(voice))
        return [
            {"label": label, "speaker_identifiers": identifiers}
            for label, identifiers in by_label.items()
        ]
