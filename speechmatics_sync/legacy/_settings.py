"""What a StartRecognition of the old package says, as the settings of speechmatics_sync."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

from speechmatics_sync import (
    AudioEventsConfig,
    AudioFormat,
    ConfigurationError,
    TranscriptionConfig,
    TranslationConfig,
)

from ._strict import report

__all__ = ["Recognition", "recognition"]

LOGGER = logging.getLogger("speechmatics.client")

_LARGEST_CHUNK = 1 << 24
"""Bytes: a chunk goes out as the source gave it, however long it is."""

_FIELDS = {each.name for each in dataclasses.fields(TranscriptionConfig)} - {"extra", "language"}


class Recognition(NamedTuple):
    """The settings of a session."""

    transcription_config: TranscriptionConfig
    audio_format: AudioFormat
    translation_config: Optional[TranslationConfig]
    audio_events_config: Optional[AudioEventsConfig]


def recognition(message: dict[str, Any], channels: Sequence[str]) -> Recognition:
    """Return the settings that send this StartRecognition.

    Args:
        message: StartRecognition, as the middlewares left it.
        channels: The labels of the channels; none for one stream.
    """
    for name in message.keys() - {"message", "audio_format", *Recognition._fields}:
        report(LOGGER, "StartRecognition was given %s by a middleware: it is not sent", name)
    translation = message.get("translation_config")
    events = message.get("audio_events_config")
    return Recognition(
        _transcription(message["transcription_config"], channels),
        _audio_format(message["audio_format"]),
        None if translation is None else _translation(translation),
        None if events is None else AudioEventsConfig(extra=dict(events)),
    )


def _transcription(plain: dict[str, Any], channels: Sequence[str]) -> TranscriptionConfig:
    """What the API's description allows becomes a field; the rest is sent unchecked."""
    config = TranscriptionConfig()
    config.model = None  # not sent: the service chooses, as it did for the old package
    for name, value in plain.items():
        if name == "diarization" and not channels:
            pass  # the server says whether it can be done with one stream
        elif name == "channel_diarization_labels" and list(value or ()) != list(channels):
            pass
        elif name == "language" or name in _FIELDS:
            before = getattr(config, name)
            setattr(config, name, value)
            try:
                if config.to_dict().get(name) == value:
                    continue
            except ConfigurationError:
                pass
            setattr(config, name, before)
        config.extra[name] = value
    return config


def _audio_format(plain: dict[str, Any]) -> AudioFormat:
    known = {name: plain[name] for name in ("encoding", "sample_rate") if name in plain}
    extra = {name: value for name, value in plain.items() if name not in ("type", *known)}
    return AudioFormat(**known, chunk_size=_LARGEST_CHUNK, extra=extra)


def _translation(plain: dict[str, Any]) -> TranslationConfig:
    try:
        return TranslationConfig(plain["target_languages"], extra=dict(plain))
    except (ConfigurationError, KeyError):
        return TranslationConfig([], extra=dict(plain))
