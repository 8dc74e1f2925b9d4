"""What the client asks of the server: StartRecognition, and requests in mid-session."""

from __future__ import annotations

import collections.abc
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from .._model.audio_format import AudioFormat
from .._model.checks import number
from .._model.messages import ClientMessageType
from .._model.settings import argument
from .._model.transcription_config import AudioEventsConfig, TranscriptionConfig, TranslationConfig
from .._model.typing import Label, Message
from ..errors import ConfigurationError

__all__ = [
    "Recognition",
    "asks_for_speakers",
    "asks_for_the_end",
    "checked",
    "force_end_of_utterance",
    "is_for_all_channels",
    "merged",
    "set_config",
]

_SENT_BY_METHODS = {
    ClientMessageType.START_RECOGNITION.value: "start_session, transcribe and stream send it.",
    ClientMessageType.ADD_AUDIO.value: "use send_audio.",
    ClientMessageType.ADD_CHANNEL_AUDIO.value: "use send_audio.",
    ClientMessageType.END_OF_STREAM.value: "use end_of_stream or stop_session.",
    ClientMessageType.END_OF_CHANNEL.value: "use end_of_channel.",
}


_time = number(0, unit="seconds")


class Recognition(NamedTuple):
    """The settings of a session: the content of StartRecognition.

    Args:
        transcription_config: How to transcribe.
        audio_format: The format of the audio.
        translation_config: Into which languages to translate; None for none.
        audio_events_config: Which audio events to report; None for none.
    """

    transcription_config: TranscriptionConfig
    audio_format: AudioFormat
    translation_config: Optional[TranslationConfig] = None
    audio_events_config: Optional[AudioEventsConfig] = None

    def message(self) -> Message:
        """Return the StartRecognition message with these settings."""
        message: Message = {
            "message": ClientMessageType.START_RECOGNITION.value,
            "audio_format": self.audio_format.to_dict(),
            "transcription_config": self.transcription_config.to_dict(),
        }
        if self.translation_config is not None:
            message["translation_config"] = self.translation_config.to_dict()
        if self.audio_events_config is not None:
            message["audio_events_config"] = self.audio_events_config.to_dict()
        return message


def checked(message: Mapping[str, Any]) -> Message:
    """Return a copy of a user's message, with its name as a plain string.

    Raises:
        ConfigurationError: It is no message, or one that has a method of its own.
    """
    name = message.get("message") if isinstance(message, collections.abc.Mapping) else None
    if not isinstance(name, str):
        raise ConfigurationError(
            f"message is {message!r}; allowed: a dict with its name under 'message'"
        )
    name = getattr(name, "value", name)
    if name in _SENT_BY_METHODS:
        raise ConfigurationError(f"{name} is not sent as a message: {_SENT_BY_METHODS[name]}")
    return {**message, "message": name}


def asks_for_speakers(message: Message) -> bool:
    """Return whether a message is a GetSpeakers that the server answers at once."""
    return message["message"] == ClientMessageType.GET_SPEAKERS.value and not asks_for_the_end(
        message
    )


def asks_for_the_end(message: Message) -> bool:
    """Return whether a message is a GetSpeakers that the server answers when the session ends."""
    return message["message"] == ClientMessageType.GET_SPEAKERS.value and bool(message.get("final"))


def force_end_of_utterance(timestamp: Optional[float], label: Label) -> Message:
    """Return a ForceEndOfUtterance message.

    Args:
        timestamp: Where the utterance ends, in seconds of audio; None leaves it to the server.
        label: The channel; None for all.

    Raises:
        ConfigurationError: ``timestamp`` is not a time.
    """
    message: Message = {"message": ClientMessageType.FORCE_END_OF_UTTERANCE.value}
    if timestamp is not None:
        message["timestamp"] = argument("timestamp", timestamp, _time)
    if label is not None:
        message["channel"] = label
    return message


def is_for_all_channels(message: Message) -> bool:
    """Return whether a message is a ForceEndOfUtterance that names no channel."""
    name = ClientMessageType.FORCE_END_OF_UTTERANCE.value
    return bool(message["message"] == name and message.get("channel") is None)


def set_config(config: Mapping[str, Any]) -> Message:
    """Return a SetRecognitionConfig message with these changes."""
    name = ClientMessageType.SET_RECOGNITION_CONFIG.value
    return {"message": name, "transcription_config": config}


def merged(config: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with changes applied; objects are merged member by member."""
    result = dict(config)
    for name, value in changes.items():
        before = result.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            value = {**before, **value}
        result[name] = value
    return result
