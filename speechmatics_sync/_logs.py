"""The loggers of this package. Nothing that a user makes of a record reaches the caller.

A record factory, a filter or a handler may raise or block. So a call of a logger never raises what
they raise, and the records of a session are handed to them in a thread of their own: a session
logs while it holds its lock, and in a thread that other sessions share. Where no thread can be had,
they wait for the next one, or until the session ends (`PackageLogger.flush`).
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import re
import sys
import threading
import time
import traceback
from typing import Any, Callable, NamedTuple, Optional, Union

from ._signals import raised_by_signal
from ._words import Words

__all__ = ["LOGGER_NAME", "PackageLogger", "SessionLogger", "logger"]

LOGGER_NAME = "speechmatics_sync"

_KEPT = 1000
"""How many records may wait for a handler that blocks; the oldest are dropped, and counted."""

_LONGEST_ID = 100


class _Entry(NamedTuple):
    """What a record is made of, as it was when something was logged."""

    level: int
    text: str
    args: tuple[object, ...]
    ids: dict[str, Optional[str]]
    extra: Optional[dict[str, Any]]
    exc_info: Any
    path: str
    line: int
    function: str
    time: float
    thread: threading.Thread


class PackageLogger(logging.LoggerAdapter):  # type: ignore[type-arg]  # not generic before 3.11
    """Logs, and raises nothing.

    What a record factory, a filter or a handler raises is shown on stderr, as `logging` does with
    the errors of its own handlers.

    Args:
        wrapped: Where to log.
        in_background: Makes a call, which may block, in a thread of its own; None hands on records
            in the thread that logs.
    """

    def __init__(
        self,
        wrapped: Union[logging.Logger, logging.LoggerAdapter[Any]],
        in_background: Optional[Callable[[Callable[[], None]], None]] = None,
    ) -> None:
        super().__init__(wrapped, {})
        self.in_background = in_background
        self.words = Words()
        """What each record is cleaned with."""
        self._waiting: list[Union[_Entry, Callable[[], None]]] = []
        self._drops = itertools.count()
        """Counts dropped records. To read it counts one too, so `_asked` counts the readings."""
        self._asked = 0
        self._told = 0
        # Not a lock, since a signal handler or the garbage collector may log at any line: a thread
        # that takes the one item hands on the waiting records, and then puts the item back.
        self._idle = [None]

    def log(
        self, level: int, msg: object, *args: object, exc_info: Any = None, **kwargs: Any
    ) -> None:
        """Log a message; every other method calls this one.

        Args:
            level: As for `logging.Logger.log`.
            msg: A format string.
            args: What to format.
            exc_info: True logs the exception that is being handled.
            kwargs: Only ``extra`` has an effect.
        """
        try:
            if self.isEnabledFor(level):
                self._take(self._entry(level, str(msg), args, exc_info, kwargs.get("extra")))
        except Exception as error:
            if raised_by_signal(error):
                raise

    def inform(self, call: Callable[[], None], *, soon: bool) -> None:
        """Make a call that only informs, and raises nothing, as if it handled a record.

        Args:
            call: What to call.
            soon: Whether to start a thread for it, rather than leave it to the next `flush`.
        """
        try:
            self._take(call, soon)
        except Exception as error:
            if raised_by_signal(error):
                raise

    def _entry(
        self,
        level: int,
        text: str,
        args: tuple[object, ...],
        exc_info: Any,
        extra: Optional[dict[str, Any]],
    ) -> _Entry:
        frame = sys._getframe(2)
        while frame.f_back is not None and frame.f_globals.get("__name__") == "logging":
            frame = frame.f_back
        if isinstance(exc_info, BaseException):
            exc_info = type(exc_info), exc_info, exc_info.__traceback__
        elif exc_info and not isinstance(exc_info, tuple):
            exc_info = sys.exc_info()
        ids = self._ids()
        if ids:
            text += " [" + " ".join(f"{name}={_plain(each)}" for name, each in ids.items()) + "]"
        return _Entry(
            level,
            text,
            tuple(map(self._clean, args)),
            ids,
            extra,
            exc_info or None,
            frame.f_code.co_filename,
            frame.f_lineno,
            frame.f_code.co_name,
            time.time(),
            threading.current_thread(),
        )

    def _clean(self, arg: object) -> object:
        """Return what may be shown of others' words."""
        return self.words.clean(str(arg)) if isinstance(arg, (str, BaseException)) else arg

    def _ids(self) -> dict[str, Optional[str]]:
        """Return what each record bears, as attributes and in its text."""
        return {}

    def _take(self, entry: Union[_Entry, Callable[[], None]], soon: bool = True) -> None:
        if self.in_background is None:
            self._handle(entry)
            return
        self._waiting.append(entry)
        if len(self._waiting) > _KEPT:
            with contextlib.suppress(IndexError):  # another thread took the last
                self._waiting.pop(0)
                next(self._drops)
        if not soon:
            return
        try:
            self._idle.pop()
        except IndexError:
            return  # a thread hands on what waits
        try:
            self.in_background(self._hand_on)
        except BaseException as error:
            self._idle.append(None)
            # Without a thread it waits: here, the caller may hold a lock.
            if not isinstance(error, (RuntimeError, MemoryError)):
                raise

    def flush(self) -> None:
        """Hand on here what still waits, because there was no thread for it or it was not urgent.

        May block in a user's code: to be called without a lock.
        """
        if not self._waiting:
            return
        try:
            self._idle.pop()
        except IndexError:
            return
        self._hand_on()

    def _hand_on(self) -> None:
        """Hand on every record that waits, in order."""
        while True:
            try:
                while self._waiting:
                    try:
                        self._tell_of_drops()
                        self._handle(self._waiting.pop(0))
                    except BaseException:
                        # Elsewhere it is no interrupt: a handler called sys.exit, for example.
                        if threading.current_thread() is threading.main_thread():
                            raise
            finally:
                self._idle.append(None)
            # One may have come after the last look, and found nothing to take.
            if not self._waiting:
                return
            try:
                self._idle.pop()
            except IndexError:
                return

    def _tell_of_drops(self) -> None:
        """Have a record say how many were dropped. They came before those that wait."""
        dropped = next(self._drops) - self._asked
        self._asked += 1
        if dropped > self._told and self.isEnabledFor(logging.WARNING):
            text = "%d log records were dropped: handlers of records were too slow for them"
            self._emit(self._entry(logging.WARNING, text, (dropped - self._told,), None, None))
        self._told = dropped

    def _handle(self, entry: Union[_Entry, Callable[[], None]]) -> None:
        if isinstance(entry, _Entry):
            self._emit(entry)
        else:
            entry()

    def _emit(self, entry: _Entry) -> None:
        """Make a record and have it handled.

        Raises:
            BaseException: A signal handler raised it, or it is no `Exception`.
        """
        wrapped: Any = self.logger
        text, extra = entry.text, entry.extra
        try:
            while isinstance(wrapped, logging.LoggerAdapter):
                text, changed = wrapped.process(text, {"extra": extra})
                wrapped, extra = wrapped.logger, changed.get("extra")
            record = wrapped.makeRecord(
                wrapped.name,
                entry.level,
                entry.path,
                entry.line,
                text,
                entry.args,
                entry.exc_info,
                entry.function,
                extra,
            )
            _restore(record, entry)
            self._hide_secrets(record)
            wrapped.handle(record)
        except Exception as error:
            if raised_by_signal(error):
                raise
            with contextlib.suppress(Exception):
                _FAILURES.handleError(_plain_record(LOGGER_NAME, entry))

    def _hide_secrets(self, record: logging.LogRecord) -> None:
        """Show no traceback with a secret: a handler may raise what the server said."""
        if record.exc_info:
            shown = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            cleaned = self.words.without_secrets(shown)
            if cleaned != shown:
                record.exc_info, record.exc_text = None, cleaned


