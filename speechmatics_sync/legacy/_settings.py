"""What a StartRecognition of the old package says, as the settings of speechmatics_sync."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple, Optional

from speechmatics_sync import (
    AudioEventsConfig,
    AudioFormat,
    ConfigurationError,
    SessionError,
    TranscriptionConfig,
    TranslationConfig,
)

from ._strict import report

__all__ = ["Recognition", "never_sent", "recognition", "report_unsent"]

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
    translation = message.get("translation_config")
    events = message.get("audio_events_config")
    settings = Recognition(
        _transcription(message.get("transcription_config", {}), channels),
        _audio_format(message.get("audio_format", {})),
        None if translation is None else _translation(translation),
        None if events is None else AudioEventsConfig(extra=dict(events)),
    )
    sent = {name: each.to_dict() for name, each in settings._asdict().items() if each is not None}
    report_unsent(message, {"message": "StartRecognition", **sent})
    return settings


def report_unsent(changed: dict[str, Any], sent: dict[str, Any]) -> None:
    """Report what a middleware made of a message that is not sent so."""
    whole = str.__str__(sent["message"])  # which may be a member of an Enum
    for name in changed.keys() | sent.keys():
        if changed.get(name) != sent.get(name):
            report(LOGGER, "A middleware changed %s.%s: this is not sent", whole, name)


class _NeverSent(TranscriptionConfig):
    connected: Callable[[], bool]

    def to_dict(self) -> dict[str, Any]:
        if self.connected():
            raise SessionError("A middleware refused StartRecognition.")
        return super().to_dict()


def never_sent(connected: Callable[[], bool]) -> Recognition:
    """Return settings that raise SessionError when there is a connection to send them over.

    Args:
        connected: Whether that is so: settings are asked for before, too, to check them.
    """
    config = _NeverSent()
    config.connected = connected
    return Recognition(config, AudioFormat("pcm_s16le", 16000), None, None)


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
    audio = AudioFormat(chunk_size=_LARGEST_CHUNK)
    with contextlib.suppress(ConfigurationError):  # the server says what is wrong with it
        audio = AudioFormat(
            plain.get("encoding"), plain.get("sample_rate", 0), chunk_size=_LARGEST_CHUNK
        )
    known = audio.to_dict()
    audio.extra.update({name: each for name, each in plain.items() if each != known.get(name)})
    return audio


def _translation(plain: dict[str, Any]) -> TranslationConfig:
    try:
        return TranslationConfig(plain["target_languages"], extra=dict(plain))
    except (ConfigurationError, KeyError):
        return TranslationConfig([], extra=dict(plain))
