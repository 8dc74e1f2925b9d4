"""The command ``transcribe``."""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import re
import sys
import warnings
from typing import Any, Optional

from speechmatics_sync import (
    AudioEventsConfig,
    Client,
    ConfigurationError,
    ConnectionConfig,
    MultiChannelClient,
    ReconnectPolicy,
    TranscriptionConfig,
    __version__,
)
from speechmatics_sync.errors import MissingKeyError

from ._exits import INTERRUPTED, OK, OutputError, complain, leave, shown
from ._inputs import Input, inputs_of
from ._jobs import Job, Sessions, run_jobs
from ._outputs import Outputs
from ._parser import flags_of
from ._settings import Settings
from ._views import PlainView, View, rendered

__all__ = ["transcribe"]


def transcribe(arguments: argparse.Namespace) -> int:
    """Transcribe what the arguments name; return the exit code.

    Raises:
        SpeechmaticsError: It cannot be begun.
        OSError: Standard output cannot be written to.
    """
    settings = Settings(flags_of(arguments), profile=arguments.profile, file=arguments.config)
    _check(arguments)
    audio_format = settings.config("audio_format")
    inputs = inputs_of(arguments, audio_format)
    outputs = Outputs(
        arguments.output,
        arguments.format,
        inputs,
        resume=arguments.resume,
        follow=arguments.follow,
    )
    left = [each for each in inputs if not (arguments.resume and outputs.are_there(each))]
    view = _view(arguments, outputs, left)
    jobs = [
        Job(number, given, outputs, measured=view.live, verbose=arguments.verbose)
        for number, given in enumerate(left)
    ]
    if view.live:
        settings.default("enable-partials", True)
    with contextlib.ExitStack() as stack:
        stack.callback(view.close)
        stack.enter_context(_shown_records(view, arguments))
        kind: Any = MultiChannelClient if any(each.multichannel for each in inputs) else Client
        try:
            sessions = _sessions(kind, arguments, settings, stack, collect=outputs.whole)
        except MissingKeyError:
            for each in left:
                each.look()  # what is wrong with a file can be told without a key
            raise
        if arguments.verbose:
            for text in settings.told():
                view.note(text)
        try:
            interrupted = run_jobs(jobs, arguments.jobs, sessions, view)
        except KeyboardInterrupt as interrupt:
            view.close()
            leave(interrupt)
    _report(jobs, len(inputs), arguments)
    if not view.shows_text:
        _rescue(jobs)
    if interrupted:
        return 128 + interrupted
    return max((job.code for job in jobs), default=OK)


def _check(arguments: argparse.Namespace) -> None:
    if arguments.local and "url" in flags_of(arguments):
        raise ConfigurationError(
            "--local and --url both say which server transcribes: leave one out"
        )
    if arguments.jobs < 1:
        raise ConfigurationError(f"--jobs is {arguments.jobs}; allowed: 1 or more")
    if arguments.timeout is not None and not arguments.timeout > 0:
        raise ConfigurationError(f"--timeout is {arguments.timeout:g}; allowed: above 0 seconds")


def _sessions(
    kind: Any,
    arguments: argparse.Namespace,
    settings: Settings,
    stack: contextlib.ExitStack,
    *,
    collect: bool,
) -> Sessions:
    """Return how the inputs are transcribed.

    Args:
        kind: The class of the clients.
        arguments: What was asked for.
        settings: The settings.
        stack: Ends the embedded server of ``--local``.
        collect: Whether transcripts are needed; without them live audio may go on for ever.

    Raises:
        SpeechmaticsError: A setting is not allowed, or there is no key.
    """
    if arguments.local:
        from speechmatics_sync.local import LocalServer

        url: Optional[str] = stack.enter_context(LocalServer(max_sessions=arguments.jobs)).url
        auth: Any = ""
    else:
        url, auth = settings.get("url"), settings.auth()
    client = {
        "url": url,
        "auth": auth,
        "conn_config": settings.config("conn_config") or ConnectionConfig(),
        "reconnect": None
        if arguments.no_reconnect
        else settings.config("reconnect") or ReconnectPolicy(),
        "sdk_identifier": f"python-sync-cli-v{__version__}",
    }
    audio_events = settings.config("audio_events_config")
    if audio_events is None and arguments.audio_events:
        audio_events = AudioEventsConfig()
    options = {
        "transcription_config": settings.config("transcription_config") or TranscriptionConfig(),
        # A microphone says itself what it gives.
        "audio_format": None if arguments.mic else settings.config("audio_format"),
        "translation_config": settings.config("translation_config"),
        "audio_events_config": audio_events,
        "ws_headers": _headers(arguments.header),
        "timeout": arguments.timeout,
        "realtime": arguments.realtime,
        "collect": collect,
    }
    kind(**client)  # raises what is the same for every input
    return Sessions(kind, client, options)