class SessionLogger(PackageLogger):
    """Logs for one session: its ids are attributes of each record, and part of its text.

    Args:
        request_id: This client's id of the session.
    """

    def __init__(self, request_id: str) -> None:
        super().__init__(logger.logger)
        self.request_id = request_id
        self.session_id: Optional[str] = None

    def _ids(self) -> dict[str, Optional[str]]:
        named = self.session_id
        if named is not None:
            named = self.words.clean(named, _LONGEST_ID)
        return {"request_id": self.request_id, "session_id": named}


_FAILURES = logging.NullHandler()
"""Shows on stderr what a user's logging raised."""


def _restore(record: logging.LogRecord, entry: _Entry) -> None:
    """Have a record say what was so when it was logged. What a factory set stays as it is."""
    for name, value in entry.ids.items():
        record.__dict__.setdefault(name, value)
    record.relativeCreated -= (record.created - entry.time) * 1000
    record.created = entry.time
    record.msecs = float(int(entry.time % 1 * 1000))
    if record.thread is not None:
        record.thread, record.threadName = entry.thread.ident, entry.thread.name


def _plain_record(name: str, entry: _Entry) -> logging.LogRecord:
    return logging.LogRecord(
        name, entry.level, entry.path, entry.line, entry.text, entry.args, None, entry.function
    )


def _plain(identifier: Optional[str]) -> str:
    """Return an id that is safe in a format string and on one line of a log."""
    return re.sub(r"[^\x21-\x24\x26-\x7e]", "?", str(identifier))


logging.getLogger(LOGGER_NAME).addHandler(logging.NullHandler())
logger = PackageLogger(logging.getLogger(LOGGER_NAME))
