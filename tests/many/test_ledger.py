"""What is done is done once, whatever ends a run, and however many runs share the work."""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.forking import in_child
from support.numbered import audio
from support.sessions import RAW, Blocking, InThread, let_sources_go, wait_for

from speechmatics_sync import (
    AudioError,
    Client,
    ConfigurationError,
    Ledger,
    SessionError,
    Transcript,
    TranscriptionConfig,
    transcribe_many,
)
from speechmatics_sync.local import CountedRecognizer, LocalServer

__all__ = ["let_sources_go"]


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(recognizer=CountedRecognizer()) as server:
        yield server


@pytest.fixture(autouse=True)
def workplace(server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files 1.raw to 4.raw, in which their numbers are heard."""
    monkeypatch.setenv("SPEECHMATICS_RT_URL", server.url)
    monkeypatch.chdir(tmp_path)
    for number in range(1, 5):
        Path(f"{number}.raw").write_bytes(audio(number))


FILES = ["1.raw", "2.raw", "3.raw", "4.raw"]
LEDGER = "done.sqlite"


def many(sources: Any, **options: Any) -> Any:
    options = {"audio_format": RAW, "ordered": True, "ledger": LEDGER, **options}
    return transcribe_many(sources, max_sessions=2, **options)


def heard(sources: Any, **options: Any) -> list[tuple[str, int]]:
    """What was heard in each source, and in how many sessions."""
    return [
        (str(job.error) if job.transcript is None else job.transcript.text, job.attempts)
        for job in many(sources, **options)
    ]


def in_ledger(command: str, *values: Any) -> list[Any]:
    with contextlib.closing(sqlite3.connect(LEDGER)) as connection, connection:
        return connection.execute(command, values).fetchall()


def test_what_is_done_is_given_again_and_not_transcribed_again() -> None:
    first = {job.source: job.transcript for job in many(FILES[:2])}
    assert heard(FILES) == [("w1.", 0), ("w2.", 0), ("w3.", 1), ("w4.", 1)]
    again = {job.source: job.transcript for job in many(FILES)}
    for name, transcript in first.items():
        assert again[name].to_dict() == transcript.to_dict()
        assert again[name].words == transcript.words
    named = {job.source: job.transcript.text for job in Ledger(LEDGER)}
    assert named == {os.path.abspath(name): f"w{name[0]}." for name in FILES}


def test_a_source_that_changed_is_transcribed_again() -> None:
    heard(FILES)
    Path("1.raw").write_bytes(audio(11))
    status = os.stat("2.raw")
    Path("2.raw").write_bytes(audio(12))
    os.utime("2.raw", ns=(status.st_atime_ns, status.st_mtime_ns))  # of the same size, too
    os.utime("3.raw", ns=(0, 0))
    assert heard(FILES) == [("w11.", 1), ("w2.", 0), ("w3.", 1), ("w4.", 0)]

    by_content = {"ledger": Ledger("contents.sqlite", content=True)}
    heard(FILES, **by_content)
    os.utime("3.raw", ns=(5, 5))
    Path("4.raw").write_bytes(audio(14))
    assert heard(FILES, **by_content) == [("w11.", 0), ("w12.", 0), ("w3.", 0), ("w14.", 1)]


def test_what_is_asked_for_belongs_to_what_is_done() -> None:
    heard(FILES[:1])
    config = TranscriptionConfig()
    assert heard(FILES[:1], transcription_config=config, timeout=5) == [("w1.", 0)]
    config.max_delay = 2
    assert heard(FILES[:1], transcription_config=config) == [("w1.", 1)]
    assert heard(FILES[:1]) == [("w1.", 0)]


def test_what_failed_is_tried_again() -> None:
    Path("1.raw").write_bytes(b"")
    (job,) = many(FILES[:1])
    assert isinstance(job.error, AudioError)
    assert in_ledger("SELECT * FROM claims") == in_ledger("SELECT * FROM runs") == []
    (job,) = many(FILES[:1])
    assert job.attempts == 1
    Path("1.raw").write_bytes(audio(1))
    assert heard(FILES[:1]) == [("w1.", 1)]


def test_a_source_that_comes_twice_is_transcribed_once() -> None:
    assert heard(["1.raw", Path("1.raw"), audio(2), bytearray(audio(2))]) == [
        ("w1.", 1),
        ("w1.", 0),
        ("w2.", 1),
        ("w2.", 0),
    ]


def test_a_source_that_comes_again_and_again_is_read_no_further_than_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("speechmatics_sync._many.run._ASIDE", 5)
    slow, further = Blocking(audio(1)), threading.Event()

    def again() -> Iterator[str]:
        yield from ["one"] * 10
        further.set()

    def call(client: Client, source: str, **options: Any) -> Transcript:
        return client.transcribe(slow, **options)

    run = InThread(lambda: [job.attempts for job in many(again(), call=call)])
    wait_for(slow.blocked)
    assert not further.wait(0.2)
    slow.released.set()
    assert run.result() == [1] + [0] * 9


def test_runs_share_the_work() -> None:
    begun: list[str] = []

    def call(client: Client, source: str, **options: Any) -> Transcript:
        begun.append(source)
        return client.transcribe(source, **options)

    runs = [
        InThread(functools.partial(heard, FILES, call=call, ordered=turn))
        for turn in (True, False, True)
    ]
    texts = [sorted(text for text, _ in run.result()) for run in runs]
    assert texts == 3 * [["w1.", "w2.", "w3.", "w4."]]
    assert sorted(begun) == FILES


def test_what_another_run_has_is_left_to_it_and_taken_over_when_it_has_died() -> None:
    def die(client: Client, source: str, **options: Any) -> Transcript:
        if source == "2.raw":
            os._exit(0)
        return client.transcribe(source, **options)

    in_child(lambda: heard(FILES, call=die))
    assert [run for (run,) in in_ledger("SELECT run FROM claims")] != []
    ledger = Ledger(LEDGER, lease=3600)  # it is not what frees them
    assert [text for text, _ in heard(FILES, ledger=ledger)] == ["w1.", "w2.", "w3.", "w4."]
    assert in_ledger("SELECT * FROM claims") == []


def test_what_a_run_elsewhere_has_is_taken_over_when_it_shows_no_life() -> None:
    assert heard(FILES[:1]) == [("w1.", 1)]
    name, settings = in_ledger("SELECT source, settings FROM done")[0]
    in_ledger("INSERT INTO runs VALUES (99, 'elsewhere', ?, 5)", os.getpid())
    in_ledger("INSERT INTO claims VALUES (?, ?, 99)", name, settings)
    in_ledger("DELETE FROM done")
    ledger = Ledger(LEDGER, lease=60)
    jobs = InThread(heard, FILES[:2], ledger=ledger, ordered=False)
    other = InThread(heard, FILES[:1], ledger=Ledger(LEDGER, lease=0.2))
    assert other.result() == [("w1.", 1)]
    assert sorted(jobs.result()) == [("w1.", 0), ("w2.", 1)]


def test_a_run_that_is_alive_keeps_what_it_has() -> None:
    slow = Blocking(audio(1))

    def call(client: Client, source: str, **options: Any) -> Transcript:
        return client.transcribe(slow, **options)

    # Alive by its signs alone: where it runs is not told.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("socket.gethostname", lambda: "elsewhere")
        ledger = Ledger(LEDGER, lease=0.3)
        first = InThread(functools.partial(heard, FILES[:1], call=call, ledger=ledger))
        wait_for(slow.blocked)
    second = InThread(heard, FILES[:1], ledger=Ledger(LEDGER, lease=0.3))
    second.thread.join(1)
    assert second.running
    slow.released.set()
    assert first.result() == [("w1.", 1)]
    assert second.result() == [("w1.", 0)]


def test_a_source_that_would_not_be_known_again_is_an_error_of_its_job() -> None:
    jobs = list(many([iter([audio(1)]), "/dev/null", "none.raw", "1.raw"]))
    assert [type(job.error) for job in jobs[:2]] == 2 * [ConfigurationError]
    assert "would not know" in str(jobs[0].error)
    assert isinstance(jobs[2].error, AudioError)
    assert jobs[3].transcript.text == "w1."


def test_with_a_function_of_yours_whatever_json_can_hold_is_known_again() -> None:
    def call(client: Client, source: Any, **options: Any) -> Transcript:
        return client.transcribe(audio(int(source[-1])), **options)

    sources = ["store://calls/1", ("row", 2)]
    assert heard(sources, call=call) == [("w1.", 1), ("w2.", 1)]
    assert heard([*sources, ["row", 2]], call=call) == [("w1.", 0), ("w2.", 0), ("w2.", 0)]


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"This is a text. " * 100, "not a database"), (None, "version 7 of its tables")],
)
def test_a_file_that_is_no_ledger_is_refused_before_anything_begins(
    content: Any, problem: str
) -> None:
    if content is None:
        in_ledger("PRAGMA user_version = 7")
    else:
        Path(LEDGER).write_bytes(content)
    with pytest.raises(ConfigurationError, match=problem):
        many(FILES)


@pytest.mark.parametrize("version", [0, 1])
def test_the_database_of_another_program_is_refused_and_left_as_it_is(version: int) -> None:
    in_ledger("CREATE TABLE invoices (number)")
    in_ledger(f"PRAGMA user_version = {version}")
    with pytest.raises(ConfigurationError, match="the database of something else"):
        many(FILES)
    assert in_ledger("SELECT name FROM sqlite_master") == [("invoices",)]
    assert in_ledger("PRAGMA user_version") == [(version,)]


def test_a_ledger_is_a_file_whatever_its_name() -> None:
    name = "file:done?mode=memory"
    for attempts in (1, 0):
        assert heard(FILES[:1], ledger=name) == [("w1.", attempts)]


def test_reading_a_ledger_makes_none() -> None:
    with pytest.raises(ConfigurationError, match=r"there is no ledger 'done\.sqlite'"):
        list(Ledger(LEDGER))
    assert not Path(LEDGER).exists()


def test_a_ledger_that_cannot_be_written_is_not_left_open() -> None:
    heard([])
    in_ledger("CREATE TRIGGER full BEFORE INSERT ON runs BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(SessionError, match=r"The ledger 'done\.sqlite' failed: full") as raised:
        heard(FILES[:1])
    in_ledger("PRAGMA journal_mode = DELETE")  # which needs to be alone
    del raised


def test_a_ledger_makes_nothing_but_transcripts_of_what_it_holds() -> None:
    heard(FILES[:1])
    in_ledger("UPDATE done SET transcript = ?", pickle.dumps(os.getcwd))
    with pytest.raises(ConfigurationError, match=r"holds no transcript: .*getcwd is no part of"):
        heard(FILES[:1])
    in_ledger("UPDATE done SET transcript = ?", pickle.dumps(5))
    with pytest.raises(ConfigurationError, match="holds no transcript"):
        heard(FILES[:1])


def test_a_ledger_that_fails_ends_the_run_after_the_job_that_it_could_not_keep() -> None:
    slow = Blocking(audio(2))

    def call(client: Client, source: str, **options: Any) -> Transcript:
        if source == "2.raw":
            return client.transcribe(slow, **options)
        transcript = client.transcribe(source, **options)
        wait_for(slow.blocked)
        in_ledger("DROP TABLE done")
        return transcript

    jobs = many(FILES[:2], call=call)
    assert next(jobs).transcript.text == "w1."
    with pytest.raises(SessionError, match=r"The ledger 'done.sqlite' failed: no such table"):
        next(jobs)
