"""Workers in other processes: what is sent to them, what comes back, and how they end."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import pickle
import ssl
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Callable

import pytest
from support.numbered import audio
from support.secrecy import KEY, all_said_by, everything_logged
from support.sessions import RAW

from speechmatics_sync import (
    AudioError,
    AuthBase,
    Client,
    ConfigurationError,
    ConnectionConfig,
    ReconnectPolicy,
    SessionError,
    SpeechmaticsError,
    StaticKeyAuth,
    Transcript,
    transcribe_many,
)
from speechmatics_sync.local import CountedRecognizer, LocalServer, counted_audio

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(recognizer=CountedRecognizer(), max_sessions=2, api_keys=[KEY]) as server:
        yield server


@contextlib.contextmanager
def forked(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that run already."""
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        # From 3.12 on: forking with threads may deadlock.
        warnings.simplefilter("ignore", DeprecationWarning)
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            pool.submit(os.getpid).result()
            yield pool


@pytest.fixture(scope="module")
def pool(server: LocalServer) -> Iterator[ProcessPoolExecutor]:
    """Processes with a key and a server in their environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPEECHMATICS_API_KEY", KEY)
        patch.setenv("SPEECHMATICS_RT_URL", server.url)
        with forked(2) as pool:
            patch.undo()
            yield pool


class Pickling(Executor):
    """An executor that pickles what it gets and what it returns, and shows all of it in its log."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.calls: list[bytes] = []

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.log.append(repr((call, args, kwargs)))
        self.calls.append(pickle.dumps((call, args, kwargs)))
        future: Future[Any] = Future()

        def run() -> None:
            call, args, kwargs = pickle.loads(self.calls[-1])
            outcome = call(*args, **kwargs)
            self.log.append(repr(outcome))
            future.set_result(pickle.loads(pickle.dumps(outcome)))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        return future


def many(sources: Any, **options: Any) -> Any:
    return transcribe_many(sources, **{"audio_format": RAW, "ordered": True, **options})


def test_a_worker_has_its_key_from_its_own_environment(
    pool: ProcessPoolExecutor, tmp_path: Path
) -> None:
    path = tmp_path / "two.raw"
    path.write_bytes(audio(2))
    jobs = list(many([audio(1), path, io.BytesIO(audio(3))], executor=pool))
    assert [job.error or job.transcript.text for job in jobs] == ["w1.", "w2.", "w3."]
    assert [job.attempts for job in jobs] == [1, 1, 1]


@pytest.mark.parametrize(
    "key",
    [{"api_key": KEY}, {"auth": KEY}, {"auth": StaticKeyAuth(KEY)}],
    ids=lambda key: next(iter(key)),
)
def test_a_key_that_is_passed_reaches_the_workers_and_shows_nowhere(
    key: Any, server: LocalServer
) -> None:
    executor = Pickling()
    with everything_logged() as said:
        jobs = list(many([audio(1), b""], executor=executor, url=server.url, **key))
    assert jobs[0].transcript.text == "w1."
    assert isinstance(jobs[1].error, AudioError)
    assert KEY.encode() in executor.calls[0]
    shown = "".join([*executor.log, *said, repr(jobs), all_said_by(jobs[1].error)])
    assert len(executor.log) == 4
    assert KEY not in shown


def test_each_task_is_another_one_even_of_one_source(server: LocalServer) -> None:
    """Dask makes calls with the same arguments once."""
    executor = Pickling()
    list(many([audio(1), audio(1)], executor=executor, url=server.url, api_key=KEY))
    assert len(set(executor.calls)) == 2


def test_what_a_process_cannot_get_is_an_error_of_its_job(pool: ProcessPoolExecutor) -> None:
    with open(__file__, "rb") as file:
        sources = [file, (audio(1) for _ in range(1)), audio(2), {"a": file}]
        jobs = list(many(sources, executor=pool))
    kinds = ["BufferedReader", "generator", "", "BufferedReader"]
    for job, kind in zip(jobs, kinds):
        assert isinstance(job.error, AudioError) == bool(kind)
        assert not kind or f"cannot get a source of type {kind}" in str(job.error)


