"""Observers are told what happens to every session, and no session depends on them."""

from __future__ import annotations

import contextvars
import dataclasses
import logging
import queue
import threading
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from support.reconnecting import POLICY, Legs, cut
from support.serving import PATIENCE, Peer, final, serving
from support.sessions import RAW, client_of, speech, wait_for

from speechmatics_sync import (
    ObservedSession,
    SessionChange,
    SessionError,
    SpeechmaticsError,
    observe_sessions,
)


@pytest.fixture
def changes() -> Iterator[queue.SimpleQueue[SessionChange]]:
    """What an observer is told, in order."""
    told: queue.SimpleQueue[SessionChange] = queue.SimpleQueue()
    stop = observe_sessions(told.put)
    yield told
    stop()


def rest_of(told: queue.SimpleQueue[SessionChange]) -> list[SessionChange]:
    found = []
    while not told.empty():
        found.append(told.get())
    return found


def finishes(peer: Peer) -> None:
    peer.start()
    peer.finish()


def is_lost(peer: Peer) -> None:
    peer.start()
    peer.receive()
    cut(peer)


def test_they_are_told_of_each_step_in_order(changes: Any) -> None:
    def goes_on(peer: Peer) -> None:
        peer.start(id="session-2")
        peer.take_audio()
        peer.send(final("word"), {"message": "EndOfTranscript"})

    with serving(Legs(is_lost, goes_on)) as url:
        client = client_of(url, reconnect=POLICY)
        client.transcribe(speech(0.5), audio_format=RAW)
    told = rest_of(changes)
    kinds = ["begun", "started", "reconnecting", "reconnected", "ended"]
    assert [change.kind for change in told] == kinds
    assert [change.attempt for change in told] == [0, 0, 1, 1, 0]
    assert told[2].seconds_replayed > 0
    times = [change.time for change in told]
    assert times == sorted(times)
    assert all(
        change.time - told[0].time == pytest.approx(change.elapsed, abs=1e-3) for change in told
    )
    (seen,) = {change.session for change in told}
    assert (seen.request_id, seen.session_id) == (client.request_id, "session-2")
    assert f"ws://{seen.server_address}:{seen.server_port}/v2" == url
    assert seen.language == "en"
    # Those of when it ended: handlers had messages to be given.
    assert dataclasses.replace(seen.stats, messages_waiting=0) == client.stats
    assert seen.stats.reconnects == 1


def test_they_are_told_while_the_session_runs(changes: Any) -> None:
    """That it has begun, before the server has said anything; and its figures are those of now."""
    asked = threading.Event()

    def waits(peer: Peer) -> None:
        wait_for(asked)
        finishes(peer)

    with serving(waits) as url, client_of(url) as client:
        starter = threading.Thread(target=client.start_session, kwargs={"audio_format": RAW})
        starter.start()
        begun = changes.get(timeout=PATIENCE)
        assert (begun.kind, begun.session.session_id) == ("begun", None)
        asked.set()
        started = changes.get(timeout=PATIENCE)
        assert (started.kind, started.session.session_id) == ("started", "session-1")
        starter.join()
        client.send_audio(speech(0.5))
        client.stop_session()
        assert started.session.stats.seconds_sent == 0.5


def test_they_run_in_the_context_of_the_call_that_began_the_session() -> None:
    request = contextvars.ContextVar("request", default="none")
    seen = set()
    stop = observe_sessions(lambda change: seen.add((change.kind, request.get())))
    with serving(finishes) as url:
        request.set("this one")
        client_of(url).transcribe(speech(0.1), audio_format=RAW)
    stop()
    assert seen == {(kind, "this one") for kind in ("begun", "started", "ended")}


