"""Messages to stitch, and what has been delivered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speechmatics_sync._model.typing import Label, Message
from speechmatics_sync._protocol.delivered import Delivered
from speechmatics_sync._protocol.stitching import Stitch


def word(content: str, start: Any, end: Any, **more: Any) -> Message:
    return {
        "type": "word",
        "start_time": start,
        "end_time": end,
        "alternatives": [{"content": content, "confidence": 1.0}],
        **more,
    }


def mark(content: str, at: float, **more: Any) -> Message:
    return {**word(content, at, at), "type": "punctuation", **more}


def transcript(*results: Message, partial: bool = False, **more: Any) -> Message:
    """A transcript as the embedded server writes it, with a delimiter after the last word."""
    text = ""
    for result in results:
        if result["type"] == "punctuation":
            text = text.rstrip()
        text += "".join(best["content"] for best in result["alternatives"][:1]) + " "
    return {
        "message": "AddPartialTranscript" if partial else "AddTranscript",
        "metadata": {
            "start_time": results[0]["start_time"],
            "end_time": results[-1]["end_time"],
            "transcript": text,
        },
        "results": list(results),
        **more,
    }


def translation(
    language: str, *sentences: tuple[str, float, float], partial: bool = False
) -> Message:
    return {
        "message": "AddPartialTranslation" if partial else "AddTranslation",
        "language": language,
        "results": [
            {"content": content, "start_time": start, "end_time": end}
            for content, start, end in sentences
        ],
    }


def utterance_end(at: float, **more: Any) -> Message:
    return {
        "message": "EndOfUtterance",
        "metadata": {"start_time": at, "end_time": at},
        **more,
    }


def event_start(type: str, at: float, **more: Any) -> Message:
    event = {"type": type, "start_time": at, "confidence": 0.9}
    return {"message": "AudioEventStarted", "event": event, **more}


def event_end(type: str, at: float, **more: Any) -> Message:
    return {"message": "AudioEventEnded", "event": {"type": type, "end_time": at}, **more}


def warning(type: str, reason: str = "because") -> Message:
    return {"message": "Warning", "type": type, "reason": reason}


def delivered(
    *messages: Message, labels: Sequence[Label] = (None,), languages: Sequence[str] = ()
) -> Delivered:
    marks = Delivered(labels, languages)
    for message in messages:
        marks.note(message)
    return marks


def stitch_after(*messages: Message, offset: float = 0.0) -> Stitch:
    """The stitch to a connection whose audio begins at `offset`."""
    return Stitch(delivered(*messages), {None: offset})


def joined(stitch: Stitch, message: Message) -> Message:
    result = stitch.join(message)
    assert result is not None
    return result


HELLO = transcript(word("hello", 2.0, 2.6))
