"""Many sources, each in a session: what comes out, in which order, and how it ends."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Optional

import pytest
from support.forking import in_child
from support.numbered import audio
from support.places import ROOT
from support.serving import PATIENCE
from support.sessions import RAW, Blocking, InThread, let_sources_go, wait_for

from speechmatics_sync import (
    AudioError,
    AuthenticationError,
    Client,
    ConfigurationError,
    Job,
    MultiChannelClient,
    ReconnectPolicy,
    Transcript,
    TranscriptionConfig,
    TranscriptionError,
    transcribe_many,
)
from speechmatics_sync.local import CountedRecognizer, LocalServer

__all__ = ["let_sources_go"]


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(recognizer=CountedRecognizer(), max_sessions=2, api_keys=["a-key"]) as server:
        yield server


@pytest.fixture(autouse=True)
def environment(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEECHMATICS_RT_URL", server.url)
    monkeypatch.setenv("SPEECHMATICS_API_KEY", "a-key")


def many(sources: Any, **options: Any) -> Any:
    """Two sessions at a time, which is what the server lets run."""
    return transcribe_many(sources, **{"max_sessions": 2, "audio_format": RAW, **options})


@pytest.mark.parametrize("workers", [None, 2])
def test_each_source_gives_its_own_transcript(tmp_path: Path, workers: Optional[int]) -> None:
    path = tmp_path / "three.raw"
    path.write_bytes(audio(3))
    sources = [audio(1), io.BytesIO(audio(2)), path, iter([audio(4)])]
    # The server would refuse a third session at once.
    with contextlib.ExitStack() as stack:
        options: dict[str, Any] = {"reconnect": None}
        if workers is not None:
            executor = stack.enter_context(ThreadPoolExecutor(workers))
            options.update(executor=executor, max_sessions=None)
        jobs = list(many(sources, **options))
    heard = {id(job.source): job.transcript.text for job in jobs}
    assert heard == {id(source): f"w{at}." for at, source in enumerate(sources, 1)}
    assert [(job.error, job.attempts) for job in jobs] == 4 * [(None, 1)]
    assert all(job.seconds > 0 for job in jobs)


def test_jobs_come_as_they_are_finished_or_in_the_order_of_their_sources() -> None:
    slow = Blocking(audio(1))
    jobs = many([slow, audio(2), audio(3)])
    assert [next(jobs).transcript.text, next(jobs).transcript.text] == ["w2.", "w3."]
    slow.released.set()
    assert [job.transcript.text for job in jobs] == ["w1."]

    ordered = many([Blocking(audio(1)), *map(audio, (2, 3))], ordered=True, call=releasing)
    assert [job.transcript.text for job in ordered] == ["w1.", "w2.", "w3."]


held: list[Blocking] = []


def releasing(client: Client, source: Any, **options: Any) -> Transcript:
    """Transcribe; the first source ends when the second is done."""
    if isinstance(source, Blocking):
        held.append(source)
        return client.transcribe(source, **options)
    transcript = client.transcribe(source, **options)
    while held:
        held.pop().released.set()
    return transcript


class Buffer(io.BytesIO):
    """Audio that can be seen to be freed."""


def test_sources_without_end_are_read_no_further_than_is_needed_and_let_go() -> None:
    alive: weakref.WeakSet[Buffer] = weakref.WeakSet()

    def endless() -> Iterator[Buffer]:
        for number in itertools.count(1):
            buffer = Buffer(audio(number))
            alive.add(buffer)
            yield buffer
            read.append(number)

    read: list[int] = []
    jobs = many(endless())
    ahead = 2 * 2 + 2  # two for each session, one more, and one being read
    for taken, job in enumerate(itertools.islice(jobs, 20), 1):
        assert job.error is None
        assert len(read) <= taken + ahead
        assert len(alive) <= ahead + 2, "and the job that is looked at, and the one before"
    jobs.close()
    assert len(read) >= 20


def test_nothing_begins_while_too_much_waits_to_be_taken() -> None:
    exhausted = threading.Event()

    def sources() -> Iterator[bytes]:
        yield from map(audio, range(1, 13))
        exhausted.set()

    jobs = many(sources())
    assert next(jobs).error is None
    assert not exhausted.wait(0.5)
    assert len(list(jobs)) == 11


def test_a_source_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    sources = [tmp_path / "none.wav", audio(1), 5, audio(2), {"a": audio(3)}, b""]
    jobs = list(many(sources, ordered=True))
    assert [type(job.error) for job in jobs] != 6 * [type(None)]
    assert [isinstance(job.error, AudioError) for job in jobs] == [True, False] * 2 + 2 * [True]
    assert [job.transcript and job.transcript.text for job in jobs[1:4:2]] == ["w1.", "w2."]
    assert jobs[0].transcript is None


def test_the_first_error_is_raised_if_that_is_wanted() -> None:
    slow = Blocking(audio(1))
    jobs = many([slow, audio(2), b"", audio(3)], on_error="raise")
    assert next(jobs).transcript.text == "w2."
    with pytest.raises(AudioError) as raised:
        next(jobs)
    assert getattr(raised.value, "__notes__", ["The source is b''."]) == ["The source is b''."]
    slow.released.set()
    assert list(jobs) == []


def test_a_key_that_is_refused_ends_the_run(server: LocalServer) -> None:
    seen: list[int] = []
    with pytest.raises(AuthenticationError):
        for _ in many((seen.append(at) or audio(1) for at in range(100)), api_key="another"):
            pass
    assert len(seen) < 10


def test_the_exception_of_the_iterable_comes_after_the_jobs_before_it() -> None:
    def broken() -> Iterator[bytes]:
        yield from map(audio, (1, 2))
        raise ValueError("no more")

    jobs = many(broken())
    assert {next(jobs).transcript.text, next(jobs).transcript.text} == {"w1.", "w2."}
    with pytest.raises(ValueError, match="no more"):
        next(jobs)


def test_leaving_the_loop_ends_the_sessions_that_run() -> None:
    """That nothing is left of them is seen by `leaks`, as everywhere."""
    for _ in many([audio(1), *(Blocking(audio(2)) for _ in range(3))]):
        break

    def interrupt() -> None:
        running = [Blocking(audio(at)) for at in (1, 2)]
        for at, _ in enumerate(many([audio(3), *running])):
            assert at == 0
            for each in running:
                wait_for(each.blocked)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_an_account_that_others_have_filled_is_waited_for_however_often_it_refuses(
    server: LocalServer,
) -> None:
    before = len(server.sessions)
    policy = ReconnectPolicy(busy_delay=0.02, max_attempts=1)
    with Client() as one, Client() as two:
        one.start_session(audio_format=RAW)
        two.start_session(audio_format=RAW)
        jobs = InThread(lambda: list(many([audio(1)], reconnect=policy)))
        deadline = time.monotonic() + PATIENCE
        while sum(record.error is not None for record in server.sessions[before:]) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)  # the pace of the poll; what ends the wait is the state itself
        one.stop_session()
        two.stop_session()
    (job,) = jobs.result()
    assert job.transcript.text == "w1."
    assert job.attempts > 3


ENDING = """
import sys
from speechmatics_sync import AudioFormat, transcribe_many