def _headers(given: Optional[list[str]]) -> Optional[dict[str, str]]:
    if not given:
        return None
    headers = {}
    for header in given:
        name, separator, value = header.partition("=")
        if not separator:
            # Without it, as it may be a secret.
            raise ConfigurationError("--header is NAME=VALUE: write = after the name")
        headers[name] = value
    return headers


# -- what is shown ---------------------------------------------------------------------------------


def _view(arguments: argparse.Namespace, outputs: Outputs, inputs: list[Input]) -> View:
    """Return the view that fits standard output."""
    result = None if outputs.to_files else outputs.formats[0]
    stream = sys.stdout
    if stream is None:
        if result is not None:
            raise OutputError("standard output is closed: name a file with -o")
        return View()
    terminal = stream.isatty()
    if not terminal and result not in (None, "txt") and isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(
            encoding="utf-8", errors="replace"
        )  # what programs expect of these formats
    if terminal and not arguments.quiet and result in (None, "txt"):
        try:
            from ._terminal import TerminalView, live_console
        except ImportError:
            pass
        else:
            console = live_console(stream)
            if console is not None:
                return TerminalView(console, [each.name for each in inputs])
    if result is not None:
        return PlainView(stream, result)
    if terminal and not arguments.quiet:
        return PlainView(stream, "txt")
    return View()


@contextlib.contextmanager
def _shown_records(view: View, arguments: argparse.Namespace) -> Any:
    """Show warnings, and what the library logs, as sentences of the view."""
    level = [logging.WARNING, logging.INFO, logging.DEBUG][min(arguments.verbose, 2)]
    handler = _Handler(view, ids=bool(arguments.verbose))
    handler.setLevel(logging.ERROR if arguments.quiet else level)
    logger = logging.getLogger("speechmatics_sync")
    before = logger.level
    logger.setLevel(handler.level)
    logger.addHandler(handler)
    with warnings.catch_warnings():
        if not arguments.quiet:
            warnings.showwarning = lambda message, *_, **__: view.later(str(message))
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before)


class _Handler(logging.Handler):
    def __init__(self, view: View, *, ids: bool) -> None:
        super().__init__()
        self._view = view
        self._ids = ids

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR and hasattr(record, "request_id") and not self._ids:
            return  # a session says it with the error that it raises
        text = self.format(record)
        self._view.later(text if self._ids else re.sub(r" \[request_id=\S* \S*\]$", "", text))


def _rescue(jobs: list[Job]) -> None:
    """Write to standard output what was heard and could not be saved: it is nowhere else."""
    for job in jobs:
        if job.unsaved and job.transcript is not None and sys.stdout is not None:
            sys.stdout.write(rendered(job.transcript, "txt").rstrip("\n") + "\n")
            sys.stdout.flush()


def _report(jobs: list[Job], count: int, arguments: argparse.Namespace) -> None:
    """Say what failed, and with several files how many did not."""
    several = count > 1
    for job in jobs:
        name = f"{job.given.name}: " if several else ""
        if job.problem:
            complain(f"{name}{job.problem}")
            if arguments.verbose > 1:
                sys.stderr.write(job.trace)
        if job.saved and (job.problem or arguments.verbose):
            kept = ", ".join(map(shown, job.saved))
            complain(f"{name}saved as {kept}")
    if several:
        done = sum(job.done for job in jobs)
        failed = sum(bool(job.problem) for job in jobs)
        cut = sum(job.code == INTERRUPTED and not job.done and not job.problem for job in jobs)
        others = {
            "left out": count - len(jobs),
            "failed": failed,
            "cut short": cut,
            "not begun": len(jobs) - done - failed - cut,
        }
        parts = [f"{done} of {count} transcribed"]
        parts += [f"{number} {what}" for what, number in others.items() if number]
        text = ", ".join(parts)
        if failed or not arguments.quiet:
            complain(text)
