"""One thread of a process at a time, whatever another one held at a fork."""

from __future__ import annotations

import os
import threading

import pytest
from support.forking import in_child
from support.sessions import InThread, wait_for

from speechmatics_sync._concurrency.process_lock import ProcessLock


def test_one_thread_at_a_time_holds_it() -> None:
    lock, inside, release = ProcessLock(), threading.Event(), threading.Event()
    held_by: list[str] = []

    def first() -> None:
        with lock.held():
            inside.set()
            wait_for(release)
            held_by.append("first")

    def second() -> None:
        with lock.held(), lock.held():  # as a signal handler may
            held_by.append("second")

    holding = InThread(first)
    wait_for(inside)
    waiting = InThread(second)
    release.set()
    holding.result()
    waiting.result()
    assert held_by == ["first", "second"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_process_finds_it_free() -> None:
    lock, inside, release = ProcessLock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock.held():
            inside.set()
            wait_for(release)

    def child() -> None:
        with lock.held():
            pass

    holding = InThread(hold)
    wait_for(inside)
    in_child(child)
    release.set()
    holding.result()
