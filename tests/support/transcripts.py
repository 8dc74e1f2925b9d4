"""Transcripts made of messages that are made of a few words."""

from __future__ import annotations

from typing import Any, Optional

from hypothesis import strategies as st

from speechmatics_sync import (
    Transcript,
)


def result(
    content: str, start: float, end: float, *, speaker: Optional[str] = None, **more: Any
) -> dict[str, Any]:
    best: dict[str, Any] = {"content": content, "confidence": 0.9}
    for key in ("language", "tags"):
        if key in more:
            best[key] = more.pop(key)
    if speaker is not None:
        best["speaker"] = speaker
    return {
        "type": "word",
        "start_time": start,
        "end_time": end,
        "alternatives": [best],
        **more,
    }


def mark(content: str, at: float, **more: Any) -> dict[str, Any]:
    return result(content, at, at, type="punctuation", **more)


def final(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    times = [part["start_time"] for part in results] + [part["end_time"] for part in results]
    return {
        "message": "AddTranscript",
        "format": "2.9",
        "metadata": {
            "start_time": min(times, default=0),
            "end_time": max(times, default=0),
            "transcript": "",
        },
        "results": list(results),
        **more,
    }


def transcript(*messages: dict[str, Any]) -> Transcript:
    made = Transcript()
    for message in messages:
        made.add(message)
    return made


results = st.builds(
    lambda content, start, length, **more: result(content, start, start + length, **more),
    start=st.floats(0, 10),
    length=st.floats(0, 2),
    content=st.sampled_from(["a", "b", ".", "", " "]),
    speaker=st.sampled_from([None, "S1", "S2"]),
    channel=st.sampled_from([None, "x", "y"]),
    type=st.sampled_from(["word", "punctuation", "entity", "novel"]),
    attaches_to=st.sampled_from([None, "previous", "next", "both", "none", "novel"]),
    is_eos=st.sampled_from([None, True, False]),
)
