"""`transcribe_many`: its arguments, checked, and the iterator that it returns."""

from __future__ import annotations

import copy
import inspect
import json
import os
from collections.abc import Generator, Iterable, Mapping, Sized
from typing import TYPE_CHECKING, Any, Callable, Literal, Optional, Union

from .._audio.byte_streams import is_bytes_like
from .._audio.sources import check_realtime
from .._client.arguments import checked_timeout, session_options
from .._client.client import Client, single_options
from .._client.multichannel import MultiChannelClient
from .._client.progress import ProgressCallback, ProgressReport, progress_report
from .._concurrency.executors import (
    DaemonThreads,
    Executor,
    ProcessPoolExecutor,
    runs_in_threads,
    size_of,
    submit,
)
from .._model.audio_format import AudioFormat
from .._model.checks import boolean, count
from .._model.reconnect_policy import ReconnectPolicy
from .._model.secret import Secret
from .._model.settings import argument, settings_of
from .._model.transcription_config import AudioEventsConfig, TranscriptionConfig, TranslationConfig
from ..errors import ConfigurationError, MissingKeyError
from .jobs import Job
from .leaving import OverProcesses, OverThreads
from .ledger import Ledger, OpenLedger, connect
from .run import Plan, Run
from .sources import pickling_problem
from .work import AnyClient, Call, Work

if TYPE_CHECKING:
    from typing_extensions import Unpack  # type checkers know it without the package

    from .options import Options

__all__ = ["transcribe_many"]

_SESSIONS = 10
"""How many sessions run at once where nothing says how many may."""

_OF_CLIENT = (
    "auth", "api_key", "url", "conn_config", "reconnect", "handler_errors", "sdk_identifier",
)  # fmt: skip
_CONFIGS: dict[str, Any] = {
    "transcription_config": TranscriptionConfig,
    "audio_format": AudioFormat,
    "translation_config": TranslationConfig,
    "audio_events_config": AudioEventsConfig,
}
_NOT_TAKEN = ("self", "source", "progress", "display", "on_interrupt", "expected_bytes")


def transcribe_many(
    sources: Iterable[object],
    *,
    executor: Optional[Executor] = None,
    max_sessions: Optional[int] = None,
    ordered: bool = False,
    ledger: Union[Ledger, str, os.PathLike[str], None] = None,
    on_error: Literal["keep", "raise"] = "keep",
    progress: Union[bool, ProgressCallback, None] = None,
    call: Optional[Call] = None,
    client: Optional[type[AnyClient]] = None,
    **options: Unpack[Options],
) -> Generator[Job, None, None]:
    """Transcribe many sources, several at a time; give a `Job` for each as it is finished.

    Arguments are checked at once, and sessions begin with the first step of the iteration. To close
    the iterator, to drop it or to leave it by an exception such as KeyboardInterrupt ends the
    sessions that run.

    Where the server has no room for a session (``quota_exceeded``, an HTTP 429 or 503), its source
    waits for its turn again, and fewer sessions run at once for a while.

    Args:
        sources: The sources, each as for `Client.transcribe`; an iterable without end is read no
            further than is needed. It is read in a thread of its own.
        executor: Where sessions run: any ``concurrent.futures.Executor``, such as a
            ``ProcessPoolExecutor``, or ``get_executor()`` of a client of Dask. By default threads
            of this process. It is not shut down. Without ``api_key`` or ``auth``, a client in
            another process takes its key from the environment there.
        max_sessions: How many sessions run at once: by default as many as the executor has workers,
            10 where that is not known.
        ordered: Give jobs in the order of their sources.
        ledger: The path of a file, or a `Ledger`, that keeps what is done: what is in it is not
            transcribed again.
        on_error: ``"keep"``: what ends a session is `Job.error`, and the others go on. ``"raise"``:
            the first error ends the sessions that run, and is raised after the jobs that were
            finished before. An error that is the same for all, a refused key, is always raised.
        progress: True shows a bar of files (extra ``progress``). A callable is called with how many
            are done, and how many there are or None if not known.
        call: Called in the worker, with a client, a source and the options of the session, in place
            of ``client.transcribe``; returns a `Transcript`. For sources that are opened there, and
            for handlers. Called once more where the server had no room.
        client: The class `MultiChannelClient`, whose sources are mappings; None: `Client`.
        options: The arguments of `Client` and of `Client.transcribe`, but ``progress``,
            ``display``, ``on_interrupt`` and ``expected_bytes``.

    Yields:
        A `Job` for each source.

    Raises:
        ConfigurationError: A setting is not allowed, or cannot be sent to another process.
        AuthenticationError: The key was refused.
        SessionError: The ledger cannot be written, or the executor takes no more sources: it was
            shut down, or one of its processes died.

    Example:
        >>> for job in transcribe_many(["agent.wav", "customer.wav"], max_sessions=2):
        ...     print(job.source, job.error or job.transcript.text)
    """
    given, kept = Secret[dict[str, Any]]({**options}), Secret[Any](ledger)
    del options, ledger  # tracebacks show arguments
    _check_sources(sources, channels=client is MultiChannelClient and call is None)
    executor = _checked_executor(executor)
    in_threads = runs_in_threads(executor)
    if on_error not in ("keep", "raise"):
        raise ConfigurationError(f"on_error is {on_error!r}; allowed: 'keep', 'raise'")
    client = Client if client is None else client
    if client not in (Client, MultiChannelClient):
        raise ConfigurationError(
            f"client is {client!r}; allowed: the class Client or MultiChannelClient"
        )
    if call is not None and not callable(call):
        raise ConfigurationError(f"call is of type {type(call).__name__}; allowed: a function")
    if max_sessions is None:
        max_sessions = size_of(executor) or _SESSIONS
    work = _checked_work(client, call, given, in_threads=in_threads)
    plan = Plan(
        work,
        executor,
        in_threads=in_threads,
        leaving=OverThreads(),
        most=argument("max_sessions", max_sessions, count),
        ordered=argument("ordered", ordered, boolean),
        stop_at_error=on_error == "raise",
    )
    return _jobs(sources, plan, _opened(kept, work), progress_report(progress, "files"))