class Locked(AuthBase):
    """Cannot be pickled."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def get_auth_headers(self) -> dict[str, str]:
        return {}


@pytest.mark.parametrize(
    "options",
    [
        {"auth": Locked()},
        {"conn_config": ConnectionConfig(ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))},
        {"call": lambda client, source: Transcript()},
    ],
    ids=lambda options: next(iter(options)),
)
def test_options_that_a_process_cannot_get_are_refused_before_anything_begins(
    options: Any, server: LocalServer
) -> None:
    (name,) = options
    with pytest.raises(ConfigurationError, match=f"{name}=… cannot be sent to a worker"):
        many([audio(1)], executor=Pickling(), url=server.url, **options)


class StubbornError(Exception):
    """Can be pickled, and not be loaded again."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__("stubborn")


def fail(client: Client, source: int, **options: Any) -> Transcript:
    if source:
        raise StubbornError(1, 2)
    raise LookupError("no such row")


def test_an_error_of_any_class_comes_back_with_its_traceback() -> None:
    url = {"url": "ws://127.0.0.1:1"}
    plain, stubborn = many([0, 1], executor=Pickling(), call=fail, **url)
    assert isinstance(plain.error, LookupError)
    assert plain.error.args == ("no such row",)
    assert "in fail" in str(plain.error.__cause__)
    assert type(stubborn.error) is SpeechmaticsError
    assert str(stubborn.error) == "StubbornError: stubborn"


def test_refused_sources_are_tried_on_whatever_worker(server: LocalServer) -> None:
    policy = ReconnectPolicy(busy_delay=0.05)
    options = {"reconnect": policy, "url": server.url, "api_key": KEY, "max_sessions": 4}
    with forked(4) as more:
        jobs = list(many(map(audio, range(1, 13)), executor=more, **options))
    assert [job.transcript.text for job in jobs] == [f"w{at}." for at in range(1, 13)]
    assert max(job.attempts for job in jobs) > 1


def meet(path: str, mode: str) -> None:
    """Wait at a named pipe until another process comes to its other end."""
    with open(path, mode):
        pass


def long(client: Client, source: tuple[str, str], **options: Any) -> Transcript:
    """A session of three minutes, and a short one that ends when the long one has begun."""
    path, mode = source
    if mode == "r":
        meet(path, mode)
        return client.transcribe(audio(1), **options)
    client.on("RecognitionStarted", lambda message: meet(path, mode))
    return client.transcribe(counted_audio(400), realtime=True, **options)


def test_leaving_ends_the_sessions_of_processes(pool: ProcessPoolExecutor, tmp_path: Path) -> None:
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    jobs = many([(path, "w"), (path, "r")], executor=pool, call=long, ordered=False)
    assert next(jobs).transcript.text == "w1."
    jobs.close()
    both = [pool.submit(meet, path, mode) for mode in "rw"]
    assert [each.result(20) for each in both] == [None, None], "both processes are free again"


def die(client: Client, source: int, **options: Any) -> Transcript:
    if source == 2:
        os._exit(1)
    return client.transcribe(audio(1), **options)


def test_a_worker_that_dies_is_an_error_of_its_job_and_then_of_the_executor(
    server: LocalServer,
) -> None:
    with forked(1) as pool:
        jobs = many([1, 2, 3], executor=pool, call=die, url=server.url, api_key=KEY, max_sessions=1)
        assert next(jobs).transcript.text == "w1."
        assert isinstance(next(jobs).error, BrokenProcessPool)
        with pytest.raises(
            SessionError, match=r"no more sources: BrokenProcessPool.*ledger"
        ) as ended:
            next(jobs)
        assert isinstance(ended.value.__cause__, BrokenProcessPool)
        with pytest.raises(SessionError, match="no more sources"):
            next(many([1], executor=pool, call=die, url=server.url, api_key=KEY))
