"""Checks what clients send against the API's specification.

Sources: ``realtime.yaml`` of the API; the official client for ``language_hints``,
``language_hints_strict``, ``streaming_mode`` and ``ctrl``. Unknown fields are refused, because a
misspelt setting that does nothing is worse than an error.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Callable, Optional

__all__ = [
    "BY_CHANNEL",
    "CLOSE_CODE",
    "Refused",
    "check_message",
    "check_mid_session",
    "check_start",
    "decode_audio",
    "parse",
]

BY_CHANNEL = ("channel", "channel_and_speaker")
"""The values of ``diarization`` for sessions by channel."""

CLOSE_CODE = {
    "invalid_message": 1003,
    "invalid_model": 4004,
    "invalid_language": 1003,
    "invalid_config": 1003,
    "invalid_audio_type": 1003,
    "invalid_output_format": 1003,
    "not_authorised": 4001,
    "not_allowed": 4003,
    "job_error": 4013,
    "protocol_error": 1003,
    "quota_exceeded": 4005,
    "timelimit_exceeded": 4006,
    "idle_timeout": 1008,
    "session_timeout": 1008,
    "unknown_error": 1011,
}
"""The close code that follows each type of Error.

Of the ``invalid_…`` types the documentation gives one for ``invalid_model`` only; here the others
use 1003 (data that cannot be accepted), like ``protocol_error``.
"""

_LOWEST_RATE, _HIGHEST_RATE = 1000, 384000
_MAX_IDENTIFIERS = 50
_MAX_REASON = 300
_SURROGATE = re.compile(r"\\ud[89a-f]", re.IGNORECASE)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{1,8})*")
_INTERNAL_LABEL = re.compile(r"(S\d+|UU|\s+.*|\S+.*\s+)", re.DOTALL)


class Refused(Exception):
    """The client did something that the API does not allow.

    Args:
        type: The type of the Error to send.
        reason: The reason of the Error.
    """

    def __init__(self, type: str, reason: str) -> None:
        # Names and values of the client may be in it, of any length and with any character, and it
        # is kept in records and logged.
        reason = "".join(
            one if one.isprintable() else "\N{REPLACEMENT CHARACTER}"
            for one in (reason if len(reason) <= _MAX_REASON else f"{reason[: _MAX_REASON - 1]}…")
        )
        super().__init__(f"{type}: {reason}")
        self.type = type
        self.reason = reason


class _Invalid(Exception):
    """A field has a value that is not allowed."""


_Check = Callable[[Any, str], None]


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _text(min_length: int = 0) -> _Check:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, str) or len(value) < min_length:
            kind = "a string" if not min_length else "a string that is not empty"
            raise _Invalid(f"{path} must be {kind}, not {_shown(value)}")

    return check


def _flag(value: Any, path: str) -> None:
    if not isinstance(value, bool):
        raise _Invalid(f"{path} must be true or false, not {_shown(value)}")


def _object(value: Any, path: str) -> None:
    if not isinstance(value, dict):
        raise _Invalid(f"{path} must be an object, not {_shown(value)}")


def _number(
    low: Optional[float] = None, high: Optional[float] = None, *, whole: bool = False
) -> _Check:
    limits = f" from {low}" if low is not None else ""
    limits += f" to {high}" if high is not None else ""

    def fits(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        if isinstance(value, float) and (not math.isfinite(value) or (whole and value % 1)):
            return False
        return (low is None or value >= low) and (high is None or value <= high)

    def check(value: Any, path: str) -> None:
        if not fits(value):
            kind = "an integer" if whole else "a number"
            raise _Invalid(f"{path} must be {kind}{limits}, not {_shown(value)}")

    return check


def _one_of(*allowed: str) -> _Check:
    def check(value: Any, path: str) -> None:
        if value not in allowed or not isinstance(value, str):
            raise _Invalid(f"{path} must be one of {', '.join(allowed)}, not {_shown(value)}")

    return check


def _list(item: _Check, *, min_items: int = 0, unique: bool = False) -> _Check:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, list) or len(value) < min_items:
            kind = "a list" if not min_items else f"a list of at least {min_items}"
            raise _Invalid(f"{path} must be {kind}, not {_shown(value)}")
        for index, one in enumerate(value):
            item(one, f"{path}[{index}]")
        if unique and len(set(value)) != len(value):
            raise _Invalid(f"{path} must hold each value once, not {_shown(value)}")

    return check


def _fields(fields: Mapping[str, _Check], *required: str) -> _Check:
    def check(value: Any, path: str) -> None:
        _object(value, path)
        for name in required:
            if name not in value:
                raise _Invalid(f"{path}.{name} is missing")
        for name, one in value.items():
            if name not in fields:
                raise _Invalid(f"{path}.{name} is not a field of the API")
            fields[name](one, f"{path}.{name}")

    return check


def _vocabulary_word(value: Any, path: str) -> None:
    if isinstance(value, dict):
        _fields({"content": _text(1), "sounds_like": _list(_text(1), min_items=1)}, "content")(
            value, path
        )
    else:
        _text(1)(value, path)


def _speaker_label(value: Any, path: str) -> None:
    _text(1)(value, path)
    if _INTERNAL_LABEL.fullmatch(value):
        raise _Invalid(f"{path} must not look like one of the server's own labels: {_shown(value)}")


def _speakers(value: Any, path: str) -> None:
    _list(
        _fields(
            {
                "label": _speaker_label,
                "speaker_identifiers": _list(_text(), min_items=1, unique=True),
            },
            "label",
            "speaker_identifiers",
        )
    )(value, path)
    labels = [speaker["label"] for speaker in value]
    if len(set(labels)) != len(labels):
        raise _Invalid(f"{path} must hold each label once")
    if sum(len(speaker["speaker_identifiers"]) for speaker in value) > _MAX_IDENTIFIERS:
        raise _Invalid(f"{path} must hold no more than {_MAX_IDENTIFIERS} identifiers")


def _mark(value: Any, path: str) -> None:
    if not isinstance(value, str) or not re.fullmatch("(.|all)", value):
        raise _Invalid(f"{path} must be one mark, or 'all', not {_shown(value)}")


_MODELS = ("standard", "enhanced", "melia-1")

_MID_SESSION: dict[str, _Check] = {
    "language": _text(),
    "max_delay": _number(0.7, 4),
    "max_delay_mode": _one_of("flexible", "fixed"),
    "audio_filtering_config": _fields({"volume_threshold": _number(0, 100)}),
    "enable_partials": _flag,
    "conversation_config": _fields({"end_of_utterance_silence_trigger": _number(0, 2)}),
}

_TRANSCRIPTION: dict[str, _Check] = {
    **_MID_SESSION,
    "domain": _text(),
    "output_locale": _text(1),
    "additional_vocab": _list(_vocabulary_word),
    "diarization": _one_of("none", "speaker", "channel", "channel_and_speaker"),
    "speaker_diarization_config": _fields(
        {
            "max_speakers": _number(2, whole=True),
            "prefer_current_speaker": _flag,
            "speaker_sensitivity": _number(0, 1),
            "get_speakers": _flag,
            "speakers": _speakers,
        }
    ),
    "transcript_filtering_config": _fields(
        {
            "remove_disfluencies": _flag,
            "replacements": _list(_fields({"from": _text(), "to": _text()}, "from", "to")),
        }
    ),
    "enable_entities": _flag,
    "operating_point": _text(1),
    "model": _text(1),
    "punctuation_overrides": _fields(
        {"permitted_marks": _list(_mark), "sensitivity": _number(0, 1)}
    ),
    "channel_diarization_labels": _list(_text(1), min_items=1, unique=True),
    "language_hints": _list(_text(1)),
    "language_hints_strict": _flag,
    "streaming_mode": _flag,
    "ctrl": _object,
}

_START: dict[str, _Check] = {
    "transcription_config": _fields(_TRANSCRIPTION, "language"),
    "translation_config": _fields(
        {"target_languages": _list(_text()), "enable_partials": _flag}, "target_languages"
    ),
    "audio_events_config": _fields({"types": _list(_text())}),
}

_MESSAGES: dict[str, tuple[dict[str, _Check], tuple[str, ...]]] = {
    "EndOfStream": ({"last_seq_no": _number(whole=True)}, ("last_seq_no",)),
    "ForceEndOfUtterance": ({"channel": _text(), "timestamp": _number(0)}, ()),
    "GetSpeakers": ({"final": _flag}, ()),
    "AddChannelAudio": ({"channel": _text(), "data": _text()}, ("channel", "data")),
    "EndOfChannel": (
        {"channel": _text(), "last_seq_no": _number(whole=True)},
        ("channel", "last_seq_no"),
    ),
}


def _refuse(type: str, check: _Check, value: Any, path: str) -> None:
    try:
        check(value, path)
    except _Invalid as invalid:
        raise Refused(type, str(invalid)) from None


def parse(text: str) -> dict[str, Any]:
    """Return the message in a text frame.

    Raises:
        Refused: ``invalid_message`` if it is not a JSON object with a ``message``.
    """
    try:
        message = json.loads(text)
        if _SURROGATE.search(text):
            json.dumps(message, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Refused("invalid_message", "a text with a lone surrogate") from None
    except (ValueError, RecursionError):
        raise Refused("invalid_message", "a text frame that is not JSON") from None
    if not isinstance(message, dict):
        raise Refused("invalid_message", "JSON that is not an object")
    if not isinstance(message.get("message"), str):
        raise Refused("invalid_message", "an object with no string in its field 'message'")
    return message


def check_start(
    message: Mapping[str, Any], languages: Optional[frozenset[str]], max_channels: int
) -> None:
    """Check a StartRecognition.

    Args:
        message: The whole message.
        languages: The language codes that can be recognised; None for any.
        max_channels: How many channels a session may have.

    Raises:
        Refused: ``invalid_message``, ``invalid_audio_type``, ``invalid_config``,
            ``invalid_language`` or ``invalid_model``.
    """
    for name in ("audio_format", "transcription_config"):
        if name not in message:
            raise Refused("invalid_message", f"StartRecognition.{name} is missing")
    _check_audio_format(message["audio_format"])
    for name, value in message.items():
        if name in _START:
            _refuse("invalid_config", _START[name], value, name)
        elif name not in ("message", "audio_format"):
            raise Refused("invalid_config", f"{name} is not a field of StartRecognition")
    config = message["transcription_config"]
    language = config["language"]
    if not _LANGUAGE.fullmatch(language) and language != "auto":
        raise Refused("invalid_language", f"{_shown(language)} is not a language code")
    if languages is not None and re.split("[_-]", language)[0].lower() not in languages:
        raise Refused(
            "invalid_model",
            f"no model for language {_shown(language)}; available: {', '.join(sorted(languages))}",
        )
    for name in ("model", "operating_point"):
        if config.get(name, _MODELS[0]) not in _MODELS:
            raise Refused(
                "invalid_model",
                f"no {name} {_shown(config[name])}; available: {', '.join(_MODELS)}",
            )
    _check_channels(
        config.get("diarization", "none"), config.get("channel_diarization_labels"), max_channels
    )


def _check_channels(diarization: str, labels: Optional[list[str]], max_channels: int) -> None:
    if diarization not in BY_CHANNEL:
        if labels is not None:
            raise Refused(
                "invalid_config", "channel_diarization_labels needs diarization by channel"
            )
    elif labels is None:
        raise Refused(
            "invalid_config",
            f"diarization {_shown(diarization)} needs "
            "transcription_config.channel_diarization_labels",
        )
    elif len(labels) > max_channels:
        raise Refused(
            "invalid_config",
            f"transcription_config.channel_diarization_labels names {len(labels)} channels; "
            f"a session may have {max_channels}",
        )


def _check_audio_format(value: Any) -> None:
    kind = "invalid_audio_type"
    if not isinstance(value, dict):
        raise Refused(kind, f"audio_format must be an object, not {_shown(value)}")
    _refuse(kind, _one_of("raw", "file"), value.get("type"), "audio_format.type")
    fields: dict[str, _Check] = {"type": _text()}
    required: tuple[str, ...] = ("type",)
    if value["type"] == "raw":
        fields["encoding"] = _one_of("pcm_f32le", "pcm_s16le", "mulaw")
        fields["sample_rate"] = _number(_LOWEST_RATE, _HIGHEST_RATE, whole=True)
        required = ("type", "encoding", "sample_rate")
    _refuse(kind, _fields(fields, *required), value, "audio_format")


def check_mid_session(message: Mapping[str, Any], started: Mapping[str, Any]) -> list[str]:
    """Check a SetRecognitionConfig in a session that was started with this configuration.

    Returns:
        The fields that cannot change during a session, and do not.

    Raises:
        Refused: ``invalid_message`` or ``invalid_config``.
    """
    if "transcription_config" not in message:
        raise Refused("invalid_message", "SetRecognitionConfig.transcription_config is missing")
    for name in message:
        if name not in ("message", "transcription_config"):
            raise Refused("invalid_config", f"{name} is not a field of SetRecognitionConfig")
    config = message["transcription_config"]
    _refuse("invalid_config", _object, config, "transcription_config")
    same = [
        name for name in config if name not in _MID_SESSION and config[name] == started.get(name)
    ]
    changing = {name: value for name, value in config.items() if name not in same}
    _refuse("invalid_config", _fields(_MID_SESSION), changing, "transcription_config")
    language = started["language"]
    if config.get("language", language) != language:
        raise Refused(
            "invalid_config",
            f"the session's language is {_shown(language)} and cannot become "
            f"{_shown(config['language'])}",
        )
    return same


def check_message(message: Mapping[str, Any]) -> None:
    """Check a message without configuration.

    Raises:
        Refused: ``invalid_message`` if a field is missing, unknown or not valid.
    """
    name = message["message"]
    fields, required = _MESSAGES[name]
    check = _fields({"message": _text(), **fields}, *required)
    _refuse("invalid_message", check, dict(message), name)


def decode_audio(data: str) -> bytes:
    """Return the audio of an AddChannelAudio.

    Raises:
        Refused: ``invalid_message`` if it is not base64.
    """
    try:
        if len(data) % 4 == 0:  # b64decode accepts excess padding
            return base64.b64decode(data, validate=True)
    except ValueError:
        pass
    raise Refused("invalid_message", "AddChannelAudio.data is not base64")