def _jobs(
    sources: Iterable[Any],
    plan: Plan,
    ledger: Optional[OpenLedger],
    report: Optional[ProgressReport],
) -> Generator[Job, None, None]:
    total = len(sources) if isinstance(sources, Sized) else None
    done = 0
    if isinstance(plan.executor, ProcessPoolExecutor):
        submit(plan.executor, os.getpid)  # forks its processes now, before there are our threads
    if not plan.in_threads:
        plan = plan._replace(leaving=OverProcesses())
    run: Optional[Run] = None
    try:
        run = Run(sources, plan, ledger)
        while (job := run.take()) is not None:
            done += 1
            if report is not None:
                report.update(done, total)
            yield job
    finally:
        if run is not None:
            run.close()
        plan.leaving.end()
        if report is not None:
            report.close()


def _check_sources(sources: object, *, channels: bool) -> None:
    is_path = isinstance(sources, (str, os.PathLike))
    is_one = is_path or is_bytes_like(sources) or hasattr(sources, "read")
    if is_one or (channels and isinstance(sources, Mapping)):
        raise ConfigurationError(
            "sources is one source; allowed: an iterable of sources, such as a list of it"
        )
    if not isinstance(sources, Iterable):
        raise ConfigurationError(
            f"sources is of type {type(sources).__name__}; allowed: an iterable of sources"
        )


def _checked_executor(executor: Optional[Executor]) -> Executor:
    if executor is None:
        return DaemonThreads("session")
    if not isinstance(executor, Executor):
        hint = " (pass its get_executor())" if hasattr(executor, "get_executor") else ""
        raise ConfigurationError(
            f"executor is of type {type(executor).__name__}; "
            f"allowed: a concurrent.futures.Executor{hint}"
        )
    return executor


def _checked_work(
    kind: type[AnyClient],
    call: Optional[Call],
    given: Secret[dict[str, Any]],
    *,
    in_threads: bool,
) -> Work:
    """Return what workers do, with the options checked and copied.

    Raises:
        ConfigurationError: An option is not allowed.
        TypeError: There is no such option.
    """
    of_client = Secret(
        {name: given.reveal()[name] for name in _OF_CLIENT if name in given.reveal()}
    )
    of_call = Secret(
        {name: given.reveal()[name] for name in given.reveal() if name not in _OF_CLIENT}
    )
    of_call = Secret(
        {
            name: settings_of(_CONFIGS[name], name, value)
            if name in _CONFIGS
            else copy.deepcopy(value)
            for name, value in of_call.reveal().items()
        }
    )
    taken = inspect.signature(kind.transcribe).parameters
    for name in of_call.reveal():
        if name not in taken or name in _NOT_TAKEN:
            raise TypeError(f"transcribe_many() got an unexpected keyword argument {name!r}")
    try:
        kind(**of_client.reveal())
    except MissingKeyError:
        if in_threads:
            raise  # else the workers may have one
    reconnect = of_client.reveal().pop("reconnect", ReconnectPolicy())
    _check_options(kind, of_call)
    work = Work(kind, call, of_client, reconnect, of_call)
    if not in_threads:
        _check_sendable("call", Secret({"call": call}), "Define it at the top of a module")
        for options in (of_client, of_call):
            for name in options.reveal():
                _check_sendable(name, options, "Make it there, in a function passed as call=…")
    return work


def _check_sendable(name: str, options: Secret[dict[str, Any]], cure: str) -> None:
    problem = pickling_problem(options.reveal()[name])
    if problem is not None:
        raise ConfigurationError(
            f"{name}=… cannot be sent to a worker in another process: {problem}. {cure}"
        )


def _check_options(kind: type[AnyClient], given: Secret[dict[str, Any]]) -> None:
    options: Callable[..., Any] = single_options if kind is Client else session_options
    options(
        *map(given.reveal().get, _CONFIGS),
        Secret(given.reveal().get("ws_headers")),
        given.reveal().get("collect", True),
    )
    checked_timeout(given.reveal().get("timeout"))
    audio_format = given.reveal().get("audio_format")
    if given.reveal().get("realtime") and audio_format is not None:
        check_realtime(audio_format)


def _opened(given: Secret[Any], work: Work) -> Optional[OpenLedger]:
    """Return the ledger for a run; its file is there and can be written."""
    if given.reveal() is None:
        return None
    ledger = given.reveal() if isinstance(given.reveal(), Ledger) else Ledger(given.reveal())
    if not work.options.reveal().get("collect", True):
        raise ConfigurationError(
            "collect=False leaves no transcript that a ledger could keep: leave out one of them"
        )
    connect(ledger.path).close()
    configs = {name: work.options.reveal().get(name) for name in _CONFIGS}
    configs["transcription_config"] = configs["transcription_config"] or TranscriptionConfig()
    asked = {name: config.to_dict() for name, config in configs.items() if config is not None}
    return OpenLedger(ledger, json.dumps(asked, sort_keys=True), any_kind=work.call is not None)


transcribe_many.__module__ = "speechmatics_sync"  # which loads this one only when it is needed
