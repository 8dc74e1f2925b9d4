"""The arguments of one session, as the client has checked them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Optional

from .._model.audio_format import AudioFormat
from .._model.secret import Secret
from .._model.transcription_config import AudioEventsConfig, TranscriptionConfig, TranslationConfig
from .._model.typing import Label

__all__ = ["SessionOptions"]


class SessionOptions(NamedTuple):
    """What a caller wants of one session.

    ``audio_format`` is None to take it from the sources.
    """

    transcription_config: TranscriptionConfig
    audio_format: Optional[AudioFormat] = None
    translation_config: Optional[TranslationConfig] = None
    audio_events_config: Optional[AudioEventsConfig] = None
    ws_headers: Secret[dict[str, str]] = Secret({})
    collect: bool = True
    labels: Sequence[str] = ()
    """The channels, of a session that has several."""
    on_source_error: Literal["raise", "end_channel"] = "raise"
    expected_bytes: Mapping[Label, int] = {}
    """How many bytes the source of a channel has, where the caller knows."""

    @property
    def channels(self) -> Sequence[Label]:
        """The channels; None stands for the only one of a session without labels."""
        return self.labels or (None,)
