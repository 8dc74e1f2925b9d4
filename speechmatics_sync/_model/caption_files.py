"""Captions as files: SubRip (SRT) and WebVTT, written with ``webvtt-py``."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..errors import missing_extra

if TYPE_CHECKING:
    from .captions import Caption

__all__ = ["srt_of", "vtt_of"]

_WORD_JOINER = "\u2060"
"""Has no width and joins what stands around it: a player shows nothing of it."""

_RIGHT_TO_LEFT_MARK = "\u200f"

_MARKUP = re.compile(r"(?<=<)(?=[^>]*>)|(?<=--)(?=>)|(?<=\{)(?=\\)|(?<=\\)(?=[Nnh])", re.DOTALL)
"""Within a tag, an arrow, or an ASS code. SRT has no way to escape what players take for these, so
a word joiner keeps them apart."""

_LESS_THAN = "\ufdd0"
"""Stands for "<" while ``webvtt-py`` writes SRT, for it would take out what looks like a tag. A
code point that is never a character."""


def vtt_of(captions: Iterable[Caption]) -> str:
    """Captions as a WebVTT file."""
    return str(_written(captions, _vtt_line).content)


def srt_of(captions: Iterable[Caption]) -> str:
    """Captions as an SRT file."""
    buffer = io.StringIO()
    _written(captions, _srt_line).write(buffer, format="srt")
    text = buffer.getvalue().replace(_LESS_THAN, "<")
    return f"{text}\n" if text else ""


def _written(captions: Iterable[Caption], line: Any) -> Any:
    try:
        import webvtt
    except ImportError:
        raise missing_extra("writing captions", "webvtt-py", "captions") from None
    return webvtt.WebVTT(
        captions=[
            webvtt.Caption(
                _timestamp(caption.start_time),
                _timestamp(caption.end_time),
                [line(text) for text in caption.lines],
            )
            for caption in captions
        ]
    )


def _timestamp(seconds: float) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"


def _vtt_line(line: str) -> str:
    # ">" too: the arrow is forbidden in the text of a cue.
    escaped = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _directed(line, escaped)


def _srt_line(line: str) -> str:
    return _directed(line, _MARKUP.sub(_WORD_JOINER, line)).replace("<", _LESS_THAN)


def _directed(line: str, escaped: str) -> str:
    """Mark a line that is written from right to left, where its ends do not show that.

    A player that takes every line for one from left to right would else show its full stop on the
    wrong side; one that looks at the first letter would be misled by a foreign word.
    """
    if line.isascii():
        return escaped
    directions = [unicodedata.bidirectional(character) for character in line]
    if directions.count("R") + directions.count("AL") <= directions.count("L"):
        return escaped
    before = "" if directions[0] in ("R", "AL") else _RIGHT_TO_LEFT_MARK
    after = "" if directions[-1] in ("R", "AL") else _RIGHT_TO_LEFT_MARK
    return f"{before}{escaped}{after}"