audio = bytes(320_000)
raw = AudioFormat("pcm_s16le", 16000)
options = {"realtime": True, "audio_format": raw, "max_sessions": 2}
jobs = transcribe_many([bytes(3200), *50 * [audio]], **options)
print(next(jobs).error, flush=True)
"""


def test_the_end_of_the_interpreter_ends_the_sessions_that_run(server: LocalServer) -> None:
    before = len(server.sessions)
    ran = subprocess.run(
        [sys.executable, "-c", ENDING],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "None\n", "")
    # Closed in good order: a socket that a dying process leaves has no close frame. One that was
    # only being opened has none either.
    heard = [session for session in server.sessions[before:] if session.audio_chunks]
    assert {session.close_code for session in heard} == {1000}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_leaves_the_run_to_its_parent() -> None:
    slow = Blocking(audio(2))
    jobs = many([audio(1), slow])
    assert next(jobs).transcript.text == "w1."

    def close() -> None:
        signal.setitimer(signal.ITIMER_REAL, 5)  # it waits for no thread: there is none
        jobs.close()

    in_child(close)
    slow.released.set()
    assert next(jobs).transcript.text == "w2."
    jobs.close()


def test_an_account_that_is_full_is_waited_for() -> None:
    policy = ReconnectPolicy(busy_delay=0.05, max_attempts=1)
    jobs = list(many(map(audio, range(1, 9)), max_sessions=6, reconnect=policy))
    assert sorted(job.transcript.text for job in jobs) == [f"w{at}." for at in range(1, 9)]
    assert max(job.attempts for job in jobs) > 1
    refused = list(many(map(audio, range(1, 9)), max_sessions=6, reconnect=None))
    assert {type(job.error) for job in refused} == {type(None), TranscriptionError}


def test_a_function_may_do_what_there_is_to_do_with_a_client() -> None:
    said = []

    def call(client: Client, number: int, **options: Any) -> Transcript:
        client.on("AddTranscript", lambda message: said.append(message["metadata"]["transcript"]))
        return client.transcribe(audio(number), **options)

    jobs = list(many([1, 2], call=call, ordered=True))
    assert [job.source for job in jobs] == [1, 2]
    assert sorted("".join(said).split()) == [".", ".", "w1", "w2"]
    assert [job.transcript.text for job in jobs] == ["w1.", "w2."]
    (job,) = many([1], call=lambda *_, **__: "text")
    assert isinstance(job.error, ConfigurationError)
    assert "call=… returned an object of type str" in str(job.error)


def test_channels_are_sources_of_the_other_client() -> None:
    (job,) = many([{"a": audio(1), "b": audio(2)}], client=MultiChannelClient)
    assert {label: part.text for label, part in job.transcript.channels.items()} == {
        "a": "w1.",
        "b": "w2.",
    }


def test_progress_counts_files(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[Any] = []
    list(many([audio(1), b"", audio(2)], progress=lambda *progress: told.append(progress)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    list(many(iter([audio(1)]), progress=lambda *progress: told.append(progress)))
    assert told[3:] == [(1, None)]
    list(many([audio(1), audio(2)], progress=True))
    assert "2/2 files" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sources", "options", "problem"),
    [
        ("audio.wav", {}, "sources is one source"),
        (b"audio", {}, "sources is one source"),
        (io.BytesIO(b"audio"), {}, "sources is one source"),
        ({"agent": "a.wav"}, {"client": MultiChannelClient}, "sources is one source"),
        (5, {}, "sources is of type int"),
        ([], {"max_sessions": 0}, "max_sessions is 0"),
        ([], {"on_error": "stop"}, "allowed: 'keep', 'raise'"),
        ([], {"executor": 5}, "executor is of type int"),
        ([], {"client": dict}, "client is <class .dict"),
        ([], {"call": 5}, "call is of type int"),
        ([], {"ordered": 1}, "ordered is 1"),
        ([], {"progress": 5}, "files done and in all"),
        ([], {"timeout": -1}, "timeout is -1"),
        ([], {"url": "ftp://speech.example"}, "url is .*; allowed: a URL that starts with wss://"),
        ([], {"transcription_config": TranscriptionConfig(diarization="channel")}, "MultiChannel"),
        ([], {"conn_config": 5}, "conn_config"),
        ([], {"reconnect": 5}, "reconnect"),
        ([], {"ledger": "postgresql://user:pw@host/done"}, "a ledger is a URL of postgresql"),
        ([], {"ledger": "sqlite:///done.sqlite"}, "a ledger is a URL of sqlite"),
        ([], {"ledger": ":memory:"}, "':memory:'"),
        ([], {"ledger": 5}, "a ledger is of type int"),
        ([], {"ledger": "/nowhere/done.sqlite"}, "there is no folder '/nowhere'"),
        ([], {"ledger": "a\0b"}, "a ledger is 'a.x00b'"),
        ([], {"ledger": "/"}, "unable to open"),
        ([], {"ledger": "done.sqlite", "collect": False}, "collect=False"),
    ],
)
def test_what_is_not_allowed_is_said_before_anything_begins(
    sources: Any, options: Any, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=problem) as raised:
        many(sources, **options)
    assert "pw" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["languages", "display", "on_interrupt", "expected_bytes", "source", "self"]
)
def test_an_option_that_is_none_is_refused_at_once(name: str) -> None:
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        many([audio(1)], **{name: 1})


def test_no_sources_give_no_jobs() -> None:
    assert list(many([])) == []
    assert Job("a.wav", None, None, 0.0, 1).source == "a.wav"
    assert len(repr(Job(bytes(10_000), None, None, 0.0, 1))) < 200
