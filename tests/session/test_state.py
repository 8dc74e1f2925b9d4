"""The table of a session's states, and what real sessions make of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, Optional

import pytest
from support.serving import PATIENCE

from speechmatics_sync import Transcript
from speechmatics_sync._concurrency.deadlines import Deadline
from speechmatics_sync._model.secret import Secret
from speechmatics_sync._session.identity import Identity
from speechmatics_sync._session.state import TRANSITIONS, Cause, Lifecycle, SessionState
from speechmatics_sync.errors import ConnectionError, TimeoutError

LOST = ConnectionError("The connection was lost.")

WAY_TO: dict[SessionState, list[Cause]] = {
    SessionState.PREPARING: [],
    SessionState.CONNECTING: [Cause.PREPARED],
    SessionState.RUNNING: [Cause.PREPARED, Cause.STARTED],
    SessionState.RECONNECTING: [Cause.PREPARED, Cause.STARTED, Cause.REPLACED],
    SessionState.TRANSCRIBED: [Cause.PREPARED, Cause.STARTED, Cause.TRANSCRIBED],
    SessionState.HANDLED: [Cause.PREPARED, Cause.STARTED, Cause.TRANSCRIBED, Cause.HANDLED],
    SessionState.FAILED: [Cause.FAILURE],
    SessionState.LEFT: [Cause.FORKED],
}


def in_state(state: SessionState) -> Lifecycle:
    life = Lifecycle(Identity(Secret({}), Transcript()))
    with life.lock:
        for cause in WAY_TO[state]:
            BRINGS_ABOUT[cause](life)
    return life


def failed(life: Lifecycle) -> None:
    life.finish(LOST)
    life.give_up_handling(LOST)


BRINGS_ABOUT: dict[Cause, Callable[[Lifecycle], None]] = {
    Cause.PREPARED: lambda life: life.move(Cause.PREPARED),
    Cause.STARTED: lambda life: life.connected(),
    Cause.REPLACED: lambda life: life.move(Cause.REPLACED),
    Cause.TRANSCRIBED: lambda life: life.finish(),
    Cause.HANDLED: lambda life: life.move(Cause.HANDLED),
    Cause.FAILURE: failed,
    Cause.FORKED: lambda life: life.leave_to_parent(),
}


def test_every_state_and_cause_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(SessionState) == set(WAY_TO)
    assert {cause for causes in TRANSITIONS.values() for cause in causes} == set(Cause)
    reached = {state for causes in TRANSITIONS.values() for state in causes.values()}
    assert reached == set(SessionState) - {SessionState.PREPARING}


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize("cause", Cause)
def test_what_the_table_says_happens_and_nothing_else(state: SessionState, cause: Cause) -> None:
    life = in_state(state)
    assert life.state is state
    with life.lock:
        if cause in TRANSITIONS[state]:
            BRINGS_ABOUT[cause](life)
            assert life.state is TRANSITIONS[state][cause]
        else:
            with contextlib.suppress(KeyError):  # a mistake of ours; other causes have no effect
                BRINGS_ABOUT[cause](life)
            assert life.state is state


@pytest.mark.parametrize("state", SessionState)
def test_a_session_is_over_when_it_can_only_be_handled_or_fail(state: SessionState) -> None:
    left = set(TRANSITIONS[state]) - {Cause.HANDLED, Cause.FAILURE, Cause.FORKED}
    assert state.over == (not left)


@pytest.mark.parametrize("state", SessionState)
def test_only_a_failed_session_raises(state: SessionState) -> None:
    life = in_state(state)
    if state is SessionState.FAILED:
        with pytest.raises(ConnectionError, match="lost"):
            life.raise_failure()
    else:
        life.raise_failure()


def test_a_failure_says_which_session_it_ended() -> None:
    life = in_state(SessionState.PREPARING)
    error = ConnectionError("The connection was lost.")
    with life.lock:
        life.finish(error)
    assert error.request_id is not None
    assert error.transcript is not None


def test_the_first_failure_counts() -> None:
    life = in_state(SessionState.RUNNING)
    with life.lock:
        life.finish(LOST)
        life.finish(ValueError("late"))
        life.finish()
        life.give_up_handling(ValueError("late"))
    assert life.failure is LOST


def test_a_traceback_does_not_grow_each_time_a_failure_is_raised() -> None:
    life = in_state(SessionState.FAILED)
    lengths = []
    for _ in range(3):
        with pytest.raises(ConnectionError) as raised:
            life.raise_failure()
        lengths.append(len(raised.traceback))
    assert len(set(lengths)) == 1


@pytest.mark.parametrize("failure", [None, LOST])
def test_the_end_is_told_once_and_to_latecomers_at_once(failure: Optional[Exception]) -> None:
    life = in_state(SessionState.RUNNING)
    told: list[str] = []
    life.when_over(lambda: told.append("early"))
    assert told == []
    with life.lock:
        life.finish(failure)
        life.finish(LOST)
    assert told == ["early"]
    life.when_over(lambda: told.append("late"))
    assert told == ["early", "late"]


def test_started_at_is_the_first_start() -> None:
    life = in_state(SessionState.RUNNING)
    first = life.started_at
    assert first is not None
    with life.lock:
        life.move(Cause.REPLACED)
        life.connected()
    assert life.started_at == first


def test_a_fork_is_left_without_the_lock() -> None:
    life = in_state(SessionState.RUNNING)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with life.lock:
            held.set()
            release.wait(PATIENCE)

    holding = threading.Thread(target=hold)
    holding.start()
    assert held.wait(PATIENCE)
    life.leave_to_parent()
    assert life.state is SessionState.LEFT
    release.set()
    holding.join(PATIENCE)


@pytest.mark.parametrize(
    ("wait", "cause"),
    [
        pytest.param(Lifecycle.wait_until_prepared, [Cause.PREPARED], id="prepared"),
        pytest.param(Lifecycle.wait_until_started, [Cause.PREPARED, Cause.STARTED], id="started"),
    ],
)
@pytest.mark.parametrize("fails", [False, True])
def test_a_wait_ends_with_what_is_awaited_or_the_session(
    wait: Callable[[Lifecycle], bool], cause: list[Cause], fails: bool
) -> None:
    life = in_state(SessionState.PREPARING)
    returned: list[Any] = []
    waiting = threading.Thread(target=lambda: returned.append(wait(life)))
    waiting.start()
    with life.lock:
        for each in [Cause.FAILURE] if fails else cause:
            BRINGS_ABOUT[each](life)
    waiting.join(PATIENCE)
    assert returned == [not fails]


def test_a_wait_for_progress_raises_when_its_deadline_has_passed() -> None:
    life = in_state(SessionState.CONNECTING)
    with life.lock, pytest.raises(TimeoutError, match=r"Nothing came within timeout \(0 s\)"):
        life.wait_for_progress(Deadline(0), "Nothing came")
