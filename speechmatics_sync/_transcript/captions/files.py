"""Captions as files: SubRip (SRT) and WebVTT, written with ``webvtt-py``."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional

from ...errors import ConfigurationError, missing_extra
from ..saving import Path, suffix_of

if TYPE_CHECKING:
    from .captions import Caption

__all__ = ["CaptionFile", "srt_of", "vtt_of"]


class CaptionFile:
    """A file of captions that grows, for instance while a session runs.

    It is complete after each caption. `Transcript.save` is for captions that are all there.

    Args:
        path: The file, ``.srt`` or ``.vtt``. One that is there is overwritten.

    Raises:
        ConfigurationError: The suffix is another one, or ``webvtt-py`` (extra ``captions``) is not
            installed.
        OSError: The file cannot be written.

    Example:
        >>> from pathlib import Path
        >>> live = LiveCaptions()
        >>> with CaptionFile("audio.srt") as file, client.stream("audio.wav") as stream:
        ...     for message in stream:
        ...         file.add(live.add(message))
        >>> print(Path("audio.srt").read_text())
        1
        00:00:00,200 --> 00:00:01,034
        hello world.
        <BLANKLINE>
    """

    __module__ = "speechmatics_sync"  # which loads this one only when it is needed

    def __init__(self, path: Path) -> None:
        self._suffix = suffix_of(path)
        if self._suffix not in (".srt", ".vtt"):
            raise ConfigurationError(
                f"captions cannot be written as {self._suffix or 'a file without a suffix'};"
                " allowed: .srt, .vtt"
            )
        head = vtt_of([]) if self._suffix == ".vtt" else srt_of([])
        self._count = 0
        self._file = open(path, "w", encoding="utf-8", errors="replace", newline="\n")  # noqa: SIM115
        self._write(head)

    def __enter__(self) -> CaptionFile:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def add(self, captions: Iterable[Caption]) -> None:
        """Write captions that follow those that are there.

        Raises:
            OSError: The file cannot be written.
        """
        for caption in captions:
            self._count += 1
            if self._suffix == ".vtt":
                _, _, cue = vtt_of([caption]).partition("\n\n")
                self._write(f"\n{cue}")
            else:
                _, _, cue = srt_of([caption]).partition("\n")
                gap = "\n" if self._count > 1 else ""
                self._write(f"{gap}{self._count}\n{cue}")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()


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
