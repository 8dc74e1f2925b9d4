"""Transcribes several inputs, some at a time, each in a thread of its own.

The main thread shows what comes and takes signals: a Ctrl-C there interrupts no session at an
unknown line.
"""

from __future__ import annotations

import contextlib
import functools
import queue
import signal
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any, Callable, NamedTuple, Optional

from speechmatics_sync import Line, SessionError, SpeechmaticsError, Transcript

from ._exits import AUTHENTICATION, INTERRUPTED, OK, USAGE, OutputError, exit_code, sentence
from ._inputs import Heard, Input
from ._outputs import Outputs
from ._views import Progress, View

__all__ = ["Job", "run_jobs"]

_TICK = 0.1
"""Seconds between two looks at what has changed without a message: signals, progress, the level."""

_WAITING = 1000
"""How many lines may wait to be shown before the sessions wait too."""


class Session(NamedTuple):
    """A client and its call.

    Args:
        client: The client.
        stream: Starts its session with a source and a callback for progress; returns the `Stream`.
    """

    client: Any
    stream: Callable[[Any, Callable[[float, Optional[float]], None]], Any]


class Job:
    """One input: transcribes it and saves what was heard.

    Args:
        number: Its place among the inputs.
        given: The input.
        outputs: Where to save.
        measured: Whether it matters how long it is.

    Attributes:
        given: The input.
        code: The exit code, once it has ended.
        done: Whether all of it was transcribed and saved.
        problem: What went wrong, in one sentence; "" if nothing did.
        trace: The traceback of it.
        saved: The files that were written.
        progress: How far it is; changes while it runs.
        transcript: What was heard.
        unsaved: Whether that could not be written.
    """

    def __init__(
        self, number: int, given: Input, outputs: Outputs, *, measured: bool = False
    ) -> None:
        self.number = number
        self._measured = measured
        self.given = given
        self.code = OK
        self.done = self.unsaved = False
        self.problem = ""
        self.trace = ""
        self.saved: list[Any] = []
        self.progress = Progress(given.name.rpartition("/")[2] or given.name)
        self.transcript: Optional[Transcript] = None
        self._outputs = outputs
        self._client: Any = None
        self._started = False
        self._finishing = False
        self._closed = False

    def run(self, session_for: Callable[[Input], Session], show: Callable[[Line], None]) -> None:
        """Transcribe; never raises."""
        try:
            with self.given.opened() as heard:
                self._transcribe(heard, session_for(self.given), show)
        except Exception as error:
            self._fail(error)
        finally:
            self.progress.running = False

    def finish(self) -> None:
        """End the audio; what was said until now is transcribed. Safe from any thread."""
        self._finishing = True
        client = self._client
        if client is None:
            return  # `_transcribe` looks at `_finishing` next
        with contextlib.suppress(SpeechmaticsError):
            if self._started:
                client.end_of_stream()
            else:
                client.close()

    def close(self) -> None:
        """End the session now."""
        self._closed = self._finishing = True
        if self._client is not None:
            self._client.close()

    def _transcribe(self, heard: Heard, session: Session, show: Callable[[Line], None]) -> None:
        self.progress.level = heard.level
        if self._measured:
            self.progress.total = self.given.seconds()
        with self._outputs.growing(self.given) as files, session.client as client:
            self._client = client
            if files is not None:
                files.listen(client)
            if self._finishing:
                raise SessionError("Interrupted.")
            self.progress.running = True
            with session.stream(heard.source, self.progress.update) as stream:
                self.transcript = stream.transcript
                self._started = True
                self.progress.begin()
                if self._finishing:
                    self.finish()
                for line in stream.lines():
                    if files is not None:
                        files.line(line)
                    show(line)
        if self._finishing:
            self.code = INTERRUPTED
        if not self._closed:
            whole = self.given.live or not self._finishing
            partial = not whole and self._outputs.apart
            self.saved = self._outputs.save(self.given, stream.transcript, partial=partial)
            self.done = whole

    def _fail(self, error: Exception) -> None:
        self.code = INTERRUPTED if self._finishing else exit_code(error)
        if self._closed or (self._finishing and not self._started):
            return  # nothing was said yet
        self.problem = sentence(error)
        self.trace = traceback.format_exc()
        self.unsaved = isinstance(error, OutputError)
        if self.unsaved or self.transcript is None or not self.transcript.results:
            return
        try:
            self.saved = self._outputs.save(self.given, self.transcript, partial=True)
        except OutputError as another:
            self.unsaved = True
            self.problem += f"; {sentence(another)}"


