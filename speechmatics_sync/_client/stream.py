"""An iterator over the messages of a session."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from .._concurrency.deadlines import Deadline, interruptible
from .._concurrency.one_process import OneProcess
from .._help import made_here
from .._model.messages import ServerMessageType
from .._session.session import End, Session
from .._transcript.lines import Line, LiveText
from .._transcript.server_sent_events import (
    KEEP_ALIVE,
    KEEP_ALIVE_SECONDS,
    LAST_EVENT,
    checked_keep_alive,
    line_event,
)
from .._transcript.transcript import Transcript
from ..errors import SpeechmaticsError, TimeoutError, TransportError
from .interrupts import Interrupts
from .progress import ProgressReport

if TYPE_CHECKING:
    from .display import SessionDisplay

__all__ = ["Stream"]

_TICK = 0.1
"""Seconds between two looks at the progress, or for a Ctrl-C that was noted."""

_ACKNOWLEDGEMENTS = (
    ServerMessageType.AUDIO_ADDED.value,
    ServerMessageType.CHANNEL_AUDIO_ADDED.value,
)


@made_here
class Stream(OneProcess, Iterator[dict[str, Any]]):
    """The messages of a running session, in the order in which the server sent them.

    Returned by `Client.stream`. Each step of the iteration blocks until the next message. It stops
    after EndOfTranscript, and raises the error if the session fails. Acknowledgements of audio are
    left out. The client's handlers of a message run in the iterating thread, before the message is
    returned.

    Leaving the ``with`` block early, or dropping the stream, ends the session.

    Example:
        >>> with client.stream("call.wav") as stream:
        ...     for message in stream:
        ...         if message["message"] == "AddTranscript":
        ...             print(message["metadata"]["transcript"])
    """

    __module__ = "speechmatics_sync"  # which loads this one only when it is needed

    def __init__(
        self,
        session: Session,
        dispatch: Callable[[Session, dict[str, Any]], None],
        deadline: Deadline,
        progress: Optional[ProgressReport],
        display: Optional[SessionDisplay],
        interrupts: Optional[Interrupts],
    ) -> None:
        self._session = session
        self._dispatch = dispatch
        self._deadline = deadline
        self._progress = progress
        self._display = display
        self._interrupts = interrupts
        self._live: Optional[LiveText] = None
        self._dropped = session.end_with(self)

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> dict[str, Any]:
        """Return the next message.

        Raises:
            SpeechmaticsError: The session failed before everything was transcribed.
            TimeoutError: The ``timeout`` passed to `Client.stream` is over.
        """
        try:
            message = self._pull()
        except StopIteration as error:
            # A handler raised it; passed on, it would end the iteration as if nothing was wrong.
            raise RuntimeError("a handler raised StopIteration: have it catch that") from error
        if message is None:
            raise StopIteration
        if self._display is not None:
            self._display.clear()  # who iterates may print
        return message

    def lines(self) -> Iterator[Line]:
        """Iterate over the text of the session, line by line, as a person reads it.

        It pulls the messages of the stream, as iterating over the stream does: handlers run, errors
        come out, and it ends after EndOfTranscript, when every line is final. What was pulled
        elsewhere is in no line, so a program pulls either messages or lines. Called again, it goes
        on where it was.

        With ``TranscriptionConfig(enable_partials=True)`` a line is given again whenever it has
        grown, with the same ``id``; otherwise words come with the finals.

        Raises:
            SpeechmaticsError: As in iterating over the stream. Lines that were not final are not
                given again.

        Example:
            >>> with client.stream("audio.wav") as stream:
            ...     for line in stream.lines():
            ...         if line.is_final:
            ...             print(line.text)
            hello world.
        """
        for message in self:
            yield from self._lines_of(message)

    def events(self, *, keep_alive: float = KEEP_ALIVE_SECONDS) -> Iterator[str]:
        """Iterate over `lines` as server-sent events: the body of one response of a web server.

        Each line is an event, as `LineBroadcast.events` describes it; the last one, after
        EndOfTranscript, is ``end``. When the web server closes the iterator, because the browser is
        gone, the session ends.

        Args:
            keep_alive: Seconds without a line after which a comment is sent, at most 3600. It
                keeps proxies from closing the connection, and shows that a browser is gone.

        Raises:
            SpeechmaticsError: As in iterating over the stream: an event of your own may tell it.

        Example:
            >>> for event in client.stream("audio.wav").events():
            ...     print(event, end="")
        """
        events = self._events(checked_keep_alive(keep_alive))
        next(events)
        return events

    def _events(self, keep_alive: float) -> Iterator[str]:
        try:
            yield ""  # a generator that has not begun would not notice that it is closed
            while True:
                message = self._next(Deadline(keep_alive))
                if isinstance(message, End):
                    break
                if message is None:
                    yield KEEP_ALIVE
                    continue
                for line in self._lines_of(message):
                    yield line_event(line)
            yield LAST_EVENT
        except GeneratorExit:
            self.close()
            raise

    def _lines_of(self, message: dict[str, Any]) -> list[Line]:
        """Add a message to the live text; return the lines that it changes."""
        if self._live is None:
            pack = self._session.identity.language_pack_info
            self._live = LiveText(word_delimiter=" " if pack is None else pack.word_delimiter)
        try:
            return self._live.add(message)
        except TransportError as error:
            self._session.fail(error, discard=True)
            self._leave(error)
            raise

    def _run(self) -> Transcript:
        """Run the handlers of all messages; return the transcript."""
        with self:
            while self._pull() is not None:
                pass
        return self.transcript

    def _pull(self) -> Optional[dict[str, Any]]:
        """Return the next message, or None after the last; raise what a handler raises, unchanged.

        The session is closed after the last message and after any error.
        """
        message = self._next(Deadline(None))
        return None if isinstance(message, End) else message

    def _next(self, patience: Deadline) -> Union[dict[str, Any], End, None]:
        """Return the next message, END after the last, or None if none came in time."""
        session = self._session
        display = self._display
        waits = self._progress is None and self._interrupts is None and display is None
        tick = None if waits else _TICK
        try:
            while True:
                if self._deadline.passed():
                    limit = self._deadline.seconds
                    late = TimeoutError(
                        f"The whole call took longer than timeout ({limit} s): pass a larger one, "
                        "or None."
                    )
                    session.fail(late, discard=True)
                if self._interrupts is not None and self._interrupts.take():
                    self._end_audio()
                if display is not None:
                    display.tick()
                wait = self._deadline.remaining(at_most=patience.remaining(at_most=tick))
                message = session.next_message(interruptible(wait))
                try:
                    if self._progress is not None:
                        self._report(self._progress)
                    if isinstance(message, dict):
                        if display is not None:
                            display.add(message)
                        self._dispatch(session, message)
                except BaseException as error:
                    session.fail(error, discard=True)
                    raise
                if isinstance(message, End):
                    break
                if message is not None and message.get("message") not in _ACKNOWLEDGEMENTS:
                    return message
                if message is None and patience.passed():
                    return None
        except BaseException as error:
            self._leave(error)
            raise
        self.close()
        return message

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._leave(exc)

    @property
    def transcript(self) -> Transcript:
        """The transcript so far."""
        return self._session.identity.transcript

    def close(self) -> None:
        """End the session now, and wait until its threads are gone. Idempotent."""
        self._leave(None)

    def _wait_until_started(self) -> None:
        """Block until the session has started; raise the error if it fails instead."""
        try:
            self._session.wait_until_started(self._deadline)
        except SpeechmaticsError as error:
            self._session.fail(error)
            while self._pull() is not None:  # runs the handlers of what came, then raises the error
                pass
        except BaseException as error:
            self._leave(error)
            raise

    def _leave(self, error: Optional[BaseException]) -> None:
        if not self._dropped.alive:
            return  # closed before
        if self._display is not None:
            # First: another Ctrl-C, while the session closes, must find the terminal in order.
            self._display.close()
        self._session.close(error)
        if self._progress is not None:
            self._progress.close()
        if self._interrupts is not None:
            self._interrupts.remove()
        self._dropped.detach()  # last: an interrupt before this leaves the session to close again

    def _end_audio(self) -> None:
        session = self._session
        session.log.info("Interrupted: the audio ends here, and the rest of it is transcribed")
        # If the session has just ended, `next_message` says how.
        with contextlib.suppress(Exception):
            session.outbox.end_of_stream()

    def _report(self, progress: ProgressReport) -> None:
        session = self._session
        total = session.total_seconds
        done = session.stats.seconds_acknowledged
        if done is None:
            done = session.meter.final_end or 0.0
        if total is not None:
            done = min(done, total)
        progress.update(done, total)
