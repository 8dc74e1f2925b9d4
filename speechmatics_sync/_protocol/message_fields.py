"""Fields of the server's messages, read from plain dicts without making objects of them.

Making objects of every message of a connection would cost too much. A field that is not as the API
describes it raises `Malformed`; the caller decides what that means.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .._model.typing import Label, Message

__all__ = [
    "Malformed",
    "a_text",
    "a_time",
    "an_object",
    "audio_event_of",
    "frozen",
    "given_times",
    "label_of",
    "objects",
    "own_label",
    "results_of",
    "times_of",
    "translation_of",
    "warning_of",
]

_LATEST = 1e9
"""Seconds. No audio is that long: a later time, infinity or NaN is malformed."""


class Malformed(Exception):
    """A message does not have the shape that its name promises."""


def a_time(value: Any) -> float:
    # Not isinstance, to which a bool is an int.
    if type(value) not in (float, int) or not -_LATEST < value < _LATEST:
        raise Malformed
    return float(value)


def times_of(part: Message) -> tuple[float, float]:
    start_time: Any = part.get("start_time")
    end_time: Any = part.get("end_time")
    if type(start_time) is type(end_time) is float and 0.0 <= start_time <= end_time < _LATEST:
        return start_time, end_time  # as nearly always: most of a final's time goes by here
    return a_time(start_time), a_time(end_time)


def given_times(part: Message) -> dict[str, float]:
    return {key: a_time(part[key]) for key in ("start_time", "end_time") if key in part}


def an_object(message: Message, key: str) -> Message:
    value = message.get(key)
    if not isinstance(value, dict):
        raise Malformed
    return value


def objects(message: Message, key: str) -> list[Message]:
    value = message.get(key)
    if not isinstance(value, list) or not all(
        [isinstance(item, dict) for item in value]  # noqa: C419  (a generator is a call for each)
    ):
        raise Malformed
    return value


def a_text(message: Message, key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str):
        raise Malformed
    return value


def own_label(part: Message, labels: frozenset[Label]) -> Label:
    channel = part.get("channel")
    if channel is not None and not isinstance(channel, str):
        raise Malformed
    return channel if channel in labels else None


def label_of(message: Message, parts: Sequence[Message], labels: frozenset[Label]) -> Label:
    """Return the channel of a message, or that of its first part if the message names none."""
    own = own_label(message, labels)
    return own_label(parts[0], labels) if own is None and parts else own


def results_of(message: Message) -> list[Message]:
    metadata = an_object(message, "metadata")
    times_of(metadata)
    a_text(metadata, "transcript")
    parts = objects(message, "results")
    for part in parts:
        times_of(part)
        if part.get("alternatives") is not None:
            for alternative in objects(part, "alternatives"):
                a_text(alternative, "content")
    return parts


def translation_of(message: Message) -> tuple[str, list[Message]]:
    sentences = objects(message, "results")
    for sentence in sentences:
        times_of(sentence)
    return a_text(message, "language"), sentences


def audio_event_of(
    message: Message, labels: frozenset[Label], required: str
) -> tuple[str, Label, dict[str, float]]:
    event = an_object(message, "event")
    times = given_times(event)
    if required not in times:
        raise Malformed
    return a_text(event, "type"), label_of(message, [event], labels), times


def warning_of(message: Message) -> tuple[str, str]:
    return a_text(message, "type"), a_text(message, "reason")


def frozen(message: Message) -> str:
    """Return a message as a string: a handler may change its dict afterwards."""
    try:
        return json.dumps(message, sort_keys=True)
    except (TypeError, ValueError):
        raise Malformed from None
