"""All callers share one object, made for the first and stopped after the last."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any, Callable, Optional

import pytest
from support.forking import in_child
from support.sessions import InThread, wait_for

from speechmatics_sync import ConnectionError
from speechmatics_sync._concurrency.leases import Leases


class Counter:
    """What is shared: it counts who uses it and how often it is stopped."""

    def __init__(self) -> None:
        self.stops = 0
        self.works = True
        self.used_when_stopped = False
        self._lock = threading.Lock()
        self._users = 0

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        with self._lock:
            self._users += 1
            self.used_when_stopped |= self.stops > 0
        yield
        with self._lock:
            self._users -= 1
            self.used_when_stopped |= self.stops > 0

    def stop(self) -> None:
        with self._lock:
            self.stops += 1
            self.used_when_stopped |= self._users > 0


class Made:
    """All that was made to be shared."""

    def __init__(self) -> None:
        self.all: list[Counter] = []
        self.leases: Leases[Counter] = Leases(self.make)

    def make(self) -> Counter:
        self.all.append(Counter())
        return self.all[-1]


@pytest.fixture
def made() -> Made:
    return Made()


def test_all_callers_share_one_thing(made: Made) -> None:
    with contextlib.ExitStack() as inside:
        given = [inside.enter_context(made.leases.lease()) for _ in range(8)]
        assert len(made.all) == 1
        assert all(each is made.all[0] for each in given)


def test_callers_get_nothing_where_nothing_can_be_made() -> None:
    def fails() -> Counter:
        raise ConnectionError("no thread is left")

    with Leases(fails).lease() as shared:
        assert shared is None


def test_what_is_shared_is_stopped_once_when_the_last_leaves_and_made_anew(made: Made) -> None:
    for round in range(2):
        first, second = made.leases.lease(), made.leases.lease()
        shared = first.__enter__()
        assert second.__enter__() is shared
        assert len(made.all) == round + 1
        first.__exit__(None, None, None)
        assert made.all[round].stops == 0
        second.__exit__(None, None, None)
        assert made.all[round].stops == 1
    assert [each.stops for each in made.all] == [1, 1]


def test_a_lease_ends_when_its_caller_fails(made: Made) -> None:
    def fail() -> None:
        with contextlib.ExitStack() as inside:
            for _ in range(5):
                inside.enter_context(made.leases.lease())
            raise OSError("mine")

    for _ in range(3):
        with pytest.raises(OSError, match="mine"):
            fail()
    assert [each.stops for each in made.all] == [1, 1, 1]


def test_no_caller_is_given_a_stopped_object_however_many_come_and_go(made: Made) -> None:
    """Nor is an object stopped while in use."""

    def come_and_go() -> None:
        for _ in range(300):
            with made.leases.lease() as shared:
                assert shared is not None
                with shared.used():
                    pass

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads come in at every line of each other
    try:
        for each in [InThread(come_and_go) for _ in range(12)]:
            each.result()
    finally:
        sys.setswitchinterval(before)
    assert [each.stops for each in made.all] == [1] * len(made.all)
    assert not any(each.used_when_stopped for each in made.all)


class Released:
    """A lock; just after it is released for the first time, something happens."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._calls = [call]

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if self._calls:
            self._calls.pop()()


def test_a_lease_that_ends_just_when_another_begins_stops_nothing(made: Made) -> None:
    def come_and_go() -> None:
        with made.leases.lease():
            pass

    made.leases._lock = Released(come_and_go)  # type: ignore[assignment]
    with made.leases.lease() as shared:
        assert shared is not None
        assert shared.stops == 0
    assert shared.stops == 1


def test_a_lease_does_not_wait_until_the_object_before_has_stopped(made: Made) -> None:
    """To end it a thread is waited for, which may be at its last read."""
    stopping, go_on = threading.Event(), threading.Event()

    class Slow(Counter):
        def stop(self) -> None:
            stopping.set()
            wait_for(go_on)
            super().stop()

    made.all = []
    first = Slow()
    objects: list[Counter] = [first, Counter()]
    leases: Leases[Counter] = Leases(lambda: objects.pop(0))

    def come_and_go() -> Optional[Counter]:
        with leases.lease() as shared:
            return shared

    leaving = InThread(come_and_go)
    wait_for(stopping)
    second = InThread(come_and_go).result()
    go_on.set()
    assert leaving.result() is first
    assert second is not None
    assert second is not first
    assert (first.stops, second.stops) == (1, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_process_begins_anew_and_leaves_what_is_shared_to_its_parent(made: Made) -> None:
    held, release = threading.Event(), threading.Event()
    leases: Any = made.leases

    def hold() -> None:
        with leases._lock:
            held.set()
            wait_for(release)

    with contextlib.ExitStack() as inside:
        inside.enter_context(leases.lease())
        holding = InThread(hold)
        wait_for(held)

        def child() -> None:
            with contextlib.ExitStack() as childs:
                given = [childs.enter_context(leases.lease()) for _ in range(2)]
            assert given[0] is given[1] is made.all[1]
            assert [each.stops for each in made.all] == [0, 1]

        in_child(child)
        release.set()
        holding.result()
        with leases.lease() as shared:
            assert shared is made.all[0]
    assert [each.stops for each in made.all] == [1]
