"""What a caller wants of one session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional

from .._model.config import (
    AudioEventsConfig,
    AudioFormat,
    TranscriptionConfig,
    TranslationConfig,
)

__all__ = ["SessionOptions"]


class SessionOptions(NamedTuple):
    """What a caller wants of one session.

    ``audio_format`` is None where the source is to be looked at.
    """

    transcription_config: TranscriptionConfig
    audio_format: Optional[AudioFormat] = None
    translation_config: Optional[TranslationConfig] = None
    audio_events_config: Optional[AudioEventsConfig] = None
    ws_headers: Optional[dict[str, str]] = None
    collect: bool = True
    labels: Sequence[str] = ()
    """The channels of a session that has several."""
    on_source_error: str = "raise"

    def __repr__(self) -> str:
        return f"SessionOptions(labels={self.labels!r})"  # headers may hold a key