class _Interrupts:
    """Takes Ctrl-C and SIGTERM: the first is for `run_jobs` to look at, the second is raised.

    Attributes:
        came: The number of the first; 0 until it comes.
    """

    def __init__(self) -> None:
        self.came = 0

    def __enter__(self) -> _Interrupts:
        self._previous = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
        for number, handler in self._previous.items():
            if handler is not signal.SIG_IGN:  # as in the background of a shell
                signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: Optional[FrameType]) -> None:
        if self.came:
            raise KeyboardInterrupt(number)
        self.came = number


def run_jobs(
    jobs: Sequence[Job], at_a_time: int, session_for: Callable[[Input], Session], view: View
) -> int:
    """Run jobs, and show what they hear; return the signal that ended them, or 0.

    A key that was refused or a setting that is wrong ends them all: it is the same for each.

    Raises:
        KeyboardInterrupt: A signal came a second time; it has its number.
        OSError: The view cannot be written to.
    """
    events: queue.Queue[tuple[Job, Optional[Line]]] = queue.Queue(_WAITING)
    stopped = threading.Event()
    waiting = iter(jobs)
    lock = threading.Lock()

    def work() -> None:
        for job in _taken(waiting, lock, stopped):
            job.run(session_for, functools.partial(post, job))
            if job.code in (USAGE, AUTHENTICATION):
                stopped.set()
            post(job, None)

    def post(job: Job, line: Optional[Line]) -> None:
        while True:
            try:
                events.put((job, line), timeout=_TICK)
                return
            except queue.Full:
                if abandoned.is_set():
                    return

    abandoned = threading.Event()
    threads = [
        threading.Thread(target=work, name=f"transcribe-{number}", daemon=True)
        for number in range(min(at_a_time, len(jobs)))
    ]
    with _Interrupts() as interrupts:
        try:
            for thread in threads:
                thread.start()
            _show(jobs, threads, events, interrupts, stopped, view)
            view.show_notes()
        except BaseException as error:
            stopped.set()
            abandoned.set()
            if not isinstance(error, KeyboardInterrupt):
                for job in jobs:
                    job.close()
                for thread in threads:
                    thread.join()
            raise
    return interrupts.came


def _taken(jobs: Iterator[Job], lock: threading.Lock, stopped: threading.Event) -> Iterator[Job]:
    while not stopped.is_set():
        with lock:
            job = next(jobs, None)
        if job is None:
            return
        yield job


def _show(
    jobs: Sequence[Job],
    threads: Sequence[threading.Thread],
    events: queue.Queue[tuple[Job, Optional[Line]]],
    interrupts: _Interrupts,
    stopped: threading.Event,
    view: View,
) -> None:
    told = False
    looked = time.monotonic()
    while True:
        if interrupts.came and not told:
            told = True
            stopped.set()
            view.note("finishing; Ctrl-C again leaves at once")
            for job in jobs:
                job.finish()
        alive = any(thread.is_alive() for thread in threads)
        try:
            job, line = events.get(timeout=_TICK)
        except queue.Empty:
            if not alive:
                return
        else:
            if line is not None:
                view.line(job.number, line)
            else:
                view.ended(job.number, job.transcript if job.code == OK else None)
        if time.monotonic() - looked >= _TICK or events.empty():
            looked = time.monotonic()
            view.show_notes()
            view.tick([job.progress for job in jobs if job.progress.running])
