"""A leg in each of its states, and what is said to it."""

from __future__ import annotations

from typing import Any

from speechmatics_sync import (
    SessionError,
)
from speechmatics_sync._model.typing import Label
from speechmatics_sync._protocol.channel import LegChannel
from speechmatics_sync._protocol.events import (
    Event,
    Failed,
)
from speechmatics_sync._protocol.leg import Leg, State
from support.serving import STARTED

START = {"message": "StartRecognition", "transcription_config": {"language": "de"}}


def connecting(*labels: str) -> Leg:
    return Leg(START, {label: LegChannel() for label in labels or (None,)})


def starting(*labels: str) -> Leg:
    leg = connecting(*labels)
    leg.connected()
    return leg


def running(*labels: str) -> Leg:
    leg = starting(*labels)
    leg.receive(STARTED)
    return leg


def ending() -> Leg:
    leg = running()
    leg.end(None)
    return leg


def failed() -> Leg:
    leg = running()
    leg.fail(SessionError("closed"))
    return leg


def added(number: Any) -> dict[str, Any]:
    return {"message": "AudioAdded", "seq_no": number}


def channel_added(label: Any, number: Any) -> dict[str, Any]:
    return {"message": "ChannelAudioAdded", "channel": label, "seq_no": number}


def error_message(type: str) -> dict[str, Any]:
    return {"message": "Error", "type": type, "reason": "because", "code": 7}


def sent(leg: Leg, *chunks: bytes, label: Label = None) -> None:
    for chunk in chunks:
        leg.audio(label, chunk)


def last_of(events: list[Event]) -> Any:
    return events[-1]


def failure_of(leg: Leg, message: dict[str, Any]) -> Any:
    """The error of a mistake that no other connection makes good."""
    event = last_of(leg.receive(message))
    assert isinstance(event, Failed)
    assert leg.state is State.FAILED
    return event.error
