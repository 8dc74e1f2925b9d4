"""Transcribes several inputs with `transcribe_many`, and shows what is heard meanwhile.

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

from speechmatics_sync import (
    Line,
    SessionError,
    SpeechmaticsError,
    Transcript,
    transcribe_many,
)

from ._exits import AUTHENTICATION, INTERRUPTED, OK, USAGE, OutputError, exit_code, sentence
from ._inputs import Heard, Input
from ._outputs import Outputs
from ._views import Progress, View

__all__ = ["Job", "Sessions", "run_jobs"]

_TICK = 0.1
"""Seconds between two looks at what has changed without a message: signals, progress, the level."""

_WAITING = 1000
"""How many lines may wait to be shown before the sessions wait too."""


class Sessions(NamedTuple):
    """How the inputs are transcribed.

    Args:
        kind: The class of the clients.
        client: Their arguments.
        options: The arguments of their calls.
    """

    kind: Any
    client: dict[str, Any]
    options: dict[str, Any]


class Job:
    """One input: transcribes it and saves what was heard.

    Args:
        number: Its place among the inputs.
        given: The input.
        outputs: Where to save.
        measured: Whether it matters how long it is.
        verbose: How often ``-v`` was given.

    Attributes:
        given: The input.
        begun: Whether it has begun.
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
        self,
        number: int,
        given: Input,
        outputs: Outputs,
        *,
        measured: bool = False,
        verbose: int = 0,
    ) -> None:
        self.number = number
        self._measured = measured
        self._verbose = verbose
        self.given = given
        self.code = OK
        self.done = self.unsaved = False
        self.problem = ""
        self.trace = ""
        self.saved: list[Any] = []
        self.progress = Progress(given.name.rpartition("/")[2] or given.name)
        self.transcript: Optional[Transcript] = None
        self._outputs = outputs
        self.begun = False
        self._client: Any = None
        self._started = False
        self._finishing = False
        self._closed = False

    def transcribe(
        self, client: Any, options: dict[str, Any], show: Callable[[Line], None]
    ) -> Transcript:
        """Transcribe with a client, and save; called again if the server had no room."""
        self.begun, self._started = True, False
        try:
            with self.given.opened() as heard:
                return self._transcribe(heard, client, options, show)
        finally:
            self.progress.running = False

    def finish(self) -> None:
        """End the audio; what was said until now is transcribed. Safe from any thread."""
        self._finishing = True
        client = self._client
        if client is None:
            return  # `_transcribe` looks at `_finishing` next
        with contextlib.suppress(SpeechmaticsError):
            if client.session_id is not None:  # what was sent is transcribed
                client.end_of_stream()
            else:
                client.close()

    def close(self) -> None:
        """End the session now."""
        self._closed = self._finishing = True
        if self._client is not None:
            self._client.close()

    def _transcribe(
        self, heard: Heard, client: Any, options: dict[str, Any], show: Callable[[Line], None]
    ) -> Transcript:
        self.progress.level = heard.level
        if self._measured:
            self.progress.total = self.given.seconds()
        with self._outputs.growing(self.given) as files:
            self._client = client
            if files is not None:
                files.listen(client)
            if self._finishing:
                raise SessionError("Interrupted.")
            self.progress.running = True
            with client.stream(heard.source, progress=self.progress.update, **options) as stream:
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
        transcript: Transcript = stream.transcript
        return transcript

    def fail(self, error: Exception) -> None:
        """Take note of what ended it, and save what was heard until then."""
        self.code = INTERRUPTED if self._finishing else exit_code(error)
        if self._closed or (self._finishing and not self._started):
            return  # nothing was said yet
        self.problem = sentence(error, verbose=self._verbose)
        self.trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        self.unsaved = isinstance(error, OutputError)
        if self.unsaved or self.transcript is None or not self.transcript.results:
            return
        try:
            self.saved = self._outputs.save(self.given, self.transcript, partial=True)
        except OutputError as another:
            self.unsaved = True
            self.problem += f"; {sentence(another, verbose=self._verbose)}"


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


def run_jobs(jobs: Sequence[Job], at_a_time: int, sessions: Sessions, view: View) -> int:
    """Run jobs, and show what they hear; return the signal that ended them, or 0.

    A key that was refused or a setting that is wrong ends them all: it is the same for each.

    Raises:
        ConfigurationError: A setting is wrong.
        KeyboardInterrupt: A signal came a second time; it has its number.
        OSError: The view cannot be written to.
    """
    events: queue.Queue[tuple[Job, Optional[Line]]] = queue.Queue(_WAITING)
    stopped, abandoned = threading.Event(), threading.Event()

    def call(client: Any, job: Job, **options: Any) -> Transcript:
        if stopped.is_set():
            job.begun = False
            raise SessionError("Not begun.")
        if job.given.live:
            # It waits itself for a server that has no room: what was read cannot be read again.
            client = sessions.kind(**sessions.client)
        with client:
            return job.transcribe(client, options, functools.partial(post, job))

    def work() -> None:
        try:
            for finished in transcribed:
                job = finished.source
                if finished.error is not None and job.begun:
                    job.fail(finished.error)
                if job.code in (USAGE, AUTHENTICATION):
                    stopped.set()
                post(job, None)
        except Exception as error:  # such as a key that is refused, and the same for all
            for job in jobs:
                if job.begun and not (job.done or job.code):
                    job.fail(error)
                    post(job, None)

    def post(job: Job, line: Optional[Line]) -> None:
        while True:
            try:
                events.put((job, line), timeout=_TICK)
                return
            except queue.Full:
                if abandoned.is_set():
                    return

    transcribed = transcribe_many(
        _until(stopped, jobs),
        max_sessions=at_a_time,
        call=call,
        client=sessions.kind,
        **sessions.client,
        **sessions.options,
    )
    thread = threading.Thread(target=work, name="transcribe", daemon=True)
    with _Interrupts() as interrupts:
        try:
            thread.start()
            _show(jobs, thread, events, interrupts, stopped, view)
            view.show_notes()
        except BaseException as error:
            stopped.set()
            abandoned.set()
            if not isinstance(error, KeyboardInterrupt):
                for job in jobs:
                    job.close()
                thread.join()
            raise
    return interrupts.came


def _until(stopped: threading.Event, jobs: Sequence[Job]) -> Iterator[Job]:
    for job in jobs:
        if stopped.is_set():
            return
        yield job


def _show(
    jobs: Sequence[Job],
    thread: threading.Thread,
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
        alive = thread.is_alive()
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
