"""Sends the embedded server every client message in every order and state.

Run on its own, because what it looks for is a server that ends its process.
"""

from __future__ import annotations

import contextlib
import wave
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from speechmatics_sync.local import LocalServer
from support.local_wire import RAW, Message, Wire, channel_audio, end_of_channel, start_message
from support.places import SAMPLES

EXAMPLES = 30
PIECE_BYTES = 16_000
"""Half a second."""

with wave.open(str(SAMPLES / "demo.wav")) as demo:
    SPEECH = demo.readframes(4 * 16000)
PIECES = [
    *(SPEECH[at : at + PIECE_BYTES] for at in range(0, len(SPEECH), PIECE_BYTES)),
    bytes(PIECE_BYTES),
    SPEECH[:4001],
    b"RIFF",
    b"",
]
TIMES = [None, 0, 0.5, 1.25, 3, 10**9]
LABELS = ["a", "b", "nobody"]

SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "enable_partials": st.booleans(),
        "max_delay": st.sampled_from([0.7, 1.5, 4]),
        "conversation_config": st.sampled_from(
            [{"end_of_utterance_silence_trigger": seconds} for seconds in (0, 0.3, 1)]
        ),
    },
)
FORMATS = [
    RAW,
    RAW,
    {"type": "raw", "encoding": "mulaw", "sample_rate": 8000},
    {"type": "raw", "encoding": "pcm_f32le", "sample_rate": 44100},
    {"type": "file"},
]
STARTS = st.builds(
    lambda config, diarization, audio_format: {
        **start_message(**config, **diarization),
        "audio_format": audio_format,
    },
    SETTINGS,
    st.sampled_from(
        [
            {},
            {},
            {"diarization": "speaker"},
            {"diarization": "channel", "channel_diarization_labels": ["a", "b"]},
            {"diarization": "channel_and_speaker", "channel_diarization_labels": ["a"]},
        ]
    ),
    st.sampled_from(FORMATS),
)
AUDIO = st.sampled_from(PIECES)
CHANNEL_AUDIO = st.builds(channel_audio, st.sampled_from(LABELS), AUDIO)


def configured(config: Message) -> Message:
    return {"message": "SetRecognitionConfig", "transcription_config": config}


def forced(timestamp: Any, channel: Any) -> Message:
    fields = {"timestamp": timestamp, "channel": channel}
    given = {name: value for name, value in fields.items() if value is not None}
    return {"message": "ForceEndOfUtterance", **given}


REQUESTS = st.one_of(
    AUDIO,
    CHANNEL_AUDIO,
    AUDIO,
    CHANNEL_AUDIO,
    st.builds(configured, SETTINGS),
    st.builds(forced, st.sampled_from(TIMES), st.sampled_from([None, None, *LABELS])),
    st.sampled_from([{"message": "GetSpeakers", "final": final} for final in (False, True)]),
)
ENDS = st.one_of(
    st.builds(end_of_channel, st.sampled_from(LABELS), st.just(1)),
    st.just({"message": "EndOfStream", "last_seq_no": 1}),
    STARTS,
    st.sampled_from(["", "{}", '{"message": "MakeTea"}']),
)
SESSIONS = st.builds(
    lambda *parts: [message for part in parts for message in part],
    st.lists(st.one_of(REQUESTS, ENDS), max_size=1) | st.just([]) | st.just([]),
    STARTS.map(lambda start: [start]),
    st.lists(REQUESTS, max_size=12),
    st.lists(st.one_of(ENDS, REQUESTS), max_size=4),
)


def in_mid_session(*, partials: bool) -> list[Any]:
    """A session whose partials are turned on or off while somebody speaks."""
    return [
        start_message(enable_partials=not partials),
        *PIECES[:3],
        configured({"enable_partials": partials}),
        *PIECES[3:9],
        configured({"enable_partials": not partials}),
        *PIECES[:9],
    ]


def converse(url: str, messages: list[Any]) -> None:
    """Send the messages, whatever the server answers; see it end the session in good order."""
    with Wire(url) as wire:
        with contextlib.suppress(ConnectionClosed):
            wire.send(*messages, {"message": "EndOfStream", "last_seq_no": 0})
        wire.rest()
    last = wire.received[-1]
    assert last["message"] == "EndOfTranscript" or last["type"] != "unknown_error", last
    assert wire.close_code is not None, last


def main() -> None:
    with LocalServer() as server:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @example(in_mid_session(partials=False))
        @example(in_mid_session(partials=True))
        @given(SESSIONS)
        def every_order(messages: list[Any]) -> None:
            converse(server.url, messages)

        every_order()


if __name__ == "__main__":
    main()
