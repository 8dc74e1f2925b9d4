"""A call that hangs costs one thread, however many ask for it."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
from support.forking import in_child
from support.serving import PATIENCE
from support.sessions import wait_for

from speechmatics_sync._concurrency.shared_calls import SharedCalls


def test_who_asks_while_a_call_runs_gets_that_call() -> None:
    calls: SharedCalls[int] = SharedCalls("test")
    made: list[str] = []
    go_on = threading.Event()

    def call() -> int:
        made.append("call")
        assert go_on.wait(PATIENCE)
        return len(made)

    first, second = calls.start("key", call), calls.start("key", call)
    assert first is second
    other = calls.start("another key", lambda: 7)
    wait_for(other.done)
    assert other.outcome == 7
    go_on.set()
    wait_for(first.done)
    assert (first.outcome, made) == (1, ["call"])
    third = calls.start("key", call)
    wait_for(third.done)
    assert third.outcome == 2, "a call that is done is not kept"


def test_error_is_the_outcome_of_a_call() -> None:
    calls: SharedCalls[int] = SharedCalls("test")
    failed = calls.start("key", lambda: int("x"))
    wait_for(failed.done)
    assert isinstance(failed.outcome, ValueError)


def test_call_is_made_without_a_thread_if_none_is_to_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(thread: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    calls: SharedCalls[int] = SharedCalls("test")
    assert calls.start("key", lambda: 7).outcome == 7


def test_child_of_a_fork_does_not_wait_for_a_thread_of_its_parent() -> None:
    calls: SharedCalls[int] = SharedCalls("test")
    go_on = threading.Event()

    def call() -> int:
        assert go_on.wait(PATIENCE)
        return os.getpid()

    running = calls.start("key", call)

    def ask() -> None:
        asked = calls.start("key", os.getpid)
        wait_for(asked.done)
        assert asked.outcome == os.getpid()

    in_child(ask)
    go_on.set()
    wait_for(running.done)
    assert running.outcome == os.getpid()
