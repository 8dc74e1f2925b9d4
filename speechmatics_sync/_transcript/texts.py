"""A transcript as text, and as rows and lines of data."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from .lines import Line, LiveText
from .reading import Everything
from .speaker_names import Key, Names, SpeakerLabels
from .turns import Turn
from .utterances import UtteranceEnd
from .words import Word

__all__ = ["COLUMNS", "csv_of", "json_lines", "rows_of", "text_of"]

COLUMNS = [field.name for field in fields(Word)]


def text_of(
    now: Everything, turns: Sequence[Turn], *, speaker_labels: SpeakerLabels, timestamps: bool
) -> str:
    """A transcript as text; see `Transcript.to_txt`."""
    keys = {Key(turn.channel, turn.speaker) for turn in turns}
    names = Names(speaker_labels, keys)
    if len(keys) == 1 and not timestamps:
        return names.label(*keys) + " ".join(turn.text for turn in turns)
    spoken: Sequence[Any] = _lines(now) if timestamps else turns
    return "\n".join(
        (f"[{_clock(each.start_time)}] " if timestamps else "")
        + names.label(Key(each.channel, each.speaker))
        + each.text
        for each in spoken
    )


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


def json_lines(now: Everything) -> str:
    """A transcript as JSON lines; see `Transcript.to_jsonl`."""
    written = ("speaker", "channel", "start_time", "end_time", "text")
    return "".join(
        json.dumps({key: getattr(line, key) for key in written}, ensure_ascii=False) + "\n"
        for line in _lines(now)
    )


def rows_of(words: Iterable[Word]) -> list[dict[str, Any]]:
    """Words as plain dicts."""
    return [{column: getattr(word, column) for column in COLUMNS} for word in words]


def csv_of(words: Iterable[Word]) -> str:
    """Words as a table."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows_of(words))
    return buffer.getvalue()


def _lines(now: Everything) -> list[Line]:
    """What a person would have read as final lines while the session ran, by time."""
    live = LiveText(word_delimiter=now.delimiter)
    final = (line for message in _messages(now) for line in live.add(message) if line.is_final)
    return sorted((line for line in final if line.text), key=lambda line: line.start_time)


def _messages(now: Everything) -> Iterator[dict[str, Any]]:
    """What was said, as the messages that said it."""
    for language, delimiter in now.delimiters.items():
        yield {"message": "LanguageInfo", "language": language, "word_delimiter": delimiter}
    for said in now.said[: now.until]:
        if isinstance(said, UtteranceEnd):
            yield {"message": "EndOfUtterance", "channel": said.channel, "metadata": {}}
            continue
        yield {
            "message": "AddTranscript",
            "channel": said.channel,
            "metadata": {"start_time": 0, "end_time": 0, "transcript": ""},
            "results": list(said.parts()),
        }
    yield {"message": "EndOfTranscript"}
