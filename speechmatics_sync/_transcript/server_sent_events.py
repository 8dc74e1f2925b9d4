"""Live lines as server-sent events: what a browser's ``EventSource`` reads.

The format is that of https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import collections
import json
import re
import threading
from collections.abc import Iterator
from typing import Any, Optional, Union

from .._model.checks import number
from .._model.settings import argument
from ..errors import ConfigurationError, SessionError
from .lines import Line

__all__ = ["LineBroadcast", "server_sent_event"]

KEEP_ALIVE_SECONDS = 15.0

KEEP_ALIVE = ":\n\n"
"""A comment, which browsers skip."""

_keep_alive = number(above=0, high=3600, unit="seconds")
_count = number(1, whole=True, unit="(a number of lines)")


def server_sent_event(
    data: object, *, event: Optional[str] = None, id: Union[str, int, None] = None
) -> str:
    """Return one server-sent event, ready to be sent in a response of ``text/event-stream``.

    Args:
        data: What it tells: anything that ``json.dumps`` takes. The page reads it with
            ``JSON.parse(event.data)``.
        event: Its type, for the page's ``addEventListener``; None: ``message``, for ``onmessage``.
            Not ``error``, which is how a browser tells of lost connections.
        id: What the browser sends back as ``Last-Event-ID`` when it connects again.

    Raises:
        ConfigurationError: ``event`` or ``id`` has a line break, or ``data`` is not JSON.

    Example:
        >>> print(server_sent_event({"error": "The service is busy."}, event="failed"), end="")
        event: failed
        data: {"error": "The service is busy."}
        <BLANKLINE>
    """
    if event == "error":
        raise ConfigurationError("event is 'error', a browser's own; allowed: any other name")
    text = ""
    for name, value in (("event", event), ("id", id)):
        if value is None:
            continue
        if any(character in str(value) for character in "\r\n\0"):
            raise ConfigurationError(f"{name} is {value!r}; allowed: one line")
        text += f"{name}: {value}\n"
    try:
        text += f"data: {json.dumps(data, ensure_ascii=False, allow_nan=False)}\n\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"data is no JSON: {error}. Pass dicts, lists, strings and numbers"
        ) from error
    return text.encode("utf-8", "replace").decode()  # half of a surrogate pair cannot be sent


def line_event(line: Line) -> str:
    """Return the event that tells a line."""
    return server_sent_event(line.to_dict(), id=line.id)


def checked_keep_alive(seconds: Any) -> float:
    plain: float = argument("keep_alive", seconds, _keep_alive)
    return plain


LAST_EVENT = server_sent_event(None, event="end")


class LineBroadcast:
    """The lines of a session, as server-sent events for any number of readers.

    One thread, that of the session, calls `send` with each line, and `close` at the end. Each
    reader is a request of its own, whose response is `events`. A reader that is slow gets each line
    as it is by then: nothing is queued for it, and it holds nobody up. Readers are in the process
    of the session.

    Args:
        keep: How many lines, those that changed last, are kept for readers that come or come back.

    Example:
        >>> broadcast = LineBroadcast()
        >>> with client.stream("audio.wav") as stream:
        ...     for line in stream.lines():
        ...         broadcast.send(line)
        >>> broadcast.close()
        >>> for event in broadcast.events():
        ...     print(event, end="")
    """

    def __init__(self, *, keep: int = 200) -> None:
        self._keep: int = argument("keep", keep, _count)
        # Guards what follows; notified when a line has come, and at the end.
        self._changed = threading.Condition()
        self._lines: collections.OrderedDict[int, tuple[int, Line]] = collections.OrderedDict()
        """By id, each with the number of its change; in the order of these."""
        self._changes = 0
        self._closed = False

    def send(self, line: Line) -> None:
        """Show a line to all readers, in place of what they have of the same id.

        Raises:
            ConfigurationError: It is no `Line`.
            SessionError: The broadcast was closed.
        """
        if not isinstance(line, Line):
            raise ConfigurationError(f"line is of type {type(line).__name__}; allowed: a Line")
        with self._changed:
            if self._closed:
                raise SessionError(
                    "The broadcast was closed: no more lines can be sent. Make another."
                )
            self._changes += 1
            self._lines.pop(line.id, None)
            self._lines[line.id] = (self._changes, line)
            if len(self._lines) > self._keep:
                self._lines.popitem(last=False)
            self._changed.notify_all()

    def close(self) -> None:
        """Tell all readers that no more lines will come. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def events(
        self, last_event_id: Optional[str] = None, *, keep_alive: float = KEEP_ALIVE_SECONDS
    ) -> Iterator[str]:
        """Iterate over the lines as events, for one reader; blocks for those to come.

        ``event.data`` is the JSON of `Line.to_dict`. A line that has grown comes again, with the
        same id: the page replaces it, and removes a final one without text. After the last line
        comes the event ``end``: the page closes its ``EventSource``, which would connect again.

        Args:
            last_event_id: The request's header ``Last-Event-ID``: the lines before that one are
                left out, for the browser has them. None, or what is no line's id: all lines kept.
            keep_alive: Seconds without a line after which a comment is sent, at most 3600.
        """
        return self._events(last_event_id, checked_keep_alive(keep_alive))

    def _events(self, last_event_id: Optional[str], keep_alive: float) -> Iterator[str]:
        had = str(last_event_id or "").strip()
        first = int(had) if re.fullmatch("[0-9]{1,18}", had) else 0
        seen = 0
        while True:
            with self._changed:
                news = self._wait_for_news(seen, keep_alive)
                seen, closed = self._changes, self._closed
            for line in news:
                if line.id >= first:
                    yield line_event(line)
            if closed:
                yield LAST_EVENT
                return
            if not news:
                yield KEEP_ALIVE

    def _wait_for_news(self, seen: int, seconds: float) -> list[Line]:
        """Return the lines that changed after a change, in the order in which they did."""
        self._changed.wait_for(lambda: self._closed or self._changes > seen, seconds)
        news = []
        for change, line in reversed(self._lines.values()):
            if change <= seen:
                break
            news.append(line)
        return news[::-1]


LineBroadcast.__module__ = server_sent_event.__module__ = "speechmatics_sync"
