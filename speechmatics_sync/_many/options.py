"""The type of the options of `transcribe_many`, for editors and type checkers alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Optional, TypedDict, Union

if TYPE_CHECKING:
    from .._auth.keys import AuthBase
    from .._model.audio_format import AudioFormat
    from .._model.connection_config import ConnectionConfig
    from .._model.reconnect_policy import ReconnectPolicy
    from .._model.transcription_config import (
        AudioEventsConfig,
        TranscriptionConfig,
        TranslationConfig,
    )

__all__ = ["Options"]


class Options(TypedDict, total=False):
    """The arguments of a client, and of its ``transcribe``, that `transcribe_many` takes."""

    auth: Union[AuthBase, str, None]
    api_key: Optional[str]
    url: Optional[str]
    conn_config: Optional[ConnectionConfig]
    reconnect: Optional[ReconnectPolicy]
    handler_errors: Literal["raise", "log"]
    sdk_identifier: Optional[str]
    transcription_config: Union[TranscriptionConfig, Mapping[str, object], None]
    audio_format: Union[AudioFormat, Mapping[str, object], None]
    translation_config: Union[TranslationConfig, Mapping[str, object], None]
    audio_events_config: Union[AudioEventsConfig, Mapping[str, object], None]
    ws_headers: Optional[Mapping[str, str]]
    timeout: Optional[float]
    realtime: bool
    collect: bool
    on_source_error: Literal["raise", "end_channel"]
