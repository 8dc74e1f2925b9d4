"""A session as values, and its legs one after another."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from speechmatics_sync import (
    AudioFormat,
    TranscriptionConfig,
    TranslationConfig,
)
from speechmatics_sync._model.typing import Label
from speechmatics_sync._protocol.events import (
    Deliver,
    Event,
    Lost,
    Started,
)
from speechmatics_sync._protocol.leg import Leg
from speechmatics_sync._protocol.requests import Recognition
from speechmatics_sync._protocol.session import Protocol
from speechmatics_sync._protocol.timeline import Replay
from support.serving import STARTED, final

RATE = 1000


SECOND = RATE  # a byte for each sample


MULAW = AudioFormat("mulaw", RATE)


SPEAKERS = {"message": "SpeakersResult", "speakers": []}


def second(number: int) -> bytes:
    """The audio of one second, unlike that of any other."""
    return bytes([number]) * SECOND


def session(
    *labels: str,
    audio_format: AudioFormat = MULAW,
    replay_seconds: Optional[float] = 300.0,
    window: int = 600,
    languages: Sequence[str] = (),
    config: Optional[TranscriptionConfig] = None,
    pushed: bool = True,
    started: Mapping[str, Any] = STARTED,
) -> Protocol:
    """A session that runs."""
    if config is None:
        config = TranscriptionConfig(
            diarization="channel" if labels else None,
            channel_diarization_labels=list(labels) or None,
        )
    translation = TranslationConfig(list(languages)) if languages else None
    protocol = Protocol(
        Recognition(config, audio_format, translation),
        max_unacked_chunks=window,
        labels=labels,
        pushed=pushed,
        replay_seconds=replay_seconds,
    )
    leg = protocol.succession.new_leg()
    protocol.succession.enter(leg)
    leg.connected()
    hear(protocol, {**started})
    return protocol


def leg_of(protocol: Protocol) -> Leg:
    assert protocol.leg is not None
    return protocol.leg


def hear(protocol: Protocol, message: dict[str, Any], leg: Optional[Leg] = None) -> list[Event]:
    return protocol.receive(leg or leg_of(protocol), message)


def delivered(events: Sequence[Event]) -> list[dict[str, Any]]:
    return [event.message for event in events if isinstance(event, Deliver)]


def begin(protocol: Protocol, **changes: Any) -> Leg:
    """Another connection: recognition starts, and nothing of that is delivered."""
    leg = protocol.succession.new_leg()
    leg.connected()
    (event,) = protocol.receive(leg, {**STARTED, **changes})
    assert isinstance(event, Started)
    assert not event.first
    return leg


def replaced(protocol: Protocol) -> Leg:
    """The connection is lost, and there is another."""
    event = protocol.closed(leg_of(protocol), 1006, "")
    assert isinstance(event, Lost)
    assert protocol.succession.irrecoverable(event.error) is None
    protocol.succession.lose()
    leg = begin(protocol)
    assert leg is protocol.leg
    return leg


def replay(audio_time: float, seconds: float, *gaps: tuple[float, float]) -> Replay:
    return Replay(audio_time, seconds, list(gaps))


def start_message(protocol: Protocol) -> dict[str, Any]:
    """What a new connection would be asked for."""
    message: dict[str, Any] = json.loads(protocol.succession.new_leg().connected())
    return message


def sent(protocol: Protocol) -> list[Any]:
    """Everything that may be sent now: audio as bytes, messages decoded."""
    messages: list[Any] = []
    while True:
        outgoing = protocol.next_to_send()
        if outgoing is None:
            return messages
        payload = outgoing.payload
        messages.append(payload if isinstance(payload, bytes) else json.loads(payload))


def read(protocol: Protocol) -> list[Any]:
    """Everything that may be sent now; the server acknowledges its audio."""
    messages = sent(protocol)
    for label, channel in leg_of(protocol).channels.items():
        if channel.unacknowledged:
            hear(protocol, added(channel.sent, label))
    return messages


def push(protocol: Protocol, *seconds: int, label: Label = None) -> None:
    for number in seconds:
        protocol.add_audio(second(number), label)


def added(number: int, label: Label = None) -> dict[str, Any]:
    if label is None:
        return {"message": "AudioAdded", "seq_no": number}
    return {"message": "ChannelAudioAdded", "channel": label, "seq_no": number}


def channel_final(label: str, text: str, start: float, end: float) -> dict[str, Any]:
    return {**final(text, start, end), "channel": label}