def test_what_they_raise_is_logged_and_ends_nothing(
    changes: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def raises(change: SessionChange) -> None:
        raise LookupError(change.kind)

    stop = observe_sessions(raises)
    # Those told after it are told all the same.
    late: queue.SimpleQueue[SessionChange] = queue.SimpleQueue()
    stop_late = observe_sessions(late.put)
    with serving(finishes) as url:
        client_of(url).transcribe(speech(0.1), audio_format=RAW)
    stop()
    stop_late()
    assert len(rest_of(changes)) == len(rest_of(late)) == 3
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [str(record.exc_info[1]) for record in errors if record.exc_info] == [
        "begun",
        "started",
        "ended",
    ]


@pytest.mark.leaves_threads(reason="one is inside the observer, until the test lets it go")
@pytest.mark.parametrize("at", ["begun", "started", "ended"])
def test_one_that_hangs_holds_up_no_session(at: str) -> None:
    released, inside, left = threading.Event(), threading.Event(), threading.Event()

    def hangs(change: SessionChange) -> None:
        if change.kind == at:
            inside.set()
            released.wait(PATIENCE)
            left.set()

    stop = observe_sessions(hangs)
    try:
        with serving(finishes) as url:
            for _ in range(2):
                client_of(url).transcribe(speech(0.1), audio_format=RAW)
                wait_for(inside)
                assert not left.is_set(), "the session waited for it"
    finally:
        stop()
        released.set()


def test_sessions_that_run_when_it_stops_tell_of_their_end() -> None:
    told: queue.SimpleQueue[SessionChange] = queue.SimpleQueue()
    with serving(finishes) as url:
        stop = observe_sessions(told.put)
        with client_of(url) as client:
            client.start_session(audio_format=RAW)
            stop()
            stop()
            client_of(url).transcribe(speech(0.1), audio_format=RAW)
            client.stop_session()
    (seen,) = {change.session for change in rest_of(told)}
    assert seen.request_id == client.request_id


def refuses(type: str) -> Callable[[Peer], None]:
    def behave(peer: Peer) -> None:
        peer.receive()
        peer.send({"message": "Error", "type": type, "reason": "what was said"})

    return behave


@pytest.mark.parametrize(
    ("type", "named"),
    [("job_error", "job_error"), ("what was said", "TranscriptionError")],
)
def test_an_error_is_told_by_a_name_that_we_know(type: str, named: str, changes: Any) -> None:
    with serving(refuses(type)) as url, pytest.raises(SpeechmaticsError):
        client_of(url).transcribe(speech(0.1), audio_format=RAW)
    *_, ended = rest_of(changes)
    assert (ended.kind, ended.error) == ("ended", named)


def test_what_ends_a_session_here_is_told_by_its_class(changes: Any) -> None:
    over = threading.Event()

    def raises(message: Any) -> None:
        raise LookupError("from a handler")

    def source() -> Iterator[bytes]:  # which has no end before the handler has raised
        yield speech(0.1)
        over.wait(PATIENCE)

    with serving(finishes) as url:
        with client_of(url) as client:
            client.start_session(audio_format=RAW)
            client.close()
            with pytest.raises(SessionError):
                client.stop_session()
        client.on("RecognitionStarted", raises)
        with pytest.raises(LookupError):
            client.transcribe(source(), audio_format=RAW)
        over.set()
    ended = [change.error for change in rest_of(changes) if change.kind == "ended"]
    assert ended == ["SessionError", "LookupError"]


def test_a_session_that_nobody_holds_any_more_tells_of_its_end(changes: Any) -> None:
    with serving(lambda peer: (peer.start(), peer.wait_closed())) as url:  # type: ignore[func-returns-value]
        client = client_of(url)
        client.start_session(audio_format=RAW)
        del client
        kinds = [changes.get(timeout=PATIENCE).kind for _ in range(3)]
    assert kinds == ["begun", "started", "ended"]


def test_a_session_says_which_it_is() -> None:
    session = ObservedSession("a", ("localhost", 1), "en", lambda: None)  # type: ignore[arg-type,return-value]
    assert repr(session) == "ObservedSession(request_id='a', session_id=None)"
